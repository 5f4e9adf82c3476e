"""Batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import init, parameter
from tinygrad_cnn.nn.arguments import whole
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.shapes import ShapeError


class _BatchNorm(Module):
    """What the batch norms share; they differ in the shapes they take."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    #: Numbers of axes → the shape in words.
    shapes: dict[int, str]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = C = whole(type(self).__name__, "num_features", num_features)
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        dtype = "float32" if dtype is None else dtype
        for name, use in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, parameter.zeros(C, device=device, dtype=dtype) if use else None)
        buffers = {
            "running_mean": np.zeros(C, dtype),
            "running_var": np.ones(C, dtype),
            "num_batches_tracked": np.zeros((), "int64"),
        }
        for name, values in buffers.items():
            self.register_buffer(name, Tensor(values, device=device) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget what was seen: mean 0, variance 1, no batch."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                init.constant_(buffer, value)

    def reset_parameters(self) -> None:
        """Forget what was seen and learned: weight 1, bias 0."""
        self.reset_running_stats()
        for parameter_, value in ((self.weight, 1), (self.bias, 0)):
            if parameter_ is not None:
                init.constant_(parameter_, value)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, each channel with mean 0 and variance 1, times weight, plus bias."""
        if x.ndim not in self.shapes:
            wanted = " or ".join(self.shapes.values())
            raise ShapeError(f"{type(self).__name__}: x has shape {x.shape}, it must be {wanted}")
        if x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: x has shape {x.shape}, axis 1 must be num_features={self.num_features}; make "
                f"the layer with num_features={x.shape[1]}"
            )
        counter = self.num_batches_tracked if self.training else None
        momentum = 0.0 if self.momentum is None else self.momentum
        if counter is not None and self.momentum is None:  # the mean of all batches counts each as much
            momentum = 1 / (counter.item() + 1)
        # in training the buffers are only written, in evaluation only read
        tracked = not self.training or self.track_running_stats
        y = F.batch_norm(
            x,
            self.running_mean if tracked else None,
            self.running_var if tracked else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )
        if counter is not None:
            with counter.backend.activate(), counter.writing(f"{type(self).__name__}.forward") as count:
                count += 1
        return y

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of vectors or sequences.

    Formula: `y = (x − μ)/√(σ² + eps)·weight + bias`, μ and σ² (biased) of each feature over the batch; after
    `eval()` the running means, `running = (1 − momentum)·running + momentum·(μ or unbiased σ²)`.

    Args:
        num_features: C, the size of axis 1.
        eps: Added to the variance, so that the root is never zero.
        momentum: How much of a new batch enters the running means; None: the plain mean of all batches.
        affine: Whether weight and bias are learned.
        track_running_stats: Whether running means are kept; otherwise `eval()` uses the batch, too.
        device: Where parameters and buffers live.
        dtype: Their number format, float32 by default.
        bias: Whether there is a bias, where affine.

    Attributes:
        weight: (C,), ones at first, or None.
        bias: (C,), zeros at first, or None.
        running_mean: (C,) buffer.
        running_var: (C,) buffer.
        num_batches_tracked: int64 buffer.

    Raises:
        ShapeError: If x is not (N, C) or (N, C, L).

    Source: Ioffe & Szegedy 2015, "Batch normalization", algorithms 1 and 2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> layer = nn.BatchNorm1d(1, eps=0.0)
    >>> layer(tcnn.tensor([[1.0], [3.0]])).tolist()   # mean 2, standard deviation 1
    [[-1.0], [1.0]]
    >>> round(layer.running_mean.item(), 4), round(layer.running_var.item(), 4)   # 0.1·2; 0.9·1 + 0.1·2
    (0.2, 1.1)
    """

    shapes = {2: "(N, C)", 3: "(N, C, L)"}  # noqa: RUF012


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: each channel over the batch and all its pixels.

    Formula: `y = (x − μ)/√(σ² + eps)·weight + bias`, μ and σ² (biased) over N, H and W.

    Args:
        num_features: C, the number of channels.
        eps: Added to the variance, so that the root is never zero.
        momentum: How much of a new batch enters the running means; None: the plain mean of all batches.
        affine: Whether weight and bias are learned.
        track_running_stats: Whether running means are kept; otherwise `eval()` uses the batch, too.
        device: Where parameters and buffers live.
        dtype: Their number format, float32 by default.
        bias: Whether there is a bias, where affine.

    Raises:
        ShapeError: If x is not (N, C, H, W).

    Source: Ioffe & Szegedy 2015, "Batch normalization", section 3.2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.BatchNorm2d(1, eps=0.0)(tcnn.tensor([[[[1.0, 3.0]]], [[[3.0, 1.0]]]])).tolist()
    [[[[-1.0, 1.0]]], [[[1.0, -1.0]]]]
    """

    shapes = {4: "(N, C, H, W)"}  # noqa: RUF012
