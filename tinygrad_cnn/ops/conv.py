"""Convolution and its way back, along one, two or three axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.function import Function, Needs
from tinygrad_cnn.shapes import Ints, Shape, ShapeError, Window, window

Array = Any


@dataclass(eq=False)
class Conv(Function):
    """Cross-correlation of x with weight, plus bias."""

    remedies = {  # noqa: RUF012
        "C": "does in_channels fit x, and is axis 1 of a batch its channels?",
        "rank": "add a batch of one with x[None], or channels with x[:, None]",
    }
    stride: Ints = 1
    padding: Ints | str = 0
    dilation: Ints = 1
    groups: int = 1

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        _check_groups(self)
        sizes = super().check_shapes(shapes)
        x, weight = shapes[0] or (), shapes[1] or ()
        self.window = _window(self, weight, sizes)
        # refuses a kernel larger than the padded image
        self.window.outs(x[2:], operation=f"{self.name}: x {x}, kernel {weight[2:]}")
        return sizes

    def kernel(self, way: str) -> kernels.Kernel:
        """`kernels.conv2d_forward` for way "forward"."""
        return kernels.get(f"{self.name}_{way}")

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        self.save(x=x, weight=weight)  # x, not its columns: R·S times smaller
        return self.kernel("forward")(x, weight, bias, self.window, self.groups)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        return self.kernel("backward")(dy, **self.saved, window=self.window, groups=self.groups, needs=self.needs)


class Conv1d(Conv):
    """Filters slide along lines."""

    signature = "x:NCL, weight:KC/groupsS, bias?:K -> NKQ"


class Conv2d(Conv):
    """Filters slide over images."""

    signature = "x:NCHW, weight:KC/groupsRS, bias?:K -> NKPQ"


class Conv3d(Conv):
    """Filters slide through volumes."""

    signature = "x:NCZHW, weight:KC/groupsTRS, bias?:K -> NKOPQ"


@dataclass(eq=False)
class ConvTranspose(Function):
    """The way back of a convolution: each pixel of x stamps its filters onto y, stride pixels apart, and stamps add up.

    So forward is what convolution's backward does to dy, and backward is a convolution of dy.
    """

    remedies = Conv.remedies
    stride: Ints = 1
    padding: Ints = 0
    output_padding: Ints = 0
    groups: int = 1
    dilation: Ints = 1

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        _check_groups(self)
        sizes = super().check_shapes(shapes)
        x, weight = shapes[0] or (), shapes[1] or ()
        if isinstance(self.padding, str):
            raise TypeError(f"{self.name}: padding={self.padding!r} must be whole numbers")
        self.stamp = _window(self, weight, sizes)
        operation = f"{self.name}: x {x}, kernel {weight[2:]}"
        self.sizes = self.stamp.back(x[2:], self.output_padding, operation)
        return sizes

    def kernel(self, way: str) -> kernels.Kernel:
        """`kernels.conv2d_forward` for way "forward"."""
        return kernels.get(f"{self.name.replace('_transpose', '')}_{way}")

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        self.save(x=x, weight=weight)
        xp, K = namespace(x), weight.shape[1] * self.groups
        like = xp.broadcast_to(xp.zeros((), dtype=x.dtype), (len(x), K, *self.sizes))  # a shape, without memory
        needs = Needs(self.input_names, (True, False, False))
        y, *_ = self.kernel("backward")(x, like, weight, self.stamp, self.groups, needs=needs)
        return y if bias is None else y + bias.reshape(K, *[1] * len(self.sizes))

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        x, weight = self.saved.x, self.saved.weight
        dx = dweight = dbias = None
        if self.needs.x:
            dx = self.kernel("forward")(dy, weight, None, self.stamp, self.groups)
            dx = dx[(..., *map(slice, x.shape[2:]))]  # output_padding may leave room for one step more
        if self.needs.weight:
            needs = Needs(self.input_names, (False, True, False))
            _, dweight, _ = self.kernel("backward")(x, dy, weight, self.stamp, self.groups, needs=needs)
        if self.needs.bias:
            dbias = dy.sum(axis=(0, *range(2, dy.ndim)), dtype=accumulator(dy.dtype)).astype(dy.dtype)
        return dx, dweight, dbias


class ConvTranspose1d(ConvTranspose):
    """Filters are stamped onto lines."""

    signature = "x:NCL, weight:CK/groupsS, bias?:K -> NKQ"


class ConvTranspose2d(ConvTranspose):
    """Filters are stamped onto images."""

    signature = "x:NCHW, weight:CK/groupsRS, bias?:K -> NKPQ"


class ConvTranspose3d(ConvTranspose):
    """Filters are stamped into volumes."""

    signature = "x:NCZHW, weight:CK/groupsTRS, bias?:K -> NKOPQ"


def _check_groups(operation: Conv | ConvTranspose) -> None:
    """Refuse a number of groups that the signature would multiply channels with."""
    if operation.groups < 1:
        raise ShapeError(f"{operation.name}: groups={operation.groups} must be at least 1")


def _window(operation: Conv | ConvTranspose, weight: Shape, sizes: dict[str, int]) -> Window:
    """The window of an operation, whose groups divide the channels."""
    groups, kernel = operation.groups, weight[2:]
    C, K = sizes["C"], sizes["K"]
    if C % groups or K % groups:
        raise ShapeError(
            f"{operation.name}: {C} input and {K} output channels cannot be cut into groups={groups} equal groups; "
            "groups must divide both"
        )
    for name in ("stride", "padding", "dilation", "output_padding"):
        value = getattr(operation, name, 0)
        if isinstance(value, tuple) and len(value) not in (1, len(kernel)):
            raise ShapeError(
                f"{operation.name}: {name}={value} must be one whole number, or {len(kernel)}, one for each axis of "
                f"kernel {kernel}"
            )
    return window(kernel, operation.stride, operation.padding, operation.dilation)
