"""Operations without a gradient, or with one that is 0 everywhere: comparisons, logic, places, steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import DtypeError, bool_
from tinygrad_cnn.ops.elementwise import Broadcast

Array = Any


class Plain(Broadcast):
    """A computation without a gradient, such as a comparison."""

    differentiable = False

    def __init__(self, name: str, compute: Callable[..., Array]) -> None:
        self.name = name
        self.compute = compute

    def check(self, *arrays: Array) -> None:
        """Floats have no bits to combine."""
        if self.name in ("&", "|", "^", "~") and any(getattr(a, "dtype", bool_).kind == "f" for a in arrays):
            raise DtypeError(
                f"{self.name}: takes bools and whole numbers, not floats; compare first, as in (x > 0) {self.name} …, "
                "or convert with .bool()"
            )

    def forward(self, *arrays: Array) -> Array:
        return self.compute(*arrays)


class Flat(Plain):
    """A function of steps: its derivative is 0."""

    differentiable = True

    def forward(self, x: Array) -> Array:
        return self.compute(x).astype(x.dtype, copy=False)  # before NumPy 2.1, floor made floats of whole numbers

    def backward(self, dy: Array) -> Array:
        return namespace(dy).zeros_like(dy)
