"""Normalisation: numbers brought to mean 0 and variance 1."""

from __future__ import annotations

import math

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.shapes import Ints, ShapeError


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
    x = _checked("batch_norm", input, running_mean, running_var, weight, bias)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training it needs running_mean and running_var")
        return _normalise(x, running_mean, running_var, weight, bias, eps)
    m = x.numel() // x.shape[1] if x.ndim > 1 and x.shape[1] else 0
    if m == 1:
        raise ShapeError(
            f"batch_norm: x {x.shape} has one value per channel, whose variance is 0; use more samples, or "
            "model.eval() to take the running statistics"
        )
    y, mean, var = apply(ops.BatchNorm(eps), x, weight, bias)
    _remember("batch_norm", m, momentum, (running_mean, mean), (running_var, var))
    return y


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample with mean 0 and variance 1, then scaled and shifted.

    Formula: `y = weight·(x − mean)/√(var + eps) + bias`, mean and (biased) variance over the positions; running
    statistics as in `batch_norm`, the mean of those of all samples.

    Args:
        input: x, (N, C, L), (N, C, H, W) or (N, C, Z, H, W).
        running_mean: (C,), changed in place if `use_input_stats`.
        running_var: (C,), changed in place if `use_input_stats`.
        weight: (C,).
        bias: (C,).
        use_input_stats: Statistics of this input; else the running ones.
        momentum: How much of the input's statistics enters the running ones.
        eps: Added to the variance, against division by zero.

    Raises:
        ShapeError: If the sizes do not agree, or there is only one value per channel to take statistics of.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, "Instance normalization: the missing ingredient for fast stylization".

    >>> instance_norm(Tensor([[[1.0, 3.0], [10.0, 30.0]]]), eps=0.0).tolist()
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    x = _checked("instance_norm", input, running_mean, running_var, weight, bias)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError("instance_norm: without use_input_stats it needs running_mean and running_var")
        return _normalise(x, running_mean, running_var, weight, bias, eps)
    m = math.prod(x.shape[2:])
    if m == 1:
        raise ShapeError(
            f"instance_norm: x {x.shape} has one value per channel and sample, whose variance is 0; it takes maps of "
            "several pixels, (N, C, L) or more dimensions; for vectors use layer_norm"
        )
    y, mean, var = apply(ops.InstanceNorm(eps), x, weight, bias)
    _remember("instance_norm", m, momentum, (running_mean, mean), (running_var, var))
    return y


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each group of channels of each sample with mean 0 and variance 1, then scaled and shifted.

    Formula: `y = weight·(x − mean)/√(var + eps) + bias`, mean and (biased) variance over the channels and positions of
    the group; weight and bias per channel. One group is layer norm of all but the batch, C groups are instance norm.

    Args:
        input: x, (N, C) or (N, C, …).
        num_groups: Number of groups; it divides C.
        weight: (C,).
        bias: (C,).
        eps: Added to the variance, against division by zero.

    Raises:
        ShapeError: If the sizes do not agree, the groups do not divide C, or there is one value per group.

    Source: Wu & He 2018, "Group normalization", section 3.

    >>> group_norm(Tensor([[1.0, 3.0, 10.0, 30.0]]), num_groups=2, eps=0.0).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    x = Tensor._as_tensor(input)
    x._needs_float("group_norm")
    if num_groups < 1:
        raise ShapeError(f"group_norm: num_groups={num_groups} must be at least 1")
    if x.ndim > 1 and x.numel() == num_groups:
        raise ShapeError(
            f"group_norm: x {x.shape} has one value per group of num_groups={num_groups}, whose variance is 0; use "
            "fewer groups"
        )
    return apply(ops.GroupNorm(eps, num_groups), x, weight, bias)[0]


def layer_norm(
    input: Tensor,
    normalized_shape: Ints,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each sample with mean 0 and variance 1 over its last dimensions, then scaled and shifted.

    Formula: `y = weight·(x − mean)/√(var + eps) + bias`, mean and (biased) variance over the last dimensions.

    Args:
        input: x, any leading dimensions and then `normalized_shape`.
        normalized_shape: The sizes of the last dimensions.
        weight: As large.
        bias: As large.
        eps: Added to the variance, against division by zero.

    Raises:
        ShapeError: If the sizes do not agree.

    Source: Ba, Kiros & Hinton 2016, "Layer normalization", section 3.

    >>> layer_norm(Tensor([[1.0, 3.0], [10.0, 30.0]]), (2,), eps=0.0).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    x = Tensor._as_tensor(input)
    x._needs_float("layer_norm")
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    return apply(ops.LayerNorm(eps, sizes), x, weight, bias)[0]


def _checked(operation: str, input: Tensor, *per_channel: Tensor | None) -> Tensor:
    """The input as a tensor of floats; running_mean, running_var, weight and bias have one entry per channel."""
    x = Tensor._as_tensor(input)
    x._needs_float(operation)
    for name, t in zip(("running_mean", "running_var", "weight", "bias"), per_channel):
        if t is not None and (x.ndim < 2 or t.shape != x.shape[1:2]):
            raise ShapeError(
                f"{operation}: {name} {t.shape} wants one entry per channel of x {x.shape}, (N, C) or (N, C, …)"
            )
    return x


def _remember(operation: str, m: int, momentum: float, *statistics: tuple[Tensor | None, Tensor]) -> None:
    """`running = (1 − momentum)·running + momentum·batch`, the variance unbiased, in the mean over the samples."""
    for (running, batch), correction in zip(statistics, (1.0, m / max(m - 1, 1))):
        if running is not None and m:  # what is empty leaves no trace
            with running.writing(operation) as array:
                of_channels = batch.data.reshape(-1, len(array)).mean(axis=0)
                array *= 1 - momentum
                array += (momentum * correction * of_channels).astype(array.dtype, copy=False)


def _normalise(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Batch norm with fixed statistics is a scale and a shift per channel."""
    scale = (var + eps) ** -0.5 if weight is None else weight * (var + eps) ** -0.5
    shift = -mean * scale if bias is None else bias - mean * scale
    per_channel = (-1,) + (1,) * (x.ndim - 2)
    return (x * scale.reshape(per_channel) + shift.reshape(per_channel)).to(x.dtype)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each number divided by a power of the squares around it: a strong channel holds its neighbours down.

    Formula: `y_c = x_c / (k + alpha/size·Σ x²)^beta`, the sum over the `size` channels around c at the same pixel:
    `size // 2` before it and `(size − 1) // 2` behind; beyond the first and last channel there is nothing.

    The paper does not divide by the size: its n = 5, α = 1e-4, β = 0.75, k = 2 are here `size=5, alpha=5e-4, k=2.0`.

    Args:
        input: x, (N, C, L) or (N, C, H, W), or with more dimensions behind.
        size: n, the number of channels that count.
        alpha: α, how much their mean square counts.
        beta: β, the exponent.
        k: The number they are added to.

    Raises:
        ShapeError: If x has fewer than 3 dimensions, or size is not positive.

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 3.3.

    >>> x = Tensor([[[[2.0]], [[4.0]]]])   # one pixel of two channels: k + (4 + 16)·1/2 = 10 for the second
    >>> local_response_norm(x, size=2, alpha=1.0, beta=1.0, k=0.0).flatten().tolist()
    [1.0, 0.4000000059604645]
    """
    if size < 1:
        raise ShapeError(f"local_response_norm: size={size} channels; it must be at least 1, the channel itself")
    x = Tensor._as_tensor(input)
    x._needs_float("local_response_norm")
    return apply(ops.LocalResponseNorm(size, float(alpha), float(beta), float(k)), x)
