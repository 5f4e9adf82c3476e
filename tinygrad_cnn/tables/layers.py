"""From a network to the rows of its table: computed from the layers' sizes, or, if that cannot be, seen in one pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn import nn, ops
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.function import Function, Node
from tinygrad_cnn.nn.arguments import whole
from tinygrad_cnn.nn.tree import join
from tinygrad_cnn.nn.walk import UnknownShapeError, output_shape, tells_shapes
from tinygrad_cnn.shapes import Shape, Window
from tinygrad_cnn.tables.table import ALL, Field, Row, Summary

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def summary(model: nn.Module, input_shape: Sequence[int] | None = None, depth: int | None = None) -> Summary:
    """Describes a model layer by layer: outputs, weights, parameters, connections, work, receptive fields, memory.

    Computed from the sizes of the layers: nothing is run, so AlexNet's table takes no longer than LeNet's. Only a
    module with a `forward` of its own and no `walk_shapes` (see `nn.walk`) is run once, on one sample of zeros in
    evaluation mode; operations that are no layers (`F.relu`, `flatten`) get no row then.

    Args:
        model: The network.
        input_shape: (C, H, W) of one image or (F,) of one vector; the model's own `input_shape` by default.
        depth: How many levels of names are told apart: with 1, GoogLeNet's `inception3a.branch1.conv` and all else in
            `inception3a` is one row, with the module's output and receptive field and the sums of its layers' numbers;
            with 0 the whole model is. None: each layer has its row.

    Raises:
        ValueError: The input shape is not known.
        ShapeError: A layer cannot take what the one before it gives; depth is negative.

    Source: the layer tables of LeCun et al. 1998, section II.B, and of the cs231n notes on convolutional networks.

    >>> from tinygrad_cnn import models, nn
    >>> table = summary(nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)), (1, 28, 28))
    >>> print(table.rows[1].weights, table.rows[1].output, table.parameters)
    6 × (1·5·5 + 1) (6, 28, 28) 156
    >>> table.multiply_adds   # 6·28·28 outputs, 1·5·5 each
    117600
    >>> print([(row.name, row.parameters) for row in summary(models.LeNet5(), depth=1).rows])
    [('input', 0), ('features', 2572), ('classifier', 59134)]
    """
    if depth is not None:
        whole("summary", "depth", depth, least=0)
    shape = tuple(input_shape if input_shape is not None else getattr(model, "input_shape", ()))
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(
            f"summary: input_shape={input_shape!r}: give the shape of one sample, input_shape=(C, H, W) for images or "
            "(features,) for vectors, without the batch axis"
        )
    parameters = list(model.parameters())
    itemsize = parameters[0].dtype.itemsize if parameters else 4
    start = Field.of_one(len(shape) - 1)
    calls: list[Call] = []
    try:
        _walk("", model, Flow(shape, start), calls, depth)
    except UnknownShapeError:
        calls = _measured(model, shape, start, depth)
    counted: dict[int, None] = {}
    unknown: list[str] = []

    def row(call: Call) -> Row:
        if call.parts:
            return _together(call, [row(part) for part in call.parts])
        fresh = [p for p in _own_parameters(call.layer) if id(p) not in counted]
        counted.update((id(p), None) for p in fresh)
        own = _row(call, sum(p.data.size for p in fresh), itemsize)
        if own.multiply_adds is None:
            unknown.append(f"{own.name} ({own.kind}): a layer of your own, whose multiply-adds are not counted")
        return own

    rows = [Row("input", "", shape, field=start, memory=prod(shape) * itemsize), *map(row, calls)]
    unused = [
        f"{name}: {p.data.size:,} parameters that no layer in the table uses"
        for name, p in model.named_parameters()
        if id(p) not in counted
    ]
    total = sum(p.data.size for p in parameters)
    memory = sum(p.data.nbytes for p in parameters)
    return Summary(model._get_name(), tuple(rows), total, memory, (*unused, *unknown))


class Call(NamedTuple):
    """One layer at work: its path, the layer, the shapes before and behind it, and how far its values see.

    `parts` are the calls inside a module that gets one row for all of them.
    """

    name: str
    layer: nn.Module
    before: Shape
    after: Shape
    field: Field | None
    parts: tuple[Call, ...] = ()


class Flow(tuple[int, ...]):
    """A shape on its way through a network, which knows how far its values see."""

    field: Field | None

    def __new__(cls, shape: Shape, field: Field | None) -> Flow:
        flow = super().__new__(cls, shape)
        flow.field = field
        return flow


def _walk(path: str, module: nn.Module, flow: Flow, calls: list[Call], depth: int | None) -> Flow:
    """Add the calls of a module's layers, or one for all of them; returns what comes out."""
    inner: list[Call] = []
    after = _walk_into(path, module, flow, inner, depth)
    if _is_one_row(path, module, depth):
        inner = [Call(path, module, tuple(flow), tuple(after), after.field, tuple(inner))]
    calls += inner
    return after


