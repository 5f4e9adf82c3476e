"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Function

Array = Any


@dataclass(eq=False)
class Dropout(Function):
    """Each element is dropped with probability p, the others grow by 1/(1 − p), so that the mean stays.

    Which ones is a function of (seed, offset) and the element's place: backward draws the mask again.
    """

    p: float
    seed: int
    offset: int

    def forward(self, x: Array) -> Array:
        return kernels.dropout_forward(x, self.p, self.seed, self.offset)

    def backward(self, dy: Array) -> Array:
        return kernels.dropout_backward(dy, self.p, self.seed, self.offset)
