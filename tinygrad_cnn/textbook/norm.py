"""Normalisation of images (N, C, H, W): by the statistics of a channel, or by the neighbouring channels."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def batch_norm_forward(
    x: Array,
    weight: Array,
    bias: Array,
    running_mean: Array,
    running_var: Array,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Array, Array, Array]:
    """Bring each channel to mean 0 and variance 1, then scale it by weight and shift it by bias.

    Formula: `y = weight·(x − mean)/√(var + eps) + bias`. In training mean and var are those of the batch, over the m =
    N·H·W numbers of a channel, `mean = Σx/m` and `var = Σ(x − mean)²/m`, and the running statistics learn from them:
    `running_mean ← (1 − momentum)·running_mean + momentum·mean`, likewise running_var from the unbiased variance
    `var·m/(m − 1)`. Otherwise mean and var are the running ones, which stay as they are.

    Args:
        x: (N, C, H, W) images.
        weight: (C,), the scale of each channel.
        bias: (C,), the shift of each channel.
        running_mean: (C,), changed in place in training.
        running_var: (C,), changed in place in training.
        training: True: statistics of this batch. False: the running ones.
        momentum: How much of this batch's statistics enters the running ones, 0 to 1.
        eps: Added to the variance, against division by zero.

    Returns:
        y, (N, C, H, W), in the format of x.
        mean, (C,), the one that was subtracted.
        var, (C,), the one that was divided by.

    Source: Ioffe & Szegedy 2015, "Batch normalization", algorithms 1 and 2.

    >>> x = np.array([[[[1.0, 3.0]]], [[[5.0, 7.0]]]])   # two images, one channel: mean 4, variance (9 + 1 + 1 + 9)/4
    >>> running_mean, running_var = np.array([0.0]), np.array([1.0])
    >>> y, mean, var = batch_norm_forward(
    ...     x, np.array([2.0]), np.array([0.5]), running_mean, running_var, training=True, momentum=0.5, eps=4.0)
    >>> mean, var, y.ravel()   # y = 2·(x − 4)/√(5 + 4) + 0.5
    (array([4.]), array([5.]), array([-1.5       , -0.16666667,  1.16666667,  2.5       ]))
    >>> running_mean   # half of 0 and half of 4
    array([2.])
    """
    N, C, H, W = x.shape
    if training:
        m = N * H * W
        mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * var * m / (m - 1)
    else:
        mean, var = running_mean.copy(), running_var.copy()
    std = np.sqrt(var + eps)
    normalised = (x - mean.reshape(1, C, 1, 1)) / std.reshape(1, C, 1, 1)
    y = weight.reshape(1, C, 1, 1) * normalised + bias.reshape(1, C, 1, 1)
    return y, mean, var


def batch_norm_backward(
    dy: Array, x: Array, weight: Array, mean: Array, var: Array, eps: float
) -> tuple[Array, Array, Array]:
    """The way back through `batch_norm_forward` in training: x acts directly, through mean and through var.

    Formula: `dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))/σ`, `dweight = Σ dy·x̂`, `dbias = Σ dy`, with `x̂ = (x − mean)/σ`,
    `σ = √(var + eps)` and `dx̂ = dy·weight`; sums and means are over the N·H·W numbers of a channel.

    Args:
        dy: (N, C, H, W), the gradient that arrives.
        x: (N, C, H, W), the images.
        weight: (C,).
        mean: (C,), the mean of each channel of x.
        var: (C,), its variance, both as `batch_norm_forward` returns them.
        eps: As it was in forward.

    Returns:
        dx, (N, C, H, W), in the format of dy.
        dweight, (C,).
        dbias, (C,).

    Source: Ioffe & Szegedy 2015, "Batch normalization", section 3.

    >>> x, dy = np.array([[[[-1.0, 1.0, -1.0, 1.0]]]]), np.array([[[[4.0, 0.0, 0.0, 0.0]]]])
    >>> dx, dweight, dbias = batch_norm_backward(
    ...     dy, x, np.array([1.0]), mean=np.array([0.0]), var=np.array([1.0]), eps=0.0)
    >>> dx   # dy − 1 − x·(−1)
    array([[[[ 2.,  0., -2.,  0.]]]])
    >>> dweight, dbias
    (array([-4.]), array([4.]))
    """
    N, C, H, W = x.shape
    std = np.sqrt(var + eps).reshape(1, C, 1, 1)
    normalised = (x - mean.reshape(1, C, 1, 1)) / std
    dweight = (dy * normalised).sum(axis=(0, 2, 3))
    dbias = dy.sum(axis=(0, 2, 3))
    dnormalised = dy * weight.reshape(1, C, 1, 1)
    through_mean = dnormalised.mean(axis=(0, 2, 3), keepdims=True)
    through_var = normalised * (dnormalised * normalised).mean(axis=(0, 2, 3), keepdims=True)
    dx = (dnormalised - through_mean - through_var) / std
    return dx, dweight, dbias


def local_response_norm_forward(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """Divide each number by a power of the squares around it: a strong channel holds its neighbours down.

    Formula: `y_c = x_c·t_c^(−beta)` with `t_c = k + alpha/size·Σ x_j²`, the sum over the channels j from `c − ⌊size/2⌋`
    to `c + ⌊(size − 1)/2⌋` at the same pixel; those before the first and behind the last count as 0.

    Args:
        x: (N, C, H, W) images.
        size: How many channels count.
        alpha: How much their mean square counts.
        beta: The exponent.
        k: The number it is added to.

    Returns:
        y, (N, C, H, W), in the format of x.

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 3.3 (there without the division by size).

    >>> x = np.array([[[[2.0]], [[4.0]]]])   # one pixel, two channels: t = 1 + (0 + 4)/2, then 1 + (4 + 16)/2
    >>> local_response_norm_forward(x, size=2, alpha=1.0, beta=1.0, k=1.0).ravel()   # 2/3, 4/11
    array([0.66666667, 0.36363636])
    """
    N, C, H, W = x.shape
    y = np.zeros((N, C, H, W), dtype=x.dtype)
    for c in range(C):
        first, last = max(0, c - size // 2), min(C - 1, c + (size - 1) // 2)
        near = x[:, first : last + 1]
        t = k + alpha / size * (near**2).sum(axis=1)
        y[:, c] = x[:, c] * t**-beta
    return y


def local_response_norm_backward(dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """The way back: channel c acts on its own output, and through t on all outputs in whose sums it is.

    Formula: `dx_c += dy_c·t_c^(−beta)`, and with `dt_c = dy_c·x_c·(−beta)·t_c^(−beta−1)` for all channels j in the sum
    of t_c: `dx_j += dt_c·alpha/size·2·x_j`.

    Args:
        dy: (N, C, H, W), the gradient that arrives.
        x: (N, C, H, W), the images.
        size: How many channels count.
        alpha: How much their mean square counts.
        beta: The exponent.
        k: The number it is added to.

    Returns:
        dx, (N, C, H, W), in the format of dy.

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 3.3, differentiated.

    >>> x, dy = np.array([[[[1.0]], [[1.0]]]]), np.array([[[[0.0]], [[9.0]]]])   # t of the second channel: 1 + 1 + 1
    >>> local_response_norm_backward(dy, x, size=2, alpha=2.0, beta=1.0, k=1.0).ravel()   # dt = −9/9; 9/3 − 1·2
    array([-2.,  1.])
    """
    N, C, H, W = x.shape
    dx = np.zeros((N, C, H, W), dtype=dy.dtype)
    for c in range(C):
        first, last = max(0, c - size // 2), min(C - 1, c + (size - 1) // 2)
        near = x[:, first : last + 1]
        t = k + alpha / size * (near**2).sum(axis=1)
        dt = dy[:, c] * x[:, c] * -beta * t ** (-beta - 1)
        dx[:, c] += dy[:, c] * t**-beta
        dx[:, first : last + 1] += dt.reshape(N, 1, H, W) * alpha / size * 2 * near
    return dx
