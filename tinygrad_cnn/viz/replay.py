"""The replay: a recorded pass as one page that needs nothing else; its parts are `pages/replay.*`.

`Script` gathers what the page shows: *entries* (what has a value and a gradient: operations, parameters, data),
*frames* (what happens, in order) and *scenes* (drawings of the graph, from all operations to a few modules, laid out
here once). The page itself computes nothing, so it cannot be wrong where the recording is right.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import html
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, pairwise
from typing import TYPE_CHECKING, Any

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Function, Node
from tinygrad_cnn.viz.dot import accessible, printable, to_dot
from tinygrad_cnn.viz.formulas import equations
from tinygrad_cnn.viz.notation import pretty
from tinygrad_cnn.viz.numbers import Numbers, amount, short
from tinygrad_cnn.viz.page import Page, filled, part
from tinygrad_cnn.viz.render import render
from tinygrad_cnn.viz.scenes import Scene, scenes
from tinygrad_cnn.viz.store import Store, Worth
from tinygrad_cnn.viz.tape import Event
from tinygrad_cnn.viz.walk import Box, attributes

if TYPE_CHECKING:
    from tinygrad_cnn.viz.graphs import Graph

BYTES = 1_900_000  # a page can be sent by mail
FRAMES = 1_500  # with more events, those that follow each other inside one box are one frame
FEWER = 500  # of still more, so many and the last of each box
PLACES = ("value not computed yet", "grad not computed yet")  # the page writes numbers over them

Key = Node | tuple[Node, int]  # data has no node: the operation it enters, and as which input


def replay(graph: Graph) -> Page:
    """Returns the page for a graph, with its recording if it has one.

    Raises:
        RenderError: Graphviz is not there or failed; the message says how to get it.
    """
    script = Script(graph)
    parts = {"css": part("replay.css"), "js": part("replay_numbers.js") + part("replay.js")}
    parts["title"] = html.escape(printable(graph.title))
    parts["description"] = html.escape(printable(graph.description))
    parts["drawings"] = "".join(f'<div class="scene">{script.svg(i)}</div>' for i in range(len(script.scenes)))
    # only this program may run, and nothing be asked for, whatever names the graph has
    parts["hash"] = base64.b64encode(hashlib.sha256(parts["js"].encode("utf-8")).digest()).decode("ascii")
    others = part("replay.html") + "".join(parts.values())
    parts["data"] = script.data(BYTES - len(others.encode("utf-8")))
    return filled("replay.html", parts)


class Script:
    """What the page shows of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.tape = graph, graph.tape
        self.store = Store()
        self.scenes, self.first = scenes(graph)
        self.sources: dict[str, list[dict[str, str]]] = {}
        events = self._events()
        self.sent: dict[Node, dict[int, Numbers | None]] = {}  # operation → what it handed each input
        for event in chain.from_iterable(events):
            if event.sender is not None:
                self.sent.setdefault(event.sender, {})[event.index] = event.dx
        self.backward = any(event.phase != "forward" for *_, event in events)
        self.numbers = {key: i for i, key in enumerate(self._keys(events))}  # of entries
        self.entries = [self._data(*key) if isinstance(key, tuple) else self._node(key) for key in self.numbers]
        self.frames = [self._frame(*group) for group in events]

    def data(self, room: int) -> str:
        """All of it as JSON of at most so many bytes, if that can be done; safe inside a script element."""
        known = {
            "frames": [{"phase": "start"}, *self.frames],
            "entries": self.entries,
            "sources": self.sources,
            "backward": self.backward,
            "first": self.first,
            "scenes": [self._scene(scene) for scene in self.scenes],
        }
        text = _json(known)
        facts = _json(self.store.told)
        # a sample's row also names its format
        samples = self.store.fit(room - len((text + facts).encode("utf-8")) - 30 * len(self.store.told))
        known["numbers"], known["samples"] = self.store.packed(), samples
        return _json(known).replace("<", "\\u003c")

    # ---- what happens

    def _events(self) -> list[list[Event]]:
        """What happened to nodes of this graph in its last pass; a frame stands for some events and shows the last."""
        if self.tape is None:
            return []
        nodes = set(self.graph.nodes)
        events = [event for event in self.tape.events if event.phase == "forward" and event.node in nodes]
        last = self.tape.events[self.tape.steps[0] :] if self.tape.steps else []
        last = [event for event in last if event.phase != "forward" and event.node in nodes]
        if any(event.node is self.graph.root for event in last):
            events += last
        if len(events) <= FRAMES:
            return [[event] for event in events]

        def where(event: Event) -> tuple[bool, int]:
            return event.phase == "forward", self.graph.place.get(event.node, -1)

        groups = [list(found) for _, found in groupby(events, where)]
        if len(groups) <= FRAMES:
            return groups
        ends = {where(group[-1]): i for i, group in enumerate(groups)}
        told = sorted({*ends.values(), *range(0, len(groups), len(groups) // FEWER)})
        return [list(chain.from_iterable(groups[before + 1 : i + 1])) for before, i in pairwise([-1, *told])]

    def _frame(self, *events: Event) -> dict[str, Any]:
        *others, event = events
        sender = event.sender
        frame: dict[str, Any] = {"phase": event.phase, "node": self.numbers[event.node], "count": len(events)}
        if event.phase != "forward":
            frame["total"] = self._total(event)
            also = {self.numbers[e.node]: e for e in others if e.total and e.node in self.numbers}
            also.pop(frame["node"], None)
            frame |= {"also": [[entry, self._total(e)] for entry, e in also.items()]} if also else {}
            frame["dx"] = self.store.add(event.dx, Worth.GRADIENT)
            if isinstance(sender, Function) and sender in self.numbers:
                frame |= {"from": self.numbers[sender], "input": sender.input_name(event.index)}
        return frame

    def _total(self, event: Event) -> int | None:
        return self.store.add(event.total, Worth.GRADIENT if isinstance(event.node, Function) else Worth.RESULT)

    # ---- what has a value

    def _keys(self, events: Sequence[Sequence[Event]]) -> Iterator[Key]:
        """All nodes and data, in topological order; of very many, those in frames or shown by boxes."""
        nodes = self.graph.nodes
        if len(nodes) > FRAMES:
            told = {node for *_, event in events for node in (event.node, event.sender)}
            told |= {box.nodes[-1] for scene in self.scenes for box in scene.boxes if box.nodes}
            nodes = [node for node in nodes if node in told]
        for node in nodes:
            if isinstance(node, Function):
                for i, (parent, shape) in enumerate(zip(node.parents, node.input_shapes)):
                    if parent is None and shape is not None:
                        yield node, i
            yield node

    def _data(self, operation: Node, index: int) -> dict[str, Any]:
        assert isinstance(operation, Function)
        box = Box("data", operation.input_name(index), operation.input_shapes[index], source=(operation, index))
        value = self.graph.value(box)
        return {
            "kind": "data",
            "name": box.title,
            "size": f"{box.size} {value.dtype if value else ''}".strip(),
            "value": self.store.add(value, Worth.GIVEN),
        }

    def _node(self, node: Node) -> dict[str, Any]:
        graph = self.graph
        operation = node if isinstance(node, Function) else None
        box = Box("operation" if operation else "parameter", node.name, node.shape, str(node.dtype), nodes=(node,))
        value, record = graph.value(box), graph.record(box)
        known = {
            "kind": box.kind,
            "name": printable(graph.name(node)),
            "size": box.size,
            "value": self.store.add(value, Worth.VALUE if operation else Worth.GIVEN),
            "grad": None if self.backward else self.store.add(graph.grad(box), Worth.RESULT),
            "bytes": amount(box.nbytes, "B"),
        }
        if operation is None:
            return known
        law = graph.formula(operation)
        filled = dict(self._filled(operation))
        inputs = [
            {"name": operation.input_name(i), "entry": self.numbers.get(parent or (operation, i))}
            for i, (parent, shape) in enumerate(zip(operation.parents, operation.input_shapes))
            if parent is not None or shape is not None
        ]
        return known | {
            "title": operation.name,
            "details": ", ".join(map(printable, attributes(operation))),
            "inputs": inputs,
            "forward": law.forward,
            "forward_filled": filled.get(""),
            "backward": [[name, text, filled.get(name)] for name, text in law.backward.items()],
            "words": law.words,
            "where": where_text(record.where),
            "code": record.code if where_text(record.where) else "",
            "source": self._source(operation),
            "seconds": [amount(s, "s") if s else "" for s in (record.seconds, record.backward_seconds)],
        }

    def _filled(self, operation: Function) -> Iterator[tuple[str, str]]:
        """The formulas of scalars with their numbers in: `""` → `3 · (−4) = −12`, input x → `1 · (−4) = −4`."""
        record = self.tape.records.get(operation) if self.tape else None
        known = equations(operation)
        if record is None or not known:
            return
        result = next(iter(known))
        numbers: dict[str, Numbers | None] = {result: record.value, f"d{result}": record.grad}
        for i, parent in enumerate(operation.parents):
            given = self.graph.record(Box("parameter", "", nodes=(parent,))).value if parent else record.inputs.get(i)
            numbers[operation.input_name(i)] = given
        if any(n is not None and n.size != 1 for n in numbers.values()):
            return
        names = {name: _in_formula(n.sample[0]) for name, n in numbers.items() if n is not None}
        yielded = {"": (result, record.value)}
        for i, dx in self.sent.get(operation, {}).items():
            yielded[operation.input_name(i)] = (f"d{operation.input_name(i)}", dx)
        for name, (equation, outcome) in yielded.items():
            if outcome is not None and equation in known and _names(known[equation]) <= names.keys():
                text, number = pretty(known[equation], names), short(outcome.sample[0])
                text = re.sub(r"^\((−[^()]*)\)(?= |$)", r"\1", text)  # −2 + 5, not (−2) + 5
                yield name, number if text == number else f"{text} = {number}"

    def _source(self, operation: Function) -> str:
        """Where `sources` holds how this operation goes back."""
        kind = type(operation)
        key = f"{kind.__module__}.{kind.__qualname__}"
        if key not in self.sources:
            self.sources[key] = code_of(operation)
        return key

    # ---- drawings

    def svg(self, number: int) -> str:
        """A scene as SVG, whose boxes have the ids `s0-n0`, `s0-n1`, … in the order of its boxes."""
        scene, numbers = self.scenes[number], self.graph.view.numbers
        places = {"collapsed": (), "data": PLACES[:1]}
        lines = [places.get(box.kind, PLACES) if numbers else () for box in scene.boxes]
        dot = to_dot(scene.boxes, scene.arrows, "", lines)
        title = f"the inside of {scene.inside.title}" if scene.inside else self.graph.title
        drawn = accessible(render(dot, "svg"), dot, scene.boxes, title, self.graph.description)
        drawn = re.sub(r"<title>[^<]*</title>\n?", "", drawn)  # the page gives boxes labels with numbers in them
        drawn = re.sub(r' font-family="[^"]*"', "", drawn)
        return re.sub(r'(?<= id=")(?=(n|a|clust|graph)\d+")', f"s{number}-", drawn)

    def _box(self, box: Box) -> dict[str, Any]:
        key = box.source or (box.nodes[-1] if box.nodes else None)
        known: dict[str, Any] = {"kind": box.kind, "title": printable(box.title)}
        known["entry"] = None if key is None else self.numbers.get(key)
        if box.kind == "module":
            inside = [self.numbers[node] for node in box.nodes if node in self.numbers]
            known |= {"details": ", ".join(map(printable, box.details)), "inside": inside}
        return known

    def _scene(self, scene: Scene) -> dict[str, Any]:
        boxes = [self._box(box) for box in scene.boxes]
        for i, other in enumerate(self.scenes):
            if other.inside is not None and other.parent is not None and self.scenes[other.parent] is scene:
                boxes[next(k for k, box in enumerate(scene.boxes) if box is other.inside)]["open"] = i
        place: dict[Any, int] = {node: i for i, box in enumerate(scene.boxes) for node in box.nodes}
        place |= {box.source: i for i, box in enumerate(scene.boxes) if box.source}
        others = next((i for i, box in enumerate(scene.boxes) if box.kind == "collapsed"), None)
        return {
            "name": scene.name,
            "parent": scene.parent,
            "inside": scene.inside and printable(scene.inside.title),
            "boxes": boxes,
            "arrows": [[arrow.source, arrow.target, arrow.name] for arrow in scene.arrows],
            # of data inside a module: where its operation is
            "place": [place.get(k, place.get(k[0], others) if isinstance(k, tuple) else others) for k in self.numbers],
        }


def where_text(where: str) -> str:
    """`train.py, line 12`: a recording may be shown to others, who need not know the folders of a computer."""
    file, _, line = where.rpartition(":")
    if "ipykernel" in file or file.startswith("<ipython"):
        return f"a notebook's cell, line {line}"
    if not file.endswith((".py", "<stdin>")) or "site-packages" in file:
        return ""  # the command line's own start
    *_, name = re.split(r"[/\\]", file)
    return f"{name}, line {line}"


def code_of(operation: Function) -> list[dict[str, str]]:
    """The source of an operation's backward, and of the readable kernel that it calls; none if it was typed in."""
    functions: list[Any] = [type(operation).backward]
    found = []
    try:
        text = inspect.getsource(functions[0])
        called = re.findall(r"\bkernels\.(\w+)\(", text)
        if "self.kernel(" in text:
            called = [operation.kernel("backward").name]  # type: ignore[attr-defined]
        functions += [kernels.get(name).implementations["reference"] for name in called[:1] if name in kernels.names()]
        for function in functions:
            *_, file = re.split(r"[/\\]tinygrad_cnn[/\\]", inspect.getsourcefile(function) or "")
            file = re.sub(r"^(.*:|[/\\]).*[/\\]", "", file)
            found.append({"where": file, "code": textwrap.dedent(inspect.getsource(function))})
    except (OSError, TypeError):
        pass
    return found


def _in_formula(number: Any) -> str:
    return f"({short(number)})" if number < 0 else short(number)


def _names(equation: str) -> set[str]:
    """The quantities an equation uses."""
    nodes = list(ast.walk(ast.parse(equation, mode="eval")))
    functions = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in functions}


def _json(known: Any) -> str:
    text = json.dumps(known, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8")  # half a character of a name, which no file can hold
