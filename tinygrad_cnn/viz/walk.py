"""From the nodes of a computation to boxes and arrows: the walk, and collapsing what is too much for one picture."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.function import Function, Node

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module

Kind = Literal["operation", "module", "parameter", "data", "collapsed"]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Box:
    """One box: an operation, a parameter, data without a gradient, the call of a module, or the collapsed middle.

    Attributes:
        kind: Which of these.
        title: The operation's, the parameter's, the module's name.
        shape: Shape of the values it stands for.
        dtype: Their number format.
        details: Its settings, in words.
        path: The module inside whose call it was computed: `features.conv1`; empty outside all modules.
        nodes: The nodes it stands for; the values are those of the last.
        source: Of data: the operation it enters, and as which of its inputs.
    """

    kind: Kind
    title: str
    shape: Shape | None = None
    dtype: str = ""
    details: tuple[str, ...] = ()
    path: str = field(default="", compare=False)
    nodes: tuple[Node, ...] = field(default=(), repr=False, compare=False)
    source: tuple[Function, int] | None = field(default=None, repr=False, compare=False)

    @property
    def size(self) -> str:
        """Shape and type of the values: `2×6×28×28 float32`."""
        return f"{shape_text(self.shape)} {self.dtype}".strip()

    @property
    def text(self) -> str:
        """The box in one line, as the SVG's tooltip says it: `conv2d, 2×6×28×28 float32, stride 1`."""
        return ", ".join(part for part in (self.title, self.size, *self.details) if part)

    @property
    def nbytes(self) -> int:
        """Memory of the values."""
        return prod(self.shape or ()) * np.dtype(self.dtype).itemsize if self.dtype else 0


@dataclass(frozen=True)
class Arrow:
    """An arrow between two positions in the list of boxes, from what was computed first to what uses it."""

    source: int
    target: int
    name: str = ""
    shape: Shape | None = None
    count: int = 1


def leaf_names(params: Module | Mapping[str, Tensor] | None) -> dict[Node, tuple[str, Tensor]]:
    """Each leaf's node → its name and the tensor; a parameter that two modules share keeps both names."""
    if params is None:
        return {}
    if not isinstance(params, Mapping) and not hasattr(params, "named_parameters"):
        raise TypeError(
            f"graph: params must be a module or a dict of names and tensors, as {{'w': w}}, got {type(params).__name__}"
        )
    named = params.items() if isinstance(params, Mapping) else params.named_parameters(remove_duplicate=False)
    names: dict[Node, tuple[str, Tensor]] = {}
    for name, leaf in named:
        if not isinstance(leaf, Tensor):
            raise TypeError(f"graph: params[{name!r}] must be a Tensor, got {type(leaf).__name__}")
        if leaf.node is not None:
            names[leaf.node] = (f"{names[leaf.node][0]} = {name}" if leaf.node in names else str(name), leaf)
    return names


def walk(
    nodes: Sequence[Node], names: Mapping[Node, str], chains: Mapping[Node, Sequence[Any]]
) -> tuple[list[Box], list[Arrow]]:
    """One box for every node, and one for every input without a node (data), just before the operation it enters.

    Args:
        nodes: Parents before children, as `topological` gives them.
        names: Of leaves.
        chains: Node → the calls of modules it was computed in.
    """
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    place: dict[Node, int] = {}
    for node in nodes:
        if isinstance(node, Function):
            sources = []
            for i, (parent, shape) in enumerate(zip(node.parents, node.input_shapes)):
                name = node.input_name(i)
                if parent is not None:
                    sources.append((place[parent], name, parent.shape))
                elif shape is not None:  # None: a Python number
                    boxes.append(Box("data", name, shape, source=(node, i)))
                    sources.append((len(boxes) - 1, name, shape))
            arrows += [Arrow(source, len(boxes), name, shape) for source, name, shape in sources]
            path = chains[node][-1].path if chains[node] else ""
            box = Box("operation", node.name, node.shape, str(node.dtype), attributes(node), path, (node,))
        else:
            box = Box("parameter", names.get(node, "leaf"), node.shape, str(node.dtype), nodes=(node,))
        place[node] = len(boxes)
        boxes.append(box)
    return boxes, arrows


