"""From a network to the rows of its table: computed from the layers' sizes, or seen in one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.function import Function, Node
from tinygrad_cnn.shapes import Shape, ShapeError, Window
from tinygrad_cnn.tables.table import ALL, Field, Row, Summary

SAME_SHAPE = (
    *(nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softmax, nn.LogSoftmax),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout, nn.Identity),
)
KNOWN = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.Linear, nn.Flatten, *SAME_SHAPE)


def summary(model: nn.Module, input_shape: Sequence[int] | None = None) -> Summary:
    """Describes a model layer by layer: output, weights, parameters, multiply-adds, receptive field, memory.

    A `Sequential` of known layers is computed from their sizes. A model with a `forward` of its own is run once on
    one sample of zeros, in evaluation mode; operations that are no layers (`F.relu`, `flatten`) get no row then.

    Args:
        model: The network.
        input_shape: (C, H, W) of one image or (F,) of one vector; the model's own `input_shape` by default.

    Raises:
        ValueError: The input shape is not known.
        ShapeError: A layer cannot take what the one before it gives.

    Source: the layer tables of LeCun et al. 1998, section II.B, and of the cs231n notes on convolutional networks.

    >>> from tinygrad_cnn import nn
    >>> table = summary(nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)), (1, 28, 28))
    >>> print(table.rows[1].weights, table.rows[1].output, table.parameters)
    6 × (1·5·5 + 1) (6, 28, 28) 156
    >>> table.multiply_adds   # 6·28·28 outputs, 1·5·5 each
    117600
    """
    shape = tuple(input_shape if input_shape is not None else getattr(model, "input_shape", ()))
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(
            f"summary: input_shape={input_shape!r}: give the shape of one sample, input_shape=(C, H, W) for images or "
            "(features,) for vectors, without the batch axis"
        )
    parameters = list(model.parameters())
    itemsize = parameters[0].dtype.itemsize if parameters else 4
    start = Field() if len(shape) == 3 else ALL
    rows = [Row("input", "", shape, field=start, memory=prod(shape) * itemsize)]
    calls = _walked("", model, shape, start) if _is_chain(model) else _measured(model, shape)
    counted: dict[int, None] = {}
    called: dict[int, None] = {}
    for name, layer, before, after, field in calls:
        fresh = [p for p in _own_parameters(layer) if id(p) not in counted]
        counted.update((id(p), None) for p in fresh)
        called[id(layer)] = None
        rows.append(_row(name or "(model)", layer, before, after, field, sum(p.data.size for p in fresh), itemsize))
    notes = [
        f"{name}: {p.data.size:,} parameters that no layer in the table uses"
        for name, p in model.named_parameters()
        if id(p) not in counted
    ]
    notes += [
        f"{row.name} ({row.kind}): a layer of your own, whose multiply-adds are not counted"
        for row in rows
        if row.multiply_adds is None
    ]
    total = sum(p.data.size for p in parameters)
    memory = sum(p.data.nbytes for p in parameters)
    return Summary(type(model).__name__, tuple(rows), total, memory, tuple(notes))


Call = tuple[str, nn.Module, Shape, Shape, Field | None]


def _is_chain(module: nn.Module) -> bool:
    """Whether a module is one of the known layers or a Sequential of them, so that sizes follow without running it."""
    if type(module).forward is nn.Sequential.forward:
        return all(_is_chain(child) for child in module.children())
    return any(type(module).forward is known.forward for known in KNOWN)


def _walked(name: str, module: nn.Module, shape: Shape, field: Field | None) -> Iterator[Call]:
    """The calls of a chain, computed; the last one's output shape and field are the chain's."""
    if isinstance(module, nn.Sequential):
        for child_name, child in module._modules.items():  # named_children() names a shared layer once
            assert child is not None
            for call in _walked(f"{name}.{child_name}" if name else child_name, child, shape, field):
                *_, shape, field = call
                yield call
        return
    after = _output_shape(name, module, shape)
    window = _window(module)
    if isinstance(module, nn.Linear):
        field = ALL
    elif window is not None and field is not None:
        field = field.through(window)
    yield name, module, shape, after, field


def _measured(model: nn.Module, shape: Shape) -> list[Call]:
    """The calls of one forward pass of one sample, seen by hooks; receptive fields are read from the graph."""
    calls: list[Call] = []
    parameter = next(iter(model.parameters()), None)
    device, dtype = (parameter.device, parameter.dtype) if parameter is not None else ("cpu", np.dtype(np.float32))
    x = Tensor(np.zeros((1, *shape)), dtype=dtype, device=device, requires_grad=True)
    fields: dict[Node, Field | None] = {x.node: Field() if len(shape) == 3 else ALL} if x.node is not None else {}

    def record(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor) and args and isinstance(args[0], Tensor):
                field = _field(output.node, fields) if output.node is not None else None
                calls.append((name, module, args[0].shape[1:], output.shape[1:], field))

        return hook

    modes = [(module, module.training) for module in model.modules()]
    hooks = [
        module.register_forward_hook(record(name))
        for name, module in model.named_modules()
        if isinstance(module, KNOWN) or not any(True for _ in module.children()) or _own_parameters(module)
    ]
    model.eval()
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
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
        elif top.name in PASSING or all(
            p is None or fields.get(p, NOTHING) == NOTHING or p.shape == top.shape for p in top.parents
        ):
            fields[top] = max(known, key=lambda field: field.size)
        else:
            fields[top] = None
    return fields[node]


NOTHING = Field((), (0,))  # what is computed from parameters alone
# operations whose output values are input values at other places
PASSING = ("reshape", "permute", "cat", "stack", "pad", "flip")


def _output_shape(name: str, module: nn.Module, shape: Shape) -> Shape:
    place = f"{name or 'layer'} ({type(module).__name__})"
    window = _window(module)
    if window is not None:
        if len(shape) != 3:
            raise ShapeError(f"summary: {place} wants images (C, H, W), it gets {shape}; input_shape has no batch axis")
        C, H, W = shape
        wanted = getattr(module, "in_channels", C)
        if wanted != C:
            raise ShapeError(f"summary: {place} wants {wanted} channels, it gets {shape}")
        try:
            return (getattr(module, "out_channels", C), *window.out(H, W))
        except ShapeError as error:
            raise ShapeError(f"summary: {place} on {shape}: {error}") from error
    if isinstance(module, nn.Linear):
        if not shape or shape[-1] != module.in_features:
            raise ShapeError(
                f"summary: {place} wants {module.in_features} features, it gets {shape}; "
                + ("put nn.Flatten() before it" if len(shape) > 1 else "change in_features")
            )
        return (*shape[:-1], module.out_features)
    if isinstance(module, nn.Flatten):
        whole = (1, *shape)
        first, last = module.start_dim % len(whole), module.end_dim % len(whole)
        return (*whole[:first], prod(whole[first : last + 1]), *whole[last + 1 :])[1:]
    return shape


def _window(module: nn.Module) -> Window | None:
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return None
    kernel = module.kernel_size if isinstance(module.kernel_size, tuple) else (module.kernel_size,) * 2
    return Window(
        kernel,
        module.stride,
        module.padding,
        getattr(module, "dilation", 1),
        getattr(module, "ceil_mode", False),
    )


def _row(
    name: str,
    layer: nn.Module,
    before: Shape,
    after: Shape,
    field: Field | None,
    parameters: int,
    itemsize: int,
) -> Row:
    """The layer's row; `parameters` leaves out what an earlier row counted."""
    own = sum(p.data.size for p in _own_parameters(layer))
    weights = ""
    multiply_adds: int | None = 0
    bias = getattr(layer, "bias", None) is not None
    if isinstance(layer, nn.Conv2d | nn.Linear):
        K, *inputs = layer.weight.shape
        terms = "·".join(map(str, inputs))
        weights = f"{K} × ({terms} + 1)" if bias else f"{K} × {terms}"
        multiply_adds = prod(after) * prod(inputs)
    elif own:
        weights = " + ".join("·".join(map(str, p.shape)) or "1" for p in _own_parameters(layer))
        multiply_adds = 0 if isinstance(layer, KNOWN) else None
    if own and not parameters:
        weights += " (shared)"
    connections = None if multiply_adds is None else multiply_adds + (prod(after) if bias and multiply_adds else 0)
    is_container = any(True for _ in layer.children())  # what it hands out is the output of a row above
    memory = 0 if is_container else prod(after) * itemsize
    return Row(name, type(layer).__name__, after, weights, parameters, connections, multiply_adds, field, memory)


def _own_parameters(module: nn.Module) -> list[Any]:
    return [p for p in module.parameters(recurse=False) if p is not None]
