"""The fully connected layer and its way back: N samples, F features in, D features out."""

from __future__ import annotations

from typing import Any

Array = Any


def linear_forward(x: Array, weight: Array, bias: Array) -> Array:
    """Weigh all features of a sample and add them up, once for each output, plus a bias.

    Formula: `y[n,d] = bias[d] + Σ_f x[n,f]·weight[d,f]`, all at once `y = x·weightᵀ + bias`.

    Args:
        x: (N, F), N samples of F features.
        weight: (D, F), a row for each output.
        bias: (D,), one number per output.

    Returns:
        y, (N, D), in the format of x.

    Source: Goodfellow, Bengio & Courville 2016, "Deep learning", section 6.1.

    >>> import numpy as np
    >>> linear_forward(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 0.0, 1.0], [0.0, 5.0, 0.0]]), np.array([0.5, 0.0]))
    array([[ 4.5, 10. ]])
    """
    return x @ weight.T + bias


def linear_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Send the gradient of the outputs back to the samples, the weights and the biases.

    Formula: `dx[n,f] = Σ_d dy[n,d]·weight[d,f]`, `dweight[d,f] = Σ_n dy[n,d]·x[n,f]`, `dbias[d] = Σ_n dy[n,d]`: what is
    used for every sample of the batch gets a share from every sample.

    Args:
        dy: (N, D), the gradient of y.
        x: (N, F), what `linear_forward` was given.
        weight: (D, F), likewise.

    Returns:
        dx (N, F), dweight (D, F) and dbias (D,), each of the shape of what it belongs to.

    Source: Goodfellow, Bengio & Courville 2016, "Deep learning", section 6.5.

    >>> import numpy as np
    >>> dx, dweight, dbias = linear_backward(np.array([[1.0], [2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]),
    ...                                      np.array([[7.0, 8.0]]))
    >>> dx
    array([[ 7.,  8.],
           [14., 16.]])
    >>> dweight, dbias   # 1·3 + 2·5, 1·4 + 2·6; 1 + 2
    (array([[13., 16.]]), array([3.]))
    """
    dx = dy @ weight
    dweight = dy.T @ x
    dbias = dy.sum(axis=0)
    return dx, dweight, dbias
