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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu.layout import strided
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray


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
    def places(self) -> tuple[int, ...]:
        """Rows and columns of a phase, as far as the tiles see it."""
        return tuple(count + -(-seen // step) - 1 for count, seen, step in zip(self.counts, self.seen, self.steps))

    @functools.cached_property
    def phases(self) -> list[tuple[Any, Any]]:
        """Pairs of indices: into an image (C, H, W, n), and of the same pixels into its phases."""
        axes = []
        for size, (before, _), step, places in zip(self.image, self.window.pads, self.steps, self.places):
            pairs = []
            for phase in range(step):
                first = (phase - before) % step  # of the image's rows, the first that belongs to this phase
                place = (first + before) // step
                count = max(0, min(-(-(size - first) // step), places - place))
                pairs.append((slice(first, first + count * step, step), phase, slice(place, place + count)))
            axes.append(pairs)
        return [
            ((slice(None), rows, columns), (slice(None), u, v, high, wide))
            for rows, u, high in axes[0]
            for columns, v, wide in axes[1]
        ]

    @functools.cached_property
    def covers(self) -> bool:
        """Whether the tiles see every pixel: with a stride, the last rows may be left out."""
        return all(
            before + size <= step * places
            for size, (before, _), step, places in zip(self.image, self.window.pads, self.steps, self.places)
        )

    def sorted(self, x: Array, purpose: str = "phases") -> Array:
        """An image (C, H, W, n), padded and in phases: (C, steps, steps, rows, columns, n).

        What is returned is work space for this purpose, or x itself.
        """
        if self.steps == (1, 1) and x.shape[1:3] == self.places and x.strides[-1] == x.itemsize:
            return x[:, None, None]
        phases = scratch(purpose, (len(x), *self.steps, *self.places, x.shape[-1]), x.dtype)
        phases.fill(0)
        for pixels, places in self.phases:
            phases[places] = x[pixels]
        return phases

    def unsorted(self, phases: Array, x: Array) -> None:
        """Write phases back into an image."""
        if not self.covers:
            x[...] = 0
        for pixels, places in self.phases:
            x[pixels] = phases[places]

    def gather(self, phases: Array, columns: Array, top: int, bottom: int) -> None:
        """Copy what the tiles of rows top … bottom − 1 see into columns (C, a, b, rows, columns of tiles, n)."""
        (a, b), (down, right), (_, wide) = self.seen, self.steps, self.counts
        if a % down or b % right:
            for pixels, place in self._met(phases, columns, top, bottom):
                np.copyto(place, pixels)
            return
        # one copy: what is seen at i·down + u is a row of the phases further for each i, and so is the next tile
        channel, u, v, row, column, one = phases.strides
        C, n = len(phases), phases.shape[-1]
        shape = (C, a // down, down, b // right, right, bottom - top, wide, n)
        strides = (channel, row, u, column, v, row, column, one)
        np.copyto(columns.reshape(shape), strided(phases, shape, strides, axis=3, start=top))

    def scatter(self, columns: Array, phases: Array, top: int, bottom: int) -> None:
        """Add the columns to the pixels they were copied from."""
        for pixels, place in self._met(phases, columns, top, bottom):
            np.add(pixels, place, out=pixels)

    def _met(self, phases: Array, columns: Array, top: int, bottom: int) -> Iterator[tuple[Array, Array]]:
        (a, b), (down, right), (_, wide) = self.seen, self.steps, self.counts
        for i, u in enumerate(range(0, a, down)):
            for j, v in enumerate(range(0, b, right)):
                place = columns[:, u : u + down, v : v + right]
                yield phases[:, : place.shape[1], : place.shape[2], top + i : bottom + i, j : j + wide], place

    def outputs(self, y: Array, tiles: Array, top: int, bottom: int) -> Iterator[tuple[Array, Array]]:
        """Pairs of views, for each place in a tile: outputs in y (K, P, Q, n), and in tiles (K, m, n, rows, …, n)."""
        m, n = self.tile
        for u in range(m):
            for v in range(n):
                out = y[:, top * m + u : bottom * m : m, v::n]
                yield out, tiles[:, u, v, : out.shape[1], : out.shape[2]]
