"""`summary`, `graph` and `recipes`: a network's table, its picture and how it is trained, without training it."""

from __future__ import annotations

import contextlib
import json
import re
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_cnn.cli import networks, runs
from tinygrad_cnn.cli.console import chosen, console, many, say, writing, wrong

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


def graph(
    name: str,
    variant: str | None,
    width: float | None,
    out: Path | None,
    level: str,
    input_shape: str | None,
    batch_size: int,
    replay: Path | None = None,
    open_browser: bool = False,
) -> None:
    """Draws one training step of a fresh network, or writes the page that replays it, or both."""
    from tinygrad_cnn import random, tensor, training, viz

    level = chosen("--level", level, ("op", "module"))
    if out is None and replay is None:
        out = Path(f"{networks.named(name)}.svg")
    if out is not None and out.suffix[1:].lower() not in viz.graphs.FORMATS:
        wrong(f"--out {out}: the name must end in .{', .'.join(viz.graphs.FORMATS)}, which says what is drawn")
    if replay is not None and replay.suffix.lower() != ".html":
        wrong(f"--replay {replay}: the name must end in .html, it is a page")
    model = model_for(name, variant, width, input_shape)
    digits = None if replay is None else some_digits(model.input_shape, batch_size)
    generator = random.Generator(0)
    images, labels = digits or (
        generator.normal((batch_size, *model.input_shape)).astype("float32"),
        generator.integers(0, 2, (batch_size,)),
    )
    tape = viz.record()
    with tape if replay is not None else contextlib.nullcontext():
        loss = training.loss_of(model)(model(tensor(images)), tensor(labels))
        if replay is not None:
            loss.backward()
    drawn = viz.graph(loss, params=model, level="op" if level == "op" else "module")
    written = []
    if out is not None:
        with writing(out, runs.ELSEWHERE):
            written.append(drawn.save(out))
        say(f"{drawn.description}: {written[-1]}")
    if replay is not None:
        with writing(replay, "choose another place with --replay"):
            drawn.to_html(replay)
        written.append(replay)
        say(f"{many(batch_size, 'digit' if digits else 'random image')}, {len(tape.events):,} events: {replay}")
    if open_browser:
        webbrowser.open(written[-1].resolve().as_uri())


def some_digits(shape: tuple[int, ...], count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The first handwritten digits and what they are; None without scikit-learn, and for networks of other images."""
    from tinygrad_cnn import data

    try:
        digits = data.load("digits").test
    except (ImportError, data.DataError):
        return None
    chosen = [digits[i] for i in range(min(count, len(digits)))]
    if chosen[0][0].shape != tuple(shape) or len(chosen) < count:
        return None
    return np.stack([image for image, _ in chosen]), np.array([int(label) for _, label in chosen])


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
