"""What a layer makes of an image."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import models, nn, random
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.viz.inputs import images, path_of
from tinygrad_cnn.viz.plot import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def feature_maps(model: nn.Module, x: Any, layer: Any, title: str = "", limit: int = 64) -> Figure:
    """Draws the output of any layer for one image, beside the image: a picture for each feature map.

    All maps have the same colours for the same values. Neurons without a place in the image are cells of a table.

    Args:
        model: the network, in any mode; evaluated in evaluation mode.
        x: (1, C, H, W) or (C, H, W) one image.
        layer: the name of the layer, such as `"features.conv1"`, or the layer itself.
        title: a line above the figure.
        limit: the most feature maps that are drawn; the first ones.

    Raises:
        ValueError: the network has no such layer (the message lists what it has), or does not call it once.
        ShapeError: x is not one image, or the layer's output is neither (1, K, P, Q) nor (1, K).
    """
    path = path_of("feature_maps", model, layer)
    batch = images("feature_maps", model, x)
    if len(batch) != 1:
        raise ShapeError(f"feature_maps: x must be one image, not {len(batch)}; take one of them, x[0]")
    with random.use_generator(random.Generator()):
        (maps,) = models.features(model, batch, path).numpy().astype(np.float64)
    if maps.ndim not in (1, 3) or not maps.size:
        raise ShapeError(
            f"feature_maps: {path!r} gives {maps.shape} for one image, which is neither feature maps (K, P, Q) nor "
            "neurons (K,)"
        )
    K, neurons = len(maps), maps.ndim == 1
    size = f"{K} neurons" if neurons else "{} feature maps of {}×{}".format(*maps.shape)
    drawn = maps if neurons else maps[:limit]
    columns = ceil(sqrt(2 * len(drawn))) if len(drawn) > (20 if neurons else 8) else len(drawn)
    if neurons:
        lines = ceil(K / columns)
        shape, cells = (1, 1), np.full(lines * columns, np.nan)
        cells[:K] = drawn
        pixels = cells.reshape(lines, columns)
    else:
        lines, shape = ceil(len(drawn) / columns), (maps.shape[1] + 1, maps.shape[2] + 1)
        pixels = style.mosaic(drawn, columns)
    some = f", the first {limit} of them" if len(drawn) < K else ""
    inch = max(min(0.28, 9 / columns) if neurons else 0.62 if columns > 8 else 0.95, 2.4 / columns)
    high = inch * lines * (shape[0] / shape[1])
    figure = style.figure(
        inch * columns + 3.4, max(high, 1.6) + 1.0, title or f"{path or type(model).__name__}: {size}{some}"
    )
    grid = figure.add_gridspec(1, 2, width_ratios=[1.6, inch * columns + 0.9])
    left = style.axes(figure, grid[0])
    style.show(left, batch.numpy()[0])
    style.bare(left)
    left.set_xlabel("input, {}×{}×{}".format(*batch.shape[1:]))
    right = style.axes(figure, grid[1])
    most, signed = float(np.abs(drawn).max()) or 1.0, bool((drawn < 0).any())
    shown = right.imshow(
        pixels,
        cmap=style.SIGNED if signed else style.POSITIVE,
        vmin=-most if signed else 0,
        vmax=most,
        interpolation="nearest",
    )
    style.number_tiles(right, "neuron" if neurons else "feature map", len(drawn), columns, *shape, gap=not neurons)
    style.colour_bar(figure, right, shown, "activation")
    return figure
