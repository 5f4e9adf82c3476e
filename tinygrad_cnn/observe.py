"""Who looks on while a computation runs, and inside which module it runs.

Recordings see every operation and every step of the walk back through an `Observer`. Nobody looks on by default, which
costs one look at a ContextVar per operation and per walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_cnn.function import Function, Node

Array = Any


class Observer:
    """Is told what happens, and must not change any of it."""

    def applied(self, operation: Function, inputs: Sequence[Any], results: Sequence[Any], seconds: float) -> None:
        """An operation ran forward: on these tensors (or numbers, or None), with these results."""

    def started(self, node: Node, dy: Array, total: Array) -> None:
        """A walk back begins at this node with this gradient; `total` is more if it begins there several times."""

    def arrived(self, node: Node, dy: Array, kept: bool) -> None:
        """The gradient of a node is complete, and was added to its `.grad` if `kept`; it is about to be handed on."""

    def handed_on(self, node: Node, index: int, dx: Array, total: Array) -> None:
        """A node gave its input `index` the gradient dx, whose sum so far is now `total`."""

    def finished(self, node: Node, seconds: float) -> None:
        """An operation's backward is done."""


class Scope:
    """One call of a module, inside the call of another; two calls of one module are two scopes."""

    __slots__ = ("module", "outer")

    def __init__(self, module: Any, outer: Scope | None) -> None:
        self.module, self.outer = module, outer

    def modules(self) -> list[Any]:
        """The modules whose calls are open, the outermost first."""
        scope: Scope | None = self
        inside = []
        while scope is not None:
            inside.append(scope.module)
            scope = scope.outer
        return inside[::-1]


# Both per thread, as no_grad is.
observer: ContextVar[Observer | None] = ContextVar("observer", default=None)
scope: ContextVar[Scope | None] = ContextVar("scope", default=None)
