"""Fully connected layers and what stands before them."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import init, parameter
from tinygrad_cnn.nn.arguments import whole
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import Shape, ShapeError, one_dim


class Linear(Module):
    """A fully connected layer.

    Formula: `y = x·weightᵀ + bias`.

    Args:
        in_features: F, length of an input vector.
        out_features: D, length of an output vector.
        bias: Whether to add a bias.
        device: Where the parameters live.
        dtype: Their number format, float32 by default.
        generator: Draws the first values; the default generator if None.

    Attributes:
        weight: (D, F), drawn from ±1/√F.
        bias: (D,), drawn from ±1/√F, or None.

    Raises:
        ShapeError: If a size is not positive.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> layer = nn.Linear(2, 1)
    >>> layer.load_state_dict({"weight": [[1.0, 2.0]], "bias": [3.0]})
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    >>> layer(tcnn.tensor([[10.0, 20.0]])).tolist()   # 1·10 + 2·20 + 3
    [[53.0]]
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = whole("Linear", "in_features", in_features)
        self.out_features = whole("Linear", "out_features", out_features)
        self.weight = parameter.zeros(self.out_features, self.in_features, device=device, dtype=dtype)
        self.register_parameter(
            "bias", parameter.zeros(self.out_features, device=device, dtype=dtype) if bias else None
        )
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the first values again."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5), generator=generator)
        init.bias_like_(self.bias, self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(..., F) → (..., D)."""
        return F.linear(x, self.weight, self.bias)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample, (..., F) → (..., D).

        Raises:
            ShapeError: If there are not F features.
        """
        return (*features_of(self, shape), self.out_features)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def features_of(layer: Any, shape: Shape) -> Shape:
    """The axes of one sample before its features, if it has as many features as the layer wants.

    Raises:
        ShapeError: If it has not.
    """
    if shape[-1:] != (layer.in_features,):
        remedies = ["put nn.Flatten() before it"] if len(shape) > 1 else []
        if math.prod(shape) != layer.in_features:
            remedies.append(f"make it with in_features={math.prod(shape)}")
        raise ShapeError(
            f"{type(layer).__name__}: it wants {layer.in_features} features in the last axis of {tuple(shape)}; "
            + ", and ".join(remedies)
        )
    return shape[:-1]


class Flatten(Module):
    """Several axes as one, by default all but the batch's: what stands between convolutions and `Linear`.

    Args:
        start_dim: The first axis.
        end_dim: The last axis.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Flatten()(tcnn.zeros(2, 3, 4, 5)).shape
    (2, 60)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C·H·W)."""
        return F.flatten(x, self.start_dim, self.end_dim)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C·H·W,).

        Raises:
            ShapeError: If there are no such axes, or the first lies behind the last.

        >>> from tinygrad_cnn import nn
        >>> nn.Flatten().output_shape((3, 4, 5))
        (60,)
        """
        first = one_dim("Flatten", self.start_dim, len(shape) + 1)
        last = one_dim("Flatten", self.end_dim, len(shape) + 1)
        if first > last:
            raise ShapeError(f"Flatten: start_dim {self.start_dim} lies behind end_dim {self.end_dim}")
        whole = (1, *shape)
        return (*whole[:first], math.prod(whole[first : last + 1]), *whole[last + 1 :])[1:]

    def extra_repr(self) -> str:
        """The axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Its input, unchanged: a place holder, say for a layer that was taken out.

    Args:
        *args: Ignored, as are keywords, so that it can replace any layer.
        **kwargs: Ignored.

    >>> from tinygrad_cnn import nn
    >>> nn.Identity(54, unused=True)(7)
    7
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        """Return x as it is."""
        return x
