"""Batch normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Function

Array = Any


@dataclass(eq=False)
class BatchNorm(Function):
    """Each channel with mean 0 and variance 1 over the batch, then scaled and shifted.

    Besides y it returns the batch's mean and biased variance (C,), for whoever keeps running statistics.
    """

    signature = "x:NC..., weight?:C, bias?:C -> NC..."
    eps: float = 1e-5

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> tuple[Array, ...]:
        y, normalised, inverse_std, mean, var = kernels.batch_norm_forward(x, weight, bias, self.eps)
        self.save(normalised=normalised, inverse_std=inverse_std, weight=weight)
        return y, mean, var

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        return kernels.batch_norm_backward(dy, **self.saved, needs=self.needs)
