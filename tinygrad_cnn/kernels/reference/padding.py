"""Padding: around x a border of one value, or of its own entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape

Array = Any
Pads = tuple[tuple[int, int], ...]


@kernel("pad_forward")
def pad(x: Array, pads: Pads, value: float = 0) -> Array:
    """Add `pads` (before, behind) pixels of `value` around the last axes of x."""
    if not any(map(any, pads)):
        return x
    xp = namespace(x)
    inner = x.shape[-len(pads) :]
    shape = x.shape[: -len(pads)] + tuple(n + before + behind for n, (before, behind) in zip(inner, pads))
    padded = xp.full(shape, value, dtype=x.dtype)
    padded[(..., *(slice(before, before + n) for n, (before, _) in zip(inner, pads)))] = x
    return padded


@kernel("unpad")
def unpad(x: Array, pads: Pads) -> Array:
    """Cut `pads` pixels off the last axes of x: the way back of `pad`."""
    sizes = x.shape[-len(pads) :]
    return x[(..., *(slice(before, n - behind) for n, (before, behind) in zip(sizes, pads)))]


@kernel("extend_forward")
def extend_forward(x: Array, pads: Pads, mode: str) -> Array:
    """Surround x with its own entries: reflect `cb|abc|ba`, replicate `aa|abc|cc`, circular `bc|abc|ab`.

    One axis after the other, so that a corner is the border of a border.
    """
    xp = namespace(x)
    y = pad(x, pads)
    for axis, border, source in _borders(y.shape, pads, mode):
        y[border] = xp.flip(y[source], axis) if mode == "reflect" else y[source]
    return y


@kernel("extend_backward")
def extend_backward(dy: Array, pads: Pads, mode: str) -> Array:
    """Every border hands its gradient to the entries it repeats, the last axis first."""
    xp = namespace(dy)
    total = dy.astype(accumulator(dy.dtype))
    for axis, border, source in reversed(list(_borders(dy.shape, pads, mode))):
        share = total[border]
        if mode == "reflect":
            share = xp.flip(share, axis)
        elif mode == "replicate":
            share = share.sum(axis=axis, keepdims=True)
        total[source] += share
    return unpad(total, pads).astype(dy.dtype, copy=False)


def _borders(padded: Shape, pads: Pads, mode: str) -> Iterator[tuple[int, Any, Any]]:
    """(axis, the entries of a border, the entries it repeats), as places in the padded array."""
    for axis, (before, behind) in enumerate(pads, start=-len(pads)):
        end = padded[axis] - behind  # x lies in before … end
        sources = {
            "reflect": ((before + 1, 2 * before + 1), (end - 1 - behind, end - 1)),
            "replicate": ((before, before + 1), (end - 1, end)),
            "circular": ((end - before, end), (before, before + behind)),
        }[mode]
        for border, source in zip(((0, before), (end, end + behind)), sources):
            if border[0] < border[1]:
                rest = [slice(None)] * (-1 - axis)
                yield axis, (..., slice(*border), *rest), (..., slice(*source), *rest)
