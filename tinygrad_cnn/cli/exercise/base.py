"""The group of commands, and what several of them need."""

from __future__ import annotations

from collections.abc import Sequence

import typer

exercise = typer.Typer(
    name="exercise",
    help="Implement the layers yourself; a checker names your mistake.",
    epilog="Start with: tinygrad-cnn exercise init",
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def one_by_one(names: Sequence[str]) -> list[str]:
    """Names that may stand in one word, with commas between.

    >>> one_by_one(["relu, 12", "adam"])
    ['relu', '12', 'adam']
    """
    return [name.strip() for word in names for name in word.split(",") if name.strip()]
