"""Every operation on a second array library: the stand-in for CuPy must give the CPU's numbers, and never wait."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import autograd, backends, creation, kernels, ops
from tinygrad_cnn import functional as F
from tinygrad_cnn.function import Function
from tinygrad_cnn.ops.row import Row
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import Window

# device 1 while 0 is the current one: memory that is made on the wrong GPU is noticed, too
DEVICE = "standin:1"


@pytest.fixture(autouse=True)
def _registered():
    with standin.registered():
        yield


def _draw(kind: str, shape: tuple[int, ...], number: int) -> np.ndarray:
    draw = np.random.default_rng([number, *shape])
    match kind:
        case "f":
            return draw.normal(size=shape).astype(np.float32)
        case "p":  # positive
            return draw.uniform(0.5, 2, size=shape).astype(np.float32)
        case "d":  # distinct: no two are equal
            return draw.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
        case "e":  # many equal
            return draw.integers(-1, 2, size=shape).astype(np.float32)
        case "h":
            return draw.normal(size=shape).astype(np.float16)
        case "i":  # whole numbers that can be an index, or a class
            return draw.integers(0, 3, size=shape)
        case "b":
            return draw.random(shape) < 0.5
    raise AssertionError(kind)


@dataclass
class Case:
    """A function of tensors and the tensors: `"f:3,4"` is float32 (3, 4), see `_draw`; `"f:"` a single number."""

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    waits: bool = False

    def arrays(self) -> list[np.ndarray]:
        arrays = []
        for number, text in enumerate(self.inputs):
            kind, _, sizes = text.partition(":")
            arrays.append(_draw(kind, tuple(int(n) for n in sizes.split(",") if n), number))
        return arrays


CASES: dict[str, Case] = {}


def case(name: str, function: Callable[..., Any], *inputs: str, waits: bool = False) -> None:
    """`name` begins with what is tried, as `Tensor.sum` or `F.conv2d`; behind a blank may stand what is special."""
    assert name not in CASES, name
    CASES[name] = Case(name, function, inputs, waits)


# Arithmetic, comparisons and logic, in both orders, broadcast and with Python numbers
for _name, _f in {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "truediv": lambda x, y: x / y,
    "floordiv": lambda x, y: x // y,
    "mod": lambda x, y: x % y,
    "pow": lambda x, y: x**y,
}.items():
    case(f"Tensor.__{_name}__", _f, "p:3,4", "p:3,4")
    case(f"Tensor.__{_name}__ broadcast", _f, "p:2,1,4", "p:3,1")
    case(f"Tensor.__{_name}__ 0-d", _f, "p:3,4", "p:")
    case(f"Tensor.__{_name}__ number", lambda x, f=_f: f(x, 2.5), "p:3,4")
    case(f"Tensor.__{_name}__ int", _f, "i:3,4", "p:4")
    case(f"Tensor.__r{_name}__", lambda x, f=_f: f(2.5, x), "p:3,4")
    case(f"Tensor.__r{_name}__ list", lambda x, f=_f: f([1.0, 2.0, 3.0, 4.0], x), "p:3,4")
case("Tensor.__pow__ 2", lambda x: x**2, "f:3,4")
case("Tensor.__pow__ 0", lambda x: x**0, "f:3,4")
case("Tensor.__pow__ zeros", lambda x, y: x**y, "e:3,4", "i:3,4")
case("Tensor.__mul__ own array", lambda x: x.data * x, "f:3,4")
case("Tensor.__mul__ numpy number", lambda x: np.float64(2) * x + x * np.float32(3), "f:3,4")
case("Tensor.__matmul__", lambda x, y: x @ y, "f:3,4", "f:4,2")
case("Tensor.__matmul__ batch", lambda x, y: x @ y, "f:5,1,3,4", "f:2,4,2")
case("Tensor.__matmul__ vectors", lambda x, y: x @ y, "f:4", "f:4")
case("Tensor.__matmul__ vector", lambda x, y: x @ y, "f:4", "f:2,4,3")
case("Tensor.__matmul__ column", lambda x, y: x @ y, "f:2,3,4", "f:4")
case("Tensor.__rmatmul__", lambda x: [[1.0, 2.0, 3.0]] @ x, "f:3,4")
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    case(f"Tensor.__{_name}__", lambda x, y, n=_name: getattr(x, f"__{n}__")(y), "e:3,4", "e:4")
    case(f"Tensor.__{_name}__ number", lambda x, n=_name: getattr(x, f"__{n}__")(0), "e:3,4")
for _name in ("and", "or", "xor"):
    case(f"Tensor.__{_name}__", lambda x, y, n=_name: getattr(x, f"__{n}__")(y), "b:3,4", "b:4")
    case(f"Tensor.__r{_name}__", lambda x, n=_name: getattr(x, f"__r{n}__")(True), "b:3,4")
case("Tensor.__neg__", lambda x: -x, "f:3,4")
case("Tensor.__pos__", lambda x: +x * 1, "f:3,4")
case("Tensor.__abs__", abs, "e:3,4")
case("Tensor.__invert__", lambda x: ~x, "b:3,4")
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    case(f"Tensor.{_name}", lambda x, y, n=_name: getattr(x, n)(y), "e:3,4", "e:4")
for _name in ("add", "sub", "mul", "div"):
    case(f"Tensor.{_name}", lambda x, y, n=_name: getattr(x, n)(y), "p:3,4", "p:4")
case("Tensor.add alpha", lambda x, y: x.add(y, alpha=2).sub(1, alpha=0.5), "f:3,4", "f:4")
case("Tensor.div floor", lambda x, y: x.div(y, rounding_mode="floor"), "p:3,4", "p:4")
case("Tensor.neg", lambda x: x.neg(), "f:3,4")
case("Tensor.matmul", lambda x, y: x.matmul(y), "f:3,4", "f:4,2")
case("Tensor.mm", lambda x, y: x.mm(y), "f:3,4", "f:4,2")
case("Tensor.dot", lambda x, y: x.dot(y), "f:4", "f:4")
case("Tensor.isinf", lambda x: (x / 0).isinf(), "e:3,4")
case("Tensor.isnan", lambda x: (x / 0).isnan(), "e:3,4")
case("Tensor.isfinite", lambda x: (x / 0).isfinite(), "e:3,4")
case("Tensor.any", lambda x: (x.any(), x.any(1), x.any((0, 1), keepdim=True)), "b:3,4")
case("Tensor.all", lambda x: (x.all(), x.all(1), x.all(axis=0, keepdims=True)), "b:3,4")

# Functions of each element
for _name in ("exp", "sin", "cos", "tanh", "sigmoid", "abs", "relu", "square", "floor", "ceil", "round", "sign"):
    case(f"Tensor.{_name}", lambda x, n=_name: getattr(x, n)(), "f:3,4")
    case(f"Tensor.{_name} 0-d", lambda x, n=_name: getattr(x, n)(), "f:")
    case(f"Tensor.{_name} half", lambda x, n=_name: getattr(x, n)(), "h:3,4")
for _name in ("log", "sqrt", "exp", "tanh", "sigmoid"):
    case(f"Tensor.{_name} positive", lambda x, n=_name: getattr(x, n)(), "p:2,3")
    case(f"Tensor.{_name} int", lambda x, n=_name: getattr(x + 1, n)(), "i:2,3")
case("Tensor.log", lambda x: x.log(), "p:")
case("Tensor.sqrt", lambda x: x.sqrt(), "p:")
case("Tensor.pow", lambda x, y: x.pow(3) + x.pow(y), "p:3,4", "f:4")
case("Tensor.clamp", lambda x: x.clamp(-0.5, 0.7) + x.clamp(min=0) + x.clamp(max=1), "f:3,4")
case("Tensor.clamp tensors", lambda x, y, z: x.clamp(y, z) + x.clamp(0.1, y), "f:3,4", "f:4", "p:3,1")
case("Tensor.sign bool", lambda x: x.sign(), "b:3,4")
case("Tensor.clip", lambda x: x.clip(-0.5, 0.7), "f:3,4")
case("Tensor.maximum", lambda x, y: x.maximum(y), "e:3,4", "e:4")
case("Tensor.minimum", lambda x, y: x.minimum(y), "e:3,4", "e:4")
case("Tensor.maximum number", lambda x: x.maximum(0.5), "f:3,4")
case("Tensor.where", lambda x, y, c: x.where(c, y), "f:3,4", "f:4", "b:3,1")
case("Tensor.where number", lambda x, c: x.where(c, 0), "f:3,4", "b:3,1")
case("Tensor.masked_fill", lambda x, c: x.masked_fill(c, -1.5), "f:3,4", "b:3,1")

# Reductions
for _name in ("sum", "mean", "var", "std", "amax", "amin", "prod"):
    for _label, _args in {"": {}, " dim": {"dim": 1}, " dims": {"dim": (0, -1), "keepdim": True}}.items():
        case(f"Tensor.{_name}{_label}", lambda x, n=_name, a=_args: getattr(x, n)(**a), "f:3,4,5")
    case(f"Tensor.{_name} half", lambda x, n=_name: getattr(x, n)(axis=0, keepdims=True), "h:3,4")
    case(f"Tensor.{_name} one", lambda x, n=_name: getattr(x, n)(1), "f:3,2")
for _name in ("sum", "mean", "amax", "amin", "prod", "max", "min"):
    case(f"Tensor.{_name} 0-d", lambda x, n=_name: getattr(x, n)() * 1, "f:")
    case(f"Tensor.{_name} ties", lambda x, n=_name: getattr(x, n)(), "e:3,4")
for _name in ("sum", "amax", "amin", "prod"):
    case(f"Tensor.{_name} int", lambda x, n=_name: getattr(x, n)(0), "i:3,4")
case("Tensor.sum empty", lambda x: x.sum(1), "f:3,0")
case("Tensor.mean empty", lambda x: x.mean(1), "f:3,0")
case("Tensor.sum dtype", lambda x: x.sum(0, dtype="float64"), "f:3,4")
case("Tensor.var correction", lambda x: x.var(1, correction=0) + x.var(1, correction=4), "f:3,4")
for _p in (2, 1, 0, 1.5, float("inf")):
    case(f"Tensor.norm {_p}", lambda x, p=_p: x.norm(p) + x.norm(p, 1) + x.norm(p, 0, keepdim=True).sum(), "e:4,3")
case("Tensor.norm half", lambda x: (x * 0).norm(dim=1) + x.norm(), "h:4,3")
for _name in ("max", "min"):
    case(f"Tensor.{_name}", lambda x, n=_name: getattr(x, n)(), "f:3,4")
    case(f"Tensor.{_name} dim", lambda x, n=_name: getattr(x, n)(1), "e:3,4,2")
    case(f"Tensor.{_name} last", lambda x, n=_name: getattr(x, n)(-1, keepdim=True), "f:4")
    case(f"Tensor.{_name} two", lambda x, y, n=_name: getattr(x, n)(y), "f:3,4", "f:4")
    case(f"Tensor.arg{_name}", lambda x, n=_name: (getattr(x, f"arg{n}")(), getattr(x, f"arg{n}")(1)), "e:3,4")
    case(f"Tensor.arg{_name} keepdim", lambda x, n=_name: getattr(x, f"arg{n}")(0, keepdim=True), "f:3,4")
case("Tensor.logsumexp", lambda x: x.logsumexp(1), "f:3,4")
case("Tensor.logsumexp infinite", lambda x: (x / 0).logsumexp((0, 1), keepdim=True), "e:3,4")
case("Tensor.softmax", lambda x: x.softmax(1), "f:3,4,2")
case("Tensor.log_softmax", lambda x: x.log_softmax(-1), "f:3,4")
case("Tensor.sort", lambda x: x.sort(1), "d:3,4")
case("Tensor.sort equal", lambda x: x.sort(0, descending=True), "e:5,4")
case("Tensor.sort 0-d", lambda x: x.sort(), "f:")
case("Tensor.argsort", lambda x: x.argsort(0, descending=True), "e:5,4")
case("Tensor.topk", lambda x: x.topk(2, 1), "d:3,4")
case("Tensor.topk smallest", lambda x: x.topk(3, 0, largest=False), "d:5,2")

# Shape and indexing
case("Tensor.reshape", lambda x: x.reshape(2, -1), "f:3,4")
case("Tensor.reshape copy", lambda x: x.T.reshape(2, 6), "f:3,4")
case("Tensor.view", lambda x: x.view(4, 3), "f:3,4")
case("Tensor.flatten", lambda x: x.flatten(1), "f:3,4,5")
case("Tensor.permute", lambda x: x.permute(2, 0, 1), "f:3,4,5")
case("Tensor.transpose", lambda x: x.transpose(0, -1), "f:3,4,5")
case("Tensor.t", lambda x: x.t(), "f:3,4")
case("Tensor.T", lambda x: x.T, "f:3,4")
case("Tensor.mT", lambda x: x.mT, "f:2,3,4")
case("Tensor.squeeze", lambda x: x.squeeze(1), "f:3,1,5")
case("Tensor.unsqueeze", lambda x: x.unsqueeze(1), "f:3,4")
case("Tensor.expand", lambda x: x.expand(2, -1, 4), "f:3,1")
case("Tensor.expand_as", lambda x, y: x.expand_as(y), "f:3,1", "f:2,3,4")
case("Tensor.view_as", lambda x, y: x.view_as(y), "f:3,4", "f:2,6")
case("Tensor.repeat", lambda x: x.repeat(2, 1, 3), "f:3,4")
case("Tensor.new_zeros", lambda x: x.new_zeros(2, 3), "h:4")
case("Tensor.new_ones", lambda x: x.new_ones((2, 3), dtype="int64"), "h:4")
case("Tensor.broadcast_to", lambda x: x.broadcast_to(2, 3, 4) * 2, "f:4")
case("Tensor.flip", lambda x: x.flip(0, 1), "f:3,4")
case("Tensor.split", lambda x: x.split(2, 1), "f:3,5")
case("Tensor.split sizes", lambda x: x.split([1, 4], -1)[1], "f:3,5")
case("Tensor.chunk", lambda x: x.chunk(2), "f:5,3")
case("Tensor.unbind", lambda x: x.unbind(1)[2], "f:3,4")
case("Tensor.__iter__", lambda x: list(x)[1], "f:3,4")
case("Tensor.__getitem__", lambda x: x[1:, ::-2, None], "f:3,4")
case("Tensor.__getitem__ int", lambda x: x[..., -1], "f:3,4,2")
case("Tensor.__getitem__ picks", lambda x, i: x[i], "f:3,4", "i:2,5")
case("Tensor.__getitem__ list", lambda x: x[[2, 0, 2, -1]], "f:3,4")
case("Tensor.__getitem__ nothing", lambda x: x[[]], "f:3,4")
case("Tensor.__getitem__ number", lambda x, i: x[:, i], "f:3,4", "i:", waits=True)
case("Tensor.__getitem__ mixed", lambda x, i: x[:, i, 1:], "f:2,3,4", "i:6")
case("Tensor.__getitem__ pairs", lambda x, i, j: x[i, :, j], "f:3,4,5", "i:6", "i:6")
case("Tensor.__getitem__ mask", lambda x, m: x[m], "f:3,4", "b:3,4", waits=True)
case("Tensor.gather", lambda x, i: x.gather(1, i), "f:3,4", "i:2,6")
case("Tensor.__len__", lambda x: x * len(x), "f:3,4")
case("Tensor.contiguous", lambda x: x.T.contiguous() + x.contiguous().T, "f:3,4")

# Formats, copies and moves
for _name in ("float", "double", "half", "int", "long", "bool"):
    case(f"Tensor.{_name}", lambda x, n=_name: getattr(x, n)(), "f:3,4")
case("Tensor.to", lambda x: x.to("float64"), "f:3,4")
case("Tensor.type", lambda x: x.type("float16"), "f:3,4")
case("Tensor.astype", lambda x: x.astype("float16"), "f:3,4")
case("Tensor.type_as", lambda x, y: x.type_as(y), "f:3,4", "h:2")
case("Tensor.clone", lambda x: x.clone(), "f:3,4")
case("Tensor.detach", lambda x: x.detach() * x, "f:3,4")
case("Tensor.data", lambda x: tcnn.tensor(x.data), "f:3,4")
case("Tensor.__deepcopy__", lambda x: __import__("copy").deepcopy(x), "f:3,4")

# Changes in place
for _name in ("iadd", "isub", "imul", "itruediv", "ipow"):

    def _in_place(x: Any, y: Any, name: str = _name) -> Any:
        leaf, result = x.detach().clone(), x * 1
        getattr(leaf, f"__{name}__")(2)
        getattr(leaf, f"__{name}__")(y.detach())
        return getattr(result, f"__{name}__")(y), leaf

    case(f"Tensor.__{_name}__", _in_place, "p:3,4", "p:4")
for _name in ("ifloordiv", "imod"):
    case(
        f"Tensor.__{_name}__", lambda x, y, n=_name: getattr(x.detach().clone(), f"__{n}__")(y.detach()), "p:3,4", "p:4"
    )
for _name in ("iand", "ior", "ixor"):
    case(f"Tensor.__{_name}__", lambda x, y, n=_name: getattr(x.clone(), f"__{n}__")(y), "b:3,4", "b:4")
for _name in ("add_", "sub_", "mul_", "div_"):
    case(f"Tensor.{_name}", lambda x, y, n=_name: getattr(x * 1, n)(y), "p:3,4", "p:4")
case("Tensor.add_ alpha", lambda x, y: x.detach().clone().add_(y.detach(), alpha=3), "f:3,4", "f:4")
case("Tensor.clamp_", lambda x: x.detach().clone().clamp_(-0.5, 0.5), "f:3,4")
case("Tensor.copy_", lambda x, y: x.detach().clone().copy_(y.detach()), "f:3,4", "f:4")
case("Tensor.copy_ host", lambda x: x.detach().clone().copy_(tcnn.arange(4)), "f:3,4")
case("Tensor.fill_", lambda x: x.detach().clone().fill_(7), "f:3,4")
case("Tensor.masked_fill_", lambda x, m: (x * 1).masked_fill_(m, 7), "f:3,4", "b:3,1")
case("Tensor.normal_", lambda x: x.detach().clone().normal_(1, 2, generator=Generator(1)), "h:3,4")
case("Tensor.uniform_", lambda x: x.detach().clone().uniform_(-1, 1, generator=Generator(1)), "f:3,4")
case("Tensor.zero_", lambda x: x.detach().clone().zero_(), "f:3,4")


def _setitem(x: Any, i: Any, m: Any) -> Any:
    y = x.detach().clone()
    y[1:, 2] = 5
    y[i] = x.detach()[0] * 2
    y[m] = -1
    y[:, 1] = [1.0, 2.0, 3.0]
    y[1:] = y[:-1]  # the same memory on both sides
    return y


case("Tensor.__setitem__", _setitem, "f:3,4", "i:1", "b:3,4")

# What must wait: a number for the host
case("Tensor.item", lambda x: x.sum().item(), "f:3,4", waits=True)
case("Tensor.tolist", lambda x: x.tolist(), "f:3,4", waits=True)
case("Tensor.numpy", lambda x: x.numpy(), "f:3,4", waits=True)
case("Tensor.__float__", lambda x: float(x.sum()), "f:3,4", waits=True)
case("Tensor.__int__", lambda x: int(x.sum()), "i:3,4", waits=True)
case("Tensor.__bool__", lambda x: bool(x.any()), "b:3,4", waits=True)
case("Tensor.__index__", lambda x: [5, 6, 7][x.max()], "i:3,4", waits=True)
case("Tensor.__contains__", lambda x: 1.0 in x, "e:3,4", waits=True)
case("Tensor.__format__", lambda x: f"{x.sum():.3f}", "f:3,4", waits=True)
case("Tensor.cpu", lambda x: x.cpu() * 2, "f:3,4", waits=True)

# Functions
case("F.linear", lambda x, w, b: F.linear(x, w, b), "f:2,3,4", "f:5,4", "f:5")
case("F.linear no bias", lambda x, w: F.linear(x, w), "f:3,4", "f:5,4")
for _label, _args, _w in (
    ("", {}, "f:4,3,2,3"),
    (" stride", {"stride": (2, 1), "padding": (1, 2)}, "f:4,3,3,2"),
    (" dilation", {"dilation": (1, 2), "padding": 2}, "f:4,3,2,3"),
    (" same", {"padding": "same"}, "f:4,3,2,3"),
):
    case(f"F.conv2d{_label}", lambda x, w, b, a=_args: F.conv2d(x, w, b, **a), "f:2,3,7,6", _w, "f:4")
case("F.conv2d groups", lambda x, w: F.conv2d(x, w, groups=2), "f:2,4,5,6", "f:6,2,3,2")
case("F.conv2d one image", lambda x, w, b: F.conv2d(x, w, b), "f:3,7,6", "f:4,3,2,3", "f:4")
case("F.conv2d half", lambda x, w, b: F.conv2d(x, w, b), "h:2,3,5,4", "h:4,3,2,3", "h:4")
case("F.conv1d", lambda x, w, b: F.conv1d(x, w, b, 2, 3, 2, 2), "f:2,4,9", "f:6,2,3", "f:6")
case("F.conv3d", lambda x, w, b: F.conv3d(x, w, b, (1, 2, 1), (0, 1, 2)), "f:2,3,4,5,3", "f:4,3,2,1,3", "f:4")
case("F.conv_transpose1d", lambda x, w, b: F.conv_transpose1d(x, w, b, 3, 1, 2, 2), "f:2,4,5", "f:4,3,3", "f:6")
case("F.conv_transpose2d", lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1), "f:2,4,3,5", "f:4,3,3,2", "f:3")
case("F.conv_transpose2d no bias", lambda x, w: F.conv_transpose2d(x, w, dilation=(2, 1)), "f:4,3,5", "f:4,3,3,2")
case("F.conv_transpose2d half", lambda x, w, b: F.conv_transpose2d(x, w, b, 2), "h:2,4,3,2", "h:4,3,2,3", "h:3")
case("F.conv_transpose3d", lambda x, w: F.conv_transpose3d(x, w, None, 2, 1), "f:2,3,4,2,3", "f:3,2,3,2,4")
for _mode, _shape in {"nearest": "2,3,5", "linear": "2,3,5", "bilinear": "2,3,4,5", "trilinear": "2,3,4,2,3"}.items():
    case(f"F.interpolate {_mode}", lambda x, m=_mode: F.interpolate(x, scale_factor=1.7, mode=m), f"f:{_shape}")
    case(f"F.interpolate {_mode} half", lambda x, m=_mode: F.interpolate(x, size=3, mode=m), f"h:{_shape}")
case("F.interpolate aligned", lambda x: F.interpolate(x, 7, mode="bilinear", align_corners=True), "f:2,3,4,5")
case("F.interpolate int", lambda x: F.interpolate(x, 7), "i:2,3,4,5")
for _mode in ("reflect", "replicate", "circular"):
    case(f"F.pad {_mode}", lambda x, m=_mode: F.pad(x, (2, 1, 0, 3), m), "f:2,3,4,5")
    case(f"F.pad {_mode} half", lambda x, m=_mode: F.pad(x, (3, -1), m), "h:3,5")
case("F.max_pool2d", lambda x: F.max_pool2d(x, 2), "f:2,3,6,7")
case("F.max_pool2d ties", lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), "e:2,3,6,7")
case("F.max_pool2d indices", lambda x: F.max_pool2d(x, (2, 3), 1, return_indices=True), "d:2,3,5,6")
case("F.max_pool2d dilation", lambda x: F.max_pool2d(x, 2, 1, 0, 2), "f:3,6,7")
case("F.avg_pool2d", lambda x: F.avg_pool2d(x, 2), "f:2,3,6,7")
case("F.avg_pool2d padding", lambda x: F.avg_pool2d(x, 3, 2, 1, True, False), "f:2,3,6,7")
case("F.avg_pool2d divisor", lambda x: F.avg_pool2d(x, 2, divisor_override=3), "f:2,3,5,7")
case("F.avg_pool2d half", lambda x: F.avg_pool2d(x, 3, 2, 1, True), "h:2,3,6,7")
case("F.max_pool1d", lambda x: F.max_pool1d(x, 3, 2, 1, return_indices=True), "e:2,3,8")
case("F.max_pool3d", lambda x: F.max_pool3d(x, 2, (1, 2, 2), 1, return_indices=True), "f:2,3,3,5,4")
case("F.max_pool3d half", lambda x: F.max_pool3d(x, 2, 1), "h:2,3,3,3,2")
case("F.avg_pool1d", lambda x: F.avg_pool1d(x, 3, 2, 1, True, False), "f:2,3,8")
case("F.avg_pool3d", lambda x: F.avg_pool3d(x, 2, (1, 2, 2), 1, True), "f:2,3,3,5,4")
for _p in (2, 1, 3, 1.5, 0.5, -2, float("inf"), float("-inf")):
    case(f"F.lp_pool2d {_p}", lambda x, p=_p: F.lp_pool2d(x, p, 2, ceil_mode=True), "p:2,3,5,6")
case("F.lp_pool2d", lambda x: F.lp_pool2d(x, 2, 3, 1), "e:2,3,5,6")
case("F.lp_pool2d half", lambda x: F.lp_pool2d(x, 2, 2), "h:2,3,4,6")
case("F.lp_pool1d", lambda x: F.lp_pool1d(x, 2, 3, 2), "f:3,8")
case("F.lp_pool3d", lambda x: F.lp_pool3d(x, 2, (1, 2, 2)), "f:2,3,3,5,4")
case("F.feature_lp_pool", lambda x: F.feature_lp_pool(x, 2, 3, 2), "f:2,7,3,2")
case("F.feature_lp_pool vectors", lambda x: F.feature_lp_pool(x, 2, 2, dim=-1), "f:3,6")
for _label, _size in {"": (2, 3), " uneven": (3, 4), " larger": (None, 9)}.items():
    case(f"F.adaptive_avg_pool2d{_label}", lambda x, n=_size: F.adaptive_avg_pool2d(x, n), "f:2,3,4,6")
    case(f"F.adaptive_max_pool2d{_label}", lambda x, n=_size: F.adaptive_max_pool2d(x, n, True), "d:2,3,4,6")
case("F.adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 3), "f:2,3,8")
case("F.adaptive_max_pool1d", lambda x: F.adaptive_max_pool1d(x, 3, True), "f:3,8")
case("F.adaptive_avg_pool3d", lambda x: F.adaptive_avg_pool3d(x, (2, 3, 1)), "f:2,3,4,5,2")
case("F.adaptive_max_pool3d", lambda x: F.adaptive_max_pool3d(x, (2, 3, 1), True), "d:2,3,4,5,2")
case("F.max_unpool1d", lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2), "d:2,3,6")
case("F.max_unpool2d", lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, 3, return_indices=True), 2, 3), "d:2,3,5,8")
case("F.max_unpool3d", lambda x: F.max_unpool3d(*F.max_pool3d(x, 2, return_indices=True), 2), "d:2,3,2,4,2")


def _batch_norm(x: Any, w: Any, b: Any) -> Any:
    mean, var = tcnn.zeros(3, device=x.device), tcnn.ones(3, device=x.device)
    return F.batch_norm(x, mean, var, w, b, training=True), mean, var


case("F.batch_norm", _batch_norm, "f:4,3,5,2", "f:3", "f:3")
case("F.batch_norm vectors", lambda x: F.batch_norm(x, training=True), "f:4,3")
case("F.batch_norm bias", lambda x, b: F.batch_norm(x, bias=b, training=True), "f:4,3", "f:3")
case("F.batch_norm eval", lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b), "f:4,3,2,2", "f:3", "p:3", "f:3", "f:3")
case("F.instance_norm", lambda x, w, b: F.instance_norm(x, weight=w, bias=b), "f:4,3,5,2", "f:3", "f:3")


def _instance_norm(x: Any) -> Any:
    mean, var = tcnn.zeros(3, device=x.device), tcnn.ones(3, device=x.device)
    return F.instance_norm(x, mean, var), mean, var


case("F.instance_norm running", _instance_norm, "f:4,3,5")
case("F.group_norm", lambda x, w, b: F.group_norm(x, 2, w, b), "f:4,6,5", "f:6", "f:6")
case("F.group_norm bias", lambda x, b: F.group_norm(x, 3, bias=b), "f:4,6,2,2", "f:6")
case("F.layer_norm", lambda x, w, b: F.layer_norm(x, (3, 5), w, b), "f:4,3,5", "f:3,5", "f:3,5")
case("F.layer_norm half", lambda x, w: F.layer_norm(x, 5, w), "h:4,3,5", "h:5")
case("F.local_response_norm", lambda x: F.local_response_norm(x, 5, 0.5, 0.6, 2.0), "f:2,7,3,4")
case("F.local_response_norm roots", lambda x: F.local_response_norm(x, 4, 0.5), "f:2,3,5")
case("F.local_response_norm half", lambda x: F.local_response_norm(x, 3, 0.5), "h:2,5,3,4")
case("F.dropout", lambda x: F.dropout(x, 0.3, generator=Generator(2**63)), "f:5,7")
case("F.dropout all", lambda x: F.dropout(x, 1.0), "f:5,7")
case("F.dropout1d", lambda x: F.dropout1d(x, 0.4, generator=Generator(7)), "f:5,7,3")
case("F.dropout1d one", lambda x: F.dropout1d(x, 0.4, generator=Generator(7)), "f:7,3")
case("F.dropout2d", lambda x: F.dropout2d(x, 0.4, generator=Generator(7)), "f:5,7,3,2")
case("F.dropout3d", lambda x: F.dropout3d(x, 1.0), "f:5,7,3,2,1")
case("F.flatten", lambda x: F.flatten(x, 1), "f:3,4,5")
case("F.pad", lambda x: F.pad(x, (1, 2, 0, 1), value=1.5), "f:2,3,4")
case("F.pad crop", lambda x: F.pad(x, (-1, 0, 2, -1)), "f:2,3,4")
case("F.one_hot", lambda x: F.one_hot(x, 4), "i:5,2")
case("F.one_hot count", lambda x: F.one_hot(x), "i:5,2", waits=True)
case("F.relu", lambda x: F.relu(x), "e:3,4")
case("F.leaky_relu", lambda x: F.leaky_relu(x, 0.1), "f:3,4")
case("F.prelu", lambda x, w: F.prelu(x, w), "f:3,4,2", "f:4")
case("F.prelu one", lambda x, w: F.prelu(x, w), "f:3,4", "f:1")
for _name in ("elu", "selu", "gelu", "silu", "hardtanh", "relu6", "logsigmoid"):
    case(f"F.{_name}", lambda x, n=_name: getattr(F, n)(x * 4), "f:3,4")
    case(f"F.{_name} half", lambda x, n=_name: getattr(F, n)(x), "h:3,4")
case("F.gelu tanh", lambda x: F.gelu(x, "tanh"), "f:3,4")
case("F.sigmoid", lambda x: F.sigmoid(x), "f:3,4")
case("F.tanh", lambda x: F.tanh(x), "f:3,4")
case("F.softplus", lambda x: F.softplus(x), "f:3,4")
case("F.softplus beta", lambda x: F.softplus(x, 2, 0.5), "f:3,4")
case("F.softmax", lambda x: F.softmax(x, 0), "f:3,4")
case("F.log_softmax", lambda x: F.log_softmax(x, 1), "f:3,4")
case("F.cross_entropy", lambda x, t: F.cross_entropy(x, t), "f:5,3", "i:5")
case("F.cross_entropy one", lambda x, t: F.cross_entropy(x, t), "f:3", "i:")
case(
    "F.cross_entropy weight",
    lambda x, t, w: F.cross_entropy(x, t, w.detach(), ignore_index=1, label_smoothing=0.1),
    "f:5,3",
    "i:5",
    "p:3",
)
case("F.cross_entropy images", lambda x, t: F.cross_entropy(x, t, reduction="none"), "f:2,3,4,5", "i:2,4,5")
case("F.cross_entropy probabilities", lambda x, t: F.cross_entropy(x, t.softmax(1)), "f:5,3", "f:5,3")
case("F.nll_loss", lambda x, t: F.nll_loss(x.log_softmax(1), t, ignore_index=2), "f:5,3", "i:5")
case("F.nll_loss sum", lambda x, t, w: F.nll_loss(x, t, w.detach(), reduction="sum"), "f:5,3", "i:5", "p:3")
case("F.cross_entropy ignored", lambda x, t: F.cross_entropy(x, t * 0, ignore_index=0), "f:5,3", "i:5")
case("F.mse_loss", lambda x, y: F.mse_loss(x, y), "f:3,4", "f:3,4")
case(
    "F.binary_cross_entropy_with_logits",
    lambda x, t: F.binary_cross_entropy_with_logits(x, t.sigmoid()),
    "f:3,4",
    "f:3,4",
)
case(
    "F.binary_cross_entropy_with_logits weights",
    lambda x, t, w, p: F.binary_cross_entropy_with_logits(x, t.sigmoid(), w, "sum", p),
    "f:3,4",
    "f:3,4",
    "p:3,1",
    "p:4",
)
case("F.cat", lambda x, y: F.cat([x, y], 1), "f:3,4", "f:3,2")
case("F.cat formats", lambda x, y: F.cat([x, y]), "f:3,4", "i:2,4")
case("F.stack", lambda x, y: F.stack([x, y], -1), "f:3,4", "f:3,4")
case("F.where", lambda c, x, y: F.where(c, x, y), "b:3,1", "f:3,4", "f:4")
case("F.where numbers", lambda c, x: F.where(c, 1.0, x), "b:3,1", "f:3,4")
case("F.maximum", lambda x, y: F.maximum(x, y), "e:3,4", "e:3,4")
case("F.minimum", lambda x, y: F.minimum(x, y), "e:3,4", "e:3,4")
case("F.matmul", lambda x, y: F.matmul(x, y), "f:3,4", "f:4,2")
case("F.sort", lambda x: F.sort(x), "d:3,4")
case("F.topk", lambda x: F.topk(x, 2), "d:3,4")


# Rows of operations, as `nn.Sequential` applies them
def row(*kinds: tuple[type[Function], tuple[Any, ...]]) -> Callable[..., Any]:
    return lambda *tensors: tcnn.apply(Row(kinds), *tensors)


_relu, _pool = (ops.ReLU, ()), (ops.MaxPool, (Window((3, 3), (2, 2), (1, 1)),))
case("Row linear", row((ops.Linear, ()), _relu), "f:4,5", "f:3,5", "f:3")
case("Row conv", row((ops.Conv2d, (2, 1)), _relu), "f:2,3,6,5", "f:4,3,3,2")
case("Row pool", row((ops.Conv2d, (1, 0, 1, 2)), _relu, _pool), "f:2,4,7,8", "f:6,2,3,2", "f:6")

# New tensors
for _name, _call in {
    "full": lambda device: creation.full((2, 3), 7, device=device),
    "zeros": lambda device: creation.zeros(2, 3, device=device),
    "ones": lambda device: creation.ones(2, 3, device=device),
    "empty": lambda device: creation.empty(2, 3, device=device),
    "arange": lambda device: creation.arange(1, 7, 2, device=device),
    "linspace": lambda device: creation.linspace(0, 1, 5, device=device),
    "eye": lambda device: creation.eye(2, 3, device=device),
    "randn": lambda device: creation.randn(2, 3, generator=Generator(1), device=device),
    "rand": lambda device: creation.rand(2, 3, generator=Generator(1), device=device),
    "randint": lambda device: creation.randint(0, 9, (2, 3), generator=Generator(1), device=device),
    "randperm": lambda device: creation.randperm(5, generator=Generator(1), device=device),
}.items():
    case(f"creation.{_name}", lambda x, c=_call: c(x.device), "f:1")
case("creation.full_like", lambda x: creation.full_like(x, 3), "f:3,4")
case("creation.zeros_like", lambda x: creation.zeros_like(x), "f:3,4")
case("creation.ones_like", lambda x: creation.ones_like(x), "f:3,4")
case("creation.randn_like", lambda x: creation.randn_like(x, generator=Generator(1)), "f:3,4")
case("creation.rand_like", lambda x: creation.rand_like(x, generator=Generator(1)), "f:3,4")


@dataclass
class Outcome:
    results: list[Any]
    gradients: list[Any]
    waits: list[str]


def outcome(case: Case, device: str) -> Outcome:
    """The results of a case and all gradients, from a random gradient of the first result."""
    inputs = [tcnn.Tensor(a, device=device, requires_grad=a.dtype.kind == "f") for a in case.arrays()]
    with standin.counting():
        results = case.function(*inputs)
        results = list(results) if isinstance(results, (tuple, list)) else [results]
        first = results[0]
        if isinstance(first, tcnn.Tensor) and first.grad_fn is not None:
            cotangent = np.random.default_rng(0).normal(size=first.shape)
            first.backward(tcnn.Tensor(cotangent, device=first.device, dtype=first.dtype))
        waits = list(standin.waits)
    for tensor in (*inputs, *results):
        if isinstance(tensor, tcnn.Tensor) and case.name != "Tensor.cpu":
            assert tensor.device == (tcnn.backends.get(device).name), "the result is elsewhere"
            assert tensor.grad is None or backends.backend_of(tensor.grad).name == tensor.device
    return Outcome(
        [r.numpy() if isinstance(r, tcnn.Tensor) else r for r in results],
        [None if t.grad is None else backends.to_numpy(t.grad) for t in inputs],
        waits,
    )


def _same(a: Any, b: Any, exact: bool) -> None:
    assert type(a) is type(b)
    if not isinstance(a, np.ndarray):
        assert a == b
        return
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    if exact:
        np.testing.assert_array_equal(a, b)
    else:
        rough = 2e-3 if a.dtype == np.float16 else 2e-6
        np.testing.assert_allclose(a, b, rtol=rough, atol=rough)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_as_on_the_cpu(name, monkeypatch):
    """The stand-in gives the bits of the reference kernels on the CPU, and the numbers of the fast ones."""
    case = CASES[name]
    there = outcome(case, DEVICE)
    fast = outcome(case, "cpu")
    monkeypatch.setattr(backends.CPU, "kernel_sets", ("reference",), raising=False)
    textbook = outcome(case, "cpu")
    for here, exact in ((textbook, True), (fast, False)):
        for a, b in zip((*there.results, *there.gradients), (*here.results, *here.gradients), strict=True):
            _same(a, b, exact)
    if case.waits:
        assert there.waits
    else:
        assert there.waits == []


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_as_on_the_cpu_on_a_gpu():
    """The same table on a real GPU."""
    wrong = []
    for case in CASES.values():
        try:
            here, there = outcome(case, "cpu"), outcome(case, "cuda:0")
            for a, b in zip((*there.results, *there.gradients), (*here.results, *here.gradients), strict=True):
                _same(a, b, exact=False)
        except Exception as error:
            wrong.append(f"{case.name}: {error}")
    assert wrong == []


def _public(place: Any) -> list[str]:
    """What a class or module defines itself."""
    return [
        name
        for name, value in vars(place).items()
        if (inspect.isclass(place) or getattr(value, "__module__", None) == place.__name__)
        and (not name.startswith("_") or (name.startswith("__") and name.endswith("__")))
    ]


# what does not compute
NOT_COMPUTING = {
    "__module__", "__doc__", "__slots__", "__weakref__", "__array_ufunc__", "__annotations__", "__init__", "__hash__",
    "__array__", "__repr__", "__qualname__", "__firstlineno__", "__static_attributes__", "__slotnames__",
    "shape", "ndim", "dtype", "backend", "device", "size", "numel", "dim", "node", "grad_fn", "is_leaf", "grad",
    "requires_grad", "requires_grad_", "retain_grad", "register_hook", "zero_grad", "backward", "writing", "cuda",
    "nelement", "is_floating_point",
}  # fmt: skip


def test_every_method_and_function_has_a_case():
    tried = {name.partition(" ")[0] for name in CASES}
    wanted = {
        f"Tensor.{name}"
        for kind in autograd.Tensor.__mro__
        if kind is not object
        for name in _public(kind)
        if name not in NOT_COMPUTING
    }
    wanted |= {f"F.{name}" for name in F.__all__}
    wanted |= {"Row"} | {f"creation.{name}" for name in _public(creation)}
    assert wanted == tried


def _kinds(base: type) -> Iterator[type]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith("tinygrad_cnn."):
            yield kind
            yield from _kinds(kind)


def test_every_operation_is_applied_in_a_case(monkeypatch):
    """Found among the classes, so that a new operation without a case is noticed."""
    unfinished = (Function.forward, ops.Normalise, ops.Conv, ops.ConvTranspose)  # their subclasses are the operations
    operations = [kind for kind in _kinds(Function) if kind.forward not in unfinished and kind not in unfinished]
    assert len(operations) > 50
    done: dict[str, set[type]] = {"forward": set(), "backward": set()}

    def recording(kind: type, way: str) -> Any:
        original = getattr(kind, way)

        @functools.wraps(original)
        def wrapper(self: Any, *args: Any) -> Any:
            done[way].add(type(self))
            return original(self, *args)

        return wrapper

    for kind in _kinds(Function):
        for way in ("forward", "backward"):
            if way in vars(kind):
                monkeypatch.setattr(kind, way, recording(kind, way))
    with np.errstate(all="ignore"):
        for case in CASES.values():
            outcome(case, DEVICE)
    assert {k.__name__ for k in operations} == {k.__name__ for k in done["forward"]}
    assert {k.__name__ for k in operations if k.differentiable} == {k.__name__ for k in done["backward"]}


def test_it_refuses_what_cupy_refuses():
    xp = standin.xp
    x = xp.zeros((2, 3), dtype=np.float32)
    host = np.zeros((2, 3), np.float32)
    assert not isinstance(x, np.ndarray)
    for refused in (
        lambda: np.asarray(x),
        lambda: x + host,
        lambda: host + x,
        lambda: x * [1, 2, 3],
        lambda: np.exp(x, out=host),
        lambda: np.concatenate([x, x]),
        lambda: xp.exp([1.0]),
        lambda: xp.exp(host),
        lambda: xp.maximum(x, host),
        lambda: xp.stack([x, host]),
        lambda: x[np.array([0, 1])],
        lambda: x[[0, 1]],
        lambda: hash(x),
        lambda: xp.add.at(xp.zeros(3, dtype=np.int64), xp.zeros(1, dtype=np.int64), 1),
        lambda: x.__iadd__(host),
    ):
        with pytest.raises(TypeError):
            refused()
    with pytest.raises(ValueError, match="cannot be used for fill"):
        x[...] = host
    for absent in (lambda: xp.ascontiguousarray, lambda: x.ctypes, lambda: x.flags.writeable):
        with pytest.raises(AttributeError):
            absent()
    with pytest.raises(ValueError, match="rank of zero"):
        xp.argsort(xp.ones(()))


def test_it_computes_as_cupy_computes():
    xp = standin.xp
    x = xp.arange(6, dtype=np.float32).reshape(2, 3)
    assert (x * 2.5).dtype == np.float32  # Python numbers widen nothing
    assert (x * np.float64(2.5)).dtype == np.float64  # NumPy's do
    assert (np.float64(2.5) * x).dtype == np.float64
    assert isinstance(x.sum(), standin.Array)
    assert x.sum().shape == ()
    assert x.reshape(3, 2).base is not None
    assert backends.owner(x.T[1:]) is backends.owner(x)
    assert x.copy().base is None
    assert xp.arange(3)[xp.asarray(np.array([4, -1]))].tolist() == [1, 2]  # out of range wraps around
    x[:] = 1  # nothing is read-only
    with standin.counting() as waits:
        y = x.sum() > 3
        assert waits == []
        for look in (bool, float, int, repr, lambda v: v.get(), lambda v: v.item(), lambda v: v.tolist()):
            before = len(waits)
            look(y)
            assert len(waits) == before + 1
        y = x[x > 0]
        y = x.nonzero()
        assert len(waits) == 9
        x[x > 0] = 2  # a number can be written without counting how often
        assert len(waits) == 9
    assert all("test_standin.py:" in place for place in waits), waits


def test_it_notices_the_wrong_device():
    xp = standin.xp
    with standin.using(1):
        x = xp.ones(3)
    for wrong in (lambda: x + x, lambda: x.sum(), lambda: xp.exp(x), lambda: x.__setitem__(0, 1)):
        with pytest.raises(RuntimeError, match="activate"):
            wrong()
    assert x.reshape(3, 1).device.id == 1  # a view is where it was
    assert x.copy().device.id == 0  # as in CuPy: a copy is made on the current device


def test_moving_there_and_back_takes_the_gradient_along():
    x = tcnn.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    there = x.to("standin")
    assert there.device == "standin:0"
    assert not there.is_leaf
    y = (there * there).to(DEVICE).to("cpu")
    assert y.device == "cpu"
    y.backward(np.ones((2, 3)))
    assert isinstance(x.grad, np.ndarray)
    np.testing.assert_array_equal(x.grad, 2 * np.arange(6.0).reshape(2, 3))


def test_moving_nowhere_is_the_tensor_itself():
    x = tcnn.tensor([1.0], device="standin:0")
    assert x.to("standin") is x
    assert x.to(x.backend) is x
    assert x.cpu().device == "cpu"


def test_a_copy_from_another_device():
    x, y = tcnn.zeros(2, 3), tcnn.tensor([1.0, 2.0, 3.0], device=DEVICE)
    assert x.copy_(y).tolist() == [[1, 2, 3], [1, 2, 3]]
    assert y.clone().copy_(tcnn.ones(3)).tolist() == [1, 1, 1]
    assert tcnn.tensor(y, device="cpu").device == "cpu"
    assert tcnn.tensor(y).device == DEVICE


def test_the_default_device(monkeypatch):
    before = tcnn.get_default_device()
    tcnn.set_default_device("standin")
    try:
        assert tcnn.tensor([1.0]).device == "standin:0"
        assert tcnn.zeros(2).device == "standin:0"
        assert tcnn.randn(2).device == "standin:0"
        assert (tcnn.arange(3) + [1, 2, 3]).tolist() == [1, 3, 5]
        assert tcnn.tensor(np.ones(3)).device == "standin:0"
        x = tcnn.tensor([1.0, 2.0], requires_grad=True)
        (x * x).sum().backward()
        assert isinstance(x.grad, standin.Array)
    finally:
        tcnn.set_default_device(before)


def test_mixed_devices_name_both_tensors():
    x, w = tcnn.ones(2, 3), tcnn.ones(4, 3, device=DEVICE)
    with pytest.raises(tcnn.DeviceError, match=r"linear: x is on cpu, weight on standin:1.*\.to\(device\)"):
        F.linear(x, w)
    with pytest.raises(tcnn.DeviceError, match="add: x is on standin:1, y on cpu"):
        w + x
    with pytest.raises(tcnn.DeviceError, match=r"cat: xs\[0\] is on cpu, xs\[1\] on standin:1"):
        tcnn.cat([x, w])
    with pytest.raises(tcnn.DeviceError, match=r"t\[i\] = v"):
        x[0] = w[0]
    with pytest.raises(tcnn.DeviceError, match="copy it to the host"):
        np.asarray(w)


def test_showing_a_tensor_says_where_it_is():
    assert repr(tcnn.tensor([1.0, 2.0], device=DEVICE)) == "tensor([1., 2.], device='standin:1')"


def test_a_class_that_does_not_exist_gives_nan():
    """Looking at the labels would wait; the CPU refuses them with their place."""
    scores, target = np.zeros((3, 2), np.float32), np.array([0, 2, 1])
    with pytest.raises(IndexError, match="target 2 at position"):
        F.cross_entropy(tcnn.tensor(scores), tcnn.tensor(target))
    with standin.counting() as waits:
        losses = F.cross_entropy(
            tcnn.tensor(scores, device=DEVICE), tcnn.tensor(target, device=DEVICE), reduction="none"
        )
    assert waits == []
    assert np.isnan(losses.numpy()).tolist() == [False, True, False]


def test_hooks_retained_gradients_and_grad():
    seen = []
    x = tcnn.tensor(np.arange(3.0), device=DEVICE, requires_grad=True)
    y = x * x
    y.retain_grad()
    y.register_hook(lambda dy: seen.append(dy) or dy * 2)
    (y.sum() + x.sum()).backward()
    assert isinstance(seen[0], standin.Array)
    assert backends.to_numpy(y.grad).tolist() == [2, 2, 2]
    assert backends.to_numpy(x.grad).tolist() == [1, 5, 9]
    ((x * 2).sum()).backward()
    assert backends.to_numpy(x.grad).tolist() == [3, 7, 11]
    (dx,) = tcnn.grad((x**3).sum(), x)
    assert dx.device == DEVICE
    assert dx.tolist() == [0, 3, 12]


def test_kernels_use_takes_the_place_on_every_device():
    with kernels.use(relu_forward=lambda x: (x * 0 + 5, x > 0)):
        assert tcnn.tensor([1.0], device=DEVICE).relu().tolist() == [5.0]


def test_gradients_from_another_device_add_up_at_home():
    x = tcnn.tensor(np.arange(3.0), device=DEVICE, requires_grad=True)
    z = sum(x.to("standin:0") * factor for factor in (2, 3, 4))
    (z * z).sum().backward()
    assert x.grad.device.id == 1
    assert backends.to_numpy(x.grad).tolist() == [0, 162, 324]
