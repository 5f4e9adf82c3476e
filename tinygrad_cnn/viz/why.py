"""`viz.why`: one number of a gradient, taken apart into the paths along which it came."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import PurePath
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.backends import to_numpy
from tinygrad_cnn.explain import explain_grad
from tinygrad_cnn.function import GraphError, Node
from tinygrad_cnn.kernels import toposort
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.viz.answers import Index, Path, Share, Step, Why, bracket, counted, route
from tinygrad_cnn.viz.formulas import formula
from tinygrad_cnn.viz.numbers import Numbers, short
from tinygrad_cnn.viz.paths import Edge, Partial, Paths
from tinygrad_cnn.viz.tape import Tape, tape_with

PACKAGE = str(PurePath(__file__).parents[1])


def why(
    tensor: Tensor,
    index: int | Index = (),
    loss: Tensor | None = None,
    *,
    limit: int = 10,
    seconds: float = 10.0,
    params: Module | Mapping[str, Tensor] | None = None,
    tape: Tape | None = None,
) -> Why:
    """Answers why one number of a gradient is what it is: the paths that contribute to it, the largest first.

    Formula: `∂L/∂xᵢ = Σ over all paths i → j → k → … → L of ∂yⱼ/∂xᵢ · ∂zₖ/∂yⱼ · …`; every factor is asked from the
    backward of its operation, in float64. Nothing is changed: no gradient, no random number, no hook is called.

    Args:
        tensor: A parameter or a result, whose gradient is to be explained.
        index: Which number of it; `()` for a single number.
        loss: What was, or would be, differentiated. Not needed inside and after `with viz.record() as tape:`, around
            forward and backward.
        limit: How many paths to list.
        seconds: How long to look for derivatives: LeNet-5 and a few images take less than one; of AlexNet the paths end
            in operations that were not looked into, whose number stands for all that follows.
        params: A module or a dict name → tensor, for the names.
        tape: A recording; by default the newest that has seen the tensor.

    Raises:
        GraphError: There is no graph, no recording and no loss; or what was saved was freed or changed since.
        IndexError: There is no such number.

    Source: cs231n, "Backpropagation, Intuitions"; Baydin et al. 2018, "Automatic differentiation in machine learning:
    a survey", section 3.2.

    >>> import tinygrad_cnn as tcnn
    >>> x, y, z = (tcnn.tensor(number, requires_grad=True) for number in (-2.0, 5.0, -4.0))
    >>> answer = why(x, loss=(x + y) * z + x, params={"x": x})
    >>> answer.value, [path.contribution for path in answer.paths]
    (-3.0, [-4.0, 1.0])
    """
    for what, given in (("tensor", tensor), ("loss", loss)):
        if not isinstance(given, Tensor) and (what == "tensor" or given is not None):
            raise TypeError(f"why: {what} must be a Tensor, got {type(given).__name__}: why(tensor, index, loss)")
    if not isinstance(limit, int) or limit < 1:
        raise ValueError(f"why: limit={limit!r} paths; give a whole number, at least 1")
    node = tensor.node
    if node is None:
        raise GraphError(f"why: {explain_grad(tensor)}")
    index, place = _place(tensor.shape, index)
    tape = tape or tape_with(node if loss is None or loss.node is None else loss.node)
    roots, recorded = _roots(tensor, node, loss, tape)
    found = Paths(node, place, roots, tensor.backend, seconds)
    names = _Names(tensor, node, params if params is not None else tape and tape.params, found.order)
    value = found.gradient
    if recorded is not None and place < len(recorded.sample):
        value = float(recorded.sample[place])
    paths = [names.path(path) for path in islice(found.best(), limit)]
    listed = math.fsum(path.contribution for path in paths)
    rest = found.gradient - listed if len(paths) < found.count or not found.complete else 0.0
    sent = [float(edge.sent[place]) for edge in found.edges[node]]
    rounding = 100 * float(np.finfo(tensor.dtype).eps) * max(map(abs, [value, listed, *sent]))
    difference = value - listed - rest
    by_number = sorted(found.first_numbers(), key=lambda use: -abs(use[2] * use[3]))[:limit]
    return Why(
        name=f"∂L/∂{names.tensor}{bracket(index)}",
        result=" and ".join(dict.fromkeys(root.name for root, _ in roots)),
        value=value,
        paths=tuple(paths),
        rest=rest,
        difference=difference,
        rounding=rounding,
        count=found.count,
        complete=found.complete,
        by_consumer=tuple(Share(names.route([edge]), dx) for edge, dx in zip(found.edges[node], sent)),
        by_number=tuple(
            Share(names.step(edge, j, local).place, local * dy, (local, dy)) for edge, j, local, dy in by_number
        ),
        by_route=tuple(Share(names.route(route), dx) for route, dx in sorted(found.routes(), key=lambda r: -abs(r[1]))),
        notes=tuple(_notes(tensor, place, found, value, abs(difference) > rounding or math.isnan(difference))),
    )


def _notes(tensor: Tensor, place: int, found: Paths, value: float, differs: bool) -> Iterator[str]:
    """What a reader of the numbers should know besides."""
    if found.broken is not None:
        yield (
            f"On the way back, {found.broken.name} is the first operation to hand on numbers that are not finite: "
            "there a local derivative is infinite or not defined, as that of √x or log x at 0. No paths were sought."
        )
    elif not found.count:
        yield (
            "Nothing comes back to it: on every path to L some local derivative is 0, as that of relu for a negative "
            "number, that of max pooling for all but the largest, or that of dropout for what was dropped."
        )
    elif not found.largest[found.node][found.place]:
        yield f"Each of the {counted(found.count)} paths contributes less than float64 can hold."
    if not found.complete:
        yield (
            "The time was up: operations with … behind them were not looked into, and their factor is what all paths "
            "from there on amount to. seconds= gives more time; a smaller batch needs less."
        )
    if differs and found.broken is None:
        hooks = any(node.hooks for node in found.order)
        yield (
            f"The recorded gradient is {short(value)}, the sum of all paths {short(found.gradient)}: "
            + ("hooks may have changed a gradient on the way." if hooks else f"that is rounding, in {tensor.dtype}.")
        )
    if tensor.grad is not None:
        kept = float(to_numpy(tensor.grad).ravel()[place])
        if not np.isclose(kept, value, rtol=1e-4, equal_nan=True):
            yield (
                f".grad holds {short(kept)} there: several backward passes were added up in it (zero_grad() begins "
                "anew), or it was changed since."
            )


class _Names:
    """What tensors and modules are called: by `params`, by the modules that were called, by the caller's variables."""

    def __init__(self, tensor: Tensor, node: Node, params: Any, order: Sequence[Node]) -> None:
        called = {id(node.scope): node.scope.modules()[0] for node in order if node.scope is not None}
        roots = [*([params] if isinstance(params, Module) else []), *{id(m): m for m in called.values()}.values()]
        self.modules: dict[int, str] = {}
        self.words: dict[Node, str] = {}
        leaves = dict(params) if isinstance(params, Mapping) else {}
        for root in roots:
            for path, module in root.named_modules():
                self.modules.setdefault(id(module), path)
            leaves |= {name: leaf for name, leaf in root.named_parameters() if name not in leaves}
        frame = sys._getframe(2)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
            frame = frame.f_back
        leaves |= {name: value for name, value in frame.f_locals.items() if not name.startswith("_")}
        self.tensor = next((name for name, leaf in leaves.items() if leaf is tensor), "x")

    def step(self, edge: Edge, place: int | None, factor: float) -> Step:
        """One operation on a path."""
        operation = edge.target
        twice = sum(parent is edge.source for parent in operation.parents) > 1
        if operation not in self.words:
            self.words[operation] = formula(operation).words
        return Step(
            operation.name,
            operation.input_name(edge.index) if twice else "",
            "" if operation.scope is None else self.modules.get(id(operation.scope.module), ""),
            None if place is None else tuple(map(int, np.unravel_index(place, operation.shape))),
            factor,
            self.words[operation],
        )

    def path(self, partial: Partial) -> Path:
        """A path, from its end back to its beginning."""
        steps, trail = [], partial.trail
        while trail is not None:
            trail, *last = trail
            steps.append(self.step(*last))
        return Path(partial.product, tuple(steps[::-1]), partial.start)

    def route(self, edges: Sequence[Edge]) -> str:
        """Operations, without saying which of their numbers."""
        steps = [self.step(edge, None, 0.0) for edge in edges]
        return route([self.tensor, *(replace(step, index=()).place for step in steps)])


