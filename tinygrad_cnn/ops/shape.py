"""Operations that move numbers and change none; backward moves the gradient back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import backend_of, is_array, namespace
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Shape, ShapeError

Array = Any


class Clone(Function):
    """The same numbers elsewhere."""

    def forward(self, x: Array) -> Array:
        return x.copy()

    def backward(self, dy: Array) -> Array:
        return dy


@dataclass(eq=False)
class Reshape(Function):
    """The same numbers in the same order, in another shape."""

    shape_to: Shape

    def forward(self, x: Array) -> Array:
        return x.reshape(self.shape_to)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.input_shapes[0])


@dataclass(eq=False)
class Permute(Function):
    """The dimensions in another order: result dimension i is dimension `order[i]` of x."""

    order: tuple[int, ...]

    def forward(self, x: Array) -> Array:
        return x.transpose(self.order)

    def backward(self, dy: Array) -> Array:
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        return dy.transpose(back)


@dataclass(eq=False)
class Expand(Function):
    """x repeated along new or size-1 dimensions, without copying."""

    shape_to: Shape

    def forward(self, x: Array) -> Array:
        return namespace(x).broadcast_to(x, self.shape_to)

    def backward(self, dy: Array) -> Array:
        return kernels.unbroadcast(dy, self.input_shapes[0])


@dataclass(eq=False)
class Flip(Function):
    """x in reverse order along some dimensions."""

    dims: tuple[int, ...]

    def forward(self, x: Array) -> Array:
        return namespace(x).flip(x, self.dims).copy()  # PyTorch's flip is a copy too

    def backward(self, dy: Array) -> Array:
        return namespace(dy).flip(dy, self.dims)


@dataclass(eq=False)
class Pad(Function):
    """x with `pads` (before, behind) entries around its last dimensions: of one value, or of its own."""

    pads: tuple[tuple[int, int], ...]
    value: float = 0.0
    mode: str = "constant"

    def forward(self, x: Array) -> Array:
        if self.mode == "constant":
            padded = kernels.pad_forward(x, self.pads, self.value)
        else:
            padded = kernels.extend_forward(x, self.pads, self.mode)
        return x.copy() if padded is x else padded

    def backward(self, dy: Array) -> Array:
        if self.mode == "constant":
            return kernels.unpad(dy, self.pads)
        return kernels.extend_backward(dy, self.pads, self.mode)


@dataclass(eq=False)
class Cat(Function):
    """Several arrays one after the other along `dim`."""

    dim: int

    def forward(self, *xs: Array) -> Array:
        first = xs[0].shape
        for number, x in enumerate(xs):
            if x.ndim != len(first) or any(
                a != b for axis, (a, b) in enumerate(zip(x.shape, first)) if axis != self.dim
            ):
                raise ShapeError(
                    f"cat: tensor {number} has shape {x.shape}, tensor 0 has {first}; "
                    f"all sizes but those of dimension {self.dim} must be equal"
                )
        return namespace(xs[0]).concatenate(xs, axis=self.dim)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        gradients, start = [], 0
        for shape in self.input_shapes:
            stop = start + shape[self.dim]
            gradients.append(dy[(slice(None),) * self.dim + (slice(start, stop),)])
            start = stop
        return tuple(gradients)


@dataclass(eq=False)
class Stack(Function):
    """Several arrays of one shape as entries of a new dimension `dim`."""

    dim: int

    def forward(self, *xs: Array) -> Array:
        for number, x in enumerate(xs):
            if x.shape != xs[0].shape:
                raise ShapeError(f"stack: tensor {number} has shape {x.shape}, tensor 0 has {xs[0].shape}")
        return namespace(xs[0]).stack(xs, axis=self.dim)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return tuple(namespace(dy).moveaxis(dy, self.dim, 0))


@dataclass(eq=False)
class Index(Function):
    """`x[index]`; an entry picked several times collects its gradients."""

    index: tuple[Any, ...]

    @property
    def picks(self) -> bool:
        """True if arrays are among the indices, so that the result is a copy and may hold an entry twice."""
        return any(is_array(i) for i in self.index)

    def forward(self, x: Array) -> Array:
        return x[self.index]

    def backward(self, dy: Array) -> Array:
        if self.picks:
            return kernels.index_add(dy, self.index, self.input_shapes[0])
        dx = namespace(dy).zeros(self.input_shapes[0], dtype=dy.dtype)
        dx[self.index] = dy
        return dx

    def attributes(self) -> dict[str, Any]:
        """Arrays only by their shape: an index may be large."""
        return {"index": tuple(f"array{i.shape}" if is_array(i) else i for i in self.index)}


@dataclass(eq=False)
class Gather(Function):
    """`y[i,j] = x[index[i,j], j]` for dim 0, and so on: one entry along `dim` for each entry of `index`."""

    dim: int

    def forward(self, x: Array, index: Array) -> Array:
        if index.ndim != x.ndim or any(
            i > n for axis, (i, n) in enumerate(zip(index.shape, x.shape)) if axis != self.dim
        ):
            raise ShapeError(
                f"gather: index {index.shape} must have as many dimensions as x {x.shape}, and be no larger than x "
                f"in any but dimension {self.dim}"
            )
        n = x.shape[self.dim]
        if backend_of(x).checks_values and index.size and not 0 <= index.min() <= index.max() < n:
            raise IndexError(
                f"gather: indices {index.min()}..{index.max()} must lie in 0..{n - 1}, "
                f"as dimension {self.dim} of x {x.shape} has {n} entries"
            )
        self.save(index=index)
        return x[self.places(index)]

    def backward(self, dy: Array) -> tuple[Array, None]:
        return kernels.index_add(dy, self.places(self.saved.index), self.input_shapes[0]), None

    def places(self, index: Array) -> tuple[Array, ...]:
        """The whole index of every entry: its own place in all dimensions but one."""
        xp = namespace(index)
        grid = [xp.arange(n).reshape((-1,) + (1,) * (index.ndim - 1 - axis)) for axis, n in enumerate(index.shape)]
        grid[self.dim] = index
        return tuple(grid)


@dataclass(eq=False)
class Sort(Function):
    """The numbers along `dim` in order, and where each stood; equals keep their order."""

    dim: int
    descending: bool = False

    def forward(self, x: Array) -> tuple[Array, Array]:
        xp = namespace(x)
        if self.descending:  # sorted backwards twice, so that equals keep their order
            backwards = xp.flip(x, self.dim)
            index = x.shape[self.dim] - 1 - xp.flip(xp.argsort(backwards, axis=self.dim, kind="stable"), self.dim)
        else:
            index = xp.argsort(x, axis=self.dim, kind="stable")
        self.save(index=index)
        return xp.take_along_axis(x, index, axis=self.dim), index

    def backward(self, dy: Array) -> Array:
        index = self.saved.index
        back = namespace(dy).argsort(index, axis=self.dim)  # the order that undoes the order
        return namespace(dy).take_along_axis(dy, back, axis=self.dim)
