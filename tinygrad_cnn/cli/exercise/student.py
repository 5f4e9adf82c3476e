"""The students' commands: their options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_cnn.cli.console import Debug, command
from tinygrad_cnn.cli.exercise.base import exercise

Name = Annotated[
    str | None,
    typer.Argument(
        help="The exercise: its name, its number or its file.", metavar="ID", show_default="the one you are working on"
    ),
]


@exercise.command("init", epilog="Example: tinygrad-cnn exercise init && cd tcnn-exercises")
@command
def init(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Where the files go.", metavar="DIR", show_default="the exercises you are in, else tcnn-exercises"
        ),
    ] = None,
    catalogue: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder with further exercises, of your teacher's; may be given several times.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these exercises, with commas between; again later for more.",
            metavar="IDS",
            show_default="all",
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All exercises, after an earlier --only.")] = False,
    debug: Debug = False,
) -> None:
    """Make a folder with a file for each exercise; after an upgrade, add the new ones.

    What you have written is never overwritten.
    """
    from tinygrad_cnn.cli.exercise.solving import init

    init(folder, catalogue or [], only or [], all_)


@exercise.command("list")
@command
def list_(debug: Debug = False) -> None:
    """Show all exercises, what they have earned, and which one is next."""
    from tinygrad_cnn.cli.exercise.solving import overview

    overview()


@exercise.command("watch")
@command
def watch(debug: Debug = False) -> None:
    """Check every file at the moment you save it, until you press Ctrl-C."""
    from tinygrad_cnn.cli.exercise.solving import watch

    watch()


@exercise.command(
    "check",
    epilog="""Examples:

tinygrad-cnn exercise check

tinygrad-cnn exercise check conv_forward

tinygrad-cnn exercise check --all""",
)
@command
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Exercises: their names, numbers or files.", metavar="[ID]...", show_default="the one you work on"
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that you have begun.")] = False,
    debug: Debug = False,
) -> None:
    """Check your code, and say what is wrong with it.

    The exit status is 0 if all that was checked is right, else 1.
    """
    from tinygrad_cnn.cli.exercise.solving import check

    check(names or [], all_)


@exercise.command("hint")
@command
def hint(
    name: Name = None,
    all_: Annotated[bool, typer.Option("--all", help="All three.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Those you have seen, no new one.")] = False,
    debug: Debug = False,
) -> None:
    """Show a hint; the next one each time: the idea, where to look, pseudo-code."""
    from tinygrad_cnn.cli.exercise.solving import hint

    hint(name, all_, again)


@exercise.command("explain")
@command
def explain(name: Name = None, debug: Debug = False) -> None:
    """Say all about what is wrong: the mistake, the case that fails with its numbers, the idea of the exercise."""
    from tinygrad_cnn.cli.exercise.solving import explain

    explain(name)


@exercise.command("reset")
@command
def reset(name: Name = None, debug: Debug = False) -> None:
    """Begin an exercise anew; your file is kept in the folder backups/."""
    from tinygrad_cnn.cli.exercise.solving import reset

    reset(name)


@exercise.command("solution")
@command
def solution(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The exercise: its name, its number or its file.",
            metavar="ID",
            show_default="the one you have solved last",
        ),
    ] = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Show it before you have solved the exercise; this is remembered.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Show how the library does it, after you have solved the exercise."""
    from tinygrad_cnn.cli.exercise.solving import solution

    solution(name, give_up)


@exercise.command("submit")
@command
def submit(
    out: Annotated[
        Path | None,
        typer.Option(help="The file to make.", metavar="FILE", show_default="submission.zip in the exercises' folder"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older file of this name.")] = False,
    debug: Debug = False,
) -> None:
    """Check everything and make the file to hand in: your files, and what they earned."""
    from tinygrad_cnn.cli.exercise.solving import submit

    submit(out, force)
