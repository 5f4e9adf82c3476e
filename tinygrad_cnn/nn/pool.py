"""Pooling layers: smaller images, no parameters."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.arguments import one_sample, per_axis, whole
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.shapes import Shape, ShapeError, Window, one_dim, window


class _Pool(Module):
    """What the layers share: the checks of their sizes, and the size of their output."""

    rank = 2
    tuples = False  # whether one number is kept as a tuple, as some of PyTorch's layers do
    shown: tuple[str, ...] = ("kernel_size", "stride", "padding")
    kernel_size: Any
    stride: Any
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False

    def _slide(self, kernel_size: Any, stride: Any, padding: Any = 0, dilation: Any = 1) -> None:
        """Take over the window's numbers, if they can be."""
        self.kernel_size = self._sizes("kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else self._sizes("stride", stride)
        self.padding = self._sizes("padding", padding, least=0)
        self.dilation = self._sizes("dilation", dilation)
        window = self._window()
        if any(2 * before > size for (before, _), size in zip(window.pads, window.kernel)):
            raise ShapeError(
                f"{type(self).__name__}: padding={padding} must be at most half of kernel_size={kernel_size}, or a "
                "window could lie in the padding alone"
            )

    def _sizes(self, name: str, value: Any, least: int = 1) -> Any:
        """One number, or one for each axis; as given, if it can be."""
        sizes = per_axis(type(self).__name__, name, value, self.rank, least)
        return sizes if self.tuples or isinstance(value, (tuple, list)) else sizes[0]

    def _window(self) -> Window:
        kernel = self.kernel_size if isinstance(self.kernel_size, tuple) else (self.kernel_size,) * self.rank
        stride = kernel if self.stride is None else self.stride
        return window(kernel, stride, self.padding, self.dilation, self.ceil_mode)

    def _function(self, name: str) -> Any:
        """`F.max_pool2d` for name "max_pool" and two axes."""
        return getattr(F, f"{name}{self.rank}d")

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C, P, Q).

        Raises:
            ShapeError: If the window is larger than the padded image.
        """
        C, *sizes = self._sample(shape)
        return (C, *self._window().outs(sizes, operation=f"{type(self).__name__} on {tuple(shape)}"))

    def _sample(self, shape: Shape) -> Shape:
        one_sample(type(self).__name__, shape, self.rank)
        return shape

    def extra_repr(self) -> str:
        """The sizes."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class _MaxPool(_Pool):
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self._slide(kernel_size, stride, padding, dilation)
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Any:
        """(N, C, H, W) → (N, C, P, Q), and the int64 indices if asked for."""
        sizes = self.kernel_size, self.stride, self.padding, self.dilation
        return self._function("max_pool")(x, *sizes, self.ceil_mode, self.return_indices)


class MaxPool1d(_MaxPool):
    """The largest value of each window of a line: `MaxPool2d` for (N, C, L), with one number for each argument.

    Formula: `y[n,c,q] = max_s x[n, c, q·stride + s·dilation − padding]`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.MaxPool1d(2)(tcnn.tensor([[[1.0, 5.0, 2.0, 4.0]]])).tolist()
    [[[5.0, 4.0]]]
    """

    rank = 1


class MaxPool2d(_MaxPool):
    """The largest value of each window.

    Formula: `y[n,c,p,q] = max_{r,s} x[n, c, p·stride + r·dilation − padding, …]`.

    Args:
        kernel_size: (R, S) rows and columns of the window; one number for a square.
        stride: Steps of the window, in pixels; the kernel's size if None.
        padding: Pixels of −∞ added around the images, at most half of the kernel's size.
        dilation: Distance of neighbouring pixels in the window.
        return_indices: Also return where each maximum stands in its image, as row·W + column.
        ceil_mode: Round the output size up, so that windows may reach over the border.

    Raises:
        ShapeError: If a size cannot be.

    Source: Zhou & Chellappa 1988, "Computation of optical flow using a neural network".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> x = tcnn.tensor([[[[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]])
    >>> nn.MaxPool2d(2)(x).tolist()
    [[[[6.0, 8.0], [3.0, 4.0]]]]
    >>> nn.MaxPool2d(2).output_shape((6, 28, 28))
    (6, 14, 14)
    """


