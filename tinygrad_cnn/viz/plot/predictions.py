"""What a network takes for what: the confusion matrix, and the images it got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.storage import host
from tinygrad_cnn.viz.plot import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(matrix: Any, classes: Sequence[str] | None = None, title: str = "") -> Figure:
    """Draws which class was taken for which: rows are the true classes, columns the predicted ones.

    Colours are the share of the row, so that rare classes are as visible as frequent ones; the numbers are counts.

    Args:
        matrix: (C, C) counts, as `training.evaluate(..., confusion=True)` gives them.
        classes: the names of the C classes; 0, 1, … without them.
        title: a line above the figure.

    Raises:
        ShapeError: the matrix is not square, or the number of names is not C.
    """
    counts = host(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ShapeError(f"confusion_matrix: wants a square (C, C) matrix of counts, got shape {counts.shape}")
    C = len(counts)
    names = [str(i) for i in range(C)] if classes is None else [str(name) for name in classes]
    if len(names) != C:
        raise ShapeError(f"confusion_matrix: {C} classes in the matrix, {len(names)} names in classes")
    right, total = int(np.trace(counts)), int(counts.sum())
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.2 + 0.42 * min(C, 20)
    longest = max(map(len, names))
    figure = style.figure(
        size + 0.7 + 0.075 * longest,
        size + 0.05 * longest,
        title or f"{right:,} of {total:,} right ({right / max(total, 1):.1%})",
    )
    axes = style.axes(figure, (1, 1, 1), "predicted", "true")
    shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = list(range(0, C, ceil(C / 30)))
    upright = longest <= 3
    labels = [names[i] for i in ticks]
    axes.set_yticks(ticks, labels)
    axes.set_xticks(ticks, labels, rotation=0 if upright else 45, ha="center" if upright else "right")
    if C <= 20:
        for i, j in np.argwhere(counts):
            colour = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", fontsize=8, color=colour)
    style.colour_bar(figure, axes, shown, "share of the true class")
    return figure


def misclassified(
    images: Any,
    labels: Any,
    predictions: Any,
    classes: Sequence[str] | None = None,
    title: str = "",
    limit: int = 24,
    total: int | None = None,
) -> Figure:
    """Draws images that were taken for another class, with what was predicted and what is true.

    Args:
        images: (N, C, H, W) with one or three channels, in any range; each is stretched from its darkest to its
            brightest value.
        labels: (N,) true classes.
        predictions: (N,) predicted classes, or (N, C) scores, of which the largest counts.
        classes: the names of the classes; their numbers without them.
        title: a line above the figure.
        limit: the most images that are drawn; the first ones.
        total: how many images were looked at, where `images` holds only the misclassified ones; N without it.

    Raises:
        ShapeError: the three do not have the same number of samples, or the images have no four axes.
    """
    x, actual, predicted = host(images), host(labels), host(predictions)
    if predicted.ndim == 2:
        predicted = predicted.argmax(axis=1)
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise ShapeError(f"misclassified: images must be (N, 1, H, W) or (N, 3, H, W), got {x.shape}")
    if not len(x) == len(actual) == len(predicted):
        raise ShapeError(
            f"misclassified: {len(x)} images, {len(actual)} labels and {len(predicted)} predictions; "
            "there must be one label and one prediction per image"
        )
    wrong = np.flatnonzero(actual != predicted)
    drawn = wrong[:limit]
    told = title or f"{len(wrong):,} of {len(x) if total is None else total:,} images taken for another class" + (
        f" (the first {len(drawn)})" if len(drawn) < len(wrong) else ""
    )
    pairs = [(style.name_of(predicted[i], classes), style.name_of(actual[i], classes)) for i in drawn]
    captions = [f"taken for {taken}\nis {really}" for taken, really in pairs]
    inch = style.room(captions, 8, least=1.25, most=2.4)
    columns = min(max(len(drawn), 1), int(10 / inch))
    lines = max(ceil(len(drawn) / columns), 1)
    figure = style.figure(inch * columns + 0.3, 1.55 * lines + 0.6, told)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, i, caption in zip(grid.flat, drawn, captions):
        style.show(axes, x[i])
        axes.set_title(style.shortened(caption, inch, 8), fontsize=8)
    return figure
