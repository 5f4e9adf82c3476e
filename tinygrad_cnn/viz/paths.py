"""All paths along which one number of a computation reaches the result, and the local derivatives on them.

The derivatives are asked from the operations themselves: their backward, given a gradient that is 1 for one output and
0 for the others, returns ∂output/∂input for all inputs. A network has millions of paths, but only thousands of local
derivatives, and from these follows which paths are the largest, as in a search for the shortest route.
"""

from __future__ import annotations

import copy
import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn import kernels, ops
from tinygrad_cnn.backends import Backend, is_array, to_numpy
from tinygrad_cnn.dtypes import is_floating
from tinygrad_cnn.function import Function, GraphError, Node, Saved
from tinygrad_cnn.viz.tape import tape_with

BLOCK = 4  # so many outputs are asked one by one; of more it is asked first whether any of them matters
MOST_ROUTES = 12

Trail = Any  # linked from the end: (the trail before, edge, output, derivative), or None


class Derivatives(NamedTuple):
    """Local derivatives other than 0: `values[n]` is ∂`outputs[n]`/∂`inputs[n]`; in the order of the inputs."""

    inputs: np.ndarray
    outputs: np.ndarray
    values: np.ndarray


NONE = Derivatives(np.zeros(0, int), np.zeros(0, int), np.zeros(0))


@dataclass(eq=False)
class Edge:
    """The use of a node by an operation.

    Attributes:
        source: The node.
        target: The operation.
        index: Which of its inputs the node is.
        sent: The gradient that the operation hands on there, flat.
        derivatives: None if the time was up: then a path ends here, and `sent` is what all that follows amounts to.
    """

    source: Node
    target: Function
    index: int
    sent: np.ndarray
    derivatives: Derivatives | None = NONE


class Partial(NamedTuple):
    """A path as far as it is known: the product of its derivatives, and where it is; finished without a node."""

    product: float
    node: Node | None
    place: int
    trail: Trail
    start: float = 1.0


