"""Where arrays live and who computes on them: one interface, and NumPy on the CPU; CuPy on a GPU is in `cuda.py`.

An operation never asks which library it runs on: it takes the array namespace `xp` of its arguments, or calls a kernel,
and the kernel table picks the implementation by `Backend.kernel_sets`.
"""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar, copy_context
from typing import Any

import numpy as np


class DeviceError(RuntimeError):
    """A device that does not exist, cannot be used, or is not the one the other arrays are on."""


class OverlapError(ValueError):
    """Memory of which one cell stands for several elements, and so cannot be written element by element."""


def _ignoring() -> tuple[ContextVar[Any], Any] | None:
    """What `np.errstate(all="ignore")` and a short buffer set: NumPy's ContextVar, and its value; None if elsewhere.

    NumPy copies runs that are shorter than its buffer, usually 8192 numbers, before it computes, even if it need not.
    """
    before = copy_context()
    with np.errstate(all="ignore"):
        np.setbufsize(512)
        inside = copy_context()
    changed = [(variable, value) for variable, value in inside.items() if before.get(variable) is not value]
    return changed[0] if len(changed) == 1 else None


class _Silence:
    """No warnings, and short runs taken where they lie: `np.errstate` costs as much as three additions, this one."""

    __slots__ = ("token",)

    def __enter__(self) -> None:
        self.token = _variable.set(_ignored)

    def __exit__(self, *error: object) -> None:
        _variable.reset(self.token)


_setting: Any = _ignoring() or (None, None)
_variable, _ignored = _setting
_quiet: Any = _Silence if _variable else functools.partial(np.errstate, all="ignore")


class Backend:
    """One array library on one device; this base class is NumPy on the CPU.

    Attributes:
        name: The device as users write it, such as `"cpu"` or `"cuda:0"`.
        xp: The array namespace (`numpy`, `cupy`).
        kernel_sets: Where the kernel table looks for an implementation, first choice first.
        checks_values: Whether looking at values is cheap. On a GPU it would wait for the device, so that
            operations check shapes only.
    """

    name = "cpu"
    xp: Any = np
    kernel_sets: tuple[str, ...] = ("cpu", "reference")
    checks_values = True

    @property
    def kind(self) -> str:
        """The device without its number: `"cpu"` or `"cuda"`."""
        return self.name.partition(":")[0]

    def __repr__(self) -> str:
        return f"Backend({self.name!r})"

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """Values as an array of this backend; copied only where they are elsewhere or of another dtype."""
        return np.asarray(to_numpy(values), dtype=dtype)

    def to_numpy(self, array: Any) -> np.ndarray:
        """The array on the host; the same memory where it is there already."""
        return np.asarray(array)

    def lock(self, array: Any) -> Any:
        """Mark an operation's result read-only, so that writing into it by accident is an error."""
        array.setflags(False)  # "write"; with the keyword it takes twice as long
        return array

    def writable(self, array: Any) -> bool:
        """Whether the array may be written into."""
        return bool(array.flags.writeable)

    def readonly(self, array: Any) -> Any:
        """The array, or a view of it, that cannot be written into."""
        if array.flags.writeable:
            array = array.view()
            array.setflags(False)
        return array

    @contextlib.contextmanager
    def unlocked(self, array: Any) -> Iterator[Any]:
        """The array, writable inside the block: for the package's own counted in-place changes."""
        if 0 in array.strides and array.size > 1:
            raise OverlapError("several elements of an expanded tensor share one memory cell; clone() it first")
        chain = [array]  # a view can be unlocked only after the array it looks into
        while isinstance(chain[-1].base, np.ndarray):
            chain.append(chain[-1].base)
        locked = [a for a in reversed(chain) if not a.flags.writeable]
        try:
            for a in locked:
                a.flags.writeable = True
            yield array
        finally:
            for a in reversed(locked):
                a.flags.writeable = False

    def activate(self) -> AbstractContextManager[Any]:
        """Make this device the current one while an operation runs.

        On a CPU: compute as every other device and PyTorch do, where log(0) is −∞ and 0/0 is NaN, without NumPy's
        warnings, which would name a line of this package instead of the user's.
        """
        return _quiet()

    def synchronize(self) -> None:
        """Wait until the device has done all it was asked to do (a CPU already has)."""

    def memory(self) -> dict[str, int]:
        """Bytes in use and in total on the device, where the library knows them."""
        return {}


