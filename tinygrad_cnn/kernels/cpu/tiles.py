"""Convolution by tiles: one matrix product that computes m×n neighbouring outputs at once.

**im2col** writes down, for every output pixel, the C·R·S pixels its window sees, as one column; the filters are the
rows of a matrix, and one product computes everything. It copies each pixel R·S times, and where there are few filters
(LeNet-5 begins with 6) the product is so thin that a processor spends its time on moving numbers.

**Tiles** take m×n neighbouring outputs together. Their windows overlap, so that together they see only a×b pixels,
`a = (m − 1)·stride + R`: for 4×4 outputs and a 5×5 kernel 8·8 = 64 pixels instead of 16·25 = 400. The matrix has a row
for each filter *and each output of the tile*: the filter, shifted to where that output's window lies, and zeros around
it. In one dimension, for a kernel (w₀ w₁ w₂) and tiles of two outputs:

        │ w₀ w₁ w₂ 0  │   │ x₀ x₂ x₄ │     │ y₀ y₂ y₄ │
        │ 0  w₀ w₁ w₂ │ · │ x₁ x₃ x₅ │  =  │ y₁ y₃ y₅ │
                          │ x₂ x₄ x₆ │
                          │ x₃ x₅ x₇ │

Such a matrix, constant along its diagonals, is called a Toeplitz matrix. The product multiplies with zeros, a·b/(R·S)
times as often as needed (2.6 times for 4×4 tiles of a 5×5 kernel), but it copies less (4 instead of 25 numbers an
output), and it has m·n times as many rows, which runs at the processor's full speed: what wins depends on the number
of filters, and `choose` estimates it. A tile of 1×1 is im2col itself.

Backward takes the same three steps the other way round: the gradient of the matrix is `dy · columnsᵀ`, whose diagonals
are summed into the gradient of the filters; the gradient of the columns is `matrixᵀ · dy`, and each number is added to
the pixel it was copied from. The bias is one more column of the matrix, with a row of ones below the pixels.

Images lie in memory as (C, H, W, N) (see `layout`), so that every copy moves runs of samples; threads take samples.
Where the pixels of tiles lie is in `grid`; `tests/test_cpu_conv.py` compares all sizes of tiles with the reference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import layout
from tinygrad_cnn.kernels.cpu.blocks import BLOCK_BYTES, FLOPS
from tinygrad_cnn.kernels.cpu.grid import Grid
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray

# the sizes of tiles that are tried, in rows or columns of outputs
SIZES = (1, 2, 4)
# samples a thread takes at a time: runs long enough to copy well, few enough to stay in the cache
SAMPLES = 32
# a core multiplies and adds so many times while it copies one number in runs
COPIES = 25.0
# a product of few rows takes as long as one with so many rows more
THIN = 9


@dataclass(frozen=True)
class Tiles:
    """The matrix of a convolution by tiles, and its columns.

    Attributes:
        grid: Where the tiles lie.
        groups: Groups of channels.
        C: Input channels of a group.
        K: Filters of a group.
    """

    grid: Grid
    groups: int
    C: int
    K: int

    @functools.cached_property
    def rows(self) -> int:
        """Rows of a group's columns: its pixels, and the ones for the bias."""
        a, b = self.grid.seen
        return self.C * a * b + 1

    @functools.cached_property
    def outputs(self) -> int:
        """Rows of a group's matrix, and of its products."""
        m, n = self.grid.tile
        return self.K * m * n

    @functools.cached_property
    def multiplications(self) -> int:
        """Of one product, for one sample."""
        tall, wide = self.grid.counts
        return tall * wide * self.groups * self.outputs * self.rows

    def cost(self) -> float:
        """Estimated time for a sample, in multiplications of a large product."""
        tall, wide = self.grid.counts
        return tall * wide * self.groups * self.rows * (self.outputs + THIN + COPIES)

    def diagonals(self, matrix: Array) -> Array:
        """(m, n, groups, K, C, R, S): where each weight stands in the matrix, for each output of a tile."""
        (m, n), (a, b) = self.grid.tile, self.grid.seen
        window = self.grid.window
        (R, S), (down, right), (dr, ds) = window.kernel, window.stride, window.dilation
        group, row, one = matrix.strides
        shape = (m, n, self.groups, self.K, self.C, R, S)
        per_output = (n * row + down * b * one, row + right * one)
        per_weight = (group, m * n * row, a * b * one, dr * b * one, ds * one)
        return layout.strided(matrix, shape, per_output + per_weight)

    def matrix(self, weight: Array, bias: Array | None) -> Array:
        """The shifted filters: (groups, outputs, rows), the last column the bias."""
        matrix = np.zeros((self.groups, self.outputs, self.rows), weight.dtype)
        self.diagonals(matrix)[...] = weight.reshape(self.groups, self.K, *weight.shape[1:])
        if bias is not None:
            matrix[:, :, -1].reshape(self.groups, self.K, -1)[...] = bias.reshape(self.groups, self.K, 1)
        return matrix

    def columns(self, phases: Array, top: int, bottom: int) -> Array:
        """What the tiles of some rows see, one column a tile and sample: (groups, rows, L), the last row ones."""
        n, wide = phases.shape[-1], self.grid.counts[1]
        columns = scratch("columns", (self.groups, self.rows, (bottom - top) * wide * n), phases.dtype)
        columns[:, -1] = 1
        for part, pixels in self._by_groups(columns, phases, bottom - top):
            self.grid.gather(pixels, part, top, bottom)
        return columns

    def put_back(self, dcolumns: Array, dphases: Array, top: int, bottom: int) -> None:
        """Add each number of the columns to the pixel it was copied from."""
        for part, pixels in self._by_groups(dcolumns, dphases, bottom - top):
            self.grid.scatter(part, pixels, top, bottom)

    def _by_groups(self, columns: Array, phases: Array, high: int) -> Iterator[tuple[Array, Array]]:
        shape = (*self.grid.seen, high, self.grid.counts[1], phases.shape[-1])
        if self.C == 1:  # depthwise: the groups are the channels
            yield columns[:, :-1].reshape(self.groups, *shape), phases
            return
        for group in range(self.groups):
            yield columns[group, :-1].reshape(self.C, *shape), phases[group * self.C : (group + 1) * self.C]

    def products(self, matrix: Array, phases: Array, top: int, bottom: int) -> Array:
        """The outputs of some rows of tiles: (K·groups, m, n, rows, columns of tiles, samples)."""
        columns = self.columns(phases, top, bottom)
        products = scratch("products", (self.groups, self.outputs, columns.shape[2]), phases.dtype)
        np.matmul(matrix, columns, out=products)
        return products.reshape(self.products_shape(bottom - top, phases.shape[-1]))

    def products_shape(self, high: int, n: int) -> tuple[int, ...]:
        """Of `high` rows of tiles and n samples."""
        return (self.groups * self.K, *self.grid.tile, high, self.grid.counts[1], n)

    def blocks(self, first: int, last: int, itemsize: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
        """Samples a … b − 1 to take together, and for these the rows of tiles top … bottom − 1."""
        pieces = -(-(last - first) // SAMPLES)
        tall, wide = self.grid.counts
        for i in range(pieces):
            a, b = (first + (last - first) * j // pieces for j in (i, i + 1))
            bytes_each = wide * self.groups * (self.rows + self.outputs) * itemsize * (b - a)
            high = max(1, min(tall, BLOCK_BYTES // bytes_each))
            yield a, b, [(top, min(top + high, tall)) for top in range(0, tall, high)]


@functools.lru_cache(maxsize=256)
def choose(window: Window, groups: int, C: int, K: int, image: Shape, out: Shape, even: bool = False) -> Tiles:
    """The tiles that cost least, by an estimate.

    Args:
        window: Kernel, stride, padding, dilation.
        groups: Groups of channels.
        C: Input channels.
        K: Filters.
        image: (H, W).
        out: (P, Q).
        even: Tiles must have even sizes, since 2×2 outputs are to be pooled.
    """
    sizes = [size for size in SIZES if size % 2 == 0 or not even]
    grids = (Grid(window, image, out, (m, n)) for m in sizes for n in sizes)
    return min((Tiles(grid, groups, C // groups, K // groups) for grid in grids), key=Tiles.cost)


def forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool = False) -> Array:
    """`y = x ⋆ weight + bias`, through ReLU if wanted."""
    N, C, H, W = x.shape
    K, out = len(weight), window.outs((H, W))
    tiles = choose(window, groups, C, K, (H, W), out)
    y = layout.empty((N, K, *out), x.dtype)

    def finish(products: Array, a: int, b: int, top: int, bottom: int) -> None:
        if relu:
            np.maximum(products, 0, out=products)
        for outputs, made in tiles.grid.outputs(layout.memory(y)[..., a:b], products, top, bottom):
            np.copyto(outputs, made)

    produce(tiles, x, weight, bias, finish)
    return y


def produce(tiles: Tiles, x: Array, weight: Array, bias: Array | None, finish: Callable[..., None]) -> None:
    """Compute the products, and hand them to `finish(products, a, b, top, bottom)`, some tiles at a time."""
    matrix = tiles.matrix(weight, bias)

    def work(part: int, first: int, last: int) -> None:
        for a, b, rows in tiles.blocks(first, last, x.itemsize):
            phases = tiles.grid.sorted(layout.memory(x)[..., a:b])
            for top, bottom in rows:
                finish(tiles.products(matrix, phases, top, bottom), a, b, top, bottom)

    split(len(x), work, 2 * len(x) * tiles.multiplications / FLOPS)


def backward(
    dy: Array, x: Array, weight: Array, window: Window, groups: int, needs: Any, y: Array | None = None
) -> tuple[Array | None, ...]:
    """Gradients of x, weight and bias; with y, of a convolution followed by ReLU, whose result was y."""
    N, C, H, W = x.shape
    K, P, Q = dy.shape[1:]
    tiles = choose(window, groups, C, K, (H, W), (P, Q))

    def start(dproducts: Array, a: int, b: int, top: int, bottom: int) -> None:
        if not tiles.grid.exact:
            dproducts.fill(0)  # outputs beyond the edge, which nobody asked for
        ends = [layout.memory(array)[..., a:b] for array in (dy, y) if array is not None]
        for (given, place), *rest in zip(*(tiles.grid.outputs(end, dproducts, top, bottom) for end in ends)):
            if rest:
                np.multiply(given, rest[0][0] > 0, out=place)
            else:
                np.copyto(place, given)

    return go_back(tiles, start, x, weight, needs)


def go_back(tiles: Tiles, start: Callable[..., None], x: Array, weight: Array, needs: Any) -> tuple[Array | None, ...]:
    """The gradients, where `start(dproducts, a, b, top, bottom)` writes those of the products of some tiles."""
    grid, dtype = tiles.grid, x.dtype
    transposed = tiles.matrix(weight, None).swapaxes(1, 2)
    dx = layout.empty(x.shape, dtype) if needs.x else None
    filters = bool(needs.weight or needs.bias)
    partial: dict[int, Array] = {}

    def work(part: int, first: int, last: int) -> None:
        total = np.zeros((tiles.groups, tiles.outputs, tiles.rows), dtype)
        for a, b, rows in tiles.blocks(first, last, x.itemsize):
            n = b - a
            phases = grid.sorted(layout.memory(x)[..., a:b]) if filters else None
            if dx is not None:
                dphases = scratch("dphases", (x.shape[1], *grid.steps, *grid.places, n), dtype)
                dphases.fill(0)
            for top, bottom in rows:
                L = (bottom - top) * grid.counts[1] * n
                dproducts = scratch("products", (tiles.groups, tiles.outputs, L), dtype)
                start(dproducts.reshape(tiles.products_shape(bottom - top, n)), a, b, top, bottom)
                if phases is not None:
                    share = scratch("dmatrix", total.shape, dtype)
                    np.matmul(dproducts, tiles.columns(phases, top, bottom).swapaxes(1, 2), out=share)
                    np.add(total, share, out=total)
                if dx is not None:
                    dcolumns = scratch("columns", (tiles.groups, tiles.rows, L), dtype)
                    np.matmul(transposed, dproducts, out=dcolumns)
                    tiles.put_back(dcolumns, dphases, top, bottom)
            if dx is not None:
                grid.unsorted(dphases, layout.memory(dx)[..., a:b])
        partial[part] = total

    multiplications = (filters + (dx is not None)) * len(x) * tiles.multiplications
    parts = split(len(x), work, 2 * multiplications / FLOPS)
    if not filters:
        return dx, None, None
    dmatrix = sum((partial[part] for part in range(1, parts)), start=partial[0])
    dweight = tiles.diagonals(dmatrix).sum(axis=(0, 1)).reshape(weight.shape) if needs.weight else None
    dbias = dmatrix[:, :, -1].reshape(tiles.groups * tiles.K, -1).sum(axis=1) if needs.bias else None
    return dx, dweight, dbias
