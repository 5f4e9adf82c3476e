"""Activation functions as layers."""

from __future__ import annotations

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.module import Module


class ReLU(Module):
    """Rectified linear unit.

    Formula: `y = max(x, 0)`.

    Args:
        inplace: Accepted for PyTorch's sake; the result is the same and the input is never overwritten.

    Source: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ReLU()(tcnn.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.relu(x)

    def extra_repr(self) -> str:
        """What is not the default."""
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    """ReLU that lets a little of negative values through.

    Formula: `y = x` where x > 0, else `negative_slope·x`.

    Args:
        negative_slope: How much.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.

    Source: Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.LeakyReLU(0.5)(tcnn.tensor([-2.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Sigmoid(Module):
    """The logistic function, into (0, 1).

    Formula: `y = 1 / (1 + e⁻ˣ)`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Sigmoid()(tcnn.tensor([0.0])).tolist()
    [0.5]
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent, into (−1, 1).

    Formula: `y = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Tanh()(tcnn.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.tanh(x)


class Softmax(Module):
    """Numbers as probabilities that add up to 1 along one axis.

    Formula: `yᵢ = eˣⁱ / Σⱼ eˣʲ`.

    Args:
        dim: The axis, usually 1, the classes'.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Softmax(dim=1)(tcnn.tensor([[5.0, 5.0]])).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.softmax(x, _axis(self, self.dim))

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of softmax, computed without overflow.

    Formula: `yᵢ = xᵢ − log Σⱼ eˣʲ`.

    Args:
        dim: The axis, usually 1, the classes'.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.LogSoftmax(dim=1)(tcnn.tensor([[1000.0, 0.0]])).tolist()
    [[0.0, -1000.0]]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.log_softmax(x, _axis(self, self.dim))

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


def _axis(layer: Module, dim: int | None) -> int:
    if dim is None:
        name = type(layer).__name__
        raise ValueError(f"{name}: which axis holds the classes is not clear; write {name}(dim=1)")
    return dim
