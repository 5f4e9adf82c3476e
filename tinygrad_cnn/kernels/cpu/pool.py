"""Pooling by whole slices, a block of images at a time."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, blocks_of
from tinygrad_cnn.kernels.reference.pool import covering, first_inside
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray


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
        for a, b in blocks_of(first, last, 2 * x[0].nbytes):
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
        for a, b in blocks_of(first, last, 2 * dx[0].nbytes):
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
