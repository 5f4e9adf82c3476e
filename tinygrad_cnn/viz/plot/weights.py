"""The filters of a convolution."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.nn import Module
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.storage import host
from tinygrad_cnn.viz.plot import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def filters(weight: Any, title: str = "", limit: int = 64) -> Figure:
    """Draws the filters of a convolution as one mosaic.

    With three input channels every filter is a colour image, with one an image of its weights; with more, the row of
    a filter shows its weights for one input channel after the other.

    Args:
        weight: (K, C, R, S) weights, a layer that has them, or a network, whose first convolution is taken.
        title: a line above the figure.
        limit: the most filters that are drawn.

    Raises:
        ShapeError: the weights have no four axes, or the network has no convolution.
    """
    w = _filter_bank(weight)
    K, C, R, S = w.shape
    w = w[: limit if C in (1, 3) else min(limit, 16), : max(C if C == 3 else 16, 1)]
    most = float(np.abs(w).max()) or 1.0
    if C == 3:
        tiles = 0.5 + 0.5 * np.moveaxis(w, 1, -1) / most  # grey is 0, so that a colour says which channels it looks for
    else:
        tiles = w.reshape(-1, R, S)
    columns = max(ceil(sqrt(2 * len(w))), min(len(w), 8)) if C in (1, 3) else w.shape[1]
    mosaic = style.mosaic(tiles, columns)
    lines = ceil(len(tiles) / columns)
    told = f"{len(w)} of {K} filters" if len(w) < K else f"{K} filters"
    inch = 0.9 if columns <= 8 else 0.62
    title = title or f"{told}, {C}×{R}×{S} weights each" + ("; grey is 0" if C == 3 else "")
    figure = style.figure(max(inch * columns, 2.6) + 1.7, inch * lines + 1.2, title)
    axes = style.axes(figure, (1, 1, 1))
    shown = axes.imshow(mosaic, cmap=style.SIGNED, vmin=-most, vmax=most, interpolation="nearest")
    if C in (1, 3):
        style.number_tiles(axes, "filter", len(tiles), columns, R + 1, S + 1)
    else:
        style.bare(axes)
        axes.tick_params(length=0)
        axes.set_xticks([(S + 1) * c + (S - 1) / 2 for c in range(columns)], [str(c) for c in range(columns)])
        axes.set_yticks([(R + 1) * k + (R - 1) / 2 for k in range(lines)], [str(k) for k in range(lines)])
        axes.set_xlabel("input channel" if w.shape[1] == C else f"input channel (the first {w.shape[1]} of {C})")
        axes.set_ylabel("filter")
    if C != 3:
        style.colour_bar(figure, axes, shown, "weight")
    return figure


def _filter_bank(weight: Any) -> Any:
    source = "weight"
    if isinstance(weight, Module):
        source = type(weight).__name__
        found = [p for name, p in weight.named_parameters() if name.endswith("weight") and p.ndim == 4]
        if not found:
            raise ShapeError(f"filters: {source} has no convolution, whose weights would be (K, C, R, S)")
        weight = found[0]
    w = host(weight)
    if w.ndim != 4 or not w.size:
        raise ShapeError(f"filters: {source} must be (K, C, R, S), got shape {w.shape}")
    return w.astype(np.float64)
