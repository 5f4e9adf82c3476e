"""How a graph is drawn: DOT text for Graphviz, and the finishing touches that make its SVG readable to all."""

from __future__ import annotations

import hashlib
import html
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any
from xml.dom import minidom

if TYPE_CHECKING:
    from tinygrad_cnn.viz.walk import Arrow, Box

# Tints and outlines of the Okabe-Ito palette, which people with any colour vision tell apart; shape and outline say the
# same a second time, for print in grey.
STYLES = {
    "operation": {"shape": "box", "style": "rounded,filled", "fillcolor": "#e3f0fa", "color": "#0072b2"},
    "module": {"shape": "box", "style": "rounded,filled,bold", "fillcolor": "#b9daf0", "color": "#0072b2"},
    "parameter": {"shape": "box", "style": "filled", "fillcolor": "#fff1d6", "color": "#b97a00"},
    "data": {"shape": "box", "style": "filled,dashed", "fillcolor": "#eeeeee", "color": "#6b6b6b"},
    "collapsed": {"shape": "box3d", "style": "filled", "fillcolor": "#f7f7f7", "color": "#444444"},
}
LEGEND = {
    "operation": "operation",
    "module": "module",
    "parameter": "parameter, gets a gradient",
    "data": "data, no gradient",
}
ACTIVE = {"penwidth": "4", "color": "#d55e00"}
MOVING = {"color": "#d55e00", "penwidth": "2.5", "fontcolor": "#a04000"}
FONT = "Helvetica,Arial,sans-serif"

# Boxes that all arrows together pass by; beyond, as where each layer uses all before it, a careful layout with labels
# takes Graphviz minutes, and nobody could follow the arrows by their labels.
CROWDED = 4_000


def to_dot(
    boxes: Sequence[Box],
    arrows: Sequence[Arrow],
    caption: str,
    lines: Sequence[Sequence[str]] = (),
    active: int | None = None,
    moves: Collection[tuple[int, int]] = (),
) -> str:
    """Describes the drawing in Graphviz's language, the same text for the same graph every time.

    Args:
        boxes: In topological order.
        arrows: Between them.
        caption: The headline; without one there is no legend either.
        lines: What else is written into each box.
        active: The box that is marked.
        moves: The arrows that are marked, as pairs of boxes: a gradient moves along them, backwards.
    """
    from graphviz import Digraph

    picture = Digraph("computation")
    picture.attr(rankdir="TB", nodesep="0.3", ranksep="0.32", fontname=FONT, bgcolor="white", pad="0.15")
    crowded = sum(abs(arrow.target - arrow.source) for arrow in arrows) > CROWDED
    if crowded:
        picture.attr(splines="line", nslimit="0.1", nslimit1="0.1", mclimit="0.1")
    if caption:
        picture.attr(labelloc="t", fontsize="12", label=_caption(boxes, caption))
    picture.attr("node", fontname=FONT, fontsize="12", margin="0.18,0.055", height="0.3", fontcolor="#111111")
    picture.attr("edge", fontname=FONT, fontsize="9.5", color="#555555", fontcolor="#555555", arrowsize="0.7")
    for i, box in enumerate(boxes):
        style = dict(STYLES[box.kind])
        if i == len(boxes) - 1:
            style["penwidth"] = "3"  # the result, where backward starts
        if i == active:
            style |= ACTIVE
        picture.node(f"n{i}", _label(box, lines[i] if lines else ()), id=f"n{i}", **style)
    sides = _sides(boxes, arrows)
    for k, arrow in enumerate(arrows):
        source, target, label = f"n{arrow.source}", f"n{arrow.target}", "" if crowded else _arrow_label(arrow)
        look = {"label": label, "id": f"a{k}"}
        moving = (arrow.source, arrow.target) in moves
        if moving:
            look |= MOVING
        side = sides.get(arrow.source)
        forward, backward = ("back", "forward") if moving else ("forward", "back")  # a gradient goes the other way
        if side is None:
            picture.edge(source, target, **look, dir=forward)
            continue
        # a parameter stands beside its operation, not above it; the invisible frame keeps other operations out
        with picture.subgraph(name=f"cluster_{target}") as frame, frame.subgraph() as row:
            frame.attr(peripheries="0", margin="0", label="")
            row.attr(rank="same")
            if side == "left":
                row.edge(source, target, **look, dir=forward)
            else:  # in one row Graphviz puts an edge's tail on the left; the arrow is drawn the other way round
                row.edge(target, source, **look, dir=backward)
    return str(picture.source)


