"""Pooling: one number for each window of an image, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Shape, ShapeError, Window

Array = Any


@dataclass(eq=False)
class Pool2d(Function):
    """A window slides over each channel of x."""

    signature = "x:NCHW -> NCPQ"
    remedies = {"rank": "images are (N, C, H, W): add a batch of one with x[None]"}  # noqa: RUF012
    window: Window

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        sizes = super().check_shapes(shapes)
        for (before, _), kernel in zip(self.window.pads, self.window.kernel):
            if 2 * before > kernel:
                raise ShapeError(
                    f"{self.name}: padding {before} is more than half of the kernel ({kernel}): "
                    "windows would lie in the padding alone"
                )
        self.window.out(sizes["H"], sizes["W"], operation=f"{self.name}: x {shapes[0]}, kernel {self.window.kernel}")
        return sizes

    def attributes(self) -> dict[str, Any]:
        """The window's numbers."""
        w = self.window
        return {"kernel_size": w.kernel, "stride": w.stride, "padding": w.padding}


class MaxPool2d(Pool2d):
    """The largest pixel of each window, and the number of the kernel tap that held it."""

    def forward(self, x: Array) -> tuple[Array, Array]:
        y, index = kernels.max_pool2d_forward(x, self.window)
        self.save(index=index)  # not x: 1 byte per output
        return y, index

    def backward(self, dy: Array) -> Array:
        return kernels.max_pool2d_backward(dy, self.saved.index, self.input_shapes[0], self.window)


@dataclass(eq=False)
class AvgPool2d(Pool2d):
    """The mean of each window."""

    count_include_pad: bool = True
    divisor: int | None = None

    def forward(self, x: Array) -> Array:
        return kernels.avg_pool2d_forward(x, self.window, self.scale(x))

    def backward(self, dy: Array) -> Array:
        return kernels.avg_pool2d_backward(dy, self.input_shapes[0], self.window, self.scale(dy))

    def scale(self, like: Array) -> Array:
        """One over the number of pixels that count, for each output (P, Q)."""
        xp, sizes = namespace(like), self.input_shapes[0][2:]
        if self.divisor is not None:
            return xp.full(self.window.out(*sizes), 1 / self.divisor, dtype=like.dtype)
        counts = []
        for size, n, (before, behind), span, step, dilation in zip(
            sizes,
            self.window.out(*sizes),
            self.window.pads,
            self.window.spans,
            self.window.stride,
            self.window.dilation,
        ):
            # padding counts, but not what ceil_mode lets hang over its far edge
            low, high = (-before, size + behind) if self.count_include_pad else (0, size)
            starts = xp.arange(n) * step - before
            pixels = starts[:, None] + xp.arange(0, span, dilation)
            counts.append(((pixels >= low) & (pixels < high)).sum(axis=1))
        rows, columns = counts
        return (1 / (rows[:, None] * columns)).astype(like.dtype)
