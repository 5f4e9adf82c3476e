"""Several operations in a row, computed at once.

A convolution, its ReLU and its pooling are three nodes of the graph, always: that is what a picture of the graph shows,
and what a hook may want to see the gradient of. But computing them at once saves half of the time. So a `Row` stands
behind the last of its nodes: forward and backward go through it, past the nodes between. As soon as somebody wants to
see what lies between, `unfold` computes the members one by one from what the row kept, and from then on the nodes are
on their own.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Function, Node
from tinygrad_cnn.ops.conv import Conv2d
from tinygrad_cnn.ops.pool import MaxPool
from tinygrad_cnn.shapes import Shape, sizes_are_strict

Array = Any


@dataclass(eq=False)
class Row(Function):
    """A layer and the operations on its result, as the kernel that bears all their names.

    Args:
        kinds: The operations, each as its class and the values of its fields: `Conv2d` or `Linear`, `ReLU`, and behind
            a convolution perhaps `MaxPool`. They are made when there is a graph for them to be nodes of.
    """

    kinds: tuple[tuple[type[Function], tuple[Any, ...]], ...]

    def __post_init__(self) -> None:
        self.name, self.input_names = self.kinds[0][0].name, self.kinds[0][0].input_names

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        sizes, self.found, self.names, self.settings = _checked(self.kinds, shapes, sizes_are_strict())
        return sizes

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        more = {"needs": self.needs} if "pool" in self.settings else {}
        made = kernels.get(f"{self.names}_forward")(x, weight, bias, **self.settings, **more)
        y, kept = made if isinstance(made, tuple) else (made, made)
        self.save(x=x, weight=weight, kept=kept)
        self.bias = bias if bias is None or not self.saved else bias.copy()  # the optimizer changes it before we ask
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        x, weight, kept = self.saved.values()
        return kernels.get(f"{self.names}_backward")(dy, kept, x, weight, **self.settings, needs=self.needs)

    def stand_behind(self, scopes: Collection[Any]) -> Function:
        """Make the members, each with its scope, nodes of the graph in the place of the row; returns the last."""
        parents, shapes = self.parents, self.input_shapes
        members = [kind.__new__(kind) for kind, _ in self.kinds]
        for member, attributes, scope in zip(members, self.found, scopes):
            vars(member).update(attributes)
            member.parents, member.input_shapes = parents, shapes
            member.dtype, member.scope = self.dtype, scope
            parents, shapes = (member,), (member.shape,)
        last = members.pop()  # no way back to it: a circle would keep all arrays until Python notices
        last.row, self.members = self, members
        return last

    def hidden(self, wanted: Collection[Node]) -> bool:
        """Whether nobody asks for what lies between the members."""
        return not any(node.hooks or node.retains_grad or node in wanted for node in self.members)

    def unfold(self, last: Function) -> None:
        """Compute the members one by one, so that each can go back by itself."""
        self.check_unchanged()
        inputs: tuple[Any, ...] = (self.saved.x, self.saved.weight, self.bias)
        for member in (*self.members, last):
            result = member.forward(*inputs)
            inputs = result[:1] if isinstance(result, tuple) else (result,)
        self.members[0].watched, last.row = self.watched, None
        self.free()


@functools.lru_cache(maxsize=256)
def _checked(
    kinds: tuple[tuple[type[Function], tuple[Any, ...]], ...], shapes: tuple[Shape | None, ...], strict: bool
) -> tuple[dict[str, int], list[dict[str, Any]], str, dict[str, Any]]:
    """`check_shapes` of all members, remembered: sizes, each one's attributes, their names, what the kernels want."""
    first, *_, last = members = [kind(*values) for kind, values in kinds]
    sizes = first.check_shapes(shapes)
    x, weight, wanted = shapes[0] or (), shapes[1] or (), {}
    between: Shape = (*x[:-1], weight[0])
    if isinstance(first, Conv2d):
        between = (x[0], weight[0], *first.window.outs(x[2:]))
        wanted = {"window": first.window, "groups": first.groups}
    for member in members:
        member.shape = between
    if isinstance(last, MaxPool):
        last.check_shapes((between,))
        last.shape = (*between[:2], *last.out)
        wanted["pool"] = last.window
    return sizes, [vars(member) for member in members], "_".join([member.name for member in members]), wanted
