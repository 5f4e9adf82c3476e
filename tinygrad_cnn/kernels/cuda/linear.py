"""The fully connected layer: the array library's product, and what surrounds it in one kernel."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.kernels.cuda.each import Each, taken
from tinygrad_cnn.kernels.table import get, kernel

Array = Any

add_bias = Each("T bias", "T y", "y += bias", name="add_bias")
add_bias_relu = Each("T bias", "T y", "T sum = y + bias; y = sum <= 0 ? T(0) : sum", name="add_bias_relu")
cut_off = Each("T x", "T y", "y = x <= 0 ? T(0) : x", name="relu_in_place")
where_positive = Each("T dy, T y", "T dx", "dx = y > 0 ? dy : T(0)", name="where_positive")


def finish(y: Array, bias: Array | None, relu: bool) -> None:
    """Add the bias to a product and cut off what is negative, where it lies."""
    if bias is not None:
        (add_bias_relu if relu else add_bias)(bias, y)
    elif relu:
        cut_off(y, y)


@kernel("linear_forward", backend="cuda")
def linear_forward(x: Array, weight: Array, bias: Array | None = None, relu: bool = False) -> Array:
    """As in `reference/`, the bias added in place."""
    if not taken(x, weight, bias):
        return NotImplemented
    y = x @ weight.T
    finish(y, bias, relu)
    return y


@kernel("linear_relu_forward", backend="cuda")
def _(x: Array, weight: Array, bias: Array | None = None) -> Array:
    return linear_forward(x, weight, bias, relu=True)


@kernel("linear_relu_backward", backend="cuda")
def _(dy: Array, y: Array, x: Array, weight: Array, needs: Any) -> tuple[Array, ...]:
    if not taken(dy, y):
        return NotImplemented
    return get("linear_backward")(where_positive(dy, y), x, weight, needs)
