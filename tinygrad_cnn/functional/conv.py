"""Convolutions: filters that slide over images, lines and volumes; and their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.function import Function
from tinygrad_cnn.functional.arguments import batched, per_axis, present, same_format
from tinygrad_cnn.shapes import Ints


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Slide K filters over images: cross-correlation, what deep learning calls convolution.

    Formula: `y[n,k,p,q] = bias[k] + Σ_{c,r,s} x[n, c, p·stride + r·dilation, q·stride + s·dilation]·weight[k,c,r,s]`
    with x padded by zeros; with groups, filter k sees only the channels of its own group.

    Args:
        input: x, (N, C, H, W) images.
        weight: (K, C/groups, R, S) filters.
        bias: (K,), one number per filter.
        stride: Steps of the window, in pixels.
        padding: Zeros on each side, in pixels; or "same" (output as large as the input) or "valid" (none).
        dilation: Distance of kernel taps, in pixels.
        groups: Groups the channels are cut into.

    Returns:
        (N, K, P, Q) with `P = ⌊(H + 2·padding − dilation·(R − 1) − 1)/stride⌋ + 1`.

    Raises:
        ShapeError: If the sizes do not agree, or the kernel is larger than the padded image.
        DtypeError: If the number formats differ.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.A.

    >>> image = Tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> conv2d(image, Tensor([[[[1.0, 0.0], [0.0, 1.0]]]]))  # 1·1 + 4·1
    tensor([[[[5.]]]])
    """
    return _slide(ops.Conv2d, 2, input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Slide K filters along lines; otherwise as `conv2d`.

    Formula: `y[n,k,q] = bias[k] + Σ_{c,s} x[n, c, q·stride + s·dilation]·weight[k,c,s]`, x padded by zeros.

    Args:
        input: x, (N, C, L) lines.
        weight: (K, C/groups, S) filters.
        bias: (K,), one number per filter.
        stride: Steps of the window, in entries.
        padding: Zeros on each side; or "same" (output as long as the input) or "valid" (none).
        dilation: Distance of kernel taps.
        groups: Groups the channels are cut into.

    Returns:
        (N, K, Q) with `Q = ⌊(L + 2·padding − dilation·(S − 1) − 1)/stride⌋ + 1`.

    Raises:
        ShapeError: If the sizes do not agree, or the kernel is longer than the padded line.
        DtypeError: If the number formats differ.

    Source: Waibel et al. 1989, "Phoneme recognition using time-delay neural networks".

    >>> conv1d(Tensor([[[1.0, 2.0, 4.0]]]), Tensor([[[-1.0, 1.0]]]))  # differences of neighbours
    tensor([[[1., 2.]]])
    """
    return _slide(ops.Conv1d, 1, input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Slide K filters through volumes, or the frames of films; otherwise as `conv2d`.

    Formula: as `conv2d`'s, with one sum and one index more, over Z slices.

    Args:
        input: x, (N, C, Z, H, W) volumes.
        weight: (K, C/groups, T, R, S) filters.
        bias: (K,), one number per filter.
        stride: Steps of the window.
        padding: Zeros on each side; or "same" (output as large as the input) or "valid" (none).
        dilation: Distance of kernel taps.
        groups: Groups the channels are cut into.

    Returns:
        (N, K, O, P, Q).

    Raises:
        ShapeError: If the sizes do not agree, or the kernel is larger than the padded volume.
        DtypeError: If the number formats differ.

    Source: Ji et al. 2013, "3D convolutional neural networks for human action recognition", section 2.1.

    >>> conv3d(Tensor([[[[[1.0, 2.0]], [[3.0, 4.0]]]]]), Tensor([[[[[1.0]], [[10.0]]]]]))  # 1 + 10·3, 2 + 10·4
    tensor([[[[[31., 42.]]]]])
    """
    return _slide(ops.Conv3d, 3, input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Convolution's way back, to larger images: each pixel stamps its filters onto the output, and stamps add up.

    Formula: `y[n, k, p·stride + r·dilation − padding, q·stride + s·dilation − padding] += x[n,c,p,q]·weight[c,k,r,s]`,
    beginning with y = bias. It is the gradient of a convolution with respect to its images; it does not invert it.

    Args:
        input: x, (N, C, H, W) images.
        weight: (C, K/groups, R, S): the filters of a convolution from K to C channels.
        bias: (K,), one number per output channel.
        stride: Distance of neighbouring stamps, in pixels.
        padding: Pixels cut off on each side.
        output_padding: Pixels that remain at the far side: a convolution with a stride brings several sizes to one,
            this chooses among them. Less than stride or dilation.
        groups: Groups the channels are cut into.
        dilation: Distance of kernel taps, in pixels.

    Returns:
        (N, K, P, Q) with `P = (H − 1)·stride − 2·padding + dilation·(R − 1) + 1 + output_padding`.

    Raises:
        ShapeError: If the sizes do not agree, or nothing would be left.
        DtypeError: If the number formats differ.

    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", chapter 4.

    >>> image = Tensor([[[[1.0, 2.0]]]])
    >>> conv_transpose2d(image, Tensor([[[[1.0, 1.0]]]]), stride=2)
    tensor([[[[1., 1., 2., 2.]]]])
    >>> conv_transpose2d(image, Tensor([[[[1.0, 10.0]]]]))  # the stamps 1 10 and 2 20 overlap
    tensor([[[[ 1., 12., 20.]]]])
    """
    settings = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    return _slide(ops.ConvTranspose2d, 2, input, weight, bias, groups=groups, **settings)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Convolution's way back along lines; otherwise as `conv_transpose2d`.

    Formula: `y[n, k, q·stride + s·dilation − padding] += x[n,c,q]·weight[c,k,s]`, beginning with y = bias.

    Args:
        input: x, (N, C, L) lines.
        weight: (C, K/groups, S).
        bias: (K,), one number per output channel.
        stride: Distance of neighbouring stamps.
        padding: Entries cut off on each side.
        output_padding: Entries that remain at the far side; less than stride or dilation.
        groups: Groups the channels are cut into.
        dilation: Distance of kernel taps.

    Returns:
        (N, K, Q) with `Q = (L − 1)·stride − 2·padding + dilation·(S − 1) + 1 + output_padding`.

    Raises:
        ShapeError: If the sizes do not agree, or nothing would be left.
        DtypeError: If the number formats differ.

    >>> conv_transpose1d(Tensor([[[1.0, 2.0]]]), Tensor([[[1.0, 10.0]]]))
    tensor([[[ 1., 12., 20.]]])
    """
    settings = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    return _slide(ops.ConvTranspose1d, 1, input, weight, bias, groups=groups, **settings)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Convolution's way back to larger volumes; otherwise as `conv_transpose2d`.

    Formula: as `conv_transpose2d`'s, with one index more, over Z slices.

    Args:
        input: x, (N, C, Z, H, W) volumes.
        weight: (C, K/groups, T, R, S).
        bias: (K,), one number per output channel.
        stride: Distance of neighbouring stamps.
        padding: Entries cut off on each side.
        output_padding: Entries that remain at the far side; less than stride or dilation.
        groups: Groups the channels are cut into.
        dilation: Distance of kernel taps.

    Returns:
        (N, K, O, P, Q).

    Raises:
        ShapeError: If the sizes do not agree, or nothing would be left.
        DtypeError: If the number formats differ.

    >>> conv_transpose3d(Tensor([[[[[2.0]]]]]), Tensor([[[[[1.0]], [[10.0]]]]]))
    tensor([[[[[ 2.]],
              [[20.]]]]])
    """
    settings = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    return _slide(ops.ConvTranspose3d, 3, input, weight, bias, groups=groups, **settings)


def _slide(
    kind: Callable[..., Function],
    rank: int,
    input: Any,
    weight: Tensor,
    bias: Tensor | None,
    groups: int,
    **windows: Ints | str,
) -> Tensor:
    """Filters over the last `rank` axes of a batch, or of one sample."""
    numbers = {name: value if isinstance(value, str) else per_axis(value, rank) for name, value in windows.items()}
    operation = kind(groups=groups, **numbers)
    x = Tensor._as_tensor(input)
    same_format(operation.name, x=x, weight=weight, bias=bias)
    return batched(lambda batch: apply(operation, batch, weight, *present(bias)), x, rank=rank)
