"""Local response normalisation: sums over neighbouring channels as sums of whole slabs of memory.

The sum over 5 channels around each channel is five arrays, each one channel further, added. With the channels outside
(one image, or all of them with the batch innermost: see `layout`) an array one channel further begins L numbers later,
and adding the two is adding two long runs. Sums of neighbours are shared, too:

    channels      a    b    c    d    e    f            5 = 4 + 1: three additions instead of four
    pairs         ab   bc   cd   de   ef
    fours         abcd bcde cdef
    fives         abcd + e, bcde + f

A border of zeros before the first channel and behind the last one stands for those that are not there.

The power t^(−3/4) of the paper is two square roots, `1/(√t·√√t)`: `t ** -0.75` takes ten times as long. Blocks are cut
so that all of this stays in the cache: some images or, with the batch innermost, some pixels of all channels.
`tests/test_cpu_kernels.py` compares it with the readable kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import layout
from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, blocks_of
from tinygrad_cnn.kernels.cpu.phases import contiguous
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split

Array = np.ndarray


@kernel("local_response_norm_forward", backend="cpu")
def local_response_norm_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """`y = x/t^β`."""
    if x.dtype.char not in "fd" or not x.size:
        return NotImplemented
    batch_last = layout.batch_last(x)
    y = layout.empty(x.shape, x.dtype, batch_last)

    def work(x: Array, y: Array) -> None:
        x = contiguous("x", x)
        squares, inside = _bordered(x, size // 2, (size - 1) // 2)
        np.multiply(x, x, out=inside)
        t = _neighbours(squares, x.shape[1])
        np.multiply(t, alpha / size, out=t)
        np.add(t, k, out=t)
        np.divide(x, _power(t, beta), out=y)

    _for_blocks(work, x, y, batch_last=batch_last, passes=9 + size, calls=9)
    return y


@kernel("local_response_norm_backward", backend="cpu")
def local_response_norm_backward(dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """As the reference, in the order of x; t is computed again."""
    if x.dtype.char not in "fd" or dy.dtype != x.dtype or not x.size:
        return NotImplemented
    batch_last = layout.batch_last(x)
    dx = layout.empty(x.shape, x.dtype, batch_last)

    def work(x: Array, dy: Array, dx: Array) -> None:
        x, dy = contiguous("x", x), contiguous("dy", dy)
        squares, inside = _bordered(x, size // 2, (size - 1) // 2)
        np.multiply(x, x, out=inside)
        inverse = _neighbours(squares, x.shape[1])
        np.multiply(inverse, alpha / size, out=inverse)
        np.add(inverse, k, out=inverse)
        np.divide(1, inverse, out=inverse)
        direct = _power(inverse, beta)
        np.multiply(dy, direct, out=direct)
        products, inside = _bordered(x, (size - 1) // 2, size // 2)
        np.multiply(inverse, x, out=inside)
        np.multiply(inside, direct, out=inside)
        through_t = _neighbours(products, x.shape[1])
        np.multiply(through_t, 2 * alpha * beta / size, out=through_t)
        np.multiply(through_t, x, out=through_t)
        np.subtract(direct, through_t, out=dx)

    _for_blocks(work, x, dy, dx, batch_last=batch_last, passes=16 + 2 * size, calls=18)
    return dx


def _for_blocks(work: Callable[..., Any], *arrays: Array, batch_last: bool, passes: float, calls: int) -> None:
    """`work(*blocks)` for blocks (images, channels, pixels) of the arrays (N, C, …)."""
    C, size = arrays[0].shape[1], arrays[0].nbytes
    if batch_last:
        views = [layout.memory(a).reshape(1, C, -1) for a in arrays]
    else:
        views = [a.reshape(len(a), C, -1) for a in arrays]
    axis = 2 if batch_last else 0
    n = views[0].shape[axis]

    def run(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, 2 * size // n):
            work(*(view[..., a:b] if batch_last else view[a:b] for view in views))

    split(n, run, passes * size / BYTES_PER_SECOND, calls)


def _bordered(x: Array, before: int, behind: int) -> tuple[Array, Array]:
    """Work space like x with zeros before the first channel and behind the last one, and its inside."""
    images, C, pixels = x.shape
    before, behind = min(before, C - 1), min(behind, C - 1)
    space = scratch("bordered", (images, before + C + behind, pixels), x.dtype)
    space[:, :before], space[:, before + C :] = 0, 0
    return space, space[:, before : before + C]


def _neighbours(bordered: Array, C: int) -> Array:
    """Sums of each channel and those behind it, as many as there are channels of border, by doubling."""
    images, channels, pixels = bordered.shape
    n = channels - C + 1
    total = scratch("total", (images, C, pixels), bordered.dtype)
    run, width, done = bordered, 1, 0  # run: sums of `width` channels
    while True:
        if n & width:
            piece = run[:, done : done + C]
            np.add(total, piece, out=total) if done else np.copyto(total, piece)
            done += width
        if 2 * width > n:
            return total
        longer = scratch(f"runs {width}", (images, run.shape[1] - width, pixels), run.dtype)
        run, width = np.add(run[:, :-width], run[:, width:], out=longer), 2 * width


def _power(t: Array, beta: float) -> Array:
    """`t^β`, by two square roots where β = 3/4."""
    root = scratch("root", t.shape, t.dtype)
    if beta != 0.75:
        return np.power(t, beta, out=root)
    np.sqrt(t, out=root)
    return np.multiply(root, np.sqrt(root, out=scratch("fourth root", t.shape, t.dtype)), out=root)
