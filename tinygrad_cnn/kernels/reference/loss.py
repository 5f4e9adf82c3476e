"""Cross-entropy."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.reference.activations import log_softmax_forward
from tinygrad_cnn.kernels.table import kernel

Array = Any


@kernel("class_targets")
def class_targets(
    target: Array, classes: int, weight: Array | None, ignore_index: int, label_smoothing: float, dtype: Any
) -> Array:
    """What each class should score, (N, C, …): 1 for the right one, smoothed, times its weight, 0 if ignored."""
    xp = namespace(target)
    axis = xp.arange(classes).reshape((-1,) + (1,) * (target.ndim - 1))
    target = xp.expand_dims(target, 1)
    q = (target == axis).astype(dtype) * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        q = q * weight.reshape(axis.shape)
    inside = (target >= 0) & (target < classes)
    # a class that does not exist gives NaN where looking at the values would be slow (on a GPU)
    return xp.where(target == ignore_index, 0, xp.where(inside, q, xp.nan)).astype(dtype)


@kernel("cross_entropy_forward")
def cross_entropy_forward(logits: Array, target: Array) -> tuple[Array, Array]:
    """`lossₙ = −Σ_c target[n,c]·log softmax(logits)[n,c]` for target probabilities (N, C, …), and log softmax."""
    log_probabilities = log_softmax_forward(logits, 1)
    # 0·(−∞) is nothing here: a class that is not the target may be impossible
    terms = namespace(logits).where(target != 0, target * log_probabilities, 0)
    return -terms.sum(axis=1), log_probabilities


@kernel("cross_entropy_backward")
def cross_entropy_backward(dy: Array, log_probabilities: Array, target: Array) -> Array:
    """`dlogits = (softmax·Σ_c target − target)·dy`: the famous `p − y` where the target sums to one."""
    xp = namespace(target)
    return (xp.exp(log_probabilities) * target.sum(axis=1, keepdims=True) - target) * xp.expand_dims(dy, 1)
