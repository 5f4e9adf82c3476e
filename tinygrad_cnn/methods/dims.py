"""How a method goes over some dimensions, or along one.

They are called `dim` and `keepdim` as in PyTorch, or `axis` and `keepdims` as in NumPy.
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np

from tinygrad_cnn.methods.base import Methods
from tinygrad_cnn.shapes import normalise_dims


class Alias(TypedDict, total=False):
    """NumPy's names for `dim` and `keepdim`."""

    axis: Any
    keepdims: bool


def numpy_names(dim: Any, keepdim: bool, alias: Alias) -> tuple[Any, bool]:
    """`dim` and `keepdim`, under whichever name they were given."""
    if not alias:
        return dim, keepdim
    unknown = set(alias) - {"axis", "keepdims"}
    if unknown:
        raise TypeError(f"unknown argument {unknown.pop()!r}; the names are dim, keepdim, axis and keepdims")
    return alias.get("axis", dim), alias.get("keepdims", keepdim)


class Dims(Methods):
    """What reductions and orders share."""

    __slots__ = ()

    def _reduce(self, kind: Any, dim: Any, keepdim: bool, alias: Alias, *settings: Any) -> Any:
        dim, keepdim = numpy_names(dim, keepdim, alias)
        everything = isinstance(dim, (tuple, list)) and not dim  # PyTorch: none means all
        dims = normalise_dims(kind.name, None if everything else dim, self.ndim)
        return self._apply(kind(dims, keepdim, *settings), self)

    def _along(self, kind: Any, dim: int, *settings: Any) -> Any:
        name = kind.name if isinstance(kind.name, str) else "max/min"
        if not isinstance(dim, (int, np.integer)):
            raise TypeError(f"{name}: dim={dim!r} must be one whole number (amax and amin take several)")
        dims = normalise_dims(name, dim, self.ndim)
        if dims:
            return self._apply(kind(dims[0], *settings), self)
        results = self.reshape(1)._along(kind, 0, *settings)  # a single number, as a row of one
        return tuple(r.reshape(()) for r in results) if isinstance(results, tuple) else results.reshape(())
