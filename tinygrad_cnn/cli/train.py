"""`train`: from a data set to a run directory."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli import recipes, runs
from tinygrad_cnn.cli.console import chosen, console, many, program, quoted, say, stop, writing, wrong

if TYPE_CHECKING:
    from tinygrad_cnn.data import DataLoader, DataSplit
    from tinygrad_cnn.nn import Module
    from tinygrad_cnn.training import History

TEST_BATCH = 250  # images a step when nothing is learned; more does not make it faster


def train(
    model: str | None,
    given: dict[str, Any],
    data_dir: Path | None,
    device: str | None,
    out: Path | None,
    resume: Path | None,
) -> None:
    """Trains a network, or goes on with a run that was stopped.

    Args:
        model: The network's name.
        given: data, epochs, batch_size, lr, optimizer and seed; None where the command line does not say.
        data_dir: The folder of the data.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`.
        out: The run directory to make.
        resume: The run directory to go on with.
    """
    from tinygrad_cnn import backends

    started = time.perf_counter()
    config = settings(model, given) if resume is None else resumed(resume, model, given, out)
    config["device"] = backends.get(config["device"] if device is None else device).name
    if out is not None:
        runs.refuse_used(out)
    if data_dir is not None:
        config["data_dir"] = str(data_dir.resolve())
    split = load_data(config["data"], Path(config["data_dir"]) if config["data_dir"] else None, config["augment"])
    if resume is None:
        C, H, W = split.info.image_shape
        config["options"] = {"num_classes": len(split.classes), "in_channels": C, "image_size": [H, W]}
        run = runs.new_run(config["model"], config["data"], out)
        runs.write_config(run, config)
    else:
        run = resume
    learn(run, config, split, started, resume is not None)


def settings(model: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a new run: what was given, and the data set's recipe for the rest."""
    from tinygrad_cnn import __version__, data, models

    defaults: dict[str, Any] = {"data": recipes.DATA, "optimizer": recipes.OPTIMIZER, "seed": 0}
    given = defaults | {name: value for name, value in given.items() if value is not None}
    name = chosen("model", recipes.MODEL if model is None else model, models.available())
    data_name = chosen("--data", given["data"], data.available())
    optimizer = chosen("--optimizer", given["optimizer"], recipes.OPTIMIZERS)
    recipe = recipes.RECIPES[data_name]
    lr = given.get("lr", recipes.LEARNING_RATES[optimizer])
    if not 0 < lr < math.inf:
        wrong(f"--lr {lr:g}: the learning rate must be finite and greater than 0")
    return {
        "model": name,
        "data": data_name,
        "data_dir": None,
        "epochs": given.get("epochs", recipe.epochs),
        "batch_size": given.get("batch_size", recipe.batch_size),
        "optimizer": optimizer,
        "lr": lr,
        "seed": given["seed"],
        "augment": recipe.augment,
        "device": "cpu",
        "version": __version__,
    }


def resumed(run: Path, model: str | None, given: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """The settings of a run that goes on: exactly those it was started with."""
    from tinygrad_cnn import models

    saved = runs.saved_run(run)
    config = dict(saved.config)
    done = len(saved.history or ()) >= config["epochs"]
    others = [f"--{name.replace('_', '-')}" for name, value in {**given, "out": out}.items() if value is not None]
    if others:
        more = f"; {runs.finished(config)}" if done else ""
        wrong(f"--resume goes on with the settings of {run}; leave out {', '.join(others)}{more}")
    if model is not None and chosen("model", model, models.available()) != config["model"]:
        wrong(f"{run} trains {config['model']}, not {model}")
    if done:
        say("nothing is left to train, only the pictures are made again:", style="yellow")
        say(runs.finished(config), style="yellow")
        say()
    return config


def learn(run: Path, config: dict[str, Any], split: DataSplit, started: float, go_on: bool) -> None:
    """Trains, and leaves and announces what came out; Ctrl-C leaves a checkpoint and says how to go on."""
    from tinygrad_cnn import models, random, training
    from tinygrad_cnn.cli import pictures

    seed = config["seed"]
    model = models.create(config["model"], **config["options"], generator=random.Generator(seed))
    model.to(config["device"])
    train_loader, test_loader = loaders(config, split)
    optimizer = recipes.optimizer(config["optimizer"], model.parameters(), config["lr"])
    steps = config["epochs"] * len(train_loader)
    introduce(run, config, model, split, len(train_loader))
    try:
        history = training.fit(
            model,
            train_loader,
            optimizer,
            epochs=config["epochs"],
            val_loader=test_loader,
            scheduler=recipes.schedule(config["optimizer"], optimizer, config["lr"], steps),
            callbacks=[training.ProgressBar(console(), validation="test")],
            checkpoint_dir=run / runs.CHECKPOINTS,
            resume=go_on,
            generator=random.Generator(seed, stream=(2,)),
            config=config,
        )
    except training.Interrupted as stopped:
        keep_history(stopped.history, run)
        say()
        say(f"stopped after {len(stopped.history)} of {many(config['epochs'], 'epoch')}; nothing is lost. To go on:")
        say(f"  {again(run)}", style="bold")
        stop(stopped.exit_code)
    keep_history(history, run)
    with writing(run, f"the training is safe; free some space, then {again(run)} makes the pictures"):
        left = pictures.leave(run, config, model, split, train_loader, test_loader, history)
    announce(run, config, history, left, len(split.test), time.perf_counter() - started)


def keep_history(history: History, run: Path) -> None:
    """Writes history.json, which the checkpoints hold as well."""
    with writing(run / runs.HISTORY, f"the training is safe; free some space, then {again(run)}"):
        history.save(run / runs.HISTORY)


def again(run: Path) -> str:
    """The command that goes on with a run."""
    return f"{program()} train --resume {quoted(run)}"


def loaders(config: dict[str, Any], split: DataSplit) -> tuple[DataLoader, DataLoader]:
    """The training batches, shuffled, and the test batches as they are."""
    from tinygrad_cnn import random
    from tinygrad_cnn.data import DataLoader

    train = DataLoader(
        split.train,
        batch_size=config["batch_size"],
        shuffle=True,
        generator=random.Generator(config["seed"], stream=(1,)),
        device=config["device"],
    )
    return train, DataLoader(split.test, batch_size=TEST_BATCH, device=config["device"])


def introduce(run: Path, config: dict[str, Any], model: Module, split: DataSplit, steps: int) -> None:
    """What is going to happen, in five lines."""
    from tinygrad_cnn.kernels.threads import get_num_threads

    threads = f" with {many(get_num_threads(), 'thread')}" if config["device"] == "cpu" else ""
    epochs = f"{many(config['epochs'], 'epoch')} of {many(steps, 'step')}"
    facts = {
        "network": f"{config['model']}, {model.num_parameters():,} parameters, on {config['device']}{threads}",
        "data": f"{config['data']}, {len(split.train):,} images to learn from, {len(split.test):,} to test with",
        "training": f"{epochs}, {many(config['batch_size'], 'image')} each",
        "optimizer": f"{config['optimizer']}, learning rate up to {config['lr']:g}, seed {config['seed']}",
        "run directory": f"{run}",
    }
    for what, fact in facts.items():
        say(f"{what:<13}  {fact}")
    say()


def announce(
    run: Path, config: dict[str, Any], history: History, left: dict[str, Path], tested: int, seconds: float
) -> None:
    """The end of a training: how good the network is, where everything lies, what to do next."""
    accuracy = history.last["val_accuracy"]
    say()
    say(
        f"test accuracy {accuracy:.2%} ({round(accuracy * tested):,} of {tested:,} images) "
        f"after {many(len(history), 'epoch')}; {seconds:.1f} s in all",
        style="bold green",
    )
    say()
    say(f"In {run}:", style="bold")
    width = max(map(len, left))
    for what, path in left.items():
        say(f"  {what:<{width}}  {path.name}{'/' if path.is_dir() else ''}")
    say()
    say("What to try next:", style="bold")
    other = "mnist" if config["data"] == "digits" else "digits"
    example = run / runs.EXAMPLE
    picture = quoted(example) if example in left.values() else f"my_picture.png --run {quoted(run)}"
    for line in (
        f"{program()} evaluate {quoted(run)}",
        f"{program()} predict {picture}",
        f"{program()} train {config['model']} --data {other}",
        f"{program()} summary {config['model']}",
    ):
        say(f"  {line}")


def load_data(name: str, data_dir: Path | None, augment: bool = False) -> DataSplit:
    """The data set, with a progress bar if it must be downloaded."""
    from tinygrad_cnn import data

    with download_bar() as progress:
        return data.load(name, data_dir=data_dir, augment=augment, progress=progress)


@contextlib.contextmanager
def download_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each file that is downloaded; nothing at all if none is."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=console(), transient=True)
    tasks: dict[str, Any] = {}

    def progress(name: str, received: int, total: int | None) -> None:
        if name not in tasks:
            if not tasks:
                bar.start()
            say(f"downloading {name}")
            tasks[name] = bar.add_task(name, total=total)
        bar.update(tasks[name], completed=received, total=total)

    try:
        yield progress
    finally:
        if tasks:
            bar.stop()
