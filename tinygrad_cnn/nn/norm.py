"""Normalisation layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import init, parameter
from tinygrad_cnn.nn.arguments import warn, whole
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.shapes import Ints, Shape, ShapeError


class _ChannelNorm(Module):
    """What batch and instance norm share: weight, bias and running statistics, one of each per channel."""

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
        _register_parameters(self, (C,), affine, bias, device, dtype)
        buffers = {
            "running_mean": np.zeros(C, dtype),
            "running_var": np.ones(C, dtype),
            "num_batches_tracked": np.zeros((), "int64"),
        }
        for name, values in buffers.items():
            self.register_buffer(name, Tensor(values, device=device) if track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Forget what was seen: mean 0, variance 1, no batch."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                init.constant_(buffer, value)

    def reset_parameters(self) -> None:
        """Forget what was seen and learned: weight 1, bias 0."""
        self.reset_running_stats()
        _reset_parameters(self)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample, unchanged.

        Raises:
            ShapeError: If it is no shape for this layer.
        """
        self._check((1, *shape))
        return shape

    def _check(self, shape: Shape) -> None:
        name = type(self).__name__
        if len(shape) not in self.shapes:
            wanted = " or ".join(self.shapes.values())
            raise ShapeError(f"{name}: x has shape {shape}, it must be {wanted}")
        if shape[1] != self.num_features:
            raise ShapeError(
                f"{name}: x has shape {shape}, axis 1 must be num_features={self.num_features}; make the layer with "
                f"num_features={shape[1]}"
            )

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


def _register_parameters(layer: Any, shape: Shape, affine: bool, bias: bool, device: Any, dtype: Any) -> None:
    """`weight` and `bias`, 1 and 0 at first, or None."""
    for name, use in (("weight", affine), ("bias", affine and bias)):
        layer.register_parameter(name, parameter.zeros(*shape, device=device, dtype=dtype) if use else None)
    _reset_parameters(layer)


def _reset_parameters(layer: Any) -> None:
    for parameter_, value in ((layer.weight, 1), (layer.bias, 0)):
        if parameter_ is not None:
            init.constant_(parameter_, value)


class _BatchNorm(_ChannelNorm):
    """What the batch norms share; they differ in the shapes they take."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, each channel with mean 0 and variance 1, times weight, plus bias."""
        self._check(x.shape)
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

    Attributes:
        weight: (C,), ones at first, or None.
        bias: (C,), zeros at first, or None.
        running_mean: (C,) buffer.
        running_var: (C,) buffer.
        num_batches_tracked: int64 buffer.

    Raises:
        ShapeError: If x is not (N, C, H, W).

    Source: Ioffe & Szegedy 2015, "Batch normalization", section 3.2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.BatchNorm2d(1, eps=0.0)(tcnn.tensor([[[[1.0, 3.0]]], [[[3.0, 1.0]]]])).tolist()
    [[[[-1.0, 1.0]]], [[[1.0, -1.0]]]]
    """

    shapes = {4: "(N, C, H, W)"}  # noqa: RUF012


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes or films: each channel over the batch and all voxels; arguments as `BatchNorm2d`.

    Formula: `y = (x − μ)/√(σ² + eps)·weight + bias`, μ and σ² (biased) over N, Z, H and W.

    Raises:
        ShapeError: If x is not (N, C, Z, H, W).

    Source: Ioffe & Szegedy 2015, "Batch normalization", section 3.2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.BatchNorm3d(1, eps=0.0)(tcnn.tensor([[[[[1.0, 3.0]]]]])).tolist()
    [[[[[-1.0, 1.0]]]]]
    """

    shapes = {5: "(N, C, Z, H, W)"}  # noqa: RUF012


