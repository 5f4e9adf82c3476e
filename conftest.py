"""How slow tests are chosen: none by default, a seeded sample in `.ci/run`, all in `.ci/full`."""

from __future__ import annotations

import random
import signal

import pytest

SAMPLE = 6
# the exercises' scripts all have the same names; `tinygrad_cnn.exercises` loads them itself, and so do its tests
collect_ignore_glob = ["tinygrad_cnn/exercises/tasks/*"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tinygrad_cnn")
    group.addoption(
        "--slow",
        choices=("none", "sample", "only-sample", "all"),
        default="none",
        help=f"tests marked slow: none, {SAMPLE} of them, those {SAMPLE} alone, or all",
    )
    group.addoption("--slow-seed", default="0", help="which sample")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell that starts us in the background has Ctrl-C ignored, and what is ignored stays so in `fit`, too;
        # the tests that press Ctrl-C need it, here and in the processes they start
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> str:
    return f"slow tests: {config.getoption('--slow')}, sample seed {config.getoption('--slow-seed')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mode = config.getoption("--slow")
    if mode == "all":
        return
    slow = sorted((item for item in items if item.get_closest_marker("slow")), key=lambda item: item.nodeid)
    chosen: set[pytest.Item] = set()
    if mode != "none":
        chosen = set(random.Random(config.getoption("--slow-seed")).sample(slow, min(SAMPLE, len(slow))))
    dropped = [item for item in items if item in set(slow) - chosen or (mode == "only-sample" and item not in chosen)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        kept = set(items) - set(dropped)
        items[:] = [item for item in items if item in kept]
