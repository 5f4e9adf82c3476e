"""The instructors' commands: their options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_cnn.cli.console import Debug, command
from tinygrad_cnn.cli.exercise.base import exercise

FOR = "For instructors"

Folder = Annotated[
    Path,
    typer.Argument(
        help="What was handed in: a folder or zip with a folder or zip for each student, or one submission.",
        metavar="DIR",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Exercises that count, with commas between.", metavar="IDS", show_default="all"),
]
Own = Annotated[
    list[Path] | None,
    typer.Option(
        "--catalogue",
        help="A folder with exercises of your own; may be given several times.",
        metavar="DIR",
        show_default=False,
    ),
]
Points = Annotated[
    Path | None,
    typer.Option(
        help="A file with points for whole exercises, in lines such as: conv_forward = 20",
        metavar="FILE",
        show_default="the exercises' own",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="NUMBER", help="Try the code with other numbers than students see.", show_default="theirs"
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit", min=0.1, metavar="SECONDS", help="For each exercise.", show_default="the exercises' own"
    ),
]
One = Annotated[bool, typer.Option("--one", help="All of DIR is one submission, however its folders are arranged.")]


@exercise.command(
    "release",
    rich_help_panel=FOR,
    epilog="""Examples:

tinygrad-cnn exercise release week3 --only conv_forward,conv_backward --zip

tinygrad-cnn exercise release week4 --catalogue my-exercises --only leaky_relu""",
)
@command
def release(
    folder: Annotated[Path, typer.Argument(help="The folder to make.", metavar="DIR", show_default=False)],
    only: Only = None,
    catalogue: Own = None,
    zip_: Annotated[bool, typer.Option("--zip", help="Make DIR.zip, too, to be put where students find it.")] = False,
    debug: Debug = False,
) -> None:
    """Make the handout: a folder with the exercises' files and a README, in which a student works."""
    from tinygrad_cnn.cli.exercise.teaching import release

    release(folder, only or [], catalogue or [], zip_)


@exercise.command(
    "grade",
    rich_help_panel=FOR,
    epilog="""Examples:

tinygrad-cnn exercise grade submissions

tinygrad-cnn exercise grade submissions.zip --only conv_forward --format csv --out grades.csv

tinygrad-cnn exercise grade ada.zip --one --format gradescope --out results.json""",
)
@command
def grade(
    folder: Folder,
    format: Annotated[
        str | None,
        typer.Option(
            help="table, csv, json, junit, or gradescope: results.json, of one submission.",
            metavar="NAME",
            show_default="by the ending of --out, else table",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write.", metavar="FILE", show_default="the terminal")
    ] = None,
    only: Only = None,
    catalogue: Own = None,
    points: Points = None,
    seed: Seed = None,
    time_limit: TimeLimit = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=64, metavar="NUMBER", help="Submissions at a time.", show_default="2")
    ] = None,
    one: One = False,
    feedback: Annotated[
        Path | None,
        typer.Option(help="A folder to make, with a text for each student.", metavar="DIR", show_default=False),
    ] = None,
    debug: Debug = False,
) -> None:
    """Check everything a class has handed in, and count points.

    Each submission is graded by itself: a broken one is named, and the others are graded all the same.
    """
    from tinygrad_cnn.cli.exercise.teaching import grade

    grade(folder, format, out, only or [], catalogue or [], points, seed, time_limit, jobs, one, feedback)


@exercise.command(
    "similarity", rich_help_panel=FOR, epilog="Example: tinygrad-cnn exercise similarity submissions --out similar.html"
)
@command
def similarity(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write: .html, with the files side by side, .csv or .txt.",
            metavar="FILE",
            show_default="the terminal",
        ),
    ] = None,
    only: Only = None,
    catalogue: Own = None,
    debug: Debug = False,
) -> None:
    """Name pairs of submissions that resemble each other: a hint where to look, no proof of anything."""
    from tinygrad_cnn.cli.exercise.teaching import similarity

    similarity(folder, out, only or [], catalogue or [])


@exercise.command(
    "autograder-zip",
    rich_help_panel=FOR,
    epilog="Example: tinygrad-cnn exercise autograder-zip week3.zip --only conv_forward,conv_backward",
)
@command
def autograder_zip(
    out: Annotated[Path, typer.Argument(help="The zip to make.", metavar="OUT.zip", show_default=False)],
    only: Only = None,
    catalogue: Own = None,
    points: Points = None,
    seed: Seed = None,
    time_limit: TimeLimit = None,
    wheel: Annotated[
        Path | None,
        typer.Option(
            help="A wheel of this package to be installed at Gradescope.",
            metavar="FILE",
            show_default="this version, from the package index",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Make the zip that has Gradescope grade each submission as it comes in."""
    from tinygrad_cnn.cli.exercise.teaching import autograder_zip

    autograder_zip(out, only or [], catalogue or [], points, seed, time_limit, wheel)


@exercise.command(
    "verify",
    rich_help_panel=FOR,
    epilog="""Examples:

tinygrad-cnn exercise verify

tinygrad-cnn exercise verify leaky_relu --catalogue my-exercises""",
)
@command
def verify(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Exercises: numbers, names or files.", metavar="[ID]...", show_default="all"),
    ] = None,
    catalogue: Own = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Processes at a time.")] = 2,
    debug: Debug = False,
) -> None:
    """Prove that exercises keep their promises: solutions pass, skeletons do not, every wrong version is named.

    Whatever a student could hand in is handed in, each in a process of its own, as in a real check.
    """
    from tinygrad_cnn.cli.exercise.teaching import verify

    verify(ids or [], catalogue or [], jobs)
