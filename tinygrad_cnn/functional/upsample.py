"""Images at other sizes."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.shapes import resized


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """Lines, images or volumes at another size, larger or smaller.

    Formula: `y[i] = x[⌊i·step⌋]` for nearest, along each axis; else `y[i] = (1 − t)·x[j] + t·x[j + 1]` with the place
    `j + t = (i + ½)·step − ½`, cut off at the first and last pixel. The step is 1/scale_factor, or size before / size
    behind.

    Args:
        input: x, (N, C, L), (N, C, H, W) or (N, C, Z, H, W).
        size: The new sizes, one number for all axes or one for each.
        scale_factor: Or by how much larger they become; the size is rounded down.
        mode: "nearest" for any number of axes, "linear" for one, "bilinear" for two, "trilinear" for three.
        align_corners: Place `i·(size before − 1)/(size behind − 1)`: the centres of the corner pixels stay in place.
        recompute_scale_factor: Take the step from the rounded size instead of the scale_factor.

    Returns:
        (N, C, …) with the new sizes.

    Raises:
        ShapeError: If the mode is for another number of axes, or a size does not fit.
        ValueError: If the mode is not known or cannot align corners; if size and scale_factor are both given, or none.
        DtypeError: If whole numbers are to be blended.

    Source: PyTorch's `torch.nn.functional.interpolate`, whose places these are.

    >>> interpolate(Tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> interpolate(Tensor([[[1.0, 2.0]]]), size=3, mode="linear", align_corners=True)
    tensor([[[1. , 1.5, 2. ]]])
    """
    x = Tensor._as_tensor(input)
    sizes, scales = resized(x.shape[2:], size, scale_factor, mode)
    linear = mode != "nearest"
    if linear:
        x._needs_float("interpolate")
    elif align_corners is not None:
        raise ValueError('interpolate: align_corners is for the linear modes; mode="nearest" has no corners to align')
    if recompute_scale_factor:
        scales = (None,) * len(sizes)
    return apply(ops.Interpolate(sizes, scales, linear, bool(align_corners)), x)
