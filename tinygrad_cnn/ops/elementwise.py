"""Operations on each element by itself; two arrays are broadcast, and the gradient is summed back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import Backend, backend_of, namespace
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Shape, broadcast_shapes

Array = Any


class Broadcast(Function):
    """Operands, broadcast to one shape; each is an array or a Python number."""

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        common: Shape = ()
        for shape in reversed(shapes):
            if shape and shape != common:
                common = broadcast_shapes(self.name, shape, common) if common else shape
        return {}

    def returned(self, *gradients: Array | None) -> tuple[Array | None, ...]:
        """The gradients, each summed to the shape its operand had before broadcasting."""
        returned: list[Array | None] = []
        for d, shape, parent in zip(gradients, self.input_shapes, self.parents):
            if d is None or parent is None:
                returned.append(None)
            else:
                returned.append(d if d.shape == shape else kernels.unbroadcast(d, shape))
        return tuple(returned)


class Add(Broadcast):
    """x + y."""

    def forward(self, x: Array, y: Array) -> Array:
        return x + y

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        return self.returned(dz, dz)


class Sub(Broadcast):
    """x − y."""

    def forward(self, x: Array, y: Array) -> Array:
        return x - y

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        return self.returned(dz, -dz)


class Mul(Broadcast):
    """x · y; each is the other's derivative."""

    def forward(self, x: Array, y: Array) -> Array:
        # each is kept only where the other wants a gradient
        self.save(x=x if self.needs.y else None, y=y if self.needs.x else None)
        return x * y

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        x, y = self.saved.x, self.saved.y
        return self.returned(dz * y if self.needs.x else None, dz * x if self.needs.y else None)


class Div(Broadcast):
    """x / y."""

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x=x if self.needs.y else None, y=y)
        return x / y

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        x, y = self.saved.x, self.saved.y
        dx = dz / y
        return self.returned(dx, -dx * (x / y) if self.needs.y else None)


class Pow(Broadcast):
    """x to the power of y, both arrays; `dx = y·x^(y−1)`, `dy = x^y·log x`."""

    def forward(self, x: Array, y: Array) -> Array:
        z = (x**y).astype(x.dtype, copy=False)  # NumPy makes int8 of bools
        self.save(x=x, y=y, z=z)
        return z

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        x, y, z = self.saved.x, self.saved.y, self.saved.z
        xp = namespace(dz)
        dx = dy = None
        if self.needs.x:  # x⁰ is constant, also at x = 0, where y·x^(y−1) would be 0·∞
            dx = xp.where(y == 0, 0, dz * y * x ** xp.where(y == 0, 1, y - 1))
        if self.needs.y:  # 0^y is constant for y ≥ 0, where 0·log 0 would be NaN
            constant = (x == 0) & (y >= 0)
            dy = xp.where(constant, 0, dz * z * xp.log(xp.where(constant, 1, x)))
        return self.returned(dx, dy)


@dataclass(eq=False)
class PowNumber(Function):
    """x to the power of a Python number n; `dx = n·x^(n−1)`."""

    name = "pow"
    exponent: float

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return x * x if self.exponent == 2 else x**self.exponent

    def backward(self, dy: Array) -> Array:
        x, n = self.saved.x, self.exponent
        if n == 0:  # constant, also at x = 0
            return dy * 0
        return dy * (2 * x) if n == 2 else dy * (n * x ** (n - 1))


class FloorDivide(Broadcast):
    """⌊x/y⌋."""

    differentiable = False

    def forward(self, x: Array, y: Array) -> Array:
        self.refuse_zero(y)
        return x // y

    def refuse_zero(self, y: Array) -> None:
        """Whole numbers have no infinity to answer with (floats do)."""
        if y.dtype.kind in "iu" and backend_of(y).checks_values and (y == 0).any():
            raise ZeroDivisionError(f"{self.name}: the divisor holds a 0, and whole numbers have no ∞; use floats")


class Remainder(FloorDivide):
    """x − y·⌊x/y⌋, which has the sign of y."""

    differentiable = True

    def forward(self, x: Array, y: Array) -> Array:
        self.refuse_zero(y)
        self.save(x=x, y=y)
        return x % y

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        return self.returned(dz, -dz * namespace(dz).floor(self.saved.x / self.saved.y))


