"""The questions about sizes that every lecture asks, as functions: `Window` in `shapes.py` answers them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_cnn.shapes import Ints, ShapeError, Window, strict_sizes

__all__ = ["output_size", "receptive_field", "same_padding", "strict_sizes"]


def output_size(
    size: Ints,
    kernel: Ints,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    strict: bool = False,
) -> Any:
    """How large the output of a convolution or a pooling is.

    Formula: `P = ⌊(H − F + 2·padding)/stride⌋ + 1` with `F = dilation·(kernel − 1) + 1`.

    Args:
        size: H of the input in pixels, or (H, W), or one size for each axis.
        kernel: Rows of the window, or (rows, columns).
        stride: Steps of the window, in pixels.
        padding: Pixels added on each side; or "same" (output as large as the input) or "valid" (none).
        dilation: Distance of neighbouring taps, in pixels.
        ceil_mode: Round up instead of down.
        strict: Refuse a size that must be rounded.

    Returns:
        One number if all sizes are numbers, else a tuple.

    Raises:
        ShapeError: If the window is larger than the padded input; if strict, also if the window does not end at the
            border. The message names paddings, strides and input sizes that fit.

    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", relationships 6 and 15.

    >>> output_size(32, 5), output_size(32, 5, padding=2), output_size((28, 32), 2, stride=2)
    (28, 32, (14, 16))
    >>> output_size(7, 3, stride=3)
    2
    >>> output_size(7, 3, stride=3, strict=True)
    Traceback (most recent call last):
    tinygrad_cnn.shapes.ShapeError: output_size: (7 − 3)/3 + 1 = 2.33: doesn't fit; the last pixel would be left out:
    use padding 1 (output 3), stride 2 (output 3), or an input of 6 (output 2) or 9 (output 3)
    """
    window = Window(kernel, stride, padding, dilation, ceil_mode)
    sizes = tuple(size) if isinstance(size, (tuple, list)) else (size,) * window.rank
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ShapeError(f"output_size: size={size!r} must be a positive whole number of pixels, or one for each axis")
    outputs = window.out(*sizes, exact=strict, operation="output_size")
    return (outputs,) if isinstance(size, (tuple, list)) and len(sizes) == 1 else outputs


def receptive_field(windows: Iterable[Window | int | tuple[int, int]], axis: int = 0) -> int:
    """Input pixels one output pixel sees through a stack of windows.

    Formula: `RF_L = RF_{L−1} + (span_L − 1)·∏_{i<L} stride_i`, with `RF_0 = 1`; so `1 + L·(K − 1)` for L kernels of
    size K with stride 1.

    Args:
        windows: The stack, the one nearest to the image first: each a `Window`, (kernel, stride), or a kernel size.
        axis: The axis to measure along.

    Raises:
        ShapeError: If the axis is no number: a stride stands beside its kernel.

    >>> receptive_field([3, 3, 3])
    7
    >>> receptive_field([5, (2, 2), 5, (2, 2)])   # LeNet-5: 5, 5 + 1, 6 + 4·2, 14 + 1·2
    16
    """
    if not isinstance(axis, int):
        raise ShapeError(
            f"receptive_field: axis {axis!r} must be a number; strides stand beside their kernels: [(11, 4), (3, 2)]"
        )
    field, jump = 1, 1
    for item in windows:
        w = item if isinstance(item, Window) else Window(*item) if isinstance(item, tuple) else Window(item)
        along = axis if w.rank > 1 else 0
        field += (w.spans[along] - 1) * jump
        jump *= w.stride[along]
    return field


def same_padding(kernel: Ints, dilation: Ints = 1) -> Any:
    """The padding with which the output of a convolution with stride 1 is as large as its input.

    Formula: `P = (F − 1)/2` with `F = dilation·(kernel − 1) + 1`.

    Args:
        kernel: Rows of the window, or (rows, columns).
        dilation: Distance of neighbouring taps, in pixels.

    Returns:
        Pixels on each side: a number if both arguments are numbers, else a tuple.

    Raises:
        ShapeError: If F is even: then the two sides cannot be equal.

    >>> same_padding(3), same_padding(5), same_padding((1, 7)), same_padding(3, dilation=2)
    (1, 2, (0, 3), 2)
    >>> same_padding(4)
    Traceback (most recent call last):
    tinygrad_cnn.shapes.ShapeError: same_padding: (4 − 1)/2 = 1.5 is no whole number of pixels; use an odd kernel, or
    padding="same", which puts 1 before and 2 behind
    """
    window = Window(kernel, dilation=dilation, padding="same")
    for span, (before, behind) in zip(window.spans, window.pads):
        if before != behind:
            raise ShapeError(
                f"same_padding: ({span} − 1)/2 = {(span - 1) / 2} is no whole number of pixels; use an odd kernel, or "
                f'padding="same", which puts {before} before and {behind} behind'
            )
    paddings = tuple(before for before, _ in window.pads)
    return paddings[0] if isinstance(kernel, int) and isinstance(dilation, int) else paddings
