"""A layer that slides a window over an image, as plain numbers: the window's places, the border, the filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isinf
from typing import Any

import numpy as np

from tinygrad_cnn import nn, no_grad
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.kernels.reference.padding import extend_forward, pad
from tinygrad_cnn.kernels.reference.pool import covering
from tinygrad_cnn.shapes import Shape, ShapeError, Window, bins

Array = Any
Pads = tuple[tuple[int, int], ...]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConnectionConv2d)
MAXIMA = (nn.MaxPool1d, nn.MaxPool2d)
MEANS = (nn.AvgPool1d, nn.AvgPool2d)
NORMS = (nn.LPPool1d, nn.LPPool2d)
ADAPTIVE_MAXIMA = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.GlobalMaxPool2d)
ADAPTIVE_MEANS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.GlobalAvgPool2d)
SUPPORTED = CONVOLUTIONS + MAXIMA + MEANS + NORMS + ADAPTIVE_MAXIMA + ADAPTIVE_MEANS
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, eq=False)
class Slide:
    """A layer and one image under it; a line is an image with one row. Numbers are float64.

    Attributes:
        name: The layer as it prints itself.
        kind: What is done with a window: "convolution", "max", "mean" or "norm".
        rank: 1 for lines, 2 for images.
        x: (C, H, W).
        padded: (C, …, …) x with its border.
        source: Like one channel of `padded`: which pixel of x stands there, row·W + column; −1 for none.
        corner: Rows above x and columns left of it in `padded`.
        rows: For each output row the rows of x in its window; those outside 0 … H − 1 lie in the border.
        columns: The same for columns.
        seen: For each filter, or output channel of a pooling, the channels it sees.
        weight: (K, C/groups, R, S), None for a pooling.
        bias: (K,) or None.
        counted: (first, end) rows and columns whose pixels a mean counts.
        divisor: What a mean divides by instead.
        power: p of a norm.
    """

    name: str
    kind: str
    rank: int
    x: Array
    padded: Array
    source: Array
    corner: tuple[int, int]
    rows: Sequence[Sequence[int]]
    columns: Sequence[Sequence[int]]
    seen: Sequence[tuple[int, ...]]
    weight: Array = None
    bias: Array = None
    counted: Pads = ()
    divisor: float | None = None
    power: float = 1.0

    @property
    def out(self) -> Shape:
        """(K, P, Q)."""
        return len(self.seen), len(self.rows), len(self.columns)

    def under(self, k: int, p: int, q: int) -> tuple[Array, Array]:
        """What lies under the window at an output place: (channels, R, S) numbers, and (R, S) sources."""
        top, left = self.corner
        at = np.ix_([row + top for row in self.rows[p]], [column + left for column in self.columns[q]])
        return self.padded[list(self.seen[k])][:, *at], self.source[at]


def slide(layer: nn.Module, x: Array) -> Slide:
    """Reads a layer; x is (C, H, W), or (C, L) for lines.

    Raises:
        TypeError: If no window slides in this layer, or it cannot be shown.
        ShapeError: If x does not fit; the layer's own message.
    """
    check(layer)
    layer.output_shape(x.shape)  # refuses what does not fit, in the layer's words
    name, rank = f"{type(layer).__name__}({layer.extra_repr()})", layer.rank if hasattr(layer, "rank") else 2
    x = x.astype(np.float64)
    image = x.reshape(len(x), -1, x.shape[-1])  # a line is an image with one row
    C, H, W = image.shape
    kind = _kind(layer)
    rows, columns, pads, counted = _places(layer, (H, W))
    settings: dict[str, Any] = {"seen": [(c,) for c in range(C)], "counted": counted}
    mode, fill = "zeros", -np.inf if kind == "max" else 0.0
    if isinstance(layer, CONVOLUTIONS):
        settings |= _filters(layer)
        mode = getattr(layer, "padding_mode", "zeros")
    elif isinstance(layer, MEANS):
        settings["divisor"] = layer.divisor_override
    elif isinstance(layer, NORMS):
        settings["power"] = float(layer.norm_type)
        fill = 0.0 if layer.norm_type > 0 else np.inf
    pixels = np.arange(H * W).reshape(H, W)
    source = pad(pixels + 1, pads) - 1 if mode == "zeros" else extend_forward(pixels, pads, mode)
    padded = np.where(source < 0, fill, image.reshape(C, -1)[:, source])
    corner = pads[0][0], pads[1][0]
    return Slide(name, kind, rank, image, padded, source, corner, rows, columns, **settings)


def check(layer: Any) -> None:
    """Refuses a layer that cannot be shown, and says what can."""
    if isinstance(layer, TRANSPOSED):
        raise TypeError(
            f"animate: {type(layer).__name__} stamps its filters onto the output, which is what a convolution's "
            'backward pass does to dx: animate a Conv2d with direction="backward" to see it'
        )
    if not isinstance(layer, SUPPORTED):
        names = ", ".join(kind.__name__ for kind in SUPPORTED)
        volumes = (
            " (volumes have too many numbers for a picture: show a slice)" if getattr(layer, "rank", 0) == 3 else ""
        )
        raise TypeError(f"animate: {type(layer).__name__} cannot be shown{volumes}; these can: {names}")
    if isinstance(layer, NORMS) and isinf(layer.norm_type):
        raise TypeError(
            f"animate: {type(layer).__name__} with norm_type={layer.norm_type} is max pooling of |x|: animate MaxPool "
            "with x.abs()"
        )


def _kind(layer: nn.Module) -> str:
    kinds = {
        "convolution": CONVOLUTIONS,
        "max": MAXIMA + ADAPTIVE_MAXIMA,
        "mean": MEANS + ADAPTIVE_MEANS,
        "norm": NORMS,
    }
    return next(kind for kind, layers in kinds.items() if isinstance(layer, layers))


def _places(layer: Any, sizes: tuple[int, int]) -> tuple[Any, Any, Pads, Pads]:
    """For each output row the rows of its window, the same for columns, the border, and what of it a mean counts."""
    within = tuple((0, n) for n in sizes)
    if isinstance(layer, ADAPTIVE_MAXIMA + ADAPTIVE_MEANS):
        outputs: Any = (1, 1)  # a global pooling's
        if hasattr(layer, "output_size"):
            outputs = (1, *layer.output_shape((1, *sizes[-layer.rank :]))[1:])[-2:]
        rows, columns = ([list(range(*part)) for part in bins(n, o)] for n, o in zip(sizes, outputs))
        return rows, columns, ((0, 0), (0, 0)), within
    window = _flat(layer)
    pads = covering(window, sizes)
    rows, columns = (
        [[o * stride - before + tap * dilation for tap in range(kernel)] for o in range(n)]
        for n, stride, (before, _), dilation, kernel in zip(
            window.outs(sizes), window.stride, pads, window.dilation, window.kernel
        )
    )
    if getattr(layer, "count_include_pad", False):  # but never what ceil_mode lets hang over the padding
        return rows, columns, pads, tuple((-before, n + behind) for n, (before, behind) in zip(sizes, window.pads))
    return rows, columns, pads, within


def _flat(layer: Any) -> Window:
    """The layer's window on an image, also of a layer for lines."""
    if isinstance(layer, nn.ConnectionConv2d):
        return Window(layer.kernel_size, layer.stride, layer.padding)
    window = layer._window()
    if window.rank == 2:
        return window
    padding = window.padding if isinstance(window.padding, str) else (0, *window.padding)
    return Window((1, *window.kernel), (1, *window.stride), padding, (1, *window.dilation), window.ceil_mode)


