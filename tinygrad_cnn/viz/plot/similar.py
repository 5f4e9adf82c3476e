"""Which images are alike to a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import models, nn, random
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.storage import host
from tinygrad_cnn.viz.inputs import images, path_of
from tinygrad_cnn.viz.plot import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 250


def neighbours(
    model: nn.Module,
    query: Any,
    database: Any,
    layer: Any,
    k: int = 5,
    metric: str = "euclidean",
    classes: Sequence[str] | None = None,
    title: str = "",
    limit: int = 8,
) -> Figure:
    """Draws images, and beside each the k that are most alike to it in a layer's feature space, nearest first.

    With labels, a neighbour of another class has a frame and the mark ≠.

    Args:
        model: the network, in any mode; evaluated in evaluation mode.
        query: (n, C, H, W) images, or a pair (images, labels), such as `dataset.get_batch(places)`.
        database: (m, C, H, W) images to search, or a pair.
        layer: the name of the layer, such as `"classifier.fc2"`, or the layer itself.
        k: how many neighbours, 1 to m.
        metric: `"euclidean"` or `"cosine"`.
        classes: the names of the classes; their numbers without them.
        title: a line above the figure.
        limit: the most queries that are drawn; the first ones.

    Raises:
        ValueError: there is no such layer or metric, or k is not 1 to m.
        ShapeError: the images have no four axes, or there is not one label for each.

    Source: Krizhevsky, Sutskever & Hinton 2012, section 6.1, figure 4; `models.nearest_neighbours` has the formulas.
    """
    path = path_of("neighbours", model, layer)
    (asked, asked_labels), (known, labels) = _pair("query", query), _pair("database", database)
    n, asked = len(asked), asked[:limit]
    near = models.nearest_neighbours(_features(model, asked, path), _features(model, known, path), k, metric)
    title = title or f"nearest in {path or type(model).__name__}, {metric} distances" + (
        f" (the first {len(asked)} of {n} images)" if len(asked) < n else ""
    )
    every = [
        *([] if asked_labels is None else asked_labels[:limit]),
        *([] if labels is None else labels[near.indices].flat),
    ]
    inch = style.room([f"≠ {style.name_of(label, classes)}" for label in every], 8, least=1.15, most=2.0)
    figure = style.figure(inch * (k + 1) + 0.5, (1.35 + 0.14 * bool(every)) * len(asked) + 0.6, title)
    grid = figure.subplots(len(asked), k + 1, squeeze=False)
    for i, row in enumerate(grid):
        own = None if asked_labels is None else asked_labels[i]
        style.show(row[0], asked[i])
        row[0].set_title(
            "image" if own is None else f"image\n{_named(own, classes, inch)}", fontsize=8, fontweight="bold"
        )
        for axes, j, distance in zip(row[1:], near.indices[i], near.distances[i]):
            style.show(axes, known[j])
            other = bool(own is not None and labels is not None and labels[j] != own)
            told = "" if labels is None else f"\n{'≠ ' * other}{_named(labels[j], classes, inch - 0.15)}"
            axes.set_title(f"{distance:.3g}{told}", fontsize=8)
            style.bare(axes)
            if other:
                axes.spines[:].set(visible=True, color=style.COLOURS[1], linewidth=2)
        style.bare(row[0])
    return figure


def _named(label: Any, classes: Sequence[str] | None, inches: float) -> str:
    return style.shortened(style.name_of(label, classes), inches, 8)


def _pair(what: str, given: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Images, and their labels if there are any."""
    pair = given if isinstance(given, (tuple, list)) and len(given) == 2 else (given, None)
    x, y = host(pair[0]), None if pair[1] is None else host(pair[1])
    if x.ndim != 4 or (y is not None and y.shape != (len(x),)):
        labels = "" if y is None else f" with labels {y.shape}"
        raise ShapeError(
            f"neighbours: {what} must be images (N, C, H, W), or (images, labels (N,)), not {x.shape}{labels}"
        )
    return x, y


def _features(model: nn.Module, x: np.ndarray, path: str) -> Any:
    parts = [images("neighbours", model, x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)]
    with random.use_generator(random.Generator()):
        return models.features(model, parts, path).flatten(1)