def _walk_into(path: str, module: nn.Module, flow: Flow, calls: list[Call], depth: int | None) -> Flow:
    if isinstance(module, nn.Sequential) and tells_shapes(module):
        for name, layer in module._modules.items():  # named_children() names a shared layer once
            assert layer is not None
            flow = _walk(join(path, name), layer, flow, calls, depth)
        return flow
    if not (hasattr(module, "walk_shapes") and tells_shapes(module)):
        after = output_shape(module, tuple(flow), path)
        field = _behind(module, flow.field, flow, after)
        calls.append(Call(path, module, tuple(flow), after, field))
        return Flow(after, field)
    ends = [flow]  # what nobody has taken further yet

    def call(child: str, shape: Shape) -> Shape:
        # a shape that walk_shapes made itself joins all ends: a concatenation, a flattening
        before = shape if isinstance(shape, Flow) else Flow(shape, Field.widest(end.field for end in ends))
        after = _walk(join(path, child), module.get_submodule(child), before, calls, depth)
        ends[:] = [end for end in ends if end is not shape] + [after]
        return after

    after = module.walk_shapes(flow, call)
    if len(ends) > 1:  # the way in, where every branch was taken
        ends = [end for end in ends if end is not flow]
    field = after.field if isinstance(after, Flow) else Field.widest(end.field for end in ends)
    if _own_parameters(module) or not _has_children(module):
        calls.append(Call(path, module, tuple(flow), tuple(after), field))
    return Flow(after, field)


def _is_one_row(path: str, module: nn.Module, depth: int | None) -> bool:
    """Whether what lies below a module is put together."""
    return len(path.split(".") if path else ()) == depth and _has_children(module)