class MaxPool3d(_MaxPool):
    """The largest value of each window of a volume: `MaxPool2d` for (N, C, Z, H, W), kernel_size (T, R, S).

    Formula: `y[n,c,o,p,q] = max_{t,r,s} x[n, c, o·stride + t·dilation − padding, …]`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.MaxPool3d((2, 1, 1))(tcnn.tensor([[[[[1.0, 5.0]], [[2.0, 4.0]]]]])).tolist()
    [[[[[2.0, 5.0]]]]]
    """

    rank = 3


class _AvgPool(_Pool):
    divisor_override: int | None = None

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self._slide(kernel_size, stride, padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        if divisor_override == 0:
            raise ValueError(f"{type(self).__name__}: divisor_override=0: nothing can be divided by it; 1 gives sums")
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, P, Q)."""
        sizes = self.kernel_size, self.stride, self.padding
        rest = () if self.divisor_override is None else (self.divisor_override,)
        return self._function("avg_pool")(x, *sizes, self.ceil_mode, self.count_include_pad, *rest)


class AvgPool1d(_AvgPool):
    """The mean of each window of a line: `AvgPool2d` for (N, C, L), without its divisor_override, as in PyTorch.

    Formula: `y[n,c,q] = Σ_s x[n, c, q·stride + s − padding] / S`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AvgPool1d(2)(tcnn.tensor([[[1.0, 5.0, 2.0, 4.0]]])).tolist()
    [[[3.0, 3.0]]]
    """

    rank = 1
    tuples = True

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window.

    Formula: `y[n,c,p,q] = Σ_{r,s} x[n, c, p·stride + r − padding, …] / (R·S)`.

    Args:
        kernel_size: (R, S) rows and columns of the window; one number for a square.
        stride: Steps of the window, in pixels; the kernel's size if None.
        padding: Pixels of 0 added around the images, at most half of the kernel's size.
        ceil_mode: Round the output size up, so that windows may reach over the border.
        count_include_pad: Whether added pixels count in the divisor.
        divisor_override: A divisor to use instead of the number of pixels.

    Raises:
        ShapeError: If a size cannot be.
        ValueError: If divisor_override is 0.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.B (there with a trainable coefficient).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AvgPool2d(2)(tcnn.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).tolist()
    [[[[3.0]]]]
    """


class AvgPool3d(_AvgPool):
    """The mean of each window of a volume: `AvgPool2d` for (N, C, Z, H, W), kernel_size (T, R, S).

    Formula: `y[n,c,o,p,q] = Σ_{t,r,s} x[n, c, o·stride + t − padding, …] / (T·R·S)`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AvgPool3d((2, 1, 1))(tcnn.tensor([[[[[1.0, 5.0]], [[2.0, 4.0]]]]])).tolist()
    [[[[[1.5, 4.5]]]]]
    """

    rank = 3


