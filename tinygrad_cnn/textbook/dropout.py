"""Dropout: numbers set to 0 at random, in training."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def dropout_forward(x: Array, p: float, training: bool, random: Array) -> tuple[Array, Array]:
    """Drop each number with probability p, and scale up those that are kept; only in training.

    Formula: `y = x·keep/(1 − p)` with `keep = random ≥ p`: on average over all masks y is x, so that nothing needs to
    be scaled later. Without training `y = x`.

    Args:
        x: Numbers, of any shape.
        p: Probability of being dropped, from 0 to below 1.
        training: False: nothing is dropped.
        random: One random number in [0, 1) for each of x.

    Returns:
        y, like x, in its format.
        keep, like x, bool: True for what was kept; all True without training.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", section 10 for
    scaling in training.

    >>> x, random = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.9, 0.1, 0.5, 0.3])
    >>> dropout_forward(x, p=0.5, training=True, random=random)
    (array([2., 0., 6., 0.]), array([ True, False,  True, False]))
    """
    if not training:
        return x, np.ones(x.shape, dtype=bool)
    keep = random >= p
    y = x * keep / (1 - p)
    return y, keep


def dropout_backward(dy: Array, keep: Array, p: float) -> Array:
    """What was kept gets its gradient, scaled as it was itself; what was dropped gets 0.

    Formula: `dx = dy·keep/(1 − p)`.

    Args:
        dy: The gradient that arrives, of any shape.
        keep: Like dy, bool: what `dropout_forward` kept in training.
        p: Probability of being dropped.

    Returns:
        dx, like dy, in its format.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", section 5.1.

    >>> dropout_backward(np.array([5.0, 7.0]), np.array([True, False]), p=0.5)
    array([10.,  0.])
    """
    return dy * keep / (1 - p)
