"""The Tensor, and the walk back through the graph that gives every leaf its gradient.

Forward: `apply(operation, *tensors)` runs the operation on the arrays and hangs the operation, which is a node of the
graph, on the result. Backward: `loss.backward()` visits the nodes in topological order, hands each node the gradient
of its result, and adds what it returns to the gradients of its parents. That is all of reverse mode.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from tinygrad_cnn import backends, dtypes, kernels, ops
from tinygrad_cnn.backends import Backend, DeviceError, backend_of, is_array, owner
from tinygrad_cnn.explain import explain_grad
from tinygrad_cnn.function import Function, GraphError, Needs, Node, RemovableHook, Version
from tinygrad_cnn.grad_mode import Origin, enable_grad, is_grad_enabled, no_grad, origin_of, set_grad_enabled
from tinygrad_cnn.inplace import InPlace
from tinygrad_cnn.observe import observer, scope
from tinygrad_cnn.shapes import ShapeError
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
        tensor._data, tensor._node, tensor._version, tensor._origin = data, node, version, origin
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

    # ---- operations

    @staticmethod
    def _apply(operation: Function, *inputs: Any) -> Any:
        return apply(operation, *inputs)


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
    nodes = tuple(t._node if isinstance(t, Tensor) else None for t in inputs)
    # no operation changes its inputs, not even a student's
    arrays = [t.backend.readonly(t._data) if isinstance(t, Tensor) else t for t in inputs]
    operation.input_shapes = tuple([a.shape if isinstance(t, Tensor) else None for a, t in zip(arrays, inputs)])
    backend = _common_backend(operation, inputs)
    recording = operation.differentiable and is_grad_enabled() and any(n is not None for n in nodes)
    operation.needs = Needs(operation.input_names, tuple([recording and n is not None for n in nodes]))
    if recording:
        operation.parents, operation.scope = nodes, scope.get()
    operation.check_shapes(operation.input_shapes)
    operation.check(*arrays)
    watcher = observer.get()
    started = perf_counter() if watcher else 0.0
    with backend.activate():
        outputs = operation.forward(*arrays)
    several = isinstance(outputs, tuple)
    results = [
        _wrap(operation, array, inputs, recording and position == 0)
        for position, array in enumerate(outputs if several else (outputs,))
    ]
    if recording:
        _watch(operation, inputs, results)
    if watcher:
        backend.synchronize()
        watcher.applied(operation, inputs, results, perf_counter() - started)
    return tuple(results) if several else results[0]


def walk_back(
    roots: Sequence[tuple[Node, Array]], retain_graph: bool, into_leaves: bool, wanted: Collection[Node] = ()
) -> dict[Node, Array]:
    """Reverse mode: from the roots back, each node once, after all nodes that use it.

    Args:
        roots: Nodes, with the gradients to start from.
        retain_graph: Keep what operations saved.
        into_leaves: Add the gradients of leaves to their `.grad`.
        wanted: Nodes whose gradients to return.
    """
    found = dict.fromkeys(wanted)
    for _ in steps_back(roots, retain_graph, into_leaves, found):
        pass
    return {node: dy for node, dy in found.items() if dy is not None}


def steps_back(
    roots: Sequence[tuple[Node, Array]], retain_graph: bool, into_leaves: bool, wanted: dict[Node, Array | None]
) -> Iterator[Node]:
    """`walk_back`, a node at a time: yields each node, once its gradient was handed on to its parents.

    It yields no gradients, and drops them as it goes, so that the next ones are made in the same memory.
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
            _keep(node, dy)
        if watcher:
            watcher.arrived(node, dy, keeping)
        if isinstance(node, Function) and not needed.isdisjoint(node.parents):
            node.check_unchanged()
            started = perf_counter() if watcher else 0.0
            with backend_of(dy).activate():
                sent = node.gradients(_locked_view(dy))
                if watcher:
                    backend_of(dy).synchronize()
                    watcher.finished(node, perf_counter() - started)
                for index, (parent, dx) in enumerate(zip(node.parents, sent)):
                    if parent is not None and parent in needed and dx is not None:
                        gradients.add(parent, dx)
                        if watcher:
                            watcher.handed_on(node, index, dx, gradients.arrays[parent])
                del sent
            if not retain_graph:
                node.free()
        yield node


