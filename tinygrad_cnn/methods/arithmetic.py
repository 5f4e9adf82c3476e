"""Arithmetic: the operators + − * / // % ** @, and their names as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tinygrad_cnn import dtypes, ops
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.function import Function
from tinygrad_cnn.methods.base import Methods, is_bool
from tinygrad_cnn.shapes import ShapeError

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor


class Arithmetic(Methods):
    """Numbers calculated from one or two tensors, or from a tensor and a number."""

    __slots__ = ()
    __array_ufunc__: ClassVar[None] = None  # so that `array * tensor` is ours, not NumPy's

    def __add__(self, other: Any) -> Tensor:
        return self._binary(ops.Add(), self, other)

    def __radd__(self, other: Any) -> Tensor:
        return self._binary(ops.Add(), other, self)

    def __sub__(self, other: Any) -> Tensor:
        return self._sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return self._sub(other, self)

    def _sub(self, x: Any, y: Any) -> Any:
        if dtypes.bool_ in (getattr(x, "dtype", None), getattr(y, "dtype", None)):
            raise DtypeError(
                "sub: bools have no difference; ~mask inverts a mask, a ^ b is true where two masks differ, "
                "mask.long() and mask.float() make numbers of it"
            )
        return self._binary(ops.Sub(), x, y)

    def __mul__(self, other: Any) -> Tensor:
        return self._binary(ops.Mul(), self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return self._binary(ops.Mul(), other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return self._binary(ops.Div(), self, other, floating=True)

    def __rtruediv__(self, other: Any) -> Tensor:
        return self._binary(ops.Div(), other, self, floating=True)

    def __pow__(self, other: Any) -> Tensor:
        other = other.item() if isinstance(other, np.generic) else other
        if isinstance(other, (int, float)) and not isinstance(other, bool):
            return self._apply(ops.PowNumber(other), self._operands("pow", self, other)[0])
        return self._binary(ops.Pow(), self, other, number=False)

    def __rpow__(self, other: Any) -> Tensor:
        return self._binary(ops.Pow(), other, self, number=False)

    def __matmul__(self, other: Any) -> Tensor:
        return self._matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return self._matmul(other, self)

    def _matmul(self, x: Any, y: Any) -> Any:
        operands = self._operands("matmul", x, y, number=False)
        if operands is NotImplemented:
            return NotImplemented
        for value in (x, y):  # PyTorch's rule: a matrix product does not mix formats silently
            dtype = getattr(value, "dtype", None)
            if dtype is not None and dtype != operands[0].dtype:
                raise DtypeError(
                    f"matmul: x is {getattr(x, 'dtype', type(x))}, y is {getattr(y, 'dtype', type(y))}; "
                    f"convert one of them, for instance with .to({operands[0].dtype.name!r})"
                )
        return self._apply(ops.MatMul(), *operands)

    def __floordiv__(self, other: Any) -> Tensor:
        return self._divided(ops.FloorDivide(), self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return self._divided(ops.FloorDivide(), other, self)

    def __mod__(self, other: Any) -> Tensor:
        return self._divided(ops.Remainder(), self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return self._divided(ops.Remainder(), other, self)

    def _divided(self, operation: Function, x: Any, y: Any) -> Any:
        if is_bool(x) and is_bool(y):
            raise DtypeError(f"{operation.name}: two bools cannot be divided; make numbers of them with .long()")
        return self._binary(operation, x, y, number=False)

    def __neg__(self) -> Tensor:
        if is_bool(self):
            raise DtypeError("neg: bools have no sign; ~mask inverts a mask, -mask.long() makes numbers of it")
        return self._apply(ops.Neg(), self)

    def __pos__(self) -> Self:
        return self

    def add(self, other: Any, *, alpha: float = 1) -> Tensor:
        """`x + alpha·other`."""
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Tensor:
        """`x − alpha·other`."""
        return self - (other if alpha == 1 else other * alpha)

    def mul(self, other: Any) -> Tensor:
        """`x·other`."""
        return self * other

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """`x/other`; with `rounding_mode="floor"` the next whole number below, `x // other`."""
        if rounding_mode not in (None, "floor"):
            raise ValueError(f'div: rounding_mode={rounding_mode!r} must be None or "floor"')
        return self / other if rounding_mode is None else self // other

    def neg(self) -> Tensor:
        """`−x`."""
        return -self

    def square(self) -> Tensor:
        """`x²`."""
        return self**2

    def pow(self, exponent: Any) -> Tensor:
        """`x` to the power of a number or of a tensor."""
        return self**exponent

    def matmul(self, other: Any) -> Tensor:
        """The matrix product `x @ other`."""
        return self @ other

    def mm(self, other: Any) -> Tensor:
        """The product of two matrices."""
        return self._product("mm", other, 2)

    def dot(self, other: Any) -> Tensor:
        """The scalar product of two vectors."""
        return self._product("dot", other, 1)

    def _product(self, operation: str, other: Any, ndim: int) -> Tensor:
        shapes = self.shape, self._as_tensor(other, self.backend).shape
        if any(len(shape) != ndim for shape in shapes):
            raise ShapeError(f"{operation}: both must have {ndim} dimension(s), not {shapes}; matmul takes any")
        return self @ other
