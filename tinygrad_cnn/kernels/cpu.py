"""Fast NumPy: the batch in blocks that stay in the cache, split over threads; the same numbers as the reference.

A kernel that cannot take its arguments (float16, mixed formats, …) returns NotImplemented, and the reference does it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_cnn.kernels.reference.pool import covering, first_inside
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.random import philox
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray

# Bytes of work space in flight per thread: about the second-level cache of one core.
BLOCK_BYTES = 1 << 20
# Rough speeds of one core, only to decide whether handing work to a thread pays.
FLOPS = 5e10
BYTES_PER_SECOND = 3e10


def _blocks(first: int, last: int, bytes_each: int) -> Iterator[tuple[int, int]]:
    """Samples first … last − 1 in blocks of about BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // max(bytes_each, 1))
    for start in range(first, last, step):
        yield start, min(start + step, last)


def _blas_ready(*arrays: Array) -> bool:
    return all(a.dtype == arrays[0].dtype for a in arrays) and arrays[0].dtype.char in "fd"


class _Columns:
    """im2col of a block of samples at a time: (n, C, H, W) → (C·R·S, n·P·Q) in one strided copy."""

    def __init__(self, x: Array, window: Window) -> None:
        N, C, H, W = x.shape
        self.x, self.window = x, window
        self.P, self.Q = window.out(H, W)
        self.plain = len(window) == 1 and window.stride == (1, 1) and not any(map(any, window.pads))
        self.rows = C * len(window)
        self.bytes_each = self.rows * self.P * self.Q * x.itemsize
        (top, bottom), (left, right) = window.pads
        self.padded_shape = (C, H + top + bottom, W + left + right)
        self.inside = (slice(None), slice(None), slice(top, top + H), slice(left, left + W))

    def space(self, n: int) -> tuple[Array, Array]:
        """Work space for blocks of up to n samples: the columns, and the padded images with their zero border."""
        columns = np.empty(n * self.rows * self.P * self.Q, self.x.dtype)
        padded = np.empty((n, *self.padded_shape), self.x.dtype)
        padded.fill(0)  # np.zeros of this size would be new pages of the system every time, and slower
        return columns, padded

    def __call__(self, first: int, last: int, space: tuple[Array, Array]) -> Array:
        x, window, n = self.x[first:last], self.window, last - first
        C, (R, S), P, Q = x.shape[1], window.kernel, self.P, self.Q
        columns = space[0][: n * self.rows * P * Q].reshape(C, R, S, n, P, Q)
        padded = x
        if any(map(any, window.pads)):
            padded = space[1][:n]
            padded[self.inside] = x
        samples, channels, rows, cols = padded.strides
        (sy, sx), (dy, dx) = window.stride, window.dilation
        strides = (channels, rows * dy, cols * dx, samples, rows * sy, cols * sx)
        np.copyto(columns, as_strided(padded, columns.shape, strides, writeable=False))
        return columns.reshape(self.rows, n * P * Q)


