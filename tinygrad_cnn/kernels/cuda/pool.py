"""Pooling: forward a thread for each window, backward one for each pixel, which asks all windows that saw it.

So no two threads write to the same place, and the sums are the same bits in every run. Images (planes, H, W), planes
being those of all samples and channels, in the order in which they lie; lines are images of one row.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.cuda.each import Each, taken
from tinygrad_cnn.kernels.cuda.layout import channels_outermost, empty, in_one_piece
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape, Window

Array = Any

#: Sizes of images and outputs, and the window, as every kernel here gets them; see `geometry`.
GEOMETRY = (
    "int32 H, int32 W, int32 P, int32 Q, int32 R, int32 S, int32 down, int32 right, int32 top, int32 left, "
    "int32 lower, int32 further"
)
#: Which output this thread computes, and where its window begins; `i` counts through (planes, P, Q).
WINDOW = """
    int e = i, q = e % Q, p = e / Q % P, plane = e / Q / P;
    int row = p * down - top, column = q * right - left;
"""
#: For every pixel under the window, inside the image; `at` is its place.
FOR_EACH_PIXEL = """
    for (int r = 0; r < R; r++) {
        int h = row + r * lower;
        if (h < 0 || h >= H) continue;
        for (int s = 0; s < S; s++) {
            int w = column + s * further;
            if (w < 0 || w >= W) continue;
            int at = (plane * H + h) * W + w;
"""
#: The other way round: for every output whose window meets this thread's pixel; `i` counts through (planes, H, W).
FOR_EACH_OUTPUT = """
    int e = i, w = e % W, h = e / W % H, plane = e / W / H;
    for (int r = 0; r < R; r++) {
        int p = h + top - r * lower;
        if (p < 0 || p % down || p / down >= P) continue;
        for (int s = 0; s < S; s++) {
            int q = w + left - s * further;
            if (q < 0 || q % right || q / right >= Q) continue;
            int at = (plane * P + p / down) * Q + q / right;
"""

max_pool_forward = Each(
    f"raw T x, T lowest, {GEOMETRY}", "T y, N index",
    WINDOW + "T largest = lowest; int winner = -1;" + FOR_EACH_PIXEL + """
            // the first pixel inside; a larger one; a NaN, the only value unlike itself
            if (winner < 0 || x[at] > largest || x[at] != x[at]) { largest = x[at]; winner = r * S + s; }
        }
    }
    y = largest; index = winner < 0 ? 0 : winner  // a dilated window may step over the whole image
    """,
    name="max_pool_forward",
)  # fmt: skip
max_pool_backward = Each(
    f"raw T dy, raw N index, {GEOMETRY}", "T dx",
    "T sum = 0;" + FOR_EACH_OUTPUT + """
            if (index[at] == r * S + s) sum += dy[at];
        }
    }
    dx = sum
    """,
    name="max_pool_backward",
)  # fmt: skip
avg_pool_forward = Each(
    f"raw T x, raw T divisor, {GEOMETRY}", "T y",
    WINDOW + "T sum = 0;" + FOR_EACH_PIXEL + """
            sum += x[at];
        }
    }
    y = sum / divisor[e % (P * Q)]
    """,
    name="avg_pool_forward",
)  # fmt: skip
avg_pool_backward = Each(
    f"raw T dy, raw T divisor, {GEOMETRY}", "T dx",
    "T sum = 0;" + FOR_EACH_OUTPUT + """
            sum += dy[at] / divisor[at % (P * Q)];
        }
    }
    dx = sum
    """,
    name="avg_pool_backward",
)  # fmt: skip


def geometry(shape: Shape, outs: Shape, window: Window) -> tuple[int, ...]:
    """What `GEOMETRY` names; a line is an image of one row."""
    line = window.rank == 1
    sizes, outs = ((1, *shape[2:]), (1, *outs)) if line else (shape[2:], outs)
    kernel, stride, dilation = (((1, *v) if line else v) for v in (window.kernel, window.stride, window.dilation))
    before = tuple(before for before, _ in window.pads)
    return (*sizes, *outs, *kernel, *stride, *((0, *before) if line else before), *dilation)


@kernel("max_pool1d_forward", backend="cuda")
@kernel("max_pool2d_forward", backend="cuda")
def _(x: Array, window: Window) -> tuple[Array, Array]:
    if not taken(x):
        return NotImplemented
    swapped, outs = channels_outermost(x), window.outs(x.shape[2:])
    y, y_lying = empty(x, (*x.shape[:2], *outs), swapped)
    index, index_lying = empty(x, y.shape, swapped, "uint8" if len(window) <= 256 else "int32")
    max_pool_forward(in_one_piece(x, swapped), -math.inf, *geometry(x.shape, outs, window), y_lying, index_lying)
    return y, index


@kernel("max_pool1d_backward", backend="cuda")
@kernel("max_pool2d_backward", backend="cuda")
def _(dy: Array, index: Array, shape: Shape, window: Window) -> Array:
    if not taken(dy) or math.prod(shape) >= 2**31:
        return NotImplemented
    swapped = channels_outermost(index)
    dx, lying = empty(dy, shape, swapped)
    arrays = in_one_piece(dy, swapped), in_one_piece(index, swapped)
    max_pool_backward(*arrays, *geometry(shape, dy.shape[2:], window), lying)
    return dx


def _divisors(like: Array, divisor: Any, outs: Shape) -> Array:
    """One for each window."""
    xp = namespace(like)
    if not hasattr(divisor, "shape"):
        return xp.full(outs, divisor, like.dtype)
    return xp.broadcast_to(divisor, outs).astype(like.dtype)


@kernel("avg_pool1d_forward", backend="cuda")
@kernel("avg_pool2d_forward", backend="cuda")
def _(x: Array, window: Window, divisor: Any) -> Array:
    if not taken(x):
        return NotImplemented
    swapped, outs = channels_outermost(x), window.outs(x.shape[2:])
    y, lying = empty(x, (*x.shape[:2], *outs), swapped)
    sizes = geometry(x.shape, outs, window)
    avg_pool_forward(in_one_piece(x, swapped), _divisors(x, divisor, outs), *sizes, lying)
    return y


@kernel("avg_pool1d_backward", backend="cuda")
@kernel("avg_pool2d_backward", backend="cuda")
def _(dy: Array, shape: Shape, window: Window, divisor: Any) -> Array:
    if not taken(dy) or math.prod(shape) >= 2**31:
        return NotImplemented
    swapped = channels_outermost(dy)
    dx, lying = empty(dy, shape, swapped)
    sizes = geometry(shape, dy.shape[2:], window)
    avg_pool_backward(in_one_piece(dy, swapped), _divisors(dy, divisor, dy.shape[2:]), *sizes, lying)
    return dx
