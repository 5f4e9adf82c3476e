"""Activations as a few passes over blocks that stay in the cache, without NumPy's slow paths.

What is slow, in nanoseconds for an element of float32, against 0.13 for a product: a choice by a mask, `where` or
`copyto(…, where=…)`, 1 to 5; a maximum with a number instead of an array, 0.5. So choices are written as arithmetic:
`y = max(x, 0) + f(min(x, 0))` has one of its terms 0.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn.kernels.cpu.elementwise import elementwise, full
from tinygrad_cnn.kernels.table import kernel

Array = np.ndarray


@kernel("relu_forward", backend="cpu")
def relu_forward(x: Array) -> tuple[Array, Array]:
    """Against an array of zeros."""

    def work(x: Array, y: Array, mask: Array) -> None:
        np.maximum(x, full(x, 0), out=y)
        np.greater(x, 0, out=mask)

    return elementwise(work, x, cost=0.25, mask=True)


@kernel("relu_backward", backend="cpu")
@kernel("hardtanh_backward", backend="cpu")
def masked(dy: Array, mask: Array) -> Array:
    """The bits of dy as whole numbers, times 0 or 1: exact also for ∞ and NaN, and faster than a choice."""
    bits = np.dtype(f"i{dy.itemsize}")

    def work(mask: Array, dy: Array, dx: Array) -> None:
        np.multiply(dy.view(bits), mask, out=dx.view(bits))

    return elementwise(work, mask, dy, cost=0.3)


@kernel("leaky_relu_forward", backend="cpu")
def leaky_relu_forward(x: Array, slope: float) -> tuple[Array, Array]:
    """`max(x, slope·x)`: for slopes from 0 to 1 the larger one is the right one."""
    if not 0 < slope <= 1:  # 0·∞ would be NaN
        return NotImplemented

    def work(x: Array, y: Array, mask: Array) -> None:
        np.multiply(x, slope, out=y)
        np.maximum(x, y, out=y)
        np.greater(x, 0, out=mask)

    return elementwise(work, x, cost=0.4, mask=True)


@kernel("leaky_relu_backward", backend="cpu")
def leaky_relu_backward(dy: Array, mask: Array, slope: float) -> Array:
    """`dy·max(mask, slope)`, the mask being 0 or 1."""
    if not 0 <= slope <= 1:
        return NotImplemented

    def work(mask: Array, dy: Array, dx: Array) -> None:
        np.copyto(dx, mask)
        np.maximum(dx, full(dx, slope), out=dx)
        np.multiply(dy, dx, out=dx)

    return elementwise(work, mask, dy, cost=0.45)


@kernel("hardtanh_forward", backend="cpu")
def hardtanh_forward(x: Array, low: float, high: float) -> tuple[Array, Array]:
    """Against two arrays of limits."""

    def work(x: Array, y: Array, mask: Array) -> None:
        np.maximum(x, full(x, low), out=y)
        np.minimum(y, full(x, high), out=y)
        np.less_equal(x, low, out=mask)
        np.logical_or(mask, x >= high, out=mask)
        np.logical_not(mask, out=mask)

    return elementwise(work, x, cost=0.45, mask=True)


@kernel("elu_forward", backend="cpu")
def elu_forward(x: Array, alpha: float, scale: float) -> Array:
    """`scale·(max(x, 0) + alpha·(eˣ − 1))`, with min(x, 0) in the exponent."""

    def work(x: Array, y: Array, bend: Array) -> None:
        np.minimum(x, full(x, 0), out=bend)
        np.expm1(bend, out=bend)
        if alpha != 1:
            np.multiply(bend, alpha, out=bend)
        np.maximum(x, full(x, 0), out=y)
        np.add(y, bend, out=y)
        if scale != 1:
            np.multiply(y, scale, out=y)

    return elementwise(work, x, cost=1.0, space=1)


@kernel("elu_backward", backend="cpu")
def elu_backward(dy: Array, x: Array, alpha: float, scale: float) -> Array:
    """`dy·scale·(alpha·eˣ + (1 − alpha)·[x > 0])`, with min(x, 0) in the exponent."""

    def work(x: Array, dy: Array, dx: Array) -> None:
        np.fmin(x, full(x, 0), out=dx)  # of NaN and 0 it is 0
        np.exp(dx, out=dx)
        if alpha != 1:
            np.multiply(dx, alpha, out=dx)
            np.add(dx, ~(x <= 0) * x.dtype.type(1 - alpha), out=dx)
        np.multiply(dy, dx, out=dx)
        if scale != 1:
            np.multiply(dx, scale, out=dx)

    return elementwise(work, x, dy, cost=1.0)


@kernel("sigmoid_forward", backend="cpu")
def sigmoid_forward(x: Array) -> Array:
    """`1/(1 + e⁻ˣ)`: where e⁻ˣ overflows, 1/∞ is the right 0."""
    return elementwise(sigmoid, x, cost=1.0)


def sigmoid(x: Array, y: Array) -> None:
    """The sigmoid of a piece."""
    np.negative(x, out=y)
    np.exp(y, out=y)
    np.add(y, 1, out=y)
    np.divide(1, y, out=y)


@kernel("sigmoid_backward", backend="cpu")
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """As the reference."""

    def work(y: Array, dy: Array, dx: Array) -> None:
        np.subtract(1, y, out=dx)
        np.multiply(dx, y, out=dx)
        np.multiply(dx, dy, out=dx)

    return elementwise(work, y, dy, cost=0.4)


@kernel("silu_forward", backend="cpu")
def silu_forward(x: Array) -> Array:
    """`x/(1 + e⁻ˣ)`."""

    def work(x: Array, y: Array) -> None:
        np.negative(x, out=y)
        np.exp(y, out=y)
        np.add(y, 1, out=y)
        np.divide(x, y, out=y)

    return elementwise(work, x, cost=1.0)


@kernel("silu_backward", backend="cpu")
def silu_backward(dy: Array, x: Array) -> Array:
    """As the reference."""

    def work(x: Array, dy: Array, dx: Array, gate: Array) -> None:
        sigmoid(x, gate)
        np.subtract(1, gate, out=dx)
        np.multiply(dx, x, out=dx)
        np.add(dx, 1, out=dx)
        np.multiply(dx, gate, out=dx)
        np.multiply(dx, dy, out=dx)

    return elementwise(work, x, dy, cost=1.6, space=1)


@kernel("softplus_forward", backend="cpu")
def softplus_forward(x: Array, beta: float, threshold: float) -> Array:
    """As the reference; above the threshold it is chosen only if somebody is there."""

    def work(x: Array, y: Array, scaled: Array) -> None:
        np.multiply(x, beta, out=scaled)
        np.abs(scaled, out=y)
        np.negative(y, out=y)
        np.exp(y, out=y)
        np.log1p(y, out=y)
        np.add(y, np.maximum(scaled, full(x, 0)), out=y)
        if beta != 1:
            np.divide(y, beta, out=y)
        if (above := scaled > threshold).any():
            np.copyto(y, x, where=above)

    return elementwise(work, x, cost=2.2, space=1)


@kernel("softplus_backward", backend="cpu")
def softplus_backward(dy: Array, x: Array, beta: float, threshold: float) -> Array:
    """As the reference; above the threshold it is chosen only if somebody is there."""

    def work(x: Array, dy: Array, dx: Array, scaled: Array) -> None:
        np.multiply(x, beta, out=scaled)
        sigmoid(scaled, dx)
        np.multiply(dx, dy, out=dx)
        if (above := scaled > threshold).any():
            np.copyto(dx, dy, where=above)

    return elementwise(work, x, dy, cost=1.4, space=1)


@kernel("tanh_forward", backend="cpu")
def tanh_forward(x: Array) -> Array:
    """As the reference."""
    return elementwise(np.tanh, x, cost=0.5)


@kernel("tanh_backward", backend="cpu")
def tanh_backward(dy: Array, y: Array) -> Array:
    """As the reference."""

    def work(y: Array, dy: Array, dx: Array) -> None:
        np.multiply(y, y, out=dx)
        np.subtract(1, dx, out=dx)
        np.multiply(dx, dy, out=dx)

    return elementwise(work, y, dy, cost=0.4)


@kernel("gelu_forward", backend="cpu")
def gelu_forward(x: Array, approximate: str) -> Array:
    """`max(x, 0) − |x|·Φ(−|x|)`: the small share of the normal distribution keeps its digits on either side."""
    if x.dtype != np.float32:
        return NotImplemented

    def work(x: Array, y: Array, size: Array, share: Array) -> None:
        np.abs(x, out=size)
        np.minimum(size, full(x, FAR), out=size)
        tail(size, share, y)
        np.multiply(size, share, out=size)
        np.maximum(x, full(x, 0), out=y)
        np.subtract(y, size, out=y)

    def by_tanh(x: Array, y: Array) -> None:
        inner(x, y)
        np.tanh(y, out=y)
        np.add(y, 1, out=y)
        np.multiply(y, 0.5, out=y)
        np.multiply(y, x, out=y)

    if approximate == "tanh":
        return elementwise(by_tanh, x, cost=1.5)
    return elementwise(work, x, cost=4, space=2)


@kernel("gelu_backward", backend="cpu")
def gelu_backward(dy: Array, x: Array, approximate: str) -> Array:
    """`dx = dy·(Φ + x·Φ')`, for negative x as `r = Φ(−|x|) − |x|·Φ'(x)`, for positive as `1 − r`."""
    if x.dtype != np.float32:
        return NotImplemented

    def work(x: Array, dy: Array, dx: Array, size: Array, share: Array) -> None:
        np.abs(x, out=size)
        np.minimum(size, full(x, FAR), out=size)
        tail(size, share, dx)  # leaves e^(−x²/2) in dx
        np.multiply(size, 1 / math.sqrt(2 * math.pi), out=size)
        np.multiply(size, dx, out=size)
        np.subtract(share, size, out=share)
        np.copyto(size, x > 0)
        np.multiply(share, size, out=dx)  # r + mask·(1 − 2r)
        np.subtract(share, dx, out=share)
        np.subtract(share, dx, out=share)
        np.add(share, size, out=dx)
        np.multiply(dx, dy, out=dx)

    def by_tanh(x: Array, dy: Array, dx: Array, t: Array, square: Array) -> None:
        inner(x, t)
        np.tanh(t, out=t)
        np.multiply(x, x, out=square)
        np.multiply(square, 3 * 0.044715, out=square)
        np.add(square, 1, out=square)
        np.multiply(square, math.sqrt(2 / math.pi), out=square)  # the derivative of what is in the tanh
        np.multiply(square, x, out=square)
        np.multiply(t, t, out=dx)
        np.subtract(1, dx, out=dx)
        np.multiply(dx, square, out=dx)
        np.add(dx, 1, out=dx)
        np.add(dx, t, out=dx)  # 1 + t + x·(1 − t²)·…, twice the derivative
        np.multiply(dx, 0.5, out=dx)
        np.multiply(dx, dy, out=dx)

    if approximate == "tanh":
        return elementwise(by_tanh, x, dy, cost=2.2, space=2)
    return elementwise(work, x, dy, cost=4.5, space=2)


#: Where e^(−x²/2) is 0 in float32; further out ∞·0 would be NaN.
FAR = 40.0
# Φ(−x)·e^(x²/2) for x ≥ 0 as a quotient of polynomials, the highest power first, within 2e-7 of itself as far as 10;
# the coefficients are our own, from a least-squares fit reweighted until its largest error was smallest
ABOVE = (0.39885377, 2.884696582, 8.910103967, 12.64538648)
BELOW = (7.223267161, 23.44523032, 37.99904614, 25.29077837)  # after a first coefficient of 1


def tail(x: Array, share: Array, bell: Array) -> None:
    """`share = Φ(−x)` for x ≥ 0, the normal distribution's share beyond x, and `bell = e^(−x²/2)`."""
    np.multiply(x, ABOVE[0], out=share)
    np.add(share, ABOVE[1], out=share)
    for coefficient in ABOVE[2:]:
        np.multiply(share, x, out=share)
        np.add(share, coefficient, out=share)
    np.add(x, BELOW[0], out=bell)
    for coefficient in BELOW[1:]:
        np.multiply(bell, x, out=bell)
        np.add(bell, coefficient, out=bell)
    np.divide(share, bell, out=share)
    np.multiply(x, x, out=bell)
    np.multiply(bell, -0.5, out=bell)
    np.exp(bell, out=bell)
    np.multiply(share, bell, out=share)


def inner(x: Array, out: Array) -> None:
    """`√(2/π)·(x + 0.044715·x³)`, what stands in the tanh of the approximation."""
    np.multiply(x, x, out=out)
    np.multiply(out, 0.044715, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, x, out=out)
    np.multiply(out, math.sqrt(2 / math.pi), out=out)