class Paths:
    """The paths from one number of a node to the roots, where backward starts.

    Args:
        node: The node.
        place: Which of its numbers, counted flat.
        roots: Nodes with the gradients that backward starts with.
        backend: Where the node's tensor is.
        seconds: How long derivatives may be asked for.

    Attributes:
        gradients: Node → its gradient, flat.
        gradient: The sum of all paths.
        order: The nodes between, the roots first.
        edges: Node → its uses.
        count: How many paths there are, as far as they are known.
        complete: Whether all derivatives were found in time.
        broken: The first operation that made infinities or NaN of finite numbers; then no paths were looked for.
    """

    def __init__(
        self, node: Node, place: int, roots: Sequence[tuple[Node, np.ndarray]], backend: Backend, seconds: float
    ) -> None:
        self.node, self.place = node, place
        above = Node()
        above.parents = tuple(root for root, _ in roots)
        between = {node}
        for other in reversed(kernels.toposort(above)):
            if not between.isdisjoint(other.parents):
                between.add(other)
        self.order = [n for n in kernels.toposort(above) if n in between and n is not above]
        self.starts = {n: np.zeros(math.prod(n.shape)) for n in self.order}
        for root, dy in roots:
            if root in self.starts:
                self.starts[root] += np.ravel(dy)
        self.backends = {node: backend}
        for other in reversed(self.order):
            before = next((self.backends[parent] for parent in other.parents if parent in between), backend)
            self.backends[other] = other.to if isinstance(other, ops.Transfer) else before
        self.edges: dict[Node, list[Edge]] = {n: [] for n in self.order}
        self.broken: Function | None = None
        self.gradients = self._go_back()
        self.gradient = float(self.gradients[node][place])
        self.count, self.complete = 0.0, True
        if self.broken is None:
            self._explore(perf_counter() + seconds)
            self._measure()

    # ---- three walks: back for the gradients, forward for the derivatives, back for the largest products

    def _go_back(self) -> dict[Node, np.ndarray]:
        """Gradients in float64; also which numbers lead to a root at all."""
        gradients = {n: start.copy() for n, start in self.starts.items()}
        self.leads = {n: start != 0 for n, start in self.starts.items()}
        random = np.random.default_rng(0)
        for node in self.order:
            indices = [i for i in reversed(range(len(node.parents))) if node.parents[i] in gradients]
            if not isinstance(node, Function) or not indices or not self.leads[node].any():
                continue
            ask = self._backward(node, indices)
            # random numbers, because gradients may add up to 0 although there are paths
            leads = ask(np.where(self.leads[node], random.uniform(1, 2, len(self.leads[node])), 0))
            for i, dx, led in zip(indices, ask(gradients[node]), leads):
                parent = node.parents[i]
                assert parent is not None
                if self.broken is None and not np.isfinite(dx).all():
                    self.broken = node
                gradients[parent] += dx
                self.leads[parent] |= led != 0
                self.edges[parent].append(Edge(parent, node, i, dx))
        for uses in self.edges.values():
            uses.reverse()  # as they were computed
        return gradients

    def _explore(self, deadline: float) -> None:
        """The derivatives of those numbers that lie on a path."""
        reached = {n: np.zeros(len(start), bool) for n, start in self.starts.items()}
        reached[self.node][self.place] = self.leads[self.node][self.place]
        for node in reversed(self.order):
            inputs = np.flatnonzero(reached[node])
            for edge in self.edges[node] if len(inputs) else ():
                ask = self._backward(edge.target, [edge.index])
                outputs = np.flatnonzero(self.leads[edge.target])
                edge.derivatives = derivatives(ask, inputs, outputs, len(self.leads[edge.target]), deadline)
                if edge.derivatives is None:
                    self.complete = False
                else:
                    reached[edge.target][edge.derivatives.outputs] = True

    def _measure(self) -> None:
        """For every number the largest product of derivatives from it to a root, and how many paths there are."""
        self.largest: dict[Node, np.ndarray] = {}
        counts: dict[Node, np.ndarray] = {}
        for node in self.order:
            largest, count = abs(self.starts[node]), (self.starts[node] != 0).astype(np.float64)
            for edge in self.edges[node]:
                if edge.derivatives is None:
                    largest, count = np.maximum(largest, abs(edge.sent)), count + (edge.sent != 0)
                    continue
                inputs, outputs, values = edge.derivatives
                np.maximum.at(largest, inputs, abs(values) * self.largest[edge.target][outputs])
                np.add.at(count, inputs, counts[edge.target][outputs])
            self.largest[node], counts[node] = largest, count
        self.count = float(counts[self.node][self.place])

    def _backward(self, operation: Function, indices: Sequence[int]) -> Callable[[np.ndarray], list[np.ndarray]]:
        """The operation's backward for some inputs, of flat float64 arrays; the operation itself stays as it is."""
        again, backend = copy.copy(operation), self.backends[operation]
        again.parents = tuple(parent if i in indices else None for i, parent in enumerate(operation.parents))
        with backend.activate():
            floats = {
                name: array.astype(np.float64) if is_array(array) and is_floating(array.dtype) else array
                for name, array in saved_by(operation).items()
            }
        again.saved, again.freed = Saved(floats), False

        def ask(dy: np.ndarray) -> list[np.ndarray]:
            with backend.activate():
                whole = backend.readonly(backend.asarray(dy.reshape(operation.shape)))
                try:
                    sent = again.gradients(whole)
                except (
                    GraphError
                ):  # a backward of one's own may have no gradient but for inputs that were not asked for
                    again.parents = operation.parents
                    sent = again.gradients(whole)
            sizes = {i: math.prod(parent.shape) for i, parent in enumerate(operation.parents) if parent is not None}
            return [np.zeros(sizes[i]) if sent[i] is None else np.ravel(to_numpy(sent[i])) for i in indices]

        return ask

    # ---- what follows from them

    def best(self) -> Iterator[Partial]:
        """The finished paths, the largest products first.

        What is known of a path is worth its product times the largest that can follow; the most valuable grows first.
        """
        first = Partial(1.0, self.node, self.place, None)
        heap: list[tuple[float, int, Partial]] = [(-1.0, 0, first)] if self.count else []
        number = 0
        while heap:
            path = heapq.heappop(heap)[-1]
            if path.node is None:
                yield path
                continue
            for longer in self._longer(path):
                follows = 1.0 if longer.node is None else self.largest[longer.node][longer.place]
                number -= 1  # of equals (to nine digits, as products are rounded) the latest, so that one is finished
                if worth := abs(longer.product) * follows:
                    heapq.heappush(heap, (-float(f"{worth:.9e}"), number, longer))

    def _longer(self, path: Partial) -> Iterator[Partial]:
        assert path.node is not None
        start = float(self.starts[path.node][path.place])
        if start:
            yield Partial(path.product * start, None, 0, path.trail, start)
        for edge in reversed(self.edges[path.node]):
            if edge.derivatives is None:
                rest = float(edge.sent[path.place])
                yield Partial(path.product * rest, None, 0, (path.trail, edge, None, rest))
                continue
            inputs, outputs, values = edge.derivatives
            first, last = np.searchsorted(inputs, (path.place, path.place + 1))
            for n in reversed(range(first, last)):
                j, factor = int(outputs[n]), float(values[n])
                yield Partial(path.product * factor, edge.target, j, (path.trail, edge, j, factor))

    def first_numbers(self) -> list[tuple[Edge, int, float, float]]:
        """The numbers of other nodes that use this one: their derivatives by it, and their gradients."""
        found = []
        for edge in self.edges[self.node]:
            if edge.derivatives is not None:
                mine = edge.derivatives.inputs == self.place
                outputs, values = edge.derivatives.outputs[mine], edge.derivatives.values[mine]
                dy = self.gradients[edge.target][outputs]
                found += [(edge, int(j), float(local), float(d)) for j, local, d in zip(outputs, values, dy)]
        return found

    def routes(self) -> list[tuple[list[Edge], float]]:
        """What the paths through the same operations amount to together; nothing if there are too many such routes."""
        ways: dict[Node, int] = {}
        for node in self.order:
            ways[node] = bool(self.starts[node].any()) + sum(
                1 if edge.derivatives is None else ways[edge.target] for edge in self.edges[node]
            )
        if ways[self.node] > MOST_ROUTES:
            return []
        one = np.zeros(len(self.starts[self.node]))
        one[self.place] = 1
        found: list[tuple[list[Edge], float]] = []
        going: list[tuple[Node, np.ndarray, list[Edge]]] = [(self.node, one, [])]
        while going:
            node, moved, route = going.pop()
            if not moved.any():
                continue
            if self.starts[node].any():
                found.append((route, float(moved @ self.starts[node])))
            for edge in reversed(self.edges[node]):
                if edge.derivatives is None:
                    found.append(([*route, edge], float(moved @ edge.sent)))
                    continue
                inputs, outputs, values = edge.derivatives
                further = np.zeros(len(self.starts[edge.target]))
                np.add.at(further, outputs, values * moved[inputs])
                going.append((edge.target, further, [*route, edge]))
        return found


