"""The way back of images at other sizes, without `add.at`, which takes one number after the other.

Along one axis, several pixels of the larger image come from one of the smaller, `place = [0, 0, 1, 1, 2, 2]`. Taken
apart by which of those it is, the first, `[0, 1, 2]`, or the second, no place occurs twice, and each part is added in
one piece. For whole factors these are slices with a step, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND
from tinygrad_cnn.kernels.reference.upsample import Scales, blend
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape

Array = np.ndarray


@kernel("interpolate_backward", backend="cpu")
def interpolate_backward(dy: Array, shape: Shape, scales: Scales, linear: bool, align_corners: bool) -> Array:
    """As the reference, channels split over threads."""
    if dy.dtype.char not in "fd":
        return NotImplemented
    axes = reversed(range(2, dy.ndim))
    entries = {a: blend(dy, shape[a], dy.shape[a], scales[a - 2], linear, align_corners) for a in axes}
    dx = np.zeros_like(dy, shape=shape)

    def work(part: int, first: int, last: int) -> None:
        share = dy[:, first:last]
        for axis, several in entries.items():
            wide, into = share, (*share.shape[:axis], *shape[axis:])
            share = dx[:, first:last] if axis == 2 else np.zeros_like(wide, shape=into)
            for place, weight in several:
                for to, of in once_each(place):
                    piece = wide[at(axis, of)]
                    if weight is not None:
                        piece = piece * weight[of].reshape(-1, *[1] * (dy.ndim - 1 - axis))
                    if isinstance(to, slice):
                        target = share[at(axis, to)]
                        np.add(target, piece, out=target)
                    else:
                        share[at(axis, to)] += piece

    split(shape[1], work, 4 * dy.nbytes * len(entries) / BYTES_PER_SECOND)
    return dx


def once_each(place: Array) -> Iterator[tuple[Any, Any]]:
    """Parts of a rising `place` in which no number is twice, as (numbers, their indices).

    >>> list(once_each(np.array([0, 0, 1, 1, 2])))
    [(slice(0, 3, 1), slice(0, 5, 2)), (slice(0, 2, 1), slice(1, 4, 2))]
    """
    earlier = np.arange(len(place)) - np.searchsorted(place, place)  # how many of the same stand before it
    for number in range(earlier.max(initial=-1) + 1):
        index = np.flatnonzero(earlier == number)
        yield as_slice(place[index]), as_slice(index)


def as_slice(index: Array) -> Any:
    """A slice with a step, where the index is one."""
    first, last = int(index[0]), int(index[-1])
    step = int(index[1]) - first if len(index) > 1 else 1
    same = np.array_equal(index, np.arange(first, last + 1, step))
    return slice(first, last + 1, step) if same else index


def at(axis: int, index: Any) -> Any:
    """An index into one axis."""
    return (*[slice(None)] * axis, index)