@kernel("conv2d_forward", backend="cpu")
def conv2d_forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """im2col by blocks: one matrix product per block and group."""
    if not _blas_ready(x, weight) or not x.size:
        return NotImplemented
    N = len(x)
    K, Cg, R, S = weight.shape
    im2col = _Columns(x, window)
    P, Q = im2col.P, im2col.Q
    filters = weight.reshape(groups, K // groups, Cg * R * S)
    y = np.empty((N, K, P, Q), x.dtype)

    def work(part: int, first: int, last: int) -> None:
        blocks = list(_blocks(first, last, im2col.bytes_each))
        largest = blocks[0][1] - blocks[0][0]
        space = im2col.space(largest)
        product = np.empty(largest * K * P * Q, x.dtype)
        for a, b in blocks:
            columns = im2col(a, b, space).reshape(groups, Cg * R * S, -1)
            out = product[: (b - a) * K * P * Q].reshape(groups, K // groups, -1)
            np.matmul(filters, columns, out=out)
            images = out.reshape(K, b - a, P, Q).swapaxes(0, 1)  # (K,n,P,Q) -> (n,K,P,Q)
            if bias is None:
                y[a:b] = images
            else:
                np.add(images, bias[:, None, None], out=y[a:b])

    split(N, work, 2 * y.size * Cg * R * S / FLOPS + N * im2col.bytes_each / BYTES_PER_SECOND)
    return y


@kernel("conv2d_backward", backend="cpu")
def conv2d_backward(
    dy: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array | None, ...]:
    """The columns again for the weights, col2im for the input; every thread sums its own weight gradient."""
    if not _blas_ready(x, weight, dy) or not x.size:
        return NotImplemented
    N, C, H, W = x.shape
    K, Cg, R, S = weight.shape
    im2col = _Columns(x, window)
    P, Q = im2col.P, im2col.Q
    CRS = Cg * R * S
    transposed = np.ascontiguousarray(weight.reshape(groups, K // groups, CRS).swapaxes(1, 2))
    dx = np.empty_like(x, order="C") if needs.x else None
    partial: dict[int, Array] = {}

    def work(part: int, first: int, last: int) -> None:
        blocks = list(_blocks(first, last, im2col.bytes_each))
        largest = blocks[0][1] - blocks[0][0]
        space = im2col.space(largest)
        dyk = np.empty(largest * K * P * Q, x.dtype)
        total = np.zeros((groups, K // groups, CRS), x.dtype)
        dimages = np.empty((C, largest, *im2col.padded_shape[1:]), x.dtype)
        for a, b in blocks:
            n = b - a
            grouped = dyk[: n * K * P * Q].reshape(groups, K // groups, -1)
            np.copyto(grouped.reshape(K, n, P, Q), dy[a:b].swapaxes(0, 1))  # (n,K,P,Q) -> (K,n,P,Q)
            if needs.weight:
                columns = im2col(a, b, space).reshape(groups, CRS, -1)
                total += np.matmul(grouped, columns.swapaxes(1, 2))
            if dx is not None:
                dcolumns = space[0][: n * im2col.rows * P * Q].reshape(groups, CRS, -1)
                np.matmul(transposed, grouped, out=dcolumns)
                dcolumns = dcolumns.reshape(C, R, S, n, P, Q)
                dpadded = dimages[:, :n]
                dpadded.fill(0)
                for (r, s), (rows, cols) in window.taps(P, Q):
                    dpadded[:, :, rows, cols] += dcolumns[:, r, s]
                dx[a:b] = dpadded.swapaxes(0, 1)[im2col.inside]  # (C,n,H,W) -> (n,C,H,W)
        partial[part] = total

    products = (needs.x + needs.weight) * 2 * dy.size * CRS
    parts = split(N, work, products / FLOPS + N * im2col.bytes_each / BYTES_PER_SECOND)
    dweight = None
    if needs.weight:
        dweight = sum((partial[part] for part in range(1, parts)), start=partial[0]).reshape(weight.shape)
    dbias = dy.sum(axis=(2, 3)).sum(axis=0) if needs.bias else None
    return dx, dweight, dbias


@kernel("linear_forward", backend="cpu")
def linear_forward(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Samples split over threads."""
    if not _blas_ready(x, weight) or not x.size:
        return NotImplemented
    D, F = weight.shape
    rows = x.reshape(-1, F)
    y = np.empty((len(rows), D), x.dtype)

    def work(part: int, first: int, last: int) -> None:
        np.matmul(rows[first:last], weight.T, out=y[first:last])
        if bias is not None:
            y[first:last] += bias

    split(len(rows), work, 2 * rows.size * D / FLOPS)
    return y.reshape(*x.shape[:-1], D)


@kernel("linear_backward", backend="cpu")
def linear_backward(dy: Array, x: Array, weight: Array, needs: Any) -> tuple[Array | None, ...]:
    """Split by samples for dx, by output features for dweight, so that no partial sums have to be added."""
    if not _blas_ready(x, weight, dy) or not x.size or not dy.size:
        return NotImplemented
    D, F = weight.shape
    dy_rows, x_rows = dy.reshape(-1, D), x.reshape(-1, F)
    dx = np.empty_like(x_rows, order="C") if needs.x else None
    dweight = np.empty_like(weight, order="C") if needs.weight else None
    seconds = 2 * x_rows.size * D / FLOPS
    if dx is not None:
        split(len(dx), lambda part, a, b: np.matmul(dy_rows[a:b], weight, out=dx[a:b]), seconds)
    if dweight is not None:
        split(D, lambda part, a, b: np.matmul(dy_rows[:, a:b].T, x_rows, out=dweight[a:b]), seconds)
    dbias = dy_rows.sum(axis=0) if needs.bias else None
    return None if dx is None else dx.reshape(x.shape), dweight, dbias


@kernel("max_pool2d_forward", backend="cpu")
def max_pool2d_forward(x: Array, window: Window) -> tuple[Array, Array]:
    """Maxima of whole slices; the number of the winning tap is how many taps before it are all unlike it."""
    if x.dtype.kind != "f" or not x.size or len(window) > 256:
        return NotImplemented
    N, _, *sizes = x.shape
    P, Q = window.out(*sizes)
    pads = covering(window, tuple(sizes), (P, Q))
    padding = any(map(any, pads))
    y = np.empty((*x.shape[:2], P, Q), x.dtype)
    index = np.empty(y.shape, np.uint8)
    taps = list(window.taps(P, Q))
    border = ((0, 0), (0, 0), *pads)
    inside = first_inside(np, window, tuple(sizes), (P, Q)).astype(np.uint8)
    unlike_itself: list[int] = []

    def work(part: int, first: int, last: int) -> None:
        for a, b in _blocks(first, last, 2 * x[0].nbytes):
            image = np.pad(x[a:b], border, constant_values=-np.inf) if padding else x[a:b]
            slices = [image[:, :, rows, cols] for _, (rows, cols) in taps]
            out, number = y[a:b], index[a:b]
            np.copyto(out, slices[0])
            for tap in slices[1:]:
                np.maximum(out, tap, out=out)
            if np.isnan(out.max()):
                unlike_itself.append(part)
                return
            unlike = np.not_equal(slices[0], out)
            np.copyto(number, unlike)
            differs = np.empty_like(unlike)
            for tap in slices[1:-1]:
                np.not_equal(tap, out, out=differs)
                np.logical_and(unlike, differs, out=unlike)
                np.add(number, unlike.view(np.uint8), out=number)
            if padding:  # where all is −∞, a tap outside the image must not win
                np.copyto(number, inside, where=out == -np.inf)

    split(N, work, 6 * len(taps) * y.nbytes / BYTES_PER_SECOND)
    return NotImplemented if unlike_itself else (y, index)  # the reference knows what to do with NaN


@kernel("max_pool2d_backward", backend="cpu")
def max_pool2d_backward(dy: Array, index: Array, shape: Shape, window: Window) -> Array:
    """As the reference, by blocks; windows that do not overlap write instead of adding."""
    N, C, *sizes = shape
    if not dy.size or not np.isfinite(dy).all():  # 0·∞ would be NaN
        return NotImplemented
    pads = covering(window, tuple(sizes), dy.shape[2:])
    padded_sizes = tuple(n + before + behind for n, (before, behind) in zip(sizes, pads))
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(sizes, pads))
    apart = all(span <= stride for span, stride in zip(window.spans, window.stride))
    dx = np.empty(shape, dy.dtype)
    taps = list(window.taps(*dy.shape[2:]))

    def work(part: int, first: int, last: int) -> None:
        for a, b in _blocks(first, last, 2 * dx[0].nbytes):
            padded = dx[a:b] if padded_sizes == tuple(sizes) else np.empty((b - a, C, *padded_sizes), dy.dtype)
            padded.fill(0)
            equal = np.empty(dy[a:b].shape, bool)
            share = np.empty(dy[a:b].shape, dy.dtype)
            for number, (_, (rows, cols)) in enumerate(taps):
                np.equal(index[a:b], number, out=equal)
                pixels = padded[:, :, rows, cols]
                if apart:
                    np.multiply(dy[a:b], equal, out=pixels)
                else:
                    np.multiply(dy[a:b], equal, out=share)
                    np.add(pixels, share, out=pixels)
            if padded.shape[2:] != dx.shape[2:]:
                dx[a:b] = padded[:, :, inside[0], inside[1]]

    split(N, work, 6 * dx.nbytes / BYTES_PER_SECOND)
    return dx


@kernel("relu_forward", backend="cpu")
def relu_forward(x: Array) -> tuple[Array, Array]:
    """Against an array of zeros: NumPy's maximum with a number takes a slower path."""
    if x.dtype.kind != "f" or x.ndim < 2 or not x.size:
        return NotImplemented
    y, mask = np.empty_like(x), np.empty_like(x, dtype=bool)

    def work(part: int, first: int, last: int) -> None:
        for a, b in _blocks(first, last, 4 * x[0].nbytes):
            zeros = np.zeros(x[a:b].shape, x.dtype)
            np.maximum(x[a:b], zeros, out=y[a:b])
            np.greater(x[a:b], zeros, out=mask[a:b])

    split(len(x), work, 3 * x.nbytes / BYTES_PER_SECOND)
    return y, mask


@kernel("relu_backward", backend="cpu")
def relu_backward(dy: Array, mask: Array) -> Array:
    """By a product, ten times as fast as `where`; unless 0·∞ makes NaN of it."""
    with np.errstate(invalid="ignore", over="ignore"):
        dx = dy * mask
        return NotImplemented if np.isnan(dx.sum()) else dx


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
