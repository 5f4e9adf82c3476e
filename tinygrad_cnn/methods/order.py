"""The largest and the smallest, where they stand, and all numbers in order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from tinygrad_cnn import ops
from tinygrad_cnn.methods.base import Methods
from tinygrad_cnn.methods.dims import Alias, Dims, numpy_names
from tinygrad_cnn.shapes import ShapeError, normalise_dims

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor


class Extremes(NamedTuple):
    """What `max(dim)`, `min(dim)`, `sort` and `topk` return: the values, and where they stood."""

    values: Any
    indices: Any


class Order(Dims):
    """Numbers picked by their size."""

    __slots__ = ()

    def amax(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """The largest number over one or several dimensions; equals share the gradient."""
        return self._reduce(ops.Amax, dim, keepdim, alias)

    def amin(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """The smallest number over one or several dimensions; equals share the gradient."""
        return self._reduce(ops.Amin, dim, keepdim, alias)

    def max(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Any:
        """The largest number; along `dim` also where it stands: `(values, indices)`. A tensor as `dim`: `maximum`."""
        return self._extremum(ops.Amax, True, dim, keepdim, alias)

    def min(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Any:
        """The smallest number; along `dim` also where it stands: `(values, indices)`. A tensor as `dim`: `minimum`."""
        return self._extremum(ops.Amin, False, dim, keepdim, alias)

    def _extremum(self, total: Any, largest: bool, dim: Any, keepdim: bool, alias: Alias) -> Any:
        if isinstance(dim, Methods):
            return self.maximum(dim) if largest else self.minimum(dim)
        dim, keepdim = numpy_names(dim, keepdim, alias)
        if dim is None:
            return self._reduce(total, None, keepdim, {})
        return Extremes(*self._along(ops.Extremum, dim, keepdim, largest))

    def argmax(self, dim: int | None = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """Where the largest number stands: its index along `dim`, or in the flattened tensor."""
        return self._arg("argmax", dim, keepdim, alias)

    def argmin(self, dim: int | None = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """Where the smallest number stands: its index along `dim`, or in the flattened tensor."""
        return self._arg("argmin", dim, keepdim, alias)

    def _arg(self, name: str, dim: Any, keepdim: bool, alias: Alias) -> Tensor:
        dim, keepdim = numpy_names(dim, keepdim, alias)
        dims = normalise_dims(name, dim, self.ndim)
        if not math.prod(self.shape[axis] for axis in dims):
            raise ShapeError(f"{name}: dimensions {dims} of a tensor of shape {self.shape} hold no numbers")
        return self._apply(ops.Plain(name, lambda x: getattr(x, name)(axis=dim, keepdims=keepdim)), self)

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Extremes:
        """The numbers along `dim` in order, and where each stood; equals keep their order."""
        return Extremes(*self._along(ops.Sort, dim, descending))

    def argsort(self, dim: int = -1, descending: bool = False) -> Tensor:
        """Where the numbers along `dim` stand in order."""
        return self.sort(dim, descending).indices

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extremes:
        """The k largest (or smallest) numbers along `dim`, always in order, and where they stood."""
        values, indices = self.sort(dim, descending=largest)
        size = self.shape[dim] if self.ndim else 1
        if not 0 <= k <= size:
            raise ShapeError(f"topk: k={k} of {size} numbers along dimension {dim} of shape {self.shape}")
        first = (*(slice(None),) * (dim % max(self.ndim, 1)), slice(k)) if self.ndim else ()
        return Extremes(values[first], indices[first])
