"""Pooling: one number for each window of an image."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.functional.arguments import batched, pair
from tinygrad_cnn.shapes import Ints, Window, window


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

    >>> x = Tensor([[[[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]])
    >>> max_pool2d(x, 2).tolist()
    [[[[6.0, 8.0], [3.0, 4.0]]]]
    """
    w = _pool_window(kernel_size, stride, padding, dilation, ceil_mode)
    x = Tensor._as_tensor(input)
    y, taps = batched(lambda images: apply(ops.MaxPool2d(w), images), x)
    return (y, _plane_index(taps, w, x.shape[-1])) if return_indices else y


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

    >>> avg_pool2d(Tensor([[[[1.0, 2.0], [3.0, 6.0]]]]), 2)
    tensor([[[[3.]]]])
    """
    x = Tensor._as_tensor(input)
    x._needs_float("avg_pool2d")
    w = _pool_window(kernel_size, stride, padding, 1, ceil_mode)
    return batched(lambda images: apply(ops.AvgPool2d(w, count_include_pad, divisor_override), images), x)


def _pool_window(kernel: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool) -> Window:
    kernel = pair(kernel)
    return window(kernel, kernel if stride is None else pair(stride), pair(padding), pair(dilation), ceil_mode)


def _plane_index(taps: Tensor, w: Window, columns: int) -> Tensor:
    """The place r·W + q of each maximum, from the number of the tap that held it."""
    P, Q = taps.shape[-2:]
    xp = taps.backend.xp
    with taps.backend.activate():
        tap = taps.data.astype("int64")
        row = xp.arange(P).reshape(P, 1) * w.stride[0] - w.pads[0][0] + tap // w.kernel[1] * w.dilation[0]
        column = xp.arange(Q) * w.stride[1] - w.pads[1][0] + tap % w.kernel[1] * w.dilation[1]
        return Tensor(row * columns + column)
