"""Max pooling one axis after the other, and its way back to the places of the winners.

**Forward.** The largest of a 3×3 window is the largest of the largest of its rows:

    1 5 2        5
    4 5 0   →    5   →   5       3 rows of 2 comparisons, then 2 more: as many as before, 8 …
    3 2 1        3

… but neighbouring windows share rows. With windows of 3 at stride 2, a row's maxima are computed once and serve the
window above and the one below: 2·2 + 2 comparisons a window instead of 8. A maximum over columns needs every second
pixel; `phases` explains how that becomes a run of memory.

The number of the winner comes along as a byte. `greater(tap 1, tap 0)` is the winner's number in a row of two, and a
later tap that is greater than all before it puts its own number there: numbers grow from tap to tap, so that this is
`number = max(number, greater · own)`. Only what is *greater* wins, columns first and then rows: of equal pixels the
first one in reading order stays, as PyTorch has it.

**Backward.** Each gradient goes to one pixel. With the place of that pixel in memory, which is the place of the
window's first pixel plus what its tap's number says, this is `row[places] = dy`, or where windows overlap
`add.at(row, places, dy)`: one number written for each window, where masks for the 9 taps of a 3×3 window would be 9
comparisons, 9 products and 9 additions. (Masks are the faster way on no shape of LeNet-5 or AlexNet.) Infinite
gradients stay what they are, as no product with 0 is in it. Windows are walked backwards: the later a window, the
earlier the tap by which it meets a pixel, and the readable kernel adds in the order of the taps. So the sums are the
same to the bit.

`tests/test_cpu_kernels.py` proves both against the readable kernels, with ties, −∞, NaN and infinite gradients.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import layout
from tinygrad_cnn.kernels.cpu.phases import Plan, for_blocks, move, plan_of
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.reference.pool import first_inside
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray


@kernel("max_pool1d_forward", backend="cpu")
@kernel("max_pool2d_forward", backend="cpu")
@kernel("max_pool3d_forward", backend="cpu")
def max_pool_forward(x: Array, window: Window) -> tuple[Array, Array]:
    """Largest pixels and the taps that held them, one axis after the other."""
    if x.dtype.kind != "f" or not x.size:
        return NotImplemented
    N, C, *sizes = x.shape
    plan, batch_last = plan_of(window, tuple(sizes)), layout.batch_last(x)
    y = layout.empty((N, C, *plan.out), x.dtype, batch_last)
    index = layout.empty(y.shape, np.uint8 if len(window) <= 256 else np.int32, batch_last)
    inside = first_inside(np, window, sizes).astype(index.dtype)[..., None] if plan.padding else None
    unlike_itself: list[int] = []

    def work(block: Array, out: Array, number: Array) -> None:
        whole = out.flags.c_contiguous
        largest = out if whole else scratch("largest", out.shape, out.dtype)
        winner = number if whole else scratch("winner", out.shape, number.dtype)
        _maxima(plan, plan.load(block, -np.inf), largest, winner)
        if np.isnan(largest.max()):
            unlike_itself.append(1)
            return
        if inside is not None and largest.min() == -np.inf:  # where all is −∞, a tap outside the image must not win
            np.copyto(winner, inside, where=largest == -np.inf)
        if not whole:
            move(out, largest)
            move(number, winner)

    for_blocks(work, x, y, index, batch_last=batch_last, passes=10, calls=12)
    return NotImplemented if unlike_itself else (y, index)  # the reference knows what to do with NaN


def _maxima(plan: Plan, image: list[Array], out: Array, winner: Array) -> None:
    """Maxima over the last axis, then over the one before it, …; `step` is by how much a tap's number grows there."""
    numbers: Array | None = None
    values, step = image[0], 1
    for number in reversed(range(len(plan.axes))):
        axis = plan.axes[number]
        if axis is plan.last:
            taps, taps_numbers = [image[phase][..., columns, :] for phase, columns in plan.columns], None
        else:
            rows = [(slice(None),) * (1 + number) + (axis.rows(offset),) for offset in axis.offsets]
            taps = [values[pixels] for pixels in rows]
            taps_numbers = None if numbers is None else [numbers[pixels] for pixels in rows]
        last = number == 0
        if len(taps) == 1 and not last:
            values, numbers = taps[0], None if taps_numbers is None else taps_numbers[0]
            continue
        values = out if last else scratch(f"largest {number}", taps[0].shape, out.dtype)
        numbers = winner if last else scratch(f"winner {number}", taps[0].shape, winner.dtype)
        _largest(taps, taps_numbers, step, values, numbers)
        step *= len(taps)


def _largest(taps: Sequence[Array], numbers: Sequence[Array] | None, step: int, out: Array, winner: Array) -> None:
    """The largest of some arrays, the first of equals, and its number: `k·step`, plus the one it had."""
    if len(taps) == 1:
        np.copyto(out, taps[0])
        np.copyto(winner, 0 if numbers is None else numbers[0])
        return
    better = scratch("better", out.shape, np.uint8)
    own = scratch("own number", out.shape, winner.dtype)
    before: Array = taps[0]
    for k, tap in enumerate(taps[1:], start=1):
        np.greater(tap, before, out=better.view(bool))
        np.maximum(before, tap, out=out)
        if numbers is not None:
            np.add(numbers[k], winner.dtype.type(k * step), out=own)
            np.multiply(own, better, out=own)
            np.maximum(numbers[0] if k == 1 else winner, own, out=winner)
        elif k == 1:
            np.copyto(winner, better)
        else:
            np.multiply(better, winner.dtype.type(k), out=own)
            np.maximum(winner, own, out=winner)
        before = out


