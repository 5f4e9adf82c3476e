"""Modules as boxes: inside which calls a node was computed, and folding all that a call computed into one box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.function import Node
from tinygrad_cnn.nn import Module
from tinygrad_cnn.nn.tree import join
from tinygrad_cnn.observe import Scope
from tinygrad_cnn.viz.walk import Arrow, Box, moved_arrows, shape_text


class Call(NamedTuple):
    """One call of a module below the root; a module that is called twice has two."""

    path: str
    scope: Scope

    def __repr__(self) -> str:
        return self.path


Chain = tuple[Call, ...]


def called(nodes: Sequence[Node], params: object = None) -> dict[Module, str]:
    """The modules that were called from outside all others → the name that is put before those inside.

    The network itself has none, so that its layers have the names of `named_modules()`.

    Args:
        nodes: All nodes of the graph.
        params: What `viz.graph` was given; a module that contains the others gives them their names. Without one, the
            network that was called does.
    """
    roots = dict.fromkeys(node.scope.modules()[0] for node in nodes if node.scope is not None)
    known = {module: path for path, module in params.named_modules()} if isinstance(params, Module) else {}
    alone = networks(roots)
    if not known and len(alone) == 1:
        known = {alone[0]: ""}
    return {root: known.get(root, type(root).__name__) for root in roots}


def calls(nodes: Sequence[Node], roots: Mapping[Module, str]) -> dict[Node, Chain]:
    """Inside the calls of which modules each node was computed, the outermost first.

    Args:
        nodes: All nodes of the graph.
        roots: What `called` returns.
    """
    paths = {
        root: {module: join(name, path) if path else name for path, module in root.named_modules()}
        for root, name in roots.items()
    }

    @cache  # one module may compute thousands of nodes
    def chain(scope: Scope) -> Chain:
        outer = () if scope.outer is None else chain(scope.outer)
        above = outer[-1].path if outer else ""
        made_inside = join(above, type(scope.module).__name__)  # in a forward, and called there
        path = paths[scope.modules()[0]].get(scope.module, made_inside)
        return (*outer, Call(path, scope)) if path and path != above else outer

    return {node: () if node.scope is None else chain(node.scope) for node in nodes}


def own_names(roots: Mapping[Module, str]) -> dict[Node, tuple[str, Tensor]]:
    """The node of each parameter of the modules that were called → its name and the tensor."""
    return {
        parameter.node: (join(name, path), parameter)
        for root, name in roots.items()
        for path, parameter in root.named_parameters()
        if parameter.node is not None
    }


def networks(roots: Iterable[Module]) -> list[Module]:
    """Those that have modules inside."""
    return [root for root in roots if next(root.children(), None) is not None]


def fold(
    boxes: Sequence[Box],
    arrows: Sequence[Arrow],
    chains: Mapping[Node, Chain],
    owned: Container[Node],
    closed: Callable[[Chain], Call | None],
) -> tuple[list[Box], list[Arrow]]:
    """Everything a closed call computed becomes one box, with the modules' parameters that nobody else uses.

    Args:
        boxes: In topological order, as `walk` makes them.
        arrows: Between them.
        chains: What `calls` returns.
        owned: The parameters of modules.
        closed: The chain of an operation → the call whose box hides it, or None.
    """
    hidden_in: list[Scope | None] = [None] * len(boxes)
    names: dict[Scope, str] = {}
    for i, box in enumerate(boxes):
        if box.kind == "operation" and (call := closed(chains[box.nodes[0]])) is not None:
            hidden_in[i] = call.scope
            names[call.scope] = call.path
    users: dict[int, set[Scope | None]] = {}
    for arrow in arrows:
        users.setdefault(arrow.source, set()).add(hidden_in[arrow.target])
    for i, box in enumerate(boxes):
        if box.kind == "parameter" and box.nodes[0] in owned and len(users.get(i, ())) == 1:
            (hidden_in[i],) = users[i]
    members: dict[Scope, list[Box]] = {}
    for box, scope in zip(boxes, hidden_in):
        if scope is not None:
            members.setdefault(scope, []).append(box)
    # a call's box stands where its last operation stood: its inputs came before, what uses it comes after
    last = {scope: i for i, scope in enumerate(hidden_in) if scope is not None}
    folded: list[Box] = []
    places: dict[Scope | int, int] = {}
    for i, (box, scope) in enumerate(zip(boxes, hidden_in)):
        if scope is None or last[scope] == i:
            places[i if scope is None else scope] = len(folded)
            folded.append(box if scope is None else _module_box(names[scope], scope, members[scope]))
    place = {i: places[i if scope is None else scope] for i, scope in enumerate(hidden_in)}
    moved = moved_arrows(arrows, place)
    if any(arrow.source > arrow.target for arrow in moved):  # what it returned early was used before it ended
        return _sorted(folded, moved)
    return folded, moved


def _module_box(path: str, scope: Scope, inside: Sequence[Box]) -> Box:
    operations = [box for box in inside if box.kind == "operation"]
    parameters = [box for box in inside if box.kind == "parameter"]
    if len(operations) == 1:
        details = [operations[0].title, *operations[0].details]
        details += [f"{box.title.rpartition('.')[2]} {shape_text(box.shape)}" for box in parameters]
    else:
        details = [scope.module._get_name(), f"{len(operations):,} operations", f"{len(parameters):,} parameters"]
    return replace(
        operations[-1],
        kind="module",
        title=path,
        details=tuple(details),
        path=path,
        nodes=tuple(node for box in (*parameters, *operations) for node in box.nodes),
    )


def _sorted(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> tuple[list[Box], list[Arrow]]:
    """Boxes in topological order again, by first come first served; in a circle the rest keeps its order."""
    waiting = Counter(arrow.target for arrow in arrows)
    outgoing: dict[int, list[int]] = {}
    for arrow in arrows:
        outgoing.setdefault(arrow.source, []).append(arrow.target)
    order = [i for i in range(len(boxes)) if not waiting[i]]
    for i in order:  # grows as boxes become ready
        for target in outgoing.get(i, ()):
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    order += sorted(set(range(len(boxes))) - set(order))
    place = {i: k for k, i in enumerate(order)}
    return [boxes[i] for i in order], moved_arrows(arrows, place)


def hiding(depth: int, opened: frozenset[str], closed: frozenset[str]) -> Callable[[Chain], Call | None]:
    """Which call hides an operation: the outermost one that is closed.

    Args:
        depth: Modules at this depth, and layers above it, are closed; 0: none.
        opened: Paths of modules that are open nevertheless; what is right inside them is closed then.
        closed: Paths of modules that are closed nevertheless.
    """

    def first_closed(chain: Chain) -> Call | None:
        for position, call in enumerate(chain, start=1):
            by_depth = depth and (position >= depth or position == len(chain))
            if call.path in closed or (by_depth and call.path not in opened):
                return call
        return None

    return first_closed
