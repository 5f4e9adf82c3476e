"""What in an image made a network decide as it did; the numbers are those of `viz.attribution`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.shapes import Ints
from tinygrad_cnn.viz import attribution
from tinygrad_cnn.viz.attribution import Attribution
from tinygrad_cnn.viz.inputs import images
from tinygrad_cnn.viz.plot import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Extent = tuple[float, float, float, float]  # left, right, bottom, top, in pixels


def saliency(
    model: nn.Module,
    x: Any,
    y: int | Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    title: str = "",
    limit: int = 8,
) -> Figure:
    """Draws how strongly the score of a class reacts to each pixel: below each image its |∂s/∂x|.

    Args:
        model: the network, in any mode; evaluated in evaluation mode.
        x: (N, C, H, W) images, or one image (C, H, W).
        y: the class, or (N,) classes; what the network predicts if None.
        classes: the names of the classes; their numbers without them.
        title: a line above the figure.
        limit: the most images that are drawn; the first ones.

    Raises:
        ShapeError: x are no images, or the network does not return scores (N, K).
        ValueError: there is no such class.

    Source: Simonyan, Vedaldi & Zisserman 2014; `viz.attribution.saliency_map` has the formula.
    """
    pixels, N, y = _first("saliency", model, x, y, limit)
    found = attribution.saliency_map(model, pixels, y)
    several = ", the largest of all channels" if pixels.shape[1] > 1 else ""
    title = title or _title(f"|∂ score / ∂ pixel|{several}", len(pixels), N)
    return _drawn(pixels, found, classes, title, "|∂s/∂x|, share of the image's largest", None)


def grad_cam(
    model: nn.Module,
    x: Any,
    layer: Any = None,
    y: int | Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    title: str = "",
    limit: int = 8,
) -> Figure:
    """Draws where the feature maps that speak for a class are active, over each image.

    Args:
        model: the network, in any mode; evaluated in evaluation mode.
        x: (N, C, H, W) images, or one image (C, H, W).
        layer: the name of the layer, or the layer itself; the last convolution that is called if None.
        y: the class, or (N,) classes; what the network predicts if None.
        classes: the names of the classes; their numbers without them.
        title: a line above the figure.
        limit: the most images that are drawn; the first ones.

    Raises:
        ShapeError: x are no images, the network does not return scores (N, K), or the layer no maps (N, K, P, Q).
        ValueError: there is no such class or layer, or the layer is not called.

    Source: Selvaraju et al. 2017; `viz.attribution.grad_cam_map` has the formula.
    """
    pixels, N, y = _first("grad_cam", model, x, y, limit)
    found = attribution.grad_cam_map(model, pixels, layer, y)
    H, W = pixels.shape[2:]
    title = title or _title("Grad-CAM", len(pixels), N)
    return _drawn(pixels, found, classes, title, "share of the image's largest", (-0.5, W - 0.5, H - 0.5, -0.5))


def occlusion(
    model: nn.Module,
    x: Any,
    y: int | Sequence[int] | None = None,
    size: Ints | None = None,
    stride: Ints | None = None,
    fill: float | None = None,
    classes: Sequence[str] | None = None,
    title: str = "",
    limit: int = 8,
) -> Figure:
    """Draws how much less likely a class becomes when a square around a place is covered, over each image.

    Args:
        model: the network, in any mode; evaluated in evaluation mode.
        x: (N, C, H, W) images, or one image (C, H, W).
        y: the class, or (N,) classes; what the network predicts if None.
        size: rows, or (rows, columns), of the square in pixels; about a quarter of the image if None.
        stride: pixels from one square to the next; about a quarter of its size if None.
        fill: the value that covers; each channel's mean in the image if None.
        classes: the names of the classes; their numbers without them.
        title: a line above the figure.
        limit: the most images that are drawn; the first ones.

    Raises:
        ShapeError: x are no images, the network does not return scores (N, K), or the square is larger than the image.
        ValueError: there is no such class.

    Source: Zeiler & Fergus 2014; `viz.attribution.occlusion_map` has the formula.
    """
    pixels, N, y = _first("occlusion", model, x, y, limit)
    found = attribution.occlusion_map(model, pixels, y, size, stride, fill)
    window = attribution.occlusion_window(pixels.shape[2:], size, stride)
    (R, S), (down, right), (P, Q) = window.kernel, window.stride, found.maps.shape[1:]
    top, left = (R - 1) / 2 - down / 2, (S - 1) / 2 - right / 2  # cells lie around the middles of the squares
    extent = (left, left + Q * right, top + P * down, top)
    title = title or _title(f"probability lost when {R}×{S} pixels are covered", len(pixels), N)
    return _drawn(pixels, found, classes, title, "P(image) − P(covered)", extent, signed=True)


def _first(operation: str, model: nn.Module, x: Any, y: Any, limit: int) -> tuple[np.ndarray, int, Any]:
    """The images that are drawn, how many there are, and the classes asked about."""
    pixels = images(operation, model, x).numpy()
    several = y is not None and np.ndim(y) > 0
    if several and len(y) == len(pixels):  # else the message tells of all
        y = y[:limit]
        return pixels[:limit], len(pixels), y
    return pixels if several else pixels[:limit], len(pixels), y


def _title(what: str, drawn: int, N: int) -> str:
    return what + (f" (the first {drawn} of {N} images)" if drawn < N else "")


def _drawn(
    pixels: np.ndarray,
    found: Attribution,
    classes: Sequence[str] | None,
    title: str,
    label: str,
    over: Extent | None,
    signed: bool = False,
) -> Figure:
    """Images above, their maps below; a map that is coarser than the image lies over it."""
    N, _, H, W = pixels.shape
    names = [f"class {k}" if classes is None else style.name_of(k, classes) for k in found.classes]
    inch = style.room(names, 9, least=1.5 if N > 2 else 2.2, most=2.4)
    high = 2 * inch * min(max(H / W, 0.4), 2.5) + 1.2
    figure = style.figure(inch * N + 1.5, max(high, style.room([label], 10, 1, 4) / 0.8 + 0.6), title)
    grid = figure.subplots(2, N, squeeze=False)
    largest = float(np.abs(found.maps).max()) or 1.0
    for n in range(N):
        style.show(grid[0, n], pixels[n])
        grid[0, n].set_title(
            f"{style.shortened(names[n], inch - 0.1, 9)}\np = {found.probabilities[n]:.2f}", fontsize=9
        )
        below, m = grid[1, n], found.maps[n]
        how: dict[str, Any] = {"cmap": style.POSITIVE, "vmin": 0, "vmax": 1}
        if signed:  # over a pale image without colours, which is seen where nothing is lost
            style.show(below, pixels[n].mean(axis=0, keepdims=True), vmin=-1)
            alpha = 0.9 * np.sqrt(np.abs(m) / largest)
            how = {"cmap": style.SIGNED, "vmin": -largest, "vmax": largest, "extent": over, "alpha": alpha}
        else:
            m = m / (float(m.max()) or 1.0)
            if over is not None:
                style.show(below, pixels[n])
                how.update(extent=over, alpha=0.65)
        shown = below.imshow(m, interpolation="nearest" if over is None or signed else "bilinear", **how)
        below.set_xlim(-0.5, W - 0.5)
        below.set_ylim(H - 0.5, -0.5)
        for axes in grid[:, n]:
            style.bare(axes)
        if not found.maps[n].any():
            below.set_xlabel("0 everywhere", fontsize=9)
    style.colour_bar(figure, grid.ravel().tolist(), shown, label, fraction=0.08, shrink=0.8)
    for above, below in grid.T:  # close together, also where there is more room than they need
        above.set_anchor("S")
        below.set_anchor("N")
    return figure
