"""A convolution with a stride, as one without: on the phases of its image.

With stride s, output p sees rows p·s, p·s + 1, … of the padded image. Sort the rows by their remainder modulo s, as
`grid` does: phase u holds rows u, u + s, u + 2s …, and weight r = i·s + u meets row p·s + r = (p + i)·s + u, which is
place p + i of phase u. So each phase is a channel of its own, and a filter of ⌈R/s⌉ weights slides over it, stride 1:

    x ⋆ w, stride 2       x  a b c d e f g     w  1 2 3       y₀ = 1a + 2b + 3c,  y₁ = 1c + 2d + 3e,  …
    as two channels       x₀ a c e g           w₀ 1 3
                          x₁ b d f             w₁ 2 0         y₀ = (1a + 3c) + (2b + 0d)

C channels become C·s², and what can be done at stride 1 can be done here, too: AlexNet's first layer, 3 channels and
11×11 at stride 4, is 48 channels and 3×3 to `winograd`, which multiplies a third as often in spite of the zeros.

`tests/test_cpu_conv.py` compares with the reference.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.cpu import layout, winograd
from tinygrad_cnn.kernels.cpu.grid import Grid
from tinygrad_cnn.shapes import Shape, Window

Array = np.ndarray

# multiplications saved, below which sorting the image does not pay
WORTHWHILE = 2.0


class Strided:
    """A convolution with a stride, by Winograd's way on its phases."""

    def __init__(self, grid: Grid, inner: winograd.Winograd) -> None:
        self.grid, self.inner = grid, inner

    def forward(self, x: Array, weight: Array, bias: Array | None, relu: bool = False) -> Array:
        """`y = x ⋆ weight + bias`, through ReLU if wanted."""
        return self.inner.forward(self._phases(x), self._filters(weight), bias, relu)

    def backward(
        self, dy: Array, x: Array, weight: Array, needs: Any, y: Array | None = None
    ) -> tuple[Array | None, ...]:
        """The gradients of x, weight and bias; y is the result, if it went through ReLU."""
        phases, filters = self._phases(x), self._filters(weight)
        dphases, dfilters, dbias = self.inner.backward(dy, phases, filters, needs, y)
        dx = dweight = None
        if dphases is not None:
            dx = layout.empty(x.shape, x.dtype)
            shape = (x.shape[1], *self.grid.steps, *self.grid.places, len(x))
            self.grid.unsorted(layout.memory(dphases).reshape(shape), layout.memory(dx))
        if dfilters is not None:
            (K, C, R, S), r = weight.shape, self.inner.r
            by_taps = dfilters.reshape(K, C, *self.grid.steps, r, r).transpose(0, 1, 4, 2, 5, 3)
            down, right = self.grid.steps
            dweight = np.ascontiguousarray(by_taps.reshape(K, C, r * down, r * right)[:, :, :R, :S])
        return dx, dweight, dbias

    def _phases(self, x: Array) -> Array:
        """Each phase of each channel as a channel: (N, C·s², rows, columns)."""
        phases = self.grid.sorted(layout.memory(x), purpose="sorted")
        return phases.reshape(-1, *phases.shape[3:]).transpose(3, 0, 1, 2)

    def _filters(self, weight: Array) -> Array:
        """(K, C, R, S) -> (K, C·s², r, r), with zeros where r·s is more than R."""
        (K, C, R, S), r, (down, right) = weight.shape, self.inner.r, self.grid.steps
        whole = np.zeros((K, C, r * down, r * right), weight.dtype)
        whole[:, :, :R, :S] = weight
        return whole.reshape(K, C, r, down, r, right).transpose(0, 1, 3, 5, 2, 4).reshape(K, -1, r, r)


@functools.lru_cache(maxsize=256)
def plan(window: Window, groups: int, C: int, K: int, image: Shape, out: Shape) -> Strided | None:
    """The way for a convolution, or None where there are better ones, or it has no stride."""
    (R, S), (down, right) = window.kernel, window.stride
    r = -(-R // down)
    if down * right == 1 or r != -(-S // right) or max(window.dilation) > 1:
        return None
    grid = Grid(window, image, out, (1, 1))
    rows, columns = grid.places
    inner = winograd.plan(Window((r, r)), groups, C * down * right, K, (rows, columns), out)
    if inner is None or WORTHWHILE * down * right * inner.a**2 / inner.m**2 > R * S:
        return None
    return Strided(grid, inner)