class Selection(Broadcast):
    """One of two operands, element by element; equals share the gradient."""

    def select(self, z: Array, x: Array, y: Array) -> Array:
        """Remember which operand each element of z is."""
        self.save(is_x=z == x, is_y=z == y)
        return z

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        is_x, is_y = self.saved.is_x, self.saved.is_y
        xp = namespace(dz)
        share = xp.where(is_x & is_y, dz * 0.5, dz)
        return self.returned(xp.where(is_x, share, 0), xp.where(is_y, share, 0))


class Maximum(Selection):
    """The larger of two."""

    def forward(self, x: Array, y: Array) -> Array:
        return self.select(namespace(x).maximum(x, y), x, y)


class Minimum(Selection):
    """The smaller of two."""

    def forward(self, x: Array, y: Array) -> Array:
        return self.select(namespace(x).minimum(x, y), x, y)


class Where(Broadcast):
    """x where the condition holds, else y."""

    def forward(self, condition: Array, x: Array, y: Array) -> Array:
        self.save(condition=condition)
        return namespace(condition).where(condition, x, y)

    def backward(self, dz: Array) -> tuple[Array | None, ...]:
        condition, xp = self.saved.condition, namespace(dz)  # where, not times: 0·∞ would be NaN
        dx = xp.where(condition, dz, 0) if self.needs.x else None
        dy = xp.where(condition, 0, dz) if self.needs.y else None
        return self.returned(None, dx, dy)


class Neg(Function):
    """−x."""

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, dy: Array) -> Array:
        return -dy


class Exp(Function):
    """eˣ, its own derivative."""

    def forward(self, x: Array) -> Array:
        y = namespace(x).exp(x)
        self.save(y=y)
        return y

    def backward(self, dy: Array) -> Array:
        return dy * self.saved.y


class Log(Function):
    """The natural logarithm; `dx = dy/x`."""

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return namespace(x).log(x)

    def backward(self, dy: Array) -> Array:
        return dy / self.saved.x


class Sqrt(Function):
    """√x; `dx = dy/(2√x)`."""

    def forward(self, x: Array) -> Array:
        y = namespace(x).sqrt(x)
        self.save(y=y)
        return y

    def backward(self, dy: Array) -> Array:
        return dy / (2 * self.saved.y)


class Sin(Function):
    """The sine, of radians."""

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return namespace(x).sin(x)

    def backward(self, dy: Array) -> Array:
        return dy * namespace(dy).cos(self.saved.x)


class Cos(Function):
    """The cosine, of radians."""

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return namespace(x).cos(x)

    def backward(self, dy: Array) -> Array:
        return -dy * namespace(dy).sin(self.saved.x)


class Abs(Function):
    """|x|; at 0 the derivative is taken as 0."""

    def forward(self, x: Array) -> Array:
        xp = namespace(x)
        self.save(sign=xp.sign(x))
        return xp.abs(x)

    def backward(self, dy: Array) -> Array:
        return dy * self.saved.sign


@dataclass(eq=False)
class Clamp(Function):
    """x held between `low` and `high`; outside no gradient comes back."""

    low: float | None = None
    high: float | None = None

    def forward(self, x: Array) -> Array:
        xp = namespace(x)
        y = x if self.low is None else xp.maximum(x, self.low)
        y = y if self.high is None else xp.minimum(y, self.high)
        self.save(inside=y == x)
        return y

    def backward(self, dy: Array) -> Array:
        return namespace(dy).where(self.saved.inside, dy, 0)


@dataclass(eq=False)
class Cast(Function):
    """x in another number format; the walk hands every gradient over in its own tensor's format."""

    dtype_to: np.dtype

    def forward(self, x: Array) -> Array:
        return x.astype(self.dtype_to)

    def backward(self, dy: Array) -> Array:
        return dy


@dataclass(eq=False)
class Transfer(Function):
    """x on another device; its gradient comes back."""

    home: Backend
    to: Backend

    def forward(self, x: Array) -> Array:
        return self.to.asarray(x)

    def backward(self, dy: Array) -> Array:
        return self.home.asarray(dy)