class _InstanceNorm(_ChannelNorm):
    """What the instance norms share; they differ in the shapes they take."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, each channel of each sample with mean 0 and variance 1, times weight, plus bias."""
        if x.ndim == min(self.shapes) - 1:  # one sample
            return self.forward(x.unsqueeze(0)).squeeze(0)
        self._check(x.shape)
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        return F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, own, momentum, self.eps)

    def _check(self, shape: Shape) -> None:
        stateless = self.weight is None and self.running_mean is None
        if stateless and len(shape) in self.shapes and shape[1] != self.num_features:
            warn(
                f"{type(self).__name__}: x has shape {shape}, axis 1 is not num_features={self.num_features}; without "
                "weights and running statistics the layer does not need to know",
                stacklevel=4,
            )
            return
        super()._check(shape)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of sequences: each channel of each sample by itself.

    Formula: `y = (x − μ)/√(σ² + eps)·weight + bias`, μ and σ² (biased) over L. With running statistics, `eval()` uses
    those instead; `running = (1 − momentum)·running + momentum·(μ or unbiased σ²)` in the mean over the samples.

    Args:
        num_features: C, the number of channels.
        eps: Added to the variance, so that the root is never zero.
        momentum: How much of a new batch enters the running means.
        affine: Whether weight and bias are learned.
        track_running_stats: Whether running means are kept.
        device: Where parameters and buffers live.
        dtype: Their number format, float32 by default.
        bias: Whether there is a bias, where affine.

    Raises:
        ShapeError: If x is not (N, C, L) or (C, L), or has one position only.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, "Instance normalization: the missing ingredient for fast stylization".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.InstanceNorm1d(2, eps=0.0)(tcnn.tensor([[[1.0, 3.0], [10.0, 30.0]]])).tolist()
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """

    shapes = {3: "(N, C, L)"}  # noqa: RUF012


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images: each channel of each image by itself; arguments as `InstanceNorm1d`.

    Formula: `y = (x − μ)/√(σ² + eps)·weight + bias`, μ and σ² (biased) over H and W.

    Raises:
        ShapeError: If x is not (N, C, H, W) or (C, H, W), or has one pixel only.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, "Instance normalization: the missing ingredient for fast stylization".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.InstanceNorm2d(1, eps=0.0)(tcnn.tensor([[[[1.0, 3.0]]], [[[10.0, 30.0]]]])).tolist()
    [[[[-1.0, 1.0]]], [[[-1.0, 1.0]]]]
    """

    shapes = {4: "(N, C, H, W)"}  # noqa: RUF012


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of volumes: each channel of each by itself; arguments as `InstanceNorm1d`.

    Formula: `y = (x − μ)/√(σ² + eps)·weight + bias`, μ and σ² (biased) over Z, H and W.

    Raises:
        ShapeError: If x is not (N, C, Z, H, W) or (C, Z, H, W), or has one voxel only.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, "Instance normalization: the missing ingredient for fast stylization".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.InstanceNorm3d(1, eps=0.0)(tcnn.tensor([[[[[1.0, 3.0]]]]])).tolist()
    [[[[[-1.0, 1.0]]]]]
    """

    shapes = {5: "(N, C, Z, H, W)"}  # noqa: RUF012


class GroupNorm(Module):
    """Group normalisation: each group of channels of each sample by itself; the batch plays no part.

    Formula: `y = (x − μ)/√(σ² + eps)·weight + bias`, μ and σ² (biased) over the group's channels and positions.

    Args:
        num_groups: Number of groups.
        num_channels: C, the number of channels, a multiple of it.
        eps: Added to the variance, so that the root is never zero.
        affine: Whether weight and bias are learned, one of each per channel.
        device: Where the parameters live.
        dtype: Their number format, float32 by default.
        bias: Whether there is a bias, where affine.

    Attributes:
        weight: (C,), ones at first, or None.
        bias: (C,), zeros at first, or None.

    Raises:
        ShapeError: If the groups do not divide the channels, or x is not (N, C, …).

    Source: Wu & He 2018, "Group normalization", section 3.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.GroupNorm(2, 4, eps=0.0)(tcnn.tensor([[1.0, 3.0, 10.0, 30.0]])).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_groups = whole("GroupNorm", "num_groups", num_groups)
        self.num_channels = whole("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ShapeError(f"GroupNorm: num_groups={num_groups} does not divide num_channels={num_channels}")
        self.eps = eps
        self.affine = affine
        _register_parameters(self, (num_channels,), affine, bias, device, dtype)

    def reset_parameters(self) -> None:
        """Forget what was learned: weight 1, bias 0."""
        _reset_parameters(self)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample, unchanged.

        Raises:
            ShapeError: If it has another number of channels.
        """
        if shape[:1] != (self.num_channels,):
            raise ShapeError(
                f"GroupNorm: a sample of shape {shape} must have num_channels={self.num_channels} channels"
            )
        return shape

    def extra_repr(self) -> str:
        """The sizes and options."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LayerNorm(Module):
    """Layer normalisation: each sample by itself, over its last axes.

    Formula: `y = (x − μ)/√(σ² + eps)·weight + bias`, μ and σ² (biased) over the axes of `normalized_shape`.

    Args:
        normalized_shape: The sizes of the last axes; one number for one axis.
        eps: Added to the variance, so that the root is never zero.
        elementwise_affine: Whether weight and bias are learned.
        bias: Whether there is a bias, where affine.
        device: Where the parameters live.
        dtype: Their number format, float32 by default.

    Attributes:
        weight: Of the shape `normalized_shape`, ones at first, or None.
        bias: Of that shape, zeros at first, or None.

    Raises:
        ShapeError: If x does not end in `normalized_shape`.

    Source: Ba, Kiros & Hinton 2016, "Layer normalization", section 3.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.LayerNorm(2, eps=0.0)(tcnn.tensor([[1.0, 3.0], [10.0, 30.0]])).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: Ints,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        self.normalized_shape = tuple(whole("LayerNorm", "normalized_shape", size) for size in sizes)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        _register_parameters(self, self.normalized_shape, elementwise_affine, bias, device, dtype)

    def reset_parameters(self) -> None:
        """Forget what was learned: weight 1, bias 0."""
        _reset_parameters(self)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample, unchanged.

        Raises:
            ShapeError: If it does not end in `normalized_shape`.
        """
        if shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ShapeError(
                f"LayerNorm: a sample of shape {shape} must end in normalized_shape={self.normalized_shape}"
            )
        return shape

    def extra_repr(self) -> str:
        """The sizes and options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Local response normalisation, AlexNet's: a strong channel holds its neighbours at the same pixel down.

    Formula: `y_c = x_c / (k + alpha/size·Σ x²)^beta`, the sum over the `size` channels around c.

    The paper does not divide by the size: its n = 5, α = 1e-4, β = 0.75, k = 2 are `LocalResponseNorm(5, 5e-4, k=2)`.

    Args:
        size: n, the number of channels that count.
        alpha: α, how much their mean square counts.
        beta: β, the exponent.
        k: The number they are added to.

    Raises:
        ShapeError: If size is not positive.

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 3.3.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.LocalResponseNorm(1, alpha=3.0, beta=0.5)(tcnn.tensor([[[1.0]]])).tolist()   # 1/√(1 + 3·1)
    [[[0.5]]]
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = whole("LocalResponseNorm", "size", size)
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample, unchanged.

        Raises:
            ShapeError: If it has no pixels around the channels.
        """
        if len(shape) < 2:
            raise ShapeError(f"LocalResponseNorm: a sample of shape {shape} must be (C, L), (C, H, W) or longer")
        return shape

    def extra_repr(self) -> str:
        """The numbers of the formula."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
