"""Convolution in which each filter sees only some of the channels, as in LeNet-5."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import init, parameter
from tinygrad_cnn.nn.arguments import one_sample, pair
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import Shape, ShapeError, Window


class ConnectionConv2d(Module):
    """A convolution with a table that says which filter sees which channel: LeNet's layer C3.

    Formula: `y[n,k,p,q] = bias[k] + Σ_{c: table[k,c]} Σ_{r,s} x[n, c, p·stride + r − padding, …]·kernel[k,c][r,s]`,
    one (R, S) kernel for each connection of the table and none for the others.

    Args:
        table: (K, C) of 0 and 1: whether filter k sees channel c. A filter must see at least one.
        kernel_size: (R, S) rows and columns of a kernel; one number for a square.
        stride: Steps of the filter, in pixels.
        padding: Pixels of 0 added around the images.
        device: Where the parameters live.
        dtype: Their number format, float32 by default.
        generator: Draws the first values; the default generator if None.

    Attributes:
        weight: (connections, R, S), the kernels in the table's order: filter by filter, in each the channels in
            order. Drawn from ±2.4/fan_in, a filter's number of inputs R·S·(channels it sees).
        bias: (K,), drawn from the same ranges.
        table: (K, C) buffer.

    Raises:
        ShapeError: If the table has other than two axes, or a filter sees nothing.
        ValueError: If there is anything but 0 and 1 in the table.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.B and table I.

    >>> from tinygrad_cnn import nn
    >>> layer = nn.ConnectionConv2d([[1, 1, 0], [0, 1, 1]], kernel_size=5)   # two filters, each sees two of 3 channels
    >>> layer.weight.shape, layer.num_parameters()   # 4 kernels of 5·5, 2 biases
    ((4, 5, 5), 102)
    """

    weight: Parameter
    bias: Parameter
    table: Tensor

    def __init__(
        self,
        table: Any,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        links = _checked(table.numpy() if isinstance(table, Tensor) else np.asarray(table))
        self.out_channels, self.in_channels = links.shape
        self.kernel_size = pair("ConnectionConv2d", "kernel_size", kernel_size)
        self.stride = pair("ConnectionConv2d", "stride", stride)
        self.padding = pair("ConnectionConv2d", "padding", padding, least=0)
        self.weight = parameter.zeros(int(links.sum()), *self.kernel_size, device=device, dtype=dtype)
        self.bias = parameter.zeros(self.out_channels, device=device, dtype=dtype)
        self.register_buffer("table", Tensor(links.astype(bool), device=device))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the first values again."""
        links = self.table.numpy()
        bounds = 2.4 / (links.sum(axis=1) * math.prod(self.kernel_size))  # (K,)
        for values, bound in ((self.weight, bounds[np.nonzero(links)[0]][:, None, None]), (self.bias, bounds)):
            init.uniform_(values, -1, 1, generator)
            with values.backend.activate(), values.writing("ConnectionConv2d.reset_parameters") as array:
                array *= values.backend.asarray(bound, dtype=values.dtype)

    def dense_weight(self) -> Tensor:
        """The filters as `Conv2d` has them: (K, C, R, S), zeros where the table has no connection."""
        xp, table = self.weight.backend.xp, self.table.data
        with self.weight.backend.activate():
            # the number of each connection's kernel; what is not connected takes the kernel of zeros behind the last
            place = xp.where(table, xp.cumsum(table.reshape(-1)).reshape(table.shape) - 1, len(self.weight))
            kernels = F.cat([self.weight, self.weight.new_zeros(1, *self.kernel_size)])
            return kernels[Tensor(place, device=self.weight.backend)]  # (connections+1,R,S) -> (K,C,R,S)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, K, P, Q)."""
        return F.conv2d(x, self.dense_weight(), self.bias, self.stride, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (K, P, Q).

        Raises:
            ShapeError: If the channels are not as many, or the kernels larger than the padded image.
        """
        sizes = one_sample("ConnectionConv2d", shape, 2, self.in_channels)
        window = Window(self.kernel_size, self.stride, self.padding)
        return (self.out_channels, *window.outs(sizes, operation=f"ConnectionConv2d on {tuple(shape)}"))

    def connections(self, output: Shape) -> int:
        """How many connections an output (K, P, Q) has: at every place each kernel's R·S taps, and K biases.

        >>> from tinygrad_cnn import nn
        >>> nn.ConnectionConv2d([[1, 1, 0], [0, 1, 1]], kernel_size=5).connections((2, 10, 10))   # 10·10·(4·25 + 2)
        10200
        """
        return math.prod(output[1:]) * self.num_parameters()

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"{self.in_channels}, {self.out_channels}, connections={len(self.weight)}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        )


def _checked(table: np.ndarray) -> np.ndarray:
    if table.ndim != 2 or not table.size:
        raise ShapeError(
            f"ConnectionConv2d: table has shape {table.shape}; it must be (K, C): a row for each filter, in it a 0 or "
            "1 for each channel"
        )
    if not np.isin(table, (0, 1)).all():
        raise ValueError("ConnectionConv2d: table may hold only 0 (not connected) and 1 (connected)")
    blind = np.flatnonzero(~table.astype(bool).any(axis=1))
    if blind.size:
        raise ShapeError(
            f"ConnectionConv2d: filter {blind[0]} sees no channel; set a 1 in row {blind[0]} of the table, or take the "
            "row out"
        )
    return table
