"""Interpolation: images at other sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Shape

Array = Any


@dataclass(eq=False)
class Interpolate(Function):
    """The last axes of x at other sizes: each entry is one of x, or along each axis a blend of two."""

    size: Shape
    scales: tuple[float | None, ...]
    linear: bool = False
    align_corners: bool = False

    def forward(self, x: Array) -> Array:
        return kernels.interpolate_forward(x, self.size, self.scales, self.linear, self.align_corners)

    def backward(self, dy: Array) -> Array:
        shape = self.input_shapes[0]
        return kernels.interpolate_backward(dy, shape, self.scales, self.linear, self.align_corners)
