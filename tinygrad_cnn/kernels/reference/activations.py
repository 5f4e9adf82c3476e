"""Element-wise non-linearities, and softmax."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape

Array = Any


@kernel("relu_forward")
def relu_forward(x: Array) -> tuple[Array, Array]:
    """`y = max(x, 0)`, and the mask where x lets the gradient through."""
    xp = namespace(x)
    return xp.maximum(x, 0), x > 0


@kernel("relu_backward")
def relu_backward(dy: Array, mask: Array) -> Array:
    """`dx = dy` where x was positive, else 0 (dy·mask would make NaN of an infinite dy)."""
    return namespace(dy).where(mask, dy, 0)


@kernel("leaky_relu_forward")
def leaky_relu_forward(x: Array, slope: float) -> tuple[Array, Array]:
    """`y = x` where x is positive, else `slope·x`, and the mask where it is."""
    mask = x > 0
    return namespace(x).where(mask, x, x * slope), mask


@kernel("leaky_relu_backward")
def leaky_relu_backward(dy: Array, mask: Array, slope: float) -> Array:
    """`dx = dy` where x was positive, else `slope·dy`."""
    return namespace(dy).where(mask, dy, dy * slope)


@kernel("hardtanh_forward")
def hardtanh_forward(x: Array, low: float, high: float) -> tuple[Array, Array]:
    """`y = min(max(x, low), high)`, and the mask where x lets the gradient through: not at the limits."""
    xp = namespace(x)
    return xp.minimum(xp.maximum(x, low), high), ~((x <= low) | (x >= high))


@kernel("hardtanh_backward")
def hardtanh_backward(dy: Array, inside: Array) -> Array:
    """`dx = dy` between the limits, else 0."""
    return namespace(dy).where(inside, dy, 0)


@kernel("elu_forward")
def elu_forward(x: Array, alpha: float, scale: float) -> Array:
    """`y = scale·x` where x is positive, else `scale·alpha·(eˣ − 1)`."""
    xp = namespace(x)
    return xp.where(x <= 0, alpha * xp.expm1(x), x) * scale  # eˣ − 1 would lose the digits of small x


@kernel("elu_backward")
def elu_backward(dy: Array, x: Array, alpha: float, scale: float) -> Array:
    """`dx = scale·dy` where x is positive, else `scale·alpha·eˣ·dy`."""
    xp = namespace(dy)
    return xp.where(x <= 0, dy * (alpha * xp.exp(x)), dy) * scale


@kernel("sigmoid_forward")
def sigmoid_forward(x: Array) -> Array:
    """`y = 1 / (1 + e⁻ˣ)`; for negative x as `eˣ / (1 + eˣ)`: no exp overflows, small results keep their digits."""
    xp = namespace(x)
    return xp.exp(xp.minimum(x, 0)) / (1 + xp.exp(-xp.abs(x)))


@kernel("sigmoid_backward")
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """`dx = dy·y·(1 − y)`."""
    return dy * (y * (1 - y))


@kernel("silu_forward")
def silu_forward(x: Array) -> Array:
    """`y = x·σ(x)`, with the sigmoid σ."""
    return x * sigmoid_forward(x)


@kernel("silu_backward")
def silu_backward(dy: Array, x: Array) -> Array:
    """`dx = dy·σ·(1 + x·(1 − σ))`."""
    gate = sigmoid_forward(x)
    return dy * (gate * (1 + x * (1 - gate)))


@kernel("softplus_forward")
def softplus_forward(x: Array, beta: float, threshold: float) -> Array:
    """`y = log(1 + e^(beta·x))/beta`; x itself where `beta·x` is above the threshold."""
    xp, scaled = namespace(x), x * beta
    smooth = xp.maximum(scaled, 0) + xp.log1p(xp.exp(-xp.abs(scaled)))  # e^(beta·x) itself would overflow
    return xp.where(scaled > threshold, x, smooth / beta)


@kernel("softplus_backward")
def softplus_backward(dy: Array, x: Array, beta: float, threshold: float) -> Array:
    """`dx = dy·σ(beta·x)`; dy itself above the threshold."""
    scaled = x * beta
    return namespace(dy).where(scaled > threshold, dy, dy * sigmoid_forward(scaled))


@kernel("tanh_forward")
def tanh_forward(x: Array) -> Array:
    """`y = tanh(x)`."""
    return namespace(x).tanh(x)


@kernel("tanh_backward")
def tanh_backward(dy: Array, y: Array) -> Array:
    """`dx = dy·(1 − y²)`."""
    return dy * (1 - y * y)


@kernel("gelu_forward")
def gelu_forward(x: Array, approximate: str) -> Array:
    """`y = x·Φ(x)`, or `x/2·(1 + tanh(√(2/π)·(x + 0.044715x³)))`.

    Source: Hendrycks & Gimpel 2016, "Gaussian error linear units", section 2.
    """
    wide = x.astype(accumulator(x.dtype), copy=False)
    share = normal_share(wide) if approximate == "none" else _tanh_share(wide)[0]
    return (wide * share).astype(x.dtype, copy=False)


@kernel("gelu_backward")
def gelu_backward(dy: Array, x: Array, approximate: str) -> Array:
    """`dx = dy·(Φ(x) + x·Φ'(x))`; Φ' is the bell curve `e^(−x²/2)/√(2π)`."""
    wide = x.astype(accumulator(x.dtype), copy=False)
    if approximate == "none":
        share, slope = normal_share(wide), namespace(x).exp(wide * wide * -0.5) / math.sqrt(2 * math.pi)
    else:
        share, slope = _tanh_share(wide)
    return (dy * (share + wide * slope)).astype(x.dtype, copy=False)


