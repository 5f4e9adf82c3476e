"""What an exercise's `cases.py` is written with: calls that a student's function is tried with, and laws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn.exercises.sandbox.wire import Node, Random

__all__ = ["Case", "Law", "Node", "Random"]


@dataclass(frozen=True)
class Case:
    """One call.

    Attributes:
        function: Which of the exercise's functions is called.
        args: Its arguments: arrays, numbers, None, strings, and tuples, lists, dicts of them; `Node` for graphs,
            `Random(seed)` for a `numpy.random.Generator`.
        label: What is special about it, for messages: "padding 1, the kernel hangs over the edge".
        kind: "function", or "module": see `wire.invoke`.
    """

    function: str
    args: tuple[Any, ...]
    label: str = ""
    kind: str = "function"


@dataclass(frozen=True)
class Law:
    """A sentence that is true of the right function whatever its numbers are, such as `f(2x) = 2·f(x)`.

    Attributes:
        function: Which of the exercise's functions obeys it.
        says: The sentence, told to a student whose function does not obey.
        calls: Tuples of arguments.
        holds: From the results of these calls, arrays of the right shapes, to whether the law is obeyed.
    """

    function: str
    says: str
    calls: Sequence[tuple[Any, ...]]
    holds: Callable[[Sequence[Any]], bool]
