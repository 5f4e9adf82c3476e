"""A tensor as a piece of memory: what it holds, how to get it out, and how to change it without fooling backward.

Everything here would be needed without gradients, too; only the changes in place must know whether a graph relies on
the old numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import backends, dtypes, ops
from tinygrad_cnn.backends import Backend, DeviceError, backend_of, is_array, owner
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.function import Function, GraphError, Leaf, Node, Version
from tinygrad_cnn.grad_mode import Origin
from tinygrad_cnn.methods import TensorMethods
from tinygrad_cnn.methods.base import alike
from tinygrad_cnn.shapes import Shape, ShapeError

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor

Array = Any


class Storage(TensorMethods):
    """The memory of a tensor, and its place in the graph (`_node`), which the changes in place have to ask."""

    __slots__ = ("__weakref__", "_data", "_frozen", "_node", "_origin", "_version")

    _data: Array
    _node: Node | None
    _frozen: Node | None  # the node of a leaf that stopped asking for its gradient, for when it asks again
    _origin: Origin | None
    _version: Version

    if TYPE_CHECKING:

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
            self._node.shape, self._node.dtype, self._node.strides = array.shape, array.dtype, array.strides
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

    # ---- its place in the graph

    @property
    def grad(self) -> Array | None:
        """The gradient as a plain array, or None: see `explain_grad`."""
        node = self._node or self._frozen
        return None if node is None else node.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        node = self._node or self._frozen
        if node is None:
            if value is None:
                return
            raise GraphError("this tensor has no gradient: set requires_grad=True first")
        if value is not None:
            value = copied(value, self.dtype, self.backend)
            if value.shape != self.shape:
                raise ShapeError(f".grad = …: a gradient of shape {value.shape} for a tensor of shape {self.shape}")
        node.grad = value

    @property
    def node(self) -> Node | None:
        """This tensor's place in the graph, or None if it needs no gradient."""
        return self._node

    @property
    def grad_fn(self) -> Function | None:
        """The operation that made this tensor, or None for a leaf."""
        return self._node if isinstance(self._node, Function) else None

    @property
    def _name(self) -> str:
        return self._node.name if self._node is not None else "leaf"

    @property
    def is_leaf(self) -> bool:
        """True unless an operation with a graph made it."""
        return not isinstance(self._node, Function)

    @property
    def requires_grad(self) -> bool:
        """Whether backward computes a gradient for it or through it."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self: Any, requires_grad: bool = True) -> Any:
        """Ask for this leaf's gradient, or stop asking."""
        if isinstance(self._node, Function):
            if not requires_grad:
                raise GraphError(
                    f"requires_grad: this tensor is the result of {self._name}, only a leaf can stop asking; "
                    "use detach() for a tensor without the graph"
                )
            return self
        if not requires_grad:
            self._frozen, self._node = self._node or self._frozen, None
        elif self._node is None:
            if not dtypes.is_floating(self.dtype):
                raise DtypeError(
                    f"requires_grad: only floats have gradients, this tensor is {self.dtype}; convert it with .float()"
                )
            frozen = self._frozen
            fits = frozen is not None and (frozen.shape, frozen.dtype) == (self.shape, self.dtype)
            self._node = frozen if fits else Leaf(self._data)
        return self

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
        numbers = np.array2string(array, separator=", ", prefix=prefix, threshold=1000, precision=4)
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
            elif backends.is_device(target):
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

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self.grad_fn is not None:
            raise GraphError(f"deepcopy: this tensor is the result of {self._name}; copy a leaf, or use clone()")
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin._data = copied(self._data, None, self.backend)
        twin._version, twin._origin, twin._node, twin._frozen = Version(), None, None, None
        twin.requires_grad_(self.requires_grad)
        if self.grad is not None and twin._node is not None:
            twin._node.grad = copied(self.grad, None, self.backend)
        for name, value in getattr(self, "__dict__", {}).items():
            setattr(twin, name, value)
        return twin

    # ---- operands

    @classmethod
    def _as_tensor(cls, value: Any, device: str | Backend | None = None, dtype: Any = None) -> Tensor:
        """A tensor as it is; anything else copied into one, on this device and in this format."""
        if isinstance(value, Storage):
            return value  # type: ignore[return-value]  # every Storage is a Tensor
        return cls._made(copied(value, dtype, device), None, Version())

    @classmethod
    def _operands(cls, operation: str, *values: Any, floating: bool = False, number: bool = True) -> Any:
        """Tensors and numbers in their common format; NotImplemented for what is neither.

        Args:
            operation: Name for messages.
            *values: Tensors, arrays, lists and Python numbers.
            floating: Make whole numbers float32.
            number: Let Python numbers be; else they become 0-d tensors.
        """
        if alike(values, number):
            return values
        home = next((v.backend for v in values if isinstance(v, Storage)), None)
        operands: list[Any] = []
        for value in values:
            if isinstance(value, np.generic):
                value = value.item()
            if not isinstance(value, (Storage, bool, int, float)):
                if not is_array(value) and not isinstance(value, (list, tuple)):
                    return NotImplemented
                value = cls._as_tensor(value, home)
            operands.append(value)
        dtype = dtypes.result_type(*((v.dtype, v.ndim) if isinstance(v, Storage) else v for v in operands))
        if floating and not dtypes.is_floating(dtype):
            dtype = dtypes.DEFAULT
        for i, value in enumerate(operands):
            if isinstance(value, Storage):
                if value.dtype != dtype:
                    operands[i] = value.to(dtype)
            elif not number:
                operands[i] = cls._as_tensor(value, home, dtype)
        return operands


def host(values: Any) -> np.ndarray:
    """A tensor, an array of any device, or lists, as a NumPy array."""
    return np.asarray(backends.to_numpy(values._data if isinstance(values, Storage) else values))


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
    if isinstance(_first(data), Storage):
        data = _unpacked(data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise ShapeError(f"Tensor: nested lists must have equal lengths: {error}") from None
    if array.dtype == np.float64 and not isinstance(_first(data), (np.ndarray, np.generic)):
        array = array.astype(wanted or dtypes.DEFAULT)  # Python floats; NumPy's numbers keep their format
    if array.dtype.kind not in "biuf":
        raise DtypeError(f"Tensor: {type(data).__name__} {str(data)[:60]!r} holds no numbers (it became {array.dtype})")
    return backend.asarray(array, dtype=wanted or dtypes.as_dtype(array.dtype))


def _first(data: Any) -> Any:
    """The first entry of nested lists."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def _unpacked(data: Any) -> Any:
    """Nested lists of tensors as nested lists of arrays."""
    if isinstance(data, (list, tuple)):
        return [_unpacked(d) for d in data]
    return data.numpy() if isinstance(data, Storage) else data
