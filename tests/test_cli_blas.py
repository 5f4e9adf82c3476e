"""The command starts itself again with better kernels of OpenBLAS: where they are slower, once, and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tinygrad_cnn.cli import blas


@pytest.fixture
def command(monkeypatch):
    """Calls `prepare` as a process with these arguments would; gives what it was replaced by, if anything."""
    calls, core = [], {}
    monkeypatch.setattr(blas.os, "execve", lambda *call: calls.append(call))
    monkeypatch.setattr(blas.sys, "platform", "linux")
    monkeypatch.setattr(blas.sys, "executable", "/env/bin/python")
    monkeypatch.setattr(blas, "processor_flags", lambda: blas.AVX512)
    monkeypatch.setattr(blas, "libraries", lambda: [{"internal_api": "openblas", **core}])
    monkeypatch.setattr(blas, "respect_quota", lambda: None)
    monkeypatch.delenv(blas.VARIABLE, raising=False)

    def run(*arguments, name="/env/bin/tinygrad-cnn", original=None, architecture="Haswell"):
        core["architecture"] = architecture
        calls.clear()
        monkeypatch.setattr(blas.sys, "argv", [name, *arguments])
        monkeypatch.setattr(blas.sys, "orig_argv", original or ["python", "-X", "dev", name, *arguments])
        blas.prepare()
        return calls[0] if calls else None

    return run


@pytest.mark.parametrize("arguments", [["train"], ["train", "lenet5", "--epochs", "2"], ["evaluate", "x"], ["predict"]])
def test_commands_that_compute_start_again_with_better_kernels(command, arguments):
    path, line, environment = command(*arguments)
    assert path == "/env/bin/python"
    assert line == ["/env/bin/python", "-X", "dev", "/env/bin/tinygrad-cnn", *arguments]
    assert environment == os.environ | {"OPENBLAS_CORETYPE": "SkylakeX"}


def test_as_a_module(command):
    original = ["python", "-m", "tinygrad_cnn", "train"]
    path, line, _ = command("train", name="/lib/tinygrad_cnn/__main__.py", original=original)
    assert line == [path, "-m", "tinygrad_cnn", "train"]


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["doctor"], ["summary", "lenet5"], ["exercise", "check"], ["--version"], ["graph"]]
)
def test_other_commands_do_not(command, arguments):
    assert command(*arguments) is None


@pytest.mark.parametrize("architecture", ["SkylakeX", "Cooperlake", "SapphireRapids", "SAPPHIRERAPIDS", None])
def test_not_where_the_kernels_are_right_or_unknown(command, architecture):
    assert command("train", architecture=architecture) is None


def test_not_on_other_processors_systems_and_libraries(command, monkeypatch):
    assert command("train")
    with monkeypatch.context() as other:
        other.setattr(blas, "processor_flags", lambda: blas.AVX512 - {"avx512vl"})
        assert command("train") is None
    with monkeypatch.context() as other:
        other.setattr(blas.sys, "platform", "darwin")
        assert blas.sys.platform == "darwin"
        assert command("train") is None
    with monkeypatch.context() as other:
        other.setattr(blas, "libraries", lambda: [{"internal_api": "mkl", "architecture": "Haswell"}])
        assert command("train") is None
    with monkeypatch.context() as other:
        other.setattr(blas.sys, "executable", "")  # Python inside another program
        assert command("train") is None


@pytest.mark.parametrize("value", ["Haswell", "SkylakeX", ""])
def test_whoever_sets_the_variable_has_his_way(command, monkeypatch, value):
    """It also ends the matter: the second start sees it."""
    monkeypatch.setenv("OPENBLAS_CORETYPE", value)
    assert command("train") is None


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("/env/bin/pytest", ["python", "-m", "pytest", "train"]),
        ("/env/bin/my-own-script.py", ["python", "my-own-script.py", "train"]),
        ("/lib/ipykernel_launcher.py", ["python", "-m", "ipykernel_launcher", "train"]),
        ("/elsewhere/__main__.py", ["python", "-m", "elsewhere", "train"]),
        ("/env/bin/tinygrad-cnn", ["python", "notebook.py"]),  # somebody changed sys.argv, and calls main()
    ],
)
def test_a_program_that_calls_the_command_is_never_replaced(command, name, original):
    assert command("train", name=name, original=original) is None


def test_a_start_that_fails_goes_on_with_what_there_is(command, monkeypatch):
    def refuse(*call):
        raise OSError("Argument list too long")

    monkeypatch.setattr(blas.os, "execve", refuse)
    assert command("train") is None


def test_the_quota_of_a_container_counts_for_commands_that_compute(command, monkeypatch):
    seen = []
    monkeypatch.setattr(blas, "respect_quota", lambda: seen.append(True))
    command("summary")
    assert seen == []
    command("train")
    assert seen == [True]


def test_the_program_prepares_itself_before_it_reads_its_arguments(monkeypatch):
    program, order = sys.modules["tinygrad_cnn.cli.app"], []
    monkeypatch.setattr(program, "prepare", lambda: None)
    monkeypatch.setattr(program.blas, "prepare", lambda: order.append("blas"))
    monkeypatch.setattr(program, "app", lambda: order.append("app"))
    program.main()
    assert order == ["blas", "app"]


# In real processes: this machine's OpenBLAS pretends to have chosen Haswell kernels, unless it was told otherwise

PRETEND = """
import os, threadpoolctl