CPU = Backend()


# device kind → the backend of a device with that number; a further array library registers itself here
_FACTORIES: dict[str, Callable[[int], Backend]] = {"cpu": lambda index: CPU}
# array type, or the name of a library that need not be imported for it → the backend an array of it is on
_BY_TYPE: dict[type | str, Callable[[Any], Backend]] = {}
_register_lock = threading.Lock()


def register(
    kind: str, factory: Callable[[int], Backend], array_type: type | str, locate: Callable[[Any], Backend]
) -> None:
    """Add an array library.

    Args:
        kind: The name of its devices, as in `device="kind:0"`.
        factory: Device number → backend.
        array_type: The class of its arrays, or the name of the library, for `locate` to be asked about its arrays.
        locate: Array → the backend it is on.
    """
    with _register_lock:
        _FACTORIES[kind] = factory
        _BY_TYPE[array_type] = locate


def kinds() -> tuple[str, ...]:
    """The kinds of devices there are."""
    return tuple(_FACTORIES)


def is_device(target: Any) -> bool:
    """Whether the argument of a `.to(...)` means a device; else it means a number format.

    Raises:
        DeviceError: For a name that is neither.

    >>> is_device("cuda:1"), is_device("float16")
    (True, False)
    """
    if isinstance(target, str) and target.partition(":")[0] not in kinds():
        try:
            np.dtype(target)
        except TypeError:
            raise DeviceError(f'"{target}" is neither a device ({", ".join(kinds())}) nor a number format') from None
        return False
    return isinstance(target, (str, Backend))


def get(device: str | Backend | None = None) -> Backend:
    """The backend of a device: `"cpu"`, `"cuda"`, `"cuda:1"`; None is the default device.

    Raises:
        DeviceError: If there is no such device or it cannot be used; it is never replaced silently.

    >>> get("cpu").name
    'cpu'
    """
    if isinstance(device, Backend):
        return device
    name = _default_device.get() if device is None else str(device)
    kind, colon, number = name.partition(":")
    if kind not in _FACTORIES or (colon and not re.fullmatch(r"\d+", number)):
        known = ", ".join(f'"{k}"' for k in _FACTORIES)
        raise DeviceError(f'there is no device "{name}"; use one of {known}, for a GPU with its number as "cuda:1"')
    return _FACTORIES[kind](int(number or 0))


_default_device: ContextVar[str] = ContextVar("default_device", default="cpu")


def set_default_device(device: str) -> None:
    """Make new tensors on this device from now on (in this thread).

    Raises:
        DeviceError: If the device cannot be used.
    """
    _default_device.set(get(device).name)


def get_default_device() -> str:
    """The device new tensors are made on."""
    return _default_device.get()


def backend_of(array: Any) -> Backend:
    """The backend an array is on.

    Raises:
        DeviceError: If it is not an array of a known library.

    >>> backend_of(np.zeros(3)).name
    'cpu'
    """
    backend = CPU if type(array) is np.ndarray else located(array)
    if backend is None:
        raise DeviceError(f"{type(array).__module__}.{type(array).__qualname__} is not an array of NumPy or CuPy")
    return backend


def is_array(value: Any) -> bool:
    """True for an array of any library in use."""
    return type(value) is np.ndarray or located(value) is not None


def located(value: Any) -> Backend | None:
    """The backend a value is on; None for what is no array."""
    if (kind := type(value)) is np.ndarray:
        return CPU
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](value)
    if isinstance(value, (np.ndarray, np.generic)):
        return CPU
    library = kind.__module__.partition(".")[0]
    if library in _BY_TYPE and hasattr(value, "device"):
        return _BY_TYPE[library](value)
    return None


def namespace(array: Any) -> Any:
    """The functions for this array: `numpy` or `cupy`."""
    return backend_of(array).xp


def to_numpy(values: Any) -> Any:
    """An array of any backend on the host; anything else (numbers, lists) as it is."""
    return backend_of(values).to_numpy(values) if is_array(values) else values


def owner(array: Any) -> Any:
    """The array that owns the memory this one looks into: equal owners mean shared memory."""
    base = getattr(array, "base", None)
    while base is not None and (type(base) is np.ndarray or is_array(base)):
        array, base = base, base.base
    return array
