"""Matrix products in the shapes that BLAS likes.

What is meant by a product is always the same; how fast it is depends on who is the left and who the right operand, and
on its size. Measured with OpenBLAS on a processor with AVX-512, one core, float32, billions of operations a second:

| product | as written | here | why |
|---|---|---|---|
| (24, 37)·(37, 12544) | 69 | 93 | in pieces below a million multiplications, which OpenBLAS takes without packing |
| (16, 145)·(145, 8192) | 64 | 103 | the same |
| (24, 12544)·(12544, 37) | 47 | 85 | the same, and the sum of the pieces |
| (64, 1600)·(1600, 217) | 71 | 85 | transposed: the larger side first |
| (16, 6400)·(6400, 151) | 34 | 63 | the same |
"""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import FLOPS
from tinygrad_cnn.kernels.cpu.scratch import scratch
from tinygrad_cnn.kernels.threads import split

Array = np.ndarray

# multiplications up to which OpenBLAS takes a product as it is, instead of packing its operands first
SMALL = 1_000_000
# fewer columns than this do not make up for the further calls; and not for the sum of the pieces
FEWEST, FEWEST_TO_SUM = 128, 512
# columns that are not divided between threads
STEP = 16
# as long an axis is divided between threads, instead of columns
MANY = 8


def times(A: Array, B: Array, out: Array) -> None:
    """`out = A·B` for (…, M, K) and (…, K, L); threads share the second axis, if it is long, else the columns of B."""
    M, K = A.shape[-2:]
    long = B.ndim > 3 and B.shape[1] >= MANY
    n = B.shape[1] if long else -(-B.shape[-1] // STEP)

    def work(part: int, first: int, last: int) -> None:
        some = np.s_[:, first:last] if long else np.s_[..., first * STEP : last * STEP]
        right, result = B[some], out[some]
        L = right.shape[-1]
        pieces = _pieces(SMALL // (M * K), L, FEWEST)
        whole = L - L % pieces
        np.matmul(A[..., None, :, :], _cut(right[..., :whole], pieces), out=_cut(result[..., :whole], pieces))
        if whole < L:
            np.matmul(A, right[..., whole:], out=result[..., whole:])

    split(n, work, 2 * M * B.size / FLOPS)


def sum_of_products(A: Array, B: Array, out: Array) -> None:
    """`out = Σ A·Bᵀ` for (g, …, M, L), (g, …, K, L), summed over all axes between; threads share the first of them."""
    (g, n, *_, M, L), K = A.shape, B.shape[-2]
    pieces = _pieces(SMALL // (M * K), L, FEWEST_TO_SUM)
    whole = L - L % pieces
    left, right = _cut(A[..., :whole], pieces), _cut(B[..., :whole], pieces)
    if transposed := K > M and pieces == 1:
        left, right = right, left
    sums = scratch("sums", (*left.shape[:-1], right.shape[-2]), A.dtype)
    columns = right.swapaxes(-1, -2)

    def work(part: int, first: int, last: int) -> None:
        np.matmul(left[:, first:last], columns[:, first:last], out=sums[:, first:last])

    split(n, work, 2 * A.size * K / FLOPS)
    total = sums.reshape(g, -1, *sums.shape[-2:]).sum(axis=1)
    np.copyto(out, total.swapaxes(1, 2) if transposed else total)
    if whole < L:
        rest = A[..., whole:], B[..., whole:].swapaxes(-1, -2)
        split(1, lambda *_: np.add(out, np.matmul(*rest).reshape(g, -1, M, K).sum(axis=1), out=out), 0)


@functools.lru_cache(maxsize=1024)
def _pieces(length: int, L: int, fewest: int) -> int:
    """In how many pieces of at most this length to cut L columns; 1 where pieces do not pay.

    Such that no column is left over, if that takes only few pieces more.
    """
    if length < fewest or length >= L:
        return 1
    least = -(-L // length)
    return next((pieces for pieces in range(least, least + least // 2 + 1) if L % pieces == 0), least)


def _cut(A: Array, pieces: int) -> Array:
    """(…, M, L) -> (…, pieces, M, L/pieces), a view."""
    *lead, M, L = A.shape
    return A.reshape(*lead, M, pieces, L // pieces).swapaxes(-3, -2)
