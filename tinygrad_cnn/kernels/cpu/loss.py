"""Cross-entropy in few NumPy calls: the scores of a batch are so few numbers that the calls are all it costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu.blocks import blas_ready
from tinygrad_cnn.kernels.table import kernel

Array = np.ndarray


@kernel("class_targets", backend="cpu")
def class_targets(
    target: Array, classes: int, weight: Array | None, ignore_index: int, label_smoothing: float, dtype: Any
) -> Array:
    """One number written into each row, where no row is left out."""
    if target.ndim != 1 or target.dtype.kind not in "iu" or weight is not None or 0 <= ignore_index < classes:
        return NotImplemented
    inside = target.view(f"u{target.itemsize}") < classes  # as numbers without a sign, negative ones are the largest
    if np.count_nonzero(inside) < len(target):
        return NotImplemented
    q = np.zeros((len(target), classes), dtype)
    if label_smoothing:
        q += label_smoothing / classes
    q[np.arange(len(target)), target] += 1 - label_smoothing
    return q


@kernel("cross_entropy_forward", backend="cpu")
def cross_entropy_forward(logits: Array, target: Array) -> tuple[Array, Array]:
    """As the reference, but for the classes that are impossible, which make NaN of 0·(−∞)."""
    if logits.ndim != 2 or not blas_ready(logits, target) or not logits.size:
        return NotImplemented
    y = logits - np.maximum.reduce(logits, axis=1, keepdims=True)
    total = np.add.reduce(np.exp(y), axis=1, keepdims=True)
    np.log(total, out=total)
    np.subtract(y, total, out=y)
    loss = np.vecdot(target, y)
    if np.isnan(np.dot(loss, loss)):
        return NotImplemented
    return np.negative(loss, out=loss), y


@kernel("cross_entropy_backward", backend="cpu")
def cross_entropy_backward(dy: Array, log_probabilities: Array, target: Array) -> Array:
    """As the reference, in place."""
    if target.ndim != 2 or not blas_ready(dy, log_probabilities, target):
        return NotImplemented
    dx = np.exp(log_probabilities)
    np.multiply(dx, np.add.reduce(target, axis=1, keepdims=True), out=dx)
    np.subtract(dx, target, out=dx)
    return np.multiply(dx, dy[:, None], out=dx)
