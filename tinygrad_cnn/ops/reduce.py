"""Operations that take many numbers to one: over some dimensions, or along one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator, is_floating
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import ShapeError

Array = Any


@dataclass(eq=False)
class Reduction(Function):
    """Over the dimensions `dims`, which stay with size 1 if `keepdim`."""

    dims: tuple[int, ...]
    keepdim: bool = False

    def kept(self, y: Array) -> Array:
        """A reduced array, with its dimensions of size 1 back in place."""
        if self.keepdim:
            return y
        shape = self.input_shapes[0] or ()
        return y.reshape(tuple(1 if axis in self.dims else size for axis, size in enumerate(shape)))

    def spread(self, dy: Array) -> Array:
        """The gradient of a result, repeated for every number that went into it (a view: nothing is copied)."""
        return namespace(dy).broadcast_to(self.kept(dy), self.input_shapes[0])

    @property
    def count(self) -> int:
        """How many numbers go into one result."""
        shape = self.input_shapes[0] or ()
        return math.prod(shape[axis] for axis in self.dims)


class Sum(Reduction):
    """The sum; every summand gets the whole gradient."""

    def forward(self, x: Array) -> Array:
        y = x.sum(axis=self.dims, keepdims=self.keepdim, dtype=accumulator(x.dtype))
        return y.astype(x.dtype, copy=False) if is_floating(x.dtype) else y

    def backward(self, dy: Array) -> Array:
        return self.spread(dy)


class Mean(Reduction):
    """The mean; every number gets its share of the gradient."""

    def forward(self, x: Array) -> Array:
        y = x.sum(axis=self.dims, keepdims=self.keepdim, dtype=accumulator(x.dtype))
        return (y / self.count if self.count else y * math.nan).astype(x.dtype, copy=False)

    def backward(self, dy: Array) -> Array:
        share = dy.astype(accumulator(dy.dtype), copy=False) / max(self.count, 1)  # float16 ends at 65504
        return self.spread(share.astype(dy.dtype, copy=False))


@dataclass(eq=False)
class Var(Reduction):
    """The variance: squared distances from the mean, summed, over `count − correction`."""

    correction: float = 1

    def forward(self, x: Array) -> Array:
        wide = x.astype(accumulator(x.dtype), copy=False)
        centred = wide - wide.mean(axis=self.dims, keepdims=True)
        self.save(centred=centred)
        y = (centred * centred).sum(axis=self.dims, keepdims=self.keepdim)
        freedom = max(self.count - self.correction, 0)
        return (y / freedom if freedom else y * math.nan).astype(x.dtype, copy=False)

    def backward(self, dy: Array) -> Array:
        freedom = max(self.count - self.correction, 0)
        return self.kept(dy) * self.saved.centred * (2 / freedom if freedom else math.nan)


class Std(Var):
    """The standard deviation, √variance; where it is 0, its gradient is taken as 0."""

    def forward(self, x: Array) -> Array:
        y = namespace(x).sqrt(super().forward(x))
        self.save(y=y)
        return y

    def backward(self, dy: Array) -> Array:
        xp, y = namespace(dy), self.saved.y
        return super().backward(xp.where(y == 0, 0, dy / (2 * xp.where(y == 0, 1, y))))


class Amax(Reduction):
    """The largest number; equals share the gradient."""

    method = "max"

    def forward(self, x: Array) -> Array:
        if not self.count:
            raise ShapeError(f"{self.name}: dimensions {self.dims} of a tensor of shape {x.shape} hold no numbers")
        y = getattr(x, self.method)(axis=self.dims, keepdims=True)
        self.save(is_extreme=x == y)
        return y if self.keepdim else y.squeeze(self.dims)

    def backward(self, dy: Array) -> Array:
        is_extreme = self.saved.is_extreme
        share = self.kept(dy) / is_extreme.sum(axis=self.dims, keepdims=True).astype(dy.dtype)
        return is_extreme * share


class Amin(Amax):
    """The smallest number; equals share the gradient."""

    method = "min"


@dataclass(eq=False)
class Extremum(Function):
    """The largest (or smallest) number along one dimension, and where it stands: the first of equals gets it all."""

    dim: int
    keepdim: bool = False
    largest: bool = True

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the method is called."""
        return "max" if self.largest else "min"

    def forward(self, x: Array) -> tuple[Array, Array]:
        if not x.shape[self.dim : self.dim + 1] or x.shape[self.dim]:
            xp = namespace(x)
            index = x.argmax(axis=self.dim) if self.largest else x.argmin(axis=self.dim)
            index = xp.expand_dims(xp.asarray(index), self.dim)
            self.save(index=index)
            y = xp.take_along_axis(x, index, axis=self.dim)
            return (y, index) if self.keepdim else (y.squeeze(self.dim), index.squeeze(self.dim))
        raise ShapeError(f"{self.name}: dimension {self.dim} of a tensor of shape {x.shape} holds no numbers")

    def backward(self, dy: Array) -> Array:
        xp = namespace(dy)
        dy = dy if self.keepdim else xp.expand_dims(dy, self.dim)
        place = xp.arange(self.input_shapes[0][self.dim]).reshape((-1,) + (1,) * (dy.ndim - 1 - self.dim))
        return xp.where(place == self.saved.index, dy, 0)


class Prod(Reduction):
    """The product; the derivative for each number is the product of the others."""

    def forward(self, x: Array) -> Array:
        y = x.prod(axis=self.dims, keepdims=True, dtype=accumulator(x.dtype))
        y = y.astype(x.dtype, copy=False) if is_floating(x.dtype) else y
        self.save(x=x)
        return y if self.keepdim else y.squeeze(self.dims)

    def backward(self, dy: Array) -> Array:
        # y/x would divide by zero: count the zeros, and multiply the numbers that are none
        xp, x = namespace(dy), self.saved.x
        zero = x == 0
        zeros = zero.sum(axis=self.dims, keepdims=True)
        product = xp.where(zero, 1, x).prod(axis=self.dims, keepdims=True)
        others = xp.where(zeros == 0, product / xp.where(zero, 1, x), xp.where((zeros == 1) & zero, product, 0))
        return self.kept(dy) * others


class LogSumExp(Reduction):
    """log Σ eˣ, whose derivative is the softmax."""

    name = "logsumexp"

    def forward(self, x: Array) -> Array:
        xp = namespace(x)
        highest = kernels.reference.activations.highest(x, self.dims)
        highest = xp.where(xp.isfinite(highest), highest, 0)  # ∞ − ∞ would be NaN
        y = xp.log(xp.exp(x - highest).sum(axis=self.dims, keepdims=True)) + highest
        self.save(x=x, y=y)
        return y if self.keepdim else y.squeeze(self.dims)

    def backward(self, dy: Array) -> Array:
        return self.kept(dy) * namespace(dy).exp(self.saved.x - self.saved.y)


@dataclass(eq=False)
class Softmax(Function):
    """eˣ, divided by its sum along `dim`: probabilities."""

    dim: int

    def forward(self, x: Array) -> Array:
        y = kernels.softmax_forward(x, self.dim)
        self.save(y=y)
        return y

    def backward(self, dy: Array) -> Array:
        return kernels.softmax_backward(dy, self.saved.y, self.dim)


@dataclass(eq=False)
class LogSoftmax(Function):
    """The logarithm of the softmax along `dim`, computed without forming it."""

    dim: int

    def forward(self, x: Array) -> Array:
        y = kernels.log_softmax_forward(x, self.dim)
        self.save(y=y)
        return y

    def backward(self, dy: Array) -> Array:
        return kernels.log_softmax_backward(dy, self.saved.y, self.dim)
