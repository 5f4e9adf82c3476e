"""Activation functions as layers."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import init, parameter
from tinygrad_cnn.nn.arguments import one_of, whole
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.shapes import Shape, ShapeError


class _Activation(Module):
    """A function of each element, whose settings are shown as in PyTorch."""

    inplace = False
    settings: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        """The settings, and `inplace` where it is not the default."""
        shown = [f"{name}={getattr(self, name)!r}" for name in self.settings]
        return ", ".join(shown + ["inplace=True"] * self.inplace)


class ReLU(_Activation):
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


class LeakyReLU(_Activation):
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

    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.leaky_relu(x, self.negative_slope)


class PReLU(_Activation):
    """ReLU whose slope for negative values is learned.

    Formula: `y = x` where x > 0, else `weight·x`, with one weight, or one per channel.

    Args:
        num_parameters: 1, or C for one weight per channel.
        init: The weights' first value.
        device: Where they live.
        dtype: Their number format, float32 by default.

    Attributes:
        weight: (num_parameters,).

    Raises:
        ShapeError: If there are several weights, and x has another number of channels.

    Source: He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", section 2.1.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.PReLU()(tcnn.tensor([-4.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.init = init
        self.weight = parameter.zeros(whole("PReLU", "num_parameters", num_parameters), device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Forget what was learned."""
        init.constant_(self.weight, self.init)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.prelu(x, self.weight)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample, unchanged.

        Raises:
            ShapeError: If there are several weights, and another number of channels.
        """
        (weights,) = self.weight.shape
        if weights not in (1, *shape[:1]):
            raise ShapeError(f"PReLU: a sample {shape} must have num_parameters={weights} channels")
        return shape

    def extra_repr(self) -> str:
        """The number of weights."""
        return f"num_parameters={len(self.weight)}"


class ELU(_Activation):
    """ReLU that bends smoothly to −alpha for negative values.

    Formula: `y = x` where x > 0, else `alpha·(eˣ − 1)`.

    Args:
        alpha: How far down.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.

    Source: Clevert, Unterthiner & Hochreiter 2016, "Fast and accurate deep network learning by exponential linear
    units", section 3.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ELU()(tcnn.tensor([-100.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.elu(x, self.alpha)


class SELU(_Activation):
    """The ELU that keeps mean 0 and variance 1 from layer to layer.

    Formula: `y = 1.0507·x` where x > 0, else `1.0507·1.6733·(eˣ − 1)`.

    Args:
        inplace: Accepted for PyTorch's sake; the input is never overwritten.

    Source: Klambauer et al. 2017, "Self-normalizing neural networks", equation 2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> [round(y, 4) for y in nn.SELU()(tcnn.tensor([-100.0, 0.0, 1.0])).tolist()]   # −1.0507·1.6733
    [-1.7581, 0.0, 1.0507]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.selu(x)


class GELU(_Activation):
    """Each number times the share of the normal distribution that lies below it.

    Formula: `y = x·Φ(x)`.

    Args:
        approximate: `"tanh"` computes `x/2·(1 + tanh(√(2/π)·(x + 0.044715x³)))` instead.

    Raises:
        ValueError: If `approximate` is another word.

    Source: Hendrycks & Gimpel 2016, "Gaussian error linear units", section 2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> round(nn.GELU()(tcnn.tensor([1.0])).item(), 4)   # 84.13 % lie below one standard deviation
    0.8413
    """

    settings = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = one_of("GELU", "approximate", approximate, ("none", "tanh"))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.gelu(x, self.approximate)


class SiLU(_Activation):
    """Each number times its sigmoid, also called swish.

    Formula: `y = x / (1 + e⁻ˣ)`.

    Args:
        inplace: Accepted for PyTorch's sake; the input is never overwritten.

    Source: Elfwing, Uchibe & Doya 2018, "Sigmoid-weighted linear units", section 2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.SiLU()(tcnn.tensor([0.0, 100.0])).tolist()
    [0.0, 100.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.silu(x)


class Hardtanh(_Activation):
    """Numbers held between two limits.

    Formula: `y = min(max(x, min_val), max_val)`.

    Args:
        min_val: The lower limit.
        max_val: The upper limit.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.

    Raises:
        ValueError: If the lower limit is not below the upper one.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Hardtanh()(tcnn.tensor([-3.0, 0.5, 3.0])).tolist()
    [-1.0, 0.5, 1.0]
    """

    settings: tuple[str, ...] = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if min_val >= max_val:
            raise ValueError(f"{type(self).__name__}: min_val={min_val} must be below max_val={max_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.hardtanh(x, self.min_val, self.max_val)


class ReLU6(Hardtanh):
    """ReLU that ends at 6.

    Formula: `y = min(max(x, 0), 6)`.

    Args:
        inplace: Accepted for PyTorch's sake; the input is never overwritten.

    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10", section 2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ReLU6()(tcnn.tensor([-1.0, 2.0, 7.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    settings = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class Softplus(_Activation):
    """The smooth ReLU.

    Formula: `y = log(1 + e^(beta·x)) / beta`, and x itself where beta·x is above the threshold.

    Args:
        beta: How sharply it bends.
        threshold: Above it the difference from x is not worth computing.

    Source: Dugas et al. 2001, "Incorporating second-order functional knowledge for better option pricing", section 3.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> [round(y, 4) for y in nn.Softplus()(tcnn.tensor([-1000.0, 0.0, 30.0])).tolist()]   # log 2 in the middle
    [0.0, 0.6931, 30.0]
    """

    settings = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.softplus(x, self.beta, self.threshold)


class LogSigmoid(Module):
    """The logarithm of the sigmoid, computed without overflow.

    Formula: `y = −log(1 + e⁻ˣ)`, 0 at most.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.LogSigmoid()(tcnn.tensor([-1000.0])).tolist()
    [-1000.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.logsigmoid(x)


class Sigmoid(Module):
    """The logistic function, into (0, 1).

    Formula: `y = 1 / (1 + e⁻ˣ)`; its slope is `y·(1 − y)`, 1/4 at most: gradients shrink in every layer of them.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", equation 2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Sigmoid()(tcnn.tensor([0.0, 100.0])).tolist()   # 1/(1 + 1)
    [0.5, 1.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent, into (−1, 1).

    Formula: `y = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)`; its slope is `1 − y²`.

    Source: LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp", section 4.4: outputs around 0 suit the next layer.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Tanh()(tcnn.tensor([0.0, 100.0, -100.0])).tolist()
    [0.0, 1.0, -1.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.tanh(x)


class Softmax(Module):
    """Numbers as probabilities that add up to 1 along one axis.

    Formula: `yᵢ = eˣⁱ / Σⱼ eˣʲ`.

    Args:
        dim: The axis, usually 1, the classes'.

    Raises:
        ValueError: When it is used without a dim.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

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


class Softmax2d(Module):
    """Softmax over the channels, at each pixel of an image.

    Formula: `y_c = eˣᶜ / Σⱼ eˣʲ`, the sum over the channels.

    Raises:
        ShapeError: If x is not (N, C, H, W) or (C, H, W).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Softmax2d()(tcnn.tensor([[[5.0]], [[5.0]]])).tolist()
    [[[0.5]], [[0.5]]]
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if x.ndim not in (3, 4):
            raise ShapeError(f"Softmax2d: x has shape {x.shape}, it must be (N, C, H, W) or (C, H, W)")
        return F.softmax(x, -3)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample, unchanged.

        Raises:
            ShapeError: If it is not (C, H, W).
        """
        if len(shape) != 3:
            raise ShapeError(f"Softmax2d: a sample of shape {shape} must be (C, H, W)")
        return shape


class LogSoftmax(Module):
    """The logarithm of softmax, computed without overflow.

    Formula: `yᵢ = xᵢ − log Σⱼ eˣʲ`.

    Args:
        dim: The axis, usually 1, the classes'.

    Raises:
        ValueError: When it is used without a dim.

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
