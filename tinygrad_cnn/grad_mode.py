"""Whether operations build a graph, and a note of where a graph was cut."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from tinygrad_cnn.function import Node

# Whether operations build a graph; per thread.
_grad_enabled: ContextVar[bool] = ContextVar("grad_enabled", default=True)


def is_grad_enabled() -> bool:
    """Whether operations build a graph now."""
    return _grad_enabled.get()


class GradMode(contextlib.ContextDecorator):
    """Build graphs, or not, inside a `with` block or a decorated function; only in this thread."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._tokens: list[Any] = []

    def _recreate_cm(self) -> GradMode:  # each call of a decorated function has its own tokens
        return GradMode(self.mode)

    def __call__(self, function: Any) -> Any:
        """The function, run in this mode; a generator in every step, but not its caller in between."""
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def stepwise(*args: Any, **kwargs: Any) -> Any:
            steps, sent = function(*args, **kwargs), None
            while True:
                try:
                    with GradMode(self.mode):
                        value = steps.send(sent)
                except StopIteration as end:
                    return end.value
                sent = yield value

        return stepwise

    def __enter__(self) -> None:
        self._tokens.append(_grad_enabled.set(self.mode))

    def __exit__(self, *error: object) -> None:
        _grad_enabled.reset(self._tokens.pop())


class set_grad_enabled(GradMode):  # PyTorch's name, and its behaviour: it counts from the call on
    """Build graphs, or not, from now on; as a `with` block, until its end.

    >>> with set_grad_enabled(False):
    ...     is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._tokens.append(_grad_enabled.set(mode))

    def __enter__(self) -> None:
        """The mode was set when this was made."""

    def __call__(self, function: Any) -> Any:
        """As a decorator: only inside the function."""
        self.__exit__()
        return super().__call__(function)


class no_grad(GradMode):
    """Compute without building a graph: faster, and nothing is kept for backward.

    >>> import tinygrad_cnn as tcnn
    >>> x = tcnn.tensor(2.0, requires_grad=True)
    >>> with no_grad():
    ...     (x * x).requires_grad
    False
    """

    def __init__(self, function: Any = None) -> None:
        super().__init__(False)
        self.function = function
        if function is not None:  # @no_grad without parentheses
            functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.function is None:
            return super().__call__(*args, **kwargs)
        return super().__call__(self.function)(*args, **kwargs)

    def __get__(self, instance: Any, kind: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


class enable_grad(GradMode):
    """Build graphs, inside a `no_grad` block."""

    def __init__(self) -> None:
        super().__init__(True)


class Origin(NamedTuple):
    """Why a tensor has no graph although it came from tensors with one; for `explain_grad`."""

    how: str
    where: str
    source: Callable[[], Node | None]  # a weak reference: an explanation must not keep a graph alive

    def __reduce__(self) -> Any:
        """Pickled without the node, which is left behind: `type(None)()` is None, as a dead reference gives."""
        return Origin, (self.how, self.where, type(None))


def origin_of(how: str, tensors: Sequence[Any]) -> Origin | None:
    """The first thing that cut one of these tensors off, or the cut that happens now."""
    for tensor in tensors:
        if hasattr(tensor, "_origin"):
            if tensor._node is not None:
                return Origin(how, caller(), weakref.ref(tensor._node))
            if tensor._origin is not None:
                return tensor._origin
    return None


def caller() -> str:
    """File and line of the code that called the package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("tinygrad_cnn."):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
