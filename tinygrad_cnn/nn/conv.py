"""Convolution layers, and their way back."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import init, parameter
from tinygrad_cnn.nn.arguments import one_of, one_sample, per_axis, whole
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import Ints, Shape, ShapeError, Window, padded, window


class _Conv(Module):
    """What the layers share, whatever their number of axes."""

    rank: int
    transposed = False
    padding_modes: tuple[str, ...] = ("zeros", "reflect", "replicate", "circular")
    padding: Ints | str
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
        name, rank = type(self).__name__, self.rank
        self.in_channels = whole(name, "in_channels", in_channels)
        self.out_channels = whole(name, "out_channels", out_channels)
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, rank)
        self.stride = per_axis(name, "stride", stride, rank)
        self.padding = padding if isinstance(padding, str) else per_axis(name, "padding", padding, rank, least=0)
        self.dilation = per_axis(name, "dilation", dilation, rank)
        self.output_padding: tuple[int, ...] = (0,) * rank
        self.groups = whole(name, "groups", groups)
        self.padding_mode = one_of(name, "padding_mode", padding_mode, self.padding_modes)
        for which, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ShapeError(
                    f"{name}: groups={self.groups} does not divide {which}={channels}; every group needs as many "
                    f"channels: groups must divide {math.gcd(self.in_channels, self.out_channels)}"
                )
        try:
            self._window()  # refuses another padding
        except ShapeError as error:
            raise ShapeError(str(error).replace("window", name, 1)) from None
        outer, inner = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = parameter.zeros(outer, inner // self.groups, *self.kernel_size, device=device, dtype=dtype)
        self.register_parameter(
            "bias", parameter.zeros(self.out_channels, device=device, dtype=dtype) if bias else None
        )
        self.reset_parameters(generator)

    def _window(self) -> Window:
        return window(self.kernel_size, self.stride, self.padding, self.dilation)

    def _pads(self) -> list[int]:
        """The padding as `F.pad` takes it: pairs, the last axis first."""
        return [n for pair in reversed(self._window().pads) for n in pair]

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the first values again."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5), generator=generator)
        init.bias_like_(self.bias, self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, K, P, Q)."""
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._pads(), self.padding_mode), 0
        convolve = getattr(F, f"conv{self.rank}d")
        y: Tensor = convolve(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return y

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (K, P, Q).

        Raises:
            ShapeError: If the channels are not as many, or the filters larger than the padded image.
        """
        name = type(self).__name__
        sizes = one_sample(name, shape, self.rank, self.in_channels)
        if self.padding_mode != "zeros":
            padded(shape, self._pads(), self.padding_mode, name)  # refuses what cannot be repeated
        operation = f"{name}: x {tuple(shape)}, kernel {self.kernel_size}"
        return (self.out_channels, *self._window().outs(sizes, operation=operation))

    def extra_repr(self) -> str:
        """The sizes, and whatever is not the default."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        zeros, ones = (0,) * self.rank, (1,) * self.rank
        defaults = {"padding": zeros, "dilation": ones, "output_padding": zeros, "groups": 1}
        parts += [f"{k}={getattr(self, k)}" for k, default in defaults.items() if getattr(self, k) != default]
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class Conv1d(_Conv):
    """A layer of K filters that slide along lines; arguments and attributes as of `Conv2d`, for one axis.

    Formula: `y[n,k,q] = bias[k] + Σ_{c,s} x[n, c, q·stride + s·dilation − padding] · weight[k,c,s]`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Conv1d(2, 4, 3)(tcnn.zeros(1, 2, 10)).shape   # 10 − 3 + 1
    (1, 4, 8)
    """

    rank = 1


class Conv2d(_Conv):
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
    >>> layer.output_shape((3, 32, 28))
    (10, 32, 28)
    """

    rank = 2


class Conv3d(_Conv):
    """A layer of K filters that slide through volumes; arguments and attributes as of `Conv2d`, for three axes.

    Formula: `y[n,k,o,p,q] = bias[k] + Σ_{c,t,r,s} x[n, c, o·stride + t·dilation − padding, …] · weight[k,c,t,r,s]`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Conv3d(1, 4, 3, padding=(0, 1, 1))(tcnn.zeros(1, 1, 5, 8, 9)).shape   # 5 − 3 + 1, 8 − 3 + 2 + 1, …
    (1, 4, 3, 8, 9)
    """

    rank = 3


class _ConvTranspose(_Conv):
    transposed = True
    padding_modes = ("zeros",)
    padding: Ints

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        name = type(self).__name__
        padding = per_axis(name, "padding", padding, self.rank, least=0)  # no words
        sizes = kernel_size, stride, padding, dilation
        super().__init__(
            in_channels, out_channels, *sizes, groups, bias, padding_mode, device, dtype, generator=generator
        )
        self.output_padding = per_axis(name, "output_padding", output_padding, self.rank, least=0)

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        """(N, C, H, W) → (N, K, P, Q).

        Args:
            x: The images.
            output_size: (P, Q) or (N, K, P, Q), instead of the layer's output_padding.

        Raises:
            ShapeError: If no output_padding less than the stride leads to this size.
        """
        extra = self.output_padding if output_size is None else self._extra(x.shape, output_size)
        convolve = getattr(F, f"conv_transpose{self.rank}d")
        y: Tensor = convolve(x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)
        return y

    def _extra(self, shape: Shape, output_size: Any) -> Shape:
        wanted = tuple(output_size)[-self.rank :]
        least = self._window().back(shape[-self.rank :], operation=type(self).__name__)
        extra = tuple(w - n for w, n in zip(wanted, least))
        if len(output_size) not in (self.rank, len(shape)) or any(not 0 <= e < s for e, s in zip(extra, self.stride)):
            most = tuple(n + s - 1 for n, s in zip(least, self.stride))
            raise ShapeError(
                f"{type(self).__name__}: output_size={tuple(output_size)} cannot be reached from x {shape}; it must "
                f"lie between {least} and {most}"
            )
        return extra

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (K, P, Q).

        Raises:
            ShapeError: If the channels are not as many, or nothing would be left.
        """
        sizes = one_sample(type(self).__name__, shape, self.rank, self.in_channels)
        operation = f"{type(self).__name__}: x {tuple(shape)}, kernel {self.kernel_size}"
        return (self.out_channels, *self._window().back(sizes, self.output_padding, operation))


class ConvTranspose1d(_ConvTranspose):
    """Convolution's way back along lines; arguments and attributes as of `ConvTranspose2d`, for one axis.

    Formula: `Q = (L − 1)·stride − 2·padding + dilation·(S − 1) + 1 + output_padding`; see `F.conv_transpose1d`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ConvTranspose1d(4, 2, 3, stride=2)(tcnn.zeros(1, 4, 5)).shape   # (5 − 1)·2 + 3
    (1, 2, 11)
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Convolution's way back, to larger images: each pixel stamps its filters onto the output, and stamps add up.

    Formula: `P = (H − 1)·stride − 2·padding + dilation·(R − 1) + 1 + output_padding`; see `F.conv_transpose2d`.

    Args:
        in_channels: C, channels of the images.
        out_channels: K, channels of the output.
        kernel_size: (R, S) rows and columns of a filter; one number for a square.
        stride: Distance of neighbouring stamps, in pixels.
        padding: Pixels cut off on each side of the output.
        output_padding: Pixels that remain at its far side, less than stride or dilation.
        groups: Parts the channels are split into.
        bias: Whether to add a bias to each output channel.
        dilation: Distance of neighbouring filter taps, in pixels.
        padding_mode: `"zeros"`.
        device: Where the parameters live.
        dtype: Their number format, float32 by default.
        generator: Draws the first values; the default generator if None.

    Attributes:
        weight: (C, K/groups, R, S), drawn from ±1/√(K/groups·R·S).
        bias: (K,), drawn from the same range, or None.

    Raises:
        ShapeError: If a size is not positive, or groups does not divide both channel numbers.

    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", chapter 4.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> layer = nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1)
    >>> layer(tcnn.zeros(1, 8, 4, 5)).shape   # (4 − 1)·2 − 2 + 3
    (1, 3, 7, 9)
    >>> layer(tcnn.zeros(1, 8, 4, 5), output_size=(8, 10)).shape
    (1, 3, 8, 10)
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """Convolution's way back to larger volumes; arguments and attributes as of `ConvTranspose2d`, for three axes.

    Formula: `O = (Z − 1)·stride − 2·padding + dilation·(T − 1) + 1 + output_padding`, and so P and Q.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ConvTranspose3d(4, 2, 2, stride=2)(tcnn.zeros(1, 4, 2, 3, 4)).shape   # (2 − 1)·2 + 2, …
    (1, 2, 4, 6, 8)
    """

    rank = 3
