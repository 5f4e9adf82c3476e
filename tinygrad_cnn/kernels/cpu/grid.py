"""Where tiles of neighbouring outputs lie, and the pixels they see: the geometry of `tiles` and `winograd`.

An output of P×Q pixels is cut into tiles of m×n. Together, the windows of a tile see a×b pixels of the padded image,
`a = (m − 1)·stride + R`, and the next tile sees the same some pixels further: their a×b overlap.

Copying them tile by tile would move few numbers at a time. Sorted by **phases**, they lie in runs: phase (u, v) holds
rows u, u + step, u + 2·step … and columns likewise, where `step` is the distance of two tiles. For step 2:

    image  a b c d e f      phase 0  a c e      tile 0 sees  a b c d    which is  phase 0 from place 0: a, place 1: c
                            phase 1  b d f      tile 1 sees  c d e f              phase 1 from place 0: b, place 1: d

What all tiles see at their place i·step + u is phase u, from place i on: one slice. Memory is (…, rows, columns, n),
n samples innermost, so that such a slice has runs of columns·n numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu.layout import strided
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray

EVERY = slice(None)
# of a pixel, in runs, by one core, out of the third-level cache
SECONDS_A_COPY = 0.4e-9


@dataclass(frozen=True)
class Grid:
    """Tiles of m×n outputs of a window that slides over an image.

    Attributes:
        window: Kernel, stride, padding, dilation.
        image: (H, W) of the image.
        out: (P, Q) of the output.
        tile: (m, n) of a tile.
    """

    window: Window
    image: Shape
    out: Shape
    tile: Shape

    @functools.cached_property
    def counts(self) -> tuple[int, ...]:
        """Rows and columns of tiles; the last ones may hang over the edge."""
        return tuple(-(-size // tile) for size, tile in zip(self.out, self.tile))

    @functools.cached_property
    def exact(self) -> bool:
        """Whether no tile hangs over the edge."""
        return all(count * tile == size for count, tile, size in zip(self.counts, self.tile, self.out))

    @functools.cached_property
    def seen(self) -> tuple[int, ...]:
        """a×b: the pixels a tile sees."""
        w = self.window
        return tuple((tile - 1) * stride + span for tile, stride, span in zip(self.tile, w.stride, w.spans))

    @functools.cached_property
    def steps(self) -> tuple[int, ...]:
        """Pixels from one tile to the next."""
        return tuple(tile * stride for tile, stride in zip(self.tile, self.window.stride))

    @functools.cached_property
    def reach(self) -> tuple[int, ...]:
        """How many places of a phase a tile sees, in rows and columns."""
        return tuple(-(-seen // step) for seen, step in zip(self.seen, self.steps))

    @functools.cached_property
    def places(self) -> tuple[int, ...]:
        """Rows and columns of a phase, as far as the tiles see it."""
        return tuple(count + reach - 1 for count, reach in zip(self.counts, self.reach))

    @functools.cached_property
    def pairs(self) -> list[tuple[Any, Any]]:
        """Where pixels are, and where they go in the phases: indices.

        Into an image (C, H, W, n) seen as (C, H/step, step, W/step, step, n), one pair, where its rows, its columns
        and the padding before them are whole steps; else into the image itself, a pair for each phase.
        """
        axes: list[list[tuple[Any, Any, Any]]] = []
        for size, (before, _), step, end in zip(self.image, self.window.pads, self.steps, self.places):
            options: list[tuple[Any, Any, Any]] = []
            for phase in range(step):
                begin = (phase - before) % step  # of the image's rows, the first that belongs to this phase
                place = (begin + before) // step
                high = max(place, min(end, place - (begin - size) // step))
                options.append((slice(begin, begin + (high - place) * step, step), phase, slice(place, high)))
            if self.aligned:
                steps, _, places = options[0]
                options = [(slice(steps.start // step, steps.stop // step), slice(None), places)]
            axes.append(options)
        every = slice(None)
        if self.aligned:
            ((rows, _, high),), ((columns, _, wide),) = axes
            return [((every, every, every, rows, columns), (every, every, every, high, wide))]
        return [
            ((every, rows, columns), (every, u, v, high, wide))
            for rows, u, high in axes[0]
            for columns, v, wide in axes[1]
        ]

    @functools.cached_property
    def aligned(self) -> bool:
        """Whether rows, columns and the padding before them are whole steps: then one copy sorts them all."""
        return all(
            size % step == before % step == 0
            for size, (before, _), step in zip(self.image, self.window.pads, self.steps)
        )

    @functools.cached_property
    def covers(self) -> bool:
        """Whether the tiles see every pixel: with a stride, the last rows may be left out."""
        return all(
            before + size <= step * places
            for size, (before, _), step, places in zip(self.image, self.window.pads, self.steps, self.places)
        )

    def sorted(self, x: Array) -> Array:
        """An image (C, H, W, n), padded and in phases: (C, steps, steps, rows, columns, n), work space."""
        phases = scratch("phases", (len(x), *self.steps, *self.places, x.shape[-1]), x.dtype)
        if len(self.pairs) > 1 or phases[self.pairs[0][1]].size < phases.size:
            phases.fill(0)
        x = self._by_steps(x)
        _copy([(phases[places], x[pixels]) for pixels, places in self.pairs], phases.size)
        return phases

    def unsorted(self, phases: Array, x: Array) -> None:
        """Write the phases of a whole image back into it."""
        if not self.covers:
            x[...] = 0
        x = self._by_steps(x)
        _copy([(x[pixels], phases[places]) for pixels, places in self.pairs], phases.size)

    def _by_steps(self, x: Array) -> Array:
        if not self.aligned:
            return x
        (C, H, W, n), (channel, row, column, one), (down, right) = x.shape, x.strides, self.steps
        strides = (channel, row, column, down * row, right * column, one)
        return strided(x, (C, down, right, H // down, W // right, n), strides)

    def gather(self, phases: Array, columns: Array) -> None:
        """Copy what tiles see from the phases of their rows into columns (C, a, b, rows, columns of tiles, n)."""
        (a, b), (down, right) = self.seen, self.steps
        if a % down or b % right:
            for pixels, place in self._met(phases, columns):
                np.copyto(place, pixels)
            return
        # what is seen at i·down + u is a row of the phases further for each i, and so is the next tile
        C, _, _, high, wide, n = columns.shape
        channel, u, v, row, column, one = phases.strides
        shape = (C, a // down, down, b // right, right, high, wide, n)
        seen, columns = strided(phases, shape, (channel, row, u, column, v, row, column, one)), columns.reshape(shape)
        shared = int(a // down > C)  # the axis of which threads take a part each

        def work(part: int, first: int, last: int) -> None:
            places = (EVERY,) * shared + (slice(first, last),)
            np.copyto(columns[places], seen[places])

        split(shape[shared], work, columns.size * SECONDS_A_COPY)

    def scatter(self, columns: Array, phases: Array) -> None:
        """Add the columns to the pixels they were copied from."""
        for pixels, place in self._met(phases, columns):
            np.add(pixels, place, out=pixels)

    def _met(self, phases: Array, columns: Array) -> Iterator[tuple[Array, Array]]:
        (a, b), (down, right) = self.seen, self.steps
        high, wide = columns.shape[3:5]
        for i, u in enumerate(range(0, a, down)):
            for j, v in enumerate(range(0, b, right)):
                place = columns[:, u : u + down, v : v + right]
                yield phases[:, : place.shape[1], : place.shape[2], i : i + high, j : j + wide], place

    def put_out(self, tiles: Array, y: Array, top: int, bottom: int) -> None:
        """Copy rows top … bottom − 1 of tiles (K, m, n, rows, columns, samples) to outputs y (K, P, Q, samples)."""
        for outputs, made in self._outputs(y, tiles, top, bottom):
            np.copyto(outputs, made)

    def take_in(self, dy: Array, y: Array | None, tiles: Array, top: int, bottom: int) -> None:
        """Copy dy to some rows of tiles, where y, the result of ReLU, is positive; outputs beyond the edge are 0."""
        if not self.exact:
            tiles.fill(0)
        if y is None:
            for given, place in self._outputs(dy, tiles, top, bottom):
                np.copyto(place, given)
            return
        for (given, place), (result, _) in zip(*(self._outputs(end, tiles, top, bottom) for end in (dy, y))):
            np.multiply(given, result > 0, out=place)

    def _outputs(self, y: Array, tiles: Array, top: int, bottom: int) -> Iterator[tuple[Array, Array]]:
        m, n = self.tile
        for u in range(m):
            for v in range(n):
                out = y[:, top * m + u : bottom * m : m, v::n]
                yield out, tiles[:, u, v, : out.shape[1], : out.shape[2]]


def _copy(copies: Sequence[tuple[Array, Array]], numbers: int) -> None:
    """Copies `(to, from)` of so many numbers in all; threads take some of them each."""

    def work(part: int, first: int, last: int) -> None:
        for to, taken in copies[first:last]:
            np.copyto(to, taken)

    if len(copies) == 1:
        work(0, 0, 1)
    else:
        split(len(copies), work, numbers * SECONDS_A_COPY, len(copies))
