"""Run directories: one per training, with everything that came out of it."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli import recipes
from tinygrad_cnn.cli.console import fail, many, program, quoted, writing

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module

RUNS = Path("runs")
CHECKPOINTS = "checkpoints"
CONFIG = "config.json"
HISTORY = "history.json"
EXAMPLE = "example.png"  # a test image, for a first `predict`
ELSEWHERE = "choose another place with --out"


def called(config: dict[str, Any]) -> str:
    """What to call a run's network: `lenet5`; `alexnet cifar width 0.5` if not everything is as usual.

    >>> called({"model": "lenet5", "options": {"variant": "1998"}}), called({"model": "vgg11", "options": {}})
    ('lenet5 1998', 'vgg11')
    """
    return form(config).replace("--variant ", "").replace("--", "")


def form(config: dict[str, Any], trained: bool = True) -> str:
    """A run's network as arguments of the command line, without what goes without saying.

    Args:
        config: The run's settings.
        trained: For `train`, which takes the recipe's variant; `summary` does not know the data and takes the first.

    >>> form({"model": "lenet5", "options": {"variant": "1998"}})
    'lenet5 --variant 1998'
    """
    options = config.get("options", {})
    usual = recipes.recipe(config["model"], None, config.get("data", recipes.DATA)).options if trained else {}
    said = [f"--{name} {options[name]}" for name in ("variant", "width") if options.get(name) != usual.get(name)]
    return " ".join([config["model"], *said])


def new_run(network: str, data: str, out: Path | None) -> Path:
    """Makes an empty run directory; an existing one is never written into.

    Without `out` it is `runs/<network>-<data>-<date>-<time>`, with a number behind it if that exists.
    """
    if out is not None:
        refuse_used(out)
        with writing(out, ELSEWHERE):
            out.mkdir(parents=True, exist_ok=True)
        return out
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{network.replace(' ', '-')}-{data}-{stamp}"
    with writing(RUNS, ELSEWHERE):
        RUNS.mkdir(exist_ok=True)
        for number in itertools.count(1):
            path = RUNS / (name if number == 1 else f"{name}-{number}")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                break
    return path


def run_of(picture: Path) -> Path | None:
    """The run directory that a picture lies in, if it lies in one."""
    return picture.parent if (picture.parent / CHECKPOINTS).is_dir() else None


def newest_run() -> Path:
    """The run directory below `runs/` that was started last."""
    found = [path.parent for path in RUNS.glob(f"*/{CONFIG}")]
    if not found:
        fail(f"there is no run in {RUNS}/ yet; train one first ({program()} train lenet5), or name it with --run")
    return max(found, key=lambda path: ((path / CONFIG).stat().st_mtime_ns, path.name))


def refuse_used(out: Path) -> None:
    """Ends the command if there is something where the run directory should be made."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        fail(
            f"--out {out} exists already, and a run overwrites nothing; choose another name, or go on with that run: "
            f"{program()} train --resume {quoted(out)}"
        )


def saved_run(run: Path) -> Any:
    """The newest good checkpoint of a run, whose `config` holds the settings it was started with.

    `config.json` says the same to people; the checkpoint's copy has a checksum.
    """
    from tinygrad_cnn.training import checkpoint

    if not run.is_dir():
        known = ", ".join(str(path) for path in sorted(RUNS.glob("*")) if (path / CONFIG).is_file())
        fail(f"there is no run directory {run}" + (f"; there are {known}" if known else ""))
    if not (run / CHECKPOINTS).is_dir():
        fail(f"{run} is no run directory of `tinygrad-cnn train`: it has no folder {CHECKPOINTS}")
    return checkpoint.load(run / CHECKPOINTS)


def write_config(run: Path, config: dict[str, Any]) -> None:
    """Notes the settings a run is started with."""
    with writing(run / CONFIG, ELSEWHERE):
        (run / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def finished(config: dict[str, Any]) -> str:
    """That a run has come to the end of its schedule, and how to train longer."""
    epochs = config["epochs"]
    data = "" if config["data"] == recipes.DATA else f" --data {config['data']}"
    longer = f"{program()} train {form(config)}{data} --epochs {epochs + max(epochs // 2, 1)}"
    return f"this run has finished its {many(epochs, 'epoch')}; for more, start a new one: {longer}"


def trained_model(run: Path, device: str) -> tuple[Module, dict[str, Any]]:
    """The run's network with the weights of its newest checkpoint, in evaluation mode, and the run's settings."""
    from tinygrad_cnn import models

    saved = saved_run(run)
    model = models.create(saved.config["model"], **saved.config["options"])
    saved.restore(model)
    model.to(device)
    model.eval()
    return model, saved.config
