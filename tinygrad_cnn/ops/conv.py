"""Convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Ints, Shape, ShapeError, Window, window

Array = Any


@dataclass(eq=False)
class Conv2d(Function):
    """Cross-correlation of x with weight, plus bias."""

    signature = "x:NCHW, weight:KC/groupsRS, bias?:K -> NKPQ"
    remedies = {  # noqa: RUF012
        "C": "does in_channels fit the images, and are they (N, C, H, W)?",
        "rank": "images are (N, C, H, W): add a batch of one with x[None], or channels with x[:, None]",
    }
    stride: Ints = (1, 1)
    padding: Ints | str = (0, 0)
    dilation: Ints = (1, 1)
    groups: int = 1

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        sizes = super().check_shapes(shapes)
        if self.groups < 1 or sizes["C"] % self.groups or sizes["K"] % self.groups:
            raise ShapeError(
                f"conv2d: {sizes['C']} input and {sizes['K']} output channels cannot be cut into groups={self.groups} "
                "equal groups; groups must divide both"
            )
        kernel = (sizes["R"], sizes["S"])
        self.window: Window = window(kernel, self.stride, self.padding, self.dilation)
        self.window.out(
            sizes["H"], sizes["W"], operation=f"conv2d: x {shapes[0]}, kernel {kernel}"
        )  # refuses a kernel larger than the padded image
        return sizes

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        self.save(x=x, weight=weight)  # x, not its columns: R·S times smaller
        return kernels.conv2d_forward(x, weight, bias, self.window, self.groups)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        return kernels.conv2d_backward(dy, **self.saved, window=self.window, groups=self.groups, needs=self.needs)
