"""Non-linearities, number by number, and softmax along the rows; each with its way back."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def relu_forward(x: Array) -> Array:
    """Keep what is positive, replace what is negative by zero.

    Formula: `y = max(x, 0)`.

    Args:
        x: Any shape.

    Returns:
        y, as x.

    Source: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

    >>> relu_forward(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    """
    return np.maximum(x, 0)


def relu_backward(dy: Array, x: Array) -> Array:
    """Let the gradient through where x was positive; where x was negative, or exactly 0, nothing passes.

    Formula: `dx = dy` where `x > 0`, else 0.

    Args:
        dy: The gradient of y, as x.
        x: What `relu_forward` was given.

    Returns:
        dx, as x.

    Source: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

    >>> relu_backward(np.array([5.0, -6.0, 7.0]), np.array([-2.0, 3.0, 0.0]))
    array([ 0., -6.,  0.])
    """
    return np.where(x > 0, dy, 0)


def sigmoid_forward(x: Array) -> Array:
    """Squeeze every number between 0 and 1.

    Formula: `y = 1/(1 + e⁻ˣ) = eˣ/(1 + eˣ)`: the first form for positive x, the second for negative x, so that e is
    never raised to a large number.

    Args:
        x: Any shape, any size of number: at 1000 the result is 1, at −1000 it is 0.

    Returns:
        y, as x.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", equation 2.

    >>> sigmoid_forward(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """Multiply the gradient by the sigmoid's slope, which its result y tells: no exponential is needed.

    Formula: `dx = dy·y·(1 − y)`.

    Args:
        dy: The gradient of y, as y.
        y: What `sigmoid_forward` returned.

    Returns:
        dx, as y.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", equation 5.

    >>> sigmoid_backward(np.array([4.0, 8.0]), np.array([0.5, 0.25]))   # 4·0.5·0.5, 8·0.25·0.75
    array([1. , 1.5])
    """
    return dy * y * (1 - y)


def tanh_forward(x: Array) -> Array:
    """Squeeze every number between −1 and 1.

    Formula: `y = tanh(x) = (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ) = 2·sigmoid(2x) − 1`.

    Args:
        x: Any shape, any size of number: at 1000 the result is 1, at −1000 it is −1.

    Returns:
        y, as x.

    Source: LeCun, Bottou, Orr & Müller 1998, "Efficient backprop", section 4.4.

    >>> tanh_forward(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    return np.tanh(x)


def tanh_backward(dy: Array, y: Array) -> Array:
    """Multiply the gradient by the slope of tanh, which its result y tells.

    Formula: `dx = dy·(1 − y²)`.

    Args:
        dy: The gradient of y, as y.
        y: What `tanh_forward` returned.

    Returns:
        dx, as y.

    Source: LeCun, Bottou, Orr & Müller 1998, "Efficient backprop", section 4.4.

    >>> tanh_backward(np.array([4.0, 4.0]), np.array([0.0, -0.5]))   # 4·1, 4·0.75
    array([4., 3.])
    """
    return dy * (1 - y * y)


def softmax_forward(x: Array) -> Array:
    """Turn the scores of each row into probabilities: positive, adding up to 1, larger for larger scores.

    Formula: `y[n,c] = eˣ[n,c] / Σⱼ eˣ[n,j]`. Adding the same number to all scores of a row changes nothing, so the
    largest may be made 0 first: no exponential is too large then.

    Args:
        x: (N, C), the scores of N samples for C classes.

    Returns:
        y, (N, C), in the format of x.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

    >>> softmax_forward(np.log(np.array([[1.0, 3.0], [2.0, 2.0]])))   # e to the log of 3 is 3: 1/4 and 3/4
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(dy: Array, y: Array) -> Array:
    """Send the gradient of the probabilities back to the scores: each score changes every probability of its row.

    Formula: `dx[n,c] = y[n,c]·(dy[n,c] − Σⱼ dy[n,j]·y[n,j])`.

    Args:
        dy: (N, C), the gradient of y.
        y: (N, C), what `softmax_forward` returned.

    Returns:
        dx, (N, C), in the format of y.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

    >>> softmax_backward(np.array([[4.0, 8.0]]), np.array([[0.25, 0.75]]))   # Σ = 7: 0.25·(4 − 7), 0.75·(8 − 7)
    array([[-0.75,  0.75]])
    """
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))
