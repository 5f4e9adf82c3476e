"""What all figures share: size, colours, axes, pictures side by side. Nothing here touches pyplot or shows anything."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.about import install
from tinygrad_cnn.viz.tiles import tiled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette without yellow, too pale for lines: told apart with any colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
SIGNED, POSITIVE = "PuOr_r", "cividis"  # colour maps that all eyes read: with 0 in the middle, and from 0 on
DPI = 130
_LETTER = 0.0083  # inches of an average letter, per point of its size


def figure(width: float, height: float, title: str = "") -> Figure:
    """An empty figure, in inches; wider if the title needs it."""
    made: Figure = figure_class()(figsize=(width, height), dpi=DPI, facecolor="white")
    made.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches, so that nothing touches the edge
    if title:
        needed = made.suptitle(title, fontsize=11).get_window_extent().width / DPI + 0.3
        made.set_size_inches(max(width, needed), height)
    return made


@functools.cache
def figure_class() -> type[Figure]:
    """The Figure of matplotlib, which displays itself in notebooks.

    Raises:
        ImportError: If there is no matplotlib; the message says how to get it.
    """
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


def axes(figure: Figure, place: tuple[int, int, int] | Any, xlabel: str = "", ylabel: str = "") -> Axes:
    """Labelled axes without a frame at the top and at the right."""
    made = figure.add_subplot(*place) if isinstance(place, tuple) else figure.add_subplot(place)
    made.set_xlabel(xlabel)
    made.set_ylabel(ylabel)
    made.spines[["top", "right"]].set_visible(False)
    return made


def bare(axes: Axes) -> None:
    """For pictures: no ticks and no frame, but room for labels."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def colour_bar(figure: Figure, axes: Any, shown: Any, label: str, **size: Any) -> None:
    """What the colours of a picture mean."""
    bar = figure.colorbar(shown, ax=axes, **{"fraction": 0.046, "pad": 0.03, **size})
    bar.set_label(label)
    bar.outline.set_visible(False)


def picture(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W) in any range as matplotlib draws it: stretched from its darkest to its brightest value.

    Three channels are colours; of any other number the mean is drawn.
    """
    pixels = np.moveaxis(image, 0, -1).astype(np.float64)
    pixels = pixels if pixels.shape[-1] == 3 else pixels.mean(axis=-1)
    return (pixels - pixels.min()) / (np.ptp(pixels) or 1.0)


def show(axes: Axes, image: np.ndarray, **how: Any) -> Any:
    """Draw an image (C, H, W)."""
    return axes.imshow(picture(image), **{"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest", **how})


def room(texts: Iterable[str], size: float, least: float, most: float) -> float:
    """How wide the longest line of some texts is, in inches, within limits.

    >>> room(["cat", "automobile"], 10, least=0.5, most=2.0)
    0.93
    """
    longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
    return round(min(max(_LETTER * size * longest + 0.1, least), most), 2)


def mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Puts tiles (n, R, S) or (n, R, S, 3) side by side, a pixel of white between them."""
    return tiled(tiles, columns, blank=1.0 if tiles.ndim == 4 else np.nan)


def number_tiles(axes: Axes, what: str, n: int, columns: int, R: int, S: int, gap: bool = True) -> None:
    """Label a mosaic's tiles: each one if they lie in one line, else the first of each line.

    R×S are the pixels from one tile to the next, `gap` says whether the last of them are the white between.
    """
    bare(axes)
    axes.tick_params(length=0)
    if n <= columns:
        axes.set_xticks([S * i + (S - 1 - gap) / 2 for i in range(n)], [str(i) for i in range(n)])
        axes.set_xlabel(what)
    else:
        lines = range(0, ceil(n / columns), ceil(n / columns / 30))
        axes.set_yticks([R * line + (R - 1 - gap) / 2 for line in lines], [f"{line * columns} …" for line in lines])
        axes.set_ylabel(what)


def shortened(text: str, inches: float, size: float) -> str:
    """The text with an ellipsis in each line that is wider than so many inches.

    >>> shortened("taken for a sulphur-crested cockatoo", 1.25, 8)
    'taken for a sulph…'
    """
    most = max(int(inches / (_LETTER * size)), 4)
    return "\n".join(line if len(line) <= most else line[: most - 1] + "…" for line in text.split("\n"))


def name_of(label: Any, classes: Sequence[str] | None) -> str:
    """A class by its name, or by its number.

    Raises:
        ValueError: If the names are too few.
    """
    if classes is None:
        return str(label)
    if not 0 <= int(label) < len(classes):
        raise ValueError(
            f"no name for class {label} in classes, which has {len(classes)}; give one for each, from class 0 on"
        )
    return str(classes[int(label)])
