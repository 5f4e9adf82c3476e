"""`train`: from a data set to a run directory."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_cnn.cli import networks, recipes, runs
from tinygrad_cnn.cli.console import chosen, console, many, program, quoted, say, stop, writing, wrong

if TYPE_CHECKING:
    from tinygrad_cnn.cli.pictures import Verdicts
    from tinygrad_cnn.cli.watch import Watch
    from tinygrad_cnn.data import DataLoader, DataSplit
    from tinygrad_cnn.nn import Module
    from tinygrad_cnn.training import Callback, History

TEST_BATCH = 250  # images a step when nothing is learned; more does not make it faster


def train(
    model: str | None,
    given: dict[str, Any],
    data_dir: Path | None,
    device: str | None,
    out: Path | None,
    resume: Path | None,
    watch: Watch,
) -> None:
    """Trains a network, or goes on with a run that was stopped.

    Args:
        model: The network's name.
        given: data, variant, width, epochs, batch_size, lr, optimizer and seed; None where the command line does not
            say.
        data_dir: The folder of the data.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`.
        out: The run directory to make.
        resume: The run directory to go on with.
        watch: How to watch it.
    """
    from tinygrad_cnn import backends

    started = time.perf_counter()
    watch.check()
    config = settings(model, given) if resume is None else resumed(resume, model, given, out)
    config["device"] = backends.get(config["device"] if device is None else device).name
    if out is not None:
        runs.refuse_used(out)
    if data_dir is not None:
        config["data_dir"] = str(data_dir.resolve())
    network = networks.built(config["model"], config["options"], config["seed"])  # before the data: it may not fit them
    split = load_data(config["data"], Path(config["data_dir"]) if config["data_dir"] else None, config["augment"])
    batches = loaders(config, split)
    with watch.page(split, batches.watched) as page:
        if resume is None:
            run = runs.new_run(runs.called(config), config["data"], out)
            runs.write_config(run, config)
        else:
            run = resume
        callbacks = [*page, *watch.callbacks(run, split, batches.watched)]
        introduce(run, config, network, batches, watch)
        learn(run, config, network, split, batches, callbacks, started, resume is not None)


def settings(model: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a new run: what was given, and the recipe for the rest."""
    from tinygrad_cnn import __version__, data

    given = {name: value for name, value in given.items() if value is not None}
    name = networks.named(recipes.MODEL if model is None else model)
    info = data.catalogue.ALL[chosen("--data", given.get("data", recipes.DATA), data.available())]
    form = networks.form(name, given.get("variant"), given.get("width"))
    if "optimizer" in given:
        given["optimizer"] = chosen("--optimizer", given["optimizer"], tuple(recipes.OPTIMIZERS))
    base = recipes.recipe(name, form.get("variant"), info.name)
    if not 0 < given.get("lr", base.lr) < math.inf:
        wrong(f"--lr {given['lr']:g}: the learning rate must be finite and greater than 0")
    C, H, W = info.image_shape
    images = {"num_classes": len(info.classes), "in_channels": C, "image_size": [H, W]}
    return {
        "model": name,
        "options": images | dict(base.options) | form,
        "data": info.name,
        "data_dir": None,
        "device": "cpu",
        **recipes.settings(base, info, given),
        "seed": given.get("seed", 0),
        "version": __version__,
    }


def resumed(run: Path, model: str | None, given: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """The settings of a run that goes on: exactly those it was started with."""
    saved = runs.saved_run(run)
    config = dict(saved.config)
    done = len(saved.history or ()) >= config["epochs"]
    others = [f"--{name.replace('_', '-')}" for name, value in {**given, "out": out}.items() if value is not None]
    if others:
        more = f"; {runs.finished(config)}" if done else ""
        wrong(f"--resume goes on with the settings of {run}; leave out {', '.join(others)}{more}")
    if model is not None and networks.named(model) != config["model"]:
        wrong(f"{run} trains {config['model']}, not {model}")
    if done:
        say("nothing is left to train, only the pictures are made again:", style="yellow")
        say(runs.finished(config), style="yellow")
        say()
    return config


def learn(
    run: Path,
    config: dict[str, Any],
    model: Module,
    split: DataSplit,
    batches: Batches,
    callbacks: Sequence[Callback],
    started: float,
    go_on: bool,
) -> None:
    """Trains, and leaves and announces what came out; Ctrl-C leaves a checkpoint and says how to go on."""
    from tinygrad_cnn import random, training
    from tinygrad_cnn.cli import pictures

    model.to(config["device"])
    optimizer = recipes.optimizer(config, model.parameters())
    try:
        history = training.fit(
            model,
            batches.train,
            optimizer,
            epochs=config["epochs"],
            val_loader=batches.validation or batches.test,
            scheduler=recipes.schedule(config, optimizer, len(batches.train)),
            monitor="val_accuracy",
            callbacks=callbacks,
            checkpoint_dir=run / runs.CHECKPOINTS,
            resume=go_on,
            generator=random.Generator(config["seed"], stream=(2,)),
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
        verdicts = pictures.judged(model, batches.test)
        left = pictures.leave(run, config, model, split, batches, history, verdicts)
    announce(run, config, len(history), verdicts, left, time.perf_counter() - started)


def keep_history(history: History, run: Path) -> None:
    """Writes history.json, which the checkpoints hold as well."""
    with writing(run / runs.HISTORY, f"the training is safe; free some space, then {again(run)}"):
        history.save(run / runs.HISTORY)


def again(run: Path) -> str:
    """The command that goes on with a run."""
    return f"{program()} train --resume {quoted(run)}"


class Batches(NamedTuple):
    """What a run learns from and what it is measured on.

    Attributes:
        train: The training batches, shuffled.
        validation: The held-out ones, if the schedule looks at them; else nothing is held out, and the test images are
            measured after every epoch.
        test: The test batches.
    """

    train: DataLoader
    validation: DataLoader | None
    test: DataLoader

    @property
    def watched(self) -> str:
        """What the `val_` numbers were measured on."""
        return "test" if self.validation is None else "validation"


def loaders(config: dict[str, Any], split: DataSplit) -> Batches:
    """The batches of a run."""
    from tinygrad_cnn import random
    from tinygrad_cnn.data import DataLoader

    learned, held = split.hold_out(recipes.HELD_OUT) if config["schedule"] == "plateau" else (split.train, None)
    train = DataLoader(
        learned,
        batch_size=config["batch_size"],
        shuffle=True,
        generator=random.Generator(config["seed"], stream=(1,)),
        device=config["device"],
    )
    validation, test = (
        None if images is None else DataLoader(images, batch_size=TEST_BATCH, device=config["device"])
        for images in (held, split.test)
    )
    return Batches(train, validation, test)  # type: ignore[arg-type]


def introduce(run: Path, config: dict[str, Any], model: Module, batches: Batches, watch: Watch) -> None:
    """What is going to happen, in a few lines."""
    from tinygrad_cnn.kernels.threads import get_num_threads

    threads = f" with {many(get_num_threads(), 'thread')}" if config["device"] == "cpu" else ""
    epochs = f"{many(config['epochs'], 'epoch')} of {many(len(batches.train), 'step')}"
    held = f" {len(batches.validation.dataset):,} held out to watch it," if batches.validation else ""
    images = f"{len(batches.train.dataset):,} images to learn from,{held} {len(batches.test.dataset):,} to test with"
    decay = f", weight decay {config['weight_decay']:g}" if config["weight_decay"] else ""
    facts = {
        "network": f"{runs.called(config)}, {model.num_parameters():,} parameters, on {config['device']}{threads}",
        "data": f"{config['data']}, {images}",
        "training": f"{epochs}, {many(config['batch_size'], 'image')} each",
        "optimizer": f"{config['optimizer']}, learning rate up to {config['lr']:g}{decay}, seed {config['seed']}",
        "learning rate": recipes.SCHEDULES[config["schedule"]],
        "augmentation": ", ".join(config["augment"]) or "none",
        "run directory": f"{run}",
        **watch.facts(run),
    }
    for what, fact in facts.items():
        say(f"{what:<13}  {fact}")
    say()


def announce(
    run: Path, config: dict[str, Any], epochs: int, verdicts: Verdicts, left: dict[str, Path], seconds: float
) -> None:
    """The end of a training: how good the network is, where everything lies, what to do next."""
    say()
    say(
        f"test accuracy {verdicts.accuracy:.2%} ({verdicts.right:,} of {len(verdicts.actual):,} images) "
        f"after {many(epochs, 'epoch')}; {seconds:.1f} s in all",
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
        *([again(run)] if epochs < config["epochs"] else []),  # it was stopped, say on the dashboard
        f"{program()} evaluate {quoted(run)}",
        f"{program()} predict {picture}",
        f"{program()} train {runs.form(config)} --data {other}",
        f"{program()} summary {runs.form(config, trained=False)}",
    ):
        say(f"  {line}")


def load_data(name: str, data_dir: Path | None, augment: Sequence[str] = ()) -> DataSplit:
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
