"""`animate`: a convolution or pooling at work, as a page or a GIF."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tinygrad_cnn.cli import runs
from tinygrad_cnn.cli.console import chosen, many, say, writing, wrong

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module

# kind → the options its layer takes
KINDS = {
    "conv": ("filters", "kernel_size", "stride", "padding", "dilation"),
    "max_pool": ("kernel_size", "stride", "padding", "dilation"),
    "avg_pool": ("kernel_size", "stride", "padding"),
    "lp_pool": ("kernel_size", "stride"),
}


def animate(out: Path, kind: str, direction: str, milliseconds: int, options: dict[str, str | int | None]) -> None:
    """Writes the animation of a layer: the lectures' own numbers where the sizes allow, else small whole ones."""
    from tinygrad_cnn import viz

    kind = chosen("--kind", kind.replace("-", "_"), tuple(KINDS))
    way: Literal["forward", "backward"] = "forward"
    if chosen("--direction", direction, ("forward", "backward")) == "backward":
        way = "backward"
    if out.suffix.lower() not in (".html", ".gif"):
        wrong(f"--out {out}: the name must end in .html (a page) or .gif (for slides)")
    given = {name: _numbers(kind, name, value) for name, value in options.items() if value is not None}
    for name in given:
        if name not in ("size", "channels", *KINDS[kind]):
            takes = ", ".join(f"--{option.replace('_', '-')}" for option in ("size", "channels", *KINDS[kind]))
            wrong(f"--{name.replace('_', '-')}: a layer of --kind {kind} has none; it takes {takes}")
    if kind == "conv" and not given:
        shown = viz.animate(direction=way)
    else:
        layer, x = _convolution(given) if kind == "conv" else _pooling(kind, given)
        shown = viz.animate(layer, x, direction=way)
    with writing(out, runs.ELSEWHERE):
        path = shown.to_gif(out, milliseconds) if out.suffix.lower() == ".gif" else shown.save(out)
    say(f"{shown.title}, {shown.sizes}, {many(len(shown.view.places), 'frame')}: {path}")


def _convolution(given: dict[str, Any]) -> tuple[Module, np.ndarray]:
    """The lectures' filters on their image, or others if other sizes are asked for."""
    from tinygrad_cnn import nn, random
    from tinygrad_cnn.nn import init
    from tinygrad_cnn.viz.animation import lecture

    if not {"size", "channels", "filters", "kernel_size"} & given.keys():
        return lecture.layer(**{"stride": 2} | given), lecture.image()
    sizes, C, K = _sizes(given, 7), given.pop("channels", 1), given.pop("filters", 1)
    with init.skipped():
        layer = (nn.Conv1d if len(sizes) == 1 else nn.Conv2d)(C, K, given.pop("kernel_size", 3), **given)
    generator = random.Generator(0)
    layer.load_state_dict(
        {name: generator.integers(-1, 2, values.shape) for name, values in layer.state_dict().items()}
    )
    return layer, generator.integers(0, 3, (C, *sizes))


def _pooling(kind: str, given: dict[str, Any]) -> tuple[Module, np.ndarray]:
    """A pooling of the lectures' 4×4 image, or of another if another size is asked for."""
    from tinygrad_cnn import nn, random
    from tinygrad_cnn.viz.animation import lecture

    x = np.array(lecture.POOLED)
    if {"size", "channels"} & given.keys():
        C, sizes = given.pop("channels", 1), _sizes(given, 4)
        x = random.Generator(0).integers(0, 10, (C, *sizes))
    kinds = {
        "max_pool": (nn.MaxPool1d, nn.MaxPool2d),
        "avg_pool": (nn.AvgPool1d, nn.AvgPool2d),
        "lp_pool": (nn.LPPool1d, nn.LPPool2d),
    }
    layer: Any = kinds[kind][x.ndim - 2]
    norm = (2,) if kind == "lp_pool" else ()
    return layer(*norm, given.pop("kernel_size", 2), **given), x


def _sizes(given: dict[str, Any], usual: int) -> tuple[int, ...]:
    """Rows and columns of an image, or the length of a line."""
    size = given.pop("size", (usual, usual))
    return size if isinstance(size, tuple) else (size,)


def _numbers(kind: str, name: str, value: str | int) -> Any:
    """`3` or `3x2`; as padding of a convolution also `same` or `valid`."""
    words = ("same", "valid") if (kind, name) == ("conv", "padding") else ()
    if isinstance(value, int) or value in words:
        return value
    parts = re.split(r"[x×,\s]+", value.strip().strip("()"))
    if not 1 <= len(parts) <= 2 or not all(part.isdigit() for part in parts):
        also = f", or {' or '.join(words)}" if words else ""
        wrong(f"--{name.replace('_', '-')} {value}: give one whole number, or rows and columns such as 3x2{also}")
    return int(parts[0]) if len(parts) == 1 else tuple(map(int, parts))
