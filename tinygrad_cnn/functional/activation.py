"""Activations: a function of each element, and softmax along one dimension."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import ShapeError


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
    return _of_floats(ops.LeakyReLU(float(negative_slope)), input)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Keep what is positive, multiply the rest by a learned weight.

    Args:
        input: x, (N, C, …), or of any shape if there is one weight.
        weight: (C,) or (1,).

    Raises:
        ShapeError: If there is neither one weight nor one per channel.

    Source: He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", section 2.1.

    >>> prelu(Tensor([[-1.0, -1.0, 2.0]]), Tensor([0.5, 0.25, 0.1]))
    tensor([[-0.5 , -0.25,  2.  ]])
    """
    x = Tensor._as_tensor(input)
    if weight.numel() != 1:
        if weight.shape != x.shape[1:2]:
            raise ShapeError(
                f"prelu: weight {weight.shape} must have one entry, or one per channel of x {x.shape}, (N, C) or "
                "(N, C, …)"
            )
        weight = weight.reshape((-1,) + (1,) * (x.ndim - 2))
    return _of_floats(ops.PReLU(), x, weight.reshape(()) if x.ndim == 0 else weight)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Keep what is positive, else `alpha·(eˣ − 1)`; `inplace` as in `relu`.

    Source: Clevert, Unterthiner & Hochreiter 2016, "Fast and accurate deep network learning by exponential linear
    units", section 3.

    >>> elu(Tensor([-100.0, 2.0]))
    tensor([-1.,  2.])
    """
    return _of_floats(ops.ELU(float(alpha)), input)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`1.0507·elu(x, 1.6733)`, which keeps mean 0 and variance 1 from layer to layer; `inplace` as in `relu`.

    Source: Klambauer et al. 2017, "Self-normalizing neural networks", equation 2.

    >>> selu(Tensor([0.0, 1.0]))
    tensor([0.    , 1.0507])
    """
    return _of_floats(ops.ELU(1.6732632423543772, 1.0507009873554805), input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`x·Φ(x)`, Φ being the normal distribution's share below x.

    Args:
        input: x, of any shape.
        approximate: `"tanh"` computes `x/2·(1 + tanh(√(2/π)·(x + 0.044715x³)))` instead.

    Raises:
        ValueError: If `approximate` is another word.

    Source: Hendrycks & Gimpel 2016, "Gaussian error linear units", section 2.

    >>> gelu(Tensor([0.0, 1.0]))   # 84.13 % lie below one standard deviation
    tensor([0.    , 0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate={approximate!r} must be "none" or "tanh"')
    return _of_floats(ops.GELU(approximate), input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`x·σ(x)` with the sigmoid σ, also called swish; `inplace` as in `relu`.

    Source: Elfwing, Uchibe & Doya 2018, "Sigmoid-weighted linear units", section 2.

    >>> silu(Tensor([0.0, 100.0]))
    tensor([  0., 100.])
    """
    return _of_floats(ops.SiLU(), input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Hold x between `min_val` and `max_val`; `inplace` as in `relu`.

    Raises:
        ValueError: If `min_val` is not below `max_val`.

    >>> hardtanh(Tensor([-3.0, 0.5, 3.0]))
    tensor([-1. ,  0.5,  1. ])
    """
    if min_val >= max_val:
        raise ValueError(f"hardtanh: min_val={min_val} must be below max_val={max_val}")
    return _of_floats(ops.Hardtanh(min_val, max_val), input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(x, 0), 6)`; `inplace` as in `relu`.

    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10", section 2.

    >>> relu6(Tensor([-1.0, 2.0, 7.0]))
    tensor([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0)


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
    return _of_floats(ops.Softplus(float(beta), float(threshold)), input)


def logsigmoid(input: Tensor) -> Tensor:
    """`log(1/(1 + e⁻ˣ))`, without overflow.

    >>> logsigmoid(Tensor([0.0, -1000.0]))
    tensor([-6.9315e-01, -1.0000e+03])
    """
    return -softplus(-Tensor._as_tensor(input), threshold=math.inf)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Probabilities along `dim`: `eˣ / Σ eˣ`; computed in another format if `dtype` names one.

    >>> softmax(Tensor([0.0, 0.0]), dim=0)
    tensor([0.5, 0.5])
    """
    return Tensor._as_tensor(input).softmax(dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax(x, dim)`, computed without overflow."""
    return Tensor._as_tensor(input).log_softmax(dim, dtype)


def _of_floats(operation: Function, input: Tensor, *rest: Tensor) -> Tensor:
    x = Tensor._as_tensor(input)
    x._needs_float(operation.name)
    return apply(operation, x, *rest)
