"""Result formats: a table written by hand, and every pair of formats against PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from conftest import dtype_name
from tinygrad_cnn import dtypes
from tinygrad_cnn.dtypes import DtypeError, result_type

NAMES = [d.name for d in dtypes.SUPPORTED]
DIM, ZERO = 1, 0
NUMBERS = {"Python bool": True, "Python int": 2, "Python float": 0.5}


@pytest.mark.parametrize(
    ("operands", "expected"),
    [
        # any float beats integers, integers beat bools
        ([("int64", DIM), ("float16", DIM)], "float16"),
        ([("bool", DIM), ("uint8", DIM)], "uint8"),
        ([("int64", DIM), ("float32", ZERO)], "float32"),
        ([("int64", DIM), ("float64", ZERO)], "float64"),
        ([("bool", DIM), ("float16", ZERO)], "float16"),
        # Python numbers and 0-d tensors never widen within a category
        ([("float32", DIM), ("float64", ZERO)], "float32"),
        ([("float16", DIM), ("float64", ZERO)], "float16"),
        ([("int8", DIM), ("int64", ZERO)], "int8"),
        ([("uint8", DIM), 1000], "uint8"),
        ([("float16", DIM), 0.5], "float16"),
        ([("float64", DIM), 0.5], "float64"),
        ([("float64", ZERO), 0.5], "float64"),
        ([("float16", ZERO), 2], "float16"),
        ([("int32", ZERO), True], "int32"),
        # a category above: the default format of the number, the tensor's of a 0-d tensor
        ([("int64", DIM), 0.5], "float32"),
        ([("int8", ZERO), 0.5], "float32"),
        ([("bool", DIM), 1], "int64"),
        ([("bool", DIM), ("int16", ZERO)], "int16"),
        ([("bool", DIM), True], "bool"),
        # two with dimensions, or two without: the wider one
        ([("float16", DIM), ("float32", DIM)], "float32"),
        ([("uint8", DIM), ("int8", DIM)], "int16"),
        ([("int32", DIM), ("uint8", DIM)], "int32"),
        ([("float32", ZERO), ("float64", ZERO)], "float64"),
        ([1, 0.5], "float32"),
        ([True, 2], "int64"),
        ([("int16", DIM), ("float64", ZERO), 0.5], "float64"),
        ([("int16", DIM), ("float16", ZERO), ("int64", DIM)], "float16"),
    ],
)
def test_by_hand(operands, expected):
    given = [(np.dtype(o[0]), o[1]) if isinstance(o, tuple) else o for o in operands]
    assert result_type(*given).name == expected
    assert result_type(*reversed(given)).name == expected


def sample(library, name, ndim):
    dtype = getattr(library, name if name != "bool" or library is tcnn else "bool", None)
    if name == "bool":
        dtype = tcnn.bool_ if library is tcnn else library.bool
    return library.tensor([1, 0, 1] if ndim else 1, dtype=dtype)


OPERATIONS = {
    "add": lambda m, x, y: x + y,
    "sub": lambda m, x, y: x - y,
    "mul": lambda m, x, y: x * y,
    "div": lambda m, x, y: x / (y + 1),
    "pow": lambda m, x, y: x**y,
    "eq": lambda m, x, y: x == y,
    "lt": lambda m, x, y: x < y,
    "ge": lambda m, x, y: x >= y,
    "where": lambda m, x, y: m.where(m.tensor([True, False, True]), x, y),
    "maximum": lambda m, x, y: m.maximum(x, y),
    "minimum": lambda m, x, y: m.minimum(x, y),
    "floordiv": lambda m, x, y: x // (y + 1),
    "remainder": lambda m, x, y: x % (y + 1),
    "cat": lambda m, x, y: m.cat([x, y]),
    "stack": lambda m, x, y: m.stack([x, y]),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_pair_of_tensors_as_torch(torch, operation):
    compared = 0
    for left, right in itertools.product(itertools.product(NAMES, (DIM, ZERO)), repeat=2):
        try:
            theirs = operation(torch, sample(torch, *left), sample(torch, *right))
        except (RuntimeError, NotImplementedError):
            continue  # what PyTorch refuses (such as bool − bool), we may refuse or not
        ours = operation(tcnn, sample(tcnn, *left), sample(tcnn, *right))
        assert dtype_name(ours) == dtype_name(theirs), (left, right)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, err_msg=f"{left} {right}")
        compared += 1
    assert compared > 60


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o not in ("maximum", "minimum", "cat", "stack")])
@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
def test_every_pair_with_a_number_as_torch(torch, operation, number):
    compute = OPERATIONS[operation]
    compared = 0
    for name, ndim, swapped in itertools.product(NAMES, (DIM, ZERO), (False, True)):

        def both(library, swapped=swapped, name=name, ndim=ndim):
            x = sample(library, name, ndim)
            return compute(library, number, x) if swapped else compute(library, x, number)

        try:
            theirs = both(torch)
        except (RuntimeError, NotImplementedError):
            continue
        ours = both(tcnn)
        assert dtype_name(ours) == dtype_name(theirs), (name, ndim, swapped)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, err_msg=f"{name} {ndim} {swapped}")
        compared += 1
    assert compared >= (0 if operation == "sub" and number is True else 16)  # PyTorch refuses x − True


UNARY = {
    "exp": lambda m, x: x.exp(),
    "log": lambda m, x: (x + 1).log(),
    "sqrt": lambda m, x: x.sqrt(),
    "sin": lambda m, x: x.sin(),
    "tanh": lambda m, x: x.tanh(),
    "sigmoid": lambda m, x: x.sigmoid(),
    "abs": lambda m, x: x.abs(),
    "relu": lambda m, x: x.relu(),
    "neg": lambda m, x: -x,
    "sign": lambda m, x: x.sign(),
    "floor": lambda m, x: x.floor(),
    "ceil": lambda m, x: x.ceil(),
    "round": lambda m, x: x.round(),
    "square": lambda m, x: x.square(),
    "pow 3": lambda m, x: x**3,
    "pow 0.5": lambda m, x: x**0.5,
    "clamp": lambda m, x: x.clamp(0, 1),
    "clamp float": lambda m, x: x.clamp(0.5),
    "sum": lambda m, x: x.sum(),
    "sum dim": lambda m, x: x.sum(0),
    "prod": lambda m, x: x.prod(),
    "mean": lambda m, x: x.mean(),
    "var": lambda m, x: x.var(),
    "max": lambda m, x: x.max(),
    "max dim": lambda m, x: x.max(0).values,
    "max index": lambda m, x: x.max(0).indices,
    "argmax": lambda m, x: x.argmax(),
    "argsort": lambda m, x: x.argsort(),
    "logsumexp": lambda m, x: x.logsumexp(0),
    "softmax": lambda m, x: x.softmax(0),
    "any": lambda m, x: x.any(),
    "all": lambda m, x: x.all(0),
    "isnan": lambda m, x: x.isnan(),
    "invert": lambda m, x: ~x,
    "and": lambda m, x: x & x,
    "or": lambda m, x: x | True,
    "float": lambda m, x: x.float(),
    "double": lambda m, x: x.double(),
    "half": lambda m, x: x.half(),
    "int": lambda m, x: x.int(),
    "long": lambda m, x: x.long(),
    "bool": lambda m, x: x.bool(),
    "zeros_like": lambda m, x: m.zeros_like(x),
    "full_like": lambda m, x: m.full_like(x, 1),
}


@pytest.mark.parametrize("operation", UNARY.values(), ids=UNARY.keys())
@pytest.mark.parametrize("name", NAMES)
def test_every_format_alone_as_torch(torch, operation, name):
    try:
        theirs = operation(torch, sample(torch, name, DIM))
    except (RuntimeError, NotImplementedError, TypeError):
        return  # what PyTorch refuses (such as the mean of whole numbers), we may refuse or not
    expected = dtype_name(theirs)
    if name == "uint8" and operation in (UNARY["any"], UNARY["all"]):
        expected = "bool"  # PyTorch keeps uint8 there, a habit from before it had bools
    if name == "bool" and operation is UNARY["sign"]:
        return  # NumPy has no sign of bools; it refuses
    ours = operation(tcnn, sample(tcnn, name, DIM))
    assert dtype_name(ours) == expected
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-3)


CREATED = {
    "bool": lambda m: m.tensor(True),
    "int": lambda m: m.tensor(3),
    "float": lambda m: m.tensor(0.5),
    "list of ints": lambda m: m.tensor([1, 2]),
    "list of floats": lambda m: m.tensor([1, 2.0]),
    "list of bools": lambda m: m.tensor([True, False]),
    "mixed bools": lambda m: m.tensor([True, 2]),
    "empty list": lambda m: m.tensor([]),
    "nested empty list": lambda m: m.tensor([[], []]),
    "float64 array": lambda m: m.tensor(np.zeros(2)),
    "float32 array": lambda m: m.tensor(np.zeros(2, np.float32)),
    "int8 array": lambda m: m.tensor(np.zeros(2, np.int8)),
    "list of float64 arrays": lambda m: m.tensor([np.zeros(2), np.ones(2)]),
    "NumPy float64": lambda m: m.tensor(np.float64(1.0)),
    "NumPy int32": lambda m: m.tensor(np.int32(1)),
    "zeros": lambda m: m.zeros(2, 3),
    "ones tuple": lambda m: m.ones((2, 3)),
    "zeros 0-d": lambda m: m.zeros(()),
    "full int": lambda m: m.full((2,), 7),
    "full float": lambda m: m.full((2,), 0.5),
    "full bool": lambda m: m.full((2,), True),
    "arange": lambda m: m.arange(5),
    "arange float": lambda m: m.arange(0, 1, 0.25),
    "arange float end": lambda m: m.arange(3.0),
    "arange down": lambda m: m.arange(5, 0, -2),
    "linspace": lambda m: m.linspace(-1, 1, 5),
    "eye": lambda m: m.eye(2, 3),
    "ones_like": lambda m: m.ones_like(m.tensor([1, 2])),
    "eye float64": lambda m: m.eye(2, dtype=m.float64),
    "zeros int8": lambda m: m.zeros(3, dtype=m.int8),
}


@pytest.mark.parametrize("create", CREATED.values(), ids=CREATED.keys())
def test_creation_as_torch(torch, create):
    ours, theirs = create(tcnn), create(torch)
    assert (dtype_name(ours), ours.shape) == (dtype_name(theirs), tuple(theirs.shape))
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_creation_by_hand():
    assert tcnn.tensor(0.5).dtype == tcnn.float32
    assert tcnn.tensor(np.float64(0.5)).dtype == tcnn.float64
    assert tcnn.tensor([1, 2]).dtype == tcnn.int64
    assert tcnn.tensor([[], []]).dtype == tcnn.float32
    assert tcnn.tensor(tcnn.tensor([1.0], dtype="float16")).dtype == tcnn.float16
    assert tcnn.tensor is tcnn.Tensor


@pytest.mark.parametrize("bad", ["complex64", "uint16", "float128", "S1", object, "nonsense", ">f4"])
def test_unsupported_formats_are_refused_by_name(bad):
    with pytest.raises(DtypeError, match="float16, float32, float64"):
        dtypes.as_dtype(bad)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text", "holds no numbers"),
        (None, "holds no numbers"),
        ([1, "a"], "holds no numbers"),
        ([1j], "holds no numbers"),
        (np.zeros(2, np.complex64), "not supported"),
        (np.zeros(2, np.uint32), "not supported"),
        ([object()], "holds no numbers"),
    ],
    ids=lambda data: type(data).__name__ if isinstance(data, list) else repr(data),
)
def test_data_that_are_no_numbers(data, message):
    with pytest.raises(DtypeError, match=message):
        tcnn.Tensor(data)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (float, "float64"),
        (int, "int64"),
        (bool, "bool"),
        (np.float16, "float16"),
        ("f8", "float64"),
        (tcnn.int8, "int8"),
    ],
)
def test_as_dtype(given, expected):
    assert dtypes.as_dtype(given).name == expected


def test_accumulators():
    assert [dtypes.accumulator(np.dtype(n)).name for n in NAMES] == [
        "float32", "float32", "float64", "int64", "int64", "int64", "int64", "int64", "int64",
    ]  # fmt: skip


def test_long_float16_sums_do_not_stall():
    x = tcnn.ones(5000, dtype="float16")  # added one by one in float16, the sum stops at 2048
    assert x.sum().item() == 5000
    assert x.mean().item() == 1
    assert (x * 2).var().item() == 0
    w = tcnn.ones(1, dtype="float16", requires_grad=True)
    (w + tcnn.zeros(5000, 1, dtype="float16")).backward(tcnn.ones(5000, 1, dtype="float16"))
    assert w.grad.item() == 5000


def test_half_precision_shares_of_many(against_torch):
    against_torch(lambda m, x: m.ones(100_000, 1, dtype=x.dtype).__mul__(x).mean(), np.ones(1, np.float16))
    x = tcnn.ones(100_000, dtype="float16", requires_grad=True)
    x.mean().backward()
    assert x.grad.min() == x.grad.max() == np.float16(1e-5)  # not 1/∞


def test_whole_numbers_through_divisions_and_exp_are_float32():
    n = tcnn.arange(3)
    assert {(n / 2).dtype, (n / (n + 1)).dtype, n.exp().dtype, (n * 0.5).dtype, (1 / (n + 1)).dtype} == {tcnn.float32}


def test_matmul_and_layers_do_not_mix_formats():
    x, w = tcnn.ones(2, 3), tcnn.ones(3, 2, dtype="float64")
    with pytest.raises(DtypeError, match=r"matmul: x is float32, y is float64.*\.to\("):
        x @ w
    with pytest.raises(DtypeError, match="linear: x is float32, weight is float64"):
        tcnn.functional.linear(x, w.T)
