"""The fully connected layer, its features split over threads: each thread reads only its own weights.

With many features and few samples (AlexNet's fc6: 38 million weights for 16 images) the time goes into reading the
weights, so that dividing the samples would have every thread read all of them.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import layout, spares
from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, FLOPS, blas_ready
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split, together

Array = np.ndarray


@kernel("linear_forward", backend="cpu")
def linear_forward(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Output features split over threads. y lies in memory as x does."""
    if not blas_ready(x, weight) or not x.size or not weight.size:
        return NotImplemented
    D, F = weight.shape
    rows = x.reshape(-1, F)
    y = layout.empty((len(rows), D), x.dtype, layout.batch_last(rows))

    def work(part: int, first: int, last: int) -> None:
        out = y[:, first:last]
        np.matmul(rows, weight[first:last].T, out=out)
        if bias is not None:
            np.add(out, bias[first:last], out=out)

    split(D, work, _seconds(rows, weight))
    return y.reshape(*x.shape[:-1], D)


@kernel("linear_backward", backend="cpu")
def linear_backward(dy: Array, x: Array, weight: Array, needs: Any) -> tuple[Array | None, ...]:
    """Split by input features for dx, by output features for dweight, so that no partial sums have to be added.

    dx lies in memory as x does: behind a flattened image with the batch innermost, that is what the image wants.
    """
    if not blas_ready(x, weight, dy) or not x.size or not dy.size:
        return NotImplemented
    D, F = weight.shape
    dy_rows, x_rows = dy.reshape(-1, D), x.reshape(-1, F)
    seconds = _seconds(x_rows, weight)
    dx = layout.empty(x_rows.shape, x.dtype, layout.batch_last(x_rows)) if needs.x else None
    dweight = spares.take(weight) if needs.weight else None

    def inputs(dx: Array) -> None:
        split(F, lambda _, a, b: np.matmul(dy_rows, weight[:, a:b], out=dx[:, a:b]), seconds)

    def weights(dweight: Array) -> None:
        split(D, lambda _, a, b: np.matmul(dy_rows[:, a:b].T, x_rows, out=dweight[a:b]), seconds)

    tasks = ((weights, dweight), (inputs, dx))
    together(2 * seconds, *[functools.partial(task, out) for task, out in tasks if out is not None])
    dbias = dy_rows.sum(axis=0) if needs.bias else None
    return None if dx is None else dx.reshape(x.shape), dweight, dbias


def _seconds(rows: Array, weight: Array) -> float:
    return 2 * len(rows) * weight.size / FLOPS + weight.nbytes / BYTES_PER_SECOND
