"""The kernel table: name → implementation, per array library.

`kernels.conv2d_forward(x, …)` looks at the library of its first array argument and calls the first implementation
that takes the arguments: an override (`with kernels.use(conv2d_forward=mine):`), then the backend's kernel sets in
order, the readable reference last. An implementation declines by returning `NotImplemented`.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from tinygrad_cnn.backends import located

F = TypeVar("F", bound=Callable[..., Any])

_TABLE: dict[str, Kernel] = {}
_overrides: ContextVar[Mapping[str, Callable[..., Any]]] = ContextVar("overrides", default={})  # noqa: B039
_REFERENCE = ("reference",)


class KernelError(RuntimeError):
    """A kernel that is unknown, or that nobody can compute for these arguments."""


class Kernel:
    """One operation on arrays, with all its implementations."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.implementations: dict[str, Callable[..., Any]] = {}

    def __repr__(self) -> str:
        return f"<kernel {self.name}: {', '.join(self.implementations)}>"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        reference = self.implementations.get("reference")
        return reference.__doc__ if reference else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        override = _overrides.get().get(self.name)
        if override is not None:
            result = override(*args, **kwargs)
            self._check_override(result)
            return result
        return self.library(*args, **kwargs)

    def library(self, *args: Any, **kwargs: Any) -> Any:
        """As this package computes it, whoever stands in: for an override that takes some arguments only."""
        sets: tuple[str, ...] = _REFERENCE
        for array in args:
            backend = located(array)
            if backend is not None:
                sets = backend.kernel_sets
                break
        for kernel_set in sets:
            implementation = self.implementations.get(kernel_set)
            if implementation is not None:
                result = implementation(*args, **kwargs)
                if result is not NotImplemented:
                    return result
        raise KernelError(f"{self.name}: none of {list(self.implementations)} takes these arguments on {sets[0]}")

    def _check_override(self, result: Any) -> None:
        """Refuse what the reference, by its annotation, never returns: the usual slips of a first kernel."""
        wanted = str(getattr(self.implementations.get("reference"), "__annotations__", {}).get("return", ""))
        given = f"{self.name}: the function given to kernels.use() returned"
        if result is NotImplemented:
            raise KernelError(f"{given} NotImplemented")
        if wanted == "None" and result is not None:
            raise KernelError(f"{given} {type(result).__name__}; it must change its arguments in place, return nothing")
        if wanted not in ("None", "") and result is None:
            raise KernelError(f"{given} None; forgot `return`?")
        if wanted.startswith("tuple["):
            size = None if "..." in wanted else wanted.count(",") + 1
            if not isinstance(result, tuple) or (size is not None and len(result) != size):
                raise KernelError(f"{given} {type(result).__name__}; the reference returns {wanted}")


def kernel(name: str, backend: str = "reference") -> Callable[[F], F]:
    """Register an implementation.

    Args:
        name: The kernel's name.
        backend: The kernel set it belongs to: `"reference"` (any array library), `"cpu"`, `"cuda"`, `"cudnn"`.

    Raises:
        KernelError: If this set has the kernel already.
    """

    def register(function: F) -> F:
        implementations = _TABLE.setdefault(name, Kernel(name)).implementations
        if backend in implementations:
            raise KernelError(f"{name}: the set {backend!r} has this kernel already")
        implementations[backend] = function
        return function

    return register


def get(name: str) -> Kernel:
    """The kernel of this name.

    Raises:
        KernelError: If there is none; the message names the nearest.
    """
    try:
        return _TABLE[name]
    except KeyError:
        near = difflib.get_close_matches(name, _TABLE, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise KernelError(f"there is no kernel {name!r}{hint} (all: {', '.join(sorted(_TABLE))})") from None


def names() -> list[str]:
    """All kernels, sorted."""
    return sorted(_TABLE)


@contextlib.contextmanager
def use(**functions: Callable[..., Any]) -> Iterator[None]:
    """Compute with these functions instead, inside the block (and only in this thread).

    Args:
        **functions: Kernel name → function with the reference's arguments.

    Raises:
        KernelError: If there is no kernel of that name.

    >>> import numpy as np, tinygrad_cnn as tcnn
    >>> with use(relu_forward=lambda x: (np.maximum(x, 0.1), x > 0)):  # a leaky student
    ...     tcnn.tensor([-1.0, 2.0]).relu().tolist()
    [0.10000000149011612, 2.0]
    """
    for name, function in functions.items():
        get(name)
        if not callable(function):
            raise KernelError(f"use: {name}={function!r} must be a function")
    token = _overrides.set({**_overrides.get(), **functions})
    try:
        yield
    finally:
        _overrides.reset(token)


def any_overridden() -> bool:
    """Whether a user's function stands in for any kernel now."""
    return bool(_overrides.get())


def overridden(name: str) -> bool:
    """Whether a user's function stands in for this kernel now."""
    return name in _overrides.get()
