"""The group of commands."""

from __future__ import annotations

import typer

exercise = typer.Typer(
    name="exercise",
    help="Implement the layers yourself; a checker names your mistake.",
    epilog="Start with: tinygrad-cnn exercise init",
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
