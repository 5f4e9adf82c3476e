"""One step of backward at a time: in a terminal, and in a notebook."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.autograd import Tensor, steps_back
from tinygrad_cnn.function import Function, GraphError, Node
from tinygrad_cnn.observe import observer
from tinygrad_cnn.viz.formulas import formula
from tinygrad_cnn.viz.numbers import Numbers
from tinygrad_cnn.viz.render import RenderError
from tinygrad_cnn.viz.tape import Event, Tape, parent_of

if TYPE_CHECKING:
    from tinygrad_cnn.viz.graphs import Graph

Array = Any


@dataclass(frozen=True)
class Step:
    """What one step of backward did.

    Attributes:
        number: Which step, from 1; 0 before the first.
        total: How many there are.
        events: The contributions it handed out.
        graph: Where.
    """

    number: int
    total: int
    events: tuple[Event, ...]
    graph: Graph = field(repr=False)
    note: str = ""

    @property
    def headline(self) -> str:
        """The step in one line."""
        if self.note:
            return self.note
        if not self.number:
            return f"at the start: no gradient was computed, {self.total} steps are to come"
        if not self.events:
            return f"step {self.number} of {self.total}: nothing flows on"
        event = next((event for event in self.events if event.phase != "hooked"), self.events[0])
        if event.phase == "kept":
            done = f": {self._name(event.node)} has its whole gradient and adds it to .grad"
        elif event.phase == "hooked":
            done = f": a hook changes the gradient of {self._name(event.node)}"
        elif event.sender is None:
            done = f": the gradient of {self._name(event.node)} with respect to itself"
        else:
            words = formula(event.sender).words if isinstance(event.sender, Function) else ""
            done = f", back through {self._name(event.sender)}{f': {words}' if words else ''}"
        return f"step {self.number} of {self.total}{done}"

    def __str__(self) -> str:
        lines = [self.headline]
        for event in () if self.note else self.events:
            indent = "  "
            if isinstance(event.sender, Function):
                name = event.sender.input_name(event.index)
                law = self.graph.formula(event.sender).backward.get(name, "")
                first_line, *others = law.splitlines() or [""]
                to = self._name(event.node) if self.graph.speaks else f"its {name}, {self._name(event.node)}"
                lines.append(f"  to {to}: {first_line}".rstrip(": "))
                lines += [f"      {line}" for line in others]
                indent = "    "
            what = f"{'.' if event.phase == 'kept' else ''}grad of {self._name(event.node)}"
            first = event.dx is None or event.dx is event.total
            hook = ", made by a hook" if event.phase == "hooked" else ""
            lines.append(f"{indent}{what} {f'= {event.total}{hook}' if first else f'+= {event.dx}, now {event.total}'}")
        return "\n".join(lines)

    __repr__ = __str__

    def _name(self, node: Node) -> str:
        return self.graph.name(node)

    def marks(self, graph: Graph) -> tuple[int | None, Collection[tuple[int, int]]]:
        """The box that is active, and the pairs of boxes between which a gradient moves."""
        place = graph.place
        if not self.events:
            return None, ()
        event = self.events[0]
        active = place.get(event.node if event.sender is None else event.sender)
        moves = {(place[e.node], place[e.sender]) for e in self.events if e.sender in place and e.node in place}
        return active, moves

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.graph.to_svg(self), "text/plain": str(self)}
        except RenderError:  # the text says it all
            return {"text/plain": str(self)}


class Walker:
    """The real backward pass, halted after every node; or a recorded one, shown again.

    What a step did to the `.grad` of leaves is undone by going back. The operations keep what they saved, so that
    backward can still be called afterwards.
    """

    def __init__(self, graph: Graph, result: Tensor | Node) -> None:
        self.graph = graph
        self.recorded = graph.tape if graph.tape is not None and graph.tape.root is graph.root else None
        self.result = result
        self.reset()
        self.total = len(self.tape.steps) if self.recorded else 1 + len(graph.nodes)

    def reset(self) -> None:
        """To the start; what was computed is forgotten."""
        while getattr(self, "position", 0):
            self.back()
        self.position = 0
        self.tape = self.recorded or Undoable()
        self._walk: Iterator[Any] | None = None

    def step(self) -> Step:
        """One step on; computed if it never was, else repeated."""
        if self.position == len(self.tape.steps) and not self._compute():
            self.total = self.position  # a node where no gradient arrives has no step
            return self._shown(f"all {self.total} steps are made; back() takes one back, reset() all")
        self.position += 1
        self._set_grads("after")
        return self._shown()

    def back(self) -> Step:
        """One step back."""
        if not self.position:
            return self._shown("no step was made yet; step() makes the first")
        self._set_grads("before")
        self.position -= 1
        return self._shown()

    def grad(self, node: Node) -> Numbers | None:
        """The gradient that has arrived at a node by now."""
        until = self.tape.events[: self._end(self.position)] if self.position else ()
        return next((e.total for e in reversed(until) if e.node is node and e.phase in ("backward", "hooked")), None)

    def _compute(self) -> bool:
        """The next node of the real backward pass; False when it is over."""
        if self.recorded:
            return False
        if not isinstance(self.result, Tensor):
            raise GraphError(
                "step: this recording has no backward pass: call loss.backward() inside it, or step through the real "
                "one with viz.graph(loss).step()"
            )
        if math.prod(self.result.shape) != 1:
            raise GraphError(
                f"step: shape {self.result.shape} is not a single number; step through its sum() or mean(), or "
                "record its backward(gradient) inside `with viz.record() as tape:` and step through tape.graph()"
            )
        token = observer.set(self.tape)  # the walk looks for an observer when it begins
        try:
            if self._walk is None:
                self._walk = steps_back(
                    [self.result._root("step", None)], retain_graph=True, into_leaves=True, wanted={}
                )
            known = len(self.tape.steps)
            next(self._walk, None)
            return len(self.tape.steps) > known
        except Exception:
            self.position = len(self.tape.steps)
            self.reset()  # the walk cannot go on: all that it did to .grad is undone
            raise
        finally:
            observer.reset(token)

    def _set_grads(self, moment: str) -> None:
        """Gives the leaf that this step completes the `.grad` it had before or has after it."""
        for event in self._events():
            if event.phase == "kept" and isinstance(self.tape, Undoable):
                kept = getattr(self.tape, moment)[event.node]
                event.node.grad = None if kept is None else kept.copy()

    def _events(self) -> tuple[Event, ...]:
        """Those of the step that was made last."""
        if not self.position:
            return ()
        return tuple(self.tape.events[self.tape.steps[self.position - 1] : self._end(self.position)])

    def _end(self, step: int) -> int:
        return self.tape.steps[step] if step < len(self.tape.steps) else len(self.tape.events)

    def _shown(self, note: str = "") -> Step:
        return Step(self.position, self.total, self._events(), self.graph, note)


class Undoable(Tape):
    """A recording that also keeps what every leaf's `.grad` was before and after."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[Node, Array | None] = {}
        self.after: dict[Node, Array] = {}

    def started(self, node: Node, dy: Array, total: Array) -> None:
        self._remember(node)
        super().started(node, dy, total)

    def handed_on(self, node: Node, index: int, dx: Array, total: Array) -> None:
        self._remember(parent_of(node, index))
        super().handed_on(node, index, dx, total)

    def arrived(self, node: Node, dy: Array, kept: bool) -> None:
        super().arrived(node, dy, kept)
        if kept and node.grad is not None:
            self.after[node] = node.grad.copy()

    def _remember(self, node: Node) -> None:
        if node not in self.before:
            self.before[node] = None if node.grad is None else node.grad.copy()
