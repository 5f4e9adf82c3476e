"""`viz.animate`: a layer at work, as frames, as a page, as a GIF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import zip_longest
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.viz.animation import frames, lecture
from tinygrad_cnn.viz.animation.board import Backward, Board, Forward, View
from tinygrad_cnn.viz.animation.slide import Slide, check, chosen, sample_of, slide
from tinygrad_cnn.viz.animation.words import span
from tinygrad_cnn.viz.page import Page, framed, written

Array = Any
Numbers = int | Iterable[int] | None
Direction = Literal["forward", "backward"]

DIRECTIONS = ("forward", "backward")
FORMATS = (".html", ".gif")
# how much is shown if nobody says what: filters, channels, rows and columns of the image and of the output
FILTERS, CHANNELS, PIXELS = 2, 4, 15
PLACES, PLACES_OF_LONG_NUMBERS = 8, 5
MANY_TAPS = 49  # of a larger window one channel fills the screen
BOTH = 400  # with more frames a page holds one direction only


class Animation:
    """A layer at work on one image; `animate` makes it.

    Attributes:
        slide: The layer and the image as numbers.
        view: Which part of them is shown.
        dy: (K, P, Q) the gradients of the output, for the backward pass.
        direction: What `frames`, the GIF and the beginning of the page show.
        title: The headline.
    """

    def __init__(self, slide: Slide, view: View, dy: Array, direction: Direction, title: str, dy_given: bool) -> None:
        self.slide, self.view, self.dy = slide, view, dy
        self.direction, self.title, self._dy_given = direction, title, dy_given

    def __repr__(self) -> str:
        return f"<viz.Animation: {self.title}, {self.direction}, {len(self.view.places)} frames>"

    @cached_property
    def frames(self) -> list[frames.Frame] | list[frames.BackwardFrame]:
        """What happens at each output place that is shown: filter by filter, in reading order."""
        if self.direction == "forward":
            return list(frames.forward(self.slide, self.view.places))
        return list(frames.backward(self.slide, self.view.places, self.dy))

    def board(self, direction: Direction | None = None) -> Board:
        """What a page or a GIF draws."""
        if (direction or self.direction) == "forward":
            return Forward(self.slide, self.view).board(frames.forward(self.slide, self.view.places))
        return Backward(self.slide, self.view).board(frames.backward(self.slide, self.view.places, self.dy))

    @property
    def sizes(self) -> str:
        """What becomes of the image: `x 3×7×7 → y 2×3×3`."""
        sizes = [
            shape if self.slide.rank == 2 else (shape[0], shape[2]) for shape in (self.slide.x.shape, self.slide.out)
        ]
        return " → ".join(f"{name} {'×'.join(map(str, size))}" for name, size in zip("xy", sizes))

    def notes(self, direction: Direction | None = None) -> list[str]:
        """What is shown and what is not, in sentences."""
        direction = direction or self.direction
        invented = direction == "backward" and not self._dy_given
        example = ["dy, the gradient of the output, was not given: it is 1, −1, 2, −2 in turn"] if invented else []
        return [*example, *_notes(self.slide, self.view, direction)]

    def to_html(self, path: str | Path | None = None) -> Page:
        """Returns the animation as one page that needs nothing else, with both directions; writes it if asked to.

        Args:
            path: The file to write, `….html`.

        Raises:
            ValueError: The name of the file ends otherwise.
        """
        from tinygrad_cnn.viz.animation.page import page

        return written(page(self, DIRECTIONS if len(self.view.places) <= BOTH else (self.direction,)), path)

    def to_gif(self, path: str | Path, milliseconds: int = 1500, width: int = 1200) -> Path:
        """Writes the animation as a GIF that repeats, for slides; returns its path.

        Args:
            path: The file to write.
            milliseconds: How long a frame stays.
            width: Most pixels from left to right.

        Raises:
            ImportError: Pillow or matplotlib, whose letters are used, is not installed.
            ValueError: The name does not end in .gif, a frame stays for less than 20 milliseconds, or the width is
                below 200 pixels.
        """
        from tinygrad_cnn.viz.animation.picture import write_gif

        if Path(path).suffix.lower() != ".gif":
            raise ValueError(f"animate: cannot write a GIF to {Path(path).name!r}: the name must end in .gif")
        return write_gif(self, _made(path), milliseconds, width)

    def save(self, path: str | Path) -> Path:
        """Writes a page or a GIF, as the ending of the name (.html, .gif) says; returns its path.

        Raises:
            ValueError: The name ends in something else.
        """
        path = Path(path)
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"animate: cannot save {path.name!r}: the name must end in {' or '.join(FORMATS)}")
        if path.suffix.lower() == ".gif":
            return self.to_gif(path)
        self.to_html(path)
        return path

    def _repr_html_(self) -> str:
        """A frame of its own in a notebook, so that several pages do not disturb one another."""
        return framed(self.to_html(), self.title, 46)


def animate(
    layer: nn.Module | None = None,
    x: Tensor | Array | None = None,
    *,
    dy: Tensor | Array | None = None,
    direction: Direction = "forward",
    sample: int = 0,
    channels: Numbers = None,
    filters: Numbers = None,
    rows: Numbers = None,
    columns: Numbers = None,
) -> Animation:
    """Shows how a convolution or pooling computes each output number, and where each gradient goes.

    Formula: forward `y[k,p,q] = bias[k] + Σ window·weight[k]`; backward, for each output place, `dx[window] +=
    dy[k,p,q]·weight[k]`, `dweight[k] += dy[k,p,q]·window`, `dbias[k] += dy[k,p,q]`.

    Nothing is run: the numbers are computed from the layer's weights and the image, so no gradient, mode, statistic
    or random state changes. Large layers are shown in part, and the picture says which.

    Args:
        layer: A convolution or pooling of lines or images; the lecture's worked 7×7×3 example if None.
        x: (C, H, W) image or (C, L) line, or a batch of them, on any device.
        dy: Gradients of the output, in its shape; 1, −1, 2, −2 in turn if None.
        direction: "forward" or "backward"; a page has both.
        sample: Which image of a batch.
        channels: Input channels to show; at most 4 if None.
        filters: Filters to show, of a pooling output channels; at most 2 if None.
        rows: Output rows to show; as many as can be read if None.
        columns: Output columns to show.

    Raises:
        TypeError: The layer does not slide a window over lines or images.
        ShapeError: x or dy does not fit the layer, or what is to be shown does not exist.
        ValueError: x is missing, or the direction is no such word.

    Source: the animated convolution of the cs231n notes on convolutional networks.

    >>> from tinygrad_cnn import viz
    >>> viz.animate()
    <viz.Animation: The lecture's worked example: Conv2d(3, 2, kernel_size=3, stride=2), forward, 18 frames>
    >>> frame = viz.animate().frames[0]   # the filter's three channels, its bias, the sum
    >>> frame.sums.tolist(), frame.bias, frame.y
    ([-3.0, 0.0, -2.0], 1.0, -4.0)
    """
    if direction not in DIRECTIONS:
        raise ValueError(f'animate: direction={direction!r} must be "forward" or "backward"')
    title = ""
    if layer is None:
        layer, title = lecture.layer(), "The lecture's worked example: "
        x = lecture.image() if x is None else x
    check(layer)
    if x is None:
        raise ValueError(f"animate: x is missing: give {type(layer).__name__} an image, x=tcnn.randn(1, C, H, W)")
    shown = slide(layer, sample_of(x, getattr(layer, "rank", 2), sample))
    gradient = np.resize([1.0, -1.0, 2.0, -2.0], shown.out) if dy is None else _gradient(dy, shown, sample)
    view = _view(shown, channels, filters, rows, columns)
    return Animation(shown, view, gradient, direction, title + _headline(shown.name), dy is not None)


def _gradient(dy: Any, slide: Slide, sample: int) -> Array:
    """The gradient of the output of one sample, (K, P, Q)."""
    array = Tensor._as_tensor(dy).numpy().astype(np.float64)
    if array.size != prod(slide.out) and array.ndim and -len(array) <= sample < len(array):
        array = array[sample]
    if [n for n in array.shape if n > 1] != [n for n in slide.out if n > 1]:
        K, P, Q = slide.out
        wanted = (K, Q) if slide.rank == 1 else (K, P, Q)
        raise ShapeError(f"animate: dy {array.shape} must have the shape of the output, {wanted}")
    return array.reshape(slide.out)


def _view(slide: Slide, channels: Numbers, filters: Numbers, rows: Numbers, columns: Numbers) -> View:
    """What was asked for, or as much as can be read."""
    K, P, Q = slide.out
    C = len(slide.x)
    if slide.weight is None and filters is None and channels is not None:
        filters = chosen("channels", channels, C, ())  # a pooling has an output channel for each
    groups = sorted({seen: k for k, seen in reversed(list(enumerate(slide.seen)))}.values())  # the first of each group
    usual = groups if len(groups) > 1 else range(K)
    shown = chosen("filters", filters, K, usual[:FILTERS])
    turns = zip_longest(*(slide.seen[k] for k in shown))
    in_turn = [c for c in dict.fromkeys(c for turn in turns for c in turn) if c is not None]  # fair to all groups
    taps = max(map(len, slide.rows)) * max(map(len, slide.columns))
    some = chosen("channels", channels, C, sorted(in_turn[: CHANNELS if taps <= MANY_TAPS else 1]))
    places = (PLACES if _whole(slide, some, shown) else PLACES_OF_LONG_NUMBERS) * (3 - slide.rank)  # lines may be long
    outputs, pixels = zip(
        *(
            _part(name, wanted, parts, range(-before, size - before), places)
            for name, wanted, parts, before, size in zip(
                ("rows", "columns"), (rows, columns), (slide.rows, slide.columns), slide.corner, slide.source.shape
            )
        )
    )
    return View(some, shown, *outputs, *pixels)


def _part(
    name: str, wanted: Numbers, parts: Sequence[Sequence[int]], whole: range, most: int
) -> tuple[list[int], range]:
    """Output rows, and the rows of the image they look at."""
    start, pixels = parts[0][0], max(PIXELS, most)
    usual = [p for p in range(min(len(parts), most)) if parts[p][-1] - start < pixels]
    places = chosen(name, wanted, len(parts), usual or [0])
    met = [n for p in places for n in parts[p]]
    return places, whole if len(places) == len(parts) else range(min(met), max(met) + 1)


def _whole(slide: Slide, channels: Sequence[int], filters: Sequence[int]) -> bool:
    """Whether all numbers are whole, so that they need little room."""
    numbers = [slide.x[list(channels)], *([] if slide.weight is None else [slide.weight[k] for k in filters])]
    return slide.kind != "norm" and all(bool((n == n.round()).all()) for n in numbers)


def _notes(slide: Slide, view: View, direction: str) -> list[str]:
    """What the picture leaves out, and what its padding is."""
    K, P, Q = slide.out
    filters = "channels" if slide.weight is None else "filters"
    axes = [("filters", filters, view.filters, K), ("rows", "output rows", view.rows, P)]
    axes.append(("columns", "output columns", view.columns, Q))
    if slide.weight is not None:
        seen = {c for k in view.filters for c in slide.seen[k]}
        axes.insert(0, ("channels", "channels", [c for c in view.channels if c in seen], len(seen)))
    parts = [f"{what} {span(shown)} of {n} (choose with {name}=…)" for name, what, shown, n in axes if len(shown) < n]
    notes = [f"shown: {'; '.join(parts)}"] if parts else []
    if direction == "backward" and len(view.places) < prod(slide.out):
        notes.append("dx, dweight and dbias hold what the outputs shown add; the layer adds up all of them")
    ends = (slide.rows[-1][-1] + 1, slide.columns[-1][-1] + 1)
    left = [n - end - before for n, end, before in zip(slide.source.shape, ends, slide.corner)]
    if any(left):
        lost = " and ".join(f"{n} {what}{'s' * (n > 1)}" for n, what in zip(left, ("row", "column")) if n)
        notes.append(f"the stride does not fit the size: no window meets the last {lost}")
    if min(view.image_rows[0], view.image_columns[0]) < 0 or any(
        r[-1] >= n for r, n in zip((view.image_rows, view.image_columns), slide.x.shape[1:])
    ):
        notes.append(f"hatched cells are padding: {_padding(slide, direction)}")
    if not _whole(slide, view.channels, view.filters):
        notes.append("numbers are rounded here; they were computed with all their digits")
    return notes


def _padding(slide: Slide, direction: str) -> str:
    if (slide.source >= 0).all():
        lost = "; their gradients go to the pixels they repeat" if direction == "backward" else ""
        return f"copies of pixels of x{lost}"
    lost = "; their gradients are dropped" if direction == "backward" else ""
    kinds = {"convolution": "zeros", "max": "−∞, which never wins", "mean": "zeros; empty cells are not counted"}
    return kinds.get(slide.kind, "not counted") + lost


def _made(path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _headline(name: str) -> str:
    """`stride=2` for `stride=(2, 2)`, and nothing for what is as usual: a headline has little room."""
    name = re.sub(r"\((-?\d+)(?:, \1)*,?\)", r"\1", name)
    return re.sub(r", (padding=0|dilation=1|ceil_mode=False|stride=None)(?=[,)])", "", name)
