"""Convolution, ReLU and pooling in one pass: what lies between never leaves the cache.

One after the other, LeNet-5's first three operations write 4,704 numbers an image, read and write them again for ReLU,
and read them for pooling, which leaves 1,176. Here a block of `tiles` is pooled where its product stands: the outputs
of a tile that are pooled together lie in neighbouring slabs of memory, each a run of all tiles and samples, and their
maximum is three comparisons of slabs. The number of the winner, a byte for each pooled output, is all that backward
needs: ReLU's mask is in it (`NO_WINNER`), too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import conv, layout, linear, tiles
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.reference.fused import NO_WINNER
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
    known = [g for g in gradients[1:] if g is not None]
    return gradients if all(np.isfinite(g).all() for g in known) else NotImplemented


@kernel("conv2d_relu_max_pool2d_forward", backend="cpu")
def conv_relu_max_pool_forward(
    x: Array, weight: Array, bias: Array | None, pool: Window, window: Window, groups: int = 1
) -> tuple[Array, Array]:
    """Pooling on each block of products."""
    plan = _tiles(x, weight, pool, window, groups)
    if plan is None:
        return NotImplemented
    N, K, (P, Q) = len(x), len(weight), plan.grid.out
    m, n = (size // 2 for size in plan.grid.tile)
    y = layout.empty((N, K, P // 2, Q // 2), x.dtype)
    winner = layout.empty(y.shape, np.uint8)
    unlike_itself: list[int] = []

    def finish(products: Array, a: int, b: int, top: int, bottom: int) -> None:
        _, _, _, high, wide, samples = products.shape
        slabs = products.reshape(K, m, 2, n, 2, high * wide * samples)
        shape = (K, m, n, slabs.shape[-1])
        rows, right = scratch("rows", (2, *shape), x.dtype), scratch("right", (2, *shape), bool)
        for i in (0, 1):  # within a row first: of equal pixels the first one wins
            np.greater(slabs[:, :, i, :, 1], slabs[:, :, i, :, 0], out=right[i])
            np.maximum(slabs[:, :, i, :, 0], slabs[:, :, i, :, 1], out=rows[i])
        below = np.greater(rows[1], rows[0], out=scratch("below", shape, bool)).view(np.uint8)
        largest = np.maximum(rows[0], rows[1], out=rows[0])
        if np.isnan(largest.max()):
            unlike_itself.append(a)
            return
        upper, lower = right.view(np.uint8)  # the winner is `upper`, or `lower + 2` where the row below has it
        np.add(lower, 2, out=lower)
        np.subtract(lower, upper, out=lower)
        np.multiply(lower, below, out=lower)
        np.add(upper, lower, out=upper)
        shut = np.less_equal(largest, 0, out=right[1]).view(np.uint8)
        np.negative(shut, out=shut)  # 1 → 255
        np.bitwise_or(upper, shut, out=upper)
        np.maximum(largest, 0, out=largest)
        for target, made in ((y, largest), (winner, upper)):
            followed = layout.memory(target)[..., a:b]
            made = made.reshape(K, m, n, high, wide, samples)
            for u in range(m):
                for v in range(n):
                    places = followed[:, top * m + u : bottom * m : m, v::n]
                    np.copyto(places, made[:, u, v, : places.shape[1], : places.shape[2]])

    tiles.produce(plan, x, weight, bias, finish)
    return NotImplemented if unlike_itself else (y, winner)


@kernel("conv2d_relu_max_pool2d_backward", backend="cpu")
def conv_relu_max_pool_backward(
    dy: Array, winner: Array, x: Array, weight: Array, pool: Window, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array | None, ...]:
    """Each block of dy to the four slabs of its winners."""
    plan = _tiles(x, weight, pool, window, groups)
    if plan is None or dy.dtype != x.dtype or not np.isfinite(dy.sum()):  # 0·∞ would be NaN
        return NotImplemented
    K, (m, n) = len(weight), (size // 2 for size in plan.grid.tile)
    arriving, winners = layout.memory(dy), layout.memory(winner)

    def start(dproducts: Array, a: int, b: int, top: int, bottom: int) -> None:
        _, _, _, high, wide, samples = dproducts.shape
        shape = (K, m, n, high, wide, samples)
        gradient, tap = scratch("rows", shape, x.dtype), scratch("taps", shape, np.uint8)
        if not plan.grid.exact:
            tap.fill(NO_WINNER)  # tiles beyond the edge
        for target, source in ((gradient, arriving), (tap, winners)):
            for u in range(m):
                for v in range(n):
                    places = source[:, top * m + u : bottom * m : m, v::n, a:b]
                    np.copyto(target[:, u, v, : places.shape[1], : places.shape[2]], places)
        slabs = dproducts.reshape(K, m, 2, n, 2, -1)
        gradient, tap = gradient.reshape(K, m, n, -1), tap.reshape(K, m, n, -1)
        won = scratch("right", tap.shape, bool)
        for number in range(4):
            np.equal(tap, number, out=won)
            np.multiply(gradient, won, out=slabs[:, :, number // 2, :, number % 2])

    return tiles.go_back(plan, start, x, weight, needs)


def _tiles(x: Array, weight: Array, pool: Window, window: Window, groups: int) -> tiles.Tiles | None:
    """Tiles of which 2×2 outputs are pooled together; the last row or column is left out if there is an odd one."""
    if pool != HALVING or not isinstance(conv.way(x, weight, window, groups), conv.ByTiles):
        return None
    C, H, W = x.shape[1:]
    P, Q = window.outs((H, W))
    out = (P - P % 2, Q - Q % 2)
    return tiles.choose(window, groups, C, len(weight), (H, W), out, even=True) if min(out) else None


@kernel("linear_relu_forward", backend="cpu")
def linear_relu_forward(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """ReLU on the result, in place."""
    y = linear.linear_forward(x, weight, bias)
    return y if y is NotImplemented else np.maximum(y, 0, out=y)


@kernel("linear_relu_backward", backend="cpu")
def linear_relu_backward(dy: Array, y: Array, x: Array, weight: Array, needs: Any) -> tuple[Array | None, ...]:
    """ReLU's mask on dy, in the order of y."""
    if dy.dtype != y.dtype or not np.isfinite(dy.sum()):  # 0·∞ would be NaN
        return NotImplemented
    return linear.linear_backward(np.multiply(dy, y > 0), x, weight, needs)
