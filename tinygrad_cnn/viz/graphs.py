"""`viz.graph`: the graph of a computation, its numbers, its pictures, and stepping back through it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.function import Function, Node
from tinygrad_cnn.viz.dot import accessible, to_dot
from tinygrad_cnn.viz.formulas import Formula, formula
from tinygrad_cnn.viz.modules import called, calls, fold, hiding, networks, own_names
from tinygrad_cnn.viz.numbers import Numbers, amount, numbers
from tinygrad_cnn.viz.page import Page, written
from tinygrad_cnn.viz.render import REMEDY, RenderError, render
from tinygrad_cnn.viz.stepping import Step, Walker
from tinygrad_cnn.viz.tape import Record, Tape, tape_with
from tinygrad_cnn.viz.walk import Arrow, Box, collapse, describe, leaf_names, topological, walk

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module

logger = logging.getLogger(__name__)

FORMATS = ("svg", "png", "pdf", "dot")
FEW = 50  # nodes of a graph whose formulas have the names of its own numbers
ENDS = 20  # boxes kept at each end of a collapsed graph
SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
NOT_YET = "not computed yet"


@dataclass(frozen=True)
class View:
    """What of a graph is drawn; the arguments of `viz.graph`."""

    level: Literal["op", "module"] = "op"
    limit: int = 300
    depth: int | None = None
    numbers: bool = True
    formulas: bool = False
    cost: bool = False
    opened: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.level not in ("op", "module"):
            raise ValueError(f'graph: level must be "op" or "module", got {self.level!r}')
        if not isinstance(self.limit, int) or self.limit < 10:
            raise ValueError(f"graph: limit must be a whole number of boxes, at least 10, got {self.limit!r}")
        if self.depth is not None and (not isinstance(self.depth, int) or self.depth < 1 or self.level == "op"):
            raise ValueError(f'graph: depth={self.depth!r}: it counts levels of modules from 1, with level="module"')


class Graph:
    """The graph of a computation: boxes and arrows in topological order, their numbers, and pictures of them.

    Attributes:
        nodes: All that it was computed from, parents before children.
        boxes: What is drawn.
        arrows: Between positions in `boxes`.
        speaks: Whether formulas have the names of this graph's numbers: it is small, and all of them have one.
        place: Node → the position of the box that shows it or hides it.
        tape: The recording that its numbers come from, or None.
        title: What it shows, for screen readers.
        description: What was counted.
    """

    def __init__(
        self, result: Tensor | Node, params: Any = None, view: View | None = None, tape: Tape | None = None
    ) -> None:
        self.view = view or View()
        self._result, self._params = result, params
        self.root: Node = result._needs_node("graph") if isinstance(result, Tensor) else result
        self.tape = tape_with(self.root) if tape is None else tape
        self.nodes = nodes = topological(self.root)
        roots = called(nodes, params)
        self._chains = calls(nodes, roots)
        self._owned = own_names(roots)
        self._leaves = self._owned | leaf_names(params)
        self._names = _told_apart({node: self._called(node) for node in nodes})
        # in a small graph formulas speak of its own names; in a network of the x and the weight of each operation
        named = all(node in self._leaves or isinstance(node, Function) for node in nodes)
        self.speaks = named and len(nodes) <= FEW and all(map(_short, self._names.values()))
        boxes, arrows = walk(nodes, {node: name for node, (name, _) in self._leaves.items()}, self._chains)
        if self.speaks:
            boxes = [replace(box, title=self._names[box.nodes[0]]) if box.nodes else box for box in boxes]
            arrows = [replace(arrow, name="") for arrow in arrows]  # its x would be taken for the graph's
        self.description = describe(boxes)
        drawn, between, note = self._fitted(boxes, arrows)
        self.description += note
        self.boxes, self.arrows = tuple(drawn), tuple(between)
        self.place = {node: i for i, box in enumerate(drawn) for node in box.nodes}
        self.title = f"Backpropagation through {' and '.join(_kinds(roots)) or self.root.name}"
        self._walker: Walker | None = None

    def _fitted(self, boxes: Sequence[Box], arrows: Sequence[Arrow]) -> tuple[Sequence[Box], Sequence[Arrow], str]:
        """Modules folded as the view says; of too many boxes, modules are closed, then the middle."""
        view = self.view
        deepest = max(map(len, self._chains.values()))
        depths = [0 if view.level == "op" else view.depth or deepest]
        depths += [deepest] if depths[0] == 0 else []
        depths += range(depths[-1] - 1, 0, -1)
        note = ""
        for depth in depths:
            if depth == 0 and not view.closed:
                folded = boxes, arrows
            else:
                folded = fold(boxes, arrows, self._chains, self._owned, hiding(depth, view.opened, view.closed))
            if len(folded[0]) <= view.limit:
                return *folded, note
            note = f"; more than limit={view.limit} boxes, so modules are closed"
        note = f"; more than limit={view.limit} boxes, so the middle is collapsed"
        return *collapse(*folded, min(ENDS, view.limit // 2)), note

    def formula(self, operation: Function) -> Formula:
        """The local formulas of an operation; with the names of the graph, if all of them are short."""
        called = {}
        if self.speaks:
            called = {operation.input_name(i): self.name(p) for i, p in enumerate(operation.parents) if p is not None}
            called[""] = self.name(operation)
        return formula(operation, called)

    def _called(self, node: Node) -> str:
        if node in self._leaves:
            return self._leaves[node][0]
        path = self._chains[node][-1].path if self._chains[node] else ""
        return f"{node.name} ({path})" if path else node.name

    def __repr__(self) -> str:
        return f"<viz.Graph: {self.description}>"

    def name(self, node: Node) -> str:
        """What a node is called in texts: a parameter by its name, an operation with the module it was computed in.

        Several of one name are counted, in the order in which they were computed: `mul 1`, `mul 2`.
        """
        return self._names[node]

    # ---- opening and closing modules

    @property
    def modules(self) -> list[str]:
        """The paths of all modules that computed something, those around before those inside."""
        return list(dict.fromkeys(call.path for chain in self._chains.values() for call in chain))

    def open(self, path: str) -> Graph:
        """The same graph with the box of one module opened: what is right inside it is drawn.

        Raises:
            ValueError: no module has this path.
        """
        self._known(path)
        view = self.view
        return self._viewed(opened=view.opened | {path}, closed=view.closed - {path})

    def close(self, path: str) -> Graph:
        """The same graph with everything one module computed in one box.

        Raises:
            ValueError: no module has this path.
        """
        self._known(path)
        return self._viewed(opened=self.view.opened - {path}, closed=self.view.closed | {path})

    def _known(self, path: str) -> None:
        if path not in self.modules:
            near = get_close_matches(path, self.modules, n=3, cutoff=0.4) or self.modules[:6]
            what = f"there is {', '.join(near)}" if near else "nothing was computed inside a module"
            raise ValueError(f"graph: no module {path!r} computed anything here; {what}")

    def _viewed(self, **changes: Any) -> Graph:
        other = Graph(self._result, self._params, replace(self.view, **changes), self.tape)
        other._walker = self._walker
        return other

    # ---- numbers

    def record(self, box: Box) -> Record:
        """What the recording saw of a box; of a module's, its result. Empty without a recording."""
        known = self.tape.records.get(box.nodes[-1]) if self.tape is not None and box.nodes else None
        return known or Record()

    def value(self, box: Box) -> Numbers | None:
        """The numbers a box stands for; None if nobody kept them: `with viz.record()` does."""
        if box.source is not None:
            operation, index = box.source
            record = self.tape.records.get(operation) if self.tape is not None else None
            return record.inputs.get(index) if record else None
        if not box.nodes:
            return None
        if (kept := self.record(box).value) is not None:
            return kept
        node = box.nodes[-1]
        if isinstance(self._result, Tensor) and node is self.root:
            return numbers(self._result)
        return numbers(self._leaves[node][1]) if node in self._leaves else None

    def grad(self, box: Box) -> Numbers | None:
        """The gradient of a box as far as it is known now, where stepping stands; None before it is computed."""
        if not box.nodes:
            return None
        node = box.nodes[-1]
        if self._walker is not None:
            return self._walker.grad(node)
        if (kept := self.record(box).grad) is not None:
            return kept
        return numbers(node.grad) if node.grad is not None else None

    def _lines(self, box: Box) -> Iterator[str]:
        """What is written under the name of a box: numbers, formulas, cost."""
        view, record = self.view, self.record(box)
        if view.numbers and box.kind != "collapsed":
            if (value := self.value(box)) is not None:
                yield from _labelled("value", value)
            grad = self.grad(box)
            if grad is not None:
                yield from _labelled("grad", grad)
            elif box.kind == "parameter" or (box.nodes and (self._walker or record.value)):
                yield f"grad {NOT_YET}"
        operations = [node for node in box.nodes if isinstance(node, Function)]
        if view.formulas and len(operations) == 1:
            for law in self.formula(operations[0]).backward.values():
                yield from law.splitlines()
        if view.cost and box.nodes and box.kind in ("operation", "module"):
            yield self._cost(box)

    def _cost(self, box: Box) -> str:
        records = [self.tape.records[node] for node in box.nodes if self.tape and node in self.tape.records]
        parts = [amount(box.nbytes, "B")]
        if forward := sum(record.seconds for record in records):
            parts.append(f"forward {amount(forward, 's')}")
        if backward := sum(record.backward_seconds or 0.0 for record in records):
            parts.append(f"backward {amount(backward, 's')}")
        return ", ".join(parts)

    # ---- stepping

    def step(self) -> Step:
        """Goes one node further back with the real backward pass, and says what happened.

        The first step is the gradient of the result with respect to itself, 1. Every other one is a node: an operation
        hands its gradient on to its inputs, a leaf adds its own to `.grad`. What was recorded with `viz.record()` is
        stepped through without computing it again.

        Returns:
            What happened; printed it is a few lines, in a notebook the graph with the node marked.
        """
        return replace(self._walking().step(), graph=self)

    def back(self) -> Step:
        """Takes the last step back; a leaf's `.grad` is again what it was before."""
        return replace(self._walking().back(), graph=self)

    def reset(self) -> Graph:
        """Goes to where no step was made; every leaf's `.grad` is what it was before the first."""
        self._walking().reset()
        return self

    def run(self) -> Graph:
        """Makes all steps that are left."""
        while not self.step().note:
            pass
        return self

    def _walking(self) -> Walker:
        if self._walker is None:
            self._walker = Walker(self, self._result)
        return self._walker

    # ---- pictures

    def to_dot(self, step: Step | None = None) -> str:
        """Returns the drawing as DOT text, Graphviz's language.

        Args:
            step: What `step()` returned, to be marked in the drawing.
        """
        return to_dot(
            self.boxes,
            self.arrows,
            self.description if step is None else step.headline,
            [list(self._lines(box)) for box in self.boxes],
            *((None, ()) if step is None else step.marks(self)),
        )

    def to_svg(self, step: Step | None = None) -> str:
        """Returns the drawing as SVG text with a title and a description for screen readers.

        Raises:
            RenderError: Graphviz is not there or failed; the message says how to get it.
        """
        dot = self.to_dot(step)
        return accessible(render(dot, "svg"), dot, self.boxes, self.title, self.description)

    def to_png(self) -> bytes:
        """Returns the drawing as the bytes of a PNG file.

        Raises:
            RenderError: Graphviz is not there or failed; the message says how to get it.
        """
        return render(self.to_dot(), "png")

    def to_html(self, path: str | Path | None = None) -> Page:
        """The graph as one page that needs nothing else; with a recording it is the replay.

        Args:
            path: A file to write, `….html`.

        Raises:
            RenderError: Graphviz is not there or failed; the message says how to get it.
            ValueError: The name of the file ends otherwise.
        """
        from tinygrad_cnn.viz.replay import replay

        return written(replay(self), path)

    def save(self, path: str | Path) -> Path:
        """Writes the drawing; the ending of the name (.svg, .png, .pdf, .dot, .html) is its format.

        Without Graphviz the DOT text is written beside (`graph.dot` for `graph.svg`) and the log says so.

        Returns:
            The path of the file that was written.

        Raises:
            ValueError: the name ends in another format.
        """
        path = Path(path)
        format = path.suffix[1:].lower()
        if format not in (*FORMATS, "html"):
            raise ValueError(
                f"graph: cannot save {path.name!r}: the name must end in .{', .'.join(FORMATS)} or .html (the format)"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if format == "html":
                self.to_html(path)
            elif format == "svg":
                path.write_text(self.to_svg(), encoding="utf-8")
            elif format != "dot":
                path.write_bytes(render(self.to_dot(), format))
        except RenderError as error:
            beside = path.with_suffix(".dot")
            later = f"dot -T{format} {beside} -o {path}" if format != "html" else "write the page again"
            logger.warning("%s Wrote %s instead; later: %s", error, beside, later)
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


def _kinds(roots: Iterable[Module]) -> dict[str, None]:
    """The classes of the networks that were called."""
    return dict.fromkeys(type(network).__name__ for network in networks(roots))


def _told_apart(names: dict[Node, str]) -> dict[Node, str]:
    """The names, with a number where several nodes have the same one."""
    many = Counter(names.values())
    seen: Counter[str] = Counter()
    told = {}
    for node, name in names.items():
        seen[name] += 1
        number = str(seen[name]).translate(SUBSCRIPT) if _short(name) else f" {seen[name]}"
        told[node] = f"{name}{number}" if many[name] > 1 else name
    return told


def _short(name: str) -> bool:
    """Whether a name can stand in a formula."""
    return len(name) <= 16 and name.rstrip("₀₁₂₃₄₅₆₇₈₉").isidentifier()


def _labelled(name: str, shown: Numbers) -> Iterator[str]:
    first, *others = shown.lines()
    yield f"{name} {first}"
    yield from others


def graph(
    tensor: Tensor,
    params: Module | Mapping[str, Tensor] | None = None,
    level: Literal["op", "module"] = "op",
    limit: int = 300,
    *,
    depth: int | None = None,
    numbers: bool = True,
    formulas: bool = False,
    cost: bool = False,
) -> Graph:
    """Reads the graph of the computation that made a tensor; call it before or after `backward`.

    Operations carry their attributes and the shape of their output, parameters their names, data without a
    gradient (images, labels) is grey. Arrows point forward, the way the values went; backward walks them in reverse.
    Values and gradients are those of the parameters and of the tensor itself; what was computed in between is known
    inside and after `with viz.record():`.

    Args:
        tensor: any tensor that was computed from tensors that want gradients, say the loss.
        params: a module or a dict name → tensor; gives the leaves their names. Parameters of modules that were called
            have their names without it.
        level: `"op"` draws every operation and parameter; `"module"` one box for each layer that was called, or for
            each module at `depth`; `open(path)` and `close(path)` do it for single ones.
        limit: with more boxes than this, modules are closed, from the layers outwards; if that is not enough, only the
            first and the last 20 boxes are drawn, the others as one box `… n operations …`: Graphviz would take
            minutes, and nobody would find their way in the picture.
        depth: levels of modules that are open, plus one: with 1 every child of the network is one box.
        numbers: write values and gradients into the boxes: up to 64 numbers, else mean, standard deviation and norm.
        formulas: write into each operation how it hands its gradient on.
        cost: write the bytes of each result and, of a recording, the seconds forward and backward.

    Raises:
        ValueError: the tensor has no graph, or `level`, `depth` or `limit` is not one of those allowed.

    >>> import tinygrad_cnn as tcnn
    >>> w = tcnn.tensor([3.0], requires_grad=True)
    >>> g = tcnn.viz.graph((w * w).sum(), params={"w": w})
    >>> [box.title for box in g.boxes]
    ['w', 'mul', 'sum']
    >>> print(g.step())
    step 1 of 4: the gradient of sum with respect to itself
      grad of sum = 1
    >>> print(g.step())
    step 2 of 4, back through sum: hands the same gradient to every summand
      to mul: ∂L/∂mul = ∂L/∂sum
        grad of mul = [1]
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"graph: draws the computation of a Tensor, got {type(tensor).__name__}")
    view = View(level, limit, depth, numbers, formulas, cost)
    if tensor.node is None:
        raise ValueError(
            "graph: this tensor has no graph: it was made under no_grad(), by detach(), or from tensors none of "
            "which wants a gradient; compute it from parameters (requires_grad=True) outside no_grad()"
        )
    return Graph(tensor, params, view)