def _filters(layer: Any) -> dict[str, Any]:
    """Weight, bias and which channels each filter sees."""
    if isinstance(layer, nn.ConnectionConv2d):
        links = layer.table.numpy()
        with no_grad():
            dense = layer.dense_weight().numpy().astype(np.float64)
        seen = [tuple(int(c) for c in np.flatnonzero(row)) for row in links]
        weight: Any = [dense[k, list(channels)] for k, channels in enumerate(seen)]
    else:
        weight = layer.weight.numpy().astype(np.float64)
        weight = weight.reshape(*weight.shape[:2], -1, weight.shape[-1])  # (K,C,S) -> (K,C,1,S)
        K, Cg = weight.shape[:2]
        firsts = [k // (K // layer.groups) * Cg for k in range(K)]
        seen = [tuple(range(first, first + Cg)) for first in firsts]
    bias = None if layer.bias is None else layer.bias.numpy().astype(np.float64)
    return {"weight": weight, "bias": bias, "seen": seen}


def sample_of(x: Tensor | Array, rank: int, sample: int, what: str = "x") -> Array:
    """One image, (C, H, W), of a tensor or array on any device, alone or in a batch.

    Raises:
        ShapeError: If there are other axes, or no such sample.
    """
    array = Tensor._as_tensor(x).numpy()
    letters = {1: "C, L", 2: "C, H, W"}[rank]
    if array.ndim == rank + 1:
        return array
    if array.ndim != rank + 2:
        raise ShapeError(f"animate: {what} is ({letters}) or (N, {letters}); got {array.shape}")
    if not -len(array) <= sample < len(array):
        raise ShapeError(
            f"animate: sample={sample}: {what} {array.shape} has {len(array)} samples, 0 … {len(array) - 1}"
        )
    return array[sample]


def chosen(what: str, wanted: int | Iterable[int] | None, size: int, usual: Iterable[int]) -> list[int]:
    """Numbers that were asked for, in order, or the usual ones.

    Raises:
        ShapeError: If there is none, or one of them does not exist.
    """
    if wanted is None:
        return list(usual)
    numbers = sorted({wanted} if isinstance(wanted, int) else set(wanted))
    if not numbers or not all(0 <= n < size for n in numbers):
        raise ShapeError(f"animate: {what}={wanted!r} must be some of 0 … {size - 1}")
    return numbers
