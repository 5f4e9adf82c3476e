"""Comparisons and logic: results are bools, without a gradient."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from tinygrad_cnn import ops
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.methods.base import Methods

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor


class Comparisons(Methods):
    """Questions with an answer for each element."""

    __slots__ = ()

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._binary(ops.Plain("eq", operator.eq), self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._binary(ops.Plain("ne", operator.ne), self, other)

    def __lt__(self, other: Any) -> Tensor:
        return self._binary(ops.Plain("lt", operator.lt), self, other)

    def __le__(self, other: Any) -> Tensor:
        return self._binary(ops.Plain("le", operator.le), self, other)

    def __gt__(self, other: Any) -> Tensor:
        return self._binary(ops.Plain("gt", operator.gt), self, other)

    def __ge__(self, other: Any) -> Tensor:
        return self._binary(ops.Plain("ge", operator.ge), self, other)

    def __hash__(self) -> int:
        return id(self)

    def eq(self, other: Any) -> Tensor:
        """`x == other`."""
        return self == other

    def ne(self, other: Any) -> Tensor:
        """`x != other`."""
        return self != other

    def lt(self, other: Any) -> Tensor:
        """`x < other`."""
        return self < other

    def le(self, other: Any) -> Tensor:
        """`x <= other`."""
        return self <= other

    def gt(self, other: Any) -> Tensor:
        """`x > other`."""
        return self > other

    def ge(self, other: Any) -> Tensor:
        """`x >= other`."""
        return self >= other

    def __and__(self, other: Any) -> Tensor:
        return self._binary(ops.Plain("&", operator.and_), self, other)

    def __or__(self, other: Any) -> Tensor:
        return self._binary(ops.Plain("|", operator.or_), self, other)

    def __xor__(self, other: Any) -> Tensor:
        return self._binary(ops.Plain("^", operator.xor), self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        return self._apply(ops.Plain("~", operator.invert), self)

    def isnan(self) -> Tensor:
        """True where an element is not a number."""
        return self._apply(ops.Plain("isnan", lambda x: x != x), self)

    def isinf(self) -> Tensor:
        """True where an element is ∞ or −∞."""
        return self._apply(ops.Plain("isinf", lambda x: (x == math.inf) | (x == -math.inf)), self)

    def isfinite(self) -> Tensor:
        """True where an element is neither infinite nor NaN."""
        return self._apply(ops.Plain("isfinite", lambda x: namespace(x).isfinite(x)), self)
