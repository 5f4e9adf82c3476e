"""Normalisation: by the mean and spread of a channel, or by a pixel's neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape

Array = Any


@kernel("normalise_forward")
def normalise_forward(
    x: Array, weight: Array | None, bias: Array | None, axes: tuple[int, ...], eps: float
) -> tuple[Array, ...]:
    """`y = weight·x̂ + bias` with `x̂ = (x − mean)/√(var + eps)`, statistics over `axes`.

    Returns:
        y, mean, 1/√(var + eps), and the biased var; the statistics keep the axes, with size 1.
    """
    mean = _mean(x, axes)
    centred = x - mean
    var = _mean(centred * centred, axes)
    inverse_std = 1 / namespace(x).sqrt(var + eps)
    y = centred * inverse_std
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y.astype(x.dtype, copy=False), mean, inverse_std, var


@kernel("normalise_backward")
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
    """`dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))/σ` with `dx̂ = dy·weight`: mean and variance depend on every x.

    Args:
        dy: Like x.
        x: As it was normalised.
        mean: With the axes, of size 1.
        inverse_std: Likewise.
        weight: Like `beside`.
        axes: Over which the statistics went.
        beside: Shape of weight and bias beside x; they were repeated where it is 1.
        needs: Which of dx, dweight and dbias are wanted.

    Source: Ioffe & Szegedy 2015, "Batch normalization", section 3.
    """
    normalised = (x - mean) * inverse_std
    dy = dy.astype(normalised.dtype, copy=False)
    repeated = tuple(axis for axis, size in enumerate(beside) if size == 1)
    dweight = (dy * normalised).sum(axis=repeated, keepdims=True) if needs.weight else None
    dbias = dy.sum(axis=repeated, keepdims=True) if needs.bias else None
    dx = None
    if needs.x:
        dnormalised = dy if weight is None else dy * weight
        through_mean = _mean(dnormalised, axes)
        through_variance = normalised * _mean(dnormalised * normalised, axes)
        dx = (inverse_std * (dnormalised - through_mean - through_variance)).astype(x.dtype, copy=False)
    return dx, dweight, dbias


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    count = math.prod(x.shape[axis] for axis in axes)
    return x.sum(axis=axes, keepdims=True, dtype=accumulator(x.dtype)) / max(count, 1)


@kernel("local_response_norm_forward")
def local_response_norm_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """`y = x·t^(−β)` with `t_c = k + α/n·Σ x²`, the sum over `n = size` channels around c at the same pixel."""
    wide = x.astype(accumulator(x.dtype), copy=False)
    return (wide * _neighbourhood(wide, size, alpha, k) ** -beta).astype(x.dtype, copy=False)


@kernel("local_response_norm_backward")
def local_response_norm_backward(dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """`dx = dy·t^(−β) − 2αβ/n·x·Σ dy·x·t^(−β−1)`, the sum over the channels in whose sums x is, too.

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification", section 3.3, differentiated.
    """
    dy, wide = (a.astype(accumulator(x.dtype), copy=False) for a in (dy, x))
    t = _neighbourhood(wide, size, alpha, k)
    direct = dy * t**-beta
    through_t = channel_sums(direct * wide / t, (size - 1) // 2, size // 2)
    return (direct - (2 * alpha * beta / size) * wide * through_t).astype(x.dtype, copy=False)


def _neighbourhood(x: Array, size: int, alpha: float, k: float) -> Array:
    return k + alpha / size * channel_sums(x * x, size // 2, (size - 1) // 2)


def channel_sums(values: Array, before: int, behind: int) -> Array:
    """For each channel the sum over itself, the `before` channels before it and the `behind` behind it."""
    C = values.shape[1]
    sums = namespace(values).zeros_like(values)
    for shift in range(-min(before, C - 1), min(behind, C - 1) + 1):
        first, last = max(0, -shift), min(C, C - shift)
        sums[:, first:last] += values[:, first + shift : last + shift]
    return sums
