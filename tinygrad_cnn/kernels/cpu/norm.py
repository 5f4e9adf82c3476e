"""Normalisation in blocks that stay in the cache; local response normalisation by whole slabs of channels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, blocks_of
from tinygrad_cnn.kernels.reference import norm
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape

Array = np.ndarray
Block = tuple[slice, ...]


@kernel("normalise_forward", backend="cpu")
def normalise_forward(
    x: Array, weight: Array | None, bias: Array | None, axes: tuple[int, ...], eps: float
) -> tuple[Array, ...]:
    """The reference, for some channels at a time (batch norm) or some samples (the others)."""
    if x.dtype.char not in "fd" or not x.size:
        return NotImplemented
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    results = np.empty(x.shape, x.dtype), *(np.empty(kept, x.dtype) for _ in range(3))

    def work(block: Block) -> None:
        parts = norm.normalise_forward(x[block], _cut(weight, block), _cut(bias, block), axes, eps)
        for result, part in zip(results, parts):
            result[block] = part

    _by_blocks(work, x, axes)
    return results


@kernel("normalise_backward", backend="cpu")
def normalise_backward(
    dy: Array,
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    axes: tuple[int, ...],
    beside: Shape,
    needs: Any,
) -> tuple[Array | None, ...]:
    """As forward; the gradients of a weight that all samples share are added in the order of the blocks."""
    if x.dtype.char not in "fd" or dy.dtype != x.dtype or not x.size:
        return NotImplemented
    dx = np.empty(x.shape, x.dtype) if needs.x else None
    pieces: dict[int, tuple[Array | None, ...]] = {}

    def work(block: Block) -> None:
        part, *rest = norm.normalise_backward(
            dy[block], x[block], mean[block], inverse_std[block], _cut(weight, block), axes, beside, needs
        )
        if dx is not None:
            dx[block] = part
        pieces[block[-1].start] = tuple(rest)

    _by_blocks(work, x, axes)
    dweight, dbias = zip(*(pieces[start] for start in sorted(pieces)))
    if 0 in axes:  # a block had all samples of its channels
        together: Any = functools.partial(np.concatenate, axis=1)
    else:
        together = sum
    return dx, together(dweight) if needs.weight else None, together(dbias) if needs.bias else None


def _by_blocks(work: Callable[[Block], None], x: Array, axes: tuple[int, ...]) -> None:
    axis = 1 if 0 in axes else 0
    n = x.shape[axis]

    def run(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, 3 * x.nbytes // n):
            work((slice(None),) * axis + (slice(a, b),))

    split(n, run, 12 * x.nbytes / BYTES_PER_SECOND)


def _cut(parameter: Array | None, block: Block) -> Array | None:
    """The block's part of weight or bias, which may be the same for all blocks."""
    return parameter if parameter is None or parameter.shape[len(block) - 1] == 1 else parameter[block]


@kernel("local_response_norm_forward", backend="cpu")
def local_response_norm_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """Some samples at a time, whose channels lie behind each other: the next channel is L numbers further."""
    if x.dtype.char not in "fd" or not x.size:
        return NotImplemented
    y = np.empty(x.shape, x.dtype)
    flat, L = y.reshape(len(x), -1), x[0, 0].size

    def work(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, 4 * x[0].nbytes):
            block = x[a:b].reshape(b - a, -1)
            _, root = _roots(block, L, size, alpha, beta, k)
            np.divide(block, root, out=flat[a:b])

    split(len(x), work, (6 + size) * x.nbytes / BYTES_PER_SECOND)
    return y


@kernel("local_response_norm_backward", backend="cpu")
def local_response_norm_backward(dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """As the reference; t is computed again."""
    if x.dtype.char not in "fd" or dy.dtype != x.dtype or not x.size:
        return NotImplemented
    dx = np.empty(x.shape, x.dtype)
    flat, L = dx.reshape(len(x), -1), x[0, 0].size

    def work(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, 7 * x[0].nbytes):
            block = x[a:b].reshape(b - a, -1)
            t, root = _roots(block, L, size, alpha, beta, k)
            direct = np.divide(dy[a:b].reshape(b - a, -1), root, out=root)
            np.divide(direct, t, out=t)
            through_t = _sums(t, block, L, (size - 1) // 2, size // 2)
            np.multiply(through_t, block, out=through_t)
            np.multiply(through_t, 2 * alpha * beta / size, out=through_t)
            np.subtract(direct, through_t, out=flat[a:b])

    split(len(x), work, (12 + 2 * size) * x.nbytes / BYTES_PER_SECOND)
    return dx


def _roots(x: Array, L: int, size: int, alpha: float, beta: float, k: float) -> tuple[Array, Array]:
    """`t` and `t^β`, by two square roots where β = 3/4: a power takes ten times as long."""
    t = _sums(x, x, L, size // 2, (size - 1) // 2)
    np.multiply(t, alpha / size, out=t)
    np.add(t, k, out=t)
    if beta != 0.75:
        return t, t**beta
    root = np.sqrt(t)
    return t, np.multiply(root, np.sqrt(root), out=root)


def _sums(x: Array, y: Array, L: int, before: int, behind: int) -> Array:
    """For each channel the sum of x·y over itself, the `before` channels before it and the `behind` behind it."""
    N, CL = x.shape
    start, end = before * L, before * L + CL
    padded = np.empty((N, end + behind * L), x.dtype)
    padded[:, :start], padded[:, end:] = 0, 0
    np.multiply(x, y, out=padded[:, start:end])
    if before + behind == 0:
        return padded
    sums = padded[:, :CL] + padded[:, L : L + CL]
    for shift in range(2, before + behind + 1):
        np.add(sums, padded[:, shift * L : shift * L + CL], out=sums)
    return sums
