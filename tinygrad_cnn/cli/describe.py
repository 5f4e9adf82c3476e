"""`summary` and `recipes`: a network's table, and how it is trained, without training it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tinygrad_cnn.cli import networks
from tinygrad_cnn.cli.console import chosen, console, say, wrong

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module


def model_for(name: str, variant: str | None, width: float | None, input_shape: str | None) -> Module:
    """A network by name, for images of this shape (`3x32x32`)."""
    name = networks.named(name)
    options = networks.form(name, variant, width)
    if input_shape is not None:
        sizes = re.split(r"[x×,\s]+", input_shape.strip().strip("()"))
        if len(sizes) != 3 or not all(size.isdigit() and int(size) for size in sizes):
            wrong(f"--input-shape {input_shape}: give channels, rows and columns of one image, such as 3x32x32")
        C, H, W = map(int, sizes)
        options |= {"in_channels": C, "image_size": (H, W)}
    return networks.built(name, options)


def summary(
    name: str, variant: str | None, width: float | None, input_shape: str | None, depth: int | None, format: str
) -> None:
    """Prints the network's table."""
    from tinygrad_cnn import tables
    from tinygrad_cnn.nn import init

    formats: dict[str, Callable[[tables.Summary], str]] = {
        "text": lambda table: table.to_text(output.width if output.is_terminal else None),
        "markdown": lambda table: table.to_markdown(),
        "html": lambda table: table.to_html(),
        "json": lambda table: json.dumps(table.to_dict(), indent=2, ensure_ascii=False),
    }
    output = console()
    written = formats[chosen("--format", format, tuple(formats))]
    with init.skipped():  # only sizes matter
        model = model_for(name, variant, width, input_shape)
    say(written(tables.summary(model, depth=depth)))


def recipes() -> None:
    """Prints the table of recipes, and what the words in it mean."""
    from rich.table import Table

    from tinygrad_cnn.cli.recipes import RECIPES, SCHEDULES

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("network", "data", "epochs", "batch", "with", "lr", "decay", "schedule"):
        table.add_column(head, justify="right" if head in ("epochs", "batch", "lr", "decay") else "left", no_wrap=True)
    table.add_column("augmentation")
    notes = [
        "batch: images in a step; with: the optimizer; lr: its largest learning rate; decay: its weight decay",
        "augmentation: left out where it would change what images show (no digit is mirrored, no grey gets a colour)",
    ]
    for (network, data), recipe in RECIPES.items():
        table.add_row(
            network,
            data,
            str(recipe.epochs),
            str(recipe.batch_size),
            recipe.optimizer,
            f"{recipe.lr:g}",
            f"{recipe.weight_decay:g}",
            recipe.schedule,
            " ".join(recipe.augment),
        )
        notes += [f"{network}: made with {name}={value}" for name, value in recipe.options.items()]
    console().print(table)
    say()
    for line in (*notes, *(f"{name}: {meaning}" for name, meaning in SCHEDULES.items())):
        say(line)
