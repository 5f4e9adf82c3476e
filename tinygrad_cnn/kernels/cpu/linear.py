"""The fully connected layer, its rows or features split over threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import FLOPS, blas_ready
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split

Array = np.ndarray


@kernel("linear_forward", backend="cpu")
def linear_forward(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Samples split over threads."""
    if not blas_ready(x, weight) or not x.size:
        return NotImplemented
    D, F = weight.shape
    rows = x.reshape(-1, F)
    y = np.empty((len(rows), D), x.dtype)

    def work(part: int, first: int, last: int) -> None:
        np.matmul(rows[first:last], weight.T, out=y[first:last])
        if bias is not None:
            y[first:last] += bias

    split(len(rows), work, 2 * rows.size * D / FLOPS)
    return y.reshape(*x.shape[:-1], D)


@kernel("linear_backward", backend="cpu")
def linear_backward(dy: Array, x: Array, weight: Array, needs: Any) -> tuple[Array | None, ...]:
    """Split by samples for dx, by output features for dweight, so that no partial sums have to be added."""
    if not blas_ready(x, weight, dy) or not x.size or not dy.size:
        return NotImplemented
    D, F = weight.shape
    dy_rows, x_rows = dy.reshape(-1, D), x.reshape(-1, F)
    dx = np.empty_like(x_rows, order="C") if needs.x else None
    dweight = np.empty_like(weight, order="C") if needs.weight else None
    seconds = 2 * x_rows.size * D / FLOPS
    if dx is not None:
        split(len(dx), lambda part, a, b: np.matmul(dy_rows[a:b], weight, out=dx[a:b]), seconds)
    if dweight is not None:
        split(D, lambda part, a, b: np.matmul(dy_rows[:, a:b].T, x_rows, out=dweight[a:b]), seconds)
    dbias = dy_rows.sum(axis=0) if needs.bias else None
    return None if dx is None else dx.reshape(x.shape), dweight, dbias
