"""How a network divides the plane."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor, no_grad
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.storage import host
from tinygrad_cnn.viz.inputs import undisturbed
from tinygrad_cnn.viz.plot import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 4096


def decision_boundary(
    model: nn.Module,
    points: Any,
    labels: Any,
    classes: Sequence[str] | None = None,
    title: str = "",
    resolution: int = 300,
    axis_labels: tuple[str, str] = ("x₀", "x₁"),
) -> Figure:
    """Draws which class a network gives to each place in the plane, and the points it should tell apart.

    Points in the region of another class are large and have a black edge.

    Args:
        model: the network, in any mode; evaluated in evaluation mode. It takes (N, 2) and returns scores (N, K), or
            one number a point, (N, 1) or (N,), positive for class 1.
        points: (N, 2).
        labels: (N,) their classes.
        classes: the names of the classes; their numbers without them.
        title: a line above the figure; the share of points that lie in the region of their class without one.
        resolution: how many places along each axis are asked about.
        axis_labels: what the two coordinates are.

    Raises:
        ShapeError: the points are not (N, 2), at least one, or there is not one label for each.
    """
    p, actual = host(points).astype(np.float64), host(labels)
    if p.ndim != 2 or p.shape[1] != 2 or not len(p) or actual.shape != (len(p),):
        raise ShapeError(
            f"decision_boundary: points must be (N, 2), at least one, and labels (N,), not {p.shape} and {actual.shape}"
        )
    margin = 0.1 * (np.ptp(p, axis=0).max() or 1.0)
    (left, bottom), (right, top) = p.min(axis=0) - margin, p.max(axis=0) + margin
    across, up = np.linspace(left, right, resolution), np.linspace(bottom, top, resolution)
    places = np.stack([grid.reshape(-1) for grid in np.meshgrid(across, up)], axis=1)
    regions, predicted = _classes(model, places).reshape(resolution, resolution), _classes(model, p)
    shown = sorted({*map(int, actual), *map(int, np.unique(regions))})
    if classes is not None and len(classes) <= shown[-1]:
        raise ShapeError(f"decision_boundary: {len(classes)} names in classes, but there is a class {shown[-1]}")
    from matplotlib.colors import ListedColormap, to_rgb

    K = shown[-1] + 1
    colours = [to_rgb(colour) for colour, _ in zip(cycle(style.COLOURS), range(K))]
    pale = ListedColormap([[1 - 0.3 * (1 - v) for v in colour] for colour in colours])
    right_ones = int((predicted == actual).sum())
    high = 4.6 * min(max((top - bottom) / (right - left), 0.35), 1.5)
    names = [style.shortened(style.name_of(k, classes), 2.0, 10) for k in shown]
    wide = 4.6 + 1.3 + style.room([*names, "misclassified"], 10, 0.5, 2.2)
    told = f"{right_ones:,} of {len(p):,} points classified right ({right_ones / len(p):.1%})"
    figure = style.figure(wide, high + 1.0, title or told)
    axes = style.axes(figure, (1, 1, 1), *axis_labels)
    extent = (left, right, bottom, top)
    axes.imshow(
        regions, cmap=pale, vmin=-0.5, vmax=K - 0.5, extent=extent, origin="lower", aspect="equal",
        interpolation="nearest",
    )  # fmt: skip
    for k, name in zip(shown, names):
        colour, marker = colours[k], style.MARKERS[k % len(style.MARKERS)]
        if (regions == k).any() and not (regions == k).all():
            axes.contour(across, up, regions == k, levels=[0.5], colors="0.35", linewidths=0.7)
        well, badly = (p[(actual == k) & hit] for hit in (predicted == k, predicted != k))
        axes.scatter(
            well[:, 0], well[:, 1], s=26, color=[colour], marker=marker, edgecolors="white", linewidths=0.4, label=name
        )
        axes.scatter(
            badly[:, 0], badly[:, 1], s=44, color=[colour], marker=marker, edgecolors="black", linewidths=1.5, zorder=3
        )
    if right_ones < len(p):
        axes.scatter([], [], s=44, color="white", edgecolors="black", linewidths=1.5, label="misclassified")
    figure.legend(loc="outside right upper", frameon=False, title="class")
    return figure


def _classes(model: nn.Module, points: np.ndarray) -> np.ndarray:
    """The class the network gives to each point, (N,)."""
    parameter = next(iter(model.parameters()), None)
    dtype, device = (parameter.dtype, parameter.device) if parameter is not None else ("float32", None)
    parts = []
    with undisturbed(model), no_grad():
        for i in range(0, len(points), _BATCH):
            scores = model(Tensor(points[i : i + _BATCH], dtype=dtype, device=device))
            scores = (scores[0] if isinstance(scores, tuple) else scores).numpy()
            one = scores.ndim == 1 or scores.shape[1] == 1
            parts.append((scores.reshape(-1) > 0).astype(int) if one else scores.argmax(axis=1))
    return np.concatenate(parts)
