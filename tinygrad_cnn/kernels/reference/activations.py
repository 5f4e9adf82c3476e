"""Element-wise non-linearities, and softmax."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.table import kernel

Array = Any


@kernel("relu_forward")
def relu_forward(x: Array) -> tuple[Array, Array]:
    """`y = max(x, 0)`, and the mask where x lets the gradient through."""
    xp = namespace(x)
    return xp.maximum(x, 0), x > 0


@kernel("relu_backward")
def relu_backward(dy: Array, mask: Array) -> Array:
    """`dx = dy` where x was positive, else 0."""
    return dy * mask


@kernel("sigmoid_forward")
def sigmoid_forward(x: Array) -> Array:
    """`y = 1 / (1 + e⁻ˣ)`, computed by tanh, which overflows nowhere: `σ(x) = (1 + tanh(x/2)) / 2`."""
    xp = namespace(x)
    return 0.5 * xp.tanh(0.5 * x) + 0.5


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
    e = xp.exp(x - x.max(axis=dim, keepdims=True))  # shift by the max: exp overflows float32 above 88
    return e / e.sum(axis=dim, keepdims=True)


@kernel("softmax_backward")
def softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """`dxᵢ = yᵢ·(dyᵢ − Σⱼ dyⱼ·yⱼ)`."""
    return y * (dy - (dy * y).sum(axis=dim, keepdims=True))


@kernel("log_softmax_forward")
def log_softmax_forward(x: Array, dim: int) -> Array:
    """`yᵢ = xᵢ − log Σⱼ eˣʲ` along `dim`."""
    xp = namespace(x)
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=dim, keepdims=True))


@kernel("log_softmax_backward")
def log_softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """`dxᵢ = dyᵢ − eʸⁱ·Σⱼ dyⱼ`."""
    return dy - namespace(y).exp(y) * dy.sum(axis=dim, keepdims=True)
