"""ReLU without NumPy's slow paths."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import BYTES_PER_SECOND, blocks_of
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.kernels.threads import split

Array = np.ndarray


@kernel("relu_forward", backend="cpu")
def relu_forward(x: Array) -> tuple[Array, Array]:
    """Against an array of zeros: NumPy's maximum with a number takes a slower path."""
    if x.dtype.kind != "f" or x.ndim < 2 or not x.size:
        return NotImplemented
    y, mask = np.empty_like(x), np.empty_like(x, dtype=bool)

    def work(part: int, first: int, last: int) -> None:
        for a, b in blocks_of(first, last, 4 * x[0].nbytes):
            zeros = np.zeros(x[a:b].shape, x.dtype)
            np.maximum(x[a:b], zeros, out=y[a:b])
            np.greater(x[a:b], zeros, out=mask[a:b])

    split(len(x), work, 3 * x.nbytes / BYTES_PER_SECOND)
    return y, mask


@kernel("relu_backward", backend="cpu")
def relu_backward(dy: Array, mask: Array) -> Array:
    """By a product, ten times as fast as `where`; unless 0·∞ makes NaN of it."""
    with np.errstate(invalid="ignore", over="ignore"):
        dx = dy * mask
        return NotImplemented if np.isnan(dx.sum()) else dx
