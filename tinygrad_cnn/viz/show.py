"""Shows a picture together with its description in words: in a notebook's page, or as a file beside a script."""

from __future__ import annotations

import base64
import importlib
import io
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tinygrad_cnn.viz.animation import Animation
from tinygrad_cnn.viz.graphs import Graph
from tinygrad_cnn.viz.page import framed
from tinygrad_cnn.viz.render import RenderError
from tinygrad_cnn.viz.tape import Tape

FOLDER = "pictures"
# of a page in a notebook, in lines of text
HEIGHT = 46

_shown: Counter[str] = Counter()


def show(picture: Any, alt: str) -> None:
    """Shows a figure, a graph, a recording or an animation, with the words that stand for it.

    In a notebook the picture appears below the cell, and the words are its alternative text: what a screen reader
    says, and what stands there if the picture cannot be shown. In a script the picture is written to a file in the
    folder `pictures`, and its name is printed with the words.

    Args:
        picture: A matplotlib Figure, as the functions of `viz.plot` return it, a `viz.Graph`, a `viz.Tape` or a
            `viz.Animation`.
        alt: What the picture shows, in a sentence.

    Raises:
        TypeError: Nothing of that kind can be shown.
        ValueError: The words are missing.

    >>> show("a photograph", "A cat.")
    Traceback (most recent call last):
    TypeError: show: str is no picture; give a matplotlib Figure, a viz.Graph, a viz.Tape or a viz.Animation
    """
    if not alt.strip():
        raise ValueError("show: say in `alt` what the picture shows, for those who cannot see it")
    if not (isinstance(picture, (Graph, Tape, Animation)) or hasattr(picture, "savefig")):
        raise TypeError(
            f"show: {type(picture).__name__} is no picture; give a matplotlib Figure, a viz.Graph, a viz.Tape or a "
            "viz.Animation"
        )
    if _in_notebook():
        display: Any = importlib.import_module("IPython.display").display
        content, metadata = bundle(picture, alt)
        display(content, raw=True, metadata=metadata)
    else:
        script = Path(getattr(sys.modules["__main__"], "__file__", None) or "picture").stem
        _shown[script] += 1
        path = saved(picture, Path(FOLDER) / f"{script}-{_shown[script]}")
        print(f"picture {_shown[script]}: {alt} ({path})")
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and hasattr(picture, "savefig"):
        pyplot.close(picture)  # a notebook would draw it a second time, and a program would keep it


def bundle(picture: Any, alt: str) -> tuple[dict[str, str], dict[str, Any]]:
    """What a notebook displays, by its type, and the words as the metadata of a picture."""
    if isinstance(picture, (Tape, Animation)):
        limits = "allow-scripts" if isinstance(picture, Tape) else ""
        return {"text/html": framed(picture.to_html(), alt, HEIGHT, limits), "text/plain": alt}, {}
    if isinstance(picture, Graph):
        try:
            return {"image/svg+xml": picture.to_svg(), "text/plain": alt}, {"image/svg+xml": {"alt": alt}}
        except RenderError as error:
            return {"text/plain": f"{alt}\n({error})"}, {}
    file = io.BytesIO()
    picture.savefig(file, format="png")
    pixels = base64.b64encode(file.getvalue()).decode()
    return {"image/png": pixels, "text/plain": alt}, {"image/png": {"alt": alt}}


def saved(picture: Any, stem: Path) -> Path:
    """The file that a picture was written to, with the ending of its kind."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, (Tape, Animation)):
        path = stem.with_suffix(".html")
        picture.to_html(path)
        return path
    if isinstance(picture, Graph):
        return picture.save(stem.with_suffix(".svg"))
    path = stem.with_suffix(".png")
    picture.savefig(path)
    return path


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this program."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