class _LPPool(_Pool):
    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self._slide(kernel_size, stride)
        self.norm_type = norm_type
        self.stride = None if stride is None else self.stride  # as PyTorch keeps it
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, P, Q)."""
        return self._function("lp_pool")(x, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(_LPPool):
    """The p-norm of each window of a line: `LPPool2d` for (N, C, L), with one number for each argument.

    Formula: `y[n,c,q] = (Σ_s x[n, c, q·stride + s]ᵖ)^(1/p)`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.LPPool1d(2, 2)(tcnn.tensor([[[3.0, 4.0, 0.0, 5.0]]])).tolist()
    [[[5.0, 5.0]]]
    """

    rank = 1


class LPPool2d(_LPPool):
    """The p-norm of each window: L2 pooling for p = 2.

    Formula: `y[n,c,p,q] = (Σ_{r,s} x[n, c, p·stride + r, q·stride + s]ᵖ)^(1/p)`.

    Args:
        norm_type: p, not 0: 1 gives sums, 2 lengths, ∞ the largest |x|. For an odd p a negative sum gives NaN, as in
            PyTorch.
        kernel_size: (R, S) rows and columns of the window; one number for a square.
        stride: Steps of the window, in pixels; the kernel's size if None.
        ceil_mode: Round the output size up, so that windows may reach over the border.

    Raises:
        ShapeError: If a size cannot be.

    Source: Sermanet, Chintala & LeCun 2012, "Convolutional neural networks applied to house numbers digit
    classification".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.LPPool2d(2, (1, 2))(tcnn.tensor([[[[3.0, 4.0, 6.0, 8.0]]]])).tolist()
    [[[[5.0, 10.0]]]]
    """


class LPPool3d(_LPPool):
    """The p-norm of each window of a volume: `LPPool2d` for (N, C, Z, H, W), kernel_size (T, R, S).

    Formula: `y[n,c,o,p,q] = (Σ_{t,r,s} x[n, c, o·stride + t, …]ᵖ)^(1/p)`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.LPPool3d(2, (2, 1, 1))(tcnn.tensor([[[[[3.0, 5.0]], [[4.0, 0.0]]]]])).tolist()
    [[[[[5.0, 5.0]]]]]
    """

    rank = 3


class FeatureLPPool(Module):
    """Pooling over features: the p-norm of groups of neighbouring channels, pixel by pixel.

    Formula: `y[n,k,h,w] = (Σ_g x[n, k·stride + g, h, w]ᵖ)^(1/p)`; PyTorch has no such layer.

    Args:
        norm_type: p, finite and not 0.
        channels_per_group: Channels that are pooled.
        stride: Channels from one group to the next, channels_per_group if None; with less, groups overlap.
        dim: Where the channels are: −3 in images, −1 in (N, F) features, 1 in all that have a batch axis.

    Raises:
        ShapeError: If a size is not positive.

    Source: Hyvärinen & Hoyer 2000, "Emergence of phase- and shift-invariant features by decomposition of natural images
    into independent feature subspaces"; Goodfellow, Bengio & Courville 2016, "Deep learning", section 9.3.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> x = tcnn.tensor([3.0, 4.0, 0.0, 5.0]).reshape(1, 4, 1, 1)   # one pixel, four channels
    >>> nn.FeatureLPPool(2, channels_per_group=2)(x).flatten().tolist()
    [5.0, 5.0]
    """

    def __init__(self, norm_type: float, channels_per_group: int, stride: int | None = None, dim: int = -3) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.channels_per_group = whole("FeatureLPPool", "channels_per_group", channels_per_group)
        self.stride = None if stride is None else whole("FeatureLPPool", "stride", stride)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, K, H, W)."""
        return F.feature_lp_pool(x, self.norm_type, self.channels_per_group, self.stride, self.dim)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (K, H, W).

        Raises:
            ShapeError: If a group is larger than the number of channels.
        """
        axis = one_dim("FeatureLPPool", self.dim, len(shape) + 1 if self.dim > 0 else len(shape)) - (self.dim > 0)
        if self.channels_per_group > shape[axis]:
            raise ShapeError(
                f"FeatureLPPool: {tuple(shape)} has {shape[axis]} channels, fewer than a group of channels_per_group="
                f"{self.channels_per_group}; use smaller groups"
            )
        window = Window(self.channels_per_group, self.stride or self.channels_per_group)
        (K,) = window.outs(shape[axis : axis + 1], operation=f"FeatureLPPool on {tuple(shape)}")
        return (*shape[:axis], K, *shape[axis + 1 :])

    def extra_repr(self) -> str:
        """The settings."""
        return ", ".join(
            f"{name}={getattr(self, name)}" for name in ("norm_type", "channels_per_group", "stride", "dim")
        )


class _Adaptive(_Pool):
    shown = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * self.rank
        if len(wanted) != self.rank or any(n is not None and n < 1 for n in wanted):
            raise ShapeError(
                f"{type(self).__name__}: output_size={output_size!r} must be a whole number of at least 1 or None"
                + (f", or {self.rank} of them" if self.rank > 1 else "")
            )
        self.output_size = output_size

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C, P, Q)."""
        C, *sizes = self._sample(shape)
        outputs = self.output_size if isinstance(self.output_size, (tuple, list)) else [self.output_size] * self.rank
        return (C, *(size if n is None else n for n, size in zip(outputs, sizes)))


