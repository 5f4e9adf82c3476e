"""Windows that slide over images: the columns sorted by stride, so that a tap of all windows is one run of memory.

A kernel that pools compares, or adds, what the same tap of all windows sees. With stride 2 that is every second pixel:

    columns      0 1 2 3 4 5 6 7 8          windows of 3 at stride 2
    tap 0 sees   0   2   4   6              of the window's first pixel: even columns
    tap 1 sees     1   3   5   7            odd columns
    tap 2 sees       2   4   6   8          even columns, from the second one on

Vector units load neighbours; picking every second number takes five times as long. So the columns of a block of images
are sorted first, those with the same remainder of `column / stride` next to each other (a *phase*, as signal processing
calls it), and every tap becomes a slice without gaps of one of them:

    phase 0      0 2 4 6 8                  tap 0 = phase 0 [0:4], tap 2 = phase 0 [1:5]
    phase 1      1 3 5 7                    tap 1 = phase 1 [0:4]

A "column" is not one number but one of many images, in *lanes*: pixels (c, H, W) outside, lanes innermost, so that
sorting moves whole runs. With the batch innermost (see `layout`) memory lies so already, the lanes are the N samples,
and blocks are cut along the channels. With images one behind the other, a block of whole images is transposed on its
way into the phases, and the lanes are images (n, c). Rows need no sorting: even a slice of every second row moves runs
of Q·lanes numbers. Padding is written around the phases and costs no copy of its own.

`Plan` is the geometry, and takes blocks of images apart and puts them together again. `tests/test_cpu_kernels.py`
compares all of it with the readable kernels, for odd sizes, gaps, padding, dilation and windows that hang over the
edge, on lines, images and volumes, in every order of memory.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import layout
from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, blocks_of
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray

# strides in bytes by which the first-level cache finds only a few of its places
CROWDED = 1024


@dataclass(frozen=True)
class Axis:
    """How windows lie along one axis of the images.

    Attributes:
        size: Pixels of the image, of which `used` lie under windows.
        out: Number of windows.
        stride: From one window to the next; 1 if there is only one.
        offsets: Of the taps, from the first pixel of their window.
        before: Pixels of padding before the image.
        needed: Pixels from the first of the first window to the last of the last, padding and all.
    """

    size: int
    out: int
    stride: int
    offsets: tuple[int, ...]
    before: int

    @property
    def needed(self) -> int:
        return (self.out - 1) * self.stride + self.offsets[-1] + 1

    @property
    def used(self) -> int:
        return min(self.size, self.needed - self.before)

    @property
    def inside(self) -> slice:
        """The image, in the padded one."""
        return slice(self.before, self.before + self.used)

    @property
    def dilation(self) -> int:
        return self.offsets[1] if len(self.offsets) > 1 else 1

    @property
    def apart(self) -> bool:
        """Whether no two windows share a pixel."""
        return self.out == 1 or self.offsets[-1] < self.stride

    @property
    def tiled(self) -> bool:
        """Whether the windows cover the image, each pixel once."""
        return self.offsets == tuple(range(self.stride if self.out > 1 else self.size)) and self.whole

    @property
    def whole(self) -> bool:
        """Whether the windows take the image as it is, from its first pixel to its last."""
        return self.size == self.used == self.needed

    def rows(self, offset: int) -> slice:
        """The rows a tap meets."""
        return slice(offset, offset + (self.out - 1) * self.stride + 1, self.stride)


class Plan:
    """Where the windows of one kind find their pixels in images of one size."""

    def __init__(self, window: Window, sizes: Shape) -> None:
        self.out = window.outs(sizes)
        self.axes = tuple(
            Axis(size, out, stride if out > 1 else 1, tuple(range(0, span, dilation)), before)
            for size, out, stride, span, dilation, (before, _) in zip(
                sizes, self.out, window.stride, window.spans, window.dilation, window.pads
            )
        )
        *self.outer, self.last = self.axes
        self.padding = any(axis.needed > axis.used for axis in self.axes)
        self.apart = all(axis.apart for axis in self.axes)
        self.tiled = all(axis.tiled for axis in self.axes)
        # column of a tap → (number of its phase, columns there); only phases that some tap needs
        stride, out = self.last.stride, self.last.out
        self.phases = sorted({offset % stride for offset in self.last.offsets})
        self.width = -(-self.last.needed // stride)
        self.columns = [
            (self.phases.index(o % stride), slice(o // stride, o // stride + out)) for o in self.last.offsets
        ]
        # number of the phase → (its columns that are in the image, where these are there)
        self.moves = []
        for phase in self.phases:
            start = -(-max(self.last.before - phase, 0) // stride)
            end = -(-(self.last.inside.stop - phase) // stride)
            first = phase + stride * start - self.last.before
            self.moves.append((slice(start, end), slice(first, self.last.used, stride)))
        # taps, row by row: (number of the phase, the pixels a tap meets there)
        rows = itertools.product(*([axis.rows(o) for o in axis.offsets] for axis in self.outer))
        self.taps = [(phase, (slice(None), *some, columns)) for some in rows for phase, columns in self.columns]
        # whether a tap is the first to meet its pixels, each of them once
        self.fresh = [
            self.apart or all(o < axis.stride and axis.dilation == 1 for o, axis in zip(tap, self.axes))
            for tap in itertools.product(*(axis.offsets for axis in self.axes))
        ]

    def of(self, image: list[Array]) -> list[Array]:
        """For each tap, what it sees."""
        return [image[phase][pixels] for phase, pixels in self.taps]

    def space(self, purpose: str, block: Array) -> list[Array]:
        """Phases for a block (c, …, lanes), empty."""
        sizes = (*(axis.needed for axis in self.outer), self.width)
        return list(scratch(purpose, (len(self.phases), len(block), *sizes, block.shape[-1]), block.dtype))

    def load(self, block: Array, border: float) -> list[Array]:
        """The phases of a block (c, …, lanes), with a border of this value."""
        if self.last.stride == 1 and not self.padding and block.flags.c_contiguous:
            return [block]
        block = _spaced(block)
        image = self.space("phases", block)
        rows = (slice(None), *(slice(axis.used) for axis in self.outer))
        inside = (slice(None), *(axis.inside for axis in self.outer))
        for phase, (there, here) in zip(image, self.moves):
            if self.padding:
                for number, inner in enumerate((*inside[1:], there), start=1):
                    around = (slice(None),) * number
                    phase[(*around, slice(inner.start))] = border
                    phase[(*around, slice(inner.stop, None))] = border
            move(phase[(*inside, there)], block[(*rows, here)])
        return image

    def open(self, block: Array) -> list[Array]:
        """Phases in which to collect what `close` puts into the block: zeros, unless every pixel is written anyway."""
        whole = all(axis.whole for axis in self.axes)
        image = [block] if self.last.stride == 1 and whole and block.flags.c_contiguous else self.space("phases", block)
        if not self.tiled:
            for phase in image:
                phase.fill(0)
        return image

    def close(self, image: list[Array], block: Array) -> None:
        """The way back of `load`; what lies under no window becomes 0."""
        if image[0] is block:
            return
        if len(self.phases) < self.last.stride:
            block.fill(0)
        else:
            for number, axis in enumerate(self.axes, start=1):
                if axis.used < axis.size:
                    block[(*(slice(None),) * number, slice(axis.used, None))] = 0
        rows = (slice(None), *(slice(axis.used) for axis in self.outer))
        inside = (slice(None), *(axis.inside for axis in self.outer))
        for phase, (there, here) in zip(image, self.moves):
            move(block[(*rows, here)], phase[(*inside, there)])


@functools.lru_cache(maxsize=256)
def plan_of(window: Window, sizes: Shape) -> Plan:
    """`Plan(...)`, remembered: a training step asks for the same few again and again."""
    return Plan(window, sizes)


def move(target: Array, source: Array) -> None:
    """Copy; whole runs of lanes as single items, which saves NumPy a loop for each."""
    item = source.itemsize
    if source.strides[-1] == target.strides[-1] == item and source.dtype == target.dtype and source.shape[-1] > 1:
        run = f"V{item * source.shape[-1]}"
        source, target = source.view(run), target.view(run)
    np.copyto(target, source)


def _spaced(block: Array) -> Array:
    """Images to be transposed, a little further apart if equal pixels of all would want the same place in the cache."""
    *pixels, images = block.shape
    step = math.prod(pixels)
    if block.strides[-1] % CROWDED or block.strides[-1] != step * block.itemsize or images < 8:
        return block
    apart = scratch("apart", (images, step + 16), block.dtype)[:, :step].reshape(images, *pixels)
    np.copyto(apart, np.moveaxis(block, -1, 0))
    return np.moveaxis(apart, 0, -1)


def lanes(x: Array, batch_last: bool) -> Array:
    """(N, C, …) -> (c, …, lanes): with the batch last (C, …, N), else (1, …, N·C); a view if x lies so in memory."""
    return layout.memory(x) if batch_last else np.moveaxis(x.reshape(-1, *x.shape[2:]), 0, -1)[None]


def contiguous(purpose: str, block: Array) -> Array:
    """The block, or a copy of it without gaps."""
    if block.flags.c_contiguous:
        return block
    copy = scratch(purpose, block.shape, block.dtype)
    move(copy, block)
    return copy


def for_blocks(work: Callable[..., Any], *arrays: Array, batch_last: bool, passes: float, calls: int) -> None:
    """`work(*blocks)` for blocks (c, …, lanes) of the arrays (N, C, …), the first the largest, that fit into the cache.

    Args:
        work: Called by several threads.
        *arrays: Of images; what is written to must lie in memory as `layout.empty` makes it.
        batch_last: Their order.
        passes: How often the first one goes through the cache, roughly.
        calls: Of NumPy for a block, roughly.
    """
    views = [lanes(a, batch_last) for a in arrays]
    axis = 0 if batch_last else -1
    n, size = views[0].shape[axis], arrays[0].nbytes

    def run(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, size // n):
            work(*(view[a:b] if batch_last else view[..., a:b] for view in views))

    split(n, run, passes * size / BYTES_PER_SECOND, calls)
