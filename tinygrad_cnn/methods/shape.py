"""Other shapes for the same numbers, pieces of them, and new tensors like this one."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import dtypes, ops
from tinygrad_cnn.backends import owner
from tinygrad_cnn.methods.base import Methods
from tinygrad_cnn.shapes import Ints, Shape, ShapeError, normalise_dims, one_dim

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor


class Shapes(Methods):
    """Numbers moved, none changed."""

    __slots__ = ()

    def reshape(self, *shape: Any) -> Tensor:
        """The same numbers in the same order, in another shape; one size may be −1: what is left."""
        return self._apply(ops.Reshape(_resolve("reshape", self.shape, as_sizes(shape))), self)

    def view(self, *shape: Any) -> Tensor:
        """`reshape` that never copies: the result shares this tensor's memory."""
        result = self.reshape(*shape)
        if math.prod(self.shape) and owner(result._data) is not owner(self._data):
            raise ShapeError(
                f"view: {self.shape} cannot become {result.shape} without copying, since the numbers do not lie "
                "in order; use reshape(...), which copies where it must"
            )
        return result

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Dimensions start_dim … end_dim as one: `x.flatten(1)` makes (N, C, H, W) into (N, C·H·W)."""
        if not self.ndim:
            return self.reshape(1)
        (start,) = normalise_dims("flatten", start_dim, self.ndim)
        (end,) = normalise_dims("flatten", end_dim, self.ndim)
        if start > end:
            raise ShapeError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
        middle = math.prod(self.shape[start : end + 1])
        return self.reshape(self.shape[:start] + (middle,) + self.shape[end + 1 :])

    def permute(self, *order: Any) -> Tensor:
        """The dimensions in another order."""
        wanted = as_sizes(order)
        dims = normalise_dims("permute", wanted, self.ndim)
        if len(dims) != self.ndim:
            raise ShapeError(f"permute: {wanted} must name each of the {self.ndim} dimensions of {self.shape}")
        return self._apply(ops.Permute(dims), self)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Two dimensions exchanged."""
        order = list(range(self.ndim))
        (a,), (b,) = (normalise_dims("transpose", d, self.ndim) or (0,) for d in (dim0, dim1))
        if order:
            order[a], order[b] = order[b], order[a]
        return self._apply(ops.Permute(tuple(order)), self)

    def t(self) -> Tensor:
        """A matrix with rows and columns exchanged."""
        if self.ndim > 2:
            raise ShapeError(f"t: {self.shape} has more than 2 dimensions; use transpose(dim0, dim1)")
        return self.T

    @property
    def T(self) -> Tensor:
        """All dimensions in reverse order."""
        return self._apply(ops.Permute(tuple(range(self.ndim))[::-1]), self)

    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged: each matrix of a stack transposed."""
        return self.transpose(-2, -1)

    def squeeze(self, dim: Ints | None = None) -> Tensor:
        """Without the dimensions of size 1 (among `dim`)."""
        dims = normalise_dims("squeeze", dim, self.ndim)
        return self.reshape(tuple(n for axis, n in enumerate(self.shape) if n != 1 or axis not in dims))

    def unsqueeze(self, dim: int) -> Tensor:
        """With a new dimension of size 1 at place `dim`."""
        (place,) = normalise_dims("unsqueeze", dim, self.ndim + 1)
        return self.reshape(self.shape[:place] + (1,) + self.shape[place:])

    def expand(self, *sizes: Any) -> Tensor:
        """Repeated along new leading dimensions, or along dimensions of size 1, without copying; −1 keeps a size."""
        wanted = as_sizes(sizes)
        new = len(wanted) - self.ndim
        if new < 0:
            raise ShapeError(f"expand: {wanted} has fewer dimensions than the tensor's shape {self.shape}")
        target = tuple(self.shape[i - new] if n == -1 and i >= new else n for i, n in enumerate(wanted))
        if any(a not in (1, b) for a, b in zip(self.shape, target[new:])) or min(target, default=0) < 0:
            raise ShapeError(f"expand: only dimensions of size 1 can grow; {self.shape} cannot become {wanted}")
        return self._apply(ops.Expand(target), self)

    def expand_as(self, other: Tensor) -> Tensor:
        """`expand` to the shape of another tensor."""
        return self.expand(other.shape)

    def view_as(self, other: Tensor) -> Tensor:
        """`view` in the shape of another tensor."""
        return self.view(other.shape)

    def repeat(self, *times: Any) -> Tensor:
        """Copies next to each other, so many along each dimension; further ones in front make new dimensions."""
        counts = as_sizes(times)
        if len(counts) < self.ndim or min(counts, default=0) < 0:
            raise ShapeError(f"repeat: {counts} must give a count for each dimension of {self.shape}, and none below 0")
        sizes = (1,) * (len(counts) - self.ndim) + self.shape
        pairs = [n for count, size in zip(counts, sizes) for n in (count, size)]
        apart = self.reshape([n for size in sizes for n in (1, size)]).expand(pairs)
        return apart.reshape([count * size for count, size in zip(counts, sizes)]).clone()

    def broadcast_to(self, *sizes: Any) -> Tensor:
        """`expand`."""
        return self.expand(*sizes)

    def flip(self, *dims: Any) -> Tensor:
        """In reverse order along some dimensions."""
        return self._apply(ops.Flip(normalise_dims("flip", as_sizes(dims), self.ndim)), self)

    def split(self, split_size: int | list[int] | tuple[int, ...], dim: int = 0) -> tuple[Tensor, ...]:
        """In pieces along `dim`: of one size (the last may be smaller), or of the sizes listed."""
        axis = one_dim("split", dim, self.ndim)
        n = self.shape[axis]
        if isinstance(split_size, int):
            if split_size < 1:
                raise ShapeError(f"split: the size of a piece must be at least 1, not {split_size}")
            sizes = [min(split_size, n - start) for start in range(0, n, split_size)] or [0]
        else:
            sizes = list(split_size)
            if sum(sizes) != n or min(sizes, default=0) < 0:
                raise ShapeError(f"split: sizes {sizes} must add up to {n}, dimension {axis} of {self.shape}")
        ends = np.cumsum(sizes).tolist()
        return tuple(self[(slice(None),) * axis + (slice(end - size, end),)] for size, end in zip(sizes, ends))

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """In at most `chunks` pieces along `dim`, all but the last of one size."""
        if chunks < 1:
            raise ShapeError(f"chunk: the number of pieces must be at least 1, not {chunks}")
        axis = one_dim("chunk", dim, self.ndim)
        return self.split(max(1, -(-self.shape[axis] // chunks)), dim)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """One tensor for each entry along `dim`."""
        axis = one_dim("unbind", dim, self.ndim)
        return tuple(self[(slice(None),) * axis + (i,)] for i in range(self.shape[axis]))

    def new_zeros(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        """Zeros in this tensor's format and on its device, unless said otherwise."""
        return self._new(0, size, dtype, device, requires_grad)

    def new_ones(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        """Ones in this tensor's format and on its device, unless said otherwise."""
        return self._new(1, size, dtype, device, requires_grad)

    def _new(self, value: int, size: tuple[Any, ...], dtype: Any, device: Any, requires_grad: bool) -> Any:
        array = np.full(as_sizes(size), value, self.dtype if dtype is None else dtypes.as_dtype(dtype))
        return self._as_tensor(array, self.backend).to(device=device).requires_grad_(requires_grad)

    def nelement(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    def is_floating_point(self) -> bool:
        """Whether the number format is one that can carry gradients."""
        return dtypes.is_floating(self.dtype)


def as_sizes(sizes: tuple[Any, ...]) -> Shape:
    """Sizes given one by one or together: `f(2, 3)` and `f((2, 3))` mean the same.

    Raises:
        TypeError: If one is no whole number.

    >>> as_sizes((2, 3)), as_sizes(([2, 3],))
    ((2, 3), (2, 3))
    """
    flat = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list, np.ndarray)) else sizes
    try:
        return tuple(map(operator.index, flat))
    except TypeError:
        raise TypeError(f"sizes must be whole numbers, not {flat}; n // 2 is one, n / 2 is a float") from None


def _resolve(operation: str, shape: Shape, wanted: Shape) -> Shape:
    """A wanted shape with its −1 replaced by what is left.

    >>> _resolve("reshape", (2, 6), (3, -1))
    (3, 4)
    """
    total, result = math.prod(shape), wanted
    if wanted.count(-1) == 1:
        known = -math.prod(wanted)  # of the other sizes
        if known and total % known == 0:
            result = tuple(total // known if n == -1 else n for n in wanted)
    if math.prod(result) != total or min(result, default=0) < 0:
        raise ShapeError(f"{operation}: {shape} holds {total} numbers, which do not fit into shape {wanted}")
    return result
