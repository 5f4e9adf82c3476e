"""Normalisation: by mean and variance of a batch, a layer, a group or an instance, or by the neighbouring channels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Shape, ShapeError

Array = Any


@dataclass(eq=False)
class Normalise(Function):
    """Mean 0 and variance 1 over some of the axes, then scaled and shifted.

    Besides y it returns mean and biased variance, for whoever keeps running statistics.
    """

    signature = "x:NC..., weight?:C, bias?:C -> NC..."
    eps: float = 1e-5

    def view(self, shape: Shape) -> tuple[Shape, tuple[int, ...], Shape]:
        """The shape x is seen in, the axes of the statistics there, and the shape of weight and bias beside it."""
        raise NotImplementedError

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> tuple[Array, ...]:
        seen, axes, beside = self.view(x.shape)
        weight, bias = (None if p is None else p.reshape(beside) for p in (weight, bias))
        y, mean, inverse_std, var = kernels.normalise_forward(x.reshape(seen), weight, bias, axes, self.eps)
        self.save(x=x.reshape(seen), mean=mean, inverse_std=inverse_std, weight=weight)
        return y.reshape(x.shape), mean, var

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        seen, axes, beside = self.view(dy.shape)
        gradients = kernels.normalise_backward(
            dy.reshape(seen), **self.saved, axes=axes, beside=beside, needs=self.needs
        )
        return tuple(None if d is None else d.reshape(shape) for d, shape in zip(gradients, self.input_shapes))


class BatchNorm(Normalise):
    """Each channel over all samples and positions."""

    def view(self, shape: Shape) -> tuple[Shape, tuple[int, ...], Shape]:
        N, C, *sizes = shape
        return (N, C, math.prod(sizes)), (0, 2), (1, C, 1)


class InstanceNorm(Normalise):
    """Each channel of each sample over its positions."""

    def view(self, shape: Shape) -> tuple[Shape, tuple[int, ...], Shape]:
        N, C, *sizes = shape
        return (N, C, math.prod(sizes)), (2,), (1, C, 1)


@dataclass(eq=False)
class GroupNorm(Normalise):
    """Each group of channels of each sample over its channels and positions."""

    groups: int = 1

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        sizes = super().check_shapes(shapes)
        if sizes["C"] % self.groups:
            raise ShapeError(
                f"{self.name}: the {sizes['C']} channels of x {shapes[0]} cannot be cut into {self.groups} groups; the "
                "number of groups must divide the number of channels"
            )
        return sizes

    def view(self, shape: Shape) -> tuple[Shape, tuple[int, ...], Shape]:
        (N, C, *sizes), G = shape, self.groups
        return (N, G, C // G, math.prod(sizes)), (2, 3), (1, G, C // G, 1)


@dataclass(eq=False)
class LayerNorm(Normalise):
    """The last dimensions, of the sizes `normalized_shape`; weight and bias are as large."""

    normalized_shape: Shape = ()

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        x, wanted = shapes[0] or (), self.normalized_shape
        if not wanted or x[-len(wanted) :] != wanted:
            raise ShapeError(
                f"{self.name}: x {x} must end in normalized_shape={wanted}, of at least one dimension; x.shape[1:] is "
                "all but the batch"
            )
        for name, shape in zip(self.input_names[1:], shapes[1:]):
            if shape not in (None, wanted):
                raise ShapeError(f"{self.name}: {name} {shape} must have the shape normalized_shape={wanted}")
        return {}

    def view(self, shape: Shape) -> tuple[Shape, tuple[int, ...], Shape]:
        rows, D = math.prod(shape[: -len(self.normalized_shape)]), math.prod(self.normalized_shape)
        return (rows, D), (1,), (1, D)


@dataclass(eq=False)
class LocalResponseNorm(Function):
    """Each number divided by a power of the squares around it, over `size` neighbouring channels."""

    signature = "x:NCL... -> NCL..."
    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def forward(self, x: Array) -> Array:
        self.save(x=x)  # not the sums: computing them again costs less than keeping them
        return kernels.local_response_norm_forward(x, self.size, self.alpha, self.beta, self.k)

    def backward(self, dy: Array) -> Array:
        return kernels.local_response_norm_backward(dy, self.saved.x, self.size, self.alpha, self.beta, self.k)
