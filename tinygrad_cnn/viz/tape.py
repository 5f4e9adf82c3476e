"""Recording a real forward and backward pass: what every operation computed, and how each gradient came together."""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Sequence
from contextvars import Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.function import Function, GraphError, Node, Version
from tinygrad_cnn.grad_mode import caller
from tinygrad_cnn.observe import Observer, observer
from tinygrad_cnn.viz.numbers import KEPT, Numbers, numbers
from tinygrad_cnn.viz.page import Page, framed

if TYPE_CHECKING:
    from pathlib import Path

    from tinygrad_cnn.nn import Module
    from tinygrad_cnn.viz.answers import Why
    from tinygrad_cnn.viz.graphs import Graph

Array = Any

MOST_BYTES = 256 * 2**20  # of copied numbers; when a tape holds more, only statistics are added


@dataclass(eq=False)
class Record:
    """What was seen of one node.

    Attributes:
        value: What the operation computed, or what the leaf held when it was first used.
        inputs: Position → numbers, for the inputs that are not nodes themselves: images, labels, Python numbers.
        grad: The gradient of the loss with respect to it; None until it is complete.
        where: `file:line` of the user's code that called the operation; empty for a leaf.
        code: That line.
        seconds: How long forward took.
        backward_seconds: How long backward took; None until it ran.
        saved: What forward kept for backward, also after backward has let it go.
        watched: The versions of what was saved, see `Function.watched`.
    """

    value: Numbers | None = None
    inputs: dict[int, Numbers] = field(default_factory=dict)
    grad: Numbers | None = None
    where: str = ""
    code: str = ""
    seconds: float = 0.0
    backward_seconds: float | None = None
    saved: dict[str, Array] = field(default_factory=dict)
    watched: tuple[tuple[str, Version, int], ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Event:
    """One thing that happened, in order.

    Attributes:
        phase: `"forward"`: the node computed its value. `"backward"`: the node received a contribution to its
            gradient. `"hooked"`: a hook put `total` in the place of its gradient. `"kept"`: the gradient of a leaf is
            complete and was added to its `.grad`, now `total`.
        node: Which node.
        sender: The node whose backward gave it; None at the start, where the gradient was given.
        index: Which of the sender's inputs the node is.
        dx: The contribution.
        total: The node's gradient after it; `0 → 0.3 → 1.0` is two events with the totals 0.3 and 1.0.
    """

    phase: str
    node: Node
    sender: Node | None = None
    index: int = 0
    dx: Numbers | None = None
    total: Numbers | None = None


class Tape(Observer):
    """A recording: `with viz.record() as tape:` around a forward and a backward pass.

    Attributes:
        records: Node → what was seen of it.
        events: What happened, in order.
        steps: Where in `events` each step of the last pass back begins: the start, then one step for every node.
        root: Where the last backward pass began; None before.
    """

    def __init__(self, params: Module | None = None) -> None:
        self.params = params
        self.records: dict[Node, Record] = {}
        self.events: list[Event] = []
        self.steps: list[int] = []
        self.root: Node | None = None
        self._bytes = 0
        self._sums: dict[Node, Array] = {}  # gradients on their way
        self._saved_bytes = 0
        self._under_way = False
        self._tokens: list[Token[Observer | None]] = []

    def __enter__(self) -> Self:
        self._tokens.append(observer.set(self))
        _tapes[:] = [*filter(lambda reference: reference(), _tapes), weakref.ref(self)]
        return self

    def __exit__(self, *error: object) -> None:
        observer.reset(self._tokens.pop())

    def __repr__(self) -> str:
        forward = sum(event.phase == "forward" for event in self.events)
        return f"<viz.Tape: {forward:,} operations forward, {len(self.events) - forward:,} contributions backward>"

    # ---- looking on

    def applied(self, operation: Function, inputs: Sequence[Any], results: Sequence[Any], seconds: float) -> None:
        node = results[0].node
        if node is not operation:
            return  # no graph: nothing flows back through it
        where = caller()
        record = Record(self._copy(results[0].data), where=where, code=code_at(where), seconds=seconds)
        record.saved, record.watched = dict(operation.saved), operation.watched
        self._saved_bytes += sum(getattr(array, "nbytes", 0) for array in record.saved.values())
        for index, (tensor, parent) in enumerate(zip(inputs, operation.parents)):
            if parent is None and tensor is not None:
                record.inputs[index] = self._copy(tensor.data if isinstance(tensor, Tensor) else tensor)
            elif parent is not None and parent not in self.records:
                self.records[parent] = Record(self._copy(tensor.data))
        self.records[operation] = record
        self.events.append(Event("forward", operation))

    def started(self, node: Node, dy: Array, total: Array) -> None:
        if self._under_way:  # a second pass
            self.steps.clear()
            self._sums.clear()
            self._forget()
        self._under_way = False
        self.root = node
        self._sums[node] = total
        whole = self._copy(total)
        self.steps.append(len(self.events))
        self.events.append(Event("backward", node, dx=whole if total is dy else self._copy(dy), total=whole))

    def handed_on(self, node: Node, index: int, dx: Array, total: Array) -> None:
        parent, whole = parent_of(node, index), self._copy(total)
        self._sums[parent] = total
        self.events.append(Event("backward", parent, node, index, whole if dx is total else self._copy(dx), whole))

    def arrived(self, node: Node, dy: Array, kept: bool) -> None:
        self._under_way = True
        grad = self._record(node).grad = self._copy(dy)
        self.steps.append(len(self.events))
        if self._sums.pop(node, dy) is not dy:
            self.events.append(Event("hooked", node, total=grad))
        if kept and node.grad is not None:
            self.events.append(Event("kept", node, total=self._copy(node.grad)))

    def finished(self, node: Node, seconds: float) -> None:
        self._record(node).backward_seconds = seconds

    def _record(self, node: Node) -> Record:
        """What is known of a node; nothing yet, if it was computed before the recording began."""
        return self.records.setdefault(node, Record())

    def _forget(self) -> None:
        """What earlier passes saved, if it is much: a recording around many steps must not fill the memory."""
        if self._saved_bytes > MOST_BYTES:
            self._saved_bytes = 0
            for node, record in self.records.items():
                if isinstance(node, Function) and node.freed:
                    record.saved = {}

    def _copy(self, values: Any) -> Numbers:
        copied = numbers(values, kept=KEPT if self._bytes < MOST_BYTES else 0)
        self._bytes += copied.sample.nbytes
        return copied

    # ---- what to do with it

    def result(self) -> Node:
        """The node where backward began, or the last operation if it did not begin.

        Raises:
            GraphError: Nothing was recorded.
        """
        if self.root is not None:
            return self.root
        if not self.events:
            raise GraphError(
                "record: nothing was recorded that a gradient could flow through; compute the loss, and call "
                "loss.backward(), inside `with viz.record() as tape:`, from parameters that want gradients"
            )
        return self.events[-1].node

    def graph(self, **options: Any) -> Graph:
        """The graph with all recorded numbers; takes the options of `viz.graph`."""
        from tinygrad_cnn.viz.graphs import Graph, View

        return Graph(self.result(), self.params, View(**options), self)

    def why(self, tensor: Tensor, index: int | tuple[int, ...] = (), **options: Any) -> Why:
        """Why one number of a recorded gradient is what it is; takes the options of `viz.why`."""
        from tinygrad_cnn.viz.why import why

        return why(tensor, index, tape=self, **options)

    def to_html(self, path: str | Path | None = None, **options: Any) -> Page:
        """The replay: one page that shows the pass again, event by event; takes the options of `viz.graph`."""
        return self.graph(**options).to_html(path)

    def _repr_html_(self) -> str | None:
        from tinygrad_cnn.viz.render import RenderError

        try:
            return framed(self.to_html(), repr(self), 50, "allow-scripts") if self.events else None
        except RenderError:  # the text says what was recorded
            return None


record = Tape

_tapes: list[weakref.ref[Tape]] = []  # the newest last


def tape_with(node: Node) -> Tape | None:
    """The newest recording that is still held and has seen this node."""
    _tapes[:] = [reference for reference in _tapes if reference() is not None]
    tapes = (reference() for reference in reversed(_tapes))
    return next((tape for tape in tapes if tape is not None and node in tape.records), None)


def parent_of(node: Node, index: int) -> Node:
    """An input of a node that wants a gradient."""
    parent = node.parents[index]
    assert parent is not None, "gradients are handed to inputs that want one"
    return parent


def code_at(where: str) -> str:
    """The line of the user's program, if its file can be read (a notebook's cell can)."""
    file, _, line = where.rpartition(":")
    return linecache.getline(file, int(line)).strip()
