"""Which pixels a unit of a network sees; the numbers are those of `viz.receptive`."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.random import Generator
from tinygrad_cnn.viz.inputs import images
from tinygrad_cnn.viz.plot import style
from tinygrad_cnn.viz.receptive import Patch, effective_field, receptive_patch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FRAMES = ("#d55e00", "#56b4e9", "#009e73", "#cc79a7", "#e69f00")  # seen on black, white and dark blue
LINES = ("-", "--", ":", "-.")


def receptive_field(
    model: nn.Module,
    layer: Any,
    at: tuple[int, int] | None = None,
    x: Any = None,
    effective: bool = False,
    title: str = "",
) -> Figure:
    """Draws which pixels a unit sees: a frame on the image for each layer, parts in the padding included.

    Of several layers, the unit of the last one is chosen by `at`, and of the others the unit in its middle.

    Args:
        model: the network, in any mode; evaluated in evaluation mode.
        layer: the name of a layer, the layer itself, or several.
        at: row and column of the unit in its layer's output; the one in the middle if None.
        x: (C, H, W) one image; a grid of the size of the model's `input_shape` if None.
        effective: also draw, beside it, how much each pixel counts for the unit of the last layer: |∂y/∂x|, summed over
            channels (without x: the mean over 16 images of random numbers).
        title: a line above the figure.

    Raises:
        ValueError: there is no such layer, its receptive field cannot be known, or neither x nor the model tells
            the size of the image.
        ShapeError: the layer's output has no such place, or x is not one image.

    Source: Luo, Li, Urtasun & Zemel 2016, "Understanding the effective receptive field in deep convolutional neural
    networks"; `viz.receptive` has the formulas.
    """
    layers = list(layer) if isinstance(layer, (list, tuple)) else [layer]
    shape = tuple(getattr(model, "input_shape", ())) if x is None else images("receptive_field", model, x).shape[1:]
    if not layers or len(shape) != 3:
        raise ValueError(
            "receptive_field: name a layer, and give an image x (C, H, W), since the model has no input_shape"
        )
    last = receptive_patch(model, layers[-1], at, shape)
    patches = [*(receptive_patch(model, name, None, shape, last.middle) for name in layers[:-1]), last]
    _, H, W = shape
    # the frames, which may reach into the padding, and some space
    left, right = min(0, *(p.left for p in patches)), max(W, *(p.right for p in patches))
    top, bottom = min(0, *(p.top for p in patches)), max(H, *(p.bottom for p in patches))
    high = 3.6 * min(max((bottom - top) / (right - left), 0.6), 2)
    figure = style.figure(4.6 * (1 + effective), high + 1.1 + 0.22 * len(layers), title or "receptive field")
    panels = [style.axes(figure, (1, 1 + effective, 1), "column (pixels)", "row (pixels)")]
    if x is not None:
        style.show(panels[0], images("receptive_field", model, x).numpy()[0])
    else:
        panels[0].imshow(np.ones((H, W)), cmap="gray", vmin=0, vmax=1)
        if max(H, W) <= 64:
            panels[0].vlines(np.arange(W + 1) - 0.5, -0.5, H - 0.5, color="0.85", linewidth=0.5)
            panels[0].hlines(np.arange(H + 1) - 0.5, -0.5, W - 0.5, color="0.85", linewidth=0.5)
    if effective:
        panels.append(style.axes(figure, (1, 2, 2), "column (pixels)"))
        draws = Generator(0).normal((16, *shape)) if x is None else x
        field = effective_field(model, layers[-1], at, draws)
        shown = panels[1].imshow(
            field / (field.max() or 1), cmap=style.POSITIVE, vmin=0, vmax=1, interpolation="nearest"
        )
        style.colour_bar(figure, panels[1], shown, "|∂y/∂x|, share of the largest")
        panels[1].set_title(f"how much pixels count for {style.shortened(last.layer, 1.9, 9)}", fontsize=9)
    for axes in panels:
        for patch, colour, line in reversed(list(zip(reversed(patches), cycle(FRAMES), cycle(LINES)))):
            if axes is panels[0] or patch is last:
                _frame(axes, patch, (H, W), colour, line)
        axes.set_xlim(left - 1, right)
        axes.set_ylim(bottom, top - 1)
        axes.locator_params(integer=True, nbins=7)
    panels[0].plot(
        [-0.5, W - 0.5, W - 0.5, -0.5, -0.5], [-0.5, -0.5, H - 0.5, H - 0.5, -0.5], color="0.6", linewidth=0.8
    )
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=9)
    return figure


def _frame(axes: Axes, patch: Patch, image: tuple[int, int], colour: str, line: str) -> None:
    """What the unit sees, in pixels of the image."""
    from matplotlib.patches import Rectangle

    name, at, top, left, bottom, right = patch
    unit = f" at row {at[0]}, column {at[1]}" if at else ""
    told = f"{name}{unit}: {bottom - top}×{right - left} pixels" if at else f"{name}: all of the image"
    within = patch.inside(*image)
    if (within.top, within.left, within.bottom, within.right) != patch[2:]:
        told += f", of which {within.bottom - within.top}×{within.right - within.left} lie in the image"
    look: dict[str, Any] = {"fill": False, "edgecolor": colour, "linewidth": 2, "linestyle": line}
    look["zorder"] = 1 + 1 / ((bottom - top) * (right - left))  # where edges coincide, the smaller frame's dashes show
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, label=told, **look))
