"""Normalisation by blocks: all that has one mean at a time, brought into the cache once.

Mean and variance are sums, and the fastest sums are the matrix library's: `x @ ones`, and `centred · centred` run by
run, both at the speed of memory. The rest is to bring each number into the cache only once. A block is cut so that it
holds all that shares a mean, and everything happens to it there: the sums, the subtraction of the mean, the division,
weight and bias. NumPy's functions over whole arrays, one after the other, would read and write main memory five times.
The numbers are centred before they are squared, as in the readable kernel: `mean(x²) − mean(x)²` would be one pass
less, and wrong where the mean is large.

The axes of an array are walked in this order, each group as it lies in memory:

    kept     by which means differ                      channels; samples; samples and groups
    pieces   by which the weights of one mean differ    none; none; the channels of a group
    pixels   all others                                 samples and pixels; pixels; pixels
    lanes    if means differ along the innermost axis   (of batch norm; instance norm; group norm)

Lanes are the samples where these lie innermost (see `layout`) and the means are taken within them: all of them are
summed side by side, `ones @ x`. Wherever the memory lies, nothing is transposed.

The sums of dy and dy·x̂ over the pixels of each piece give dweight and dbias; added up with the weights they are the two
means which dx needs, so that dy·weight is computed only where every number is a piece of its own (layer norm).
`tests/test_cpu_kernels.py` compares all of it with the readable kernels, in every order of memory.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, blocks_of
from tinygrad_cnn.kernels.cpu.phases import contiguous, move
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape

Array = np.ndarray


class Order:
    """In which order the axes of an array are walked: kept ones, pieces, pixels, perhaps lanes.

    Attributes:
        axes: The array's axes in this order.
        shape: Its sizes in this order, all pixels being one axis if they lie so.
        pieces: Where the pieces are in this order, `pixels` where these are, and `along` both.
        size: How many numbers have one mean.
        cut: Where the axis is along which blocks are cut.
        shared: Where means differ, but not the weights.
    """

    def __init__(self, x: Array, means_over: tuple[int, ...], beside: Shape) -> None:
        """For x, with means over these axes; `beside` is the shape of weight and bias beside x."""
        by_stride = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]) if x.shape[axis] > 1 else -math.inf)
        kept = [axis for axis in by_stride if axis not in means_over]
        pieces = [axis for axis in by_stride if axis in means_over and beside[axis] > 1]
        pixels = [axis for axis in by_stride if axis in means_over and beside[axis] == 1]
        lanes = [kept.pop()] if kept and kept[-1] == by_stride[-1] else []
        self.axes, self.lanes, self.beside_x, self.sizes = (*kept, *pieces, *pixels, *lanes), lanes, beside, x.shape
        self.back = sorted(range(x.ndim), key=self.axes.__getitem__)
        first, self.behind = len(kept) + len(pieces), x.ndim - len(lanes)
        self.merged = self.behind - first > 1 and x.transpose(self.axes).flags.c_contiguous
        self.pieces, self.pixels = range(len(kept), first), range(first, first + 1 if self.merged else self.behind)
        self.along = range(self.pieces.start, self.pixels.stop)
        self.shape = self.view(x).shape
        self.size = math.prod(self.shape[i] for i in self.along)
        outer = max(range(len(kept)), key=self.shape.__getitem__, default=-1)
        self.cut = outer if outer >= 0 and (self.shape[outer] > 1 or not lanes) else len(self.shape) - 1
        self.shared = tuple(i for i in range(len(self.shape)) if i not in self.along and self._weights_at(i) == 1)

    def _weights_at(self, place: int) -> int:
        axis = self.axes[place] if place < self.pieces.start else self.axes[-1]
        return self.beside_x[axis]

    def view(self, x: Array) -> Array:
        """The array in this order; weight, bias and statistics, too."""
        seen = x.transpose(self.axes)
        if self.merged:
            seen = seen.reshape(*seen.shape[: self.pixels.start], -1, *seen.shape[self.behind :])
        return seen

    def beside(self, p: Array | None) -> Array | None:
        """Weight or bias in this order, for all blocks of x."""
        if p is None:
            return None
        seen = self.view(p)
        return np.broadcast_to(seen, [seen.shape[i] if i in self.along else n for i, n in enumerate(self.shape)])

    def room(self, some: range, dtype: Any) -> Array:
        """Room for sums over these axes, in this order."""
        return np.empty([1 if i in some else n for i, n in enumerate(self.shape)], dtype)

    def statistic(self, means: Array) -> Array:
        """Means in this order as they stand beside x."""
        sizes = [self.sizes[axis] for axis in self.axes]
        kept = [1 if self.pieces.start <= i < self.behind else n for i, n in enumerate(sizes)]
        return means.reshape(kept).transpose(self.back)

    def gradient(self, sums: Array) -> Array:
        """Sums in this order, over all that shares a weight, as the gradient of weight or bias."""
        return np.ascontiguousarray(sums.reshape([self.beside_x[axis] for axis in self.axes]).transpose(self.back))

    def for_blocks(self, work: Callable[..., Any], *arrays: Array | None, size: int, passes: float, calls: int) -> None:
        """`work(first, *blocks)` for blocks of arrays in this order that fit into the cache; `size` is the first's."""
        n, before = self.shape[self.cut], (slice(None),) * self.cut
        each = 0 if self.cut == len(self.shape) - 1 and self.lanes else 2 * size // n  # lanes want to be many

        def run(part: int, first: int, last: int) -> None:
            for a, b in blocks_of(first, last, each):
                work(a, *(None if array is None else array[(*before, slice(a, b))] for array in arrays))

        split(n, run, passes * size / BYTES_PER_SECOND, calls)

    def sums(self, over: range, a: Array, b: Array | None = None) -> Array:
        """Sums of a, or of a·b, over axes that end before the lanes; their sizes become 1."""
        if not over:
            return a if b is None else a * b
        if self.lanes:
            values = a if b is None else np.multiply(a, b, out=scratch("products", a.shape, a.dtype))
            sums = _ones(a.shape[-2], a.dtype)[None] @ values
        else:
            sums = (a @ _ones(a.shape[-1], a.dtype) if b is None else np.vecdot(a, b))[..., None]
        return sums.sum(axis=tuple(over[:-1]), keepdims=True) if len(over) > 1 else sums

    def mean(self, a: Array, b: Array | None = None) -> Array:
        """Of a, or of a·b, over all that has one mean."""
        return self.sums(self.along, a, b) / self.size

    def over_pieces(self, sums: Array) -> Array:
        """Sums over the pixels, added over the pieces."""
        return sums.sum(axis=tuple(self.pieces), keepdims=True) if self.pieces else sums

    def over_samples(self, a: Array) -> Array:
        """Sums over all axes by which means differ."""
        if self.lanes:
            a = (a @ _ones(a.shape[-1], a.dtype))[..., None]
            return a.sum(axis=tuple(range(self.pieces.start)), keepdims=True)
        samples = math.prod(a.shape[: self.pieces.start])
        return _ones(samples, a.dtype) @ a.reshape(samples, -1)