def _roots(
    tensor: Tensor, node: Node, loss: Tensor | None, tape: Tape | None
) -> tuple[list[tuple[Node, np.ndarray]], Numbers | None]:
    """Where backward began with which gradients, and the recorded gradient of the node if it is of this pass."""
    if loss is not None and loss.node is None:
        raise GraphError(f"why: the loss has no graph: {explain_grad(loss)}")
    newest = True
    for roots in _passes(tape) if tape is not None else ():
        if any(node in toposort(root) for root, _ in roots):
            if loss is None or loss.node in dict(roots):
                record = tape.records.get(node) if tape is not None and newest else None
                return [(root, _whole(dy)) for root, dy in roots], record.grad if record else None
            newest = False
    if loss is None:
        raise GraphError(
            "why: no backward pass through this tensor was recorded, or the recording is gone; compute the loss and "
            "call loss.backward() inside `with viz.record() as tape:`, or pass the loss: why(tensor, index, loss)"
        )
    if math.prod(loss.shape) != 1:
        raise GraphError(
            f"why: a loss of shape {loss.shape} is not a single number; sum() or mean() it first, or record its "
            "backward(gradient) inside `with viz.record() as tape:`"
        )
    assert loss.node is not None
    if node not in toposort(loss.node):
        cut = explain_grad(tensor, loss) if tensor.grad is None else "the loss was not computed from this tensor"
        raise GraphError(f"why: {cut}")
    return [(loss.node, np.ones(1))], None


