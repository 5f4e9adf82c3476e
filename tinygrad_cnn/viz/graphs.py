"""`viz.graph`: the graph of a computation as a picture, and what it can be saved as."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.viz.dot import accessible, to_dot
from tinygrad_cnn.viz.render import REMEDY, RenderError, render
from tinygrad_cnn.viz.walk import Arrow, Box, collapse, describe, fold, leaf_names, walk

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module

logger = logging.getLogger(__name__)

FORMATS = ("svg", "png", "pdf", "dot")
ENDS = 20  # boxes kept at each end of a collapsed graph


@dataclass(frozen=True)
class Graph:
    """Boxes and arrows in topological order, and the pictures made of them."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    title: str
    description: str

    def __repr__(self) -> str:
        return f"<viz.Graph: {self.description}>"

    def to_dot(self) -> str:
        """Returns the drawing as DOT text, Graphviz's language."""
        return to_dot(self.boxes, self.arrows, self.description)

    def to_svg(self) -> str:
        """Returns the drawing as SVG text with a title and a description for screen readers.

        Raises:
            RenderError: Graphviz is not there or failed; the message says how to get it.
        """
        dot = self.to_dot()
        return accessible(render(dot, "svg"), dot, self.boxes, self.title, self.description)

    def to_png(self) -> bytes:
        """Returns the drawing as the bytes of a PNG file.

        Raises:
            RenderError: Graphviz is not there or failed; the message says how to get it.
        """
        return render(self.to_dot(), "png")

    def save(self, path: str | Path) -> Path:
        """Writes the drawing; the ending of the name (.svg, .png, .pdf, .dot) is its format.

        Without Graphviz the DOT text is written beside (`graph.dot` for `graph.svg`) and the log says so.

        Returns:
            The path of the file that was written.

        Raises:
            ValueError: the name ends in another format.
        """
        path = Path(path)
        format = path.suffix[1:].lower()
        if format not in FORMATS:
            raise ValueError(
                f"graph: cannot save {path.name!r}: the name must end in .{', .'.join(FORMATS)} (the format)"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if format == "svg":
                path.write_text(self.to_svg(), encoding="utf-8")
            elif format != "dot":
                path.write_bytes(render(self.to_dot(), format))
        except RenderError as error:
            beside = path.with_suffix(".dot")
            logger.warning("%s Wrote %s instead; later: dot -T%s %s -o %s", error, beside, format, beside, path)
            path, format = beside, "dot"
        if format == "dot":
            path.write_text(self.to_dot(), encoding="utf-8")
        return path

    def _repr_svg_(self) -> str | None:
        try:
            return self.to_svg()
        except RenderError as error:
            logger.warning("%s", error)
            return None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        svg = self._repr_svg_()
        if svg is not None:
            return {"image/svg+xml": svg, "text/plain": repr(self)}
        return {"text/plain": f"{self!r}\n# to see it as a picture: {REMEDY}\n{self.to_dot()}"}


def graph(
    tensor: Tensor,
    params: Module | Mapping[str, Tensor] | None = None,
    level: Literal["op", "module"] = "op",
    limit: int = 300,
) -> Graph:
    """Reads the graph of the computation that made a tensor; call it before or after `backward`.

    Operations carry their attributes and the shape of their output, parameters their names, data without a
    gradient (images, labels) is grey. Arrows point forward, the way the values went; backward walks them in reverse.

    Args:
        tensor: any tensor that was computed from tensors that want gradients, say the loss.
        params: a module or a dict name → tensor; gives the leaves their names.
        level: `"op"` draws every operation and parameter; `"module"` folds parameters into a box named as the
            module that owns them.
        limit: with more boxes than this, only the first and the last 20 are drawn, the others as one box
            `… n operations …`: Graphviz would take minutes, and nobody would find their way in the picture.

    Raises:
        ValueError: the tensor has no graph, or `level` or `limit` is not one of those allowed.

    >>> import tinygrad_cnn as tcnn
    >>> w = tcnn.tensor([3.0], requires_grad=True)
    >>> [box.title for box in tcnn.viz.graph((w * w).sum(), params={"w": w}).boxes]
    ['w', 'mul', 'sum']
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"graph: draws the computation of a Tensor, got {type(tensor).__name__}")
    if level not in ("op", "module"):
        raise ValueError(f'graph: level must be "op" or "module", got {level!r}')
    if limit < 10:
        raise ValueError(f"graph: limit must be at least 10 boxes, got {limit}")
    if tensor.node is None:
        raise ValueError(
            "graph: this tensor has no graph: it was made under no_grad(), by detach(), or from tensors none of "
            "which wants a gradient; compute it from parameters (requires_grad=True) outside no_grad()"
        )
    boxes, arrows = walk(tensor.node, leaf_names(params))
    whole = describe(boxes)
    if level == "module":
        boxes, arrows = fold(boxes, arrows)
    if len(boxes) > limit:
        boxes, arrows = collapse(boxes, arrows, min(ENDS, limit // 2))
        whole += f"; more than limit={limit} boxes, so the middle is collapsed"
    return Graph(tuple(boxes), tuple(arrows), f"How {boxes[-1].title} was computed", whole)