def derivatives(
    ask: Callable[[np.ndarray], list[np.ndarray]], inputs: np.ndarray, outputs: np.ndarray, size: int, deadline: float
) -> Derivatives | None:
    """The derivatives other than 0 of some outputs by some inputs; None if they are not found in time.

    Backward is linear: it answers dy with Σⱼ dyⱼ·∂yⱼ/∂xᵢ for all i. Where an input has one output only, as in relu or
    in max pooling, three questions settle all of them: dy = 1 gives the derivative, dy = j times as much, so j is
    known, and random dy prove that there is no other. For the rest: a block of outputs that answers random dy with 0 is
    skipped, any other is halved, until each output is asked by itself.

    Args:
        ask: The operation's backward, flat.
        inputs: Places of the inputs.
        outputs: Places of the outputs.
        size: How many outputs there are.
        deadline: When to stop, by `time.perf_counter`.
    """
    random = np.random.default_rng(0)

    def answer(places: Any, dy: Any) -> np.ndarray:
        whole = np.zeros(size)
        whole[places] = dy
        return ask(whole)[0][inputs]

    weights = random.uniform(1, 2, len(outputs))
    total, times_j, weighted = (answer(outputs, dy) for dy in (1.0, np.arange(len(outputs)), weights))
    j = np.rint(np.divide(times_j, total, out=np.zeros_like(total), where=total != 0))
    j = np.clip(j, 0, len(outputs) - 1).astype(int)
    alone = (total != 0) & (abs(weighted - total * weights[j]) <= 1e-9 * abs(weighted))
    found = [(inputs[alone], outputs[j[alone]], total[alone])]
    others = np.flatnonzero(~alone & (weighted != 0))
    blocks = [outputs] if len(others) else []
    while blocks:
        if perf_counter() > deadline:
            return None
        block = blocks.pop()
        if len(block) > BLOCK:
            if answer(block, random.uniform(1, 2, len(block)))[others].any():
                blocks += [block[len(block) // 2 :], block[: len(block) // 2]]
            continue
        for output in block:
            values = answer(output, 1.0)[others]
            hit = np.flatnonzero(values)
            found.append((inputs[others[hit]], np.full(len(hit), output), values[hit]))
    i, o, values = (np.concatenate(parts) for parts in zip(*found))
    order = np.lexsort((o, i))
    return Derivatives(i[order], o[order], values[order])


def saved_by(operation: Function) -> dict[str, Any]:
    """What the operation saved, also if backward has freed it since and a recording has kept it.

    Raises:
        GraphError: It was freed and not recorded, or changed in place since.
    """
    saved, watched = operation.saved, operation.watched
    if operation.freed:
        tape = tape_with(operation)
        record = tape.records[operation] if tape else None
        if record is None or not record.saved:
            raise GraphError(
                f"why: backward has freed what {operation.name} saved, and no recording has kept it; run forward and "
                "backward inside `with viz.record() as tape:`, or call backward(retain_graph=True)"
            )
        saved, watched = Saved(record.saved), record.watched
    for what, version, count in watched:
        if version.count != count:
            raise GraphError(
                f"why: {operation.name}: its {what} was changed in place by {version.writer} since the forward pass, "
                "so that the gradient cannot be taken apart any more; ask before the change (before optimizer.step())"
            )
    return saved
