"""Images at other sizes: each pixel is a pixel of x, or along each axis a blend of two neighbours."""

from __future__ import annotations

import functools
import operator
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape

Array = Any
Scales = tuple[float | None, ...]


@kernel("interpolate_forward")
def interpolate_forward(x: Array, size: Shape, scales: Scales, linear: bool, align_corners: bool) -> Array:
    """Along one axis after the other, `y[i] = Σ_t weight[t][i]·x[place[t][i]]`; see `blend`."""
    y = x
    for axis, (out, scale) in enumerate(zip(size, scales), start=-len(size)):
        entries = blend(x, x.shape[axis], out, scale, linear, align_corners)
        y = functools.reduce(operator.add, [_times(y[_at(axis, place)], weight, axis) for place, weight in entries])
    return y.astype(x.dtype, copy=False)


@kernel("interpolate_backward")
def interpolate_backward(dy: Array, shape: Shape, scales: Scales, linear: bool, align_corners: bool) -> Array:
    """Along one axis after the other, the last first, `dx[place[t][i]] += weight[t][i]·dy[i]`."""
    xp = namespace(dy)
    dx = dy.astype(accumulator(dy.dtype), copy=False)
    for axis, scale in reversed(list(enumerate(scales, start=-len(scales)))):
        wide = dx
        dx = xp.zeros((*wide.shape[:axis], *shape[axis:]), dtype=wide.dtype)
        for place, weight in blend(dy, shape[axis], dy.shape[axis], scale, linear, align_corners):
            xp.add.at(dx, _at(axis, place), _times(wide, weight, axis))
    return dx.astype(dy.dtype, copy=False)


def blend(
    like: Array, size: int, out: int, scale: float | None, linear: bool, align_corners: bool
) -> list[tuple[Array, Array | None]]:
    """What each of `out` pixels in a row is made of, among `size`: places and weights (None is 1).

    The left and right edge of the row stay in place, or with `align_corners` the centres of its first and last pixel.
    Places are computed in the formats in which PyTorch does it, so that they are rounded to the same pixels.
    """
    xp = namespace(like)
    i = xp.arange(out, dtype="float64" if like.dtype == "float64" else "float32")
    step = 1 / scale if scale else size / out
    if not linear:
        place = (i * step).astype("float32")
    elif align_corners or size == out:  # with any scale_factor that changes no size, as in PyTorch
        place = i * ((size - 1) / (out - 1) if out > 1 else 0.0)
    else:
        place = xp.maximum((i + 0.5) * step - 0.5, 0)
    low = xp.minimum(xp.floor(place).astype("int64"), size - 1)
    if not linear:
        return [(low, None)]
    share = xp.clip(place - low, 0, 1).astype(i.dtype)  # of the next pixel
    return [(low, 1 - share), (xp.minimum(low + 1, size - 1), share)]


def _at(axis: int, place: Array) -> Any:
    return (..., place, *[slice(None)] * (-1 - axis))


def _times(x: Array, weight: Array | None, axis: int) -> Array:
    return x if weight is None else x * weight.reshape(-1, *[1] * (-1 - axis))
