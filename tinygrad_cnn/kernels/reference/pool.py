"""Pooling: each output is the largest, or the mean, of the pixels under its window."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.reference.conv import pad, unpad
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape, Window

Array = Any


@kernel("max_pool2d_forward")
def max_pool2d_forward(x: Array, window: Window) -> tuple[Array, Array]:
    """The largest pixel of each window, and the number of the tap that held it: the first of equals, as PyTorch.

    Outside the image counts as −∞, so that padding never wins. A NaN wins, so that it is not hidden.
    """
    xp = namespace(x)
    P, Q = window.out(*x.shape[2:])
    lowest = -xp.inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min
    pads = covering(window, x.shape[2:], (P, Q))
    padded = pad(x, pads, lowest)
    y = xp.full((*x.shape[:2], P, Q), lowest, dtype=x.dtype)
    index = xp.zeros(y.shape, dtype=xp.uint8 if len(window) <= 256 else xp.int32)
    index += first_inside(xp, window, x.shape[2:], (P, Q)).astype(index.dtype)
    for number, (_, (rows, columns)) in enumerate(window.taps(P, Q)):
        tap = padded[:, :, rows, columns]
        better = (tap > y) | (tap != tap)  # NaN is the only value unlike itself; as in PyTorch, the last one wins
        y = xp.where(better, tap, y)
        index = xp.where(better, index.dtype.type(number), index)
    return y, index


@kernel("max_pool2d_backward")
def max_pool2d_backward(dy: Array, index: Array, shape: Shape, window: Window) -> Array:
    """Each gradient goes back to the one pixel that was the largest of its window."""
    xp = namespace(dy)
    pads = covering(window, shape[2:], dy.shape[2:])
    dpadded = xp.zeros(shape[:2] + tuple(n + sum(p) for n, p in zip(shape[2:], pads)), dtype=dy.dtype)
    for number, (_, (rows, columns)) in enumerate(window.taps(*dy.shape[2:])):
        dpadded[:, :, rows, columns] += xp.where(index == number, dy, 0)  # += : windows may overlap
    return unpad(dpadded, pads)


@kernel("avg_pool2d_forward")
def avg_pool2d_forward(x: Array, window: Window, scale: Array) -> Array:
    """The sum of each window times `scale` (P, Q): one over the number of pixels that count."""
    P, Q = window.out(*x.shape[2:])
    padded = pad(x, covering(window, x.shape[2:], (P, Q)))
    y = sum(padded[:, :, rows, columns] for _, (rows, columns) in window.taps(P, Q))
    return y * scale


@kernel("avg_pool2d_backward")
def avg_pool2d_backward(dy: Array, shape: Shape, window: Window, scale: Array) -> Array:
    """Each pixel of a window gets the same share, `dy·scale`."""
    xp = namespace(dy)
    pads = covering(window, shape[2:], dy.shape[2:])
    dpadded = xp.zeros(shape[:2] + tuple(n + sum(p) for n, p in zip(shape[2:], pads)), dtype=dy.dtype)
    share = dy * scale
    for _, (rows, columns) in window.taps(*dy.shape[2:]):
        dpadded[:, :, rows, columns] += share
    return unpad(dpadded, pads)


def covering(window: Window, sizes: Shape, out: Shape) -> tuple[tuple[int, int], ...]:
    """The pads, enlarged behind where ceil_mode lets the last window hang over the edge."""
    return tuple(
        (before, max(behind, (o - 1) * stride + span - n - before))
        for (before, behind), span, stride, n, o in zip(window.pads, window.spans, window.stride, sizes, out)
    )


def first_inside(xp: Any, window: Window, sizes: Shape, out: Shape) -> Array:
    """The first tap of each window that lies inside the image: the choice where all its pixels are −∞."""
    inside = pad(xp.ones(sizes, dtype=bool), covering(window, sizes, out), False)
    return xp.stack([inside[pixels] for _, pixels in window.taps(*out)]).argmax(axis=0)
