"""Padding layers: a border around lines, images or volumes."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.arguments import one_sample
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.shapes import Shape, ShapeError, padded


class _Pad(Module):
    """What the layers share, whatever their number of axes."""

    rank: int
    mode = "constant"
    value = 0.0

    def __init__(self, padding: Any) -> None:
        super().__init__()
        name, pairs = type(self).__name__, 2 * self.rank
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * pairs
        if len(self.padding) != pairs or not all(type(n) is int for n in self.padding):
            sides = ("left, right", "top, bottom", "front, back")
            raise ShapeError(
                f"{name}: padding={padding!r} must be one whole number, or {pairs}: ({', '.join(sides[: self.rank])})"
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, top + H + bottom, left + W + right)."""
        return F.pad(x, self.padding, self.mode, self.value)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C, top + H + bottom, left + W + right).

        Raises:
            ShapeError: If more is to be repeated, or cut off, than there is.
        """
        one_sample(type(self).__name__, shape, self.rank)
        return padded(shape, self.padding, self.mode, type(self).__name__)

    def extra_repr(self) -> str:
        """The padding."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """The padding and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A border of one value around lines: `ConstantPad2d` for (N, C, L), padding (left, right).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ConstantPad1d((1, 2), 7.0)(tcnn.tensor([[1.0, 2.0]])).tolist()
    [[7.0, 1.0, 2.0, 7.0, 7.0]]
    """

    rank = 1


class ConstantPad2d(_ConstantPad):
    """A border of one value around images.

    Formula: `y[n, c, top + h, left + w] = x[n,c,h,w]`, else value.

    Args:
        padding: Pixels on each side: (left, right, top, bottom), or one number for all; negative numbers cut off.
        value: What the border is made of.

    Raises:
        ShapeError: If there are not as many numbers.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ConstantPad2d((1, 0, 0, 1), 7.0)(tcnn.tensor([[[1.0, 2.0]]])).tolist()
    [[[7.0, 1.0, 2.0], [7.0, 7.0, 7.0]]]
    """

    rank = 2


class ConstantPad3d(_ConstantPad):
    """A border of one value around volumes: `ConstantPad2d` for (N, C, Z, H, W).

    The padding is (left, right, top, bottom, front, back), or one number for all.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ConstantPad3d((0, 0, 0, 0, 1, 1), 7.0)(tcnn.tensor([[[[2.0]]]])).tolist()
    [[[[7.0]], [[2.0]], [[7.0]]]]
    """

    rank = 3


class ZeroPad1d(_Pad):
    """A border of zeros around lines: `ZeroPad2d` for (N, C, L), padding (left, right).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ZeroPad1d((1, 2))(tcnn.tensor([[1.0, 2.0]])).tolist()
    [[0.0, 1.0, 2.0, 0.0, 0.0]]
    """

    rank = 1


class ZeroPad2d(_Pad):
    """A border of zeros around images.

    Formula: `y[n, c, top + h, left + w] = x[n,c,h,w]`, else 0.

    Args:
        padding: Pixels on each side: (left, right, top, bottom), or one number for all; negative numbers cut off.

    Raises:
        ShapeError: If there are not as many numbers.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ZeroPad2d((0, 1, 1, 0)).output_shape((3, 5, 4))
    (3, 6, 5)
    """

    rank = 2


class ZeroPad3d(_Pad):
    """A border of zeros around volumes: `ZeroPad2d` for (N, C, Z, H, W).

    The padding is (left, right, top, bottom, front, back), or one number for all.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ZeroPad3d((0, 0, 0, 0, 1, 1))(tcnn.tensor([[[[2.0]]]])).tolist()
    [[[[0.0]], [[2.0]], [[0.0]]]]
    """

    rank = 3


class ReflectionPad1d(_Pad):
    """A border of the line's own entries, mirrored at its ends: `ReflectionPad2d` for (N, C, L), padding (left, right).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ReflectionPad1d((2, 1))(tcnn.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]]
    """

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """A border of the image's own pixels, mirrored at its edge, which is not repeated: `cb|abc|ba`.

    Formula: `y[n,c,p,q] = x[n, c, |p − top|, |q − left|]`, and `2·(H − 1) − h` for a row h ≥ H.

    Args:
        padding: Pixels on each side: (left, right, top, bottom), or one number for all; fewer than the image has.

    Raises:
        ShapeError: If there are not as many numbers, or as many pixels.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ReflectionPad2d((2, 1, 0, 0))(tcnn.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]]]
    """

    rank, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """A border of the volume's own entries, mirrored at its faces: `ReflectionPad2d` for (N, C, Z, H, W).

    The padding is (left, right, top, bottom, front, back), or one number for all.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ReflectionPad3d((0, 0, 0, 0, 1, 1))(tcnn.tensor([[[[1.0]], [[2.0]]]])).tolist()
    [[[[2.0]], [[1.0]], [[2.0]], [[1.0]]]]
    """

    rank, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """A border that repeats the line's ends: `ReplicationPad2d` for (N, C, L), padding (left, right).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ReplicationPad1d((2, 1))(tcnn.tensor([[1.0, 2.0]])).tolist()
    [[1.0, 1.0, 1.0, 2.0, 2.0]]
    """

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """A border that repeats the pixels at the image's edge: `aa|abc|cc`.

    Formula: `y[n,c,p,q] = x[n, c, min(max(p − top, 0), H − 1), min(max(q − left, 0), W − 1)]`.

    Args:
        padding: Pixels on each side: (left, right, top, bottom), or one number for all.

    Raises:
        ShapeError: If there are not as many numbers.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ReplicationPad2d((2, 1, 0, 0))(tcnn.tensor([[[1.0, 2.0]]])).tolist()
    [[[1.0, 1.0, 1.0, 2.0, 2.0]]]
    """

    rank, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """A border that repeats the entries at the volume's faces: `ReplicationPad2d` for (N, C, Z, H, W).

    The padding is (left, right, top, bottom, front, back), or one number for all.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.ReplicationPad3d((0, 0, 0, 0, 1, 1))(tcnn.tensor([[[[1.0]], [[2.0]]]])).tolist()
    [[[[1.0]], [[1.0]], [[2.0]], [[2.0]]]]
    """

    rank, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """A border from the other end of the line: `CircularPad2d` for (N, C, L), padding (left, right).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.CircularPad1d((2, 1))(tcnn.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[2.0, 3.0, 1.0, 2.0, 3.0, 1.0]]
    """

    rank, mode = 1, "circular"


class CircularPad2d(_Pad):
    """A border from the image's other side, as if it were laid out again and again: `bc|abc|ab`.

    Formula: `y[n,c,p,q] = x[n, c, (p − top) mod H, (q − left) mod W]`.

    Args:
        padding: Pixels on each side: (left, right, top, bottom), or one number for all; at most as many as there are.

    Raises:
        ShapeError: If there are not as many numbers, or as many pixels.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.CircularPad2d((2, 1, 0, 0))(tcnn.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[2.0, 3.0, 1.0, 2.0, 3.0, 1.0]]]
    """

    rank, mode = 2, "circular"


class CircularPad3d(_Pad):
    """A border from the volume's other side: `CircularPad2d` for (N, C, Z, H, W).

    The padding is (left, right, top, bottom, front, back), or one number for all.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.CircularPad3d((0, 0, 0, 0, 1, 0))(tcnn.tensor([[[[1.0]], [[2.0]]]])).tolist()
    [[[[2.0]], [[1.0]], [[2.0]]]]
    """

    rank, mode = 3, "circular"
