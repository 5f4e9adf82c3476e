"""The Tensor, and the walk back through the graph that gives every leaf its gradient.

Forward: `apply(operation, *tensors)` runs the operation on the arrays and hangs the operation, which is a node of the
graph, on the result. Backward: `loss.backward()` visits the nodes in topological order, hands each node the gradient
of its result, and adds what it returns to the gradients of its parents. That is all of reverse mode.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from tinygrad_cnn import backends, dtypes, kernels, ops
from tinygrad_cnn.backends import Backend, DeviceError, backend_of, is_array, located, owner
from tinygrad_cnn.explain import explain_grad
from tinygrad_cnn.function import Function, GraphError, Leaf, Node, RemovableHook, Version
from tinygrad_cnn.grad_mode import Origin, enable_grad, is_grad_enabled, no_grad, origin_of, set_grad_enabled
from tinygrad_cnn.inplace import InPlace
from tinygrad_cnn.observe import observer, scope
from tinygrad_cnn.shapes import Shape, ShapeError
from tinygrad_cnn.storage import copied

__all__ = [
    "Tensor",
    "apply",
    "enable_grad",
    "explain_grad",
    "from_numpy",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
    "tensor",
]

Array = Any
Roots = Sequence[tuple[Node, Array]]  # nodes to go back from, with their gradients


class Tensor(InPlace):
    """An array with the memory of how it was computed.

    Args:
        data: Numbers, nested lists, an array (copied, its format kept) or a tensor. Python floats become float32.
        dtype: Another number format.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`; None is the default device.
        requires_grad: Whether `backward` is to compute the gradient for it.

    Raises:
        DtypeError: For data that are no numbers, or whole numbers that ask for a gradient.
        ShapeError: For nested lists of unequal lengths.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        dtype: Any = None,
        device: str | Backend | None = None,
        requires_grad: bool = False,
    ) -> None:
        self._data = copied(data, dtype, device)
        self._node = self._frozen = None
        self._origin = origin_of("copied with Tensor(...)", (data,)) if isinstance(data, Tensor) else None
        self._version = Version()
        if requires_grad:
            self.requires_grad_()

    @classmethod
    def _made(cls, data: Array, node: Node | None, version: Version, origin: Origin | None = None) -> Tensor:
        """A tensor around an array as it is; the quick way in, for results of operations."""
        tensor = Tensor.__new__(Tensor)
        tensor._data = data
        tensor._node = node
        tensor._version = version
        tensor._origin = origin
        tensor._frozen = None
        return tensor

    # ---- copies and moves

    def detach(self) -> Tensor:
        """The same memory without the graph: no gradient flows back through it."""
        self._version.shared = True
        return Tensor._made(self._data, None, self._version, origin_of("detach()", (self,)))

    def clone(self) -> Tensor:
        """A copy with memory of its own; the gradient flows back through it."""
        return self._apply(ops.Clone(), self)

    # ---- the graph

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add to `.grad` of every leaf the derivative of this tensor with respect to it.

        Formula: `leaf.grad += Σ gradient · ∂self/∂leaf`.

        Args:
            gradient: The derivative of what is wanted with respect to this tensor, of its shape; a single number
                needs none (1).
            retain_graph: Keep what the operations saved, so that backward can be called again.

        Raises:
            GraphError: Without a graph, for a tensor of several numbers without a gradient, a second time, or
                after a saved value was changed in place.
            ShapeError: For a gradient of another shape.

        Source: Baydin et al. 2018, "Automatic differentiation in machine learning: a survey", section 3.2.
        """
        root = self._root("backward", gradient)
        walk_back([root], retain_graph, into_leaves=True)

    def _root(self, caller: str, gradient: Any) -> tuple[Node, Array]:
        """This tensor's node and the gradient to start from."""
        node = self._needs_node(caller)
        if gradient is None:
            if self._data.size != 1:
                raise GraphError(
                    f"{caller}: a tensor of shape {self.shape} is not a single number; sum() or mean() it first, or "
                    f"give the gradient to start from, an array of shape {self.shape}"
                )
            with self.backend.activate():
                return node, self.backend.xp.ones(self.shape, dtype=self.dtype)
        dy = gradient._data if isinstance(gradient, Tensor) else copied(gradient, None, self.backend)
        if dy.shape != self.shape:
            raise ShapeError(
                f"{caller}: the gradient has shape {dy.shape}, the tensor {self.shape}; they must be equal"
            )
        return node, self.backend.asarray(dy, dtype=self.dtype)

    def _needs_node(self, caller: str) -> Node:
        if self._node is None:
            raise GraphError(f"{caller}: {explain_grad(self)}")
        return self._node

    def retain_grad(self) -> None:
        """Keep the gradient of this result, too, in `.grad`."""
        self._needs_node("retain_grad").retains_grad = True

    def register_hook(self, hook: Callable[[Array], Array | None]) -> RemovableHook:
        """Call `hook(gradient)` whenever the gradient of this tensor arrives; what it returns replaces the gradient.

        Returns:
            A handle; `handle.remove()` takes the hook away.

        >>> x = Tensor(1.0, requires_grad=True)
        >>> handle = x.register_hook(lambda gradient: gradient * 10)
        >>> (x * 3).backward()
        >>> x.grad.item()
        30.0
        """
        return RemovableHook(self._needs_node("register_hook"), hook)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None


tensor = Tensor


def apply(operation: Function, *inputs: Any) -> Any:
    """Run an operation on tensors and hang it, as a node of the graph, on the result.

    Args:
        operation: One instance, used once.
        *inputs: Tensors; also None or Python numbers where the operation takes them.

    Returns:
        A tensor; a tuple of tensors if `forward` returned several arrays, of which the first has the gradient.
    """
    if not isinstance(operation, Function) or operation.input_shapes:
        raise GraphError(
            f"apply: {operation!r} is no unused operation: give each call an instance of its own, apply(Square(), x)"
        )
    backend, arrays = _opened(operation, inputs)
    operation.check_shapes(operation.input_shapes)
    operation.check(*arrays)
    watcher = observer.get()
    started = perf_counter() if watcher else 0.0
    with backend.activate():
        outputs = operation.forward(*arrays)
    homes = [] if isinstance(outputs, _NUMBERS) else _homes(inputs)
    several = isinstance(outputs, tuple)
    first = _result(operation, outputs[0] if several else outputs, inputs, homes)
    results = [first, *[_result(operation, y, inputs, homes) for y in outputs[1:]]] if several else [first]
    if operation.parents:
        if dtypes.is_floating(first._data.dtype):
            first._node, operation.shape, operation.dtype = operation, first._data.shape, first._data.dtype
        if operation.saved:
            _watch(operation, inputs, homes or _homes(inputs), results)
    for result in results:
        if result._node is None:
            result._origin = _cut(operation, inputs)
    if watcher:
        backend.synchronize()
        watcher.applied(operation, inputs, results, perf_counter() - started)
    return tuple(results) if several else results[0]


Tensor._apply = staticmethod(apply)  # type: ignore[method-assign]  # what the methods call


def walk_back(roots: Roots, retain_graph: bool, into_leaves: bool, wanted: Collection[Node] = ()) -> dict[Node, Array]:
    """Reverse mode: from the roots back, each node once, after all nodes that use it.

    Args:
        roots: Nodes, with the gradients to start from.
        retain_graph: Keep what operations saved.
        into_leaves: Add the gradients of leaves to their `.grad`.
        wanted: Nodes whose gradients to return.
    """
    found = dict.fromkeys(wanted)
    with (backend := backend_of(roots[0][1])).activate():
        for _ in steps_back(roots, retain_graph, into_leaves, found, backend):
            pass
    return {node: dy for node, dy in found.items() if dy is not None}


def steps_back(
    roots: Roots, retain_graph: bool, into_leaves: bool, wanted: dict[Node, Array | None], active: Backend | None = None
) -> Iterator[Node]:
    """`walk_back`, a node at a time: yields each node, once its gradient was handed on to its parents.

    It yields no gradients, and drops them as it goes, so that the next ones are made in the same memory. Whoever has
    activated a backend for the whole walk says which.
    """
    watcher = observer.get()
    gradients = _Gradients()
    for node, dy in roots:
        gradients.add(node, dy)
        if watcher:
            watcher.started(node, dy, gradients.arrays[node])
    order = kernels.toposort(roots[0][0] if len(roots) == 1 else _Join(roots))
    if wanted:
        order = _leading_to(wanted, order)
    needed = set(order)
    for node in order:
        dy = gradients.take(node)
        if dy is None:
            continue
        if node in wanted:
            wanted[node] = dy
        keeping = into_leaves and node.retains_grad
        if keeping:
            alone = sys.getrefcount(dy) == ALONE  # asked before the call, which holds it, too
            _keep(node, dy, alone)
        if watcher:
            watcher.arrived(node, dy, keeping)
        if isinstance(node, Function) and not needed.isdisjoint(node.parents):
            backend = backend_of(dy)
            with _nothing if backend is active else backend.activate():
                operation = node if node.row is None else _computing(node, bool(watcher), wanted)
                operation.check_unchanged()
                started = perf_counter() if watcher else 0.0
                sent = operation.gradients(_unwritable(dy))
                if watcher:
                    backend.synchronize()
                    watcher.finished(node, perf_counter() - started)
                for index, (parent, dx) in enumerate(zip(operation.parents, sent)):
                    if parent is not None and dx is not None and parent in needed:
                        gradients.add(parent, dx, backend)
                        if watcher:
                            watcher.handed_on(node, index, dx, gradients.arrays[parent])
                del sent, dx  # else they would not be alone, and live longer than they must
            if not retain_graph:
                operation.free()
        yield node


class _Gradients:
    """Gradients on their way: added up in place only in arrays this walk has made itself."""

    def __init__(self) -> None:
        self.arrays: dict[Node, Array] = {}
        self.own: set[Node] = set()

    def add(self, node: Node, dx: Array, active: Backend | None = None) -> None:
        """One more contribution to a node's gradient; `active` is the backend that has been activated."""
        if (backend := backend_of(dx)) is not active:  # at the start, and behind a transfer
            with backend.activate():
                self.add(node, dx, backend)
        elif dx.dtype != node.dtype:
            self.add(node, dx.astype(node.dtype), backend)
        elif (known := self.arrays.get(node)) is None:
            self.arrays[node] = dx
        elif node in self.own and known.ndim:  # 0-d arrays may be NumPy scalars, which cannot change
            known += dx
        else:
            self.arrays[node] = known + dx
            self.own.add(node)

    def take(self, node: Node) -> Array | None:
        """The finished gradient of a node: all nodes that use it came before."""
        dy = self.arrays.pop(node, None)
        if dy is None or not node.hooks:
            return dy
        for hook in list(node.hooks.values()):
            with backend_of(dy).activate():
                replaced = hook(_unwritable(dy))
            if replaced is not None:
                dy = replaced._data if isinstance(replaced, Tensor) else replaced
                if getattr(dy, "shape", None) != node.shape:
                    raise ShapeError(
                        f"hook on {node.name}: it returned shape {getattr(dy, 'shape', type(dy).__name__)} for a "
                        f"gradient of shape {node.shape}"
                    )
        return dy


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Derivatives of outputs with respect to inputs, returned instead of added to `.grad`.

    Args:
        outputs: One tensor or several; their gradients add up.
        inputs: The tensors to differentiate by; leaves or results.
        grad_outputs: For each output the gradient to start from; a single number needs none.
        retain_graph: Keep what the operations saved, to go back again.
        allow_unused: Return None for an input the outputs do not depend on, instead of an error.

    Returns:
        One tensor per input.

    Raises:
        GraphError: As `Tensor.backward`, for an input without a path from the outputs, and for none of either.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> grad(x * x, x)
    (tensor(6.),)
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not (outputs and inputs):
        raise GraphError(f"grad: {len(outputs)} outputs and {len(inputs)} inputs; give one or more of each")
    if grad_outputs is None:
        starts: list[Any] = [None] * len(outputs)
    else:
        starts = list(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else [grad_outputs]
    if len(starts) != len(outputs):
        raise ShapeError(f"grad: {len(starts)} grad_outputs for {len(outputs)} outputs")
    nodes = [tensor._needs_node(f"grad: input {number}") for number, tensor in enumerate(inputs)]
    roots = [output._root("grad", start) for output, start in zip(outputs, starts)]
    found = walk_back(roots, retain_graph, into_leaves=False, wanted=set(nodes))
    results: list[Tensor | None] = []
    for number, (tensor, node) in enumerate(zip(inputs, nodes)):
        dx = found.get(node)
        if dx is None and not allow_unused:
            raise GraphError(
                f"grad: input {number}: {explain_grad(tensor, outputs[0])} (allow_unused=True returns None for it)"
            )
        results.append(None if dx is None else Tensor(dx, dtype=tensor.dtype, device=tensor.backend))
    return tuple(results)


def from_numpy(array: Array) -> Tensor:
    """A tensor that shares the array's memory: writing into one changes the other.

    Raises:
        DtypeError: For an array of another format than the supported ones.
    """
    if not is_array(array) or isinstance(array, np.generic):
        raise TypeError(f"from_numpy: {type(array).__name__} is not an array; use Tensor(...)")
    dtypes.as_dtype(array.dtype)
    version = Version()
    version.protected = not backend_of(array).writable(array)
    return Tensor._made(array, None, version)


def _opened(operation: Function, inputs: Sequence[Any]) -> tuple[Backend, list[Any]]:
    """Note on an operation what its inputs are and who wants a gradient; the backend all are on, and their arrays."""
    common: Backend | None = None
    arrays: list[Any] = []
    shapes: list[Shape | None] = []
    nodes: list[Node | None] = []
    for tensor in inputs:
        if isinstance(tensor, Tensor):
            array = tensor._data
            if (backend := backend_of(array)) is not common:
                if common is not None:
                    raise _apart(operation, inputs)
                common = backend
            arrays.append(backend.readonly(array))  # no operation changes its inputs, not even a student's
            shapes.append(array.shape)
            nodes.append(tensor._node)
            if tensor._origin is not None:
                operation.origins = {**(operation.origins or {}), len(nodes) - 1: tensor._origin}
        else:
            arrays.append(tensor)
            shapes.append(None)
            nodes.append(None)
    operation.input_shapes = tuple(shapes)
    if any(nodes) and operation.differentiable and is_grad_enabled():
        operation.parents, operation.scope = tuple(nodes), scope.get()
    return common or backends.get(), arrays


def _apart(operation: Function, inputs: Sequence[Any]) -> DeviceError:
    """Two tensors of a call on different devices."""
    places = [(operation.input_name(i), t.device) for i, t in enumerate(inputs) if isinstance(t, Tensor)]
    (first, here), (other, there) = places[0], next(place for place in places if place[1] != places[0][1])
    return DeviceError(
        f"{operation.name}: {first} is on {here}, {other} on {there}; "
        "move one with .to(device) (a whole model with model.to(device))"
    )


_NUMBERS = (np.generic, bool, int, float)
_nothing = contextlib.nullcontext()


def _homes(inputs: Sequence[Any]) -> list[Array | None]:
    """The owners of the inputs' memory."""
    return [owner(tensor._data) if isinstance(tensor, Tensor) else None for tensor in inputs]


def _result(operation: Function, array: Array, inputs: Sequence[Any], homes: Sequence[Any]) -> Tensor:
    """A tensor around one result of an operation, locked, and with the version of the memory it lies in."""
    if isinstance(array, _NUMBERS):  # NumPy reduces 0-d arrays to scalars
        return Tensor._made(backends.CPU.lock(np.asarray(array)), None, Version())
    if (backend := located(array)) is None:
        raise GraphError(f"{operation.name}.forward returned {type(array).__name__}, not an array; forgot `return`?")
    home = owner(array)
    for tensor, other in zip(inputs, homes):
        if other is home:  # a view
            version = tensor._version
            version.shared = True
            if array is tensor._data:
                array = array.view()  # locked below, while the input stays as it is
            break
    else:
        version = Version()
    backend.lock(array)
    return Tensor._made(array, None, version)


def _watch(operation: Function, inputs: Sequence[Any], homes: Sequence[Any], results: Sequence[Tensor]) -> None:
    """Note the versions of saved inputs and results."""
    tensors = [*zip((*inputs, *results), (*homes, *_homes(results)))]
    for name, array in operation.saved.items():
        home = owner(array)
        for index, (tensor, other) in enumerate(tensors):
            if other is home and home is not None:  # None: an input that is no tensor, a value that was not saved
                place = index if index < len(inputs) else name
                operation.watched += ((place, tensor._version, tensor._version.count),)
                break


def _cut(operation: Function, inputs: Sequence[Any]) -> Origin | None:
    """Why a result has no graph although it was computed from something that has one."""
    if not is_grad_enabled():
        return origin_of(f"{operation.name} under no_grad()", inputs)
    if not operation.differentiable:
        return origin_of(f"{operation.name}, which has no gradient", inputs)
    return origin_of("", inputs) if operation.origins else None


def _references() -> int:
    array = object()
    return sys.getrefcount(array)


# what Python counts for an array that nobody holds but one local variable
ALONE = _references()


def _keep(node: Node, dy: Array, alone: bool) -> None:
    """Add a gradient to the node's own; the first one becomes its own, as it is if nobody else holds its memory."""
    backend = backend_of(dy)
    # two leaves may have been handed the same array, or one that an operation saved
    if isinstance(node, Leaf) and node.grad is None and alone and backend.writable(dy):
        home = owner(dy)
        own = home is dy or (home.size == dy.size and sys.getrefcount(home) == ALONE + 1)
        if own and home.flags.owndata and (dy.flags.c_contiguous or dy.strides == node.strides):
            node.grad = dy
            return
    with backend.activate():
        if node.grad is None:
            node.grad = backend.xp.array(dy, dtype=node.dtype, copy=True, order="C")
        else:
            node.grad += dy


def _computing(node: Function, watched: bool, wanted: Collection[Node]) -> Function:
    """The row an operation is the last of; or itself, if somebody wants to see what lies between."""
    if watched or not node.row.hidden(wanted):
        node.row.unfold(node)
        return node
    row: Function = node.row
    return row


def _leading_to(wanted: Collection[Node], order: Sequence[Node]) -> list[Node]:
    """The nodes of an order that were computed from wanted ones; the walk need not go further back."""
    needed = set(wanted)
    for node in reversed(order):  # parents first
        if not needed.isdisjoint(node.parents):
            needed.add(node)
    return [node for node in order if node in needed]


class _Join(Node):
    """A node above several roots, so that one topological order covers them."""

    name = "join"

    def __init__(self, roots: Sequence[tuple[Node, Array]]) -> None:
        self.parents = tuple(node for node, _ in roots)


def _unwritable(array: Array) -> Array:
    """A gradient to be looked at: an array, not one of NumPy's scalars, and read-only."""
    if isinstance(array, np.generic):
        return backends.CPU.lock(np.asarray(array))
    return backend_of(array).readonly(array)
