"""What the methods of all topics share: operands in a common format, and an operation applied to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinygrad_cnn import dtypes
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Shape

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor
    from tinygrad_cnn.backends import Backend


class Methods:
    """The ground the topics stand on; `Tensor` adds the data and the graph."""

    __slots__ = ()

    if TYPE_CHECKING:
        # from storage.py and autograd.py
        shape: Shape
        ndim: int
        dtype: np.dtype
        _data: Any

        @property
        def backend(self) -> Backend: ...
        @staticmethod
        def _apply(operation: Function, *inputs: Any) -> Any: ...
        @classmethod
        def _operands(cls, operation: str, *values: Any, floating: bool = False, number: bool = True) -> Any: ...
        @classmethod
        def _as_tensor(cls, value: Any, device: str | Backend | None = None, dtype: Any = None) -> Tensor: ...
        def to(self, *targets: Any, **named: Any) -> Self: ...
        # from one topic, used in another
        def reshape(self, *shape: Any) -> Tensor: ...
        def unbind(self, dim: int = 0) -> tuple[Tensor, ...]: ...
        def any(self) -> Tensor: ...
        def maximum(self, other: Any) -> Tensor: ...
        def minimum(self, other: Any) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...

    def _binary(self, operation: Function, x: Any, y: Any, *, floating: bool = False, number: bool = True) -> Any:
        if alike((x, y), number):
            return self._apply(operation, x, y)
        operands = self._operands(operation.name, x, y, floating=floating, number=number)
        return NotImplemented if operands is NotImplemented else self._apply(operation, *operands)

    @classmethod
    def _given(cls, operation: str, *values: Any) -> Any:
        """Tensors in their common format, for functions: only operators may leave the answer to the other side."""
        operands = cls._operands(operation, *values, number=False)
        if operands is NotImplemented:
            kinds = " and ".join(type(value).__name__ for value in values)
            raise TypeError(f"{operation}: takes tensors, arrays and numbers, not {kinds}")
        return operands

    def _needs_float(self, operation: str) -> None:
        if not dtypes.is_floating(self.dtype):
            raise DtypeError(f"{operation}: needs floating-point numbers, not {self.dtype}; convert with .float()")


def alike(values: Sequence[Any], number: bool) -> bool:
    """Whether all are tensors of one floating format (or numbers, which widen none): nothing to convert."""
    common: np.dtype | None = None
    for value in values:
        if isinstance(value, Methods):
            dtype = value._data.dtype
            if dtype is not common:
                # None is asked for first: NumPy holds float64 equal to it
                if dtype.kind != "f" or (common is not None and dtype != common):
                    return False
                common = dtype
        elif not number or type(value) not in _NUMBERS:
            return False
    return common is not None


_NUMBERS = (float, int, bool)


def is_bool(value: Any) -> bool:
    """Whether it is a bool, or a tensor or array of bools."""
    return isinstance(value, (bool, np.bool_)) or getattr(value, "dtype", None) == dtypes.bool_
