"""Activations: non-linear functions of each element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.function import Function
from tinygrad_cnn.ops.elementwise import Broadcast, Clamp

Array = Any


class ReLU(Function):
    """max(x, 0), the rectified linear unit."""

    name = "relu"

    def forward(self, x: Array) -> Array:
        y, mask = kernels.relu_forward(x)
        self.save(mask=mask)  # not x: 1 byte an element, not 4
        return y

    def backward(self, dy: Array) -> Array:
        return kernels.relu_backward(dy, self.saved.mask)


@dataclass(eq=False)
class LeakyReLU(Function):
    """x where positive, else `slope`·x."""

    name = "leaky_relu"
    slope: float = 0.01

    def forward(self, x: Array) -> Array:
        y, mask = kernels.leaky_relu_forward(x, self.slope)
        self.save(mask=mask)
        return y

    def backward(self, dy: Array) -> Array:
        return kernels.leaky_relu_backward(dy, self.saved.mask, self.slope)


class PReLU(Broadcast):
    """x where positive, else weight·x, with a weight that is learned."""

    name = "prelu"

    def forward(self, x: Array, weight: Array) -> Array:
        self.save(x=x, weight=weight)
        return namespace(x).where(x > 0, x, x * weight)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        x, weight, xp = self.saved.x, self.saved.weight, namespace(dy)
        return self.returned(xp.where(x > 0, dy, dy * weight), xp.where(x > 0, 0, dy * x))


@dataclass(eq=False)
class ELU(Function):
    """x where positive, else `alpha`·(eˣ − 1), which bends smoothly to −alpha; all times `scale`."""

    name = "elu"
    alpha: float = 1.0
    scale: float = 1.0

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return kernels.elu_forward(x, self.alpha, self.scale)

    def backward(self, dy: Array) -> Array:
        return kernels.elu_backward(dy, self.saved.x, self.alpha, self.scale)


@dataclass(eq=False)
class GELU(Function):
    """x·Φ(x), Φ being the normal distribution's share below x; or, approximately, by a tanh."""

    name = "gelu"
    approximate: str = "none"

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return kernels.gelu_forward(x, self.approximate)

    def backward(self, dy: Array) -> Array:
        return kernels.gelu_backward(dy, self.saved.x, self.approximate)


class SiLU(Function):
    """x·σ(x), with the sigmoid σ; its derivative is `σ·(1 + x·(1 − σ))`."""

    name = "silu"

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return kernels.silu_forward(x)

    def backward(self, dy: Array) -> Array:
        return kernels.silu_backward(dy, self.saved.x)


class Sigmoid(Function):
    """1/(1 + e⁻ˣ)."""

    def forward(self, x: Array) -> Array:
        y = kernels.sigmoid_forward(x)
        self.save(y=y)
        return y

    def backward(self, dy: Array) -> Array:
        return kernels.sigmoid_backward(dy, self.saved.y)


class Tanh(Function):
    """The hyperbolic tangent."""

    def forward(self, x: Array) -> Array:
        y = kernels.tanh_forward(x)
        self.save(y=y)
        return y

    def backward(self, dy: Array) -> Array:
        return kernels.tanh_backward(dy, self.saved.y)


@dataclass(eq=False)
class Softplus(Function):
    """log(1 + e^(beta·x))/beta, the smooth ReLU, whose derivative is the sigmoid; x itself above the threshold."""

    beta: float = 1.0
    threshold: float = 20.0

    def forward(self, x: Array) -> Array:
        self.save(x=x)
        return kernels.softplus_forward(x, self.beta, self.threshold)

    def backward(self, dy: Array) -> Array:
        return kernels.softplus_backward(dy, self.saved.x, self.beta, self.threshold)


class Hardtanh(Clamp):
    """x held between `low` and `high`; at the limits themselves, too, no gradient comes back."""

    def forward(self, x: Array) -> Array:
        y, inside = kernels.hardtanh_forward(x, self.low, self.high)
        self.save(inside=inside)
        return y

    def backward(self, dy: Array) -> Array:
        return kernels.hardtanh_backward(dy, self.saved.inside)