def topological(root: Node) -> list[Node]:
    """Every node once, parents before children, without recursion: chains may be 100,000 operations long.

    Not `kernels.toposort`, which may walk in any such order and can be replaced: here an operation's first input comes
    first, so that the picture reads like the program, whatever order backward takes.
    """
    order: list[Node] = []
    seen = {id(root)}
    stack = [(root, iter(root.parents))]
    while stack:
        node, parents = stack[-1]
        for parent in parents:
            if parent is not None and id(parent) not in seen:
                seen.add(id(parent))
                stack.append((parent, iter(parent.parents)))
                break
        else:
            order.append(node)
            stack.pop()
    return order


def collapse(boxes: Sequence[Box], arrows: Sequence[Arrow], ends: int) -> tuple[list[Box], list[Arrow]]:
    """Keeps the first and the last boxes, `ends` of each, and makes everything between them one box.

    The list is in topological order, so making one box of neighbours in the list never closes a cycle.
    """
    first, last = ends, len(boxes) - ends
    hidden = Counter("operation" if box.kind == "module" else box.kind for box in boxes[first:last])
    operations = hidden.pop("operation", 0)
    middle = f"… {operations:,} operation{'s' * (operations != 1)} …"
    others = tuple(f"{n:,} {kind}{'s' * (n != 1 and kind == 'parameter')}" for kind, n in sorted(hidden.items()))
    place = {i: i if i < first else max(first, i - last + first + 1) for i in range(len(boxes))}
    moved = moved_arrows(arrows, place)
    merged: dict[tuple[int, int], Arrow] = {}
    for arrow in moved:
        pair = arrow.source, arrow.target
        if pair in merged:
            merged[pair] = replace(merged[pair], name="", shape=None, count=merged[pair].count + 1)
        elif first in pair:
            merged[pair] = arrow
    kept = [arrow for arrow in moved if first not in (arrow.source, arrow.target)]
    return [*boxes[:first], Box("collapsed", middle, details=others), *boxes[last:]], [*kept, *merged.values()]


def moved_arrows(arrows: Iterable[Arrow], place: Mapping[int, int]) -> list[Arrow]:
    """The arrows between the new positions, without those that now lie inside one box."""
    moved = (replace(arrow, source=place[arrow.source], target=place[arrow.target]) for arrow in arrows)
    return [arrow for arrow in moved if arrow.source != arrow.target]


def describe(boxes: Sequence[Box]) -> str:
    """What was counted, for the caption and for screen readers: `13 operations, 10 parameters (61,706 numbers)`."""
    kinds = Counter(box.kind for box in boxes)
    parameters = [box for box in boxes if box.kind == "parameter"]
    numbers = sum(prod(box.shape or ()) for box in parameters)

    def counted(n: int, what: str) -> str:
        return f"{n:,} {what}{'s' * (n != 1)}"

    said = counted(kinds["operation"], "operation")
    if parameters:
        said += f", {counted(len(parameters), 'parameter')} ({counted(numbers, 'number')})"
    return said


def attributes(operation: Function) -> tuple[str, ...]:
    """The operation's settings in words; only sizes of windows are worth a line when they have their default value."""
    defaults: dict[str, Any] = {}
    if dataclasses.is_dataclass(operation):
        defaults = {f.name: f.default for f in dataclasses.fields(operation) if f.name not in ("stride", "padding")}
    said = []
    for name, value in operation.attributes().items():
        text = attribute_text(value)
        if value is None or value is False or text == attribute_text(defaults.get(name, MISSING)):
            continue
        if (name == "dilation" and text == "1") or (name.startswith("shape") and value == operation.shape):
            continue  # nothing but the output's shape
        said.append(f"{name} {text}")
    return tuple(said)


def attribute_text(value: Any) -> str:
    """An attribute in a few characters: `(2, 2)` as 2, an array as its type and shape."""
    if isinstance(value, tuple | list) and value and all(type(v) is int for v in value):
        text = str(value[0]) if len(set(value)) == 1 else f"({', '.join(map(str, value))})"
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        text = f"{shape_text(tuple(value.shape))} {value.dtype}"
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def shape_text(shape: Shape | None) -> str:
    """A shape as people say it: `64×6×28×28`, `scalar` for `()`, nothing for None."""
    if shape is None:
        return ""
    return "×".join(str(size) for size in shape) if shape else "scalar"
