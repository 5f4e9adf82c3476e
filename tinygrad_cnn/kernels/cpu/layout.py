"""Storage with the batch innermost: how the fast kernels lay images out in memory.

A batch of images is (N, C, H, W) to everybody who uses it. Where its numbers lie is another question. In the usual
order the pixels of a row are neighbours, and a kernel that slides over an image copies runs of a few pixels. With the
batch innermost, memory order (C, H, W, N), the same pixel of all images lies together: every shift by a row or a
column moves whole runs of N numbers, a channel is one piece, and a matrix product finds its columns ready.

An array is its memory and its strides, so that both orders are arrays of the same shape: the second is
`memory.transpose(3, 0, 1, 2)`. NumPy's element-wise functions keep the order they are given, flattening it costs
nothing (the result is a matrix in Fortran's order, which BLAS takes as it is), and only whoever looks at the strides
sees a difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = np.ndarray

# below this many samples a run is too short, and kernels that slide along rows are faster
FEWEST = 16


def batch_last(x: Array) -> bool:
    """Whether the numbers of an array (N, …) lie in memory as (…, N), without gaps."""
    return x.ndim > 1 and memory(x).flags.c_contiguous and not x.flags.c_contiguous


def memory(x: Array) -> Array:
    """(N, …) -> (…, N): the view that follows the memory of an array with the batch innermost."""
    return x.transpose(*range(1, x.ndim), 0)


def empty(shape: tuple[int, ...], dtype: Any, batch_last: bool = True) -> Array:
    """A new array of this shape (N, …), with the batch innermost or in the usual order."""
    if not batch_last:
        return np.empty(shape, dtype)
    N, *rest = shape
    return np.empty((*rest, N), dtype).transpose(len(rest), *range(len(rest)))


def strided(array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """A view with other strides.

    As NumPy's `as_strided`, but of an array in one piece in a tenth of the time, and within its bounds.
    """
    if array.flags.c_contiguous:
        return np.ndarray(shape, array.dtype, array, 0, strides)
    return as_strided(array, shape, strides)
