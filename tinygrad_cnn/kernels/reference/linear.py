"""The fully connected layer."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.kernels.table import kernel

Array = Any


@kernel("linear_forward")
def linear_forward(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """`y = x·weightᵀ + bias` for x (…, F), weight (D, F), bias (D,)."""
    y = x @ weight.T
    return y if bias is None else y + bias


@kernel("linear_backward")
def linear_backward(dy: Array, x: Array, weight: Array, needs: Any) -> tuple[Array, ...]:
    """`dx = dy·weight`, `dweight = dyᵀ·x`, `dbias = Σ dy`, the sums over all leading dimensions."""
    D, F = weight.shape
    dx = dy @ weight if needs.x else None
    rows = math.prod(dy.shape[:-1])
    dweight = dy.reshape(rows, D).T @ x.reshape(rows, F) if needs.weight else None
    dbias = dy.reshape(rows, D).sum(axis=0) if needs.bias else None
    return dx, dweight, dbias
