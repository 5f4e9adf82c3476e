"""Convolution, ReLU and pooling in one pass: what lies between never leaves the cache.

One after the other, LeNet-5's first three operations write 4,704 numbers an image, read and write them for ReLU, and
read them again for pooling, which leaves 1,176. Here a block of `tiles` is pooled where its product stands. Tiles are
2×2, as the windows that pool, and the four outputs of a tile lie in four slabs of memory, each a run of all tiles and
samples: their maximum is three comparisons of slabs. The number of the winner, a byte for each pooled output, is all
that backward needs: ReLU's mask is in it (`NO_WINNER`), too.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import conv, layout, linear, tiles
from tinygrad_cnn.kernels.cpu.elementwise import full
from tinygrad_cnn.kernels.cpu.grid import Grid
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.reference.fused import Pooled
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Window

Array = np.ndarray

HALVING = Window((2, 2), (2, 2))


@kernel("conv2d_relu_forward", backend="cpu")
def conv_relu_forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """ReLU on each block of products before it is written."""
    way = conv.way(x, weight, window, groups)
    return NotImplemented if way is None else way.forward(x, weight, bias, relu=True)


@kernel("conv2d_relu_backward", backend="cpu")
def conv_relu_backward(
    dy: Array, y: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array | None, ...]:
    """ReLU's mask on each block of dy as it is read."""
    way = conv.way(x, weight, window, groups)
    return NotImplemented if way is None else _finite(way.backward(dy, x, weight, needs, y))


def _finite(gradients: tuple[Array | None, ...]) -> Any:
    """The gradients, unless an infinite dy met a zero of the mask: 0·∞ is not what ReLU makes of it."""
    dx, *small = gradients
    known: list[Any] = [g for g in small if g is not None] or [dx]  # each shows it; dx is the largest
    return gradients if all(np.isfinite(g).all() for g in known) else NotImplemented


@kernel("conv2d_relu_max_pool2d_forward", backend="cpu")
def conv_relu_max_pool_forward(
    x: Array, weight: Array, bias: Array | None, pool: Window, window: Window, groups: int = 1, needs: Any = None
) -> tuple[Array, Pooled]:
    """Pooling on each block of products."""
    plan = _tiles(x, weight, pool, window, groups)
    if plan is None:
        return NotImplemented
    N, K, (P, Q) = len(x), len(weight), plan.grid.out
    y = layout.empty((N, K, P // 2, Q // 2), x.dtype)

    def pool_only(products: Array, top: int, bottom: int, a: int, b: int) -> None:
        in_row = np.maximum(products[:, :, 0], products[:, :, 1], out=products[:, :, 0])
        largest = np.maximum(in_row[:, 0], in_row[:, 1], out=in_row[:, 0])
        np.maximum(largest, full(largest, 0), out=layout.memory(y)[:, top:bottom, :, a:b])

    if needs is not None and True not in needs.flags:
        tiles.produce(plan, x, weight, bias, pool_only)
        return y, (None, None)
    winner = layout.empty(y.shape, np.uint8)

    def finish(products: Array, top: int, bottom: int, a: int, b: int) -> None:
        left, right = products[:, :, 0], products[:, :, 1]  # (K, 2, rows, columns, samples)
        in_row = np.greater(right, left, out=scratch("in row", right.shape, bool)).view(np.uint8)
        largest = np.maximum(left, right, out=left)  # within a row first: of equal pixels the first one wins
        upper, lower = largest[:, 0], largest[:, 1]
        below = np.greater(lower, upper, out=scratch("below", upper.shape, bool)).view(np.uint8)
        largest = np.maximum(upper, lower, out=upper)
        above, beneath = in_row[:, 0], in_row[:, 1]  # the winner is `above`, or `beneath + 2` in the row below
        np.add(beneath, 2, out=beneath)
        np.subtract(beneath, above, out=beneath)
        np.multiply(beneath, below, out=beneath)
        np.add(above, beneath, out=above)
        shut = np.greater(largest, 0, out=below.view(bool)).view(np.uint8)
        np.subtract(shut, 1, out=shut)  # 1 → 0, 0 → 255; NaN is not greater than 0
        np.bitwise_or(above, shut, out=layout.memory(winner)[:, top:bottom, :, a:b])
        np.maximum(largest, full(largest, 0), out=layout.memory(y)[:, top:bottom, :, a:b])

    return y, (winner, tiles.produce(plan, x, weight, bias, finish, keep=needs is None or needs.weight))


@kernel("conv2d_relu_max_pool2d_backward", backend="cpu")
def conv_relu_max_pool_backward(
    dy: Array, kept: Pooled, x: Array, weight: Array, pool: Window, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array | None, ...]:
    """Each block of dy to the four slabs of its winners."""
    plan = _tiles(x, weight, pool, window, groups)
    if plan is None or dy.dtype != x.dtype or not np.isfinite(dy.sum()):  # 0·∞ would be NaN
        return NotImplemented
    winner, columns = kept
    arriving, winners = layout.memory(dy), layout.memory(winner)
    taps = np.arange(4, dtype=np.uint8).reshape(1, 4, 1, 1, 1)

    def start(dproducts: Array, filters: slice, top: int, bottom: int, a: int, b: int) -> None:
        gradient, best = (given[filters, None, top:bottom, :, a:b] for given in (arriving, winners))
        four = dproducts.reshape(len(gradient), 4, *gradient.shape[2:])
        won = np.equal(best, taps, out=scratch("in row", four.shape, bool))
        np.multiply(gradient, won, out=four)

    return tiles.go_back(plan, start, x, weight, needs, columns)


def _tiles(x: Array, weight: Array, pool: Window, window: Window, groups: int) -> tiles.Tiles | None:
    """Tiles of the 2×2 outputs that are pooled together; None for other windows, and where `winograd` is better."""
    if not isinstance(conv.way(x, weight, window, groups), conv.ByTiles):
        return None
    return _halves(pool, window, groups, x.shape[1:], len(weight))


@functools.lru_cache(maxsize=256)
def _halves(pool: Window, window: Window, groups: int, image: tuple[int, ...], K: int) -> tiles.Tiles | None:
    if pool != HALVING:
        return None
    C, H, W = image
    P, Q = window.outs((H, W))
    out = (P - P % 2, Q - Q % 2)  # an odd row or column is not pooled
    grid = Grid(window, (H, W), out, (2, 2))
    return tiles.Tiles(grid, groups, C // groups, K // groups, parts=2) if min(out) else None


@kernel("linear_relu_forward", backend="cpu")
def linear_relu_forward(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """ReLU on the result, in place."""
    y = linear.linear_forward(x, weight, bias)
    return y if y is NotImplemented else np.maximum(y, full(y, 0), out=y)


@kernel("linear_relu_backward", backend="cpu")
def linear_relu_backward(dy: Array, y: Array, x: Array, weight: Array, needs: Any) -> tuple[Array | None, ...]:
    """ReLU's mask on dy, in the order of y."""
    if dy.dtype != y.dtype or not np.isfinite(dy.sum()):  # 0·∞ would be NaN
        return NotImplemented
    return linear.linear_backward(np.multiply(dy, y > 0), x, weight, needs)
