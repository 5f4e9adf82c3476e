"""Which modules of a `Sequential` are computed at once, and when: never where somebody looks at what lies between.

A convolution or a fully connected layer takes its ReLU and its maximum pooling along. Hooks on one of the modules, a
recording that runs, a kernel that was replaced, a class or a `forward` of one's own: each of them is a reason to call
the modules one by one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_cnn import kernels, ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.backends import DeviceError
from tinygrad_cnn.function import Function
from tinygrad_cnn.nn.activation import ReLU
from tinygrad_cnn.nn.conv import Conv2d
from tinygrad_cnn.nn.linear import Linear
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.pool import MaxPool2d
from tinygrad_cnn.observe import Scope, observer, scope
from tinygrad_cnn.ops.row import Row
from tinygrad_cnn.shapes import ShapeError

# module → its operation, as `Row` wants it: the class, and the values of its fields
OPERATIONS: dict[type[Module], Callable[[Any], tuple[type[Function], tuple[Any, ...]]]] = {
    Conv2d: lambda layer: (ops.Conv2d, (layer.stride, layer.padding, layer.dilation, layer.groups)),
    Linear: lambda layer: (ops.Linear, ()),
    ReLU: lambda layer: (ops.ReLU, ()),
    MaxPool2d: lambda layer: (ops.MaxPool, (layer._window(),)),
}
ROWS: tuple[tuple[type[Module], ...], ...] = ((Conv2d, ReLU, MaxPool2d), (Conv2d, ReLU), (Linear, ReLU))


def at_once(modules: Sequence[Module], x: Any) -> tuple[Any, int]:
    """The result of as many of the first modules as can be computed at once, and how many; none: (x, 0)."""
    kinds = tuple(map(type, modules[:3]))
    length = _length_of(kinds)
    if not length or not isinstance(x, Tensor) or observer.get() is not None or kernels.any_overridden():
        return x, 0
    together = modules[:length]
    layer: Any = together[0]
    weight, bias = layer.weight, layer.bias
    if any(map(_on_its_own, together)) or x.ndim != weight.ndim:
        return x, 0
    inputs = [x, weight] if bias is None else [x, weight, bias]
    if not x.dtype == weight.dtype == inputs[-1].dtype:
        return x, 0
    row = Row(tuple([OPERATIONS[kind](module) for kind, module in zip(kinds, together)]))
    try:
        result = apply(row, *inputs)
    except (ShapeError, DeviceError):
        return x, 0  # called one by one they say which layer it was
    if result._node is row:
        outer = scope.get()
        result._node = row.stand_behind([Scope(module, outer) for module in together])
    return result, length


@functools.lru_cache(maxsize=256)
def _length_of(kinds: tuple[type[Module], ...]) -> int:
    """How many of the first modules, of these classes, are a row; 0 if none are."""
    return next((len(row) for row in ROWS if kinds[: len(row)] == row), 0)


def _on_its_own(module: Any) -> bool:
    """Whether somebody looks at this module's result, or changed what it does."""
    state = module.__dict__
    return bool(
        state["_forward_hooks"]
        or state["_forward_pre_hooks"]
        or "forward" in state
        or state.get("return_indices")
        or state.get("padding_mode", "zeros") != "zeros"
    )
