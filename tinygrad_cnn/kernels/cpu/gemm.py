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
FEWEST, FEWEST_TO_SUM = 256, 512
# columns that are not divided between threads
STEP = 16


def times(A: Array, B: Array, out: Array) -> None:
    """`out = A·B` for (g, M, K) or (1, M, K), and (g, K, L); threads share the columns of B."""
    _, M, K = A.shape

    def work(part: int, first: int, last: int) -> None:
        first, last = first * STEP, min(last * STEP, B.shape[2])
        pieces = _pieces(M * K, last - first, FEWEST)
        whole = last - (last - first) % pieces
        np.matmul(A[:, None], _cut(B[..., first:whole], pieces), out=_cut(out[..., first:whole], pieces))
        if whole < last:
            np.matmul(A, B[..., whole:last], out=out[..., whole:last])

    split(-(-B.shape[2] // STEP), work, 2 * M * B.size / FLOPS)


def times_transposed(A: Array, B: Array, out: Array) -> None:
    """`out = A·Bᵀ` for (g, M, L), (g, K, L); threads share the larger side's rows, or the pieces of a long sum."""
    g, M, L = A.shape
    K = B.shape[1]
    pieces = _pieces(M * K, L, FEWEST_TO_SUM)
    seconds = 2 * A.size * K / FLOPS
    if pieces > 1:
        whole = L - L % pieces
        sums = scratch("sums", (g, pieces, M, K), A.dtype)
        left, right = _cut(A[..., :whole], pieces), _cut(B[..., :whole], pieces).swapaxes(2, 3)
        split(pieces, lambda _, a, b: np.matmul(left[:, a:b], right[:, a:b], out=sums[:, a:b]), seconds)
        np.add.reduce(sums, axis=1, out=out)
        if whole < L:
            split(1, lambda *_: np.add(out, np.matmul(A[..., whole:], B[..., whole:].swapaxes(1, 2)), out=out), 0)
    elif K > M:
        other, columns = scratch("transposed", (g, K, M), A.dtype), A.swapaxes(1, 2)
        split(K, lambda _, a, b: np.matmul(B[:, a:b], columns, out=other[:, a:b]), seconds)
        np.copyto(out, other.swapaxes(1, 2))
    else:
        columns = B.swapaxes(1, 2)
        split(M, lambda _, a, b: np.matmul(A[:, a:b], columns, out=out[:, a:b]), seconds)


@functools.lru_cache(maxsize=1024)
def _pieces(numbers: int, L: int, fewest: int) -> int:
    """In how many pieces to cut L columns, for a matrix of so many numbers; 1 where pieces do not pay.

    Such that no column is left over, if that takes only few pieces more.
    """
    length = SMALL // numbers
    if length < fewest or length >= L:
        return 1
    least = -(-L // length)
    return next((pieces for pieces in range(least, least + least // 2 + 1) if L % pieces == 0), least)


def _cut(A: Array, pieces: int) -> Array:
    """(g, M, L) -> (g, pieces, M, L/pieces), a view."""
    g, M, L = A.shape
    return A.reshape(g, M, pieces, L // pieces).swapaxes(1, 2)