def _near_enough(block: Array) -> bool:
    """Whether NumPy takes its runs where they lie."""
    return block.flags.c_contiguous or block.strides[-1] != block.itemsize or block.shape[-1] >= np.getbufsize()


def _near(purpose: str, block: Array) -> Array:
    """A copy, if the block is many short runs, each of which would cost every function a loop."""
    return block if _near_enough(block) else contiguous(purpose, block)


def _deliver(function: Any, a: Array, b: Array, block: Array) -> None:
    """`function(a, b)` into the block; a may be overwritten."""
    if _near_enough(block):
        function(a, b, out=block)
    else:
        move(block, function(a, b, out=a))


@functools.lru_cache(maxsize=32)
def _ones(n: int, dtype: np.dtype) -> Array:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


@kernel("normalise_forward", backend="cpu")
def normalise_forward(
    x: Array, weight: Array | None, bias: Array | None, axes: tuple[int, ...], eps: float
) -> tuple[Array, ...]:
    """The reference, block by block; y lies as x."""
    if x.dtype.char not in "fd" or not x.size or any(p is not None and p.dtype != x.dtype for p in (weight, bias)):
        return NotImplemented
    given = weight if weight is not None else bias
    order = Order(x, axes, (1,) * x.ndim if given is None else given.shape)
    y = np.empty_like(x)
    statistics = [order.room(order.along, x.dtype) for _ in range(3)]

    def work(
        first: int,
        block: Array,
        out: Array,
        mean: Array,
        inverse: Array,
        var: Array,
        scale: Array | None,
        shift: Array | None,
    ) -> None:
        block = _near("rows", block)
        mean[...] = order.mean(block)
        centred = scratch("centred", block.shape, block.dtype)
        np.subtract(block, mean, out=centred)
        var[...] = order.mean(centred, centred)
        np.divide(1, np.sqrt(var + eps), out=inverse)
        steps: list[tuple[Any, Array]] = [(np.multiply, inverse)]
        if scale is not None and order.pixels:
            steps = [(np.multiply, inverse * scale)]
        elif scale is not None:
            steps.append((np.multiply, scale))
        if shift is not None:
            steps.append((np.add, shift))
        for step, operand in steps[:-1]:
            step(centred, operand, out=centred)
        step, operand = steps[-1]
        _deliver(step, centred, operand, out)

    arrays = [order.view(x), order.view(y), *statistics, order.beside(weight), order.beside(bias)]
    order.for_blocks(work, *arrays, size=x.nbytes, passes=12, calls=40)
    mean, inverse, var = map(order.statistic, statistics)
    return y, mean, inverse, var


