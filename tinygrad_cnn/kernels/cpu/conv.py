"""Which way a convolution goes: the fast kernels' switchboard.

| images | way | why |
|---|---|---|
| 2×2 to 5×5 at stride 1, many channels (5×5: 16), float32 | `winograd` | a third to a sixth of the multiplications |
| other batches of images | `tiles` | copies little, multiplies at full speed |
| lines, volumes, few images | `im2col` | copies runs along rows instead of samples |

`TINYGRAD_CNN_CONV=direct` leaves out the first, whose results have fewer digits.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tinygrad_cnn.kernels.cpu import im2col, layout, tiles, winograd
from tinygrad_cnn.kernels.cpu.blocks import blas_ready
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Window

Array = np.ndarray


class Way(Protocol):
    """How one convolution is computed."""

    def forward(self, x: Array, weight: Array, bias: Array | None, relu: bool = False) -> Array:
        """`y = x ⋆ weight + bias`, through ReLU if wanted."""

    def backward(
        self, dy: Array, x: Array, weight: Array, needs: Any, y: Array | None = None
    ) -> tuple[Array | None, ...]:
        """The gradients of x, weight and bias; y is the result, if it went through ReLU."""


@dataclass(frozen=True)
class ByTiles:
    """Direct, and as exact as the reference."""

    window: Window
    groups: int

    def forward(self, x: Array, weight: Array, bias: Array | None, relu: bool = False) -> Array:
        """`y = x ⋆ weight + bias`, through ReLU if wanted."""
        return tiles.forward(x, weight, bias, self.window, self.groups, relu)

    def backward(
        self, dy: Array, x: Array, weight: Array, needs: Any, y: Array | None = None
    ) -> tuple[Array | None, ...]:
        """The gradients of x, weight and bias; y is the result, if it went through ReLU."""
        return tiles.backward(dy, x, weight, self.window, self.groups, needs, y)


def way(x: Array, weight: Array, window: Window, groups: int) -> Way | None:
    """The way with the batch innermost that suits the sizes; None where there is none."""
    if window.rank != 2 or len(x) < layout.FEWEST or not (x.size and weight.size) or not blas_ready(x, weight):
        return None
    quickest = _way(window, groups, x.shape[1:], len(weight), x.dtype != np.float32)
    return quickest if _wish() == "auto" or isinstance(quickest, ByTiles) else ByTiles(window, groups)


def _wish() -> str:
    wish = os.environ.get("TINYGRAD_CNN_CONV", "auto")
    if wish not in ("auto", "direct"):
        raise ValueError(
            f"TINYGRAD_CNN_CONV={wish} must be auto or direct: direct keeps all digits of float32, auto is faster"
        )
    return wish


@functools.lru_cache(maxsize=256)
def _way(window: Window, groups: int, image: tuple[int, ...], K: int, direct: bool) -> Way:
    C, H, W = image
    sizes = (window, groups, C, K, (H, W), window.outs((H, W)))
    if not direct and (quick := winograd.plan(*sizes)):
        return quick
    return ByTiles(window, groups)


@kernel("conv1d_forward", backend="cpu")
@kernel("conv2d_forward", backend="cpu")
@kernel("conv3d_forward", backend="cpu")
def conv_forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """As the reference, the way that suits the sizes."""
    if not blas_ready(x, weight) or not (x.size and weight.size):
        return NotImplemented
    chosen = way(x, weight, window, groups)
    if chosen is None:
        return im2col.forward(x, weight, bias, window, groups)
    return chosen.forward(x, weight, bias)


@kernel("conv1d_backward", backend="cpu")
@kernel("conv2d_backward", backend="cpu")
@kernel("conv3d_backward", backend="cpu")
def conv_backward(
    dy: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array | None, ...]:
    """As the reference, the way that suits the sizes."""
    if not blas_ready(x, weight, dy) or not (x.size and weight.size):
        return NotImplemented
    chosen = way(x, weight, window, groups)
    if chosen is None or dy.shape[2:] != window.outs(x.shape[2:]):  # a transposed convolution may leave outputs out
        return im2col.backward(dy, x, weight, window, groups, needs=needs)
    return chosen.backward(dy, x, weight, needs)
