"""Pooling by whole slices, a block of samples at a time."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, blocks_of
from tinygrad_cnn.kernels.reference.padding import pad
from tinygrad_cnn.kernels.reference.pool import covering, first_inside
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray


class Taps:
    """Where the taps of a window find their pixels in a block of samples, and the padding these need."""

    def __init__(self, window: Window, sizes: Shape) -> None:
        self.window, self.out = window, window.outs(sizes)
        self.pads = covering(window, sizes)
        self.padding = any(map(any, self.pads))
        self.padded = tuple(n + before + behind for n, (before, behind) in zip(sizes, self.pads))
        self.inside: Any = (..., *(slice(before, before + n) for n, (before, _) in zip(sizes, self.pads)))
        self.apart = all(span <= stride for span, stride in zip(window.spans, window.stride))
        self.single = len(window) == math.prod(self.padded)  # one window that is the whole image

    @functools.cached_property
    def pixels(self) -> list[Any]:
        """For each tap, an index of the pixels it meets."""
        return [(..., *pixels) for _, pixels in self.window.taps(*self.out)]


@functools.lru_cache(maxsize=256)
def taps_of(window: Window, sizes: Shape) -> Taps:
    """`Taps(...)`, remembered: a training step asks for the same few again and again."""
    return Taps(window, sizes)


@kernel("max_pool1d_forward", backend="cpu")
@kernel("max_pool2d_forward", backend="cpu")
@kernel("max_pool3d_forward", backend="cpu")
def max_pool_forward(x: Array, window: Window) -> tuple[Array, Array]:
    """Maxima of whole slices, by blocks."""
    N, C, *sizes = x.shape
    taps = taps_of(window, tuple(sizes))
    if x.dtype.kind != "f" or not x.size:
        return NotImplemented
    y = np.empty((N, C, *taps.out), x.dtype)
    index = np.empty(y.shape, np.uint8 if len(window) <= 256 else np.int32)
    inside = first_inside(np, window, sizes).astype(index.dtype) if taps.padding else None
    find = largest_of_all if taps.single else largest_of_taps
    unlike_itself: list[int] = []

    def work(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, 2 * x[0].nbytes):
            out, number = y[a:b], index[a:b]
            find(pad(x[a:b], taps.pads, -np.inf), taps, out, number)
            if np.isnan(out.max()):
                unlike_itself.append(part)
                return
            if inside is not None:  # where all is −∞, a tap outside the image must not win
                np.copyto(number, inside, where=out == -np.inf)

    split(N, work, 6 * len(window) * y.nbytes / BYTES_PER_SECOND)
    return NotImplemented if unlike_itself else (y, index)  # the reference knows what to do with NaN


def largest_of_taps(image: Array, taps: Taps, out: Array, number: Array) -> None:
    """Maxima of whole slices; the number of the winning tap is how many taps before it are all unlike it."""
    slices = [image[pixels] for pixels in taps.pixels]
    np.copyto(out, slices[0])
    for tap in slices[1:]:
        np.maximum(out, tap, out=out)
    unlike = np.not_equal(slices[0], out)
    np.copyto(number, unlike)
    differs = np.empty_like(unlike)
    for tap in slices[1:-1]:
        np.not_equal(tap, out, out=differs)
        np.logical_and(unlike, differs, out=unlike)
        np.add(number, unlike.view(np.uint8), out=number)


def largest_of_all(image: Array, taps: Taps, out: Array, number: Array) -> None:
    """The largest of a window that is the whole image."""
    flat = image.reshape(*image.shape[:2], -1)
    winner = flat.argmax(axis=2)[..., None]
    out[...] = np.take_along_axis(flat, winner, axis=2).reshape(out.shape)
    number[...] = winner.reshape(out.shape)


@kernel("max_pool1d_backward", backend="cpu")
@kernel("max_pool2d_backward", backend="cpu")
@kernel("max_pool3d_backward", backend="cpu")
def max_pool_backward(dy: Array, index: Array, shape: Shape, window: Window) -> Array:
    """As the reference, by blocks; windows that do not overlap write instead of adding."""
    if dy.dtype.char not in "fd" or not dy.size or not np.isfinite(dy).all():  # 0·∞ would be NaN
        return NotImplemented
    taps = taps_of(window, shape[2:])

    def give(dx: Array, a: int, b: int) -> None:
        if taps.single:
            flat = b - a, shape[1], -1
            np.put_along_axis(dx.reshape(flat), index[a:b].reshape(flat).astype(np.intp), dy[a:b].reshape(flat), axis=2)
            return
        equal = np.empty(dy[a:b].shape, bool)
        share = np.empty(dy[a:b].shape, dy.dtype)
        for number, pixels in enumerate(taps.pixels):
            np.equal(index[a:b], number, out=equal)
            if taps.apart:
                np.multiply(dy[a:b], equal, out=dx[pixels])
            else:
                np.multiply(dy[a:b], equal, out=share)
                add(dx[pixels], share)

    return spread(give, taps, shape, dy.dtype)


@kernel("avg_pool1d_forward", backend="cpu")
@kernel("avg_pool2d_forward", backend="cpu")
@kernel("avg_pool3d_forward", backend="cpu")
def avg_pool_forward(x: Array, window: Window, divisor: Any) -> Array:
    """Sums of whole slices."""
    return window_sums(x, window, lambda image: image, lambda sums: np.divide(sums, divisor, out=sums))


@kernel("avg_pool1d_backward", backend="cpu")
@kernel("avg_pool2d_backward", backend="cpu")
@kernel("avg_pool3d_backward", backend="cpu")
def avg_pool_backward(dy: Array, shape: Shape, window: Window, divisor: Any) -> Array:
    """As the reference, by blocks; windows that do not overlap write instead of adding."""
    if dy.dtype.char not in "fd" or not dy.size:
        return NotImplemented
    taps = taps_of(window, shape[2:])
    return spread(lambda dx, a, b: give_all(dx, taps, dy[a:b] / divisor), taps, shape, dy.dtype)


@kernel("lp_pool1d_forward", backend="cpu")
@kernel("lp_pool2d_forward", backend="cpu")
@kernel("lp_pool3d_forward", backend="cpu")
def lp_pool_forward(x: Array, window: Window, p: float, scale: Any) -> Array:
    """The powers first, then sums of whole slices, then the roots."""
    if p <= 0:
        return NotImplemented

    def root(sums: Array) -> None:
        if np.ndim(scale) or scale != 1:
            np.multiply(sums, scale, out=sums)
        if p == 2:
            np.sqrt(sums, out=sums)
        else:
            np.power(sums, 1 / p, out=sums)

    y = window_sums(x, window, lambda image: power(image, p), root)
    # an overflow: the reference takes the largest number out first
    return y if y is not NotImplemented and np.isfinite(y).all() else NotImplemented


@kernel("lp_pool1d_backward", backend="cpu")
@kernel("lp_pool2d_backward", backend="cpu")
@kernel("lp_pool3d_backward", backend="cpu")
def lp_pool_backward(dy: Array, x: Array, y: Array, window: Window, p: float, scale: Any) -> Array:
    """`dx = x^(p − 1)·Σ dy·scale·y^(1 − p)`: what the windows share, as for the mean, times a power of x."""
    if not x.dtype == y.dtype == dy.dtype or x.dtype.char not in "fd" or not dy.size:
        return NotImplemented
    taps = taps_of(window, x.shape[2:])
    overflow: list[int] = []

    def give(dx: Array, a: int, b: int) -> None:
        share = dy[a:b] * scale / power(y[a:b], p - 1)
        np.copyto(share, 0, where=y[a:b] == 0)
        give_all(dx, taps, share)
        image = dx[taps.inside]
        np.multiply(image, power(x[a:b], p - 1), out=image)
        if not np.isfinite(image.sum()):
            overflow.append(a)

    dx = spread(give, taps, x.shape, dy.dtype)
    return NotImplemented if overflow else dx


def power(x: Array, p: float) -> Array:
    """`xᵖ`; for p = 1 and 2 without the general way, which is slow."""
    return x if p == 1 else np.square(x) if p == 2 else np.power(x, p)


def window_sums(x: Array, window: Window, before: Callable[[Array], Array], after: Callable[[Array], Any]) -> Array:
    """`after(sums)` of the sums of `before(x)` over each window."""
    if x.dtype.char not in "fd" or not x.size:
        return NotImplemented
    N, C, *sizes = x.shape
    taps = taps_of(window, tuple(sizes))
    y = np.empty((N, C, *taps.out), x.dtype)

    def work(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, 2 * x[0].nbytes):
            image, out = pad(before(x[a:b]), taps.pads), y[a:b]
            if taps.single:
                np.sum(image, axis=tuple(range(2, x.ndim)), keepdims=True, out=out)
            else:
                np.copyto(out, image[taps.pixels[0]])
                for pixels in taps.pixels[1:]:
                    add(out, image[pixels])
            after(out)

    split(N, work, 3 * len(window) * y.nbytes / BYTES_PER_SECOND)
    return y


def spread(give: Callable[[Array, int, int], None], taps: Taps, shape: Shape, dtype: np.dtype) -> Array:
    """An image like x into which `give(dx, a, b)` puts the gradients of samples a … b − 1, dx being 0 and padded."""
    dx = np.empty(shape, dtype)

    def work(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, 2 * dx[0].nbytes):
            padded = np.empty((b - a, shape[1], *taps.padded), dtype) if taps.padding else dx[a:b]
            padded.fill(0)
            give(padded, a, b)
            if taps.padding:
                dx[a:b] = padded[taps.inside]

    split(shape[0], work, 6 * dx.nbytes / BYTES_PER_SECOND)
    return dx


def give_all(dx: Array, taps: Taps, share: Array) -> None:
    """The same share to all pixels of a window."""
    if taps.single:
        np.copyto(dx, share)
        return
    for pixels in taps.pixels:
        if taps.apart:
            np.copyto(dx[pixels], share)
        else:
            add(dx[pixels], share)


def add(pixels: Array, share: Array) -> None:
    """`pixels += share` of a view; written so, Python would also assign the view to itself."""
    np.add(pixels, share, out=pixels)
