"""Normalisation: the sums by one kernel each, and everything that happens to an element by one kernel."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.kernels.cuda.each import Each, Sum, taken
from tinygrad_cnn.kernels.cuda.layout import channels_outermost, empty, in_one_piece
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape

Array = Any

sum_of_squares = Sum("T x, T mean", "T total", "(x - mean) * (x - mean)", name="sum_of_squares")
spread = Each(
    "T total, T count, T eps", "T var, T inverse_std", "var = total / count; inverse_std = 1 / sqrt(var + eps)",
    name="spread",
)  # fmt: skip
normalise = Each(
    "T x, T mean, T inverse_std, T weight, T bias", "T y", "y = (x - mean) * inverse_std * weight + bias",
    name="normalise_forward",
)  # fmt: skip
#: Σ dy·x̂
sum_of_products = Sum(
    "T dy, T x, T mean, T inverse_std", "T total", "dy * ((x - mean) * inverse_std)", name="sum_of_products"
)
normalise_backward = Each(
    "T dy, T x, T mean, T inverse_std, T weight, T sum, T products, T count", "T dx",
    "dx = inverse_std * weight * (dy - sum / count - (x - mean) * inverse_std * (products / count))",
    name="normalise_backward",
)  # fmt: skip


@kernel("normalise_forward", backend="cuda")
def _(x: Array, weight: Array | None, bias: Array | None, axes: tuple[int, ...], eps: float) -> tuple[Array, ...]:
    if not taken(x, weight, bias):
        return NotImplemented
    count = max(1, math.prod(x.shape[axis] for axis in axes))
    mean = x.sum(axis=axes, keepdims=True) / count
    var, inverse_std = spread(sum_of_squares(x, mean, axis=axes), count, eps)
    swapped = channels_outermost(x)
    y, lying = empty(x, x.shape, swapped)
    seen = [_seen(a, swapped) for a in (x, mean, inverse_std, weight, bias)]
    normalise(*(default if a is None else a for a, default in zip(seen, (0, 0, 1, 1, 0))), lying)
    return y, mean, inverse_std, var


@kernel("normalise_backward", backend="cuda")
def _(
    dy: Array,
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    axes: tuple[int, ...],
    beside: Shape,
    needs: Any,
) -> tuple[Array | None, ...]:
    repeated = tuple(axis for axis, size in enumerate(beside) if size == 1)
    # where a weight is a mean's own (batch norm), the sums are taken once for both
    own = all(axis in repeated or x.shape[axis] == 1 for axis in axes) and all(
        axis in axes or x.shape[axis] == 1 for axis in repeated
    )
    if not taken(dy, x, mean, inverse_std, weight) or not own or not x.size:
        return NotImplemented
    total = dy.sum(axis=repeated, keepdims=True)
    products = sum_of_products(dy, x, mean, inverse_std, axis=repeated)
    dx = None
    if needs.x:
        swapped = channels_outermost(x)
        dx, lying = empty(x, x.shape, swapped)
        seen = [_seen(a, swapped) for a in (dy, x, mean, inverse_std, weight, total, products)]
        count = math.prod(x.shape[axis] for axis in axes)
        normalise_backward(*(1 if a is None else a for a in seen), count, lying)
    return dx, products if needs.weight else None, total if needs.bias else None


def _seen(a: Array | None, swapped: bool) -> Array | None:
    return a.swapaxes(0, 1) if swapped and a is not None else a


# the channels that count in channel c's sum, and backward those in whose sums it counts
local_response_norm_forward = Each(
    "raw T x, int32 C, int32 pixels, int32 size, T alpha, T beta, T k", "T y, T t",
    """
    int e = i, c = e / pixels % C;
    T squares = 0;
    for (int j = max(0, c - size / 2); j <= min(C - 1, c + (size - 1) / 2); j++) {
        T value = x[e + (j - c) * pixels];
        squares += value * value;
    }
    t = k + alpha / size * squares;
    y = x[e] * pow(t, -beta)
    """,
    name="local_response_norm_forward",
)  # fmt: skip
local_response_norm_backward = Each(
    "raw T dy, raw T x, raw T t, int32 C, int32 pixels, int32 size, T alpha, T beta", "T dx",
    """
    int e = i, c = e / pixels % C;
    T through_t = 0;
    for (int j = max(0, c - (size - 1) / 2); j <= min(C - 1, c + size / 2); j++) {
        int at = e + (j - c) * pixels;
        through_t += dy[at] * pow(t[at], -beta) * x[at] / t[at];
    }
    dx = dy[e] * pow(t[e], -beta) - 2 * alpha * beta / size * x[e] * through_t
    """,
    name="local_response_norm_backward",
)  # fmt: skip


def _pixels(x: Array, swapped: bool) -> tuple[int, int]:
    """How many channels there are, and how far two of them are from each other."""
    return x.shape[1], math.prod(x.shape[2:]) * (len(x) if swapped else 1)


def _with_t(x: Array, size: int, alpha: float, beta: float, k: float) -> tuple[Array, Array, bool]:
    swapped = channels_outermost(x)
    y, lying = empty(x, x.shape, swapped)
    _, t = empty(x, x.shape, swapped)
    local_response_norm_forward(in_one_piece(x, swapped), *_pixels(x, swapped), size, alpha, beta, k, lying, t)
    return y, t, swapped


@kernel("local_response_norm_forward", backend="cuda")
def _(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    return _with_t(x, size, alpha, beta, k)[0] if taken(x) else NotImplemented


@kernel("local_response_norm_backward", backend="cuda")
def _(dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    if not taken(dy, x):
        return NotImplemented
    _, t, swapped = _with_t(x, size, alpha, beta, k)
    dx, lying = empty(x, x.shape, swapped)
    arrays = in_one_piece(dy, swapped), in_one_piece(x, swapped), t
    local_response_norm_backward(*arrays, *_pixels(x, swapped), size, alpha, beta, lying)
    return dx
