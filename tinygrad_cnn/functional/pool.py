"""Pooling: one number for each window of a line, an image or a volume."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.functional.arguments import batched, per_axis
from tinygrad_cnn.shapes import Ints, Shape, ShapeError, Window, bins, one_dim, window

Sizes = int | None | tuple[int | None, ...]


def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number of each window of a line: as `max_pool2d`, (N, C, L) → (N, C, Q).

    Formula: `y[n,c,q] = max_s x[n, c, q·stride + s·dilation − padding]`.

    >>> max_pool1d(Tensor([[[1.0, 5.0, 2.0, 4.0]]]), 2)
    tensor([[[5., 4.]]])
    """
    w = _window("max_pool1d", 1, kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool(input, w, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest pixel of each window.

    Formula: `y[n,c,p,q] = max_{r,s} x[n, c, p·stride + r·dilation − padding, …]`; the gradient goes to the pixel that
    was the largest, the first of equals.

    Args:
        input: x, (N, C, H, W) images.
        kernel_size: Rows and columns of the window.
        stride: Steps of the window, in pixels; None means the kernel size.
        padding: Pixels on each side that never win, at most half the kernel.
        dilation: Distance of the window's taps, in pixels.
        ceil_mode: Round the output size up, so that no pixel is left out.
        return_indices: Also return where each maximum stands in its H·W plane.

    Returns:
        (N, C, P, Q), and the int64 indices if asked for.

    Raises:
        ShapeError: If the window does not fit.

    Source: Zhou & Chellappa 1988, "Computation of optical flow using a neural network".

    >>> x = Tensor([[[[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]])
    >>> max_pool2d(x, 2).tolist()
    [[[[6.0, 8.0], [3.0, 4.0]]]]
    """
    w = _window("max_pool2d", 2, kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool(input, w, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number of each window of a volume: as `max_pool2d`, (N, C, Z, H, W) → (N, C, O, P, Q).

    Formula: `y[n,c,o,p,q] = max_{t,r,s} x[n, c, o·stride + t·dilation − padding, …]`.

    >>> max_pool3d(Tensor([[[[[1.0, 5.0]], [[2.0, 4.0]]]]]), (2, 1, 1))
    tensor([[[[[2., 5.]]]]])
    """
    w = _window("max_pool3d", 3, kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool(input, w, return_indices)


def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of a line: as `avg_pool2d`, (N, C, L) → (N, C, Q).

    Formula: `y[n,c,q] = Σ_s x[n, c, q·stride + s − padding] / S`.

    >>> avg_pool1d(Tensor([[[1.0, 5.0, 2.0, 4.0]]]), 2)
    tensor([[[3., 3.]]])
    """
    w = _window("avg_pool1d", 1, kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pool(input, w, count_include_pad)


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Formula: `y[n,c,p,q] = Σ_{r,s} x[n, c, p·stride + r − padding, …] / (R·S)`.

    Args:
        input: x, (N, C, H, W) images.
        kernel_size: Rows and columns of the window.
        stride: Steps of the window, in pixels; None means the kernel size.
        padding: Zeros on each side, in pixels, at most half the kernel.
        ceil_mode: Round the output size up, so that no pixel is left out.
        count_include_pad: Divide by all pixels of the window, not only by those of the image.
        divisor_override: Divide by this instead.

    Returns:
        (N, C, P, Q).

    Raises:
        ShapeError: If the window does not fit.
        ValueError: If divisor_override is 0.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.B (there with a trainable coefficient).

    >>> avg_pool2d(Tensor([[[[1.0, 2.0], [3.0, 6.0]]]]), 2)
    tensor([[[[3.]]]])
    """
    w = _window("avg_pool2d", 2, kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pool(input, w, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of a volume: as `avg_pool2d`, (N, C, Z, H, W) → (N, C, O, P, Q).

    Formula: `y[n,c,o,p,q] = Σ_{t,r,s} x[n, c, o·stride + t − padding, …] / (T·R·S)`.

    >>> avg_pool3d(Tensor([[[[[1.0, 5.0]], [[2.0, 4.0]]]]]), (2, 1, 1))
    tensor([[[[[1.5, 4.5]]]]])
    """
    w = _window("avg_pool3d", 3, kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pool(input, w, count_include_pad, divisor_override)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window of a line: as `lp_pool2d`, (N, C, L) → (N, C, Q).

    Formula: `y[n,c,q] = (Σ_s x[n, c, q·stride + s]ᵖ)^(1/p)`.

    >>> lp_pool1d(Tensor([[[3.0, 4.0, 0.0, 5.0]]]), 2, 2)
    tensor([[[5., 5.]]])
    """
    return _lp_pool(input, norm_type, _window("lp_pool1d", 1, kernel_size, stride, 0, 1, ceil_mode))


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window; for p = 2 L2 pooling, the length of the window as a vector.

    Formula: `y[n,c,p,q] = (Σ_{r,s} x[n, c, p·stride + r, q·stride + s]ᵖ)^(1/p)`, without an absolute value: for an odd
    p the sum may be negative, and y is NaN then, as in PyTorch. p = 1 gives the sum, p = ∞ the largest |x|, p = −∞ the
    smallest. The gradient is `(x/y)^(p − 1)`, and 0 where y is 0 (for p < 1 PyTorch has NaN there).

    Args:
        input: x, (N, C, H, W) images.
        norm_type: p, not 0.
        kernel_size: Rows and columns of the window.
        stride: Steps of the window, in pixels; None means the kernel size.
        ceil_mode: Round the output size up; a window that hangs over the edge counts as if its missing pixels were
            like the others (its sum is scaled up), as in PyTorch.

    Returns:
        (N, C, P, Q).

    Raises:
        ShapeError: If the window does not fit.
        ValueError: If norm_type is 0.

    Source: Hyvärinen & Köster 2007, "Complex cell pooling and the statistics of natural images", for p = 2; Sermanet,
    Chintala & LeCun 2012, "Convolutional neural networks applied to house numbers digit classification".

    >>> lp_pool2d(Tensor([[[[1.0, 1.0], [1.0, 1.0]]]]), 2, 2)   # √4
    tensor([[[[2.]]]])
    """
    return _lp_pool(input, norm_type, _window("lp_pool2d", 2, kernel_size, stride, 0, 1, ceil_mode))


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window of a volume: as `lp_pool2d`, (N, C, Z, H, W) → (N, C, O, P, Q).

    Formula: `y[n,c,o,p,q] = (Σ_{t,r,s} x[n, c, o·stride + t, …]ᵖ)^(1/p)`.

    >>> lp_pool3d(Tensor([[[[[3.0, 5.0]], [[4.0, 0.0]]]]]), 2, (2, 1, 1))
    tensor([[[[[5., 5.]]]]])
    """
    return _lp_pool(input, norm_type, _window("lp_pool3d", 3, kernel_size, stride, 0, 1, ceil_mode))


def feature_lp_pool(
    input: Tensor, norm_type: float, channels_per_group: int, stride: int | None = None, dim: int = -3
) -> Tensor:
    """Pooling over features: the p-norm of groups of neighbouring channels, pixel by pixel.

    A group whose filters see one pattern in several poses answers to the pattern, whatever its pose.

    Formula: `y[n,k,h,w] = (Σ_g x[n, k·stride + g, h, w]ᵖ)^(1/p)` with g from 0 to channels_per_group − 1; the gradient
    is `(x/y)^(p − 1)`, and 0 where y is 0.

    Args:
        input: x, (N, C, H, W) images; anything with channels along `dim`.
        norm_type: p, finite and not 0; 2 in most works.
        channels_per_group: Channels that are pooled.
        stride: Channels from one group to the next, channels_per_group if None; with less, groups overlap.
        dim: Where the channels are: −3 in images, −1 in (N, F) features, 1 in all that have a batch axis.

    Returns:
        (N, K, H, W) with `K = ⌊(C − channels_per_group)/stride⌋ + 1`.

    Raises:
        ShapeError: If a group is larger than the number of channels, or there is no such dimension.
        ValueError: If norm_type is 0 or infinite.

    Source: Hyvärinen & Hoyer 2000, "Emergence of phase- and shift-invariant features by decomposition of natural images
    into independent feature subspaces"; Goodfellow, Bengio & Courville 2016, "Deep learning", section 9.3.

    >>> x = Tensor([3.0, 4.0, 0.0, 5.0]).reshape(4, 1, 1)   # one pixel, four channels
    >>> feature_lp_pool(x, 2, channels_per_group=2).flatten().tolist()
    [5.0, 5.0]
    """
    x = Tensor._as_tensor(input)
    x._needs_float("feature_lp_pool")
    p = _power("feature_lp_pool", norm_type)
    if math.isinf(p):
        raise ValueError(f"feature_lp_pool: norm_type={norm_type} must be finite; for the largest use reshape and amax")
    axis = one_dim("feature_lp_pool", dim, x.ndim)
    if channels_per_group > x.shape[axis]:
        raise ShapeError(
            f"feature_lp_pool: x {x.shape} has {x.shape[axis]} channels (dim={dim}), fewer than a group of "
            f"channels_per_group={channels_per_group}; use smaller groups"
        )
    step = channels_per_group if stride is None else stride
    return apply(ops.FeatureLpPool(p, channels_per_group, step, axis), x)


def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest number of each of Q parts of a line: as `adaptive_max_pool2d`, (N, C, L) → (N, C, Q).

    >>> adaptive_max_pool1d(Tensor([[[1.0, 5.0, 2.0, 4.0]]]), 2)
    tensor([[[5., 4.]]])
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest pixel of each of P×Q parts of an image, whatever its size.

    Formula: part p holds the rows from `⌊p·H/P⌋` to `⌈(p + 1)·H/P⌉ − 1`; neighbours may share rows.

    Args:
        input: x, (N, C, H, W) images.
        output_size: (P, Q), one number for both; None for as many as the image has.
        return_indices: Also return where each maximum stands in its H·W plane.

    Returns:
        (N, C, P, Q), and the int64 indices if asked for.

    Raises:
        ShapeError: If an output size is not positive, or the image has no pixels.

    Source: He, Zhang, Ren & Sun 2014, "Spatial pyramid pooling in deep convolutional networks for visual
    recognition", section 2.2.

    >>> x = Tensor([[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]])
    >>> adaptive_max_pool2d(x, (1, 2)).tolist()   # of columns 0, 1 and of columns 1, 2
    [[[8.0, 9.0]]]
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest number of each part of a volume: as `adaptive_max_pool2d`, (N, C, Z, H, W) → (N, C, O, P, Q).

    >>> adaptive_max_pool3d(Tensor([[[[[1.0, 5.0]], [[2.0, 4.0]]]]]), (2, 1, 1)).flatten().tolist()
    [5.0, 4.0]
    """
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """The mean of each of Q parts of a line: as `adaptive_avg_pool2d`, (N, C, L) → (N, C, Q).

    >>> adaptive_avg_pool1d(Tensor([[[1.0, 5.0, 2.0, 4.0]]]), 2)
    tensor([[[3., 3.]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """The mean of each of P×Q parts of an image, whatever its size: a network behind it takes images of any size.

    Formula: part p holds the rows from `⌊p·H/P⌋` to `⌈(p + 1)·H/P⌉ − 1`; neighbours may share rows.

    Args:
        input: x, (N, C, H, W) images.
        output_size: (P, Q), one number for both; None for as many as the image has.

    Returns:
        (N, C, P, Q).

    Raises:
        ShapeError: If an output size is not positive, or the image has no pixels.

    Source: Lin, Chen & Yan 2014, "Network in network", section 3.2, for an output of 1×1: global average pooling.

    >>> adaptive_avg_pool2d(Tensor([[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]]), 2).tolist()
    [[[3.0, 4.0], [6.0, 7.0]]]
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """The mean of each part of a volume: as `adaptive_avg_pool2d`, (N, C, Z, H, W) → (N, C, O, P, Q).

    >>> adaptive_avg_pool3d(Tensor([[[[[1.0, 5.0]], [[2.0, 4.0]]]]]), 1).flatten().tolist()
    [3.0]
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Tensor:
    """Maxima back at their places in a line of zeros: as `max_unpool2d`, (N, C, Q) → (N, C, L).

    Formula: `y[n, c, indices[n,c,q]] = x[n,c,q]`, else 0.

    >>> max_unpool1d(Tensor([[[5.0, 4.0]]]), Tensor([[[1, 3]]]), 2)
    tensor([[[0., 5., 0., 4.]]])
    """
    return _max_unpool(input, indices, _window("max_unpool1d", 1, kernel_size, stride, padding), output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Tensor:
    """The way back of max pooling: each maximum at its old place, zeros elsewhere.

    Formula: `y[n, c, i // W, i % W] = x[n,c,p,q]` with `i = indices[n,c,p,q]`, else 0.

    Args:
        input: (N, C, P, Q) maxima.
        indices: (N, C, P, Q), where each stood in its plane: from max pooling with `return_indices=True`.
        kernel_size: Rows and columns of the window of that pooling.
        stride: Its steps, in pixels; None means the kernel size.
        padding: Its padding, in pixels.
        output_size: (H, W) or (N, C, H, W); several sizes give the same P×Q. `(P − 1)·stride + R − 2·padding` by
            default.

    Returns:
        (N, C, H, W).

    Raises:
        ShapeError: If input and indices differ in shape, or output_size does not belong to the window.
        IndexError: If an index is not in the plane.
        DtypeError: If the indices are no whole numbers.

    Source: Zeiler, Taylor & Fergus 2011, "Adaptive deconvolutional networks for mid and high level feature learning".

    >>> y, places = max_pool2d(Tensor([[[[1.0, 2.0], [3.0, 0.0]]]]), 2, return_indices=True)
    >>> max_unpool2d(y, places, 2).tolist()
    [[[[0.0, 0.0], [3.0, 0.0]]]]
    """
    return _max_unpool(input, indices, _window("max_unpool2d", 2, kernel_size, stride, padding), output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: tuple[int, ...] | None = None,
) -> Tensor:
    """Maxima back at their places in a volume of zeros: as `max_unpool2d`, (N, C, O, P, Q) → (N, C, Z, H, W).

    Formula: `y[n, c, i] = x[n,c,o,p,q]` with `i = indices[n,c,o,p,q] = (slice·H + row)·W + column`, else 0.

    >>> max_unpool3d(Tensor([[[[[5.0]]]]]), Tensor([[[[[2]]]]]), (1, 1, 4)).flatten().tolist()
    [0.0, 0.0, 5.0, 0.0]
    """
    return _max_unpool(input, indices, _window("max_unpool3d", 3, kernel_size, stride, padding), output_size)


def _window(
    operation: str,
    rank: int,
    kernel: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Window:
    kernel = per_axis(kernel, rank)
    if len(kernel) != rank:
        raise ShapeError(f"{operation}: kernel_size={kernel} must be one whole number, or {rank}")
    step = kernel if stride is None else per_axis(stride, rank)
    return window(kernel, step, per_axis(padding, rank), per_axis(dilation, rank), ceil_mode)


def _max_pool(input: Tensor, w: Window, return_indices: bool = False) -> Any:
    x = Tensor._as_tensor(input)
    y, taps = batched(lambda images: apply(ops.MaxPool(w), images), x, rank=w.rank)
    return (y, _places(taps, w, x.shape[-w.rank :], {})) if return_indices else y


def _places(taps: Tensor, w: Window, sizes: Shape, picks: Mapping[int, Any]) -> Tensor:
    """Where each maximum stands in its plane, row·W + column, from the number of the tap that held it.

    Args:
        taps: (N, C, P, Q) from max pooling.
        w: Its window.
        sizes: (H, W) of the plane.
        picks: Axis → which of the plane's rows the window slid over, if not over all in their order.
    """
    xp, step = taps.backend.xp, 1
    place: Any = 0
    with taps.backend.activate():
        number = taps.data.astype("int64")
        for axis in reversed(range(w.rank)):  # the tap's number is written in digits, the last axis's being the last
            digit, number = number % w.kernel[axis], number // w.kernel[axis]
            n = taps.shape[axis - w.rank]
            starts = xp.arange(n).reshape((n,) + (1,) * (w.rank - 1 - axis)) * w.stride[axis] - w.pads[axis][0]
            row = starts + digit * w.dilation[axis]
            place = place + (picks[axis][row] if axis in picks else row) * step
            step *= sizes[axis]
        return Tensor(place)


def _avg_pool(input: Tensor, w: Window, count_include_pad: bool = True, divisor: int | None = None) -> Tensor:
    x = Tensor._as_tensor(input)
    operation = ops.AvgPool(w, count_include_pad, divisor)
    x._needs_float(operation.name)
    if divisor == 0:
        raise ValueError(f"{operation.name}: divisor_override=0: nothing can be divided by it; 1 gives the sums")
    return batched(lambda images: apply(operation, images), x, rank=w.rank)


def _lp_pool(input: Tensor, norm_type: float, w: Window) -> Tensor:
    x = Tensor._as_tensor(input)
    name = f"lp_pool{w.rank}d"
    x._needs_float(name)
    p = _power(name, norm_type)
    if math.isinf(p):  # the largest |x|, or the smallest
        sign = math.copysign(1.0, p)
        return _max_pool(x.abs() * sign, w) * sign
    return batched(lambda images: apply(ops.LpPool(w, p), images), x, rank=w.rank)


def _power(operation: str, norm_type: float) -> float:
    p = float(norm_type)
    if p == 0 or math.isnan(p):
        raise ValueError(f"{operation}: norm_type={norm_type}: there is no root of this degree; 2 gives L2 pooling")
    return p


def _adaptive_max_pool(operation: str, rank: int, input: Tensor, output_size: Sizes, return_indices: bool) -> Any:
    """Windows, along axes whose parts are equally large; elsewhere each part is laid out as a window of its own."""
    x = Tensor._as_tensor(input)
    sizes, kernel, stride, rows = x.shape[-rank:], [], [], {}
    for axis, parts in enumerate(_parts(operation, rank, x, output_size)):
        window = _even(parts)
        if window is None:
            longest = max(end - start for start, end in parts)
            # shorter parts repeat their last row, which changes no maximum
            picks = Tensor([min(start + i, end - 1) for start, end in parts for i in range(longest)], device=x.backend)
            x = x[(..., picks, *(slice(None),) * (rank - 1 - axis))]
            window, rows[axis] = (longest, longest), picks.data
        kernel.append(window[0])
        stride.append(window[1])
    w = _window(operation, rank, tuple(kernel), tuple(stride), 0)
    y, taps = batched(lambda images: apply(ops.MaxPool(w), images), x, rank=rank)
    return (y, _places(taps, w, sizes, rows)) if return_indices else y


def _adaptive_avg_pool(operation: str, rank: int, input: Tensor, output_size: Sizes) -> Tensor:
    """Windows, along axes whose parts are equally large; elsewhere a product with each part's matrix of shares."""
    x = Tensor._as_tensor(input)
    x._needs_float(operation)
    kernel, stride = [], []
    for dim, parts in zip(range(-rank, 0), _parts(operation, rank, x, output_size)):
        window = _even(parts)
        if window is None:
            pixels = range(x.shape[dim])
            shares = [[(start <= i < end) / (end - start) for start, end in parts] for i in pixels]  # (H, P)
            x = (x.transpose(dim, -1) @ Tensor(shares, dtype=x.dtype, device=x.backend)).transpose(dim, -1)
            window = 1, 1
        kernel.append(window[0])
        stride.append(window[1])
    return _avg_pool(x, _window(operation, rank, tuple(kernel), tuple(stride), 0))


def _parts(operation: str, rank: int, x: Tensor, output_size: Sizes) -> list[list[tuple[int, int]]]:
    """For each axis, the first row of each part, and the one behind its last."""
    outputs = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    sizes = x.shape[-rank:]
    if x.ndim not in (rank + 1, rank + 2) or not all(sizes):
        raise ShapeError(f"{operation}: x {x.shape} must be (N, C) or (C,) and {rank} sizes that are not 0")
    if len(outputs) != rank or any(n is not None and n < 1 for n in outputs):
        raise ShapeError(
            f"{operation}: output_size={output_size!r} must be a whole number of at least 1 or None, or {rank} of them"
        )
    return [bins(size, size if n is None else n) for size, n in zip(sizes, outputs)]


def _even(parts: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Kernel and stride of the window whose positions are these parts; None if they are not equally large and apart."""
    kernels = {end - start for start, end in parts}
    strides = {b - a for (a, _), (b, _) in itertools.pairwise(parts)} or {1}
    return (*kernels, *strides) if len(kernels) == len(strides) == 1 and 0 not in strides else None  # type: ignore


def _max_unpool(input: Tensor, indices: Tensor, w: Window, output_size: tuple[int, ...] | None) -> Tensor:
    x, places, rank = Tensor._as_tensor(input), Tensor._as_tensor(indices), w.rank
    name = f"max_unpool{rank}d"
    if places.dtype.kind not in "iu":
        raise DtypeError(f"{name}: indices are {places.dtype}; they must be whole numbers: use .long()")
    if x.ndim not in (rank + 1, rank + 2) or x.shape != places.shape:
        raise ShapeError(
            f"{name}: x {x.shape} and indices {places.shape} must be equal, with {rank + 1} or {rank + 2} dimensions: "
            "what max pooling returned with return_indices=True"
        )
    sizes = usual = w.back(x.shape[-rank:], (0,) * rank, operation=name)
    if output_size is not None:
        sizes = tuple(output_size)[2:] if len(output_size) == rank + 2 else tuple(output_size)
        if len(sizes) != rank or any(abs(a - b) >= s for a, b, s in zip(sizes, usual, w.stride)):
            raise ShapeError(
                f"{name}: output_size={tuple(output_size)} does not belong to x {x.shape}: it must be less than a "
                f"stride {w.stride} away from {usual}"
            )
    operation = ops.MaxUnpool(sizes)
    return batched(lambda planes: apply(operation, planes, places.reshape(planes.shape)), x, rank=rank)
