"""Matrix products."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Shape, ShapeError, broadcast_shapes

Array = Any


class Linear(Function):
    """`y = x·weightᵀ + bias`."""

    signature = "x:...F, weight:DF, bias?:D -> ...D"
    remedies = {"F": "flatten x first, or change in_features?"}  # noqa: RUF012

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        self.save(x=x, weight=weight)
        return kernels.linear_forward(x, weight, bias)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        return kernels.linear_backward(dy, **self.saved, needs=self.needs)


class MatMul(Function):
    """`z = x @ y`: of matrices, of stacks of matrices (leading dimensions are broadcast), and of vectors."""

    name = "matmul"

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        x, y = (shape or () for shape in shapes)
        if not x or not y:
            raise ShapeError(f"matmul: shapes {x} and {y}: a 0-d tensor is no matrix; multiply with * instead")
        inner = y[-2] if len(y) > 1 else y[0]
        if x[-1] != inner:
            raise ShapeError(
                f"matmul: x {x} has {x[-1]} columns, y {y} has {inner} rows; they must be equal (transpose one?)"
            )
        broadcast_shapes("matmul (leading dimensions)", x[:-2], y[:-2])
        return {}

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x=x if self.needs.y else None, y=y if self.needs.x else None)
        return x @ y

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        x, y = self.saved.x, self.saved.y
        x_shape, y_shape = self.input_shapes
        # a vector is a matrix with one row (left) or one column (right)
        if len(x_shape) == 1:
            dz = dz[..., None, :] if len(y_shape) > 1 else dz.reshape(1)
        if len(y_shape) == 1:
            dz = dz[..., None]
        dx = dy = None
        if self.needs.x:
            y = y[:, None] if y.ndim == 1 else y
            dx = dz @ y.swapaxes(-1, -2)
            dx = kernels.unbroadcast(dx, x_shape if len(x_shape) > 1 else (1, *x_shape)).reshape(x_shape)
        if self.needs.y:
            x = x[None] if x.ndim == 1 else x
            dy = x.swapaxes(-1, -2) @ dz
            dy = kernels.unbroadcast(dy, y_shape if len(y_shape) > 1 else (*y_shape, 1)).reshape(y_shape)
        return dx, dy
