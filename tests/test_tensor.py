"""The tensor itself: made from what, shown how, and at home among NumPy's arrays."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import DeviceError, DtypeError

# ---- made from


def test_tensors_copy():
    mine = np.arange(3.0)
    for t in (tcnn.Tensor(mine), tcnn.tensor(mine[:]), tcnn.Tensor(mine, dtype="float64"), tcnn.Tensor([mine])):
        assert not np.shares_memory(t.data, mine)
    source = tcnn.tensor([1.0, 2.0])
    assert not np.shares_memory(tcnn.Tensor(source).data, source.data)
    view = tcnn.Tensor(mine[::2])
    mine[0] = 100
    assert view.tolist() == [0.0, 2.0]


def test_from_numpy_shares():
    mine = np.arange(3, dtype=np.float32)
    t = tcnn.from_numpy(mine)
    assert t.data is mine
    mine[0] = 7
    assert t.tolist() == [7.0, 1.0, 2.0]
    t[1] = 8.0
    assert mine.tolist() == [7.0, 8.0, 2.0]
    with pytest.raises(DtypeError, match="complex128"):
        tcnn.from_numpy(np.zeros(2, complex))


def test_operations_on_a_shared_array_leave_it_writable():
    mine = np.ones(3, np.float32)
    t = tcnn.from_numpy(mine)
    t.reshape(3, 1), t[:], +t, t.to("float32"), t.expand(2, 3), t.contiguous()
    mine += 1
    assert mine.flags.writeable


def test_memory_that_must_not_be_written_is_not():
    t = tcnn.from_numpy(np.frombuffer(bytes(8), np.float32))
    with pytest.raises(tcnn.GraphError, match=r"must not be written; use clone\(\)"):
        t += 1


def test_nested_lists_of_tensors_and_numbers():
    rows = [tcnn.tensor([1.0, 2.0], requires_grad=True), tcnn.tensor([3.0, 4.0])]
    t = tcnn.tensor(rows)
    assert t.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert not t.requires_grad
    assert tcnn.tensor([tcnn.tensor(1), 2]).dtype == tcnn.int64
    assert tcnn.tensor(((1, 2), (3, 4))).shape == (2, 2)
    assert tcnn.tensor(range(3)).tolist() == [0, 1, 2]


def test_non_contiguous_and_fortran_arrays():
    a = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(tcnn.tensor(a).numpy(), a)
    np.testing.assert_array_equal(tcnn.tensor(a[::-1, ::2]).numpy(), a[::-1, ::2])


# ---- asked about


def test_properties():
    t = tcnn.zeros(2, 3, requires_grad=True)
    assert (t.shape, t.size(), t.size(-1), t.ndim, t.dim(), t.numel(), len(t)) == ((2, 3), (2, 3), 3, 2, 2, 6, 2)
    assert (t.device, t.backend.name, t.backend.kind, t.is_leaf, t.grad_fn) == ("cpu", "cpu", "cpu", True, None)
    assert t.node.name == "leaf"
    y = t * 2
    assert (y.is_leaf, y.grad_fn.name, y.node is y.grad_fn, y.requires_grad) == (False, "mul", True, True)
    assert y.node.parents == (t.node, None)
    assert (y.node.shape, y.node.dtype) == ((2, 3), np.float32)
    assert (y.grad_fn.input_names, y.grad_fn.input_shapes) == (("x", "y"), ((2, 3), None))
    assert tcnn.cat([t, t]).grad_fn.input_name(1) == "xs[1]"
    assert t.sum(1).grad_fn.attributes() == {"dims": (1,), "keepdim": False}
    assert t[np.array([0, 1])].grad_fn.attributes() == {"index": ("array(2,)",)}


def test_numbers_out():
    assert isinstance(tcnn.tensor([[2.5]]).item(), float)
    assert isinstance(tcnn.tensor(2).item(), int)
    assert tcnn.tensor(True).item() is True
    assert float(tcnn.tensor([1.5])) == 1.5
    assert int(tcnn.tensor(2.7)) == 2
    assert [10, 20, 30][tcnn.tensor(1)] == 20
    assert tcnn.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert bool(tcnn.tensor([[0.0]])) is False
    assert f"{tcnn.tensor(1.23456):.2f}" == "1.23"
    assert f"{tcnn.tensor([1.0])}" == "tensor([1.])"


def test_numpy_also_works_on_tensors_with_a_graph():
    x = tcnn.ones(2, requires_grad=True)
    assert (x * 2).numpy().tolist() == [2.0, 2.0]
    assert np.asarray(x * 2).dtype == np.float32
    assert np.array(x, dtype=np.float64).tolist() == [1.0, 1.0]
    assert np.shares_memory(x.numpy(), x.data)
    assert not np.shares_memory(np.array(x), x.data)


def test_membership_and_truth():
    t = tcnn.tensor([[1.0, 2.0], [3.0, np.nan]])
    assert 2 in t
    assert 7 not in t
    assert tcnn.tensor(3.0) in t
    assert (t == None) is False  # noqa: E711
    assert (t != None) is True  # noqa: E711
    assert {t: 1}[t] == 1


def test_iteration_unpacks_rows():
    a, b = tcnn.tensor([[1, 2], [3, 4]])
    assert (a.tolist(), b.tolist()) == ([1, 2], [3, 4])
    assert [int(n) for n in tcnn.arange(3)] == [0, 1, 2]
    assert max(tcnn.tensor([1.0, 3.0, 2.0])).item() == 3.0
    assert sum(tcnn.tensor([1.0, 3.0])).item() == 4.0


# ---- shown

SHOWN = [
    (lambda: tcnn.tensor(1.5), "tensor(1.5)"),
    (lambda: tcnn.tensor(2), "tensor(2)"),
    (lambda: tcnn.tensor(True), "tensor(True)"),
    (lambda: tcnn.tensor([1.0, 2.25]), "tensor([1.  , 2.25])"),
    (lambda: tcnn.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    (lambda: tcnn.tensor([1.0], dtype="float64"), "tensor([1.], dtype=float64)"),
    (lambda: tcnn.tensor([1], dtype="uint8"), "tensor([1], dtype=uint8)"),
    (lambda: tcnn.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
    (lambda: tcnn.tensor([1.0], requires_grad=True) * 2, "tensor([2.], grad_fn=<mul>)"),
    (lambda: tcnn.tensor(1.0, requires_grad=True).exp(), "tensor(2.7183, grad_fn=<exp>)"),
    (lambda: tcnn.tensor([0.123456789]), "tensor([0.1235])"),
    (lambda: tcnn.zeros(0), "tensor([], shape=(0,))"),
    (lambda: tcnn.zeros(2, 0), "tensor([], shape=(2, 0))"),
]


@pytest.mark.parametrize(("make", "text"), SHOWN)
def test_repr(make, text):
    assert repr(make()) == text
    assert str(make()) == text


def test_the_repr_of_many_numbers_is_short():
    text = repr(tcnn.zeros(1000, 1000))
    assert "..." in text
    assert len(text) < 1000


# ---- among arrays and numbers

OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.floordiv, operator.mod,
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
]  # fmt: skip
a = np.array([[1.0, 2.0, 3.0], [0.5, 4.0, 1.5]], np.float32)
b = np.array([2.0, 1.0, 3.0], np.float32)


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_arrays_numbers_and_lists_on_either_side(op):
    t = tcnn.tensor(a)
    for left, right, expected in [
        (t, b, op(a, b)),
        (b, t, op(b, a)),
        (t, 2, op(a, 2)),
        (2, t, op(2, a)),
        (t, 1.5, op(a, np.float32(1.5))),
        (1.5, t, op(np.float32(1.5), a)),
        (t, np.float64(1.5), op(a, np.float32(1.5))),
        (np.float32(2), t, op(np.float32(2), a)),
        (np.int64(2), t, op(2, a)),
        (t, [2.0, 1.0, 3.0], op(a, b)),
        (t, True, op(a, np.float32(1))),
        (t, np.array(2.0), op(a, np.float32(2))),
        (t, tcnn.tensor(b), op(a, b)),
    ]:
        result = op(left, right)
        assert isinstance(result, tcnn.Tensor), (type(left), type(right))
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)
        assert result.dtype == (np.bool_ if expected.dtype == bool else np.float32)


def test_matmul_with_arrays_on_either_side():
    t = tcnn.tensor(a, requires_grad=True)
    left, right = a.T @ t, t @ a.T
    np.testing.assert_allclose(left.numpy(), a.T @ a, rtol=1e-6)
    right.sum().backward()
    np.testing.assert_allclose(t.grad, np.tile(a.sum(0), (2, 1)), rtol=1e-6)


def test_gradients_flow_past_arrays():
    t = tcnn.tensor(b, requires_grad=True)
    (a * t + b).sum().backward()
    np.testing.assert_allclose(t.grad, a.sum(0))


def test_an_array_does_not_take_a_tensor_in_place():
    array = a.copy()
    with pytest.raises(TypeError, match="Tensor"):
        array += tcnn.tensor(b)
    np.testing.assert_array_equal(array, a)


def test_bool_and_bit_operators():
    p, q = tcnn.tensor([True, True, False]), np.array([True, False, False])
    assert (p & q).tolist() == [True, False, False]
    assert (q | p).tolist() == [True, True, False]
    assert (p ^ q).tolist() == [False, True, False]
    assert (~p).tolist() == [False, False, True]
    assert (1 | tcnn.tensor([2, 4])).tolist() == [3, 5]


def test_strangers_are_refused_by_both_sides():
    t = tcnn.ones(2)
    for op in (operator.add, operator.matmul, operator.pow, operator.lt):
        for stranger in ("a", None, {}, object()):
            with pytest.raises(TypeError):
                op(t, stranger)
            with pytest.raises(TypeError):
                op(stranger, t)


def test_the_other_side_gets_its_turn():
    class Other:
        def __radd__(self, t):
            return "mine"

        def __lt__(self, t):
            return "less"

    assert tcnn.ones(2) + Other() == "mine"
    assert (tcnn.ones(2) > Other()) == "less"


# ---- reductions under both libraries' names


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "amax", "amin", "any", "all"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_axis_and_keepdims_are_dim_and_keepdim(name, axis):
    t = tcnn.tensor(a)
    np.testing.assert_array_equal(
        getattr(t, name)(axis=axis, keepdims=True).numpy(), getattr(t, name)(dim=axis, keepdim=True).numpy()
    )


def test_axis_for_one_dimension():
    t = tcnn.tensor(a)
    values, indices = t.max(axis=1)
    assert (values.tolist(), indices.tolist()) == ([3.0, 4.0], [2, 1])
    smallest = t.min(axis=0, keepdims=True)
    assert (smallest.values.tolist(), smallest.indices.tolist()) == ([[0.5, 2.0, 1.5]], [[1, 0, 1]])
    assert t.argmax(axis=0).tolist() == [0, 1, 0]
    assert t.argmin(axis=1, keepdims=True).tolist() == [[0], [0]]
    assert t.prod(axis=1).tolist() == [6.0, 3.0]
    assert t.logsumexp(axis=1).shape == (2,)
    assert t.sum(dtype="float64").dtype == tcnn.float64


def test_numpy_scalars_never_widen():
    t = tcnn.tensor(b)
    half = np.float64(0.5)
    for y in (t**half, t.clamp(half), t.clamp(max=half), t.masked_fill(t > 1, half), tcnn.functional.dropout(t, half),
              tcnn.functional.leaky_relu(t, half), tcnn.functional.pad(t, (1, 1), value=half), t % half, t // half,
              tcnn.where(t > 1, t, half), tcnn.maximum(t, half)):  # fmt: skip
        assert y.dtype == tcnn.float32


def test_dimensions_as_numpy_integers():
    t = tcnn.tensor(a)
    assert t.sum(np.int64(1)).tolist() == t.sum(1).tolist()
    assert t.max(np.int64(1)).indices.tolist() == [2, 1]
    assert t.transpose(np.int64(0), np.int64(1)).shape == (3, 2)
    assert t.reshape(np.int64(3), np.int64(2)).shape == (3, 2)
    assert t[np.int64(0), np.int32(1)].item() == 2.0


def test_negative_steps_as_numpy():
    t = tcnn.tensor(a, requires_grad=True)
    y = t[::-1, ::-2]
    np.testing.assert_array_equal(y.numpy(), a[::-1, ::-2])
    y.backward(np.arange(4.0).reshape(2, 2))
    assert t.grad.tolist() == [[3.0, 0.0, 2.0], [1.0, 0.0, 0.0]]


# ---- moved and copied


def test_to():
    t = tcnn.ones(2)
    assert t.to("float32") is t
    assert t.to("cpu") is t
    assert t.cpu() is t
    assert t.to(tcnn.zeros(1, dtype="int8")).dtype == tcnn.int8
    assert t.to("cpu", "float16").dtype == tcnn.float16
    assert t.to(device="cpu", dtype=tcnn.float64).dtype == tcnn.float64
    assert t.astype(int).dtype == tcnn.int64
    assert t.type_as(tcnn.tensor(True)).dtype == tcnn.bool_
    assert [t.half().dtype.name, t.double().dtype.name, t.int().dtype.name, t.long().dtype.name] == [
        "float16", "float64", "int32", "int64",
    ]  # fmt: skip


def test_devices_that_are_not_there():
    with pytest.raises(DeviceError, match=r'no device "gpu".*"cuda:1"'):
        tcnn.zeros(2, device="gpu")
    with pytest.raises(DeviceError, match='no device "cuda:x"'):
        tcnn.zeros(2).to(device="cuda:x")


def test_contiguous():
    t = tcnn.tensor(a)
    assert t.contiguous() is t
    assert t.T.contiguous().data.flags.c_contiguous
    assert t.T.contiguous().tolist() == t.T.tolist()


def test_copies():
    t = tcnn.tensor(a, requires_grad=True)
    shallow = copy.copy(t)
    assert shallow.data is t.data
    back = pickle.loads(pickle.dumps(tcnn.tensor(a)))
    np.testing.assert_array_equal(back.numpy(), a)
    cut = pickle.loads(pickle.dumps(t.detach()))
    np.testing.assert_array_equal(cut.numpy(), a)
    assert "detach()" in tcnn.explain_grad(cut)  # the graph it was cut from is gone, that it was cut is known


def test_views_share_and_reshape_of_others_copies():
    t = tcnn.tensor(a)
    for view in (t.reshape(3, 2), t.view(6), t.T, t[0], t[:, 1:], t.expand(4, 2, 3), t.unsqueeze(0), t.detach()):
        assert np.shares_memory(view.data, t.data)
    for other in (t.T.reshape(6), t.clone(), t.flip(0), t[[0, 1]], t * 1, tcnn.functional.pad(t, (0, 0))):
        assert not np.shares_memory(other.data, t.data)


# ---- creation


def test_creation_shapes():
    assert tcnn.zeros(2, 3).shape == tcnn.zeros((2, 3)).shape == tcnn.zeros([2, 3]).shape == (2, 3)
    assert tcnn.zeros().shape == tcnn.zeros(()).shape == ()
    assert tcnn.full((2,), 3.5, requires_grad=True).requires_grad
    assert tcnn.empty(2).tolist() == [0.0, 0.0]
    like = tcnn.ones(2, 3, dtype="float16")
    for made in (
        tcnn.zeros_like(like),
        tcnn.ones_like(like),
        tcnn.full_like(like, 2),
        tcnn.rand_like(like),
        tcnn.randn_like(like),
    ):
        assert (made.shape, made.dtype) == ((2, 3), tcnn.float16)
    assert tcnn.zeros_like(like, dtype="int8").dtype == tcnn.int8


def test_everything_public_exists():
    for name in tcnn.__all__:
        assert getattr(tcnn, name) is not None
    assert tcnn.__version__


@pytest.mark.parametrize(
    "make",
    [
        lambda: tcnn.Tensor(range(12)).reshape(6 / 2, 4),
        lambda: tcnn.zeros(2.5),
        lambda: tcnn.ones((2, 6 / 2)),
        lambda: tcnn.Tensor([[1.0]]).expand(2.0, 3),
        lambda: tcnn.zeros("3"),
    ],
)
def test_a_size_is_a_whole_number(make):
    """`n / 2` is a float also where n is even: never cut off silently."""
    with pytest.raises(TypeError, match=r"sizes must be whole numbers, not .*n // 2"):
        make()


def test_sizes_of_other_kinds():
    assert tcnn.zeros(np.array([2, 3])).shape == (2, 3)
    assert tcnn.zeros(np.int64(2), tcnn.Tensor(3)).shape == (2, 3)
