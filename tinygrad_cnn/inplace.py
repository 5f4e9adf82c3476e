"""Changes in place that do not fool backward: each is counted, and refused where a graph would not know of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Self

from tinygrad_cnn import dtypes
from tinygrad_cnn.backends import DeviceError, OverlapError, backend_of, is_array, owner
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.function import Function, GraphError, Leaf
from tinygrad_cnn.grad_mode import is_grad_enabled
from tinygrad_cnn.random import Generator, default_generator
from tinygrad_cnn.shapes import Shape, ShapeError
from tinygrad_cnn.storage import Storage, copied

Array = Any


class InPlace(Storage):
    """A tensor whose numbers can be overwritten."""

    __slots__ = ()

    @contextlib.contextmanager
    def writing(self, writer: str) -> Iterator[Array]:
        """The array of a tensor without a graph, writable inside the block; the change is counted.

        Backward then refuses to use a value that was saved before and changed here, and names the writer.
        """
        with self.backend.activate(), contextlib.ExitStack() as block:
            yield self._unlock(writer, block)

    def _unlock(self, writer: str, block: contextlib.ExitStack) -> Array:
        """As `writing`, until the end of a block that may be that of several tensors."""
        if isinstance(self._node, Function):
            raise GraphError(
                f"{writer}: this tensor is the result of {self._name} and other operations may need its numbers; "
                "write into its detach().clone(), or build the result with where, cat or stack"
            )
        if self._version.protected:
            raise GraphError(f"{writer}: this tensor shares memory that must not be written; use clone()")
        array, backend = self._data, backend_of(self._data)
        if 0 in array.strides or not backend.writable(array):
            try:
                block.enter_context(backend.unlocked(array))
            except OverlapError as error:
                raise GraphError(f"{writer}: {error}") from None
        self._version.bump(writer)
        return array

    def _write(self, writer: str, change: Callable[[Array], Any]) -> Any:
        """A user's change in place; refused where a graph would not know of it."""
        if self._node is not None and is_grad_enabled() and self.grad_fn is None:
            raise GraphError(
                f"{writer}: this leaf requires a gradient, and backward would not know of the change; "
                "make it inside `with no_grad():`, or build the result with where, cat or stack"
            )
        with self.writing(writer) as array:
            change(array)
        return self

    def _plain_value(self, writer: str, value: Any) -> Any:
        """A number or array to write; a tensor with a graph is refused, since its gradient would be lost."""
        if isinstance(value, Storage):
            if value.requires_grad and is_grad_enabled():
                raise GraphError(
                    f"{writer}: the value requires a gradient, which would be lost in the change in place; "
                    "write value.detach(), or build the result with where, cat or stack"
                )
            if value.backend is not self.backend and value.ndim:
                raise DeviceError(f"{writer}: the value is on {value.device}, the tensor on {self.device}; use .to()")
            value = value._data
        elif not isinstance(value, (bool, int, float)):
            value = copied(value, None, self.backend)
        shared = is_array(value) and owner(value) is owner(self._data)
        return copied(value, None, self.backend) if shared else value

    def __setitem__(self, index: Any, value: Any) -> None:
        plain, (*first, places) = self._plain_value("t[i] = v", value), self._index(index)

        def change(array: Array) -> None:
            try:
                for stage in first:  # a view
                    array = array[stage]
                single = is_array(plain) and plain.ndim and plain.size == 1  # into one place, too, as in PyTorch
                array[places] = plain.reshape(()) if single else plain
            except ValueError as error:
                raise ShapeError(f"t[i] = v: {error} (the tensor has shape {self.shape})") from None

        self._write("t[i] = v", change)

    def copy_(self, source: Any) -> Self:
        """Overwrite the numbers with those of another tensor or array, broadcast to this shape."""
        if isinstance(source, Storage) and source.backend is not self.backend:
            source = source.detach().to(device=self.backend)
        plain = self._plain_value("copy_", source)
        shape = getattr(plain, "shape", ())
        if not _broadcastable(shape, self.shape):
            raise ShapeError(f"copy_: numbers of shape {shape} do not fit into a tensor of shape {self.shape}")
        return self._write("copy_", lambda array: array.__setitem__(..., plain))

    def fill_(self, value: float) -> Self:
        """Overwrite every number with this one."""
        return self._write("fill_", lambda array: array.fill(value))

    def zero_(self) -> Self:
        """Overwrite every number with 0."""
        return self._write("zero_", lambda array: array.fill(0))

    def _update(self, writer: str, result: Any) -> Any:
        """`x += y`: in place where there is no graph; with a graph the tensor goes on as the result of x + y."""
        if result is NotImplemented:
            return NotImplemented
        if result.shape != self.shape:
            raise ShapeError(
                f"{writer}: the result has shape {result.shape}, which does not fit in place into {self.shape}"
            )
        if not dtypes.holds(self.dtype, result.dtype):
            raise DtypeError(f"{writer}: the result is {result.dtype}, which does not fit in place into {self.dtype}")
        if result._node is None or not is_grad_enabled():
            return self._write(writer, lambda array: array.__setitem__(..., result._data))
        if isinstance(self._node, Leaf):
            return self._write(writer, lambda array: None)  # refuses
        if self._version.shared:
            raise GraphError(
                f"{writer}: other tensors look into the same memory (a view, or detach()), and their graphs would not "
                f"know of the change; write y = y {writer[0]} …, which makes a new tensor"
            )
        # nobody else sees the old numbers, so nothing is overwritten: what saved them still has them
        result = result.to(self.dtype)
        self._data, self._node, self._version = result._data, result._node, result._version
        return self

    def __iadd__(self, other: Any) -> Any:
        return self._update("+=", self + other)

    def __isub__(self, other: Any) -> Any:
        return self._update("-=", self - other)

    def __imul__(self, other: Any) -> Any:
        return self._update("*=", self * other)

    def __itruediv__(self, other: Any) -> Any:
        return self._update("/=", self / other)

    def __ipow__(self, other: Any) -> Any:
        return self._update("**=", self**other)

    def __ifloordiv__(self, other: Any) -> Any:
        return self._update("//=", self // other)

    def __imod__(self, other: Any) -> Any:
        return self._update("%=", self % other)

    def __iand__(self, other: Any) -> Any:
        return self._update("&=", self & other)

    def __ior__(self, other: Any) -> Any:
        return self._update("|=", self | other)

    def __ixor__(self, other: Any) -> Any:
        return self._update("^=", self ^ other)

    def add_(self, other: Any, *, alpha: float = 1) -> Self:
        """Add in place: `x += alpha·other`."""
        return self._update("+=", self.add(other, alpha=alpha))

    def sub_(self, other: Any, *, alpha: float = 1) -> Self:
        """Subtract in place: `x -= alpha·other`."""
        return self._update("-=", self.sub(other, alpha=alpha))

    def mul_(self, other: Any) -> Self:
        """Multiply in place."""
        return self._update("*=", self * other)

    def div_(self, other: Any) -> Self:
        """Divide in place."""
        return self._update("/=", self / other)

    def clamp_(self, min: float | None = None, max: float | None = None) -> Self:
        """Hold each element between `min` and `max`, in place."""
        return self._update("clamp_", self.clamp(min, max))

    def masked_fill_(self, mask: Any, value: float) -> Self:
        """Overwrite with `value` where the mask is true."""
        return self._update("masked_fill_", self.masked_fill(mask, value))

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Overwrite with Gaussian numbers."""
        return self._draw("normal_", (generator or default_generator()).normal(self.shape, mean, std))

    def uniform_(self, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Overwrite with numbers from low to high, all equally likely."""
        return self._draw("uniform_", (generator or default_generator()).uniform(self.shape, low, high))

    def _draw(self, writer: str, numbers: Any) -> Self:
        self._needs_float(writer)
        drawn = copied(numbers, self.dtype, self.backend)
        return self._write(writer, lambda array: array.__setitem__(..., drawn))


def _broadcastable(shape: Shape, target: Shape) -> bool:
    return len(shape) <= len(target) and all(a in (1, b) for a, b in zip(shape[::-1], target[::-1]))
