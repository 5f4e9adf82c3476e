"""The methods that are called like Python's types: a number format each."""

from __future__ import annotations

from typing import Any, Self

from tinygrad_cnn import dtypes
from tinygrad_cnn.methods.base import Methods


class Formats(Methods):
    """Conversions; in a class of their own, where `float` and `int` hide no annotation."""

    __slots__ = ()

    def float(self) -> Self:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self) -> Self:
        """As float64."""
        return self.to(dtypes.float64)

    def half(self) -> Self:
        """As float16."""
        return self.to(dtypes.float16)

    def int(self) -> Self:
        """As int32."""
        return self.to(dtypes.int32)

    def long(self) -> Self:
        """As int64."""
        return self.to(dtypes.int64)

    def bool(self) -> Self:
        """As bool: what is not 0 is True."""
        return self.to(dtypes.bool_)

    def type(self, dtype: Any) -> Self:
        """In another number format: `to`."""
        return self.to(dtype=dtype)
