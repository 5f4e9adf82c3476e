"""Dropout's mask from NumPy's own generator."""

from __future__ import annotations

import sys

import numpy as np

from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.random import philox

Array = np.ndarray


@kernel("dropout_keep", backend="cpu")
def dropout_keep(x: Array, p: float, seed: int, offset: int) -> Array:
    """The same bits from NumPy's own Philox."""
    words = philox(seed, offset).random_raw(-(-x.size // 2))
    halves = np.asarray(words, np.uint64).view(np.uint32)
    if sys.byteorder == "big":  # the low half counts first
        halves = halves.reshape(-1, 2)[:, ::-1].reshape(-1)
    threshold = round(p * 2**32)
    if threshold >= 2**32:  # p = 1: more than any 32-bit number
        return np.zeros(x.shape, bool)
    return (halves[: x.size] >= np.uint32(threshold)).reshape(x.shape)
