"""Dropout: a thread computes the random number of its element from its place; backward it does so again."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.cuda.each import Each, taken
from tinygrad_cnn.kernels.table import kernel

Array = Any

#: Philox4x64-10 as in `reference/dropout.py`: element i is half of word i/2 % 4 of block i/8.
PHILOX = """
__device__ bool kept(unsigned long long i, unsigned long long seed, unsigned long long offset,
                     unsigned long long threshold) {
    unsigned long long c0 = i / 8 + 1, c1 = 0, c2 = offset, c3 = 0, k0 = seed, k1 = 0;
    for (int round = 0; round < 10; round++) {
        unsigned long long high0 = __umul64hi(c0, 0xD2E7470EE14C6C93ULL), low0 = c0 * 0xD2E7470EE14C6C93ULL;
        unsigned long long high2 = __umul64hi(c2, 0xCA5A826395121157ULL), low2 = c2 * 0xCA5A826395121157ULL;
        c0 = high2 ^ c1 ^ k0; c1 = low2; c2 = high0 ^ c3 ^ k1; c3 = low0;
        k0 += 0x9E3779B97F4A7C15ULL; k1 += 0xBB67AE8584CAA73BULL;
    }
    int word = i / 2 % 4;
    unsigned long long bits = word == 0 ? c0 : word == 1 ? c1 : word == 2 ? c2 : c3;
    return (i % 2 ? bits >> 32 : bits & 0xFFFFFFFFULL) >= threshold;
}
"""
dropout = Each(
    "T x, uint64 seed, uint64 offset, uint64 threshold, T scale", "T y",
    "y = kept(i, seed, offset, threshold) ? x * scale : x * 0",
    name="dropout", helpers=PHILOX,
)  # fmt: skip
dropout_keep = Each(
    "uint64 seed, uint64 offset, uint64 threshold", "bool keep", "keep = kept(i, seed, offset, threshold)",
    name="dropout_keep", helpers=PHILOX,
)  # fmt: skip


def _numbers(p: float, seed: int, offset: int) -> tuple[np.uint64, ...]:
    """What the random numbers are computed from, and the threshold they must reach: all of 64 bits."""
    return np.uint64(seed), np.uint64(offset), np.uint64(min(round(p * 2**32), 2**32))


@kernel("dropout_forward", backend="cuda")
@kernel("dropout_backward", backend="cuda")
def _(x: Array, p: float, seed: int, offset: int) -> Array:
    if not taken(x) or p == 1:
        return NotImplemented
    return dropout(x, *_numbers(p, seed, offset), 1 / (1 - p))


@kernel("dropout_keep", backend="cuda")
def _(x: Array, p: float, seed: int, offset: int) -> Array:
    keep = namespace(x).empty(x.shape, "bool")
    return dropout_keep(*_numbers(p, seed, offset), keep)
