"""Normalisation: numbers brought to mean 0 and variance 1."""

from __future__ import annotations

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.functional.arguments import present
from tinygrad_cnn.shapes import ShapeError


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel with mean 0 and variance 1, then scaled and shifted.

    Formula: `y = weight·(x − mean)/√(var + eps) + bias`. In training, mean and (biased) variance are the batch's, and
    `running = (1 − momentum)·running + momentum·batch` (with the unbiased variance); else they are the running ones.

    Args:
        input: x, (N, C) or (N, C, …).
        running_mean: (C,), changed in place in training.
        running_var: (C,), changed in place in training.
        weight: (C,).
        bias: (C,).
        training: Use, and remember, the statistics of this batch.
        momentum: How much of the batch's statistics enters the running ones.
        eps: Added to the variance, against division by zero.

    Raises:
        ShapeError: If the sizes do not agree, or there is only one value per channel to take statistics of.

    Source: Ioffe & Szegedy 2015, "Batch normalization", algorithms 1 and 2.

    >>> batch_norm(Tensor([[1.0], [3.0]]), training=True, eps=0.0).tolist()
    [[-1.0], [1.0]]
    """
    x = Tensor._as_tensor(input)
    per_channel = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, t in per_channel.items():
        if t is not None and (x.ndim < 2 or t.shape != x.shape[1:2]):
            raise ShapeError(
                f"batch_norm: {name} {t.shape} wants one entry per channel of x {x.shape}, (N, C) or (N, C, …)"
            )
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training it needs running_mean and running_var")
        return _normalise(x, running_mean, running_var, weight, bias, eps)
    m = x.numel() // x.shape[1] if x.ndim > 1 and x.shape[1] else 0
    if m == 1:
        raise ShapeError(
            f"batch_norm: x {x.shape} has one value per channel, whose variance is 0; use more samples, or model.eval()"
        )
    if weight is None and bias is not None:
        weight = Tensor([1.0], dtype=bias.dtype, device=x.backend).expand(bias.shape)
    y, mean, var = apply(ops.BatchNorm(eps), x, *present(weight, bias))
    for running, batch, correction in ((running_mean, mean, 1.0), (running_var, var, m / max(m - 1, 1))):
        if running is not None:
            with running.writing("batch_norm") as array:
                array *= 1 - momentum
                array += (momentum * (batch.data * correction)).astype(array.dtype, copy=False)
    return y


def _normalise(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Batch norm with fixed statistics is a scale and a shift per channel."""
    scale = (var + eps) ** -0.5 if weight is None else weight * (var + eps) ** -0.5
    shift = -mean * scale if bias is None else bias - mean * scale
    per_channel = (-1,) + (1,) * (x.ndim - 2)
    return (x * scale.reshape(per_channel) + shift.reshape(per_channel)).to(x.dtype)
