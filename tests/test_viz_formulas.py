"""The local formulas: each is computed, as NumPy, and compared with what the operation itself computes.

`seen` shows an array as the formulas speak of it (a convolution's weight as a matrix, a mean with its dimensions of
size 1), `helpers` gives the functions that NumPy has not.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import backends, kernels, ops
from tinygrad_cnn.function import Function
from tinygrad_cnn.kernels.reference.norm import channel_sums
from tinygrad_cnn.kernels.reference.padding import pad
from tinygrad_cnn.kernels.reference.pool import covering, spread
from tinygrad_cnn.shapes import Window
from tinygrad_cnn.viz.formulas import FORMULAS, equations, formula
from tinygrad_cnn.viz.notation import fill_in, pretty
from tinygrad_cnn.viz.reading import Reading

ABSTRACT = (ops.Broadcast, ops.Selection, ops.Conv, ops.ConvTranspose, ops.Normalise)
OPERATIONS = [
    kind
    for kind in vars(ops).values()
    if inspect.isclass(kind) and issubclass(kind, Function) and kind.backward is not Function.backward
    if kind.differentiable and kind not in ABSTRACT
]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def positive(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(0.3, 2.0, size=shape)


def whole(high, *shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(0, high, shape)


def halves(*shape, seed=0):
    """Among them many equals."""
    return whole(4, *shape, seed=seed) / 2


X, Y, ROW = normal(2, 3), normal(2, 3, seed=1), normal(3)
IMAGES = normal(2, 4, 6, 5)
WIDE = Window((3, 2), (2, 1), (1, 0))
HANGING = Window((3, 2), (2, 2), ceil_mode=True)
HOME = backends.get("cpu")
CHANNELS = [normal(2, 4, 3, 2), normal(4), normal(4, seed=1)]

# class → cases: a fresh operation, and its inputs
CASES = {
    ops.Add: [(ops.Add, X, Y), (ops.Add, X, ROW), (ops.Add, normal(2, 1), ROW), (ops.Add, X, 0.5)],
    ops.Sub: [(ops.Sub, X, Y), (ops.Sub, ROW, X), (ops.Sub, normal(2, 1), ROW)],
    ops.Mul: [(ops.Mul, X, Y), (ops.Mul, normal(2, 1), ROW)],
    ops.Div: [(ops.Div, X, positive(2, 3)), (ops.Div, X, positive(3))],
    ops.Pow: [(ops.Pow, positive(2, 3), Y), (ops.Pow, positive(2, 3), ROW)],
    ops.PowNumber: [(lambda n=n: ops.PowNumber(n), positive(2, 3)) for n in (3, 2, 1, 0, 0.5, -1, -2.5)],
    ops.Remainder: [(ops.Remainder, 3 * X, positive(3))],
    ops.Maximum: [(ops.Maximum, halves(4, 3), halves(4, 3, seed=1)), (ops.Maximum, X, ROW)],
    ops.Minimum: [(ops.Minimum, halves(4, 3), halves(4, 3, seed=1)), (ops.Minimum, ROW, X)],
    ops.Where: [(ops.Where, X > 0, Y, ROW), (ops.Where, X > 0, ROW, Y)],
    ops.Clamp: [
        (lambda a=a: ops.Clamp(*a), normal(4, 3)) for a in [(-0.4, 0.6), (None, 0.1), (0.1, None), (0.5, -0.5)]
    ],
    ops.Hardtanh: [(lambda: ops.Hardtanh(-0.5, 1.0), halves(4, 3) - 1)],
    ops.Cast: [(lambda: ops.Cast(np.dtype("float32")), X)],
    ops.Transfer: [(lambda: ops.Transfer(HOME, HOME), X)],
    ops.Flat: [(lambda n=n: ops.Flat(n, getattr(np, n)), 3 * X) for n in ("floor", "ceil", "round", "sign")],
    ops.Log: [(ops.Log, positive(2, 3))],
    ops.Sqrt: [(ops.Sqrt, positive(2, 3))],
    ops.LeakyReLU: [(lambda: ops.LeakyReLU(0.2), X)],
    ops.PReLU: [(ops.PReLU, X, ROW), (ops.PReLU, X, Y)],
    ops.ELU: [(ops.ELU, X), (lambda: ops.ELU(1.7, 1.1), X)],
    ops.GELU: [(ops.GELU, X), (lambda: ops.GELU("tanh"), X)],
    ops.Softplus: [(ops.Softplus, X), (lambda: ops.Softplus(2.0, 0.5), X)],
    **{
        kind: [
            (lambda kind=kind, a=a: kind(*a), x)
            for x in (normal(2, 3, 4), halves(2, 3, 4, seed=4))
            for a in [((1,),), ((0, 2), True), ((0, 1, 2),)]
        ]
        for kind in (ops.Sum, ops.Mean, ops.Var, ops.Std, ops.Amax, ops.Amin, ops.LogSumExp)
    },
    ops.Prod: [(lambda: ops.Prod((2,)), halves(2, 3, 4)), (lambda: ops.Prod((2,), True), normal(2, 3, 4))],
    ops.Extremum: [
        (lambda a=a: ops.Extremum(*a), halves(2, 3, 4)) for a in [(1,), (0, True), (2, False, False), (1, True, False)]
    ],
    ops.Softmax: [(lambda: ops.Softmax(1), normal(2, 3, 4))],
    ops.LogSoftmax: [(lambda: ops.LogSoftmax(0), normal(2, 3, 4))],
    ops.Reshape: [(lambda: ops.Reshape((3, 4)), normal(2, 6))],
    ops.Permute: [(lambda: ops.Permute((2, 0, 1)), normal(2, 3, 4))],
    ops.Expand: [(lambda: ops.Expand((4, 2, 3)), normal(2, 1))],
    ops.Flip: [(lambda: ops.Flip((0, 2)), normal(2, 3, 4))],
    ops.Pad: [
        (lambda a=a: ops.Pad(((1, 2), (0, 1)), *a), normal(2, 4, 3))
        for a in [(), (3.5,), (0.0, "reflect"), (0.0, "replicate"), (0.0, "circular")]
    ],
    ops.Cat: [(lambda: ops.Cat(1), X, normal(2, 1), normal(2, 4))],
    ops.Stack: [(lambda: ops.Stack(1), X, Y)],
    ops.Index: [
        (lambda i=i: ops.Index(i), normal(3, 4))
        for i in [(1,), (slice(None, None, 2), -1), (np.array([2, 0, 2]),), (np.array([0, 0]), np.array([3, 3]))]
    ],
    ops.Gather: [(lambda: ops.Gather(1), X, whole(3, 2, 5))],
    ops.Sort: [(lambda a=a: ops.Sort(*a), halves(2, 5)) for a in [(1,), (0,), (1, True)]],
    ops.Linear: [
        (ops.Linear, X, normal(4, 3), normal(4)),
        (ops.Linear, normal(2, 5, 3), normal(4, 3)),
        (ops.Linear, ROW, normal(4, 3)),
    ],
    ops.MatMul: [
        (ops.MatMul, x, y)
        for x, y in [
            (X, normal(3, 4)), (ROW, Y[0]), (X, ROW), (ROW, normal(3, 2)), (ROW, normal(2, 3, 4)),
            (normal(2, 1, 2, 3), normal(4, 3, 2)), (normal(2, 2, 3), ROW), (normal(2, 4, 3), normal(3, 2)),
        ]
    ],
    ops.Conv1d: [(lambda: ops.Conv1d(2, 1), normal(2, 3, 7), normal(4, 3, 3), normal(4))],
    ops.Conv2d: [
        (lambda: ops.Conv2d((2, 1), (1, 2)), IMAGES, normal(3, 4, 3, 2), normal(3)),
        (lambda: ops.Conv2d(1, 1, (1, 2), 2), IMAGES, normal(6, 2, 3, 2)),
    ],
    ops.Conv3d: [(lambda: ops.Conv3d(1, (0, 1, 0)), normal(2, 2, 3, 4, 3), normal(3, 2, 2, 3, 2), normal(3))],
    ops.ConvTranspose1d: [(lambda: ops.ConvTranspose1d(2, 1), normal(2, 3, 7), normal(3, 4, 3), normal(4))],
    ops.ConvTranspose2d: [
        (lambda: ops.ConvTranspose2d((2, 1), 1, (1, 0)), IMAGES, normal(4, 3, 3, 4), normal(3)),
        (lambda: ops.ConvTranspose2d(2, 0, 0, 2), IMAGES, normal(4, 3, 3, 2)),
    ],
    ops.ConvTranspose3d: [(ops.ConvTranspose3d, normal(2, 2, 3, 2, 3), normal(2, 3, 2, 1, 2), normal(3))],
    ops.MaxPool: [
        (lambda w=w: ops.MaxPool(w), x)
        for w, x in [(WIDE, IMAGES), (HANGING, halves(2, 3, 6, 5)), (Window((2,), 1), normal(2, 3, 7))]
    ],
    ops.AvgPool: [
        (lambda a=a: ops.AvgPool(*a), IMAGES) for a in [(WIDE,), (WIDE, False), (HANGING,), (WIDE, True, 7)]
    ],
    ops.LpPool: [
        (lambda: ops.LpPool(Window((3, 2), 2), 2), IMAGES),
        (lambda: ops.LpPool(HANGING, 3.5), positive(2, 3, 6, 5)),
    ],
    ops.FeatureLpPool: [(lambda: ops.FeatureLpPool(3, 2, 1, 1), positive(2, 5, 3, 2))],
    ops.MaxUnpool: [
        (lambda: ops.MaxUnpool((3, 4)), normal(1, 2, 2, 2), np.array([[[[0, 3], [7, 11]], [[5, 1], [4, 9]]]]))
    ],
    ops.Interpolate: [
        (lambda a=a: ops.Interpolate((5, 7), (None, None), *a), normal(2, 3, 4, 3)) for a in [(), (True,), (True, True)]
    ],
    ops.BatchNorm: [(ops.BatchNorm, *CHANNELS), (lambda: ops.BatchNorm(0.1), CHANNELS[0])],
    ops.InstanceNorm: [(ops.InstanceNorm, *CHANNELS)],
    ops.GroupNorm: [(lambda: ops.GroupNorm(groups=2), *CHANNELS)],
    ops.LayerNorm: [(lambda: ops.LayerNorm(normalized_shape=(3, 2)), CHANNELS[0], normal(3, 2), normal(3, 2, seed=1))],
    ops.LocalResponseNorm: [
        (lambda n=n: ops.LocalResponseNorm(n, 0.3, 0.75, 2.0), normal(2, 7, 3)) for n in (5, 4)
    ],
    ops.Dropout: [(lambda p=p: ops.Dropout(p, 7, 3), normal(5, 4)) for p in (0.4, 0.0, 1.0)],
    **{
        kind: [
            (kind, normal(5, 3), whole(3, 5)),
            (kind, normal(2, 3, 4), np.array([[0, 1, -100, 2], [1, 1, 2, -100]])),
            (lambda kind=kind: kind(1, 0.1), normal(5, 3), np.arange(5) % 3, positive(3)),
        ]
        for kind in (ops.CrossEntropy, ops.NLLLoss)
    },
}  # fmt: skip


def cases():
    for kind in OPERATIONS:
        for number, (make, *inputs) in enumerate(CASES.get(kind, [(kind, X)])):
            yield pytest.param(make, inputs, id=f"{kind.__name__} {number}")


def computed(make, inputs):
    """The operation as a node, its result and its gradients."""
    operation = make()
    tensors = [tcnn.Tensor(a, requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in inputs]
    y = tcnn.apply(operation, *tensors)
    y = y[0] if isinstance(y, tuple) else y
    dy = normal(*y.shape, seed=9)
    y.backward(dy)
    return operation, y.numpy(), dy, [getattr(t, "grad", None) for t in tensors]


@pytest.mark.parametrize(("make", "inputs"), list(cases()))
def test_equations_compute_what_the_operation_does(make, inputs):
    operation, y, dy, gradients = computed(make, inputs)
    known = equations(operation)
    result = next(iter(known))
    names = [operation.input_name(i) for i in range(len(inputs))]
    real = dict(zip(names, inputs)) | {result: y}
    real_gradients = {f"d{name}": g for name, g in zip(names, gradients) if g is not None}
    assert set(real_gradients) <= set(known)
    groups = operation.groups if isinstance(operation, (ops.Conv, ops.ConvTranspose)) else 1
    for group in range(groups):  # each is a convolution of its own

        def part(name, a, group=group):
            if groups > 1 and isinstance(a, np.ndarray):
                axis = 0 if name in ("weight", "bias") else 1
                a = np.split(a, groups, axis)[group]
            return seen(operation, name, a) if a is not None else None

        values = {name: part(name, a) for name, a in real.items()}
        values[f"d{result}"] = part(result, dy)
        env = np.__dict__ | helpers(operation, {name: part(name, a) for name, a in real.items()})
        env |= dict(vars(operation)) | {"xs": inputs} | values
        ignored = values["target"] == operation.ignore_index if "target" in values else False
        for name in [n for n in reversed(known) if n not in real and n not in real_gradients]:
            env[name] = eval(known[name], env)
        for name, expected in ({result: y} | real_gradients).items():
            base = name if name == result else name[1:]
            with np.errstate(divide="ignore", invalid="ignore"):  # dropout of everything
                got = eval(known[name], env)
            if name == "dscores":  # said in words
                got = np.where(ignored, 0, got)
            assert_same(got, part(base, expected), operation, f"{name} = {known[name]}")
            if name != result:
                summed = np.size(got) > part(base, expected).size
                assert ("summed over broadcast axes" in formula(operation).backward[base]) == summed


def assert_same(got, expected, operation, message):
    got = np.asarray(got, dtype=float)
    if got.size > expected.size:
        got = kernels.unbroadcast(got, expected.shape)
    elif got.size < expected.size:  # a sum's gradient: everybody gets it
        got = np.broadcast_to(got, expected.shape)
    tolerance = 1e-6 if isinstance(operation, ops.Cast) else 1e-11
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=tolerance, atol=tolerance, err_msg=message)


def windows(x, window, outside=0.0):
    """What each window sees, (RS, N, C, P, Q)."""
    padded = pad(x, covering(window, x.shape[2:]), outside)
    return np.stack([padded[..., *pixels] for _, pixels in window.taps(*window.outs(x.shape[2:]))])


def as_matrix(images):
    """(N, C, H, W) -> (C, NHW)."""
    return np.moveaxis(images, 1, 0).reshape(images.shape[1], -1)


@singledispatch
def seen(operation, name, a):
    """An array as the formulas speak of it."""
    return a


@singledispatch
def helpers(operation, values):
    """What the formulas call and NumPy has not."""
    return {
        "σ": lambda x: 1 / (1 + np.exp(-x)),
        "clamp": np.clip,
        "reshape": np.reshape,
        "permute": np.transpose,
        "inverse": np.argsort,
        "expand": np.broadcast_to,
    }


def over(axes, *names):
    """`sum`, `mean`, … over axes, which stay."""
    return {name: functools.partial(getattr(np, name), axis=axes, keepdims=True) for name in names}


@helpers.register
def _(operation: ops.GELU, values):
    if operation.approximate == "tanh":

        def share(x):
            return (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2

        return {"Φ": share, "φ": lambda x: share(x + 1e-30j).imag / 1e-30}
    erf = np.vectorize(math.erf)
    return {
        "Φ": lambda x: (1 + erf(x / math.sqrt(2))) / 2,
        "φ": lambda x: np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
    }


@seen.register
def _(operation: ops.Reduction, name, a):
    return operation.kept(a) if name == "y" else a


@helpers.register
def _(operation: ops.Reduction, values):
    return over(operation.dims, "sum", "mean", "amax", "amin")


@helpers.register
def _(operation: ops.Prod, values):
    def others(x):  # along the last axis
        return np.where(np.eye(x.shape[-1], dtype=bool), 1, x[..., None, :])

    return {"others": others, "prod": lambda a: a.prod(axis=-1, keepdims=a.ndim == 3)}


@seen.register
def _(operation: ops.Extremum, name, a):
    return a if name != "y" or operation.keepdim else np.expand_dims(a, operation.dim)


@helpers.register
def _(operation: ops.Extremum, values):
    index = np.indices(values["x"].shape)[operation.dim]
    return over(operation.dim, "max", "min", "argmax", "argmin") | {"i": index}


@helpers.register(ops.Softmax)
@helpers.register(ops.LogSoftmax)
def _(operation, values):
    return over(operation.dim, "sum")


@helpers.register
def _(operation: ops.Flip, values):
    return {"flip": lambda a: np.flip(a, operation.dims)}


@helpers.register
def _(operation: ops.Pad, values):
    mode = {"replicate": "edge", "circular": "wrap"}.get(operation.mode, operation.mode)
    x = values["x"]

    def padded(x, value):
        more = {"constant_values": value} if mode == "constant" else {}
        return np.pad(x, ((0, 0), *operation.pads), mode, **more)

    def unpad(dy):
        places = padded(np.arange(x.size).reshape(x.shape), x.size)
        return _added(dy, (places,), (x.size + 1,))[:-1].reshape(x.shape)

    return {"pad": lambda x: padded(x, operation.value), "unpad": unpad}


def _added(dy, index, shape):
    dx = np.zeros(shape)
    np.add.at(dx, index, dy)
    return dx


@helpers.register
def _(operation: ops.Cat, values):
    ends = np.cumsum([shape[operation.dim] for shape in operation.input_shapes])[:-1]
    return {
        "cat": lambda xs: np.concatenate(xs, axis=operation.dim),
        "split": lambda dy: np.split(dy, ends, axis=operation.dim),
    }


@helpers.register
def _(operation: ops.Stack, values):
    return {
        "stack": lambda xs: np.stack(xs, axis=operation.dim),
        "unbind": lambda dy: np.moveaxis(dy, operation.dim, 0),
    }


@helpers.register
def _(operation: ops.Index, values):
    return {"index_add": lambda dy, index: _added(dy, index, values["x"].shape)}


@helpers.register(ops.Gather)
@helpers.register(ops.Sort)
def _(operation, values):
    def scatter_add(dy, index):
        places = list(np.indices(index.shape))
        places[operation.dim] = index
        return _added(dy, tuple(places), values["x"].shape)

    sign = -1 if getattr(operation, "descending", False) else 1
    return {
        "gather": lambda x, index: np.take_along_axis(x, index, operation.dim),
        "scatter_add": scatter_add,
        "argsort": lambda x: np.argsort(sign * x, axis=operation.dim, kind="stable"),
    }


@seen.register
def _(operation: ops.Linear, name, a):
    return a if name == "weight" else a.reshape(-1, a.shape[-1])


@helpers.register
def _(operation: ops.Linear, values):
    return over(0, "sum")


@seen.register
def _(operation: ops.MatMul, name, a):
    row, column = (len(shape) == 1 for shape in operation.input_shapes)
    a = a[..., None] if column and name in "yz" else a
    return np.expand_dims(a, -2) if row and name in "xz" else a


@seen.register
def _(operation: ops.Conv, name, a):
    if name == "x":
        return a
    return as_matrix(a) if name == "y" else a.reshape(len(a), -1)


@helpers.register
def _(operation: ops.Conv, values):
    return unfolding(values["x"].shape, operation.window) | over(1, "sum")


@seen.register
def _(operation: ops.ConvTranspose, name, a):
    if name == "bias":
        return a.reshape(-1, *[1] * len(operation.sizes))
    return {"x": as_matrix, "weight": lambda a: a.reshape(len(a), -1), "y": lambda a: a}[name](a)


@helpers.register
def _(operation: ops.ConvTranspose, values):
    N, _, *sizes = operation.input_shapes[0]
    shape = values["y"].shape
    return unfolding(shape, operation.stamp, sizes) | over((0, *range(2, len(shape))), "sum")


def unfolding(shape, window, out=None):
    """`im2col`, whose columns are windows of all channels, and the way back."""
    N, C, *sizes = shape
    out = tuple(out or window.outs(sizes))

    def im2col(x):
        columns = windows(x, window)[(..., *map(slice, out))]
        return columns.transpose(2, 0, 1, *range(3, columns.ndim)).reshape(C * len(window), -1)

    def col2im(columns):
        columns = columns.reshape(C, len(window), N, *out)
        columns = columns.transpose(1, 2, 0, *range(3, columns.ndim))
        return spread(columns, columns[0], shape, window)

    return {"im2col": im2col, "col2im": col2im}


def sliding(x, window, outside=0.0):
    """`im2col` of each channel by itself: the pixels of a window lie along axis 0."""
    y_shape = x.shape[:2] + window.outs(x.shape[2:])
    number = np.arange(len(window)).reshape(-1, *[1] * x.ndim)

    def col2im(columns):
        columns = np.broadcast_to(columns, (len(window), *y_shape))
        return spread(columns, columns[0], x.shape, window)

    more = {"im2col": lambda x: windows(x, window, outside), "col2im": col2im, "i": number}
    return more | over(0, "sum", "max", "argmax")


@helpers.register
def _(operation: ops.MaxPool, values):
    return sliding(values["x"], operation.window, -np.inf)


@helpers.register
def _(operation: ops.AvgPool, values):
    return sliding(values["x"], operation.window) | {"count": operation.divisor(values["x"])}


@helpers.register
def _(operation: ops.LpPool, values):
    return sliding(values["x"], operation.window) | {"scale": operation.scale(values["x"])}


@seen.register
def _(operation: ops.FeatureLpPool, name, a):
    return a.reshape(operation.x_rows if name == "x" else operation.y_rows)


@helpers.register
def _(operation: ops.FeatureLpPool, values):
    return sliding(values["x"], operation.groups)


@helpers.register
def _(operation: ops.MaxUnpool, values):
    planes = values["y"].shape

    def scatter(x, indices):
        y = np.zeros((*planes[:2], math.prod(planes[2:])))
        np.put_along_axis(y, indices.reshape(*planes[:2], -1), x.reshape(*planes[:2], -1), axis=2)
        return y.reshape(planes)

    def gather(dy, indices):
        flat = dy.reshape(*planes[:2], -1)
        return np.take_along_axis(flat, indices.reshape(*planes[:2], -1), axis=2).reshape(indices.shape)

    return {"scatter": scatter, "gather": gather}


@seen.register
def _(operation: ops.Interpolate, name, a):
    return a.reshape(math.prod(a.shape[:2]), -1).T


@helpers.register
def _(operation: ops.Interpolate, values):
    sizes = operation.input_shapes[0][2:]
    pixels = np.eye(math.prod(sizes)).reshape(-1, 1, *sizes)  # one at a time
    return {"A": seen(operation, "y", operation.forward(pixels))}


@seen.register
def _(operation: ops.Normalise, name, a):
    rows, _, beside = operation.view(operation.input_shapes[0])
    return a.reshape(beside if name in ("weight", "bias") else rows)


@helpers.register
def _(operation: ops.Normalise, values):
    _, axes, beside = operation.view(operation.input_shapes[0])
    return over(axes, "mean") | over(tuple(i for i, size in enumerate(beside) if size == 1), "sum")


@helpers.register
def _(operation: ops.LocalResponseNorm, values):
    before, behind = operation.size // 2, (operation.size - 1) // 2
    return {"sum": lambda a: channel_sums(a, before, behind), "sum_back": lambda a: channel_sums(a, behind, before)}


@helpers.register
def _(operation: ops.Dropout, values):
    return {"kept": kernels.dropout_keep(values["x"], operation.p, operation.seed, operation.offset)}


@seen.register
def _(operation: ops.ClassLoss, name, a):
    if name == "weight":
        return a.reshape(-1, *[1] * (len(operation.input_shapes[0]) - 2))
    return a if name == "scores" else np.expand_dims(a, 1)


@helpers.register
def _(operation: ops.ClassLoss, values):
    classes = np.indices(values["scores"].shape)[1]
    return over(1, "sum", "mean") | {
        "onehot": lambda target: ((target == classes) & (target != operation.ignore_index)).astype(float),
        "softmax": lambda a: np.exp(a) / np.exp(a).sum(axis=1, keepdims=True),
    }


def test_every_operation_has_an_entry_and_every_entry_an_operation():
    bare = [kind.__new__(kind) for kind in OPERATIONS]
    for operation in bare:
        if isinstance(operation, ops.Extremum):
            operation.largest = True
    assert [type(o).__name__ for o in bare if not equations(o)] == []
    families = {base for kind in OPERATIONS for base in kind.__mro__}
    assert [kind.__name__ for kind in FORMULAS if kind not in families] == []
    wordless = [kind.__name__ for kind, entry in FORMULAS.items() if not entry.words or len(entry.words) > 120]
    assert wordless == []


@pytest.mark.parametrize(("make", "inputs"), list(cases()))
def test_what_is_shown_is_short(make, inputs):
    shown = formula(computed(make, inputs)[0])
    for line in "\n".join([shown.forward, *shown.backward.values()]).split("\n"):
        assert len(line.removesuffix(", summed over broadcast axes")) <= 72
        assert not {"*", "**", "@", "self"} & set(line.split())


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("dy * cos(x)", "∂L/∂y · cos(x)"),
        ("-dy * x", "−∂L/∂y · x"),
        ("-(x + y)", "−(x + y)"),
        ("x - (y - 1)", "x − (y − 1)"),
        ("x - y - 1", "x − y − 1"),
        ("x / (y * 2)", "x/(y · 2)"),
        ("x / (y / 2)", "x / (y/2)"),
        ("x * -2", "x · (−2)"),
        ("dy / x", "∂L/∂y / x"),
        ("dy ** 2", "(∂L/∂y)²"),
        ("dy.T @ x", "(∂L/∂y)ᵀ · x"),
        ("(x + y).mT", "(x + y)ᵀ"),
        ("(-x) ** 2", "(−x)²"),
        ("x ** -1", "x⁻¹"),
        ("x ** 0.5", "x^0.5"),
        ("x ** (y - 1)", "x^(y − 1)"),
        ("2 ** x ** y", "2^(xʸ)"),
        ("exp(-x)", "e⁻ˣ"),
        ("exp(x - y)", "exp(x − y)"),
        ("sqrt(x) + sqrt(x + 1)", "√x + √(x + 1)"),
        ("where(x > 0, dy, where(x == 0, dy / 2, 0))", "∂L/∂y where x > 0, ∂L/∂y / 2 where x = 0, else 0"),
        ("2 * where(x > 0, 1, 0)", "2 · (1 where x > 0, else 0)"),
        ("where((x < 1) & ~(y != x), 1e-5, 0)", "1e−5 where x < 1 and not (y ≠ x), else 0"),
        ("sum(dy * y) * abs(x)", "Σ(∂L/∂y · y) · |x|"),
        ("x[index, 0]", "x[index, 0]"),
    ],
)
def test_print(expression, shown):
    assert pretty(expression, {"dy": "∂L/∂y"}) == shown


@pytest.mark.parametrize(
    ("expression", "filled"),
    [
        ("n * x ** (n - 1)", "3 * x ** 2"),
        ("m ** x - m", "(-2) ** x - -2"),
        ("one * x / one + zero", "x"),
        ("zero * x + x ** one", "x"),
        ("x / zero", "x / 0"),
        ("n / zero + 0.5 * 4", "3 / 0 + 2.0"),
        ("n(x) * -m", "n(x) * 2"),
        ("m ** 0.5 * x", "(-2) ** 0.5 * x"),
        ("x - zero - (zero - x)", "x - (0 - x)"),
    ],
)
def test_numbers_are_filled_in(expression, filled):
    values = {"n": 3, "m": -2, "one": 1.0, "zero": 0, "x": None}
    assert ast.unparse(fill_in(ast.parse(expression, mode="eval").body, values)) == filled


def shown(case, *arrays):
    tensors = [tcnn.tensor(a, requires_grad=np.asarray(a).dtype.kind == "f") for a in arrays]
    return formula(case(*tensors).node)


def test_settings_and_shapes_are_filled_in():
    F = tcnn.nn.functional
    assert shown(lambda x: x**2, X).backward == {"x": "∂L/∂x = ∂L/∂y · 2 · x"}
    assert shown(lambda x: x.mean(), X).backward == {"x": "∂L/∂x = ∂L/∂y / 6"}
    assert shown(lambda x: F.leaky_relu(x, 0.2), X).forward == "y = x where x > 0, else 0.2 · x"
    assert shown(lambda x, y: x * y, X, ROW).backward == {
        "x": "∂L/∂x = ∂L/∂z · y",
        "y": "∂L/∂y = ∂L/∂z · x, summed over broadcast axes",
    }
    assert shown(lambda x: x * 3, X).backward == {"x": "∂L/∂x = ∂L/∂z · y"}
    assert shown(lambda x, w: F.conv2d(x, w, groups=2), IMAGES, normal(6, 2, 3, 2)).forward == "y = weight · im2col(x)"
    backward = shown(lambda x, w: F.conv2d(x, w, groups=2), IMAGES, normal(6, 2, 3, 2)).backward
    assert backward["weight"] == "∂L/∂weight = ∂L/∂y · im2col(x)ᵀ, in each of 2 groups"
    assert "bias" not in backward
    assert list(shown(lambda x, y: tcnn.cat([x, y]), X, Y).backward) == ["xs[0]", "xs[1]"]


def test_cross_entropy_is_softmax_minus_onehot():
    F = tcnn.nn.functional
    found = shown(lambda s, t: F.cross_entropy(s, t, reduction="none"), X, whole(3, 2))
    assert found.forward == "y = −Σ(q · log(softmax(scores)))\nq = onehot(target)"
    assert found.backward == {"scores": "∂L/∂scores = ∂L/∂y · (softmax(scores) − q)"}
    operation = ops.CrossEntropy(label_smoothing=0.1)
    tcnn.apply(operation, *(tcnn.tensor(a) for a in (X, whole(3, 2), positive(3))))
    assert "q = weight · (0.9 · onehot(target) + 0.1 · mean(onehot(target)))" in formula(operation).forward
    assert "softmax(scores) · total − q)\ntotal = Σ(q)" in formula(operation).backward["scores"]


def test_an_operation_that_was_never_applied():
    assert formula(ops.Linear()).backward["bias"] == "∂L/∂bias = Σ(∂L/∂y)"
    assert formula(ops.Sum((0,))).backward == {"x": "∂L/∂x = ∂L/∂y"}
    assert formula(ops.Stack(0)).backward == {"xs[0]": "∂L/∂xs[0] = unbind(∂L/∂y)[0]"}


class Square(Function):
    def forward(self, x):
        self.save(x=x)
        return x * x

    def backward(self, dy):
        return 2 * self.saved.x * dy


@dataclass(eq=False)
class Gate(Function):
    slope: float = 3.0

    def forward(self, x, weight):
        """Several lines, several names."""
        gate = 1 / (1 + np.exp(-x * self.slope))
        out = gate * weight
        self.save(gate=gate, weight=weight, out=out)
        return out

    def backward(self, grad):
        gate, out = self.saved.gate, self.saved.out
        dx = grad * out * (1 - gate) * self.slope if self.needs.x else None
        return dx, (grad * gate).sum(axis=0)


class Loop(Function):
    def forward(self, x, y):
        for _ in range(2):
            x = x * y
        return x

    def backward(self, dz):
        if self.needs.x:
            return dz, dz
        return None, dz


class Own(ops.Exp):
    def backward(self, dy):
        return dy * self.saved.y * 10


def test_operations_of_your_own_are_read():
    assert formula(Square()).forward == "y = x · x"
    assert formula(Square()).backward == {"x": "∂L/∂x = 2 · x · ∂L/∂y"}
    found = formula(Gate())
    assert found.forward == "y = 1 / (1 + exp(−x · 3)) · weight"
    assert found.backward == {
        "x": "∂L/∂x = ∂L/∂y · y · (1 − 1 / (1 + exp(−x · 3))) · 3",
        "weight": "∂L/∂weight = Σ(∂L/∂y · 1 / (1 + exp(−x · 3)), axis=0)",
    }
    assert formula(Own()).backward == {"x": "∂L/∂x = ∂L/∂y · y · 10"}, "not that of exp"
    assert formula(Own()).words == ""


class Doubling(Function):
    def forward(self, x):
        x = x * x + x
        x = x * x + x
        x = x * x + x
        x = x * x + x
        x = x * x + x
        x = x * x + x
        x = x * x + x
        x = x * x + x
        return x * x + x

    def backward(self, dy):
        return dy


def test_expressions_that_grow_with_every_line_are_given_up():
    with pytest.raises(ValueError, match="too long"):
        Reading(Doubling.forward)
    x = tcnn.tensor(0.1, requires_grad=True)
    assert formula(tcnn.apply(Doubling(), x).node).forward == "y = doubling(x)"


def test_a_bias_has_no_groups():
    x, weight, bias = (tcnn.ones(*shape, requires_grad=True) for shape in ((1, 4, 5, 5), (6, 2, 3, 3), (6,)))
    laws = formula(tcnn.functional.conv2d(x, weight, bias, groups=2).node).backward
    assert [law.endswith("in each of 2 groups") for law in laws.values()] == [True, True, False]


def test_what_cannot_be_read_is_named():
    found = formula(Loop())
    assert found.forward == "z = loop(x, y)"
    assert found.backward == {"x": "∂L/∂x = backward(∂L/∂z)", "y": "∂L/∂y = backward(∂L/∂z)"}
    space = {"Function": Function}
    exec("class Nowhere(Function):\n  def forward(self, *xs): return xs[0]\n  def backward(self, dy): return dy", space)
    assert formula(space["Nowhere"]()).backward == {"xs[0]": "∂L/∂xs[0] = backward(∂L/∂y)"}
    assert formula(ops.Plain(">", np.greater)).backward == {}

    class Odd(Function):
        name = "what's this?"

        def backward(self, *dy):
            return ()

    assert formula(Odd()).forward == "y = Odd()"


def test_on_a_device_nothing_is_copied():
    with standin.registered():
        x = tcnn.tensor(X, device="standin", requires_grad=True)
        with standin.counting() as waits:
            text = formula(x.sigmoid().node).backward["x"]
        assert (text, waits) == ("∂L/∂x = ∂L/∂y · y · (1 − y)", [])
