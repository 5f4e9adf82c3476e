"""Figures of a training run: each function returns a matplotlib Figure and shows nothing by itself.

In a notebook the figure appears when it is the last line of a cell; elsewhere `figure.savefig("name.png")`.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from math import ceil, isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.about import install
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn import Module
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette without yellow, too pale for lines: told apart with any colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DPI = 130
NOT_CURVES = ("epoch", "lr", "seconds", "images_per_second")


def learning_curves(
    history: History | Sequence[History] | Mapping[str, History], title: str = "", validation: str = "validation"
) -> Figure:
    """Draws the loss and every metric over the epochs: training dashed and hollow, validation solid.

    Args:
        history: one run, several, or a dict name → run, which puts the names into the legend.
        title: a line above the figure.
        validation: what the legend calls the data behind the `val_` numbers, say `"test"`.

    Raises:
        ValueError: no run has a finished epoch.
    """
    if isinstance(history, History):
        runs = {"": history}
    elif isinstance(history, Mapping):
        runs = dict(history)
    else:
        runs = {f"run {i}": run for i, run in enumerate(history, start=1)}
    recorded = [name.removeprefix("val_") for run in runs.values() for name in run.names]
    names = [name for name in dict.fromkeys(recorded) if name not in NOT_CURVES]
    if not names:
        raise ValueError("learning_curves: no epoch was finished, so there is nothing to draw; train first")
    figure = _figure(5.2 * len(names), 3.8, title)
    for position, name in enumerate(names, start=1):
        axes = _axes(figure, (1, len(names), position), "epoch", name.replace("_", " "))
        for colour, (run_name, run) in zip(cycle(COLOURS), runs.items()):
            for key, style, data in ((name, "--", "training"), (f"val_{name}", "-", validation)):
                points = [(r["epoch"], r[key]) for r in run if _is_number(r.get(key))]
                if points:
                    label = f"{run_name}, {data}" if run_name else data
                    marker = "o" if len(points) <= 30 else ""
                    face = "white" if key == name else colour  # a single epoch has no dashes to tell it by
                    axes.plot(
                        *zip(*points), style, color=colour, marker=marker, markersize=3.5, markerfacecolor=face,
                        label=label,
                    )  # fmt: skip
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        axes.legend(frameon=False)
    return figure


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
    counts = _array(matrix)
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
    figure = _figure(
        size + 0.7 + 0.075 * longest,
        size + 0.05 * longest,
        title or f"{right:,} of {total:,} right ({right / max(total, 1):.1%})",
    )
    axes = _axes(figure, (1, 1, 1), "predicted", "true")
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
    _colour_bar(figure, axes, shown, "share of the true class")
    return figure


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
    mosaic = _mosaic(tiles, columns)
    lines = ceil(len(tiles) / columns)
    told = f"{len(w)} of {K} filters" if len(w) < K else f"{K} filters"
    inch = 0.9 if columns <= 8 else 0.62
    title = title or f"{told}, {C}×{R}×{S} weights each"
    figure = _figure(max(inch * columns, 2.6) + 1.7, inch * lines + 1.2, title)
    axes = _axes(figure, (1, 1, 1), "", "")
    shown = axes.imshow(mosaic, cmap="PuOr_r", vmin=-most, vmax=most, interpolation="nearest")
    across = [(S + 1) * column + (S - 1) / 2 for column in range(columns)], [str(column) for column in range(columns)]
    down = [(R + 1) * line + (R - 1) / 2 for line in range(lines)]
    axes.set_xticks([])
    axes.set_yticks([])
    if C not in (1, 3):
        axes.set_xticks(*across)
        axes.set_yticks(down, [str(line) for line in range(lines)])
        axes.set_xlabel("input channel" if w.shape[1] == C else f"input channel (the first {w.shape[1]} of {C})")
        axes.set_ylabel("filter")
    elif lines == 1:
        axes.set_xticks(*across)
        axes.set_xlabel("filter")
    else:
        axes.set_yticks(down, [f"{line * columns} …" for line in range(lines)])
        axes.set_ylabel("filter")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if C != 3:
        _colour_bar(figure, axes, shown, "weight")
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
    x, actual, predicted = _array(images), _array(labels), _array(predictions)
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
    columns = min(max(len(drawn), 1), 8)
    lines = max(ceil(len(drawn) / columns), 1)
    figure = _figure(1.25 * columns + 0.3, 1.55 * lines + 0.6, told)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for i, axes in zip(drawn, grid.flat):
        image = np.moveaxis(x[i], 0, -1).astype(np.float64)
        image = (image - image.min()) / (np.ptp(image) or 1.0)
        axes.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=1)
        told_as, is_really = (
            str(classes[int(c)]) if classes is not None else str(c) for c in (predicted[i], actual[i])
        )
        axes.set_title(f"taken for {told_as}\nis {is_really}", fontsize=8)
    return figure


def _filter_bank(weight: Any) -> Any:
    source = "weight"
    if isinstance(weight, Module):
        source = type(weight).__name__
        found = [p for name, p in weight.named_parameters() if name.endswith("weight") and p.ndim == 4]
        if not found:
            raise ShapeError(f"filters: {source} has no convolution, whose weights would be (K, C, R, S)")
        weight = found[0]
    w = _array(weight)
    if w.ndim != 4 or not w.size:
        raise ShapeError(f"filters: {source} must be (K, C, R, S), got shape {w.shape}")
    return w.astype(np.float64)


def _mosaic(tiles: Any, columns: int) -> Any:
    """Puts tiles (n, R, S) or (n, R, S, 3) side by side, a pixel of white between them."""
    n, R, S = tiles.shape[:3]
    lines = ceil(n / columns)
    blank = 1.0 if tiles.ndim == 4 else np.nan
    mosaic = np.full((lines * (R + 1) - 1, columns * (S + 1) - 1, *tiles.shape[3:]), blank)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (R + 1), i % columns * (S + 1)
        mosaic[top : top + R, left : left + S] = tile
    return mosaic


def _array(values: Any) -> Any:
    return values.numpy() if isinstance(values, Tensor) else np.asarray(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def _axes(figure: Figure, place: tuple[int, int, int], xlabel: str, ylabel: str) -> Axes:
    axes = figure.add_subplot(*place)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _colour_bar(figure: Figure, axes: Axes, shown: Any, label: str) -> None:
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _figure(width: float, height: float, title: str) -> Figure:
    figure: Figure = _figure_class()(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches, so that nothing touches the edge
    if title:
        needed = figure.suptitle(title, fontsize=11).get_window_extent().width / DPI + 0.3
        figure.set_size_inches(max(width, needed), height)
    return figure


@functools.cache
def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"figures need matplotlib, which is part of the demo extra: {install('demo')}") from error

    class Picture(Figure):
        """A Figure that notebooks display without pyplot, whose global state this package leaves alone."""

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    return Picture
