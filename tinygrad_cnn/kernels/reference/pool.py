"""Pooling: each output is the largest, the mean, or the p-norm of the pixels under its window.

One function for lines (N, C, L), images (N, C, H, W) and volumes (N, C, Z, H, W), under a name for each. The window's
outputs are (P, Q) for images, and `window.taps(P, Q)` names each of its taps and the pixels it meets.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from math import prod
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.reference.padding import pad, unpad
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape, Window

Array = Any


@kernel("max_pool1d_forward")
@kernel("max_pool2d_forward")
@kernel("max_pool3d_forward")
def max_pool_forward(x: Array, window: Window) -> tuple[Array, Array]:
    """The largest pixel of each window, and the number of the tap that held it: the first of equals, as PyTorch.

    Outside the image counts as −∞, so that padding never wins. A NaN wins, so that it is not hidden.
    """
    xp = namespace(x)
    N, C, *sizes = x.shape
    out = window.outs(sizes)
    lowest = -xp.inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min
    padded = pad(x, covering(window, sizes), lowest)
    y = xp.full((N, C, *out), lowest, dtype=x.dtype)
    index = xp.zeros(y.shape, dtype=xp.uint8 if len(window) <= 256 else xp.int32)
    index += first_inside(xp, window, sizes).astype(index.dtype)
    for number, (_, pixels) in enumerate(window.taps(*out)):
        tap = padded[..., *pixels]
        better = (tap > y) | (tap != tap)  # NaN is the only value unlike itself; as in PyTorch, the last one wins
        y = xp.where(better, tap, y)
        index = xp.where(better, index.dtype.type(number), index)
    return y, index


@kernel("max_pool1d_backward")
@kernel("max_pool2d_backward")
@kernel("max_pool3d_backward")
def max_pool_backward(dy: Array, index: Array, shape: Shape, window: Window) -> Array:
    """Each gradient goes back to the one pixel that was the largest of its window."""
    xp = namespace(dy)
    return spread((xp.where(index == number, dy, 0) for number in range(len(window))), dy, shape, window)


@kernel("avg_pool1d_forward")
@kernel("avg_pool2d_forward")
@kernel("avg_pool3d_forward")
def avg_pool_forward(x: Array, window: Window, divisor: Any) -> Array:
    """The sum of each window, divided by a number, or by an array (P, Q): how many of its pixels count."""
    return (window_sums(x, window) / divisor).astype(x.dtype, copy=False)


@kernel("avg_pool1d_backward")
@kernel("avg_pool2d_backward")
@kernel("avg_pool3d_backward")
def avg_pool_backward(dy: Array, shape: Shape, window: Window, divisor: Any) -> Array:
    """Each pixel of a window gets the same share, `dy/divisor`."""
    share = dy / divisor
    return spread((share for _ in range(len(window))), dy, shape, window)


@kernel("lp_pool1d_forward")
@kernel("lp_pool2d_forward")
@kernel("lp_pool3d_forward")
def lp_pool_forward(x: Array, window: Window, p: float, scale: Any) -> Array:
    """`y = (scale·Σ xᵖ)^(1/p)` over each window, with the largest |x| taken out, so that xᵖ does not overflow."""
    xp = namespace(x)
    sizes = x.shape[2:]
    padded = pad(x.astype(accumulator(x.dtype), copy=False), covering(window, sizes), 0 if p > 0 else xp.inf)
    taps = [padded[..., *pixels] for _, pixels in window.taps(*window.outs(sizes))]
    largest = functools.reduce(xp.maximum, map(abs, taps))
    largest = xp.where((largest > 0) & xp.isfinite(largest), largest, 1)
    total = sum((tap / largest) ** p for tap in taps)
    return (largest * (total * scale) ** (1 / p)).astype(x.dtype, copy=False)


@kernel("lp_pool1d_backward")
@kernel("lp_pool2d_backward")
@kernel("lp_pool3d_backward")
def lp_pool_backward(dy: Array, x: Array, y: Array, window: Window, p: float, scale: Any) -> Array:
    """`dx = dy·scale·(x/y)^(p − 1)` for each window of x, and 0 where y is 0."""
    xp = namespace(x)
    padded = pad(x, covering(window, x.shape[2:]))
    share, zero = dy * scale, y == 0
    taps = (padded[..., *pixels] / xp.where(zero, 1, y) for _, pixels in window.taps(*y.shape[2:]))
    return spread((xp.where(zero, 0, share * tap ** (p - 1)) for tap in taps), dy, x.shape, window)


@kernel("max_unpool1d_forward")
@kernel("max_unpool2d_forward")
@kernel("max_unpool3d_forward")
def max_unpool_forward(x: Array, indices: Array, sizes: Shape) -> Array:
    """Each number of x at its place in a plane of zeros, row·W + column; of two at one place the last one stays."""
    xp = namespace(x)
    N, C, *outputs = x.shape
    planes = xp.zeros((N * C, prod(sizes)), dtype=x.dtype)
    flat = (N * C, prod(outputs))
    planes[xp.arange(N * C).reshape(-1, 1), indices.reshape(flat)] = x.reshape(flat)
    return planes.reshape(N, C, *sizes)


@kernel("max_unpool1d_backward")
@kernel("max_unpool2d_backward")
@kernel("max_unpool3d_backward")
def max_unpool_backward(dy: Array, indices: Array) -> Array:
    """Each number gets the gradient of its place."""
    N, C, *sizes = dy.shape
    planes, flat = dy.reshape(N * C, prod(sizes)), (N * C, prod(indices.shape[2:]))
    return namespace(dy).take_along_axis(planes, indices.reshape(flat), axis=1).reshape(indices.shape)


def window_sums(x: Array, window: Window) -> Array:
    """The sum of each window, padding being 0."""
    sizes = x.shape[2:]
    padded = pad(x.astype(accumulator(x.dtype), copy=False), covering(window, sizes))
    return sum(padded[..., *pixels] for _, pixels in window.taps(*window.outs(sizes)))


def spread(shares: Iterable[Array], dy: Array, shape: Shape, window: Window) -> Array:
    """Add each tap's share of the windows' gradients onto the pixels it met: an image like x of this shape."""
    pads = covering(window, shape[2:])
    padded = tuple(n + before + behind for n, (before, behind) in zip(shape[2:], pads))
    dpadded = namespace(dy).zeros(shape[:2] + padded, dtype=accumulator(dy.dtype))
    for share, (_, pixels) in zip(shares, window.taps(*dy.shape[2:])):
        dpadded[..., *pixels] += share  # += : windows may overlap
    return unpad(dpadded, pads).astype(dy.dtype, copy=False)


def covering(window: Window, sizes: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """The pads, enlarged behind where ceil_mode lets the last window hang over the edge."""
    sizes = tuple(sizes)
    return tuple(
        (before, max(behind, (o - 1) * stride + span - n - before))
        for (before, behind), span, stride, n, o in zip(
            window.pads, window.spans, window.stride, sizes, window.outs(sizes)
        )
    )


def first_inside(xp: Any, window: Window, sizes: Iterable[int]) -> Array:
    """The first tap of each window that lies inside the image: the choice where all its pixels are −∞."""
    inside = pad(xp.ones(tuple(sizes), dtype=bool), covering(window, sizes), False)
    return xp.stack([inside[..., *pixels] for _, pixels in window.taps(*window.outs(tuple(sizes)))]).argmax(axis=0)
