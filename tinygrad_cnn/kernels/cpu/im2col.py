"""Convolution by im2col: every window becomes a column, and one matrix product computes all outputs of a block.

For lines, volumes, and images too few to lie side by side (see `layout`); of batches of images, `tiles` and `winograd`
take over.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, FLOPS, blas_ready, blocks_of
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray


class Columns:
    """im2col of a block of samples at a time: (n, C, H, W) → (C·R·S, n·P·Q) in one strided copy, on any axes."""

    def __init__(self, x: Array, window: Window, out: Shape) -> None:
        _, C, *sizes = x.shape
        self.x, self.window, self.out = x, window, out
        self.pixels = math.prod(out)
        self.rows = C * len(window)
        self.bytes_each = self.rows * self.pixels * x.itemsize
        self.padded_shape = (C, *(n + before + behind for n, (before, behind) in zip(sizes, window.pads)))
        self.inside: Any = (..., *(slice(before, before + n) for n, (before, _) in zip(sizes, window.pads)))

    def space(self, n: int) -> tuple[Array, Array]:
        """Work space for blocks of up to n samples: the columns, and the padded images with their zero border."""
        columns = np.empty(n * self.rows * self.pixels, self.x.dtype)
        padded = np.empty((n, *self.padded_shape), self.x.dtype)
        padded.fill(0)  # np.zeros of this size would be new pages of the system every time, and slower
        return columns, padded

    def __call__(self, first: int, last: int, space: tuple[Array, Array]) -> Array:
        x, window, n = self.x[first:last], self.window, last - first
        columns = space[0][: n * self.rows * self.pixels].reshape(x.shape[1], *window.kernel, n, *self.out)
        padded = x
        if any(map(any, window.pads)):
            padded = space[1][:n]
            padded[self.inside] = x
        samples, channels, *axes = padded.strides
        taps = [stride * dilation for stride, dilation in zip(axes, window.dilation)]
        steps = [stride * step for stride, step in zip(axes, window.stride)]
        strides = (channels, *taps, samples, *steps)
        np.copyto(columns, as_strided(padded, columns.shape, strides, writeable=False))
        return columns.reshape(self.rows, n * self.pixels)


def forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """im2col by blocks: one matrix product per block and group."""
    if not blas_ready(x, weight) or not (x.size and weight.size):
        return NotImplemented
    N, _, *HW = x.shape
    K = len(weight)
    CRS = weight[0].size
    im2col = Columns(x, window, window.outs(HW))
    PQ = im2col.pixels
    filters = weight.reshape(groups, K // groups, CRS)
    y = np.empty((N, K, *im2col.out), x.dtype)
    y_flat = y.reshape(N, K, PQ)

    def work(part: int, first: int, last: int) -> None:
        blocks = list(blocks_of(first, last, im2col.bytes_each))
        largest = blocks[0][1] - blocks[0][0]
        space = im2col.space(largest)
        product = np.empty(largest * K * PQ, x.dtype)
        for a, b in blocks:
            columns = im2col(a, b, space).reshape(groups, CRS, -1)
            out = product[: (b - a) * K * PQ].reshape(groups, K // groups, -1)
            np.matmul(filters, columns, out=out)
            images = out.reshape(K, b - a, PQ).swapaxes(0, 1)  # (K,n,PQ) -> (n,K,PQ)
            if bias is None:
                y_flat[a:b] = images
            else:
                np.add(images, bias[:, None], out=y_flat[a:b])

    split(N, work, 2 * y.size * CRS / FLOPS + N * im2col.bytes_each / BYTES_PER_SECOND)
    return y


def backward(
    dy: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array | None, ...]:
    """The columns again for the weights, col2im for the input; every thread sums its own weight gradient."""
    if not blas_ready(x, weight, dy) or not (x.size and weight.size):
        return NotImplemented
    N, C = x.shape[:2]
    K = len(weight)
    CRS = weight[0].size
    im2col = Columns(x, window, dy.shape[2:])
    PQ = im2col.pixels
    transposed = np.ascontiguousarray(weight.reshape(groups, K // groups, CRS).swapaxes(1, 2))
    dx = np.empty_like(x, order="C") if needs.x else None
    partial: dict[int, Array] = {}

    def work(part: int, first: int, last: int) -> None:
        blocks = list(blocks_of(first, last, im2col.bytes_each))
        largest = blocks[0][1] - blocks[0][0]
        space = im2col.space(largest)
        dyk = np.empty(largest * K * PQ, x.dtype)
        total = np.zeros((groups, K // groups, CRS), x.dtype)
        dimages = np.empty((C, largest, *im2col.padded_shape[1:]), x.dtype)
        for a, b in blocks:
            n = b - a
            grouped = dyk[: n * K * PQ].reshape(groups, K // groups, -1)
            np.copyto(grouped.reshape(K, n, *im2col.out), dy[a:b].swapaxes(0, 1))  # (n,K,P,Q) -> (K,n,P,Q)
            if needs.weight:
                columns = im2col(a, b, space).reshape(groups, CRS, -1)
                total += np.matmul(grouped, columns.swapaxes(1, 2))
            if dx is not None:
                dcolumns: Any = space[0][: n * im2col.rows * PQ].reshape(groups, CRS, -1)
                np.matmul(transposed, grouped, out=dcolumns)
                dcolumns = dcolumns.reshape(C, *window.kernel, n, *im2col.out)
                dpadded: Any = dimages[:, :n]
                dpadded.fill(0)
                for tap, pixels in window.taps(*im2col.out):
                    dpadded[(..., *pixels)] += dcolumns[(slice(None), *tap)]
                dx[a:b] = dpadded.swapaxes(0, 1)[im2col.inside]  # (C,n,H,W) -> (n,C,H,W)
        partial[part] = total

    products = (needs.x + needs.weight) * 2 * dy.size * CRS
    parts = split(N, work, products / FLOPS + N * im2col.bytes_each / BYTES_PER_SECOND)
    dweight = None
    if needs.weight:
        dweight = sum((partial[part] for part in range(1, parts)), start=partial[0]).reshape(weight.shape)
    dbias = dy.sum(axis=tuple(range(2, dy.ndim))).sum(axis=0) if needs.bias else None
    return dx, dweight, dbias
