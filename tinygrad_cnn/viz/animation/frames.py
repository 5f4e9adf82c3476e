"""What happens at each output place, as data: the window, the products, the sum; and the same for gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from tinygrad_cnn.viz.animation.slide import Slide

Array = Any


@dataclass(frozen=True, eq=False)
class Frame:
    """One output number: C' channels are seen through a window of R×S.

    Attributes:
        place: (k, p, q) of the output number.
        channels: The channels that are seen.
        rows: The rows of x in the window; those outside of x lie in the border.
        columns: The same for columns.
        inside: (R, S) whether it is a pixel of x, not of the border.
        window: (C', R, S) the numbers under the window.
        weight: (C', R, S) the filter, None for a pooling.
        terms: (C', R, S) what is added up: products, powers, or the numbers themselves.
        sums: (C',) the terms of each channel, added up.
        bias: What is added to the sums of all channels; None if there is none.
        divisor: What the sum of a mean is divided by.
        scale: What the sum of a norm is multiplied by, where pixels are missing.
        winner: (r, s) of the largest number, of a max pooling.
        y: The output number.
        slope: (C', R, S) how much y grows with each number of the window.
    """

    place: tuple[int, int, int]
    channels: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    inside: Array
    window: Array
    weight: Array = None
    terms: Array = None
    sums: Array = None
    y: float = np.nan
    slope: Array = None
    bias: float | None = None
    divisor: float | None = None
    scale: float = 1.0
    winner: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class BackwardFrame:
    """What the gradient of one output number adds to the gradients of window, filter and bias.

    Attributes:
        forward: The same place in the forward pass.
        dy: The gradient that arrives at it.
        to_x: (C', R, S) `dy·slope`, added to dx under the window; what falls on padding is lost.
        to_weight: (C', R, S) `dy·window`, added to the filter's gradient; None for a pooling.
        dx_before: (C', R, S) the gradients of the window's pixels so far, NaN where there is no pixel.
        dx: The same with `to_x`.
        dweight_before: (C', R, S) the filter's gradient so far.
        dweight: The same with `to_weight`.
        dbias_before: The bias's gradient so far.
        dbias: The same with dy.
    """

    forward: Frame
    dy: float
    to_x: Array
    dx_before: Array
    dx: Array
    to_weight: Array = None
    dweight_before: Array = None
    dweight: Array = None
    dbias_before: float | None = None
    dbias: float | None = None

    @property
    def place(self) -> tuple[int, int, int]:
        """(k, p, q) of the output number."""
        return self.forward.place


Places = Iterable[tuple[int, int, int]]


def forward(slide: Slide, places: Places) -> Iterator[Frame]:
    """The output numbers at these places, one after the other."""
    return (at(slide, *place) for place in places)


def at(slide: Slide, k: int, p: int, q: int) -> Frame:
    """How one output number comes about."""
    window, _ = slide.under(k, p, q)
    _, H, W = slide.x.shape
    rows, columns = tuple(slide.rows[p]), tuple(slide.columns[q])
    inside = np.array([[0 <= row < H and 0 <= column < W for column in columns] for row in rows])
    frame = Frame((k, p, q), slide.seen[k], rows, columns, inside, window)
    with np.errstate(all="ignore"):  # NaN and ∞ are shown as what they are
        return replace(frame, **RULES[slide.kind](slide, frame))


def _convolution(slide: Slide, frame: Frame) -> dict[str, Any]:
    k, *_ = frame.place
    weight, bias = slide.weight[k], None if slide.bias is None else float(slide.bias[k])
    terms = frame.window * weight
    sums = terms.sum(axis=(1, 2))
    y = float(sums.sum() + (bias or 0))
    return {"weight": weight, "bias": bias, "terms": terms, "sums": sums, "y": y, "slope": weight}


def _max(slide: Slide, frame: Frame) -> dict[str, Any]:
    """Padding never wins; of equals the first does, of NaNs the last."""
    places = np.flatnonzero(frame.inside)
    pixels = frame.window.ravel()[places]
    nans = np.flatnonzero(np.isnan(pixels))
    place = places[nans[-1] if nans.size else pixels.argmax()]
    r, s = divmod(int(place), len(frame.columns))
    slope = np.zeros(frame.window.shape)
    slope[0, r, s] = 1
    y = float(frame.window[0, r, s])
    return {"terms": frame.window, "sums": np.array([y]), "y": y, "slope": slope, "winner": (r, s)}


def _mean(slide: Slide, frame: Frame) -> dict[str, Any]:
    divisor = float(slide.divisor or _counted(slide, frame))
    sums = frame.window.sum(axis=(1, 2))
    slope = np.full(frame.window.shape, 1 / divisor)
    return {"terms": frame.window, "sums": sums, "divisor": divisor, "y": float(sums[0] / divisor), "slope": slope}


def _norm(slide: Slide, frame: Frame) -> dict[str, Any]:
    p, scale = slide.power, float(frame.inside.size / frame.inside.sum())
    terms = frame.window**p
    sums = terms.sum(axis=(1, 2))
    y = float((sums[0] * scale) ** (1 / p))
    slope = np.zeros(frame.window.shape) if y == 0 else scale * (frame.window / y) ** (p - 1)
    return {"terms": terms, "sums": sums, "scale": scale, "y": y, "slope": slope}


RULES = {"convolution": _convolution, "max": _max, "mean": _mean, "norm": _norm}


def _counted(slide: Slide, frame: Frame) -> int:
    """How many numbers of the window a mean counts."""
    counts = [
        sum(first <= n < end for n in numbers)
        for numbers, (first, end) in zip((frame.rows, frame.columns), slide.counted)
    ]
    return prod(counts)


def backward(slide: Slide, places: Places, dy: Array) -> Iterator[BackwardFrame]:
    """What the gradients dy (K, P, Q) of these places add, one after the other, to sums that begin with 0."""
    dx = np.zeros((len(slide.x), slide.x[0].size))
    dweights: dict[int, Any] = {}
    dbiases: dict[int, float] = {}
    for frame in forward(slide, places):
        k, p, q = frame.place
        gradient = float(dy[k, p, q])
        _, source = slide.under(k, p, q)
        kept = source >= 0
        channels = list(frame.channels)
        to_x = gradient * frame.slope
        before = _gathered(dx[channels], source)
        for c, share in zip(channels, to_x):
            np.add.at(dx[c], source[kept], share[kept])  # at: the padding may repeat a pixel of the window
        more: dict[str, Any] = {}
        if frame.weight is not None:
            to_weight = gradient * frame.window
            dweight = dweights.get(k, np.zeros(frame.weight.shape))
            dweights[k] = dweight + to_weight
            more = {"to_weight": to_weight, "dweight_before": dweight, "dweight": dweights[k]}
        if frame.bias is not None:
            dbias = dbiases.get(k, 0.0)
            dbiases[k] = dbias + gradient
            more |= {"dbias_before": dbias, "dbias": dbiases[k]}
        yield BackwardFrame(frame, gradient, to_x, before, _gathered(dx[channels], source), **more)


def _gathered(dx: Array, source: Array) -> Array:
    """The gradients under the window, NaN where there is no pixel: (C', H·W) -> (C', R, S)."""
    return np.where(source < 0, np.nan, dx[:, source])
