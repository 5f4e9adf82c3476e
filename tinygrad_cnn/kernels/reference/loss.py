"""Cross-entropy."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.reference.activations import log_softmax_forward
from tinygrad_cnn.kernels.table import kernel

Array = Any


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
