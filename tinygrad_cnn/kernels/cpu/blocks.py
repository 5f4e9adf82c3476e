"""How much work fits into the cache, and when a thread pays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

Array = np.ndarray

# Bytes of work space in flight per thread: about the second-level cache of one core.
BLOCK_BYTES = 1 << 20
# Rough speeds of one core, only to decide whether handing work to a thread pays.
FLOPS = 5e10
BYTES_PER_SECOND = 3e10


def blocks_of(first: int, last: int, bytes_each: int) -> Iterator[tuple[int, int]]:
    """Samples first … last − 1 in blocks of about BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // max(bytes_each, 1))
    for start in range(first, last, step):
        yield start, min(start + step, last)


def blas_ready(*arrays: Array) -> bool:
    """Whether one BLAS call can take them: all float32, or all float64."""
    return arrays[0].dtype.char in "fd" and len({a.dtype for a in arrays}) == 1
