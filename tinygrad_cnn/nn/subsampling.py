"""Pooling with a coefficient and a bias to learn, as in LeNet-5."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import init, parameter
from tinygrad_cnn.nn.arguments import one_sample, pair, whole
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import Shape, ShapeError, Window


class Subsampling2d(Module):
    """The sum of each window, times a coefficient, plus a bias; one of each for a channel: LeNet's S layers.

    Formula: `y[n,c,p,q] = weight[c]·Σ_{r,s} x[n, c, p·stride + r, q·stride + s] + bias[c]`. Average pooling with a
    coefficient R·S times as large is the same layer.

    Args:
        channels: C, channels of the images.
        kernel_size: (R, S) rows and columns of the window; one number for a square.
        stride: Steps of the window, in pixels; the kernel's size if None.
        device: Where the parameters live.
        dtype: Their number format, float32 by default.
        generator: Draws the first values; the default generator if None.

    Attributes:
        weight: (C,) coefficients, drawn from ±2.4/(R·S): a unit has R·S inputs.
        bias: (C,), drawn from the same range.

    Raises:
        ShapeError: If a size is not positive, or x has another number of channels.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.B (layer S2).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> layer = nn.Subsampling2d(1, 2)
    >>> _ = layer.load_state_dict({"weight": [0.5], "bias": [1.0]})
    >>> layer(tcnn.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).tolist()   # 0.5·(1 + 2 + 3 + 4) + 1
    [[[[6.0]]]]
    """

    weight: Parameter
    bias: Parameter

    def __init__(
        self,
        channels: int,
        kernel_size: Any,
        stride: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.channels = whole("Subsampling2d", "channels", channels)
        self.kernel_size = pair("Subsampling2d", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair("Subsampling2d", "stride", stride)
        self.weight = parameter.zeros(self.channels, device=device, dtype=dtype)
        self.bias = parameter.zeros(self.channels, device=device, dtype=dtype)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the first values again."""
        bound = 2.4 / math.prod(self.kernel_size)
        for values in (self.weight, self.bias):
            init.uniform_(values, -bound, bound, generator)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, P, Q)."""
        if x.ndim < 3 or x.shape[-3] != self.channels:
            raise ShapeError(
                f"Subsampling2d: x {x.shape} must have channels={self.channels}, (N, C, H, W): there is a coefficient "
                "and a bias for each"
            )
        sums = F.avg_pool2d(x, self.kernel_size, self.stride, divisor_override=1)
        return sums * self.weight.reshape(-1, 1, 1) + self.bias.reshape(-1, 1, 1)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C, P, Q).

        Raises:
            ShapeError: If the channels are not as many, or the window larger than the image.
        """
        sizes = one_sample("Subsampling2d", shape, 2, self.channels)
        window = Window(self.kernel_size, self.stride)
        return (self.channels, *window.outs(sizes, operation=f"Subsampling2d on {tuple(shape)}"))

    def connections(self, output: Shape) -> int:
        """How many connections an output (C, P, Q) has: every unit one to each of its R·S inputs, and a bias.

        >>> from tinygrad_cnn import nn
        >>> nn.Subsampling2d(6, 2).connections((6, 14, 14))   # 6·14·14·(2·2 + 1)
        5880
        """
        return math.prod(output) * (math.prod(self.kernel_size) + 1)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.channels}, kernel_size={self.kernel_size}, stride={self.stride}"
