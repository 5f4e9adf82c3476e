"""Changes in place: results are read-only, leaves are counted, and backward never uses numbers that changed unseen."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import DtypeError, GraphError, ShapeError, no_grad


def leaf(*values):
    return tcnn.Tensor(list(values), requires_grad=True)


RESULTS = {
    "add": lambda x: x + 1,
    "reshape": lambda x: x.reshape(2, 1),
    "index": lambda x: x[:1],
    "expand": lambda x: x.expand(3, 2),
    "T": lambda x: x.T,
    "relu": lambda x: x.relu(),
    "sum": lambda x: x.sum(),
    "cat": lambda x: tcnn.cat([x, x]),
    "comparison": lambda x: x > 0,
    "sorted": lambda x: x.sort().values,
    "to": lambda x: x.to("float64"),
    "dropout": lambda x: F.dropout(x),
    "clone": lambda x: x.clone(),
    "detached result": lambda x: (x * 2).detach(),
}


@pytest.mark.parametrize("make", RESULTS.values(), ids=RESULTS.keys())
@pytest.mark.parametrize("wants", [True, False])
def test_arrays_of_results_are_read_only(make, wants):
    x = tcnn.Tensor([1.0, -2.0], requires_grad=wants)
    y = make(x)
    for array in (y.data, y.numpy(), np.asarray(y)):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert x.data.flags.writeable  # the input stays as it was
    x.data[...] = 5


def test_arrays_of_leaves_can_be_written_unseen_as_in_torch():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.data[...] = 10.0
    y.backward()
    assert x.grad.tolist() == [20.0, 20.0]


WRITERS = {
    "copy_": lambda x: x.copy_([5.0, 6.0]),
    "t[i] = v": lambda x: x.__setitem__(0, 5.0),
    "fill_": lambda x: x.fill_(3.0),
    "zero_": lambda x: x.zero_(),
    "+=": lambda x: x.__iadd__(1.0),
    "-=": lambda x: x.__isub__([1.0, 2.0]),
    "*=": lambda x: x.__imul__(tcnn.tensor(2.0)),
    "/=": lambda x: x.__itruediv__(2),
    "**=": lambda x: x.__ipow__(2),
    "clamp_": lambda x: x.clamp_(0.0, 1.5),
    ".data = …": lambda x: setattr(x, "data", np.array([5.0, 6.0], np.float32)),
    "SGD.step": lambda x: writing(x),
}


def writing(x):
    with x.writing("SGD.step") as array:
        array -= 0.1


writers = pytest.mark.parametrize("writer", WRITERS, ids=str)


@writers
def test_backward_names_operation_argument_and_writer(writer):
    w, x = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = w * x
    with no_grad():
        WRITERS[writer](w)
    with pytest.raises(GraphError) as error:
        y.sum().backward()
    message = str(error.value)
    assert message.startswith("mul: its input x was changed in place by")
    assert f"by {writer} after the forward pass" in message
    assert "clone()" in message


@writers
def test_a_change_through_a_view_or_a_detached_tensor_counts(writer):
    for look in (lambda t: t.detach(), lambda t: t.detach()[:], lambda t: t.detach().reshape(1, 2).reshape(2)):
        w = leaf(1.0, 2.0)
        y = (w * leaf(3.0, 4.0)).sum()
        WRITERS[writer](look(w))
        if writer == ".data = …":
            assert w.tolist() == [1.0, 2.0]  # the other tensor looks elsewhere now, nothing was overwritten
            continue
        with pytest.raises(GraphError, match="input x was changed in place by"):
            y.backward()


def test_a_change_of_the_base_counts_for_views_that_were_saved():
    w = leaf(1.0, 2.0)
    y = w.reshape(2, 1) * leaf(3.0, 4.0)
    with no_grad():
        w[0] = 7.0
    with pytest.raises(GraphError, match=r"changed in place by t\[i\] = v"):
        y.sum().backward()


def test_a_change_of_a_result_that_was_saved_counts():
    y = leaf(1.0, 2.0).exp()
    d = y.detach()
    with no_grad():
        d += 1
    with pytest.raises(GraphError, match=r"exp: its result \(saved as y\) was changed in place by \+="):
        y.sum().backward()


def test_the_second_argument_is_named():
    x, w = leaf(1.0, 2.0), tcnn.randn(3, 2, requires_grad=True)
    y = F.linear(x, w)
    with w.writing("Adam.step") as array:
        array += 1
    with pytest.raises(GraphError, match=r"linear: its input weight was changed in place by Adam.step"):
        y.sum().backward()


def test_changes_that_do_not_matter_are_allowed():
    w, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = w + b  # add saves nothing
    with no_grad():
        w += 1
        b.zero_()
    y.sum().backward()
    z = (w * tcnn.tensor([2.0, 2.0])).sum()  # w itself is not needed
    with no_grad():
        w *= 5
    z.backward()
    assert w.grad.tolist() == [3.0, 3.0]


def test_changes_after_backward_are_allowed():
    w = leaf(1.0, 2.0)
    for _ in range(3):
        w.zero_grad()
        (w * w).sum().backward()
        with no_grad():
            w -= 0.1 * w.grad
    np.testing.assert_allclose(w.data, np.array([1.0, 2.0]) * 0.8**3, rtol=1e-6)


def test_new_data_keeps_saved_numbers_of_others_whole():
    w = leaf(1.0, 2.0)
    d = w.detach()
    w.data = np.array([[5.0]], np.float32)
    assert d.tolist() == [1.0, 2.0]
    assert w.shape == (1, 1)
    (w * 2).backward()
    assert w.grad.tolist() == [[2.0]]


def test_data_assigned_is_copied():
    w, mine = leaf(1.0, 2.0), np.array([5.0, 6.0], np.float32)
    w.data = mine
    mine[0] = 100
    assert w.tolist() == [5.0, 6.0]


# ---- refused where a graph would not know


@pytest.mark.parametrize("writer", [w for w in WRITERS if w not in (".data = …", "SGD.step")])
def test_a_leaf_with_a_gradient_is_not_changed_outside_no_grad(writer):
    w = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match=r"this leaf requires a gradient.*no_grad\(\)") as error:
        WRITERS[writer](w)
    assert str(error.value).startswith(writer)
    assert w.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("writer", ["copy_", "t[i] = v", "fill_", "zero_", "SGD.step", ".data = …"])
def test_a_result_with_a_graph_is_not_overwritten(writer):
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(GraphError, match="result of mul"):
        WRITERS[writer](y)
    with no_grad(), pytest.raises(GraphError, match="result of mul"):
        WRITERS[writer](y)
    assert y.tolist() == [2.0, 4.0]


def test_values_with_a_graph_are_not_written():
    t, v = tcnn.zeros(2), leaf(1.0, 2.0)
    for write in (lambda: t.__setitem__(0, v[0]), lambda: t.copy_(v)):
        with pytest.raises(GraphError, match=r"the value requires a gradient, which would be lost.*detach\(\)"):
            write()
    t.copy_(v.detach())
    assert t.tolist() == [1.0, 2.0]


def test_expanded_memory_is_not_written():
    t = tcnn.zeros(1).expand(3)
    with pytest.raises(tcnn.GraphError, match=r"share one memory cell; clone\(\)"):
        t += 1


def test_sizes_and_formats_that_do_not_fit():
    t = tcnn.zeros(2, 3)
    with pytest.raises(ShapeError, match=r"copy_: numbers of shape \(4,\).*\(2, 3\)"):
        t.copy_(np.zeros(4))
    with pytest.raises(ShapeError, match=r"t\[i\] = v: .*\(2, 3\)"):
        t[0] = [1.0, 2.0]
    with pytest.raises(ShapeError, match=r"\+=: the result has shape \(4, 2, 3\).*\(2, 3\)"):
        t += tcnn.zeros(4, 1, 1)
    n = tcnn.arange(3)
    with pytest.raises(DtypeError, match=r"\+=: the result is float32.*int64"):
        n += 0.5
    with pytest.raises(DtypeError, match=r"/=: the result is float32"):
        n /= 2
    b = tcnn.tensor([True])
    with pytest.raises(DtypeError, match=r"\+=: the result is int64.*bool"):
        b += 1


@pytest.mark.parametrize(("narrow", "wide"), [("float16", "float32"), ("float32", "float64"), ("int8", "int64")])
def test_a_wider_number_is_rounded_in_place_as_in_torch(narrow, wide):
    t = tcnn.ones(2, dtype=narrow)
    t += tcnn.ones(2, dtype=wide)
    assert (t.dtype.name, t.tolist()) == (narrow, [2, 2])


# ---- writing itself


def test_setitem_as_numpy(rng):
    values = rng.normal(size=(3, 4)).astype(np.float32)
    picks, mask = np.array([2, 0]), values > 0
    for index, value in [
        (1, 5.0),
        ((0, -1), 2),
        (slice(None, None, 2), [1.0, 2.0, 3.0, 4.0]),
        (picks, np.zeros((2, 4), np.float32)),
        ((slice(None), picks), 7.0),
        (mask, -1.0),
        ((..., 1), np.arange(3)),
        ((None, 0), 9.0),
        (slice(None, None, -1), values),
        ((), 4.0),
    ]:
        t, expected = tcnn.tensor(values), values.copy()
        t[index] = value
        expected[index] = value
        np.testing.assert_array_equal(t.numpy(), expected)


def test_setitem_with_numbers_and_picks_as_torch(torch):
    def run(library):
        t = library.zeros((2, 3, 4))
        t[1, :, library.tensor([0, 2])] = library.tensor([1.0, 2.0])
        t[library.tensor(0), 1, library.tensor([True, False, False, True])] = 5.0
        return t.tolist()

    assert run(tcnn) == run(torch)


def test_setitem_with_itself():
    t = tcnn.tensor([1.0, 2.0, 3.0])
    t[1:] = t[:-1]
    assert t.tolist() == [1.0, 1.0, 2.0]
    t[:] = t.flip(0)
    assert t.tolist() == [2.0, 1.0, 1.0]


def test_writing_into_a_view_of_a_plain_tensor():
    t = tcnn.zeros(2, 3)
    row = t[1]
    row += 1
    row[0] = 5
    assert t.tolist() == [[0, 0, 0], [5, 1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        row.data[0] = 1  # still locked


def test_in_place_returns_the_tensor_itself():
    t = tcnn.zeros(2)
    assert t.fill_(1) is t
    assert t.copy_([1, 2]) is t
    assert t.add_(1, alpha=2) is t
    assert t.sub_(1).mul_(4).div_(2).clamp_(max=5) is t
    assert t.tolist() == [4.0, 5.0]


def test_an_error_inside_writing_is_still_counted_and_locked_again():
    t = tcnn.zeros(2)
    view = t[:1]
    y = t * leaf(1.0, 1.0)

    def fail():
        with view.writing("test") as array:
            array[0] = 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert t.tolist() == [1.0, 0.0]
    with pytest.raises(GraphError, match="changed in place by test"):
        y.sum().backward()
    assert not view.data.flags.writeable


# ---- += on tensors with a graph

UPDATES = {
    "+=": lambda m, y, x: y.__iadd__(x),
    "-=": lambda m, y, x: y.__isub__(x * 2),
    "*=": lambda m, y, x: y.__imul__(x),
    "/=": lambda m, y, x: y.__itruediv__(x),
    "+= number": lambda m, y, x: y.__iadd__(3),
    "*= 0-d": lambda m, y, x: y.__imul__(x.sum()),
    "+= broadcast": lambda m, y, x: y.__iadd__(x[:1]),
    "+= itself": lambda m, y, x: y.__iadd__(y),
    "add_": lambda m, y, x: y.add_(x, alpha=2),
    "mul_ sub_": lambda m, y, x: y.mul_(2).sub_(x),
}


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES.keys())
def test_updates_of_results_as_torch(against_torch, update, rng):
    def on_result(m, x):
        y = x + 1
        y = update(m, y, x)
        return y * x

    def on_plain(m, x):
        y = m.ones(3, dtype=m.float64)
        y = update(m, y, x)
        return y.exp() if y.requires_grad else x * y

    x = rng.uniform(0.5, 1.5, size=3)
    against_torch(on_result, x)
    against_torch(on_plain, x)


def test_an_accumulated_sum_as_torch(against_torch, rng):
    def case(m, x):
        total = m.zeros(3, dtype=m.float64)
        for row in x:
            total += row * row
        return total

    against_torch(case, rng.normal(size=(4, 3)))


def test_what_saved_the_old_numbers_still_has_them():
    """PyTorch would refuse here (it overwrites); here nothing is overwritten, so the gradient is the right one."""
    x = leaf(1.0, 2.0)
    y = x * 3
    z = (y * y).sum()
    y += 100
    z.backward()
    assert x.grad.tolist() == [18.0, 36.0]


def test_updates_of_results_that_others_look_into_are_refused():
    y = leaf(1.0, 2.0) * 2
    view = y[:1]
    with pytest.raises(GraphError, match=r"\+=: other tensors look into the same memory.*y = y \+"):
        y += 1
    del view


def test_numbers_saved_as_an_index_stay_what_they_were():
    x, picks = leaf(1.0, 2.0, 3.0), tcnn.tensor([0, 0, 1])
    y = x[picks]
    picks.fill_(2)
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 1.0, 0.0]


def test_batch_norm_writes_its_buffers_and_nothing_old_breaks():
    x, mean, var = tcnn.randn(4, 2, requires_grad=True), tcnn.zeros(2), tcnn.ones(2)
    y = F.batch_norm(x, mean, var, eps=0.0)
    saved = mean * leaf(1.0, 1.0)
    F.batch_norm(tcnn.randn(4, 2), mean, var, training=True)
    y.sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0]] * 4  # by the variance of then
    with pytest.raises(GraphError, match="input x was changed in place by batch_norm"):
        saved.sum().backward()


LOGIC = (operator.iand, operator.ior, operator.ixor)


@pytest.mark.parametrize(
    ("change", "dtype"),
    [(f, "int64") for f in (operator.ifloordiv, operator.imod, *LOGIC)] + [(f, "bool") for f in LOGIC],
)
def test_every_operator_in_place_is_seen_through_views(change, dtype):
    """Rebinding the name would leave the view behind."""
    x, other = tcnn.tensor([5, 6, 0]).to(dtype), tcnn.tensor([2, 4, 1]).to(dtype)
    view, wanted = x.reshape(3, 1), change(x.numpy().copy(), other.numpy())
    same = change(x, other)
    assert same is x
    assert view.numpy()[:, 0].tolist() == x.tolist() == wanted.tolist()


def test_an_operator_in_place_is_counted():
    w, x = tcnn.tensor([5.0, 6.0], requires_grad=True), tcnn.tensor([2.0, 3.0])
    y = (w * x).sum()
    x %= 2
    with pytest.raises(tcnn.GraphError, match="changed in place by %="):
        y.backward()
    with pytest.raises(tcnn.GraphError, match="this leaf requires a gradient"):
        w //= 2
    with tcnn.no_grad():
        w %= 4
    assert w.tolist() == [1.0, 2.0]
    assert w.is_leaf
