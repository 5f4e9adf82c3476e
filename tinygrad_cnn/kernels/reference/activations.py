"""Element-wise non-linearities, and softmax."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape

Array = Any


@kernel("relu_forward")
def relu_forward(x: Array) -> tuple[Array, Array]:
    """`y = max(x, 0)`, and the mask where x lets the gradient through."""
    xp = namespace(x)
    return xp.maximum(x, 0), x > 0


@kernel("relu_backward")
def relu_backward(dy: Array, mask: Array) -> Array:
    """`dx = dy` where x was positive, else 0 (dy·mask would make NaN of an infinite dy)."""
    return namespace(dy).where(mask, dy, 0)


@kernel("sigmoid_forward")
def sigmoid_forward(x: Array) -> Array:
    """`y = 1 / (1 + e⁻ˣ)`; for negative x as `eˣ / (1 + eˣ)`: no exp overflows, small results keep their digits."""
    xp = namespace(x)
    return xp.exp(xp.minimum(x, 0)) / (1 + xp.exp(-xp.abs(x)))


@kernel("sigmoid_backward")
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """`dx = dy·y·(1 − y)`."""
    return dy * (y * (1 - y))


@kernel("tanh_forward")
def tanh_forward(x: Array) -> Array:
    """`y = tanh(x)`."""
    return namespace(x).tanh(x)


@kernel("tanh_backward")
def tanh_backward(dy: Array, y: Array) -> Array:
    """`dx = dy·(1 − y²)`."""
    return dy * (1 - y * y)


@kernel("softmax_forward")
def softmax_forward(x: Array, dim: int) -> Array:
    """`yᵢ = eˣⁱ / Σⱼ eˣʲ` along `dim`."""
    xp = namespace(x)
    e = xp.exp(x - highest(x, dim))  # shift by the max: exp overflows float32 above 88
    return e / e.sum(axis=dim, keepdims=True)


@kernel("softmax_backward")
def softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """`dxᵢ = yᵢ·(dyᵢ − Σⱼ dyⱼ·yⱼ)`."""
    return y * (dy - (dy * y).sum(axis=dim, keepdims=True))


@kernel("log_softmax_forward")
def log_softmax_forward(x: Array, dim: int) -> Array:
    """`yᵢ = xᵢ − log Σⱼ eˣʲ` along `dim`."""
    xp = namespace(x)
    shifted = x - highest(x, dim)
    return shifted - xp.log(xp.exp(shifted).sum(axis=dim, keepdims=True))


@kernel("log_softmax_backward")
def log_softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """`dxᵢ = dyᵢ − eʸⁱ·Σⱼ dyⱼ`."""
    return dy - namespace(y).exp(y) * dy.sum(axis=dim, keepdims=True)


def highest(x: Array, dims: int | Shape) -> Array:
    """The maximum along `dims`, which stay with size 1; of no numbers −∞ (CuPy's `max` knows no `initial`)."""
    if x.size:
        return x.max(axis=dims, keepdims=True)
    return x.sum(axis=dims, keepdims=True) - namespace(x).inf
