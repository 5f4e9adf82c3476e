"""A tensor as a piece of memory: what it holds, how to get it out, and how to change it without fooling backward.

Everything here would be needed without gradients, too; only the changes in place must know whether a graph relies on
the old numbers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinygrad_cnn import backends, dtypes, ops
from tinygrad_cnn.backends import Backend, DeviceError, backend_of, is_array, owner
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.function import Function, GraphError, Leaf, Node, Version
from tinygrad_cnn.grad_mode import Origin, is_grad_enabled
from tinygrad_cnn.methods import TensorMethods
from tinygrad_cnn.shapes import Shape, ShapeError

Array = Any
Self = TypeVar("Self", bound="Storage")


class Storage(TensorMethods):
    """The memory of a tensor, and its place in the graph (`_node`), which the changes in place have to ask."""

    __slots__ = ("__weakref__", "_data", "_node", "_origin", "_version")

    _data: Array
    _node: Node | None
    _origin: Origin | None
    _version: Version

    if TYPE_CHECKING:
        grad: Any

        @property
        def grad_fn(self) -> Function | None: ...
        @property
        def requires_grad(self) -> bool: ...
        @property
        def _name(self) -> str: ...
        def clone(self) -> Any: ...
        def detach(self) -> Any: ...
        @classmethod
        def _made(cls, data: Array, node: Node | None, version: Version, origin: Origin | None = None) -> Any: ...

    # ---- what it is

    @property
    def data(self) -> Array:
        """The plain array: NumPy's or CuPy's. Of a result it is read-only; a leaf's may be written, untracked."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        if self.grad_fn is not None:
            raise GraphError(
                f".data = …: this tensor is the result of {self._name}; new data would not fit its graph. "
                "Assign to the .data of a leaf, or of a detach()ed clone()"
            )
        if not isinstance(value, Storage) and not is_array(value):
            value = copied(value, self.dtype, self.backend)
        self._version.bump(".data = …")  # whoever saved the old numbers is told
        if value is not self._data:  # `w.data -= step` assigns the array it changed; else views keep the old memory
            self._replace(copied(value, None, value.backend if isinstance(value, Storage) else backend_of(value)))

    def _replace(self, array: Array) -> None:
        """Take this array, of any device and format, instead; for moving a module."""
        self._data = array
        self._version = Version() if self._version.shared else self._version
        if isinstance(self._node, Leaf):
            grad = self._node.grad
            self._node.shape, self._node.dtype = array.shape, array.dtype
            if grad is not None:
                fits = grad.shape == array.shape
                self._node.grad = backend_of(array).asarray(grad, dtype=array.dtype) if fits else None

    @property
    def shape(self) -> Shape:  # type: ignore[override]
        """Sizes of the dimensions."""
        return self._data.shape

    @property
    def ndim(self) -> int:  # type: ignore[override]
        """Number of dimensions."""
        return self._data.ndim

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]
        """Number format."""
        return self._data.dtype

    @property
    def backend(self) -> Backend:
        """The array library and device."""
        return backend_of(self._data)

    @property
    def device(self) -> str:
        """Where the numbers are: `"cpu"`, `"cuda:0"`."""
        return self.backend.name

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one size."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """How many numbers it holds."""
        return self._data.size

    def dim(self) -> int:
        """Number of dimensions."""
        return self.ndim

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d tensor has no length; its number is .item()")
        return self.shape[0]

    # ---- out of the tensor

    def numpy(self) -> np.ndarray:
        """The numbers as a NumPy array: the tensor's own memory on a CPU, a copy from a GPU."""
        return self.backend.to_numpy(self._data)

    def item(self) -> Any:
        """The only number, as a Python number."""
        if self._data.size != 1:
            raise ShapeError(
                f"item: a tensor of shape {self.shape} holds {self._data.size} numbers, not one; use tolist()"
            )
        return self.numpy().item()

    def tolist(self) -> Any:
        """The numbers as nested lists."""
        return self.numpy().tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.backend is not backends.CPU:
            raise DeviceError(f"np.asarray: this tensor is on {self.device}; copy it to the host with .numpy()")
        return np.array(self._data, dtype=dtype, copy=copy)

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(
                f"the truth of {self._data.size} numbers is ambiguous (shape {self.shape}); use .any() or .all()"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        value = self.item()
        if not isinstance(value, int):
            raise TypeError(f"only whole numbers can be an index, not {value!r}")
        return value

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and not self.ndim else format(str(self), spec)

    def __repr__(self) -> str:
        prefix = "tensor("
        array = self.numpy()
        if array.size > 1 or array.ndim:
            numbers = np.array2string(array, separator=", ", prefix=prefix, threshold=1000, precision=4)
        else:
            numbers = np.array2string(array, precision=4)
        notes = []
        if self.dtype not in (dtypes.DEFAULT, dtypes.int64, dtypes.bool_):
            notes.append(f"dtype={self.dtype}")
        if 0 in self.shape:
            notes.append(f"shape={self.shape}")
        if self.backend is not backends.CPU:
            notes.append(f"device={self.device!r}")
        if self.grad_fn is not None:
            notes.append(f"grad_fn=<{self._name}>")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return prefix + ", ".join([numbers, *notes]) + ")"

    # ---- copies and moves

    def contiguous(self) -> Any:
        """The same numbers in C order; itself if they are."""
        return self if self._data.flags.c_contiguous else self.clone()

    def to(self: Any, *targets: Any, dtype: Any = None, device: Any = None) -> Any:
        """On another device, in another format, or like another tensor; itself where nothing changes.

        >>> import tinygrad_cnn as tcnn
        >>> tcnn.tensor([1, 2]).to("float16").dtype
        dtype('float16')
        """
        for target in targets:
            if isinstance(target, Storage):
                dtype, device = target.dtype, target.backend
            elif isinstance(target, Backend) or (
                isinstance(target, str) and target.partition(":")[0] in backends.kinds()
            ):
                device = target
            else:
                dtype = target
        result = self
        if dtype is not None and (wanted := dtypes.as_dtype(dtype)) != self.dtype:
            result = self._apply(ops.Cast(wanted), result)
        if device is not None and (backend := backends.get(device)) is not self.backend:
            result = self._apply(ops.Transfer(self.backend, backend), result)
        return result

    def astype(self, dtype: Any) -> Any:
        """In another number format."""
        return self.to(dtype=dtype)

    def type_as(self, other: Any) -> Any:
        """In the number format of another tensor."""
        return self.to(dtype=other.dtype)

    def cpu(self) -> Any:
        """On the host."""
        return self.to(device="cpu")

    def cuda(self, index: int = 0) -> Any:
        """On a GPU."""
        return self.to(device=f"cuda:{index}")

    def _as_tensor(self, value: Any) -> Any:
        return (
            value
            if isinstance(value, Storage)
            else type(self)._made(copied(value, None, self.backend), None, Version())
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self.grad_fn is not None:
            raise GraphError(f"deepcopy: this tensor is the result of {self._name}; copy a leaf, or use clone()")
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin._data = copied(self._data, None, self.backend)
        twin._version, twin._origin, twin._node = Version(), None, None
        if self._node is not None:
            twin._node = Leaf(self.shape, self.dtype)
            twin._node.grad = None if self.grad is None else copied(self.grad, None, self.backend)
        for name, value in getattr(self, "__dict__", {}).items():
            setattr(twin, name, value)
        return twin

    # ---- changes in place

    @contextlib.contextmanager
    def writing(self, writer: str) -> Iterator[Array]:
        """The array of a tensor without a graph, writable inside the block; the change is counted.

        Backward then refuses to use a value that was saved before and changed here, and names the writer.
        """
        if self.grad_fn is not None:
            raise GraphError(
                f"{writer}: this tensor is the result of {self._name} and other operations may need its numbers; "
                "write into a clone(), or build the result with where, cat or stack"
            )
        try:
            with self.backend.activate(), self.backend.unlocked(self._data) as array:
                self._version.bump(writer)
                yield array
        except ValueError as error:
            if "WRITEABLE" in str(error):
                raise GraphError(f"{writer}: this tensor shares memory that must not be written; use clone()") from None
            raise

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
                array[places] = plain
            except ValueError as error:
                raise ShapeError(f"t[i] = v: {error} (the tensor has shape {self.shape})") from None

        self._write("t[i] = v", change)

    def copy_(self: Self, source: Any) -> Self:
        """Overwrite the numbers with those of another tensor or array, broadcast to this shape."""
        if isinstance(source, Storage) and source.backend is not self.backend:
            source = source.detach().to(device=self.backend)
        plain = self._plain_value("copy_", source)
        shape = getattr(plain, "shape", ())
        if not _broadcastable(shape, self.shape):
            raise ShapeError(f"copy_: numbers of shape {shape} do not fit into a tensor of shape {self.shape}")
        return self._write("copy_", lambda array: array.__setitem__(..., plain))

    def fill_(self: Self, value: float) -> Self:
        """Overwrite every number with this one."""
        return self._write("fill_", lambda array: array.fill(value))

    def zero_(self: Self) -> Self:
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

    def add_(self: Self, other: Any, *, alpha: float = 1) -> Self:
        """Add in place: `x += alpha·other`."""
        return self._update("+=", self + (other if alpha == 1 else other * alpha))

    def sub_(self: Self, other: Any, *, alpha: float = 1) -> Self:
        """Subtract in place: `x -= alpha·other`."""
        return self._update("-=", self - (other if alpha == 1 else other * alpha))

    def mul_(self: Self, other: Any) -> Self:
        """Multiply in place."""
        return self._update("*=", self * other)

    def div_(self: Self, other: Any) -> Self:
        """Divide in place."""
        return self._update("/=", self / other)

    def clamp_(self: Self, min: float | None = None, max: float | None = None) -> Self:
        """Hold each element between `min` and `max`, in place."""
        return self._update("clamp_", self.clamp(min, max))


def copied(data: Any, dtype: Any, device: str | Backend | None) -> Array:
    """Data as an array of its own."""
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(data, Storage):
        data, device = data._data, data.backend if device is None else device
    if is_array(data) and not isinstance(data, np.generic):
        home = backend_of(data)
        backend = home if device is None and home is not backends.CPU else backends.get(device)
        moved = backend.asarray(data, dtype=wanted or dtypes.as_dtype(data.dtype))
        with backend.activate():
            return moved.copy() if owner(moved) is owner(data) else moved
    backend = backends.get(device)
    if isinstance(data, (list, tuple)) and _holds_tensors(data):
        data = _unpacked(data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise ShapeError(f"Tensor: nested lists must have equal lengths: {error}") from None
    if array.dtype == np.float64 and not isinstance(data, np.generic) and not _holds_float64(data):
        array = array.astype(wanted or dtypes.DEFAULT)  # Python floats
    if array.dtype.kind not in "biuf":
        raise DtypeError(f"Tensor: {type(data).__name__} {str(data)[:60]!r} holds no numbers (it became {array.dtype})")
    return backend.asarray(array, dtype=wanted or dtypes.as_dtype(array.dtype))


def _holds_tensors(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, Storage)


def _unpacked(data: Any) -> Any:
    """Nested lists of tensors as nested lists of arrays."""
    return (
        data.numpy()
        if isinstance(data, Storage)
        else [_unpacked(d) for d in data]
        if isinstance(data, (list, tuple))
        else data
    )


def _holds_float64(data: Any) -> bool:
    """Whether nested lists hold NumPy's float64 numbers or arrays, whose format is kept, rather than Python floats."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic))


def _broadcastable(shape: Shape, target: Shape) -> bool:
    return len(shape) <= len(target) and all(a in (1, b) for a, b in zip(shape[::-1], target[::-1]))
