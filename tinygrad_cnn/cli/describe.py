"""`summary` and `graph`: a network's table and its picture, without training it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli import runs
from tinygrad_cnn.cli.console import chosen, console, say, writing, wrong

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module


def model_for(name: str, input_shape: str | None, classes: int | None = None) -> Module:
    """A network by name, for images of this shape (`3x32x32`)."""
    from tinygrad_cnn import models

    name = chosen("model", name, models.available())
    options: dict[str, Any] = {}
    if input_shape is not None:
        sizes = re.split(r"[x×,\s]+", input_shape.strip().strip("()"))
        if len(sizes) != 3 or not all(size.isdigit() and int(size) for size in sizes):
            wrong(f"--input-shape {input_shape}: give channels, rows and columns of one image, such as 3x32x32")
        C, H, W = map(int, sizes)
        options = {"in_channels": C, "image_size": (H, W)}
    if classes is not None:
        options["num_classes"] = classes
    return models.create(name, **options)


def summary(name: str, input_shape: str | None, format: str) -> None:
    """Prints the network's table."""
    from tinygrad_cnn import tables

    format = chosen("--format", format, ("text", "markdown", "html"))
    table = tables.summary(model_for(name, input_shape))
    output = console()
    if format == "text":
        say(table.to_text(output.width if output.is_terminal else None))
    else:
        say(table.to_markdown() if format == "markdown" else table.to_html())


def graph(name: str, out: Path | None, level: str, input_shape: str | None, batch_size: int) -> None:
    """Draws one training step of a fresh network on random images."""
    from tinygrad_cnn import functional as F
    from tinygrad_cnn import models, random, tensor, viz

    level = chosen("--level", level, ("op", "module"))
    out = Path(f"{chosen('model', name, models.available())}.svg") if out is None else out
    if out.suffix[1:].lower() not in viz.graphs.FORMATS:
        wrong(f"--out {out}: the name must end in .{', .'.join(viz.graphs.FORMATS)}, which says what is drawn")
    model = model_for(name, input_shape)
    generator = random.Generator(0)
    images = tensor(generator.normal((batch_size, *model.input_shape)), dtype="float32")
    labels = tensor(generator.integers(0, 2, (batch_size,)))
    drawn = viz.graph(F.cross_entropy(model(images), labels), params=model, level="op" if level == "op" else "module")
    with writing(out, runs.ELSEWHERE):
        path = drawn.save(out)
    say(f"{drawn.description}: {path}")
