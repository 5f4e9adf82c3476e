"""One operation applied once: a node of the graph, which knows how to compute and how to go back.

`Function` sees arrays only. `forward` computes and saves what `backward` will need; `backward` takes the gradient of
the result and returns one gradient per input. `Leaf` is the node of a tensor the user made. Both hold the gradient
that arrived, so that a graph holds no tensors, and an activation nobody saved is freed at once.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.observe import Scope
from tinygrad_cnn.shapes import Shape, Signature

Array = Any
Pairs = tuple[tuple[str, Any], ...]


class GraphError(RuntimeError):
    """Something the graph of operations does not allow; the message says what, where and what to do instead."""


class Version:
    """How often memory was changed in place, and by whom last; shared by all tensors that look into it."""

    # of the class, until something happens to this memory: one is made with every tensor
    count = 0
    writer = ""
    shared = False
    protected = False  # the memory is somebody else's, who made it read-only

    def bump(self, writer: str) -> None:
        """Note one change."""
        self.count += 1
        self.writer = writer


class Node:
    """One place in the graph where a gradient arrives.

    Attributes:
        parents: The nodes of the inputs, None for an input that wants no gradient.
        shape: Shape of the tensor this node stands for, and so of its gradient.
        dtype: Its number format.
        grad: The gradient, once it arrived: of a leaf, or of a result that was asked to retain it.
        hooks: Functions that see, and may replace, the gradient as it arrives.
        scope: The call of a module inside which it was computed; None outside all modules.
    """

    name: str = "node"
    parents: tuple[Node | None, ...] = ()
    shape: Shape = ()
    dtype: np.dtype
    grad: Array | None = None
    hooks: dict[int, Callable[[Array], Array | None]] | None = None
    retains_grad: bool = False
    scope: Scope | None = None


class RemovableHook:
    """A hook on a gradient, until `remove()`."""

    _count = 0

    def __init__(self, node: Node, hook: Callable[[Array], Array | None]) -> None:
        RemovableHook._count += 1
        self._key = RemovableHook._count
        if node.hooks is None:
            node.hooks = {}
        node.hooks[self._key] = hook
        self._node = weakref.ref(node)

    def remove(self) -> None:
        """Take the hook away."""
        node = self._node()
        if node is not None and node.hooks:
            node.hooks.pop(self._key, None)


class Leaf(Node):
    """The node of a tensor that was not computed: a parameter, or an input that asks for its gradient."""

    name = "leaf"
    retains_grad = True

    def __init__(self, like: Array) -> None:
        self.shape, self.dtype, self.strides = like.shape, like.dtype, like.strides


class Saved(dict[str, Array]):
    """What an operation kept for its backward: `self.saved.mask`."""

    def __getattr__(self, name: str) -> Array:
        if name not in self:
            raise AttributeError(f"nothing was saved as {name!r}, only {list(self)}; in forward: self.save({name}=…)")
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        raise GraphError(f"self.saved.{name} = …: keep a value for backward with self.save({name}=…)")

    __setitem__ = __setattr__


class Needs:
    """Which inputs want a gradient: `self.needs.weight`, `self.needs[1]`."""

    def __init__(self, names: tuple[str, ...], flags: tuple[bool, ...]) -> None:
        self.__dict__.update(dict.fromkeys(names, False) | dict(zip(names, flags)))
        self.names, self.flags = names, flags

    def __getattr__(self, name: str) -> bool:
        # only called for names that are no inputs
        raise AttributeError(f"there is no input {name!r}; the inputs are {self.__dict__.get('names')}")

    def __getitem__(self, index: int) -> bool:
        return self.flags[index]

    def __repr__(self) -> str:
        return f"Needs({', '.join(f'{n}={f}' for n, f in zip(self.names, self.flags))})"


needs_of = functools.lru_cache(maxsize=4096)(Needs)  # they never change, and the same few are wanted all the time


class Function(Node):
    """An operation; subclasses are dataclasses whose fields are the operation's attributes.

    A subclass defines `forward(self, *arrays)`, which returns one array, or a tuple of which only the first has a
    gradient, and `backward(self, dy)`, which returns one gradient per input in order (None where none is needed).

    Attributes:
        signature: The shapes of the inputs, checked before forward; empty where any shape will do.
        remedies: Letter of the signature (or "rank") → advice in the error message.
        saved: What forward kept, until backward has used it up (`freed`).
        input_shapes: Shapes of the inputs, None for a Python number or an absent input.

    >>> import tinygrad_cnn as tcnn
    >>> class Square(Function):
    ...     def forward(self, x):
    ...         self.save(x=x)
    ...         return x * x
    ...
    ...     def backward(self, dy):
    ...         return 2 * self.saved.x * dy
    >>> x = tcnn.tensor(3.0, requires_grad=True)
    >>> y = tcnn.apply(Square(), x)
    >>> y.backward()
    >>> y.item(), x.grad.item()
    (9.0, 6.0)
    """

    signature: str = ""
    remedies: dict[str, str] = {}  # noqa: RUF012
    input_names: tuple[str, ...] = ()
    variadic: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True

    saved: Saved = Saved()
    freed: bool = False
    input_shapes: tuple[Any, ...] = ()
    # what was saved of inputs and the output: (number of the input or name of the result, its version object, the
    # version then)
    watched: tuple[tuple[int | str, Version, int], ...] = ()
    # input index → why that input brought no graph along; see autograd.explain_grad
    origins: dict[int, Any] | None = None
    # what computes this operation and those before it at once; see ops/row.py
    row: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if "forward" in cls.__dict__:
            parameters = list(inspect.signature(cls.forward).parameters.values())[1:]
            cls.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
            cls.input_names = tuple(p.name for p in parameters)

    @property
    def needs(self) -> Needs:
        """Which inputs want a gradient."""
        parents = self.parents or (None,) * len(self.input_shapes)
        return needs_of(self.input_names, tuple([parent is not None for parent in parents]))

    def forward(self, *arrays: Array) -> Any:
        """Arrays in, array out."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Array) -> Any:
        """The gradient of the result in, the gradients of the inputs out."""
        raise NotImplementedError(f"{type(self).__name__} has no backward: its result cannot be differentiated")

    def check(self, *arrays: Array) -> None:
        """Refuse what the signature cannot express."""

    def save(self, **arrays: Array) -> None:
        """Keep arrays for backward, under a name."""
        if self.parents:
            self.saved = Saved(self.saved, **arrays)

    def attributes(self) -> dict[str, Any]:
        """The settings of this operation, such as stride and padding."""
        if not dataclasses.is_dataclass(self):
            return {}
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        """Match the input shapes with the signature."""
        if not self.signature:
            return {}
        named = tuple(zip(self.input_names, shapes))
        divisors = tuple([(name, getattr(self, name)) for name in Signature.parse(self.signature).divisors])
        return dict(_sizes(self.signature, self.name, named, divisors, tuple(self.remedies.items())))

    def check_unchanged(self) -> None:
        """Refuse to go back with saved values that somebody changed since.

        Raises:
            GraphError: It names the operation, the argument and the writer.
        """
        if self.freed:
            raise GraphError(
                f"backward through {self.name} a second time: what it saved was freed after the first; "
                "call the first one with backward(retain_graph=True), or compute the forward pass again"
            )
        for place, version, count in self.watched:
            if version.count != count:
                what = f"result (saved as {place})" if isinstance(place, str) else f"input {self.input_name(place)}"
                raise GraphError(
                    f"{self.name}: its {what} was changed in place by {version.writer} after the forward pass, but "
                    f"{self.name} needs the old values in backward; change a clone() of it, or change it after backward"
                )

    def gradients(self, dy: Array) -> tuple[Array | None, ...]:
        """`backward`, with its result checked: one gradient per input, each of the input's shape."""
        gradients = self.backward(dy)
        gradients = tuple(gradients) if isinstance(gradients, (tuple, list)) else (gradients,)
        for dx in gradients:
            if dx is not None:
                break
        else:
            wanting = ", ".join(self.input_name(i) for i, need in enumerate(self.needs.flags) if need)
            raise GraphError(f"{self.name}.backward returned no gradient, but {wanting} wants one; forgot `return`?")
        if len(self.parents) < len(gradients) <= len(self.input_names):
            given, absent = gradients[: len(self.parents)], gradients[len(self.parents) :]  # absent: such as a bias
            gradients = given if all(g is None for g in absent) else gradients
        if len(gradients) != len(self.parents):
            raise GraphError(
                f"{self.name}.backward returned {len(gradients)} gradients for {len(self.parents)} inputs "
                f"({', '.join(self.input_names)}); return one per input, None where none is needed"
            )
        for index, (parent, dx) in enumerate(zip(self.parents, gradients)):
            if parent is None or dx is None:
                continue
            if getattr(dx, "shape", None) != parent.shape:
                raise GraphError(
                    f"{self.name}.backward returned a gradient of shape {getattr(dx, 'shape', type(dx).__name__)} for "
                    f"its input {self.input_name(index)} of shape {parent.shape}; they must be equal "
                    "(kernels.unbroadcast sums over broadcast axes)"
                )
        return gradients

    def input_name(self, index: int) -> str:
        """The name of an input, `x3` for the fourth of many."""
        fixed = len(self.input_names) - self.variadic
        return self.input_names[index] if index < fixed else f"{self.input_names[-1]}[{index - fixed}]"

    def free(self) -> None:
        """Let go of what was saved."""
        if self.saved:
            self.saved, self.watched, self.freed = Saved(), (), True


@functools.lru_cache(maxsize=4096)
def _sizes(signature: str, operation: str, shapes: Pairs, divisors: Pairs, remedies: Pairs) -> dict[str, int]:
    """`Signature.match(...)`, remembered: a training step asks for the same few shapes again and again."""
    return Signature.parse(signature).match(operation, dict(shapes), dict(divisors), dict(remedies))