def _behind(module: Any, field: Field | None, before: Shape, after: Shape) -> Field | None:
    """How far the outputs of a layer see, if its inputs see so far; None where that cannot be said."""
    if isinstance(module, (nn.Linear, nn.EuclideanRBF)):
        return ALL
    if field is None or not field.size or len(before) != len(field.size) + 1:
        return field
    if isinstance(module, ENLARGING):
        return None  # between the values of the input
    kernel = getattr(module, "kernel_size", None)
    if kernel is not None:  # a convolution or a pooling
        kernel = kernel if isinstance(kernel, tuple) else (kernel,) * len(field.size)
        padding, dilation = getattr(module, "padding", 0), getattr(module, "dilation", 1)
        return field.through(Window(kernel, module.stride or kernel, padding, dilation))
    if isinstance(module, nn.padding._Pad):
        return field.padded(module.padding[-2::-2])  # the last axis comes first there
    if isinstance(module, (nn.GlobalAvgPool2d, nn.GlobalMaxPool2d)):
        return field.through(Window(tuple(before[1:]), tuple(before[1:])))
    if not hasattr(module, "output_size") or len(after) != len(before):
        return field  # flattening
    bins = [-(-H // P) for H, P in zip(before[1:], after[1:])]  # adaptive pooling: the largest of its windows
    return field.through(Window(tuple(bins), tuple(H // P for H, P in zip(before[1:], after[1:]))))


def _measured(model: nn.Module, shape: Shape, start: Field, depth: int | None) -> list[Call]:
    """The calls of one forward pass of one sample, seen by hooks; receptive fields are read from the graph."""
    calls: list[Call] = []
    parameter = next(iter(model.parameters()), None)
    device, dtype = (parameter.device, parameter.dtype) if parameter is not None else ("cpu", np.dtype(np.float32))
    x = Tensor(np.zeros((1, *shape)), dtype=dtype, device=device, requires_grad=True)
    fields: dict[Node, Field | None] = {x.node: start} if x.node is not None else {}

    def record(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor) and args and isinstance(args[0], Tensor):
                field = _field(output.node, fields) if output.node is not None else None
                call = Call(name, module, args[0].shape[1:], output.shape[1:], field)
                if _is_one_row(name, module, depth):  # what is below it was called just before
                    inner = list(itertools.takewhile(lambda c: c.name.startswith(join(name, "")), reversed(calls)))
                    del calls[len(calls) - len(inner) :]
                    call = call._replace(parts=(*inner[::-1], *([call] if _own_parameters(module) else [])))
                calls.append(call)

        return hook

    hooks = [
        module.register_forward_hook(record(name))
        for name, module in model.named_modules()
        if not _has_children(module) or _own_parameters(module) or _is_one_row(name, module, depth)
    ]
    try:
        with nn.utils.evaluating(model):
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _field(node: Node, fields: dict[Node, Field | None]) -> Field | None:
    """The receptive field of a node's values; `fields` holds the input's and keeps those already found."""
    stack = [node]
    while stack:
        top = stack[-1]
        missing = [p for p in top.parents if p is not None and isinstance(p, Function) and p not in fields]
        if missing:
            stack += missing
            continue
        stack.pop()
        if top in fields:
            continue
        seen = [fields[p] for p in top.parents if p is not None and p in fields and fields[p] != NOTHING]
        known = [field for field in seen if field is not None]
        window = getattr(top, "window", None)
        if not seen:
            fields[top] = NOTHING
        elif len(known) < len(seen):
            fields[top] = None
        elif top.name in ("linear", "matmul") or ALL in known:
            fields[top] = ALL
        elif window is not None:
            fields[top] = known[0].through(window)
        elif isinstance(top, ops.Pad):
            fields[top] = known[0].padded([before for before, _ in top.pads[-len(known[0].size) :]])
        elif top.name in PASSING or all(
            p is None or fields.get(p, NOTHING) == NOTHING or p.shape == top.shape for p in top.parents
        ):
            fields[top] = Field.widest(known)
        else:
            fields[top] = None
    return fields[node]


NOTHING = Field((), (0,), ())  # what is computed from parameters alone
# operations whose output values are input values at other places
PASSING = ("reshape", "permute", "cat", "stack", "flip")


def _row(call: Call, parameters: int, itemsize: int) -> Row:
    """The layer's row; `parameters` leaves out what an earlier row counted."""
    layer, after = call.layer, call.after
    own = sum(p.data.size for p in _own_parameters(layer))
    weights, work = _formula(layer), _work(layer, call.before, after)
    multiply_adds = work if work is not None or own else 0
    if own and not parameters:
        weights += " (shared)"
    connections = multiply_adds
    if hasattr(layer, "connections"):
        connections = layer.connections(after)
    elif multiply_adds and getattr(layer, "bias", None) is not None:
        connections = multiply_adds + prod(after)
    is_container = _has_children(layer)  # what it hands out is the output of a row above
    memory = 0 if is_container else prod(after) * itemsize
    return Row(
        *(call.name or "(model)", layer._get_name(), after, weights, parameters),
        *(connections, multiply_adds, call.field, memory),
    )


def _together(call: Call, rows: list[Row]) -> Row:
    """One row for a module, of the rows of all its layers."""
    formulas = [row.weights for row in rows if row.weights]
    return Row(
        *(call.name or "(model)", call.layer._get_name(), call.after),
        " + ".join(formulas) if len(formulas) <= 2 else f"{len(formulas)} layers",
        sum(row.parameters for row in rows),
        sum(row.connections or 0 for row in rows),
        sum(row.multiply_adds or 0 for row in rows),
        call.field,
        sum(row.memory for row in rows),
    )


def _formula(layer: Any) -> str:
    """How the number of a layer's parameters comes about, as the lectures print it."""
    own = _own_parameters(layer)
    one = "" if getattr(layer, "bias", None) is None else " + 1"
    if isinstance(layer, PRODUCTS) and own:
        K, inputs = _filters(layer)
        return f"{K} × ({'·'.join(map(str, inputs))}{one})" if one else f"{K} × {'·'.join(map(str, inputs))}"
    return " + ".join("·".join(map(str, p.shape)) or "1" for p in own)


def _filters(layer: Any) -> tuple[int, Shape]:
    """How many filters a layer has, and the sizes of one."""
    shape: Shape = layer.weight.shape
    first, second, *taps = shape
    if isinstance(layer, TRANSPOSED):  # a transposed convolution's weight is (C, K/groups, R, S)
        return second * layer.groups, (first // layer.groups, *taps)
    return first, (second, *taps)


def _work(layer: Any, before: Shape, after: Shape) -> int | None:
    """The multiplications, each with an addition, that a layer does for one sample; None if that is not known."""
    if isinstance(layer, TRANSPOSED):
        return prod(before) * prod(layer.weight.shape[1:])  # each input value meets each tap of its filters
    if isinstance(layer, PRODUCTS):
        return prod(after) * prod(_filters(layer)[1])
    for kind, multiply_adds in WORK.items():
        if isinstance(layer, kind):
            return multiply_adds(layer, after)
    return 0 if _is_ours(layer) or not _own_parameters(layer) else None


def _is_ours(module: nn.Module) -> bool:
    """Whether it computes what a layer of this package does."""
    return type(module).forward.__module__.startswith(nn.__name__)


ENLARGING = (*TRANSPOSED, nn.MaxUnpool1d, nn.MaxUnpool2d, nn.MaxUnpool3d, nn.Upsample)
PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
WORK: dict[type, Callable[[Any, Shape], int]] = {
    nn.Subsampling2d: lambda layer, after: prod(after),  # one coefficient for each sum
    nn.ConnectionConv2d: lambda layer, after: prod(after[1:]) * layer.weight.data.size,
    nn.EuclideanRBF: lambda layer, after: prod(after) * layer.in_features,
}


def _has_children(module: nn.Module) -> bool:
    return any(True for _ in module.children())


def _own_parameters(module: nn.Module) -> list[Any]:
    return [p for p in module.parameters(recurse=False) if p is not None]
