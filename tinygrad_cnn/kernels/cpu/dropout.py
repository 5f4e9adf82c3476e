"""Dropout with NumPy's own generator: each thread begins to count where its elements begin."""

from __future__ import annotations

import sys

import numpy as np

from tinygrad_cnn.kernels.cpu.elementwise import elementwise
from tinygrad_cnn.kernels.table import kernel, overridden
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.random import philox

Array = np.ndarray

STEP = 8  # elements for one step of the counter: four words of two numbers
SECONDS = 1.8e-9  # for the random number of one element


@kernel("dropout_forward", backend="cpu")
@kernel("dropout_backward", backend="cpu")
def thin(x: Array, p: float, seed: int, offset: int) -> Array:
    """As the reference, with one new array less."""
    if x.dtype.char not in "fd" or p == 1 or overridden("dropout_keep"):
        return NotImplemented

    def work(x: Array, keep: Array, y: Array) -> None:
        np.multiply(x, keep, out=y)
        np.multiply(y, 1 / (1 - p), out=y)

    # places are counted in the order of the axes; where x lies otherwise, the mask is moved there
    return elementwise(work, x, dropout_keep(x, p, seed, offset), cost=0.4)


@kernel("dropout_keep", backend="cpu")
def dropout_keep(x: Array, p: float, seed: int, offset: int) -> Array:
    """The same bits from NumPy's own Philox."""
    threshold = round(p * 2**32)
    if threshold >= 2**32:  # p = 1: more than any 32-bit number
        return np.zeros(x.shape, bool)
    mask = np.empty(x.size, bool)

    def work(part: int, first: int, last: int) -> None:
        part_of_it = mask[first * STEP : last * STEP]
        stream = np.random.Generator(philox(seed, offset).advance(first))
        # whole words, as `random_raw` gives them, which is several times slower beside another busy thread
        words = stream.integers(2**64 - 1, size=-(-len(part_of_it) // 2), dtype=np.uint64, endpoint=True)
        halves = words.view(np.uint32)
        if sys.byteorder == "big":  # the low half counts first
            halves = halves.reshape(-1, 2)[:, ::-1].reshape(-1)
        np.greater_equal(halves[: len(part_of_it)], np.uint32(threshold), out=part_of_it)

    split(-(-x.size // STEP), work, x.size * SECONDS)
    return mask.reshape(x.shape)