def _passes(tape: Tape) -> list[list[tuple[Node, Numbers]]]:
    """The backward passes that a tape saw, each as its roots; the newest first."""
    passes: list[list[tuple[Node, Numbers]]] = []
    starting = False
    for event in tape.events:
        if event.phase == "backward" and event.sender is None and event.dx is not None:
            passes += [] if starting else [[]]
            passes[-1].append((event.node, event.dx))
            starting = True
        else:
            starting = False
    return passes[::-1]


def _whole(dy: Numbers) -> np.ndarray:
    if dy.array is None and len(dy.sample) < dy.size:
        raise GraphError(f"why: the gradient of shape {dy.shape} that backward began with is too large to be recorded")
    return dy.sample if dy.array is None else dy.array


def _place(shape: Index, index: Any) -> tuple[Index, int]:
    """The index with whole numbers from 0 on, and which number that is, counted flat."""
    given = index if isinstance(index, (tuple, list)) else (index,)
    given = (0,) * len(shape) if not len(given) and math.prod(shape) == 1 else given
    try:
        whole = tuple(map(operator.index, given))
    except TypeError:
        whole = ()
    if len(whole) != len(shape) or any(not -n <= i < n for i, n in zip(whole, shape)):
        rule = f", within {', '.join(f'{-n}..{n - 1}' for n in shape)}" if shape else ", that is none: ()"
        rule = "; it has no numbers" if 0 in shape else f": give one whole number for each dimension{rule}"
        raise IndexError(f"why: index {index!r} for a tensor of shape {shape}{rule}")
    positive = tuple(i % n for i, n in zip(whole, shape))
    return positive, int(np.ravel_multi_index(positive, shape)) if shape else 0