# erfc(z)·e^(z²) as a polynomial in u, the highest power first
ERFC = (
    4.576609623e-07, -4.662569546e-06, 1.91742153908e-05, -3.15608143923e-05, -2.39649057838e-05, 0.0001230645429021,
    0.0002307492134067, -0.0008765858231604, -0.002642244217808, 0.0039936902019516, 0.0399225387123883,
    0.1250330525719447, 0.2517131932013284, 0.3717367339492623, 0.2108063640611533,
)  # fmt: skip


def normal_share(x: Array) -> Array:
    """Φ(x), the normal distribution's share below x: `½·erfc(−x/√2)`, within 5e-16.

    `erfc(z)·e^(z²)` falls slowly from 1 at z = 0; in `u = (2.5 − z)/(2.5 + z)` it is nearly a polynomial.

    Source of u: Shepherd & Laframboise 1981, "Chebyshev approximation of (1 + 2x)exp(x²)erfc x in 0 ≤ x < ∞"; the
    coefficients are our own, from Remez' algorithm for the least error of erfc in 50 digits.
    """
    xp = namespace(x)
    u = 5 / (xp.abs(x) * math.sqrt(0.5) + 2.5) - 1
    series = ERFC[0] * u + ERFC[1]
    for coefficient in ERFC[2:]:
        series *= u
        series += coefficient
    tail = series * (xp.exp(x * x * -0.5) * 0.5)
    return xp.where(x < 0, tail, 1 - tail)


def _tanh_share(x: Array) -> tuple[Array, Array]:
    """An approximation of Φ, and its derivative."""
    c = math.sqrt(2 / math.pi)
    t = namespace(x).tanh(c * (x + 0.044715 * (x * x * x)))
    return (1 + t) / 2, (1 - t * t) * (c / 2 * (1 + 3 * 0.044715 * (x * x)))


@kernel("softmax_forward")
def softmax_forward(x: Array, dim: int) -> Array:
    """`yᵢ = eˣⁱ / Σⱼ eˣʲ` along `dim`."""
    xp = namespace(x)
    e = xp.exp(x - highest(x, dim))  # shift by the max: exp overflows float32 above 88
    return e / e.sum(axis=dim, keepdims=True)


@kernel("softmax_backward")
def softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """`dxᵢ = yᵢ·(dyᵢ − Σⱼ dyⱼ·yⱼ)`."""
    return y * (dy - (dy * y).sum(axis=dim, keepdims=True))


@kernel("log_softmax_forward")
def log_softmax_forward(x: Array, dim: int) -> Array:
    """`yᵢ = xᵢ − log Σⱼ eˣʲ` along `dim`."""
    xp = namespace(x)
    shifted = x - highest(x, dim)
    return shifted - xp.log(xp.exp(shifted).sum(axis=dim, keepdims=True))


@kernel("log_softmax_backward")
def log_softmax_backward(dy: Array, y: Array, dim: int) -> Array:
    """`dxᵢ = dyᵢ − eʸⁱ·Σⱼ dyⱼ`."""
    return dy - namespace(y).exp(y) * dy.sum(axis=dim, keepdims=True)


def highest(x: Array, dims: int | Shape) -> Array:
    """The maximum along `dims`, which stay with size 1; of no numbers −∞ (CuPy's `max` knows no `initial`)."""
    if x.size:
        return x.max(axis=dims, keepdims=True)
    return x.sum(axis=dims, keepdims=True) - namespace(x).inf