def _sides(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> dict[int, str]:
    """Which parameters and data stand left or right of their operation: its second and later inputs, used once.

    The first input stays above: the flow from images to loss reads downwards.
    """
    uses = Counter(arrow.source for arrow in arrows)
    inputs: dict[int, list[int]] = {}
    for arrow in arrows:
        inputs.setdefault(arrow.target, []).append(arrow.source)
    sides: dict[int, str] = {}
    for sources in inputs.values():
        if boxes[sources[0]].kind == "parameter":
            continue  # an operation on parameters alone, w·x of a first example, reads best as a tree
        beside = [i for i in sources[1:] if boxes[i].kind in ("parameter", "data") and uses[i] == 1]
        sides.update((i, "left" if k % 2 == 0 else "right") for k, i in enumerate(beside[:2]))
    return sides


def _label(box: Box, more: Sequence[str]) -> str:
    lines = [f"<B>{text(box.title)}</B>"]
    if box.details:
        lines.append(small(", ".join(box.details)))
    if box.size:
        arrow = "→ " if box.kind in ("operation", "module") else ""
        lines.append(f'<FONT POINT-SIZE="10.5">{text(arrow + box.size)}</FONT>')
    lines += [f'<FONT POINT-SIZE="10">{text(line, longest=90)}</FONT>' for line in more]
    rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in lines)
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>>'


def _arrow_label(arrow: Arrow) -> str:
    from tinygrad_cnn.viz.walk import shape_text

    many = f"{arrow.count:,} arrows" if arrow.count > 1 else ""
    words = " ".join(part for part in (many, arrow.name, shape_text(arrow.shape)) if part)
    return f"<&#160;&#160;{text(words)}&#160;>" if words else ""


def _caption(boxes: Sequence[Box], caption: str) -> str:
    kinds = {box.kind for box in boxes}
    cells = "".join(
        f'<TD BGCOLOR="{STYLES[kind]["fillcolor"]}" COLOR="{STYLES[kind]["color"]}" '
        f'BORDER="{2 if "bold" in STYLES[kind]["style"] else 1}">{small(name)}</TD>'
        for kind, name in LEGEND.items()
        if kind in kinds
    )
    return (
        '<<TABLE BORDER="0" CELLSPACING="5" CELLPADDING="3">'
        f'<TR><TD COLSPAN="4" BORDER="0">{text(caption, longest=120)}</TD></TR><TR>{cells}</TR></TABLE>>'
    )


def small(words: str) -> str:
    """Words in the small grey type of attributes and legends."""
    return f'<FONT POINT-SIZE="10" COLOR="#444444">{text(words)}</FONT>'


def text(words: str, longest: int = 60) -> str:
    """Any text, safe inside a label; the middle of a long one is left out."""
    words = printable(words)
    if len(words) > longest:
        words = f"{words[: longest // 2]}…{words[-longest // 2 + 1 :]}"
    return html.escape(words).replace("\\", "&#92;&#92;")  # Graphviz reads two as one, and \N as a name


def printable(words: str) -> str:
    """The text with line ends and control characters spelled out, which XML and Graphviz would not take."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in words)


def accessible(svg: bytes, dot: str, boxes: Sequence[Box], title: str, description: str) -> str:
    """Gives Graphviz's SVG a title and a description for screen readers, and every box its words as a tooltip.

    The numbers Graphviz writes (`n3`) say nothing; comments with its version would make equal pictures differ.
    """
    root: Any = minidom.parseString(svg).documentElement
    key = hashlib.sha256(dot.encode("utf-8")).hexdigest()[:8]  # several pictures may share a notebook page
    root.setAttribute("role", "img")
    root.setAttribute("aria-labelledby", f"title-{key} desc-{key}")
    words = {f"n{i}": printable(box.text) for i, box in enumerate(boxes)}
    for name in root.getElementsByTagName("title"):
        ends = name.firstChild.data.removeprefix("cluster_").split("->")
        name.firstChild.data = " → ".join(words.get(end, title) for end in ends)
    first = root.firstChild
    for tag, content in (("title", title), ("desc", description)):
        element = root.ownerDocument.createElement(tag)
        element.setAttribute("id", f"{tag}-{key}")
        element.appendChild(root.ownerDocument.createTextNode(printable(content)))
        root.insertBefore(element, first)
    return str(root.toxml())
