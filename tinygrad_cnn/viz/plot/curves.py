"""Loss and metrics of training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, cycle
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.training import History
from tinygrad_cnn.viz.plot import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_CURVES = ("epoch", "lr", "seconds", "images_per_second")


def learning_curves(
    history: History | Sequence[History] | Mapping[str, History],
    title: str = "",
    validation: str = "validation",
    *,
    against: str = "epoch",
    smooth: float = 0.0,
    lr: bool = False,
) -> Figure:
    """Draws the loss and every metric over the epochs: training dashed and hollow, validation solid.

    Args:
        history: one run, several, or a dict name → run, which puts the names into the legend.
        title: a line above the figure.
        validation: what the legend calls the data behind the `val_` numbers, say `"test"`.
        against: `"epoch"`, or `"seconds"` since the beginning, which compares what takes unequally long.
        smooth: 0 … 1: how much each point is drawn towards the ones before it, `sᵢ = smooth·sᵢ₋₁ + (1 − smooth)·vᵢ`;
            the measured values stay behind it, pale.
        lr: also draw the learning rate.

    Raises:
        ValueError: no run has a finished epoch, `against` is something else, or `smooth` is not in 0 … 1.
    """
    if against not in ("epoch", "seconds") or not 0 <= smooth < 1:
        raise ValueError(
            f'learning_curves: against={against!r} must be "epoch" or "seconds", smooth={smooth!r} a number from 0 to '
            "less than 1"
        )
    if isinstance(history, History):
        runs = {"": history}
    elif isinstance(history, Mapping):
        runs = dict(history)
    else:
        runs = {f"run {i}": run for i, run in enumerate(history, start=1)}
    recorded = [name.removeprefix("val_") for run in runs.values() for name in run.names]
    names = [name for name in dict.fromkeys(recorded) if name not in NOT_CURVES or (lr and name == "lr")]
    if not names:
        raise ValueError("learning_curves: no epoch was finished, so there is nothing to draw; train first")
    crowded = len(runs) > 2
    figure = style.figure(5.2 * len(names), 3.8 + crowded * 0.35, title)
    for position, name in enumerate(names, start=1):
        xlabel = "epoch" if against == "epoch" else "time (s)"
        ylabel = "learning rate" if name == "lr" else name.replace("_", " ")
        axes = style.axes(figure, (1, len(names), position), xlabel, ylabel)
        for colour, (run_name, run) in zip(cycle(style.COLOURS), runs.items()):
            for key, line, data in ((name, "--", "training"), (f"val_{name}", "-", validation)):
                points = [(x, r[key]) for x, r in zip(_places(run, against), run) if _is_number(r.get(key))]
                if not points:
                    continue
                x, y = zip(*points)
                marker = "o" if len(points) <= 30 else ""
                face = "white" if key == name else colour  # a single epoch has no dashes to tell it by
                look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3.5, "markerfacecolor": face}
                if smooth:
                    axes.plot(x, y, line, color=colour, alpha=0.25, label="_measured")
                    y = tuple(accumulate(y, lambda s, v: smooth * s + (1 - smooth) * v))
                if name == "lr":  # neither of training nor of validation
                    line, told, look["markerfacecolor"] = "-", run_name, colour
                else:
                    told = f"{run_name}, {data}" if run_name else data
                axes.plot(x, y, line, label=told, **look)
        axes.locator_params(axis="x", integer=against == "epoch", min_n_ticks=1)
        if name == "lr":
            axes.set_yscale("log")
        if not crowded and (name != "lr" or len(runs) > 1):
            axes.legend(frameon=False)
    if crowded:
        _legend(figure, list(runs), validation)
    return figure


def _legend(figure: Figure, names: list[str], validation: str) -> None:
    """One for all panels, below them: colours are runs, lines are data."""
    from matplotlib.lines import Line2D

    def line(label: str, **look: Any) -> Line2D:
        return Line2D([], [], label=style.shortened(label, 2.5, 10), **look)

    handles = [line(name, color=colour) for colour, name in zip(cycle(style.COLOURS), names)]
    marks = {"color": "grey", "marker": "o", "markersize": 3.5}
    handles += [line("training", linestyle="--", markerfacecolor="white", **marks), line(validation, **marks)]
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=_columns(figure, handles))


def _columns(figure: Figure, handles: list[Any]) -> int:
    widest = 0.6 + 0.083 * max(len(handle.get_label()) for handle in handles)
    most = max(1, int(figure.get_size_inches()[0] / widest))
    return ceil(len(handles) / ceil(len(handles) / most))  # lines of equal length


def _places(run: History, against: str) -> list[float]:
    """Where each epoch is drawn."""
    return list(accumulate(r.get("seconds", 0.0) for r in run)) if against == "seconds" else [r["epoch"] for r in run]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)