class _Gradients:
    """Gradients on their way: added up in place only in arrays this walk has made itself."""

    def __init__(self) -> None:
        self.arrays: dict[Node, Array] = {}
        self.own: set[Node] = set()

    def add(self, node: Node, dx: Array) -> None:
        """One more contribution to a node's gradient."""
        known = self.arrays.get(node)
        with backend_of(dx).activate():
            if dx.dtype != node.dtype:
                dx = dx.astype(node.dtype)
            if known is None:
                self.arrays[node] = dx
            elif node in self.own and known.ndim:  # 0-d arrays may be NumPy scalars, which cannot change
                known += dx
            else:
                self.arrays[node] = known + dx
                self.own.add(node)

    def take(self, node: Node) -> Array | None:
        """The finished gradient of a node: all nodes that use it came before."""
        dy = self.arrays.pop(node, None)
        self.own.discard(node)
        if dy is None or not node.hooks:
            return dy
        for hook in list(node.hooks.values()):
            with backend_of(dy).activate():
                replaced = hook(_locked_view(dy))
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
        GraphError: As `Tensor.backward`, and for an input without a path from the outputs.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> grad(x * x, x)
    (tensor(6.),)
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
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
    return Tensor._made(array, None, Version(protected=not backend_of(array).writable(array)))


def _common_backend(operation: Function, inputs: Sequence[Any]) -> Backend:
    """The backend all tensors of a call are on."""
    first: Tensor | None = None
    for index, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor):
            continue
        if first is None:
            first, name = tensor, operation.input_name(index)
        elif tensor.backend is not first.backend:
            raise DeviceError(
                f"{operation.name}: {name} is on {first.device}, {operation.input_name(index)} on {tensor.device}; "
                "move one with .to(device) (a whole model with model.to(device))"
            )
    return backends.get() if first is None else first.backend


def _wrap(operation: Function, array: Array, inputs: Sequence[Any], with_node: bool) -> Tensor:
    """A tensor around one result of an operation, locked, and with the version of the memory it lies in."""
    if isinstance(array, (np.generic, bool, int, float)):  # NumPy reduces 0-d arrays to scalars
        array = np.asarray(array)
    if not is_array(array):
        raise GraphError(f"{operation.name}.forward returned {type(array).__name__}, not an array; forgot `return`?")
    version = None
    if (home := owner(array)) is not array or any(array is t._data for t in inputs if isinstance(t, Tensor)):
        for tensor in inputs:
            if isinstance(tensor, Tensor) and owner(tensor._data) is home:  # a view
                tensor._version.shared = True
                version = tensor._version
                if array is tensor._data:
                    array = array.view()  # locked below, while the input stays as it is
                break
    backend_of(array).lock(array)
    node = origin = None
    if with_node and dtypes.is_floating(array.dtype):
        node = operation
        operation.shape, operation.dtype = array.shape, array.dtype
    elif not is_grad_enabled():
        origin = origin_of(f"{operation.name} under no_grad()", inputs)
    elif not operation.differentiable:
        origin = origin_of(f"{operation.name}, which has no gradient", inputs)
    else:
        origin = origin_of("", inputs) if any(isinstance(t, Tensor) and t._origin for t in inputs) else None
    return Tensor._made(array, node, version or Version(), origin)


def _watch(operation: Function, inputs: Sequence[Any], results: Sequence[Tensor]) -> None:
    """Note the versions of saved inputs and results, and why inputs have no graph."""
    watched = []
    for name, array in operation.saved.items():
        if not is_array(array):
            continue
        home = owner(array)
        for index, tensor in enumerate((*inputs, *results)):
            if isinstance(tensor, Tensor) and owner(tensor._data) is home:
                what = f"input {operation.input_name(index)}" if index < len(inputs) else f"result (saved as {name})"
                watched.append((what, tensor._version, tensor._version.count))
                break
    operation.watched = tuple(watched)
    origins = {i: t._origin for i, t in enumerate(inputs) if isinstance(t, Tensor) and t._origin is not None}
    if origins:
        operation.origins = origins


def _keep(node: Node, dy: Array) -> None:
    """Add a gradient to the node's own."""
    backend = backend_of(dy)
    with backend.activate():
        if node.grad is None:
            # an array of its own: two leaves may have been handed the same one
            node.grad = backend.xp.array(dy, dtype=node.dtype, copy=True, order="C")
        else:
            node.grad += dy


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


def _locked_view(array: Array) -> Array:
    array = np.asarray(array) if isinstance(array, np.generic) else array
    return backend_of(array).lock(array.view())
