"""Functions of each element by itself, and choices between two tensors element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import dtypes, ops
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.function import Function
from tinygrad_cnn.methods.base import Methods, is_bool

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor


class Elementwise(Methods):
    """The result has the tensor's shape, or the one it is broadcast to."""

    __slots__ = ()

    def _floating(self, operation: Function) -> Tensor:
        """Apply to floats; whole numbers become float32 first."""
        return self._apply(operation, *self._operands(operation.name, self, floating=True))

    def exp(self) -> Tensor:
        """`eˣ`."""
        return self._floating(ops.Exp())

    def log(self) -> Tensor:
        """The natural logarithm."""
        return self._floating(ops.Log())

    def sqrt(self) -> Tensor:
        """The square root."""
        return self._floating(ops.Sqrt())

    def sin(self) -> Tensor:
        """The sine, of radians."""
        return self._floating(ops.Sin())

    def cos(self) -> Tensor:
        """The cosine, of radians."""
        return self._floating(ops.Cos())

    def tanh(self) -> Tensor:
        """The hyperbolic tangent, between −1 and 1."""
        return self._floating(ops.Tanh())

    def sigmoid(self) -> Tensor:
        """`1/(1 + e⁻ˣ)`, between 0 and 1."""
        return self._floating(ops.Sigmoid())

    def abs(self) -> Tensor:
        """The absolute value."""
        return self._apply(ops.Abs(), self)

    def __abs__(self) -> Tensor:
        return self.abs()

    def relu(self) -> Tensor:
        """`max(x, 0)`."""
        if is_bool(self):
            raise DtypeError("relu: takes numbers, not bools; convert with .float()")
        return self._apply(ops.ReLU(), self)

    def sign(self) -> Tensor:
        """−1, 0 or 1."""
        return self._apply(ops.Flat("sign", lambda x: x if x.dtype == dtypes.bool_ else namespace(x).sign(x)), self)

    def floor(self) -> Tensor:
        """The next whole number below."""
        return self._apply(ops.Flat("floor", lambda x: namespace(x).floor(x)), self)

    def ceil(self) -> Tensor:
        """The next whole number above."""
        return self._apply(ops.Flat("ceil", lambda x: namespace(x).ceil(x)), self)

    def round(self) -> Tensor:
        """The nearest whole number, halves to the even one."""
        return self._apply(ops.Flat("round", lambda x: namespace(x).round(x)), self)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element held between `min` and `max`, numbers or tensors; where they cross, `max` wins."""
        low, high = (v.item() if isinstance(v, np.generic) else v for v in (min, max))
        limits = [v for v in (low, high) if v is not None]
        if not limits:
            raise ValueError("clamp: give min, max or both")
        if all(isinstance(v, (int, float)) for v in limits):
            return self._apply(ops.Clamp(low, high), self._operands("clamp", self, *limits)[0])
        self._given("clamp", self, *limits)  # refuses what is no number
        held: Any = self
        if low is not None:
            held = held.where(~(held < low), low)  # a NaN stays
        return held if high is None else held.where(~(held > high), high)

    clip = clamp

    def maximum(self, other: Any) -> Tensor:
        """The larger of two, element by element; equals share the gradient."""
        return self._apply(ops.Maximum(), *self._given("maximum", self, other))

    def minimum(self, other: Any) -> Tensor:
        """The smaller of two, element by element; equals share the gradient."""
        return self._apply(ops.Minimum(), *self._given("minimum", self, other))

    def where(self, condition: Any, other: Any) -> Tensor:
        """This tensor where the condition holds, else `other`."""
        x, other = self._given("where", self, other)
        return self._apply(ops.Where(), self._as_tensor(condition, self.backend).bool(), x, other)

    def masked_fill(self, mask: Any, value: float) -> Tensor:
        """`value` where the mask is true, else this tensor."""
        return self.where(~self._as_tensor(mask, self.backend).bool(), value).to(self.dtype)
