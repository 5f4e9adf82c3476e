"""Pooling: one number for each window, channel by channel; the windows lie on lines, images or volumes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import backend_of, namespace
from tinygrad_cnn.dtypes import DtypeError, accumulator, bool_
from tinygrad_cnn.function import Function
from tinygrad_cnn.kernels import Kernel
from tinygrad_cnn.shapes import Shape, ShapeError, Window

Array = Any

# a window's number of axes → the letters of what it slides over
LAYOUTS = {1: "NCL", 2: "NCHW", 3: "NCZHW"}


@dataclass(eq=False)
class Pool(Function):
    """A window slides over each channel of x; name and kernels end in its number of axes: `max_pool2d`."""

    window: Window

    def __post_init__(self) -> None:
        layout = LAYOUTS[self.window.rank]
        self.name = f"{type(self).name}{self.window.rank}d"
        self.signature = f"x:{layout} -> NC..."
        self.remedies = {"rank": f"x is ({', '.join(layout)}): add a batch of one with x[None]"}

    def kernel(self, way: str) -> Kernel:
        """`kernels.max_pool2d_forward` for way "forward"."""
        return kernels.get(f"{self.name}_{way}")

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        x, sizes = shapes[0] or (), super().check_shapes(shapes)
        for (before, _), kernel in zip(self.window.pads, self.window.kernel):
            if 2 * before > kernel:
                raise ShapeError(
                    f"{self.name}: padding {before} is more than half of the kernel ({kernel}): "
                    "windows would lie in the padding alone"
                )
        self.out = self.window.outs(x[2:], operation=f"{self.name}: x {x}, kernel {self.window.kernel}")
        return sizes

    def attributes(self) -> dict[str, Any]:
        """The window's numbers."""
        w = self.window
        return {"kernel_size": w.kernel, "stride": w.stride, "padding": w.padding}

    def counts(self, like: Array, include_pad: bool = True) -> Any:
        """Pixels that count in each window: one number if all have as many, else an array that fits (P, Q).

        Padding counts if asked to, but never what ceil_mode lets hang over its far edge.
        """
        xp, w, count = namespace(like), self.window, 1
        for axis, size in enumerate(self.input_shapes[0][2:]):
            (before, behind), kernel, stride, n = w.pads[axis], w.kernel[axis], w.stride[axis], self.out[axis]
            low, high = (-before, size + behind) if include_pad else (0, size)
            if low <= -before and (n - 1) * stride - before + kernel <= high:
                count = count * kernel
            else:
                starts = xp.arange(n).reshape((n,) + (1,) * (w.rank - 1 - axis)) * stride - before
                pixels = xp.minimum(starts + kernel, high) - xp.maximum(starts, low)
                count = count * pixels.astype(accumulator(like.dtype))
        return count


class MaxPool(Pool):
    """The largest pixel of each window, and the number of the kernel tap that held it."""

    def check(self, x: Array) -> None:
        if x.dtype == bool_:
            raise DtypeError(f"{self.name}: needs numbers, not bools; convert with .float()")

    def forward(self, x: Array) -> tuple[Array, Array]:
        y, index = self.kernel("forward")(x, self.window)
        self.save(index=index)  # not x: 1 byte per output
        return y, index

    def backward(self, dy: Array) -> Array:
        return self.kernel("backward")(dy, self.saved.index, self.input_shapes[0], self.window)


@dataclass(eq=False)
class AvgPool(Pool):
    """The mean of each window."""

    count_include_pad: bool = True
    divisor_override: int | None = None

    def forward(self, x: Array) -> Array:
        return self.kernel("forward")(x, self.window, self.divisor(x))

    def backward(self, dy: Array) -> Array:
        return self.kernel("backward")(dy, self.input_shapes[0], self.window, self.divisor(dy))

    def divisor(self, like: Array) -> Any:
        """What the sum of each window is divided by."""
        return self.divisor_override or self.counts(like, self.count_include_pad)


@dataclass(eq=False)
class LpPool(Pool):
    """The p-norm of each window; one that hangs over the edge counts as if its missing pixels were like the others."""

    norm_type: float

    def forward(self, x: Array) -> Array:
        y = self.kernel("forward")(x, self.window, self.norm_type, self.scale(x))
        self.save(x=x, y=y)
        return y

    def backward(self, dy: Array) -> Array:
        return self.kernel("backward")(dy, **self.saved, window=self.window, p=self.norm_type, scale=self.scale(dy))

    def scale(self, like: Array) -> Any:
        """The window's pixels over those of them that lie in the image."""
        return len(self.window) / self.counts(like)

    def attributes(self) -> dict[str, Any]:
        """The window's numbers and the norm's."""
        return {"norm_type": self.norm_type, **super().attributes()}


@dataclass(eq=False)
class FeatureLpPool(Function):
    """The p-norm over groups of neighbouring channels: pooling along `dim`, as if channels were rows."""

    norm_type: float
    channels: int
    stride: int
    dim: int

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        x = shapes[0] or ()
        before, C, behind = x[: self.dim], x[self.dim], x[self.dim + 1 :]
        self.groups = Window((self.channels, 1), (self.stride, 1))
        K, _ = self.groups.outs((C, 1), operation=f"feature_lp_pool: x {x}, {self.channels} of {C} channels")
        self.shape_to = (*before, K, *behind)
        self.x_rows, self.y_rows = ((prod(before), 1, n, prod(behind)) for n in (C, K))  # (N, C, H, W) -> (N, 1, C, HW)
        return {}

    def forward(self, x: Array) -> Array:
        y = kernels.lp_pool2d_forward(x.reshape(self.x_rows), self.groups, self.norm_type, 1).reshape(self.shape_to)
        self.save(x=x, y=y)
        return y

    def backward(self, dy: Array) -> Array:
        x, y = self.saved.x.reshape(self.x_rows), self.saved.y.reshape(self.y_rows)
        dx = kernels.lp_pool2d_backward(dy.reshape(self.y_rows), x, y, self.groups, self.norm_type, 1)
        return dx.reshape(self.input_shapes[0])


@dataclass(eq=False)
class MaxUnpool(Function):
    """Each number at its place in a plane of zeros: the way back of max pooling, from its indices."""

    sizes: Shape

    def __post_init__(self) -> None:
        self.name = f"max_unpool{len(self.sizes)}d"

    def check(self, x: Array, indices: Array) -> None:
        places = prod(self.sizes)
        if x.shape != indices.shape or x.ndim != 2 + len(self.sizes):
            layout = ", ".join(LAYOUTS[len(self.sizes)])
            raise ShapeError(
                f"{self.name}: x {x.shape} and indices {indices.shape} must be equal, ({layout}): the results of max "
                "pooling with return_indices=True"
            )
        if backend_of(x).checks_values and indices.size and not 0 <= indices.min() <= indices.max() < places:
            raise IndexError(
                f"{self.name}: indices {indices.min()}..{indices.max()} must lie in 0..{places - 1}, the places of a "
                f"plane of {'×'.join(map(str, self.sizes))}; is output_size that of the image that was pooled?"
            )

    def forward(self, x: Array, indices: Array) -> Array:
        self.save(indices=indices)
        return kernels.get(f"{self.name}_forward")(x, indices, self.sizes)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return kernels.get(f"{self.name}_backward")(dy, self.saved.indices), None
