"""Activations: a function of each element, and softmax along one dimension."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import ShapeError


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Keep what is positive, set the rest to 0.

    Formula: `y = max(x, 0)`; the gradient is dy where x > 0, else 0.

    Args:
        input: x, of any shape.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.

    Source: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

    >>> relu(Tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return Tensor._as_tensor(input).relu()


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Keep what is positive, multiply the rest by `negative_slope`; `inplace` as in `relu`.

    Formula: `y = x` where x > 0, else `negative_slope·x`.

    Source: Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> leaky_relu(Tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5,  2. ])
    """
    return _of_floats(ops.LeakyReLU(float(negative_slope)), input)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Keep what is positive, multiply the rest by a learned weight.

    Formula: `y = x` where x > 0, else `weight·x`.

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
    """Keep what is positive, bend the rest smoothly to −alpha; `inplace` as in `relu`.

    Formula: `y = x` where x > 0, else `alpha·(eˣ − 1)`.

    Source: Clevert, Unterthiner & Hochreiter 2016, "Fast and accurate deep network learning by exponential linear
    units", section 3.

    >>> elu(Tensor([-100.0, 2.0]))
    tensor([-1.,  2.])
    """
    return _of_floats(ops.ELU(float(alpha)), input)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The ELU that keeps mean 0 and variance 1 from layer to layer; `inplace` as in `relu`.

    Formula: `y = 1.0507·elu(x, alpha=1.6733)`.

    Source: Klambauer et al. 2017, "Self-normalizing neural networks", equation 2.

    >>> selu(Tensor([0.0, 1.0]))
    tensor([0.    , 1.0507])
    """
    return _of_floats(ops.ELU(1.6732632423543772, 1.0507009873554805), input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Each number times the share of the normal distribution that lies below it.

    Formula: `y = x·Φ(x)`.

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
    """Each number times its sigmoid, also called swish; `inplace` as in `relu`.

    Formula: `y = x·σ(x) = x / (1 + e⁻ˣ)`.

    Source: Elfwing, Uchibe & Doya 2018, "Sigmoid-weighted linear units", section 2.

    >>> silu(Tensor([0.0, 100.0]))
    tensor([  0., 100.])
    """
    return _of_floats(ops.SiLU(), input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Hold numbers between two limits; `inplace` as in `relu`.

    Formula: `y = min(max(x, min_val), max_val)`.

    Raises:
        ValueError: If `min_val` is not below `max_val`.

    >>> hardtanh(Tensor([-3.0, 0.5, 3.0]))
    tensor([-1. ,  0.5,  1. ])
    """
    if min_val >= max_val:
        raise ValueError(f"hardtanh: min_val={min_val} must be below max_val={max_val}")
    return _of_floats(ops.Hardtanh(min_val, max_val), input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """ReLU that ends at 6; `inplace` as in `relu`.

    Formula: `y = min(max(x, 0), 6)`.

    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10", section 2.

    >>> relu6(Tensor([-1.0, 2.0, 7.0]))
    tensor([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0)


def sigmoid(input: Tensor) -> Tensor:
    """The logistic function, into (0, 1).

    Formula: `y = 1/(1 + e⁻ˣ)`; the gradient is `dy·y·(1 − y)`.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", equation 2.

    >>> sigmoid(Tensor([0.0, 100.0]))
    tensor([0.5, 1. ])
    """
    return Tensor._as_tensor(input).sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent, into (−1, 1).

    Formula: `y = (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ)`; the gradient is `dy·(1 − y²)`.

    Source: LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp", section 4.4.

    >>> tanh(Tensor([0.0, 100.0]))
    tensor([0., 1.])
    """
    return Tensor._as_tensor(input).tanh()


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """The smooth ReLU, without overflow.

    Formula: `y = log(1 + e^(beta·x))/beta`; x itself where `beta·x` is above the threshold.

    Source: Dugas et al. 2001, "Incorporating second-order functional knowledge for better option pricing", section 3.

    >>> softplus(Tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.    ])
    """
    return _of_floats(ops.Softplus(float(beta), float(threshold)), input)


def logsigmoid(input: Tensor) -> Tensor:
    """The logarithm of the sigmoid, without overflow.

    Formula: `y = −log(1 + e⁻ˣ)`.

    >>> logsigmoid(Tensor([0.0, -1000.0]))
    tensor([-6.9315e-01, -1.0000e+03])
    """
    return -softplus(-Tensor._as_tensor(input), threshold=math.inf)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Numbers as probabilities, which add up to 1 along `dim`.

    Formula: `yᵢ = eˣⁱ / Σⱼ eˣʲ`; the largest x is subtracted first, which changes nothing, and nothing overflows.

    Args:
        input: x, of any shape.
        dim: The axis, usually 1, the classes'.
        dtype: Another number format to compute in.

    Raises:
        ShapeError: If there is no such axis.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

    >>> softmax(Tensor([0.0, 0.0]), dim=0)
    tensor([0.5, 0.5])
    >>> softmax(Tensor([[0.0, 1000.0]]), dim=1)
    tensor([[0., 1.]])
    """
    return Tensor._as_tensor(input).softmax(dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax(x, dim)`, without overflow; arguments as there.

    Formula: `yᵢ = xᵢ − log Σⱼ eˣʲ`.

    >>> log_softmax(Tensor([[0.0, 1000.0]]), dim=1)
    tensor([[-1000.,     0.]])
    """
    return Tensor._as_tensor(input).log_softmax(dim, dtype)


def _of_floats(operation: Function, input: Tensor, *rest: Tensor) -> Tensor:
    x = Tensor._as_tensor(input)
    x._needs_float(operation.name)
    return apply(operation, x, *rest)
