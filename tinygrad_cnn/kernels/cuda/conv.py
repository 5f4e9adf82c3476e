"""Convolution as one product of matrices for the whole batch: `weight (K, C·R·S) @ columns (C·R·S, N·P·Q)`.

`im2col` writes what each output sees below each other, R·S times the image: the price of a product at the full speed of
the GPU. Backward, `dweight = dy @ columnsᵀ`, and `weightᵀ @ dy` is the gradient of the columns, which `col2im` adds up
again: a thread for each pixel asks all outputs that saw it. With groups, a product for each at once.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.cuda.each import Each, taken
from tinygrad_cnn.kernels.cuda.layout import empty, in_one_piece
from tinygrad_cnn.kernels.cuda.linear import finish, where_positive
from tinygrad_cnn.kernels.cuda.pool import FOR_EACH_OUTPUT, FOR_EACH_PIXEL, GEOMETRY, WINDOW, geometry
from tinygrad_cnn.kernels.reference.fused import NO_WINNER, Pooled
from tinygrad_cnn.kernels.table import get, kernel
from tinygrad_cnn.shapes import Shape, Window

Array = Any

im2col = Each(
    f"raw T x, int32 N, int32 C, int64 sample, int64 channel, {GEOMETRY}", "T column",
    """
    // i counts through (C, R, S, N, P, Q)
    int e = i, q = e % Q, p = e / Q % P, n = e / Q / P % N;
    int tap = e / Q / P / N, s = tap % S, r = tap / S % R, c = tap / S / R;
    int h = p * down - top + r * lower, w = q * right - left + s * further;
    bool inside = 0 <= h && h < H && 0 <= w && w < W;
    column = inside ? x[n * sample + c * channel + h * W + w] : T(0)
    """,
    name="im2col",
)  # fmt: skip
col2im = Each(
    f"raw T columns, int32 N, {GEOMETRY}", "T dx",
    # a plane is (c, n) here: i counts through (C, N, H, W); a column is (c, r, s, n, p, q)
    "T sum = 0;" + FOR_EACH_OUTPUT + """
            int c = plane / N, n = plane % N;
            at = ((((c * R + r) * S + s) * N + n) * P + p / down) * Q + q / right;
            sum += columns[at];
        }
    }
    dx = sum
    """,
    name="col2im",
)  # fmt: skip


def columns_of(x: Array, window: Window, outs: Shape) -> Array:
    """(C·R·S, N·P·Q), from images with the samples or the channels outermost."""
    N, C = x.shape[:2]
    plane = math.prod(x.shape[2:])
    if x.swapaxes(0, 1).flags.c_contiguous:
        x, sample, channel = x.swapaxes(0, 1), plane, N * plane
    else:
        x, sample, channel = in_one_piece(x), C * plane, plane
    columns = namespace(x).empty((C * len(window), N * math.prod(outs)), x.dtype)
    im2col(x, N, C, sample, channel, *geometry((N, C, *_sizes(x)), outs, window), columns)
    return columns


def _sizes(x: Array) -> Shape:
    return tuple(x.shape[2:])


def _columns_fit(x: Array, window: Window, outs: Shape) -> bool:
    return x.shape[0] * x.shape[1] * len(window) * math.prod(outs) < 2**31


@kernel("conv1d_forward", backend="cuda")
@kernel("conv2d_forward", backend="cuda")
def conv_forward(
    x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1, relu: bool = False
) -> Array:
    """As in `reference/`; the result has the channels outermost."""
    N, outs = len(x), window.outs(_sizes(x))
    if not taken(x, weight, bias) or not _columns_fit(x, window, outs):
        return NotImplemented
    K = len(weight)
    y = products(_matrices(weight, groups), _in_groups(columns_of(x, window, outs), groups))
    finish(y, None if bias is None else bias.reshape(K, 1), relu)
    return y.reshape(K, N, *outs).swapaxes(0, 1)


def products(lefts: Array, rights: Array) -> Array:
    """`left @ right` for each group, below each other; of one group a product of two matrices, which may be TF32."""
    if len(lefts) == 1:
        return lefts[0] @ rights[0]
    return (lefts @ rights).reshape(lefts.shape[0] * lefts.shape[1], rights.shape[2])


def _in_groups(matrix: Array, groups: int) -> Array:
    rows, columns = matrix.shape
    return matrix.reshape(groups, rows // groups, columns)


def _matrices(weight: Array, groups: int) -> Array:
    return _in_groups(weight.reshape(len(weight), math.prod(weight.shape[1:])), groups)


@kernel("conv1d_backward", backend="cuda")
@kernel("conv2d_backward", backend="cuda")
def conv_backward(
    dy: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array, ...]:
    """As in `reference/`; dx has the channels outermost."""
    N, C = x.shape[:2]
    K, outs = len(weight), _sizes(dy)
    if not taken(dy, weight, *([x] if needs.weight else [])) or not _columns_fit(x, window, outs):
        return NotImplemented
    rows = dy.swapaxes(0, 1).reshape(K, N * math.prod(outs))
    dx = dweight = dbias = None
    if needs.x:
        dcolumns = products(_matrices(weight, groups).swapaxes(1, 2), _in_groups(rows, groups))
        lying = namespace(dy).empty((C, N, *_sizes(x)), dy.dtype)
        col2im(dcolumns, N, *geometry(x.shape, outs, window), lying)
        dx = lying.swapaxes(0, 1)
        del dcolumns  # as large as the columns, which come next
    if needs.weight:
        columns = _in_groups(columns_of(x, window, outs), groups)
        dweight = products(_in_groups(rows, groups), columns.swapaxes(1, 2)).reshape(weight.shape)
    if needs.bias:
        dbias = rows.sum(axis=1)
    return dx, dweight, dbias


@kernel("conv2d_relu_forward", backend="cuda")
def _(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    return conv_forward(x, weight, bias, window, groups, relu=True)


@kernel("conv2d_relu_backward", backend="cuda")
def _(
    dy: Array, y: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array, ...]:
    if not taken(dy, y):
        return NotImplemented
    dy, y = (a.swapaxes(0, 1) for a in (dy, y))  # as y lies
    return get("conv2d_backward")(where_positive(dy, y).swapaxes(0, 1), x, weight, window, groups, needs=needs)


bias_relu_max_pool = Each(
    f"raw T x, raw T bias, int32 N, T lowest, {GEOMETRY}", "T y, uint8 winner",
    # planes are (k, n); the bias is the same for all pixels of a window, so it is added to the largest alone
    WINDOW + "T largest = lowest; int first = -1;" + FOR_EACH_PIXEL + """
            if (first < 0 || x[at] > largest || x[at] != x[at]) { largest = x[at]; first = r * S + s; }
        }
    }
    largest += bias[plane / N];
    y = largest <= 0 && first >= 0 ? T(0) : largest;  // ReLU; of a window that met no pixel, −∞
    winner = largest > 0 ? first : 255
    """,
    name="bias_relu_max_pool",
)  # fmt: skip


@kernel("conv2d_relu_max_pool2d_forward", backend="cuda")
def _(
    x: Array, weight: Array, bias: Array | None, pool: Window, window: Window, groups: int = 1, needs: Any = None
) -> tuple[Array, Pooled]:
    if bias is None or len(pool) >= NO_WINNER:
        return NotImplemented
    between = conv_forward(x, weight, None, window, groups)
    if between is NotImplemented:
        return NotImplemented
    outs = pool.outs(_sizes(between))
    y, lying = empty(x, (*between.shape[:2], *outs), swapped=True)
    winner, winner_lying = empty(x, y.shape, swapped=True, dtype="uint8")
    sizes = geometry(between.shape, outs, pool)
    bias_relu_max_pool(between.swapaxes(0, 1), bias, len(x), -math.inf, *sizes, lying, winner_lying)
    return y, (winner, None)


@kernel("conv2d_relu_max_pool2d_backward", backend="cuda")
def _(
    dy: Array, kept: Pooled, x: Array, weight: Array, pool: Window, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array, ...]:
    if len(pool) >= NO_WINNER or not taken(dy):
        return NotImplemented
    winner, _ = kept  # NO_WINNER is the number of no tap, so nothing goes back there
    between = (len(x), len(weight), *window.outs(_sizes(x)))
    dbetween = get("max_pool2d_backward")(dy, winner, between, pool)
    return get("conv2d_backward")(dbetween, x, weight, window, groups, needs=needs)