real = threadpoolctl.threadpool_info

def pretend():
    told = os.environ.get("OPENBLAS_CORETYPE")
    return [library | ({} if told else {"architecture": "Haswell"}) for library in real()]

threadpoolctl.threadpool_info = pretend
with open(os.environ["STARTS"], "a") as file:
    print(os.getpid(), os.environ.get("OPENBLAS_CORETYPE"), file=file)
"""

needs_avx512 = pytest.mark.skipif(
    sys.platform != "linux" or not blas.processor_flags() >= blas.AVX512 or not any(
        library["internal_api"] == "openblas" for library in blas.libraries()
    ),
    reason="not a processor with AVX-512, Linux and OpenBLAS",
)  # fmt: skip


@pytest.fixture
def process(tmp_path):
    """Starts the command; and gives what was started, as (process number, core type) each."""
    (tmp_path / "pretend").mkdir()
    (tmp_path / "pretend" / "sitecustomize.py").write_text(PRETEND, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path / "pretend"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "STARTS": str(tmp_path / "starts"), "PYTHONUNBUFFERED": "1"}
    environment.pop("OPENBLAS_CORETYPE", None)

    def start(*command, **more):
        return subprocess.Popen(
            [*map(str, command)],
            env=environment | more,
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def starts():
        return [tuple(line.split()) for line in (tmp_path / "starts").read_text().splitlines()]

    start.starts = starts
    return start


MODULE = (sys.executable, "-m", "tinygrad_cnn")
SCRIPT = (sys.executable, Path(sys.executable).with_name("tinygrad-cnn"))


@needs_avx512
@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_it_starts_again_once_in_the_same_process(process, command):
    if command is SCRIPT and not SCRIPT[1].exists():
        pytest.skip("the command is not installed beside this Python")
    started = process(*command, "evaluate", "there is no such run")
    output, errors = started.communicate(timeout=100)
    assert (started.returncode, output) == (1, "")
    assert errors == "error: there is no run directory there is no such run\n"
    assert process.starts() == [(str(started.pid), "None"), (str(started.pid), "SkylakeX")]


@needs_avx512
def test_what_the_user_set_stays(process):
    started = process(*MODULE, "evaluate", "nowhere", OPENBLAS_CORETYPE="Haswell")
    started.communicate(timeout=100)
    assert process.starts() == [(str(started.pid), "Haswell")]


@needs_avx512
def test_output_input_and_status_pass_through(process):
    started = process(*MODULE, "train", "--epochs", "0")
    assert "--epochs" in started.communicate("nobody reads this\n", timeout=100)[1]
    assert started.returncode == 2
    assert len(process.starts()) == 2
    started = process(*MODULE, "train", "--help")
    assert "Ctrl-C stops" in started.communicate(timeout=100)[0]
    assert started.returncode == 0


@needs_avx512
def test_ctrl_c_and_a_training_with_the_better_kernels(process, tmp_path):
    started = process(*MODULE, "train", "lenet5", "--epochs", 500, "--out", tmp_path / "run")
    lines = []
    watchdog = threading.Timer(100, started.kill)
    watchdog.start()
    try:
        for line in started.stdout:
            lines.append(line)
            if line.startswith("run directory"):
                break
        started.send_signal(signal.SIGINT)
        _, errors = started.communicate(timeout=100)
    finally:
        watchdog.cancel()
    assert started.returncode == 130, errors
    assert len(process.starts()) == 2
    assert {number for number, _ in process.starts()} == {str(started.pid)}


def test_the_check_costs_next_to_nothing():
    """No module is loaded for commands that do not compute; for others at most the one that knows the core type."""
    code = """
import sys, tinygrad_cnn.cli
from tinygrad_cnn.cli import blas
loaded = set(sys.modules)
sys.argv = sys.orig_argv = ["tinygrad-cnn", "summary"]
blas.prepare()
assert set(sys.modules) == loaded, set(sys.modules) - loaded
sys.argv = sys.orig_argv = ["tinygrad-cnn", "train"]
blas.processor_flags = set
blas.respect_quota = lambda: None
blas.prepare()
assert set(sys.modules) == loaded, set(sys.modules) - loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_a_quota_is_left_to_the_user_by_the_library():
    """It would change what NumPy does in the rest of his program."""
    code = """
import os, pathlib, sys
os.cpu_count = lambda: 64
pathlib.Path.read_text = lambda path, *args, **kwargs: "100000 100000"
import tinygrad_cnn
from tinygrad_cnn.kernels import threads
assert threads.cgroup_quota() == 1.0
assert "threadpoolctl" not in sys.modules
threads.respect_quota()
assert "threadpoolctl" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
