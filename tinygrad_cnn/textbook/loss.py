"""Softmax and cross-entropy in one: from scores and the right classes to one number, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def cross_entropy_forward(scores: Array, labels: Array) -> tuple[Array, Array]:
    """Measure how surprised a network is by the right answers: the mean of −log of the probability it gave them.

    Formula: `p[n,c] = e^scores[n,c] / Σⱼ e^scores[n,j]`, `loss = −1/N · Σₙ log p[n, labels[n]]`.

    Args:
        scores: (N, C), of N samples for C classes, before softmax.
        labels: (N,), the number of each sample's right class, from 0 to C − 1.

    Returns:
        The loss, one number, and the probabilities p, (N, C), in the format of the scores.

    Source: Goodfellow, Bengio & Courville 2016, "Deep learning", section 6.2.2.3.

    >>> scores = np.log(np.array([[1.0, 3.0], [2.0, 2.0]]))
    >>> loss, p = cross_entropy_forward(scores, np.array([1, 0]))
    >>> p
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    >>> round(float(np.exp(-2 * loss)), 12)   # 0.75 · 0.5: loss = −(log 0.75 + log 0.5) / 2
    0.375
    """
    N, C = scores.shape
    shifted = scores - scores.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    log_p = shifted - np.log(total)
    loss = -log_p[np.arange(N), labels].sum() / N
    return loss, e / total


def cross_entropy_backward(p: Array, labels: Array) -> Array:
    """Tell how each score changes the loss: what the network believed, minus what is true.

    Formula: `dscores[n,c] = (p[n,c] − 1)/N` where c is the right class of sample n, else `p[n,c]/N`.

    Args:
        p: (N, C), the probabilities that `cross_entropy_forward` returned.
        labels: (N,), the number of each sample's right class.

    Returns:
        dscores, (N, C), in the format of p.

    Source: Bishop 2006, "Pattern recognition and machine learning", equation 4.109.

    >>> cross_entropy_backward(np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([1, 0]))
    array([[ 0.125, -0.125],
           [-0.25 ,  0.25 ]])
    """
    N, C = p.shape
    dscores = p.copy()
    dscores[np.arange(N), labels] -= 1
    return dscores / N
