"""`train --mine`: its options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_cnn.cli.console import command, program, wrong
from tinygrad_cnn.cli.exercise.base import exercise

MODEL = "lenet5"
MINUTES = 2.0


@exercise.command(
    "train",
    epilog="""Examples:

tinygrad-cnn exercise train lenet5 --mine

tinygrad-cnn exercise train lenet5 --mine --minutes 10""",
)
@command
def train(
    model: Annotated[str, typer.Argument(help="The network: lenet5.", metavar="MODEL")] = MODEL,
    mine: Annotated[bool, typer.Option("--mine", help="With your own layers, as far as they are solved.")] = False,
    data: Annotated[
        str, typer.Option(help="What to learn: digits, which needs no download, mnist, …", metavar="NAME")
    ] = "digits",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="Folder with the data files, or to download them to. Without it: TINYGRAD_CNN_DATA, else a cache "
            "folder.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="NUMBER",
            help="How often to walk through all training images, however long it takes.",
            show_default="as many as fit into --minutes",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=2, metavar="NUMBER", help="Images in one step of learning.", show_default="32, fewer if they take long"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Start of all random numbers.")] = 0,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            metavar="NUMBER",
            help="How long it may take in all, roughly; more means more images.",
            show_default=f"{MINUTES:g}",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder to make for what comes out; without it one in runs/.", metavar="DIR", show_default=False
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="On an error show where in the program it happened.")] = False,
) -> None:
    """Train LeNet-5 with your own layers, and beside it, from the same weights, with the library's.

    Every function of yours that has passed its check takes part.
    Loops are slow: a step is measured first, and as many are made as fit into the time.
    Ctrl-C ends it early, with the curves so far.
    """
    from tinygrad_cnn.cli.exercise.comparing import Settings, compare

    if not mine:
        wrong(
            f"--mine is missing: with it your own layers compute. To train with the library's: {program()} train "
            f"{model}"
        )
    if model.lower().replace("-", "") != MODEL:
        wrong(
            f"--mine trains {MODEL}, not {model!r}. Your layers work in every network, in a program of yours: "
            "with tinygrad_cnn.exercises.use(): …"
        )
    budget = None if epochs is not None and minutes is None else 60 * (MINUTES if minutes is None else minutes)
    compare(Settings(data, data_dir, epochs, batch_size, seed, budget, out))
