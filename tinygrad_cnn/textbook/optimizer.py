"""One step of training: how a weight array is changed, in place, by its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def sgd_step(w: Array, dw: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> None:
    """Make one step of gradient descent with momentum and weight decay.

    Formula: `g = dw + weight_decay·w`, `velocity = momentum·velocity + g`, `w = w − lr·velocity`, in this order.

    Args:
        w: The weights, any shape; to be changed in place.
        dw: Their gradient, as w; not to be changed.
        velocity: The running sum of gradients, as w, zeros before the first step; to be changed in place.
        lr: Learning rate, how far a step goes.
        momentum: The part of the velocity that is kept, from 0 to below 1.
        weight_decay: How strongly the weights are pulled towards 0.

    Source: Sutskever, Martens, Dahl & Hinton 2013, "On the importance of initialization and momentum in deep
    learning", in the form where the learning rate multiplies the velocity.

    >>> w, velocity = np.array([1.0]), np.array([2.0])
    >>> sgd_step(w, np.array([2.0]), velocity, lr=0.5, momentum=0.5, weight_decay=1.0)
    >>> w, velocity   # g = 2 + 1·1 = 3, velocity = 0.5·2 + 3 = 4, w = 1 − 0.5·4
    (array([-1.]), array([4.]))
    """
    gradient = dw + weight_decay * w
    velocity *= momentum
    velocity += gradient
    w -= lr * velocity


def adam_step(
    w: Array, dw: Array, m: Array, v: Array, step: int, lr: float, beta1: float, beta2: float, eps: float
) -> None:
    """Make one step of Adam: along the gradient's running mean, divided by the root of its running mean square.

    Formula: `m = β₁·m + (1 − β₁)·dw`, `v = β₂·v + (1 − β₂)·dw²`, and then, because both means began with zeros,
    `m̂ = m/(1 − β₁ᵗ)`, `v̂ = v/(1 − β₂ᵗ)`, `w = w − lr·m̂/(√v̂ + ε)`.

    Args:
        w: The weights, any shape; to be changed in place.
        dw: Their gradient, as w; not to be changed.
        m: The running mean of the gradient, as w; to be changed in place.
        v: The running mean of the squared gradient, as w; to be changed in place.
        step: The number t of this step; the first has number 1.
        lr: Learning rate, roughly the length of a step.
        beta1: The part β₁ of m that is kept.
        beta2: The part β₂ of v that is kept.
        eps: A small ε that keeps the divisor from being 0.

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.

    >>> w, m, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam_step(w, np.array([4.0]), m, v, step=1, lr=0.25, beta1=0.5, beta2=0.5, eps=0.0)
    >>> w, m, v   # m̂ = 2/0.5 = 4, v̂ = 8/0.5 = 16: the first step has length lr, whatever the gradient
    (array([0.75]), array([2.]), array([8.]))
    """
    m *= beta1
    m += (1 - beta1) * dw
    v *= beta2
    v += (1 - beta2) * dw * dw
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    w -= lr * m_hat / (np.sqrt(v_hat) + eps)