@kernel("max_pool1d_backward", backend="cpu")
@kernel("max_pool2d_backward", backend="cpu")
@kernel("max_pool3d_backward", backend="cpu")
def max_pool_backward(dy: Array, index: Array, shape: Shape, window: Window) -> Array:
    """As the reference, to the bit, and in the order of the index, which is that of x."""
    if dy.dtype.char not in "fd" or not dy.size or math.prod(shape) >= 1 << 31 or not _are_taps(index, window):
        return NotImplemented
    if not _all_meet_a_pixel(window, tuple(shape[2:])):
        return NotImplemented
    plan, batch_last = plan_of(window, shape[2:]), layout.batch_last(index)
    dx = layout.empty(shape, dy.dtype, batch_last)

    def work(*blocks: Array) -> None:
        image, gradient, tap = blocks if batch_last else (np.moveaxis(block, -1, 1) for block in blocks)
        image.fill(0)
        row, places = image.reshape(-1), _places(plan, image.shape, tap, batch_last)
        if plan.apart:
            row[places] = gradient.reshape(-1)
        else:  # backwards: the later a window, the earlier the tap by which it meets a pixel
            np.add.at(row, places[::-1], gradient.reshape(-1)[::-1])

    for_blocks(work, dx, dy, index, batch_last=batch_last, passes=8, calls=20)
    return dx


def _are_taps(index: Array, window: Window) -> bool:
    """Whether these are numbers of taps: who stands in for forward may return others, and gradients would go astray."""
    return bool(index.dtype.kind in "iu" and index.min() >= 0 and index.max() < len(window))


@functools.lru_cache(maxsize=256)
def _all_meet_a_pixel(window: Window, sizes: Shape) -> bool:
    """Whether every window does: a dilated one may step over the whole image, and then its winner is no pixel of it."""
    axes = zip(sizes, window.outs(sizes), window.kernel, window.stride, window.dilation, window.pads)
    return all(
        any(0 <= o * stride - before + tap * dilation < size for tap in range(taps))
        for size, outs, taps, stride, dilation, (before, _) in axes
        for o in range(outs)
    )


def _places(plan: Plan, image: Shape, index: Array, batch_last: bool) -> Array:
    """Where in a block of images each winner stands: at its window's first pixel, and a tap's way from there."""
    samples = image[-1] if batch_last else 1
    factors, farthest = _factors(plan)
    short = np.int16 if farthest * samples < 1 << 15 else np.int32  # short numbers are computed faster
    way, more = scratch("way", index.shape, short), scratch("more", index.shape, short)
    for number, (taps, factor) in enumerate(factors):
        digits = index if taps == 1 else index // taps
        np.multiply(digits, short(factor * samples), out=more if number else way, casting="unsafe")
        if number:
            np.add(way, more, out=way)
    place, places = scratch("place", index.shape, np.int32), scratch("places", index.shape, np.intp)
    np.copyto(place, way)
    np.add(place, _firsts(plan, image, batch_last), out=place)
    np.copyto(places, place)
    return places.reshape(-1)


@functools.lru_cache(maxsize=256)
def _factors(plan: Plan) -> tuple[list[tuple[int, int]], int]:
    """(taps, factor) for each axis: a tap's way is `Σ (number // taps)·factor`; and how large a part of it can be.

    In an image W wide the way of tap number `R·3 + S` is `R·W + S`, which is `number + (number // 3)·(W − 3)`.
    """
    factors, taps, before = [], 1, 0
    for number, axis in reversed(list(enumerate(plan.axes))):
        step = math.prod(a.size for a in plan.axes[number + 1 :]) * axis.dilation
        factors.append((taps, step - before))
        taps, before = taps * len(axis.offsets), step * len(axis.offsets)
    return factors, sum((taps // each) * abs(factor) for each, factor in factors)


@functools.lru_cache(maxsize=16)
def _firsts(plan: Plan, image: Shape, batch_last: bool) -> Array:
    """The places of the first pixels of all windows in a block (c, H, W, samples), or (n, c, H, W)."""
    images, samples = (image[:1], image[-1:]) if batch_last else (image[:2], ())
    block = np.arange(math.prod(image), dtype=np.int32).reshape(image)
    ways = np.zeros((1,) * len(images), np.int32)
    for number, axis in enumerate(plan.axes):
        step = math.prod(image[len(images) + number + 1 :])
        ways = ways[..., None] + ((np.arange(axis.out) * axis.stride - axis.before) * step).astype(np.int32)
    corner: Any = (..., *(slice(1),) * len(plan.axes), *(slice(None),) * len(samples))
    return block[corner] + ways.reshape(*ways.shape, *(1,) * len(samples))
