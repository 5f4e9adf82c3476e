"""Batch normalisation."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape

Array = Any


@kernel("batch_norm_forward")
def batch_norm_forward(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, ...]:
    """`y = weight·x̂ + bias` with `x̂ = (x − mean)/√(var + eps)`, statistics per channel (axis 1) over the rest.

    Returns:
        y, x̂, 1/√(var + eps), mean and the biased var; the statistics have shape (C,).
    """
    xp = namespace(x)
    axes, per_channel = _channel_axes(x)
    mean = x.mean(axis=axes, dtype=accumulator(x.dtype))
    centred = x - mean.reshape(per_channel)
    var = (centred * centred).mean(axis=axes)
    inverse_std = 1 / xp.sqrt(var + eps)
    normalised = (centred * inverse_std.reshape(per_channel)).astype(x.dtype, copy=False)
    y = normalised
    if weight is not None:
        y = y * weight.reshape(per_channel)
    if bias is not None:
        y = y + bias.reshape(per_channel)
    return y.astype(x.dtype, copy=False), normalised, inverse_std, mean, var


@kernel("batch_norm_backward")
def batch_norm_backward(
    dy: Array, normalised: Array, inverse_std: Array, weight: Array | None, needs: Any
) -> tuple[Array, ...]:
    """`dx = weight/σ · (dy − mean(dy) − x̂·mean(dy·x̂))`: mean and variance depend on every x.

    Source: Ioffe & Szegedy 2015, "Batch normalization", section 3.
    """
    axes, per_channel = _channel_axes(dy)
    m = dy.size // dy.shape[1]
    dbias = dy.sum(axis=axes, dtype=accumulator(dy.dtype))
    dweight = (dy * normalised).sum(axis=axes, dtype=accumulator(dy.dtype))
    dx = None
    if needs.x:
        scale = inverse_std if weight is None else inverse_std * weight
        through_mean = (dbias / m).reshape(per_channel)
        through_variance = normalised * (dweight / m).reshape(per_channel)
        dx = (scale.reshape(per_channel) * (dy - through_mean - through_variance)).astype(dy.dtype, copy=False)
    return dx, dweight if needs.weight else None, dbias if needs.bias else None


def _channel_axes(x: Array) -> tuple[Shape, Shape]:
    """All axes but the channels', and the shape in which (C,) stands beside x."""
    return (0, *range(2, x.ndim)), (1, x.shape[1]) + (1,) * (x.ndim - 2)
