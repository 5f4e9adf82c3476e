"""Pooling layers: smaller images, no parameters."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.arguments import Pair, pair
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.shapes import ShapeError


def _sizes(layer: str, name: str, value: Any, least: int = 1) -> int | Pair:
    """One number, or one for rows and one for columns; as given, if it can be."""
    rows, columns = pair(layer, name, value, least)
    return (rows, columns) if isinstance(value, (tuple, list)) else rows


def _check_padding(layer: str, kernel_size: Any, padding: Any) -> None:
    pads = pair(layer, "padding", padding, least=0)
    if any(p > k // 2 for p, k in zip(pads, pair(layer, "kernel_size", kernel_size))):
        raise ShapeError(
            f"{layer}: padding={padding} must be at most half of kernel_size={kernel_size}, or a window could lie in "
            "the padding alone"
        )


class MaxPool2d(Module):
    """The largest value of each window.

    Formula: `y[n,c,p,q] = max_{r,s} x[n, c, p·stride + r·dilation − padding, …]`.

    Args:
        kernel_size: (R, S) rows and columns of the window; one number for a square.
        stride: Steps of the window, in pixels; the kernel's size if None.
        padding: Pixels of −∞ added around the images, at most half of the kernel's size.
        dilation: Distance of neighbouring pixels in the window.
        return_indices: Also return where each maximum stands in its image, as row·W + column.
        ceil_mode: Round the output size up, so that windows may reach over the border.

    Raises:
        ShapeError: If a size cannot be.

    Source: Zhou & Chellappa 1988, "Computation of optical flow using a neural network".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> x = tcnn.tensor([[[[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]])
    >>> nn.MaxPool2d(2)(x).tolist()
    [[[[6.0, 8.0], [3.0, 4.0]]]]
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = _sizes("MaxPool2d", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else _sizes("MaxPool2d", "stride", stride)
        self.padding = _sizes("MaxPool2d", "padding", padding, least=0)
        self.dilation = _sizes("MaxPool2d", "dilation", dilation)
        _check_padding("MaxPool2d", kernel_size, padding)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Any:
        """(N, C, H, W) → (N, C, P, Q), and the int64 indices if asked for."""
        return F.max_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window.

    Formula: `y[n,c,p,q] = Σ_{r,s} x[n, c, p·stride + r − padding, …] / (R·S)`.

    Args:
        kernel_size: (R, S) rows and columns of the window; one number for a square.
        stride: Steps of the window, in pixels; the kernel's size if None.
        padding: Pixels of 0 added around the images, at most half of the kernel's size.
        ceil_mode: Round the output size up, so that windows may reach over the border.
        count_include_pad: Whether added pixels count in the divisor.
        divisor_override: A divisor to use instead of the number of pixels.

    Raises:
        ShapeError: If a size cannot be.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.B (there with a trainable coefficient).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AvgPool2d(2)(tcnn.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).tolist()
    [[[[3.0]]]]
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = _sizes("AvgPool2d", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else _sizes("AvgPool2d", "stride", stride)
        self.padding = _sizes("AvgPool2d", "padding", padding, least=0)
        _check_padding("AvgPool2d", kernel_size, padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, P, Q)."""
        return F.avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        """The sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
