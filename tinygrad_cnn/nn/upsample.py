"""Upsampling layers: larger lines, images or volumes, no parameters."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.shapes import Shape, resized


class Upsample(Module):
    """Lines, images or volumes at another size.

    Formula: for nearest `y[i] = x[⌊i·step⌋]` along each axis; for the linear modes a blend of the two pixels around
    the place `(i + ½)·step − ½`; the step is 1/scale_factor, or size before / size behind.

    Args:
        size: The new sizes, one number for all axes or one for each.
        scale_factor: Or by how much larger they become; the size is rounded down.
        mode: `"nearest"`, or `"linear"`, `"bilinear"`, `"trilinear"` for one, two and three axes.
        align_corners: Whether the centres of the corner pixels stay in place, instead of the edges.
        recompute_scale_factor: Take the scale from the rounded size.

    Raises:
        ValueError, ShapeError: When it is used, as `F.interpolate`.

    Source: Odena, Dumoulin & Olah 2016, "Deconvolution and checkerboard artifacts": resizing, and then a convolution,
    instead of a transposed convolution.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Upsample(scale_factor=2)(tcnn.tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, P, Q)."""
        return F.interpolate(
            x, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C, P, Q).

        Raises:
            ShapeError: If there are other numbers of sizes, or nothing would be left.
        """
        sizes, _ = resized(tuple(shape[1:]), self.size, self.scale_factor, self.mode, type(self).__name__)
        return (shape[0], *sizes)

    def extra_repr(self) -> str:
        """The size or scale, and the mode."""
        wanted = f"size={self.size!r}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{wanted}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Images at another size, each pixel the nearest one: `Upsample` with mode nearest.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.UpsamplingNearest2d(size=(1, 4))(tcnn.tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.0, 2.0, 2.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """Images at another size, each pixel a blend of four: `Upsample` with mode bilinear and aligned corners.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.UpsamplingBilinear2d(size=(1, 3))(tcnn.tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.5, 2.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)
