"""Convolution by im2col: one matrix product per block and group."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, FLOPS, blas_ready, blocks_of
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Window

Array = np.ndarray


class Columns:
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
    if not blas_ready(x, weight) or not x.size:
        return NotImplemented
    N = len(x)
    K, Cg, R, S = weight.shape
    im2col = Columns(x, window)
    P, Q = im2col.P, im2col.Q
    filters = weight.reshape(groups, K // groups, Cg * R * S)
    y = np.empty((N, K, P, Q), x.dtype)

    def work(part: int, first: int, last: int) -> None:
        blocks = list(blocks_of(first, last, im2col.bytes_each))
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
    if not blas_ready(x, weight, dy) or not x.size:
        return NotImplemented
    N, C, H, W = x.shape
    K, Cg, R, S = weight.shape
    im2col = Columns(x, window)
    P, Q = im2col.P, im2col.Q
    CRS = Cg * R * S
    transposed = np.ascontiguousarray(weight.reshape(groups, K // groups, CRS).swapaxes(1, 2))
    dx = np.empty_like(x, order="C") if needs.x else None
    partial: dict[int, Array] = {}

    def work(part: int, first: int, last: int) -> None:
        blocks = list(blocks_of(first, last, im2col.bytes_each))
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
