"""Entries of a tensor: `x[index]`, `gather`, `for row in x` and `number in x`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import dtypes, ops
from tinygrad_cnn.backends import is_array
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.methods.base import Methods
from tinygrad_cnn.shapes import one_dim

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor


class Indexing(Methods):
    """Numbers picked by their place."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Tensor:
        result: Any = self
        for stage in self._index(index):
            result = self._apply(ops.Index(stage), result)
        return result

    def _index(self, index: Any) -> tuple[tuple[Any, ...], ...]:
        """An index, with tensors, arrays and lists as arrays of this tensor's library, in one stage or two.

        In PyTorch, `x[1, :, picks]` is `x[1][:, picks]`. NumPy would take the 1 for a picking array, and move the
        picked dimension to the front. So whole numbers and slices come first, picks second.
        """
        parts = tuple(self._index_part(part) for part in (index if isinstance(index, tuple) else (index,)))
        if not any(map(is_array, parts)) or not any(map(_is_number, parts)):
            return (parts,)
        first: list[Any] = []
        second: list[Any] = []
        for part in parts:
            if is_array(part):
                first += [slice(None)] * (part.ndim if part.dtype == dtypes.bool_ else 1)
                second.append(part)
            else:
                first.append(part)
                if not _is_number(part):
                    second.append(Ellipsis if part is Ellipsis else slice(None))
        return tuple(first), tuple(second)

    def _index_part(self, part: Any) -> Any:
        if isinstance(part, (int, slice, np.integer)) or part is None or part is Ellipsis:
            return part
        picks = self._as_tensor(part, self.backend)
        if picks.dtype == dtypes.uint8:
            raise DtypeError("index: uint8 numbers could be places or a mask; say which with .long() or .bool()")
        if not picks.ndim and picks.dtype.kind == "i":
            return picks.item()
        if dtypes.is_floating(picks.dtype) and picks.numel():
            raise DtypeError(
                f"index: picks with {picks.dtype} numbers; an index is whole numbers or bools: use .long()"
            )
        picks = picks.long() if dtypes.is_floating(picks.dtype) else picks  # [] is float
        return (picks.clone() if picks is part else picks)._data  # backward must find it as it is now

    def gather(self, dim: int, index: Any) -> Tensor:
        """One entry along `dim` for each entry of `index`: `y[i,j] = x[index[i,j], j]` for dim 0."""
        picks = self._as_tensor(index, self.backend)
        if dtypes.is_floating(picks.dtype):
            raise DtypeError(f"gather: index is {picks.dtype}; it must be whole numbers: use .long()")
        if not self.ndim:
            return self.reshape(1).gather(dim, picks.reshape(-1)).reshape(picks.shape)
        return self._apply(ops.Gather(one_dim("gather", dim, self.ndim)), self, picks)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("a 0-d tensor cannot be iterated over; its number is .item()")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:
        found: Any = self == value
        if not isinstance(found, Methods):
            raise TypeError(f"in: a {type(value).__name__} is no number that a tensor could hold")
        return bool(found.any())


def _is_number(part: Any) -> bool:
    return isinstance(part, (int, np.integer)) and not isinstance(part, bool)
