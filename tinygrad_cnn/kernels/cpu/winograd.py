"""Convolution with fewer multiplications: Winograd's F(m×m, r×r).

**The idea, in one dimension.** A filter of r weights gives m outputs from `a = m + r − 1` inputs, with m·r
multiplications. But it can be done with a. Multiplying two polynomials, of degrees m − 1 and r − 1, means: take the
values of both at a points, multiply these a pairs, and find the polynomial of degree a − 1 through the products (Toom
and Cook). As matrices: `A` takes the values of the first at the points, `G` of the second, `V⁻¹` finds the
coefficients. A filter sliding over inputs is the transposed of that product of polynomials, and so is its algorithm:

    y = Aᵀ · [ (G·w) ⊙ (Bᵀ·x) ],        Bᵀ = V⁻ᵀ, (a, a);   G, (a, r);   Aᵀ, (m, a)

For r = 3 and m = 2, at the points 0, 1, −1 and ∞ (∞ takes the highest coefficient), 4 multiplications instead of 6:

         │ 1  0 −1  0 │        │ 1   0   0  │
    Bᵀ = │ 0  1  1  0 │    G = │ ½   ½   ½  │    Aᵀ = │ 1  1  1  0 │
         │ 0 −1  1  0 │        │ ½  −½   ½  │         │ 0  1 −1  1 │
         │ 0 −1  0  1 │        │ 0   0   1  │

**In two dimensions** rows and columns are treated one after the other: `Y = Aᵀ·[(G·w·Gᵀ) ⊙ (Bᵀ·X·B)]·A`, with a²
multiplications for m² outputs: 36 instead of 144 for m = 4, r = 3, and 64 instead of 400 for r = 5. Tiles of m = 5,
49 instead of 225 for r = 3, are better where they fit the image: 13×13 outputs are nine of 5×5, or sixteen of 4×4.

**With channels** ⊙ becomes a sum over C: for each of the a² points, a matrix (K, C) of transformed filters times a
matrix (C, tiles) of transformed images: a² matrix products, which is where BLAS is at its best. The transforms are
matrix products themselves.

**Backward** is the exact adjoint: each matrix transposed, in the opposite order. All gradients are linear, so that the
gradient of the filters, too, is a² products, of transformed dy and transformed x.

**What it costs.** Numbers of different size are added and subtracted, which costs digits: in float32 results differ
from exact ones by up to 1e-5 of the largest (the direct ways: 2e-6). `TINYGRAD_CNN_CONV=direct` chooses the direct
way; float64 always goes it. `tests/test_cpu_conv.py` checks the matrices in exact fractions, and the errors.

Sources: Toom 1963 and Cook 1966 for polynomials; Winograd 1980, "Arithmetic complexity of computations"; Lavin & Gray
2016, "Fast algorithms for convolutional neural networks", for convolution layers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import gemm, layout
from tinygrad_cnn.kernels.cpu.blocks import FLOPS
from tinygrad_cnn.kernels.cpu.elementwise import full
from tinygrad_cnn.kernels.cpu.grid import Grid
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray
Matrix = list[list[Fraction]]

# points at which polynomials are evaluated, besides ∞: small numbers, and with them their opposites and reciprocals, in
# an order in which the first five lose fewest digits
POINTS = [Fraction(p) for p in ("0", "1", "-1", "1/2", "-2", "2", "-1/2")]
# sizes of tiles that are tried, in rows and columns of outputs; with more points for a tile than POINTS and ∞, too many
# digits are lost. The larger ones lose more, and must save so much
SIZES, SAVING = (4, 5), 1.1
# (a, b, channels, rows, columns of tiles, samples) -> channels first, as a grid wants them
CHANNELS_FIRST = (2, 0, 1, 3, 4, 5)
# size of the kernel → channels of a group, and filters, from which on this way is faster than tiles, as measured
FEWEST_CHANNELS = {2: 96, 3: 24, 4: 16, 5: 16}
# transformed numbers, in bytes, that are kept at a time: half the samples are runs of half the length
SPACE = 72 << 20
# of them, how many a thread works on at a time: blocks of channels for the transforms, of filters for the products;
# longer ones are fewer calls of NumPy, and two threads that make many wait for Python's lock
TRANSFORM_BYTES, PRODUCT_BYTES = 2_400_000, 4_000_000
# tiles, of all samples, that go back to pixels at a time: fewer are more calls, more want more memory
FEWEST_TILES = 1024


@functools.cache
def matrices(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """Aᵀ (m, a), G (a, r) and Bᵀ (a, a) in exact fractions, for m outputs of a filter of r weights.

    >>> AT, G, BT = matrices(2, 3)
    >>> [[str(number) for number in row] for row in AT]
    [['1', '1', '1', '0'], ['0', '1', '-1', '1']]
    """
    a = m + r - 1

    def powers(n: int) -> Matrix:  # each row takes the value of a polynomial with n coefficients at a point
        return [[p**i for i in range(n)] for p in POINTS[: a - 1]] + [[Fraction(0)] * (n - 1) + [Fraction(1)]]

    inverse = inverted(powers(a))
    AT = transposed(powers(m))
    G, BT = powers(r), transposed(inverse)
    for row, (g, b) in enumerate(zip(G, BT)):  # whole numbers in Bᵀ, which meets more numbers than G
        factor = 1 / min(abs(number) for number in b if number)
        G[row], BT[row] = [number / factor for number in g], [number * factor for number in b]
    return AT, G, BT


def transposed(matrix: Matrix) -> Matrix:
    """Rows as columns."""
    return [list(column) for column in zip(*matrix)]


def inverted(matrix: Matrix) -> Matrix:
    """The inverse, by Gauss and Jordan's elimination."""
    n = len(matrix)
    rows = [row + [Fraction(int(i == j)) for j in range(n)] for i, row in enumerate(matrix)]
    for i in range(n):
        pivot = next(k for k in range(i, n) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [number / rows[i][i] for number in rows[i]]
        for k in range(n):
            if k != i:
                rows[k] = [x - rows[k][i] * y for x, y in zip(rows[k], rows[i])]
    return [row[n:] for row in rows]


class Winograd:
    """The sizes of a convolution, and its transforms as float32."""

    def __init__(self, window: Window, groups: int, C: int, K: int, image: Shape, out: Shape) -> None:
        self.groups, self.C, self.K, self.r = groups, C, K, window.kernel[0]
        self.m = tile_size(self.r, out)
        self.a = self.m + self.r - 1
        self.grid = Grid(window, image, out, (self.m, self.m))
        AT, G, BT = (np.array(matrix, np.float32) for matrix in matrices(self.m, self.r))
        self.AT, self.G, self.BT = AT, G, BT
        self.A, self.GT, self.B = (np.ascontiguousarray(matrix.T) for matrix in (AT, G, BT))

    @property
    def tiles(self) -> int:
        """Tiles of an image."""
        return self.grid.counts[0] * self.grid.counts[1]

    def filters(self, weight: Array) -> Array:
        """G·w·Gᵀ for all filters: (a, a, groups, K/g, C/g)."""
        a, r, KC = self.a, self.r, weight.size // self.r**2
        weights = weight.reshape(KC, r * r)
        transformed = scratch("filters", (a, a, KC), weight.dtype)

        def work(part: int, first: int, last: int) -> None:
            for i, e in _pieces(first, last, 8192):
                own = scratch("weights", (r * r, e - i), weight.dtype)
                np.copyto(own, weights[i:e].T)
                both_ways(self.G, own.reshape(r, r, -1), transformed[:, :, i:e])

        split(KC, work, 2 * 3 * a * a * KC * r / FLOPS)
        return transformed.reshape(a, a, self.groups, self.K // self.groups, self.C // self.groups)

    def images(self, x: Array) -> Array:
        """Bᵀ·X·B for all channels and tiles of samples (C, H, W, n): (a, a, groups, C/g, L)."""
        a, n, grid = self.a, x.shape[-1], self.grid
        L = self.tiles * n
        transformed = scratch("images", (a, a, self.C, L), x.dtype)

        def work(part: int, first: int, last: int) -> None:
            for c, e in _pieces(first, last, max(2, TRANSFORM_BYTES // (a * a * L * 4))):
                seen = scratch("columns", (a, a, e - c, L), x.dtype)
                columns = seen.reshape(a, a, e - c, *grid.counts, n)
                grid.gather(grid.sorted(x[c:e]), columns.transpose(CHANNELS_FIRST))
                both_ways(self.BT, seen.reshape(a, a, -1), transformed[:, :, c:e].reshape(a, a, -1))

        split(self.C, work, 4 * a**3 * self.C * L / FLOPS)
        return transformed.reshape(a, a, self.groups, self.C // self.groups, L)

    def outputs(self, dy: Array, y: Array | None) -> Array:
        """A·dY·Aᵀ for all filters and tiles of samples (K, P, Q, n), dy where y is positive: (a, a, groups, K/g, L)."""
        a, n, grid = self.a, dy.shape[-1], self.grid
        L = self.tiles * n
        transformed = scratch("outputs", (a, a, self.K, L), dy.dtype)

        def work(part: int, first: int, last: int) -> None:
            for k, e in _pieces(first, last, max(2, TRANSFORM_BYTES // (a * a * L * 4))):
                tiles = scratch("columns", (self.m, self.m, e - k, *grid.counts, n), dy.dtype)
                result = None if y is None else y[k:e]
                grid.take_in(dy[k:e], result, tiles.transpose(CHANNELS_FIRST), 0, grid.counts[0])
                both_ways(self.A, tiles.reshape(self.m, self.m, -1), transformed[:, :, k:e].reshape(a, a, -1))

        split(self.K, work, 4 * a**3 * self.K * L / FLOPS)
        return transformed.reshape(a, a, self.groups, self.K // self.groups, L)

    def samples(self, N: int) -> Iterator[tuple[int, int]]:
        """Blocks of samples whose transformed images and outputs fit into SPACE."""
        each = self.a**2 * self.tiles * (self.C + self.K) * 4
        pieces = -(-N * each // SPACE)
        yield from ((N * i // pieces, N * (i + 1) // pieces) for i in range(pieces))

    def forward(self, x: Array, weight: Array, bias: Array | None, relu: bool = False) -> Array:
        """`y = x ⋆ weight + bias`, through ReLU if wanted."""
        U = self.filters(weight)
        y = layout.empty((len(x), self.K, *self.grid.out), x.dtype)
        for a, b in self.samples(len(x)):
            V = self.images(layout.memory(x)[..., a:b])
            self._into_y(layout.memory(y)[..., a:b], U, V, bias, relu)
        return y

    def backward(
        self, dy: Array, x: Array, weight: Array, needs: Any, y: Array | None = None
    ) -> tuple[Array | None, ...]:
        """The gradients of x, weight and bias; y is the result, if it went through ReLU."""
        dx = layout.empty(x.shape, x.dtype) if needs.x else None
        dweight = np.zeros(weight.shape, x.dtype) if needs.weight else None
        dbias = np.zeros(self.K, x.dtype) if needs.bias else None
        U = self.filters(weight) if needs.x else None
        for a, b in self.samples(len(x)):
            M = self.outputs(layout.memory(dy)[..., a:b], None if y is None else layout.memory(y)[..., a:b])
            if dbias is not None:
                dbias += M[1, 1].sum(axis=-1).reshape(-1)  # a polynomial's value at 1 is the sum of its coefficients
            if dweight is not None:
                self._into_dweight(dweight, M, self.images(layout.memory(x)[..., a:b]))
            if dx is not None and U is not None:
                self._into_dx(layout.memory(dx)[..., a:b], U, M)
        return dx, dweight, dbias

    def _into_y(self, y: Array, U: Array, V: Array, bias: Array | None, relu: bool) -> None:
        """Products of filters and images, and their way back from points to pixels (K, P, Q, n)."""
        grid, L, n = self.grid, V.shape[-1], y.shape[-1]

        def work(part: int, first: int, last: int) -> None:
            for k, e, group, inside in self._blocks(first, last, self.a * L, self.K):
                for top, bottom, some in self._rows(n):
                    tiles = scratch("columns", (self.m, self.m, e - k, bottom - top, grid.counts[1], n), y.dtype)
                    products_back(self.AT, U[:, :, group, inside], V[:, :, group, :, some], tiles)
                    if bias is not None:
                        np.add(tiles, bias[k:e, None, None, None], out=tiles)
                    if relu:
                        np.maximum(tiles, full(tiles, 0), out=tiles)
                    grid.put_out(tiles.transpose(CHANNELS_FIRST), y[k:e], top, bottom)

        split(self.K, work, self._seconds(L))

    def _into_dweight(self, dweight: Array, M: Array, V: Array) -> None:
        """Add the products of outputs and images, back to weights."""
        Cg, r = self.C // self.groups, self.r
        rows = dweight.reshape(self.K, Cg, r, r)

        def work(part: int, first: int, last: int) -> None:
            for k, e, group, inside in self._blocks(first, last, self.a * Cg, self.K):
                share = scratch("columns", (r, r, e - k, Cg), dweight.dtype)
                products_back(self.GT, M[:, :, group, inside], V[:, :, group].swapaxes(2, 3), share)
                np.add(rows[k:e], share.transpose(2, 3, 0, 1), out=rows[k:e])

        split(self.K, work, self._seconds(V.shape[-1]))

    def _into_dx(self, dx: Array, U: Array, M: Array) -> None:
        """Products of filters and outputs, back to the pixels that the tiles saw (C, H, W, n)."""
        grid, L, n = self.grid, M.shape[-1], dx.shape[-1]

        def work(part: int, first: int, last: int) -> None:
            for c, e, group, inside in self._blocks(first, last, self.a * L, self.C):
                dphases = scratch("phases", (e - c, *grid.steps, *grid.places, n), dx.dtype)
                dphases.fill(0)
                for top, bottom, some in self._rows(n):
                    columns = scratch("columns", (self.a, self.a, e - c, bottom - top, grid.counts[1], n), dx.dtype)
                    products_back(self.B, U[:, :, group, :, inside].swapaxes(2, 3), M[:, :, group, :, some], columns)
                    grid.scatter(columns.transpose(CHANNELS_FIRST), dphases[:, :, :, top:])
                grid.unsorted(dphases, dx[c:e])

        split(self.C, work, self._seconds(L))

    def _blocks(self, first: int, last: int, numbers: int, channels: int) -> Iterator[tuple[int, int, int, slice]]:
        """Channels first … last − 1 in blocks for a thread's cache: from, to, their group, and where in the group.

        Args:
            first: The first.
            last: Behind the last.
            numbers: Products a channel has at a column of points.
            channels: All channels; a block holds none of two groups.
        """
        whole, size = channels // self.groups, max(8, PRODUCT_BYTES // (numbers * 4))
        while first < last:
            group, begin = divmod(first, whole)
            end = min(first + size, last, (group + 1) * whole)
            yield first, end, group, slice(begin, begin + end - first)
            first = end

    def _rows(self, n: int) -> Iterator[tuple[int, int, slice]]:
        """Rows of tiles that go back to pixels at a time: from, to, and where among the L tiles of n samples."""
        tall, wide = self.grid.counts
        pieces = min(tall, max(1, tall * wide * n // FEWEST_TILES))
        for i in range(pieces):
            top, bottom = tall * i // pieces, tall * (i + 1) // pieces
            yield top, bottom, slice(top * wide * n, bottom * wide * n)

    def _seconds(self, L: int) -> float:
        return 2 * self.a**2 * self.C // self.groups * self.K * L / FLOPS


def both_ways(T: Array, X: Array, out: Array) -> None:
    """`T·X·Tᵀ` for L matrices (b, b, L): the first axis by one product, the second by one for each row."""
    a, b = T.shape
    rows = scratch("half", (a, b, X.shape[2]), X.dtype)
    gemm.times(T[None], X.reshape(1, b, -1), rows.reshape(1, a, -1))
    gemm.times(T[None], rows, out)


def products_back(T: Array, X: Array, Y: Array, out: Array) -> None:
    """`T·(X·Y)·Tᵀ`, X·Y being a matrix product (n, …)·(…, L) for each of the a×a points.

    A column of points at a time: so its products are still in the cache when the transform takes them.
    """
    b, a = T.shape
    n, L = X.shape[-2], Y.shape[-1]
    products = scratch("products", (a, n, L), X.dtype)
    half = scratch("half", (b, a, n * L), X.dtype)
    for j in range(a):
        np.matmul(X[:, j], Y[:, j], out=products)
        gemm.times(T[None], products.reshape(1, a, -1), half[None, :, j])
    gemm.times(T[None], half, out.reshape(b, b, -1))


def tile_size(r: int, out: Shape) -> int:
    """Rows and columns of outputs in a tile: what needs fewest products for an image of this size.

    >>> tile_size(3, (13, 13)), tile_size(3, (12, 12))   # 9·49 instead of 16·36, 9·36 instead of 9·49
    (5, 4)
    """

    def products(m: int) -> float:
        P, Q = out
        return -(-P // m) * -(-Q // m) * (m + r - 1) ** 2 * (1 if m == SIZES[0] else SAVING)

    return min((m for m in SIZES if m + r - 1 <= len(POINTS) + 1), key=products)


@functools.lru_cache(maxsize=256)
def plan(window: Window, groups: int, C: int, K: int, image: Shape, out: Shape) -> Winograd | None:
    """The transforms for a convolution, or None where the direct ways are better, or the only ones."""
    r, s = window.kernel
    suits = r == s and r in FEWEST_CHANNELS and max(window.stride + window.dilation) == 1 and min(out) >= SIZES[0]
    enough = suits and min(C, K) // groups >= FEWEST_CHANNELS[r]
    return Winograd(window, groups, C, K, image, out) if enough else None


def _pieces(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of up to `size` from first to last."""
    for start in range(first, last, size):
        yield start, min(start + size, last)