class _AdaptiveMaxPool(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, x: Tensor) -> Any:
        """(N, C, H, W) → (N, C, P, Q), and the int64 indices if asked for."""
        return self._function("adaptive_max_pool")(x, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest value of each of Q parts of a line: `AdaptiveMaxPool2d` for (N, C, L).

    Formula: part q holds the entries from `⌊q·L/Q⌋` to `⌈(q + 1)·L/Q⌉ − 1`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AdaptiveMaxPool1d(2)(tcnn.tensor([[[1.0, 5.0, 2.0, 4.0]]])).tolist()
    [[[5.0, 4.0]]]
    """

    rank = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest value of each of P×Q parts of an image, whatever its size.

    Formula: part p holds the rows from `⌊p·H/P⌋` to `⌈(p + 1)·H/P⌉ − 1`.

    Args:
        output_size: (P, Q), one number for both; None for as many as the image has.
        return_indices: Also return where each maximum stands in its image, as row·W + column.

    Raises:
        ShapeError: If an output size is not at least 1.

    Source: He, Zhang, Ren & Sun 2014, "Spatial pyramid pooling in deep convolutional networks for visual
    recognition", section 2.2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AdaptiveMaxPool2d((1, 2))(tcnn.tensor([[[1.0, 2, 3], [4, 5, 6]]])).tolist()   # columns 0, 1 and 1, 2
    [[[5.0, 6.0]]]
    """


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest value of each of O×P×Q parts of a volume: `AdaptiveMaxPool2d` for (N, C, Z, H, W).

    Formula: part o holds the slices from `⌊o·Z/O⌋` to `⌈(o + 1)·Z/O⌉ − 1`, and so for rows and columns.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AdaptiveMaxPool3d(1)(tcnn.tensor([[[[[1.0, 5.0]], [[2.0, 4.0]]]]])).tolist()
    [[[[[5.0]]]]]
    """

    rank = 3


class _AdaptiveAvgPool(_Adaptive):
    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, P, Q)."""
        return self._function("adaptive_avg_pool")(x, self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of each of Q parts of a line: `AdaptiveAvgPool2d` for (N, C, L).

    Formula: part q holds the entries from `⌊q·L/Q⌋` to `⌈(q + 1)·L/Q⌉ − 1`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AdaptiveAvgPool1d(2)(tcnn.tensor([[[1.0, 5.0, 2.0, 4.0]]])).tolist()
    [[[3.0, 3.0]]]
    """

    rank = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean of each of P×Q parts of an image, whatever its size: a network behind it takes images of any size.

    Formula: part p holds the rows from `⌊p·H/P⌋` to `⌈(p + 1)·H/P⌉ − 1`.

    Args:
        output_size: (P, Q), one number for both; None for as many as the image has.

    Raises:
        ShapeError: If an output size is not at least 1.

    Source: Lin, Chen & Yan 2014, "Network in network", section 3.2, for an output of 1×1.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AdaptiveAvgPool2d((1, 2))(tcnn.tensor([[[1.0, 2, 3], [4, 5, 6]]])).tolist()   # columns 0, 1 and 1, 2
    [[[3.0, 4.0]]]
    """


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean of each of O×P×Q parts of a volume: `AdaptiveAvgPool2d` for (N, C, Z, H, W).

    Formula: part o holds the slices from `⌊o·Z/O⌋` to `⌈(o + 1)·Z/O⌉ − 1`, and so for rows and columns.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.AdaptiveAvgPool3d(1)(tcnn.tensor([[[[[1.0, 5.0]], [[2.0, 4.0]]]]])).tolist()
    [[[[[3.0]]]]]
    """

    rank = 3


class _GlobalPool(_Pool):
    shown = ("keepdim",)

    def __init__(self, keepdim: bool = False) -> None:
        super().__init__()
        self.keepdim = keepdim

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C,), or (C, 1, 1) with keepdim."""
        C, *_ = self._sample(shape)
        return (C, 1, 1) if self.keepdim else (C,)

    def _without_axes(self, y: Tensor) -> Tensor:
        return y if self.keepdim else y.flatten(-3)


class GlobalMaxPool2d(_GlobalPool):
    """The largest value of each channel of an image: Keras' `GlobalMaxPooling2D`, `AdaptiveMaxPool2d(1)` flattened.

    Formula: `y[n,c] = max_{h,w} x[n,c,h,w]`.

    Args:
        keepdim: Keep (N, C, 1, 1), as `AdaptiveMaxPool2d(1)` does, instead of (N, C).

    Source: Oquab, Bottou, Laptev & Sivic 2015, "Is object localization for free?", section 3.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.GlobalMaxPool2d()(tcnn.tensor([[[[1.0, 2], [4, 3]]]])).tolist()
    [[4.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C)."""
        return self._without_axes(F.adaptive_max_pool2d(x, 1))


class GlobalAvgPool2d(_GlobalPool):
    """The mean of each channel of an image: Keras' `GlobalAveragePooling2D`, `AdaptiveAvgPool2d(1)` flattened.

    Formula: `y[n,c] = Σ_{h,w} x[n,c,h,w] / (H·W)`.

    A linear layer can follow at once, and its weights do not depend on the size of the images.

    Args:
        keepdim: Keep (N, C, 1, 1), as `AdaptiveAvgPool2d(1)` does, instead of (N, C).

    Source: Lin, Chen & Yan 2014, "Network in network", section 3.2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.GlobalAvgPool2d()(tcnn.tensor([[[[1.0, 2], [4, 5]]]])).tolist()
    [[3.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C)."""
        return self._without_axes(F.adaptive_avg_pool2d(x, 1))


class _MaxUnpool(_Pool):
    tuples = True

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self._slide(kernel_size, stride, padding)

    def forward(self, x: Tensor, indices: Tensor, output_size: tuple[int, ...] | None = None) -> Tensor:
        """(N, C, P, Q) maxima and their indices → (N, C, H, W)."""
        sizes = self.kernel_size, self.stride, self.padding
        return self._function("max_unpool")(x, indices, *sizes, output_size)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, P, Q) of one sample, without the batch axis → (C, H, W), if no output_size says otherwise.

        Raises:
            ShapeError: If nothing would be left.
        """
        C, *sizes = self._sample(shape)
        return (C, *self._window().back(sizes, (0,) * self.rank, operation=f"{type(self).__name__} on {tuple(shape)}"))


class MaxUnpool1d(_MaxUnpool):
    """Maxima back at their places in a line of zeros: `MaxUnpool2d` for (N, C, Q), with one number for each argument.

    Formula: `y[n, c, indices[n,c,q]] = x[n,c,q]`, else 0; `L = (Q − 1)·stride + S − 2·padding`.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.MaxUnpool1d(2)(tcnn.tensor([[[5.0, 4.0]]]), tcnn.tensor([[[1, 3]]])).tolist()
    [[[0.0, 5.0, 0.0, 4.0]]]
    """

    rank = 1


class MaxUnpool2d(_MaxUnpool):
    """The way back of max pooling: each maximum at its old place, zeros elsewhere.

    Formula: `y[n, c, i // W, i % W] = x[n,c,p,q]` with `i = indices[n,c,p,q]`, else 0; `H = (P − 1)·stride + R −
    2·padding`, if no output_size is given in the call: several H give the same P.

    Args:
        kernel_size: (R, S) rows and columns of the window of the pooling; one number for a square.
        stride: Its steps, in pixels; the kernel's size if None.
        padding: Its padding, in pixels.

    Raises:
        ShapeError: If a size cannot be.

    Source: Zeiler, Taylor & Fergus 2011, "Adaptive deconvolutional networks for mid and high level feature learning".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> y, places = nn.MaxPool2d(2, return_indices=True)(tcnn.tensor([[[[1.0, 2.0], [3.0, 0.0]]]]))
    >>> nn.MaxUnpool2d(2)(y, places).tolist()
    [[[[0.0, 0.0], [3.0, 0.0]]]]
    """


class MaxUnpool3d(_MaxUnpool):
    """Maxima back at their places in a volume of zeros: `MaxUnpool2d` for (N, C, O, P, Q), kernel_size (T, R, S).

    Formula: `y[n, c, i] = x[n,c,o,p,q]` with `i = indices[n,c,o,p,q] = (slice·H + row)·W + column`, else 0.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.MaxUnpool3d((1, 1, 3))(tcnn.tensor([[[[[5.0]]]]]), tcnn.tensor([[[[[2]]]]])).flatten().tolist()
    [0.0, 0.0, 5.0]
    """

    rank = 3
