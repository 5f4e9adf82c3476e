"""Pooling by sums, mean and p-norm: what the taps of all windows see, slice upon slice.

`phases` makes a run of memory of each tap, so that a sum over windows of 4 pixels is 3 additions of long runs. The
taps come in reading order, one after the other, which is the readable kernels' order: the same bits. (Rows first and
then columns, as for maxima, would be fewer additions of other roundings.) On the way back every pixel under a window
receives the same share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import layout
from tinygrad_cnn.kernels.cpu.phases import Plan, contiguous, for_blocks, move, plan_of
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray


@kernel("avg_pool1d_forward", backend="cpu")
@kernel("avg_pool2d_forward", backend="cpu")
@kernel("avg_pool3d_forward", backend="cpu")
def avg_pool_forward(x: Array, window: Window, divisor: Any) -> Array:
    """Sums of runs, divided."""
    divisor = _beside_lanes(divisor)

    def divide(sums: Array) -> None:
        np.divide(sums, divisor, out=sums, casting="same_kind")

    return _window_sums(x, window, lambda pixels: pixels, divide)


@kernel("avg_pool1d_backward", backend="cpu")
@kernel("avg_pool2d_backward", backend="cpu")
@kernel("avg_pool3d_backward", backend="cpu")
def avg_pool_backward(dy: Array, shape: Shape, window: Window, divisor: Any) -> Array:
    """As the reference, in the order of dy."""
    if dy.dtype.char not in "fd" or not dy.size:
        return NotImplemented
    plan, batch_last, divisor = plan_of(window, shape[2:]), layout.batch_last(dy), _beside_lanes(divisor)
    dx = layout.empty(shape, dy.dtype, batch_last)

    def work(image: Array, gradient: Array) -> None:
        share = scratch("share", gradient.shape, dy.dtype)
        np.divide(contiguous("gradients", gradient), divisor, out=share, casting="same_kind")
        _give_all(plan, image, share)

    for_blocks(work, dx, dy, batch_last=batch_last, passes=6, calls=6)
    return dx


@kernel("lp_pool1d_forward", backend="cpu")
@kernel("lp_pool2d_forward", backend="cpu")
@kernel("lp_pool3d_forward", backend="cpu")
def lp_pool_forward(x: Array, window: Window, p: float, scale: Any) -> Array:
    """Sums of powers, and their roots."""
    if p <= 0:
        return NotImplemented
    scale = _beside_lanes(scale)

    def root(sums: Array) -> None:
        if np.ndim(scale) or scale != 1:
            np.multiply(sums, scale, out=sums)
        if p == 2:
            np.sqrt(sums, out=sums)
        else:
            np.power(sums, 1 / p, out=sums)

    y = _window_sums(x, window, lambda pixels: _power(pixels, p), root)
    # an overflow: the reference takes the largest number out first
    return y if y is not NotImplemented and np.isfinite(y).all() else NotImplemented


@kernel("lp_pool1d_backward", backend="cpu")
@kernel("lp_pool2d_backward", backend="cpu")
@kernel("lp_pool3d_backward", backend="cpu")
def lp_pool_backward(dy: Array, x: Array, y: Array, window: Window, p: float, scale: Any) -> Array:
    """`dx = x^(p − 1)·Σ dy·scale·y^(1 − p)`: what the windows share, as for the mean, times a power of x."""
    if not x.dtype == y.dtype == dy.dtype or x.dtype.char not in "fd" or not dy.size:
        return NotImplemented
    plan, batch_last, scale = plan_of(window, x.shape[2:]), layout.batch_last(x), _beside_lanes(scale)
    dx = layout.empty(x.shape, x.dtype, batch_last)
    overflow: list[int] = []

    def work(dimage: Array, image: Array, norm: Array, gradient: Array) -> None:
        norm = contiguous("norms", norm)
        share = contiguous("gradients", gradient) * scale / _power(norm, p - 1)
        np.copyto(share, 0, where=norm == 0)
        _give_all(plan, dimage, share)
        np.multiply(dimage, _power(image, p - 1), out=dimage)
        if not np.isfinite(dimage.sum()):
            overflow.append(1)

    for_blocks(work, dx, x, y, dy, batch_last=batch_last, passes=12, calls=20)
    return NotImplemented if overflow else dx


def _beside_lanes(numbers: Any) -> Any:
    """An array (P, Q) as one that fits beside (c, P, Q, lanes)."""
    return numbers[..., None] if np.ndim(numbers) else numbers


def _power(x: Array, p: float) -> Array:
    """`xᵖ`; for p = 1 and 2 without the general way, which is slow."""
    return x if p == 1 else np.square(x) if p == 2 else np.power(x, p)


def _window_sums(x: Array, window: Window, before: Callable[[Array], Array], after: Callable[[Array], Any]) -> Array:
    """`after(sums)` of the sums of `before(x)` over each window."""
    if x.dtype.char not in "fd" or not x.size:
        return NotImplemented
    N, C, *sizes = x.shape
    plan, batch_last = plan_of(window, tuple(sizes)), layout.batch_last(x)
    y = layout.empty((N, C, *plan.out), x.dtype, batch_last)

    def work(block: Array, out: Array) -> None:
        sums = out if out.flags.c_contiguous else scratch("sums", out.shape, out.dtype)
        first, *taps = plan.of([before(phase) for phase in plan.load(block, 0)])
        if taps:
            np.add(first, taps[0], out=sums)
        else:
            np.copyto(sums, first)
        for tap in taps[1:]:
            np.add(sums, tap, out=sums)
        after(sums)
        if sums is not out:
            move(out, sums)

    for_blocks(work, x, y, batch_last=batch_last, passes=6, calls=6)
    return y


def _give_all(plan: Plan, dx: Array, share: Array) -> None:
    """The same share to all pixels of a window."""
    image = plan.open(dx)
    for target, fresh in zip(plan.of(image), plan.fresh):
        if fresh:
            np.copyto(target, share)
        else:
            np.add(target, share, out=target)
    plan.close(image, dx)
