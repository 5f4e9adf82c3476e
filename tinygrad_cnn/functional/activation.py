"""Activations: a function of each element, and softmax along one dimension."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`; `inplace` is accepted for PyTorch's sake, the input is never overwritten.

    >>> relu(Tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return Tensor._as_tensor(input).relu()


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Keep what is positive, multiply the rest by `negative_slope`; `inplace` as in `relu`.

    >>> leaky_relu(Tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5,  2. ])
    """
    return apply(ops.LeakyReLU(float(negative_slope)), Tensor._as_tensor(input))


def sigmoid(input: Tensor) -> Tensor:
    """`1/(1 + e⁻ˣ)`."""
    return Tensor._as_tensor(input).sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return Tensor._as_tensor(input).tanh()


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + e^(beta·x))/beta`, without overflow; x itself where `beta·x` is above the threshold.

    >>> softplus(Tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.    ])
    """
    x = Tensor._as_tensor(input)
    x._needs_float("softplus")
    scaled = x if beta == 1 else x * beta
    y = apply(ops.Softplus(), scaled)
    return x.where(scaled > threshold, y if beta == 1 else y / beta)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Probabilities along `dim`: `eˣ / Σ eˣ`; computed in another format if `dtype` names one.

    >>> softmax(Tensor([0.0, 0.0]), dim=0)
    tensor([0.5, 0.5])
    """
    return Tensor._as_tensor(input).softmax(dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax(x, dim)`, computed without overflow."""
    return Tensor._as_tensor(input).log_softmax(dim, dtype)
