"""How activations, gradients and weights are distributed in each layer, and how that changes in training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.training import Histogram, LayerHistograms
from tinygrad_cnn.training.histograms import KINDS
from tinygrad_cnn.viz.plot import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {
    "activations": "output y",
    "gradients": "|∂L/∂y|",
    "weights": "weight w",
    "weight_gradients": "|∂L/∂w|",
}
POWERS = 10  # of ten that a scale of gradients spans at most
VANISHED = 1e-3  # typical gradients that are so much smaller than the largest layer's are remarked upon
DEAD = 0.25  # share of dead units from which on a layer is, too
_CELLS = 60  # of a heat map, from bottom to top


def histograms(
    recorded: LayerHistograms | Iterable[Histogram],
    kinds: Sequence[str] = ("activations", "gradients", "weights"),
    layers: Sequence[str] | None = None,
    title: str = "",
    limit: int = 16,
) -> Figure:
    """Draws the distribution of activations, gradients and weights, a row for each layer.

    Of several training steps each panel is a heat map: steps from left to right, values from bottom to top, bright
    where many are. Of one step it is a histogram. Values that are exactly 0 are left out and told above the panel, as
    are dead units (0 for the whole batch) and gradients whose typical size (rms) is below a thousandth of the largest
    layer's. A scale of gradients spans ten powers of ten, more only where the typical sizes do.

    Args:
        recorded: the callback after `fit`, or what `training.layer_histograms` returned.
        kinds: the columns, out of `"activations"`, `"gradients"`, `"weights"` and `"weight_gradients"`.
        layers: the rows, by name; all that were recorded if None.
        title: a line above the figure.
        limit: the most layers that are drawn; evenly chosen, of those with weights if they are enough.

    Raises:
        ValueError: nothing was recorded, or nothing of such a kind or layer.
    """
    found = list(recorded.histograms if isinstance(recorded, LayerHistograms) else recorded)
    names = list(dict.fromkeys(h.layer for h in found))
    if not found:
        raise ValueError(
            "histograms: nothing was recorded; give fit callbacks=[training.LayerHistograms(every=100)], or call "
            "training.layer_histograms(model, x, y)"
        )
    for what, wanted, known in (("kind", kinds, KINDS), ("layer", layers or (), names)):
        unknown = [name for name in wanted if name not in known]
        if unknown or (what == "kind" and not wanted):
            raise ValueError(f"histograms: there is no {what} {unknown}; there is {', '.join(known)}")
    rows = list(layers) if layers is not None else names
    if len(rows) > limit:
        having = [name for name in rows if any((h.layer, h.kind) == (name, "weights") for h in found)]
        rows = having if len(having) >= limit else rows
        rows = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, limit).round().astype(int))]
        title = title or f"{len(rows)} of {len(names)} layers"
    steps = sorted({h.step for h in found})
    title = title or (
        "one batch" if len(steps) == 1 else f"steps {steps[0]:,} to {steps[-1]:,}: bright where many values are"
    )
    figure = style.figure(3.3 * len(kinds) + 0.6, (1.15 if len(steps) == 1 else 1.0) * len(rows) + 1.0, title)
    grid = figure.subplots(len(rows), len(kinds), squeeze=False)
    for j, kind in enumerate(kinds):
        column = {name: [h for h in found if (h.layer, h.kind) == (name, kind)] for name in rows}
        ranges = [_range(h) for part in column.values() for h in part if h.counts.any()]
        # gradients are compared between layers, so they have one scale
        common = None
        if ranges and "gradients" in kind:  # whole powers of ten, two at least
            low, high = floor(min(r[0] for r in ranges)), ceil(max(r[1] for r in ranges))
            typical = min((log10(h.rms) for part in column.values() for h in part if h.rms > 0), default=low)
            # single tiny values do not flatten the rest, but the usual size of every layer is in the picture
            low = max(low, min(high - POWERS, floor(typical) - 2))
            common = low, max(high, low + 1)
        largest = max((part[-1].rms for part in column.values() if part), default=0.0)
        for i, (name, part) in enumerate(column.items()):
            axes, told = grid[i, j], ""
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=7)
            if part and any(h.counts.any() for h in part):
                _panel(axes, part, common or _together(part))
                told, alarming = _remark(part[-1], largest)
                axes.set_title(told, fontsize=8, loc="right", color=style.COLOURS[1] if alarming else "black")
            else:
                axes.set_axis_off()
                nothing = "all are 0" if part else f"no {kind.replace('_', ' ')}"
                axes.text(0.5, 0.5, nothing, ha="center", va="center", fontsize=8, color="0.5")
            if j == 0:
                axes.set_title(
                    style.shortened(name or "(the model)", 2.7 - 0.07 * len(told), 8),
                    fontsize=8,
                    loc="left",
                    fontweight="bold",
                )
            if len(steps) > 1 and axes.axison:
                axes.set_ylabel(LABELS[kind], fontsize=8)
        drawn = [axes for axes in grid[:, j] if axes.axison]
        for axes in drawn[:-1] if len(steps) > 1 else []:
            axes.tick_params(labelbottom=False)
        for axes in drawn[-1:]:
            axes.set_xlabel(LABELS[kind] if len(steps) == 1 else "training step", fontsize=8)
    return figure


def _panel(axes: Axes, part: list[Histogram], bounds: tuple[float, float]) -> None:
    low, high = bounds
    if len(part) == 1:
        (h,) = part
        axes.stairs(
            h.counts / h.counts.sum(), np.linspace(h.low, h.high, len(h.counts) + 1), fill=True, color="#56b4e9"
        )
        axes.set_xlim(low, high)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axis: Any = axes.xaxis
    else:
        from matplotlib.colors import PowerNorm

        cells = np.linspace(low, high, _CELLS + 1)
        share = np.stack([np.diff(_cumulative(h, cells)) for h in part], axis=1)
        share /= share.max(axis=0, keepdims=True).clip(min=1e-12)
        steps = np.array([h.step for h in part], float)
        middles = (steps[1:] + steps[:-1]) / 2
        edges = [steps[0] - (middles[0] - steps[0]), *middles, steps[-1] + (steps[-1] - middles[-1])]
        axes.pcolormesh(edges, cells, share, cmap=style.POSITIVE, norm=PowerNorm(0.5, 0, 1), rasterized=True)
        axes.set_xlim(steps[0], steps[-1])  # half a cell each: there is no step before the first
        axis = axes.yaxis
    axis.get_offset_text().set_fontsize(7)
    if part[0].logarithmic:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axis.set_major_locator(MaxNLocator(4, integer=True))
        axis.set_major_formatter(FuncFormatter(lambda exponent, _: f"$10^{{{exponent:.0f}}}$"))
    else:
        axes.ticklabel_format(axis=axis.axis_name, scilimits=(-3, 4))
        axes.locator_params(axis=axis.axis_name, nbins=6 if len(part) == 1 else 4)


def _remark(h: Histogram, largest: float) -> tuple[str, bool]:
    """What the colours do not show, in the last step, and whether it is a reason to look closer."""
    vanished = h.logarithmic and h.rms < VANISHED * largest
    told = [f"zeros: {h.zeros:.0%}"] if h.zeros >= 0.005 else []
    if h.dead:
        told.append(f"dead: {h.dead:.0%}")
    if h.logarithmic:
        told.append(f"rms {h.rms:.0e}")
        if vanished:
            told.append("vanishing")
    return ", ".join(told), vanished or h.dead >= DEAD


def _cumulative(h: Histogram, places: Any) -> np.ndarray:
    """Share of the values below each place; within a bin they are taken to be evenly spread."""
    below = np.concatenate([[0], np.cumsum(h.counts)]) / max(h.counts.sum(), 1)
    return np.interp(places, np.linspace(h.low, h.high, len(h.counts) + 1), below)


def _range(h: Histogram) -> tuple[float, float]:
    """Where all but a hundredth of the values lie."""
    below = np.concatenate([[0], np.cumsum(h.counts)]) / h.counts.sum()
    edges = np.linspace(h.low, h.high, len(h.counts) + 1)
    low, high = np.searchsorted(below, 0.005, "right") - 1, np.searchsorted(below, 0.995)
    return float(edges[low]), float(edges[high])


def _together(part: list[Histogram]) -> tuple[float, float]:
    ranges = [_range(h) for h in part if h.counts.any()]
    return min(low for low, _ in ranges), max(high for _, high in ranges)
