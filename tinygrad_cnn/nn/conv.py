"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import init, parameter
from tinygrad_cnn.nn.arguments import one_of, pair, whole
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import ShapeError, Window

# padding_mode → what numpy.pad calls it
_NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class Conv2d(Module):
    """A layer of K filters that slide over images (cross-correlation).

    Formula: `y[n,k,p,q] = bias[k] + Σ_{c,r,s} x[n, c, p·stride + r·dilation − padding, …] · weight[k,c,r,s]`.

    Args:
        in_channels: C, channels of the images.
        out_channels: K, number of filters.
        kernel_size: (R, S) rows and columns of a filter; one number for a square.
        stride: Steps of the filter, in pixels.
        padding: Pixels added around the images, `"valid"` (none) or `"same"` (output as large as the input).
        dilation: Distance of neighbouring filter taps, in pixels.
        groups: Parts the channels are split into; each filter sees C/groups channels.
        bias: Whether to add a bias to each filter.
        padding_mode: What the added pixels are: `"zeros"`, `"reflect"`, `"replicate"` or `"circular"`.
        device: Where the parameters live.
        dtype: Their number format, float32 by default.
        generator: Draws the first values; the default generator if None.

    Attributes:
        weight: (K, C/groups, R, S), drawn from ±1/√(C/groups·R·S).
        bias: (K,), drawn from the same range, or None.

    Raises:
        ShapeError: If a size is not positive, or groups does not divide both channel numbers.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.A.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> layer = nn.Conv2d(3, 10, 5, padding=2)
    >>> layer(tcnn.zeros(1, 3, 32, 32)).shape, layer.num_parameters()   # 10·(3·5·5 + 1)
    ((1, 10, 32, 32), 760)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = whole("Conv2d", "in_channels", in_channels)
        self.out_channels = whole("Conv2d", "out_channels", out_channels)
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size)
        self.stride = pair("Conv2d", "stride", stride)
        self.padding = padding if isinstance(padding, str) else pair("Conv2d", "padding", padding, least=0)
        self.dilation = pair("Conv2d", "dilation", dilation)
        self.groups = whole("Conv2d", "groups", groups)
        self.padding_mode = one_of("Conv2d", "padding_mode", padding_mode, ("zeros", *_NUMPY_MODES))
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ShapeError(
                    f"Conv2d: groups={self.groups} does not divide {name}={channels}; every group needs as many "
                    f"channels: groups must divide {math.gcd(self.in_channels, self.out_channels)}"
                )
        self._pads = Window(self.kernel_size, self.stride, self.padding, self.dilation).pads  # checks the string, too
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight = parameter.zeros(*shape, device=device, dtype=dtype)
        self.register_parameter(
            "bias", parameter.zeros(self.out_channels, device=device, dtype=dtype) if bias else None
        )
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the first values again."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5), generator=generator)
        init.bias_like_(self.bias, self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, K, P, Q)."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x, padding = _extended(x, self._pads, self.padding_mode), 0
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """The sizes, and whatever is not the default."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        defaults = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
        parts += [f"{k}={getattr(self, k)}" for k, default in defaults.items() if getattr(self, k) != default]
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


def _extended(x: Tensor, pads: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    """Images with rows and columns of their own repeated around them: which ones is an index, so gradients follow."""
    index = []
    for name, size, pad in zip(("rows", "columns"), x.shape[-2:], pads):
        if max(pad) > size - (mode == "reflect"):
            raise ShapeError(
                f"Conv2d: padding_mode={mode!r} cannot repeat {max(pad)} of {size} {name}; use less padding or "
                'padding_mode="zeros"'
            )
        index.append(Tensor(np.pad(np.arange(size), pad, mode=_NUMPY_MODES[mode]), device=x.backend))  # type: ignore[call-overload]
    rows, columns = index
    return x[..., rows.reshape(-1, 1), columns]
