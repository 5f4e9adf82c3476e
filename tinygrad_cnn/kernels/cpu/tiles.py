"""Convolution by tiles: matrix products that compute m×n neighbouring outputs at once, and copy little.

**im2col** writes down, for every output pixel, the C·R·S pixels its window sees, as one column; the filters are the
rows of a matrix, and one product computes everything. It copies each pixel R·S times: the product is quickly done, and
the time goes into copies.

**Rows overlap.** Of the pixels that a row of windows sees, the next row of windows sees almost all again. So pixels are
copied sideways only, S times, one row of the image after the other, and a row of windows takes R rows of them as they
lie. With a 2×2 kernel on an image of rows a, b, c, where `a₀₁₂` are the pixels of row a that the left taps see:

    a₀₁₂ ┐ what the first row
    a₁₂₃ │ of windows sees
    b₀₁₂ ┤ ┐
    b₁₂₃ ┘ │ what the second one sees: the same memory, from b on
    c₀₁₂   │
    c₁₂₃   ┘

There is a product for each row of windows, and its matrix of columns, (C·R·S, columns of windows·samples), is a view.
The bias is a weight, too: each row of the image ends in ones, and the matrix has the bias for those of its first row.

**Tiles** take m×n neighbouring outputs together. Their windows overlap, so that together they see only a×b pixels,
`a = (m − 1)·stride + R`: for 4×4 outputs and a 5×5 kernel 8·8 = 64 pixels instead of 16·25 = 400. The matrix has a row
for each filter *and each output of the tile*: the filter, shifted to where that output's window lies, and zeros around
it. In one dimension, for a kernel (w₀ w₁ w₂) and tiles of two outputs:

        │ w₀ w₁ w₂ 0  │   │ x₀ x₂ x₄ │     │ y₀ y₂ y₄ │
        │ 0  w₀ w₁ w₂ │ · │ x₁ x₃ x₅ │  =  │ y₁ y₃ y₅ │
                          │ x₂ x₄ x₆ │
                          │ x₃ x₅ x₇ │

Such a matrix, constant along its diagonals, is called a Toeplitz matrix. The product multiplies with zeros, a·b/(R·S)
times as often as needed, but has m·n times as many rows: that pays where there are few filters, and above all for
depthwise convolutions, which have one each; `choose` estimates it. Elsewhere a tile is a single output, and the product
is written where the result lies. What is pooled by 2×2 comes in tiles of 2×2 (`fused`), whose left and right outputs
are two **parts**: the matrix of a tile of 2×1 serves both, and multiplies with fewer zeros.

Backward takes the same steps the other way round: the gradient of the matrix is `dy · columnsᵀ`, whose diagonals
are summed into the gradient of the filters; the gradient of the columns is `matrixᵀ · dy`, and each number is added to
the pixel it was copied from (or, where that costs less, dy goes through a convolution with the filters turned round:
`Tiles.turned`).

Images lie in memory as (C, H, W, N) (see `layout`), so that every copy moves runs of samples. Threads take rows of
tiles (half the samples would make as many runs, half as long), and for the pixels' gradients, where rows overlap,
channels. What is small is computed in one piece: threads share single products or take a gradient each, and backward
may take over the columns of forward. `tests/test_cpu_conv.py` compares all sizes with the reference.

A pixel that is NaN or infinite makes all outputs of the tiles that see it NaN, also where its weight is a zero of the
matrix; other images are untouched.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import gemm, layout
from tinygrad_cnn.kernels.cpu.blocks import FLOPS
from tinygrad_cnn.kernels.cpu.elementwise import full
from tinygrad_cnn.kernels.cpu.grid import EVERY, SECONDS_A_COPY, Grid
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.threads import split, together
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray

# the sizes of tiles that are tried, in rows or columns of outputs
SIZES = (1, 2, 4)
# bytes of columns and products a thread works on: calls of NumPy long enough that two threads seldom want Python's lock
# at the same moment, and a block that the third-level cache holds; and runs of samples not to fall below
BLOCK_BYTES = 4 << 20
SAMPLES = 32
# parts of a row of tiles that threads may share
SHARES = 4
# seconds of work below which threads share single products only: two threads that make many short calls of NumPy wait
# for Python's lock, and for being woken, as long as they work
MANY_CALLS = 12e-3
# and bytes of columns and products above which it is not small all the same
SMALL_BYTES = 16 << 20
# calls of NumPy that the two gradients of something small take
CALLS = 12
# a core multiplies and adds so many times while it copies a pixel into columns; and while it moves a product to the
# output and back, which tiles of one output need not, whose products lie there
COPIES, MOVES = 15.0, 60.0
# how much more a convolution with turned filters may cost, and be faster than adding columns to pixels
FAVOUR = 1.2
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
        parts: Into which a tile is cut, side by side: one matrix serves them all. 1, or as many as it has columns.
    """

    grid: Grid
    groups: int
    C: int
    K: int
    parts: int = 1

    @functools.cached_property
    def part(self) -> Shape:
        """Rows and columns of outputs of a part of a tile."""
        m, n = self.grid.tile
        return m, n // self.parts

    @functools.cached_property
    def uncut(self) -> Tiles:
        """The same tiles in one part."""
        return dataclasses.replace(self, parts=1)

    @functools.cached_property
    def outputs(self) -> int:
        """Rows of a group's matrix."""
        return self.K * math.prod(self.part)

    @functools.cached_property
    def across(self) -> int:
        """Pixels of a row that a part of a tile sees."""
        window = self.grid.window
        return (self.part[1] - 1) * window.stride[1] + window.spans[1]

    @functools.cached_property
    def line(self) -> int:
        """Rows of a group's columns that come from one row of the image: its pixels, and the ones for the bias."""
        return self.C * self.across + 1

    @functools.cached_property
    def rows(self) -> int:
        """Rows of a group's columns, and columns of its matrix."""
        return self.grid.seen[0] * self.line

    @functools.cached_property
    def high(self) -> int:
        """Rows of the padded image that all tiles see."""
        return (self.grid.counts[0] - 1) * self.grid.steps[0] + self.grid.seen[0]

    @functools.cached_property
    def multiplications(self) -> int:
        """Of one product, for one sample."""
        tall, wide = self.grid.counts
        return tall * wide * self.parts * self.groups * self.outputs * self.rows

    @functools.cached_property
    def numbers(self) -> int:
        """In columns and products, for one sample."""
        tall, wide = self.grid.counts
        return wide * self.parts * self.groups * (self.high * self.line + tall * self.outputs)

    def cost(self) -> float:
        """Estimated time for a sample, in multiplications of a large product."""
        tall, wide = self.grid.counts
        moved = 0.0 if self.grid.tile == (1, 1) else MOVES * self.outputs
        copied = COPIES * self.high * self.line
        return wide * self.parts * self.groups * (tall * (self.rows * (self.outputs + THIN) + moved) + copied)

    def diagonals(self, matrix: Array) -> Array:
        """(m, n, groups, K, C, R, S): where each weight stands in the matrix, for each output of a part of a tile."""
        window, (m, n) = self.grid.window, self.part
        (R, S), (down, right), (dr, ds) = window.kernel, window.stride, window.dilation
        group, row, one = matrix.strides
        line = self.line * one
        shape = (m, n, self.groups, self.K, self.C, R, S)
        per_output = (n * row + down * line, row + right * one)
        per_weight = (group, m * n * row, self.across * one, dr * line, ds * one)
        return layout.strided(matrix, shape, per_output + per_weight)

    def matrix(self, weight: Array, bias: Array | None) -> Array:
        """The shifted filters: (groups, outputs, rows), and the bias where the columns of the first row have ones."""
        matrix = np.zeros((self.groups, self.outputs, self.rows), weight.dtype)
        self.diagonals(matrix)[...] = weight.reshape(self.groups, self.K, *weight.shape[1:])
        if bias is not None:
            self.biases(matrix)[...] = bias.reshape(self.groups, self.K, 1)
        return matrix

    def biases(self, matrix: Array) -> Array:
        """(groups, K, outputs of a tile): where the biases stand in the matrix."""
        return matrix[:, :, self.line - 1].reshape(self.groups, self.K, -1)

    def columns(self, x: Array, top: int, bottom: int, new: bool = False) -> Array:
        """What rows top … bottom − 1 of the tiles see of x (C, H, W, n): (groups, rows of tiles, parts, rows, L).

        One column a tile and sample. Rows of tiles overlap in memory, which is work space, unless it is to be new.
        """
        (down, right), wide, n = self.grid.steps, self.grid.counts[1], x.shape[-1]
        high = (bottom - top - 1) * down + self.grid.seen[0]
        image = self.padded(x, top * down, top * down + high)
        shape = (self.groups, high, self.line, self.parts, wide * n)
        copied = np.empty(shape, x.dtype) if new else scratch("columns", shape, x.dtype)
        copied[:, :, -1] = 1
        seen = (self.groups, high, self.C, self.across, self.parts, wide, n)
        channel, row, column, one = image.strides
        steps = (self.C * channel, row, channel, column, right // self.parts * column, right * column, one)
        pixels, places = layout.strided(image, seen, steps), copied[:, :, :-1].reshape(seen)
        split(high, lambda _, a, b: np.copyto(places[:, a:b], pixels[:, a:b]), copied.size * SECONDS_A_COPY)
        group, row, one, part, number = copied.strides
        shape = (self.groups, bottom - top, self.parts, self.rows, wide * n)
        return layout.strided(copied, shape, (group, down * row, part, one, number))

    def padded(self, x: Array, first: int, last: int) -> Array:
        """Rows first … last − 1 of the padded image, as far as tiles see it: x itself, or work space."""
        (C, H, W, n), ((above, _), (left, _)) = x.shape, self.grid.window.pads
        width = (self.grid.counts[1] - 1) * self.grid.steps[1] + self.grid.seen[1]
        top, bottom = max(0, first - above), min(H, last - above)
        if bottom - top == last - first and not left and width <= W:
            return x[:, top:bottom]
        image = scratch("padded", (C, last - first, width, n), x.dtype)
        image.fill(0)
        if top < bottom:
            used = min(W, width - left)
            image[:, top + above - first : bottom + above - first, left : left + used] = x[:, top:bottom, :used]
        return image

    def room(self, purpose: str, high: int, n: int, dtype: Any) -> Array:
        """Work space for the products of `high` rows of tiles and n samples: (groups, K·m·n, high, L)."""
        outputs = self.K * math.prod(self.grid.tile)
        return scratch(purpose, (self.groups, outputs, high, self.grid.counts[1] * n), dtype)

    def products_shape(self, high: int, n: int) -> tuple[int, ...]:
        """(K·groups, m, n, rows, columns of tiles, samples) of `high` rows of tiles and n samples."""
        return (self.groups * self.K, *self.grid.tile, high, self.grid.counts[1], n)

    def by_rows(self, products: Array) -> Array:
        """Products (groups, K·m·n, rows of tiles, L) as `columns` lie: (groups, rows of tiles, parts, outputs, L)."""
        g, filters, tall, L = products.shape
        return products.reshape(g, filters // self.parts, self.parts, tall, L).transpose(0, 3, 2, 1, 4)

    def as_products(self, y: Array) -> Array | None:
        """An output (N, K·groups, P, Q) as all products, (groups, K, rows of tiles, L), if it lies as they do."""
        followed = layout.memory(y)
        if self.grid.tile != (1, 1) or not followed.flags.c_contiguous:
            return None
        return followed.reshape(self.groups, self.K, self.grid.counts[0], -1)

    def piece(self, whole: Array | None, top: int, bottom: int, samples: int) -> Array | None:
        """The products of some rows of tiles and so many samples in those of all, if those are given."""
        if whole is None or whole.shape[3] != self.grid.counts[1] * samples:
            return None
        return whole[:, :, top:bottom]

    @functools.cached_property
    def turned(self) -> Tiles | None:
        """The convolution of dy with the turned filters, which gives the gradient of the pixels; where that pays.

        In one dimension, with stride 1: pixel j is seen by output i with weight j − i, so that
        `dx[j] = Σ_i dy[i]·w[j − i]`. Its product is written where dx lies, while that of the columns would have to be
        added to the pixels.
        """
        window, grid = self.grid.window, self.grid
        pads = tuple(span - 1 - before for span, (before, _) in zip(window.spans, window.pads))
        if grid.tile != (1, 1) or max(window.stride) > 1 or min(pads) < 0:
            return None
        back = Window(window.kernel, (1, 1), pads, window.dilation)
        if back.outs(grid.out) != grid.image:  # another padding behind the image than before it
            return None
        turned = Tiles(Grid(back, grid.out, grid.image, (1, 1)), self.groups, self.K, self.C)
        return turned if turned.cost() < FAVOUR * self.cost() else None

    def split(self, N: int, itemsize: int, work: Callable[..., None]) -> int:
        """Share the rows of tiles out: `work(part, blocks)`, and how many parts there were.

        A row is cut into SHARES, so that threads get about as much if there are few rows. Blocks are (top, bottom) of
        tiles and (first, last) of samples, as many as fit into BLOCK_BYTES.
        """
        tall, wide = self.grid.counts
        if self.small(N, itemsize):
            work(0, [(0, tall, 0, N)])
            return 1
        each = self.numbers // tall * itemsize
        cuts = [N * i // SHARES for i in range(SHARES + 1)]

        def blocks(first: int, last: int) -> Iterator[tuple[int, int, int, int]]:
            row, share = divmod(first, SHARES)
            while first < last:
                if share == 0 and last - first >= SHARES:
                    high = max(1, min((last - first) // SHARES, BLOCK_BYTES // (each * N)))
                    pieces = max(1, min(each * N // BLOCK_BYTES, N // SAMPLES))
                    for i in range(pieces):
                        yield row, row + high, N * i // pieces, N * (i + 1) // pieces
                    first, row = first + high * SHARES, row + high
                else:
                    end = min(SHARES, share + last - first)
                    if cuts[end] > cuts[share]:
                        yield row, row + 1, cuts[share], cuts[end]
                    first, row, share = first + end - share, row + 1, 0

        return self.share(N, itemsize, tall * SHARES, lambda part, first, last: work(part, blocks(first, last)))

    def small(self, N: int, itemsize: int) -> bool:
        """Whether the caller does best to compute all of it in one piece, and to share single products only."""
        return self.seconds(N) < MANY_CALLS and N * self.numbers * itemsize < SMALL_BYTES

    def seconds(self, N: int) -> float:
        """Rough time of one product."""
        return 2 * N * self.multiplications / FLOPS

    def share(self, N: int, itemsize: int, n: int, work: Callable[[int, int, int], None]) -> int:
        """`split` the work into n items unless it is small; then `gemm` shares its single products."""
        if self.small(N, itemsize):
            work(0, 0, n)
            return 1
        return split(n, work, 2 * N * self.cost() / FLOPS)


@functools.lru_cache(maxsize=256)
def choose(window: Window, groups: int, C: int, K: int, image: Shape, out: Shape) -> Tiles:
    """The tiles that cost least, by an estimate.

    Args:
        window: Kernel, stride, padding, dilation.
        groups: Groups of channels.
        C: Input channels.
        K: Filters.
        image: (H, W).
        out: (P, Q).
    """
    grids = (Grid(window, image, out, (m, n)) for m in SIZES for n in SIZES)
    return min((Tiles(grid, groups, C // groups, K // groups) for grid in grids), key=Tiles.cost)


def forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool = False) -> Array:
    """`y = x ⋆ weight + bias`, through ReLU if wanted."""
    C, H, W = x.shape[1:]
    return computed(choose(window, groups, C, len(weight), (H, W), window.outs((H, W))), x, weight, bias, relu)


def computed(tiles: Tiles, x: Array, weight: Array, bias: Array | None, relu: bool = False) -> Array:
    """`forward` by these tiles."""
    y = layout.empty((len(x), len(weight), *tiles.grid.out), x.dtype)
    whole = tiles.as_products(y)

    def finish(products: Array, top: int, bottom: int, a: int, b: int) -> None:
        if relu:
            np.maximum(products, full(products, 0), out=products)
        if tiles.piece(whole, top, bottom, b - a) is None:
            tiles.grid.put_out(products, layout.memory(y)[..., a:b], top, bottom)

    produce(tiles, x, weight, bias, finish, whole=whole)
    return y


def produce(
    tiles: Tiles,
    x: Array,
    weight: Array,
    bias: Array | None,
    finish: Callable[..., None],
    keep: bool = False,
    whole: Array | None = None,
) -> Array | None:
    """Compute the products, and hand them to `finish(products, top, bottom, a, b)`, some tiles at a time.

    They are written into the whole of all products, where it is given and has a place for them in one piece.

    Returns:
        The columns, if they are to be kept for backward, and were made in one piece.
    """
    matrix, followed = tiles.matrix(weight, bias), layout.memory(x)
    keep = keep and tiles.small(len(x), x.itemsize)
    kept: Array | None = None

    def work(part: int, blocks: Iterable[tuple[int, int, int, int]]) -> None:
        nonlocal kept
        for top, bottom, a, b in blocks:
            columns = tiles.columns(followed[..., a:b], top, bottom, new=keep)
            if keep:
                kept = columns
            products = tiles.piece(whole, top, bottom, b - a)
            if products is None:
                products = tiles.room("products", bottom - top, b - a, x.dtype)
            gemm.times(matrix[:, None, None], columns, tiles.by_rows(products))
            finish(products.reshape(tiles.products_shape(bottom - top, b - a)), top, bottom, a, b)

    tiles.split(len(x), x.itemsize, work)
    return kept


def backward(
    dy: Array, x: Array, weight: Array, window: Window, groups: int, needs: Any, y: Array | None = None
) -> tuple[Array | None, ...]:
    """Gradients of x, weight and bias; with y, of a convolution followed by ReLU, whose result was y."""
    N, C, H, W = x.shape
    K, P, Q = dy.shape[1:]
    tiles = choose(window, groups, C, K, (H, W), (P, Q))

    def start(dproducts: Array, filters: slice, top: int, bottom: int, a: int, b: int) -> None:
        result = None if y is None else layout.memory(y)[filters, ..., a:b]
        tiles.grid.take_in(layout.memory(dy)[filters, ..., a:b], result, dproducts, top, bottom)

    return go_back(tiles, start, x, weight, needs, whole=tiles.as_products(dy) if y is None else None)


def go_back(
    tiles: Tiles,
    start: Callable[..., None],
    x: Array,
    weight: Array,
    needs: Any,
    columns: Array | None = None,
    whole: Array | None = None,
) -> tuple[Array | None, ...]:
    """The gradients; `start(dproducts, filters, top, bottom, a, b)` writes those of the products of some tiles.

    Unless they are there, in the whole of all of them.
    """
    N, dtype, (tall, wide) = len(x), x.dtype, tiles.grid.counts
    followed, filters = layout.memory(x), bool(needs.weight or needs.bias)
    if tiles.small(N, x.itemsize):
        return _at_once(tiles, start, x, weight, needs, columns, whole)
    partial: dict[int, Array] = {}
    kept = whole
    if needs.x and kept is None:  # kept in one piece for the pixels
        kept = scratch("kept", (tiles.groups * tiles.K, *tiles.grid.tile, tall, wide, N), dtype)

    def work(part: int, blocks: Iterable[tuple[int, int, int, int]]) -> None:
        total = np.zeros((tiles.groups, tiles.outputs, tiles.rows), dtype)
        share = scratch("dmatrix", total.shape, dtype)
        for top, bottom, a, b in blocks:
            high, n = bottom - top, b - a
            dproducts = tiles.piece(whole, top, bottom, n)
            if dproducts is None:
                dproducts = tiles.room("dproducts", high, n, dtype)
                shaped = dproducts.reshape(tiles.products_shape(high, n))
                start(shaped, EVERY, top, bottom, a, b)
                if kept is not whole and kept is not None:
                    np.copyto(kept[..., top:bottom, :, a:b], shaped)
            if filters:
                columns = tiles.columns(followed[..., a:b], top, bottom)
                gemm.sum_of_products(tiles.by_rows(dproducts), columns, share)
                np.add(total, share, out=total)
        partial[part] = total

    parts = tiles.split(N, x.itemsize, work)
    dx = _pixels(tiles, kept, x, weight) if needs.x and kept is not None else None
    return dx, *_filters(tiles, sum((partial[part] for part in range(1, parts)), start=partial[0]), weight, needs)


def _at_once(
    tiles: Tiles,
    start: Callable[..., None],
    x: Array,
    weight: Array,
    needs: Any,
    columns: Array | None,
    whole: Array | None,
) -> tuple[Array | None, ...]:
    """`go_back` in one piece; the two gradients perhaps at the same time, or one of them filter by filter."""
    N, tall = len(x), tiles.grid.counts[0]
    dproducts = tiles.room("dproducts", tall, N, x.dtype) if whole is None else whole
    shaped = dproducts.reshape(tiles.products_shape(tall, N))
    dmatrix, wants_filters = np.empty((tiles.groups, tiles.outputs, tiles.rows), x.dtype), needs.weight or needs.bias
    dx: Array | None = None

    def some_filters(columns: Array, part: int, first: int, last: int) -> None:
        start(shaped[first:last], slice(first, last), 0, tall, 0, N)
        rows, of_matrix = (slice(first * each, last * each) for each in map(math.prod, (tiles.grid.tile, tiles.part)))
        gemm.sum_of_products(tiles.by_rows(dproducts[:, rows]), columns, dmatrix[:, of_matrix])

    def pixels() -> None:
        nonlocal dx
        dx = _pixels(tiles, dproducts, x, weight)

    def filters() -> None:
        seen = tiles.columns(layout.memory(x), 0, tall) if columns is None else columns
        gemm.sum_of_products(tiles.by_rows(dproducts), seen, dmatrix)

    if tiles.groups == 1 and not needs.x and columns is not None:
        split(tiles.K, functools.partial(some_filters, columns), tiles.seconds(N))
    else:
        if whole is None:
            start(shaped, EVERY, 0, tall, 0, N)
        tasks = ((pixels, needs.x), (filters, wants_filters))
        together(2 * tiles.seconds(N), *[task for task, wanted in tasks if wanted], calls=CALLS)
    return dx, *_filters(tiles, dmatrix, weight, needs)


def _filters(tiles: Tiles, dmatrix: Array, weight: Array, needs: Any) -> tuple[Array | None, Array | None]:
    """The gradients of the weights and the bias from that of the matrix."""
    dweight = tiles.diagonals(dmatrix).sum(axis=(0, 1)).reshape(weight.shape) if needs.weight else None
    dbias = tiles.biases(dmatrix).sum(axis=2).reshape(-1) if needs.bias else None
    return dweight, dbias


def _pixels(tiles: Tiles, dproducts: Array, x: Array, weight: Array) -> Array:
    """The gradient of x from that of all products: some channels at a time, with all their tiles."""
    (N, C, *_), grid, (tall, wide) = x.shape, tiles.grid, tiles.grid.counts
    turned = tiles.turned
    if turned is not None:
        kernel = weight.shape[2:]
        filters = weight.reshape(tiles.groups, tiles.K, tiles.C, *kernel)[..., ::-1, ::-1].swapaxes(1, 2)
        dy = dproducts.reshape(-1, *grid.out, N).transpose(3, 0, 1, 2)
        return computed(turned, dy, filters.reshape(C, tiles.K, *kernel), None)
    dx = layout.empty(x.shape, x.dtype)
    whole = tiles.uncut  # all outputs of a tile together: fewer numbers to add to the pixels
    followed, dproducts = layout.memory(dx), dproducts.reshape(tiles.groups, whole.outputs, -1)
    pixels = math.prod(grid.seen)
    matrix = whole.matrix(weight, None).reshape(tiles.groups, whole.outputs, grid.seen[0], whole.line)
    by_channel = matrix[..., :-1].reshape(*matrix.shape[:3], tiles.C, grid.seen[1]).swapaxes(2, 3)
    each = pixels * tall * wide * N * x.itemsize

    def work(part: int, first: int, last: int) -> None:
        while first < last:
            group, c = divmod(first, tiles.C)
            end = min(last, (group + 1) * tiles.C, first + max(1, BLOCK_BYTES // each))
            count = end - first
            dcolumns = scratch("columns", (count, *grid.seen, tall, wide, N), x.dtype)
            matrix = by_channel[group, :, c : c + count].reshape(whole.outputs, -1)
            gemm.times(matrix.T[None], dproducts[None, group], dcolumns.reshape(1, count * pixels, -1))
            dphases = scratch("phases", (count, *grid.steps, *grid.places, N), x.dtype)
            dphases.fill(0)
            grid.scatter(dcolumns, dphases)
            grid.unsorted(dphases, followed[first:end])
            first = end

    tiles.share(N, x.itemsize, C, work)
    return dx