@kernel("normalise_backward", backend="cpu")
def normalise_backward(
    dy: Array,
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    axes: tuple[int, ...],
    beside: Shape,
    needs: Any,
) -> tuple[Array | None, ...]:
    """As forward; dx lies as x. The gradients of a weight that samples share are added in the order of the blocks."""
    if x.dtype.char not in "fd" or not x.size or any(a is not None and a.dtype != x.dtype for a in (dy, weight)):
        return NotImplemented
    order = Order(x, axes, beside)
    dx = np.empty_like(x) if needs.x else None
    arrays = [order.view(x), order.view(dy), None if dx is None else order.view(dx)]
    arrays += [order.view(mean), order.view(inverse_std), order.beside(weight)]
    if order.pixels or len(order.shared) < len(order.shape) - len(order.along):
        products, totals = (order.room(order.pixels, x.dtype) for _ in range(2))
        work = functools.partial(_pieces, order)
        order.for_blocks(work, *arrays, products, totals, size=x.nbytes, passes=20, calls=35)
        sums = [s.sum(axis=order.shared, keepdims=True) for s in (products, totals)]
    else:
        parts: dict[int, tuple[Array, Array]] = {}
        order.for_blocks(functools.partial(_numbers, order, parts), *arrays, size=x.nbytes, passes=20, calls=35)
        sums = [sum(parts[first][i] for first in sorted(parts)) for i in (0, 1)]
    dweight, dbias = map(order.gradient, sums)
    return dx, dweight if needs.weight else None, dbias if needs.bias else None


def _pieces(
    order: Order,
    first: int,
    x: Array,
    dy: Array,
    dx: Array | None,
    mean: Array,
    inverse: Array,
    weight: Array | None,
    products: Array,
    totals: Array,
) -> None:
    """Pieces of many pixels: all sums over them at once."""
    x, dy = _near("rows", x), _near("gradients", dy)
    centred = np.subtract(x, mean, out=scratch("centred", x.shape, x.dtype))
    total = totals[...] = order.sums(order.pixels, dy)
    product = products[...] = order.sums(order.pixels, dy, centred) * inverse
    if dx is None:
        return
    if weight is not None:
        total, product = total * weight, product * weight
    through_mean, through_variance = (order.over_pieces(s) / order.size for s in (total, product))
    np.multiply(centred, -inverse * inverse * through_variance, out=centred)
    np.subtract(centred, inverse * through_mean, out=centred)
    direct = scratch("direct", x.shape, x.dtype)
    np.multiply(dy, inverse if weight is None else inverse * weight, out=direct)
    _deliver(np.add, direct, centred, dx)


def _numbers(
    order: Order,
    parts: dict[int, tuple[Array, Array]],
    first: int,
    x: Array,
    dy: Array,
    dx: Array | None,
    mean: Array,
    inverse: Array,
    weight: Array | None,
) -> None:
    """Every number has a weight of its own, the same in all samples: sums over the samples of a block."""
    normalised, product = scratch("centred", x.shape, x.dtype), scratch("direct", x.shape, x.dtype)
    np.subtract(x, mean, out=normalised)
    np.multiply(normalised, inverse, out=normalised)
    np.multiply(dy, normalised, out=product)
    parts[first] = order.over_samples(product), order.over_samples(dy)
    if dx is None:
        return
    weighted = dy if weight is None else np.multiply(dy, weight, out=product)
    through_mean, through_variance = order.mean(weighted), order.mean(weighted, normalised)
    np.multiply(normalised, through_variance, out=normalised)
    np.add(normalised, through_mean, out=normalised)
    np.subtract(weighted, normalised, out=normalised)
    np.multiply(normalised, inverse, out=dx)
