"""Convolutions: filters that slide over images."""

from __future__ import annotations

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.functional.arguments import batched, pair, present, same_format
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
    x = Tensor._as_tensor(input)
    same_format("conv2d", x=x, weight=weight, bias=bias)
    operation = ops.Conv2d(pair(stride), padding if isinstance(padding, str) else pair(padding), pair(dilation), groups)
    return batched(lambda images: apply(operation, images, weight, *present(bias)), x)
