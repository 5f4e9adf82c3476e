"""The drawings of a replay: the same graph at several levels, from all operations to a few blocks of modules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from tinygrad_cnn.function import Function
from tinygrad_cnn.viz.walk import Arrow, Box, moved_arrows

if TYPE_CHECKING:
    from tinygrad_cnn.viz.graphs import Graph

INSIDES = 60  # modules that can be opened one by one where the drawing of all operations would be too large


class Scene(NamedTuple):
    """One drawing of the graph; or, if it has a parent, of what a module's box hides in that scene."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    parent: int | None = None
    inside: Box | None = None


def scenes(graph: Graph) -> tuple[list[Scene], int]:
    """The graph at all levels that can be drawn, then the insides of modules; and which scene was asked for."""
    view, deepest = graph.view, max(map(len, graph._chains.values()))

    def at(level: str, depth: int | None = None) -> Graph:
        none: frozenset[str] = frozenset()
        return graph._viewed(level=level, depth=depth, limit=10**9, opened=none, closed=none)

    levels = {"operations": at("op")}
    if deepest:
        levels["layers"] = at("module")
    for depth in range(deepest - 1, 0, -1):
        levels["blocks" if depth == 1 else f"depth {depth}"] = at("module", depth)
    drawn: dict[tuple[Box, ...], Scene] = {}
    for name, each in levels.items():
        if len(each.boxes) <= view.limit:
            drawn.setdefault(each.boxes, Scene(name, each.boxes, each.arrows))
    drawn.setdefault(graph.boxes, Scene("your choice", graph.boxes, graph.arrows))
    found = list(drawn.values())
    if found[0].name != "operations":
        coarsest = min(range(len(found)), key=lambda i: len(found[i].boxes))
        closed = [box for box in found[coarsest].boxes if box.kind == "module" and _hides_operations(box)]
        if len(closed) <= INSIDES:
            insides = [_inside(box, levels.values(), view.limit, coarsest) for box in closed]
            found += [scene for scene in insides if scene is not None]
    return found, list(drawn).index(graph.boxes)


def _hides_operations(box: Box) -> bool:
    """Whether there is more in a module's box than one operation and its parameters."""
    return sum(isinstance(node, Function) for node in box.nodes) > 1


def _inside(box: Box, levels: Iterable[Graph], limit: int, parent: int) -> Scene | None:
    """What a module's box hides, at the finest level that can be drawn, and what enters it."""
    nodes = set(box.nodes)
    for each in levels:
        inner = {i for i, other in enumerate(each.boxes) if other.nodes and nodes.issuperset(other.nodes)}
        arrows = [arrow for arrow in each.arrows if arrow.target in inner]
        shown = sorted(inner | {arrow.source for arrow in arrows})
        if len(inner) > 1 and len(shown) <= limit:
            boxes = tuple(each.boxes[i] for i in shown)
            moved = moved_arrows(arrows, {i: k for k, i in enumerate(shown)})
            return Scene(box.title, boxes, tuple(moved), parent, box)
    return None
