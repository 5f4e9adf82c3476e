"""What backward promises: which gradient arrives where, how often, and what is said when it cannot."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import DtypeError, Function, GraphError, ShapeError, explain_grad, grad, no_grad


def leaf(*values, **kwargs):
    return tcnn.Tensor(list(values) if len(values) > 1 else values[0], requires_grad=True, **kwargs)


class Counting(Function):
    """x, and a note of every visit."""

    def __init__(self, visits):
        self.visits = visits

    def forward(self, x):
        return x.copy()

    def backward(self, dy):
        self.visits.append(np.array(dy))
        return dy


def counting(x, visits):
    return tcnn.apply(Counting(visits), x)


# ---- the walk


def test_a_diamond_is_walked_once():
    x, visits = leaf(2.0), []
    y = counting(x, visits)
    (y * 3 + y * y).backward()
    assert [v.item() for v in visits] == [7.0]  # once, with the sum 3 + 2·2
    assert x.grad.item() == 7.0


def test_a_stack_of_60_diamonds_is_walked_once_each():
    x, visits = leaf(1.0), []
    y = x
    for _ in range(60):  # 2^60 paths
        y = counting(y, visits)
        y = y * 0.5 + y * 0.5
    y.backward()
    assert len(visits) == 60
    assert x.grad.item() == 1.0


def test_a_deep_and_a_shallow_path_meet():
    """The order must put the join behind all its users, not behind the first one found."""
    x, visits = leaf(1.0), []
    y = counting(x, visits)
    deep = y
    for _ in range(50):
        deep = deep * 1.1
    for loss in (deep + y, y + deep):
        visits.clear()
        x.zero_grad()
        loss.backward(retain_graph=True)
        assert len(visits) == 1
        assert x.grad.item() == pytest.approx(1 + 1.1**50)


def test_the_same_tensor_in_every_place():
    x = leaf(3.0)
    tcnn.stack([x, x, x * x, x]).sum().backward()
    assert x.grad.item() == 9.0


def test_gradients_of_leaves_accumulate_and_are_forgotten_on_demand():
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]
    assert x.grad is first  # as in PyTorch, in place
    x.zero_grad()
    assert x.grad is None


def test_backward_starts_from_the_gradient_given():
    x = leaf([[1.0, 2.0]])
    for gradient in (tcnn.tensor([[3.0, 4.0]]), np.array([[3.0, 4.0]]), [[3, 4]]):
        x.zero_grad()
        (x * 2).backward(gradient)
        assert x.grad.tolist() == [[6.0, 8.0]]
        assert x.grad.dtype == np.float32


def test_a_leaf_can_be_its_own_loss():
    x = leaf(1.0)
    x.backward()
    x.backward(5.0)
    assert x.grad.item() == 6.0


def test_backward_works_inside_no_grad():
    x = leaf(2.0)
    y = x * x
    with no_grad():
        y.backward()
    assert x.grad.item() == 4.0


def test_only_needed_gradients_are_computed():
    class Picky(Function):
        def forward(self, x, y):
            self.save(x=x, y=y)
            return x * y

        def backward(self, dz):
            assert self.needs.x
            assert not self.needs.y
            assert repr(self.needs) == "Needs(x=True, y=False)"
            return dz * self.saved.y, None

    x = leaf(2.0)
    tcnn.apply(Picky(), x, tcnn.tensor(5.0)).backward()
    assert x.grad.item() == 5.0


def test_the_gradient_of_a_mixed_expression_keeps_each_tensors_format():
    a, b, c = leaf(1.0, dtype="float16"), leaf([1.0, 2.0], dtype="float64"), leaf([1.0, 2.0])
    (a * b + c * b).sum().backward()
    assert [t.grad.dtype.name for t in (a, b, c)] == ["float16", "float64", "float32"]


# ---- a second time


def test_a_second_backward_says_what_to_do():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(GraphError, match=r"backward through mul a second time.*retain_graph=True"):
        y.backward()
    assert x.grad.item() == 4.0


def test_a_second_backward_over_a_shared_part():
    x = leaf(2.0)
    y = x.exp()
    (y * 1).backward()
    with pytest.raises(GraphError, match="exp a second time"):
        (y + 1).backward()


def test_what_was_not_saved_is_named_with_what_was():
    class Double(tcnn.Function):
        def forward(self, x):
            self.save(factor=2.0)
            return 2 * x

        def backward(self, dy):
            return dy * self.saved.facto

    y = tcnn.apply(Double(), leaf(2.0))
    named = r"nothing was saved as 'facto', only \['factor'\]; in forward: self.save\(facto=…\)"
    with pytest.raises(AttributeError, match=named):
        y.backward()


def test_operations_that_saved_nothing_may_be_walked_again():
    x = leaf(2.0)
    y = x + 1
    y.backward()
    y.backward()  # as in PyTorch: there was nothing to free
    assert x.grad.item() == 2.0


def test_retain_graph():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(GraphError, match="second time"):
        y.backward()


# ---- what is refused


def test_a_loss_must_be_a_single_number():
    x = leaf([[1.0, 2.0, 3.0]])
    with pytest.raises(GraphError, match=r"shape \(1, 3\) is not a single number; sum\(\) or mean\(\)"):
        (x * 2).backward()
    (x * 2)[:, :1].backward()  # one number of shape (1, 1) is one
    assert x.grad.tolist() == [[2.0, 0.0, 0.0]]


def test_a_loss_without_a_graph():
    with pytest.raises(GraphError, match=r"backward: this tensor does not require a gradient.*requires_grad=True"):
        tcnn.tensor(1.0).backward()
    with no_grad():
        y = leaf(1.0) * 2
    with pytest.raises(GraphError, match=r"mul under no_grad\(\)"):
        y.backward()


@pytest.mark.parametrize("gradient", [np.ones(3), np.ones((1, 2)), 1.0, np.ones((2, 1))])
def test_a_gradient_of_the_wrong_shape(gradient):
    with pytest.raises(ShapeError, match=r"the gradient has shape .*, the tensor \(2,\); they must be equal"):
        (leaf(1.0, 2.0) * 2).backward(gradient)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_whole_numbers_have_no_gradient(dtype):
    for ask in (
        lambda: tcnn.Tensor([1, 0], dtype=dtype, requires_grad=True),
        lambda: tcnn.Tensor([1, 0], dtype=dtype).requires_grad_(),
        lambda: setattr(tcnn.Tensor([1, 0], dtype=dtype), "requires_grad", True),
        lambda: tcnn.zeros(2, dtype=dtype, requires_grad=True),
    ):
        with pytest.raises(DtypeError, match=rf"float.*{dtype}.*\.float\(\)"):
            ask()


def test_results_that_are_whole_numbers_have_no_graph():
    x = leaf(1.0, 3.0)
    for y in (x > 2, x.argmax(), x.long(), x.max(0).indices, x.isnan(), x // 2, x == x):
        assert not y.requires_grad
        assert y.is_leaf


def test_setting_grad():
    x = leaf(1.0, 2.0)
    mine = np.array([1.0, 2.0], np.float64)
    x.grad = mine
    assert x.grad.dtype == np.float32
    mine[0] = 100
    assert x.grad.tolist() == [1.0, 2.0]
    with pytest.raises(ShapeError, match=r"shape \(3,\) for a tensor of shape \(2,\)"):
        x.grad = np.zeros(3)
    with pytest.raises(GraphError, match="requires_grad=True"):
        tcnn.zeros(2).grad = mine
    tcnn.zeros(2).grad = None  # nothing to forget


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda dy: (dy, dy), "2 gradients for 1 inputs"),
        (lambda dy: dy[:1], r"a gradient of shape \(1,\) for its input x of shape \(2,\)"),
        (lambda dy: "no", "a gradient of shape str for"),
    ],
)
def test_a_wrong_backward_is_named(returned, message):
    class Wrong(Function):
        def forward(self, x):
            return x * 1

        def backward(self, dy):
            return returned(dy)

    with pytest.raises(GraphError, match=f"wrong.backward returned {message}"):
        tcnn.apply(Wrong(), leaf(1.0, 2.0)).sum().backward()


def test_an_operation_without_backward():
    class Oneway(Function):
        def forward(self, x):
            return x * 1

    with pytest.raises(NotImplementedError, match="Oneway has no backward"):
        tcnn.apply(Oneway(), leaf(1.0)).backward()


def test_requires_grad_of_a_result_cannot_be_taken_back():
    y = leaf(1.0) * 2
    with pytest.raises(GraphError, match=r"result of mul.*detach\(\)"):
        y.requires_grad_(False)
    assert y.requires_grad_() is y


def test_requires_grad_of_a_leaf_can_be_turned_off_and_on():
    x = leaf(1.0)
    x.requires_grad = False
    assert not (x * 2).requires_grad
    x.requires_grad = True
    assert (x * 2).requires_grad


# ---- hooks and retained gradients


def test_a_hook_on_a_leaf_replaces_its_gradient():
    x = leaf(1.0, 2.0)
    seen = []

    def hook(gradient):
        seen.append(gradient.copy())
        return gradient * 10

    handle = x.register_hook(hook)
    (x * x).sum().backward()
    assert seen[0].tolist() == [2.0, 4.0]
    assert x.grad.tolist() == [20.0, 40.0]
    handle.remove()
    handle.remove()
    x.zero_grad()
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert len(seen) == 1


def test_a_hook_sees_the_finished_sum_once():
    x, seen = leaf(2.0), []
    y = x * 1
    y.register_hook(lambda dy: seen.append(float(dy)))
    (y * 3 + y * 4).backward()
    assert seen == [7.0]


def test_a_hook_in_the_middle_changes_what_goes_further_back():
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda dy: tcnn.tensor(dy) * 0 + 5)
    (y * 3).backward()
    assert y.grad.item() == 5.0  # as in PyTorch, what is retained is what the hooks made of it
    assert x.grad.item() == 10.0


def test_several_hooks_run_in_order():
    x = leaf(1.0)
    x.register_hook(lambda dx: dx + 1)
    x.register_hook(lambda dx: dx * 10)
    (x * 2).backward()
    assert x.grad.item() == 30.0


def test_hooks_get_an_array_they_cannot_write():
    x = leaf(1.0, 2.0)

    def careless(dx):
        dx *= 2

    x.register_hook(careless)
    with pytest.raises(ValueError, match="read-only"):
        (x * 2).sum().backward()


def test_a_hook_that_returns_another_shape():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda dx: dx.sum())
    with pytest.raises(ShapeError, match=r"hook on leaf: it returned shape \(\) for a gradient of shape \(2,\)"):
        (x * 2).sum().backward()


def test_hooks_need_a_graph():
    with pytest.raises(GraphError, match=r"register_hook: .*requires_grad=True"):
        tcnn.tensor(1.0).register_hook(print)
    with pytest.raises(GraphError, match=r"retain_grad: .*requires_grad=True"):
        tcnn.tensor(1.0).retain_grad()


def test_what_a_hook_returns_is_not_shared():
    x, mine = leaf(1.0, 2.0), np.array([7.0, 7.0], np.float32)
    x.register_hook(lambda dx: mine)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    assert mine.tolist() == [7.0, 7.0]
    assert x.grad.tolist() == [14.0, 14.0]


def test_retain_grad(torch):
    def run(library):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3
        y.retain_grad()
        loss = (y * y).sum()
        loss.backward(retain_graph=True)
        first = y.grad.tolist()
        loss.backward()
        return first, y.grad.tolist(), x.grad.tolist()

    assert run(tcnn) == run(torch)


def test_results_keep_no_gradient_unless_asked():
    x = leaf(1.0)
    y = x * 2
    y.backward()
    assert y.grad is None
    assert x.grad is not None


def test_retained_gradients_are_arrays_of_their_own():
    x = leaf(1.0, 2.0)
    y = x + 0
    y.retain_grad()
    y.backward(np.ones(2, np.float32))
    assert not np.shares_memory(x.grad, y.grad)


# ---- grad()


def test_grad_returns_instead_of_adding():
    x, y = leaf(2.0), leaf(3.0)
    dx, dy = grad(x * x * y, [x, y])
    assert (dx.item(), dy.item()) == (12.0, 4.0)
    assert isinstance(dx, tcnn.Tensor)
    assert not dx.requires_grad
    assert x.grad is None
    assert y.grad is None


def test_grad_of_results_and_leaves_at_once():
    x = leaf(2.0)
    y = x * x
    z = y * y
    dy, dx, dz = grad(z, [y, x, z])
    assert (dy.item(), dx.item(), dz.item()) == (8.0, 32.0, 1.0)


def test_grad_of_several_outputs_adds_up():
    x = leaf(1.0, 2.0)
    (dx,) = grad([x * 2, (x * x).sum()], x, [np.array([1.0, 10.0]), None])
    assert dx.tolist() == [4.0, 24.0]
    (dx,) = grad([x.sum(), x.sum()], [x])
    assert dx.tolist() == [2.0, 2.0]
    y = x * 2
    (dx,) = grad([y, y], x, [np.ones(2), np.ones(2)])  # one output twice
    assert dx.tolist() == [4.0, 4.0]
    (dx,) = grad([y.sum(), y.exp().sum()], y)  # an output above another
    np.testing.assert_allclose(dx.numpy(), 1 + np.exp([2.0, 4.0]), rtol=1e-6)


def test_the_same_input_twice():
    x = leaf(3.0)
    assert [d.item() for d in grad(x * x, [x, x])] == [6.0, 6.0]


def test_grad_of_an_unused_input():
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(GraphError, match=r"grad: input 1: there is no path.*allow_unused=True"):
        grad(x * 2, [x, y])
    dx, dy = grad(x * 2, [x, y], allow_unused=True)
    assert dx.item() == 2.0
    assert dy is None


def test_grad_refuses():
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match=r"grad: input 0: .*does not require a gradient"):
        grad(x.sum(), tcnn.tensor(1.0))
    with pytest.raises(GraphError, match=r"shape \(2,\) is not a single number"):
        grad(x * 2, x)
    with pytest.raises(ShapeError, match="2 grad_outputs for 1 outputs"):
        grad(x.sum(), x, [None, None])
    with pytest.raises(ShapeError, match=r"the gradient has shape \(3,\)"):
        grad(x * 2, x, np.ones(3))
    with pytest.raises(GraphError, match=r"grad: 0 outputs and 1 inputs; give one or more of each"):
        grad([], x)
    with pytest.raises(GraphError, match=r"grad: 1 outputs and 0 inputs"):
        grad(x.sum(), [])


def test_grad_frees_and_retains():
    x = leaf(2.0)
    y = x * x
    assert grad(y, x, retain_graph=True)[0].item() == 4.0
    assert grad(y, x)[0].item() == 4.0
    with pytest.raises(GraphError, match="second time"):
        grad(y, x)


def test_grad_goes_back_no_further_than_it_must():
    x, visits = leaf(2.0), []
    y = counting(x, visits) * x
    assert grad(y * y, y)[0].item() == 8.0
    assert visits == []
    assert grad(y, x)[0].item() == 4.0  # nothing below y was freed
    assert len(visits) == 1


def test_grad_runs_hooks():
    x = leaf(2.0)
    x.register_hook(lambda dx: dx * 10)
    assert grad(x * 3, x)[0].item() == 30.0


# ---- no_grad


def test_no_grad_as_a_block():
    x = leaf(1.0)
    with no_grad():
        assert not tcnn.is_grad_enabled()
        assert not (x * 2).requires_grad
        with tcnn.enable_grad():
            assert (x * 2).requires_grad
        assert not tcnn.is_grad_enabled()
    assert tcnn.is_grad_enabled()


def test_no_grad_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert tcnn.is_grad_enabled()


def test_no_grad_as_a_decorator_with_and_without_parentheses():
    @no_grad
    def bare(x, y=1):
        """Say so."""
        return (x * y).requires_grad, tcnn.is_grad_enabled()

    @no_grad()
    def called(x, y=1):
        """Say so."""
        return (x * y).requires_grad, tcnn.is_grad_enabled()

    @tcnn.enable_grad()
    def inner(x):
        return (x * 2).requires_grad

    for function in (bare, called):
        assert function(leaf(1.0), y=2) == (False, False)
        assert function(leaf(1.0)) == (False, False)  # again: it is not used up
        assert function.__doc__ == "Say so."
        assert function.__name__ in ("bare", "called")
    with no_grad():
        assert inner(leaf(1.0))
    assert tcnn.is_grad_enabled()


def test_no_grad_on_methods():
    class Model:
        scale = 3

        @no_grad
        def bare(self, x):
            return (x * self.scale).requires_grad

        @no_grad()
        def called(self, x):
            return (x * self.scale).requires_grad

        @staticmethod
        @no_grad
        def static(x):
            return (x * 2).requires_grad

        @classmethod
        @no_grad()
        def of_class(cls, x):
            return (x * cls.scale).requires_grad

    m, x = Model(), leaf(1.0)
    assert [m.bare(x), m.called(x), m.static(x), m.of_class(x), Model.bare(m, x)] == [False] * 5


def test_a_decorated_function_may_call_itself():
    @no_grad()
    def countdown(n):
        return n if n == 0 else countdown(n - 1)

    assert countdown(20) == 0
    assert tcnn.is_grad_enabled()


@pytest.mark.parametrize("decorate", [lambda: no_grad, lambda: no_grad()], ids=["bare", "called"])
def test_generators_run_without_gradients_and_leave_the_caller_alone(decorate):
    @decorate()
    def generate(x):
        yield (x * 2).requires_grad
        yield (x * 2).requires_grad

    for enabled in generate(leaf(1.0)):
        assert not enabled
        assert tcnn.is_grad_enabled()


def test_no_grad_is_per_thread():
    inside, done, seen = threading.Event(), threading.Event(), []

    def other():
        inside.wait(10)
        seen.append((leaf(1.0) * 2).requires_grad)
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad():
        inside.set()
        done.wait(10)
    thread.join()
    assert seen == [True]


def test_set_grad_enabled():
    with tcnn.set_grad_enabled(False):
        assert not tcnn.is_grad_enabled()
        with tcnn.set_grad_enabled(True):
            assert tcnn.is_grad_enabled()
    assert tcnn.is_grad_enabled()


def test_set_grad_enabled_counts_from_the_call_on():
    try:
        tcnn.set_grad_enabled(False)
        assert not tcnn.is_grad_enabled()
    finally:
        tcnn.set_grad_enabled(True)


def test_set_grad_enabled_as_a_decorator():
    @tcnn.set_grad_enabled(False)
    def inside():
        return tcnn.is_grad_enabled()

    assert tcnn.is_grad_enabled()
    assert not inside()
    assert not inside()
    assert tcnn.is_grad_enabled()


def test_generators_take_what_is_sent_and_return():
    @no_grad()
    def echo():
        first = yield 1
        yield first * 2
        return 7

    steps = echo()
    assert next(steps) == 1
    assert steps.send(5) == 10
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == 7


def test_backward_in_several_threads_at_once():
    x = tcnn.randn(20, 20, requires_grad=True)

    def step(results, i):
        loss = ((x * (i + 1)) @ x.T).tanh().sum()
        results[i] = grad(loss, x)[0].numpy()

    alone: dict = {}
    for i in range(4):
        step(alone, i)
    together: dict = {}
    threads = [threading.Thread(target=step, args=(together, i)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i in range(4):
        np.testing.assert_array_equal(alone[i], together[i])


# ---- detach, clone, deepcopy


def test_detach_shares_memory_and_stops_the_gradient():
    x = leaf(1.0, 2.0)
    d = x.detach()
    assert np.shares_memory(d.data, x.data)
    assert not d.requires_grad
    (x * d).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]


def test_clone_is_a_copy_with_a_gradient():
    x = leaf(1.0, 2.0)
    c = x.clone()
    assert not np.shares_memory(c.data, x.data)
    assert c.grad_fn.name == "clone"
    (c * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_deepcopy():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert (y.requires_grad, y.is_leaf, y.tolist(), y.grad.tolist()) == (True, True, [1.0, 2.0], [2.0, 4.0])
    assert not np.shares_memory(x.data, y.data)
    assert not np.shares_memory(x.grad, y.grad)
    (y * 5).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    pair = copy.deepcopy([x, x])
    assert pair[0] is pair[1]
    with pytest.raises(GraphError, match=r"deepcopy: .*result of mul"):
        copy.deepcopy(x * 2)
    assert not copy.deepcopy(tcnn.tensor([1, 2])).requires_grad


def test_a_deep_copy_can_be_written():
    y = copy.deepcopy((leaf(1.0, 2.0) * 2).detach())
    y[0] = 7.0
    assert y.tolist() == [7.0, 4.0]


# ---- why is there no gradient?


def explained(tensor, loss=None):
    return explain_grad(tensor, loss)


def test_explain_a_result():
    y = leaf(1.0) * 2
    assert "not a leaf but the result of mul" in explained(y)
    assert "retain_grad()" in explained(y)


def test_explain_a_tensor_that_never_asked():
    assert "make the leaves with requires_grad=True" in explained(tcnn.tensor(1.0))
    assert "int64 numbers, which have no gradient" in explained(tcnn.tensor(1))


def test_explain_no_grad():
    w = leaf(1.0)
    with no_grad():
        h = w * 2
    loss = h * leaf(1.0)
    message = explained(w, loss)
    assert "mul takes x from mul under no_grad()" in message
    assert "test_autograd.py:" in message
    assert "under no_grad()" in explained(h)


def test_explain_detach():
    w = leaf(1.0)
    h = (w * 2).detach()
    loss = (h + leaf(1.0)).exp()
    message = explained(w, loss)
    assert "add takes x from detach()" in message
    assert "test_autograd.py:" in message
    assert "result of detach()" in explained(h)


def test_explain_a_cut_that_operations_lie_behind():
    w = leaf(1.0)
    h = (w * 2).detach() * 3 + 1
    assert "from detach()" in explained(w, h * leaf(2.0))


def test_explain_a_copy():
    w = leaf(1.0)
    assert "copied with Tensor(...)" in explained(w, tcnn.Tensor(w) * leaf(1.0))


def test_explain_an_operation_without_a_gradient():
    w = leaf(1.0, 2.0)
    assert "argmax, which has no gradient" in explained(w, w.argmax() * leaf(1.0))


def test_explain_no_path():
    assert "nothing in the loss was computed from it" in explained(leaf(1.0), leaf(1.0) * 2)


def test_explain_a_loss_without_graph():
    with no_grad():
        loss = leaf(1.0) * 2
    assert "the loss has no graph" in explained(leaf(1.0), loss)


def test_explain_before_backward():
    w = leaf(1.0)
    assert "backward was not called yet" in explained(w, w * 2)
    assert "backward was not called" in explained(w)


def test_explain_a_gradient_that_is_there():
    w = leaf(1.0)
    (w * 2).backward()
    assert explained(w) == "it has a gradient"


def test_explanations_keep_nothing_alive():
    import gc
    import weakref

    w = leaf(np.ones(10))
    h = w * 2
    watched = weakref.ref(h.grad_fn)
    d = h.detach()
    gc.disable()
    try:
        del h
        assert watched() is None
        assert "detach()" in explained(d)
    finally:
        gc.enable()


# ---- mistakes in operations


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: tcnn.zeros(2, 3) + tcnn.zeros(2, 4), r"add: shapes \(2, 3\) and \(2, 4\).*axis −1 has 3 and 4"),
        (lambda: tcnn.zeros(2, 3) @ tcnn.zeros(2, 3), r"matmul: x \(2, 3\) has 3 columns, y \(2, 3\) has 2 rows"),
        (lambda: tcnn.zeros(2) @ tcnn.tensor(1.0), "matmul: .*0-d tensor.*multiply with"),
        (lambda: tcnn.zeros(2, 2, 3) @ tcnn.zeros(4, 3, 2), r"matmul \(leading dimensions\).*\(2,\) and \(4,\)"),
        (lambda: tcnn.where([True, False, True], tcnn.zeros(2), 1.0), r"where: shapes \(3,\) and \(2,\)"),
        (lambda: tcnn.maximum(tcnn.zeros(2), tcnn.zeros(3)), r"maximum: shapes \(2,\) and \(3,\)"),
        (lambda: tcnn.zeros(2, 3).reshape(4, 2), r"reshape: \(2, 3\) holds 6 numbers.*\(4, 2\)"),
        (lambda: tcnn.zeros(2, 3).reshape(-1, 4), r"reshape: \(2, 3\) holds 6"),
        (lambda: tcnn.zeros(2, 3).reshape(-1, -1), r"reshape: \(2, 3\)"),
        (lambda: tcnn.zeros(2, 3).T.view(6), r"view: \(3, 2\) cannot become \(6,\) without copying.*reshape"),
        (lambda: tcnn.zeros(2, 3).sum(2), "sum: there is no dimension 2 in a tensor with 2"),
        (lambda: tcnn.zeros(2, 3).mean((0, -2)), "mean: a dimension appears twice"),
        (lambda: tcnn.zeros(2, 3).max((0, 1)), r"max/min: dim=\(0, 1\).*amax"),
        (lambda: tcnn.zeros(0).max(), "amax: .*hold no numbers"),
        (lambda: tcnn.zeros(0, 2).min(0), r"min: dimension 0 of a tensor of shape \(0, 2\)"),
        (lambda: tcnn.zeros(0).argmax(), "argmax: .*no numbers"),
        (lambda: tcnn.zeros(2, 3).argmin(5), "argmin: there is no dimension 5"),
        (lambda: tcnn.arange(3).mean(), r"mean: needs floating-point numbers, not int64; convert with \.float"),
        (lambda: tcnn.arange(3).std(), r"std: needs floating-point numbers, not int64"),
        (lambda: tcnn.zeros(2, 3).permute(0, 0), "permute: a dimension appears twice"),
        (lambda: tcnn.zeros(2, 3).permute(0), "permute: .*each of the 2 dimensions"),
        (lambda: tcnn.zeros(2, 3).transpose(0, 2), "transpose: there is no dimension 2"),
        (lambda: tcnn.zeros(2, 3, 4).t(), r"t: .*more than 2.*transpose"),
        (lambda: tcnn.zeros(2, 3).expand(4, 3), r"expand: only dimensions of size 1.*\(2, 3\).*\(4, 3\)"),
        (lambda: tcnn.zeros(2, 3).expand(3), "expand: .*fewer dimensions"),
        (lambda: tcnn.zeros(3).expand(-1, 3), "expand: "),
        (lambda: tcnn.zeros(2, 3).unsqueeze(4), "unsqueeze: there is no dimension 4"),
        (lambda: tcnn.zeros(2, 3).flatten(1, 0), "flatten: start_dim 1 lies behind end_dim 0"),
        (lambda: tcnn.cat([tcnn.zeros(2, 3), tcnn.zeros(3, 3)], 1), r"cat: tensor 1 has shape \(3, 3\), tensor 0"),
        (lambda: tcnn.cat([tcnn.tensor(1.0)]), "cat: 0-d tensors.*stack"),
        (lambda: tcnn.cat([]), "cat: give a list of at least one"),
        (lambda: tcnn.stack(tcnn.zeros(2)), "stack: give a list"),
        (lambda: tcnn.stack([tcnn.zeros(2), tcnn.zeros(3)]), r"stack: tensor 1 has shape \(3,\)"),
        (lambda: tcnn.zeros(5).split([2, 2]), r"split: sizes \[2, 2\] must add up to 5"),
        (lambda: tcnn.zeros(5).split(0), "split: the size of a piece"),
        (lambda: tcnn.zeros(5).chunk(0), "chunk: the number of pieces"),
        (lambda: tcnn.tensor(1.0).split(1), "split: a 0-d tensor has no dimension"),
        (lambda: tcnn.tensor(1.0).unbind(), "unbind: a 0-d tensor has no dimension"),
        (lambda: tcnn.zeros(3).topk(4), "topk: k=4 of 3 numbers"),
        (lambda: tcnn.zeros(3).gather(0, tcnn.zeros(2)), r"gather: index is float32.*\.long\(\)"),
        (lambda: tcnn.zeros(3, 2).gather(0, tcnn.tensor([0])), r"gather: index \(1,\).*x \(3, 2\)"),
        (lambda: tcnn.zeros(3)[tcnn.zeros(2)], r"index: picks with float32.*\.long\(\)"),
        (lambda: tcnn.zeros(3)[tcnn.zeros(2, dtype="uint8")], r"index: uint8.*\.long\(\) or \.bool\(\)"),
        (lambda: tcnn.zeros(3).gather(0, tcnn.tensor([0, -1])), r"gather: indices -1\.\.0 must lie in 0\.\.2"),
        (lambda: tcnn.zeros(3).gather(0, tcnn.tensor([3])), r"gather: indices 3\.\.3 must lie in 0\.\.2"),
        (lambda: "a" in tcnn.zeros(3), "in: a str is no number"),
        (lambda: tcnn.zeros(3)[5], "index 5 is out of bounds"),
        (lambda: tcnn.zeros(3)[0, 0], "too many indices"),
        (lambda: tcnn.zeros(3)[[True, False]], "boolean index did not match"),
        (lambda: tcnn.zeros(3).clamp(), "clamp: give min, max or both"),
        (lambda: tcnn.zeros(3).clamp("1"), "clamp: takes tensors, arrays and numbers, not Tensor and str"),
        (lambda: tcnn.zeros(3).sum(axes=0), "unknown argument 'axes'.*axis and keepdims"),
        (lambda: tcnn.zeros(3).item(), r"item: a tensor of shape \(3,\) holds 3 numbers.*tolist"),
        (lambda: bool(tcnn.zeros(3)), r"truth of 3 numbers is ambiguous.*any\(\) or \.all"),
        (lambda: len(tcnn.tensor(1.0)), "0-d tensor has no length"),
        (lambda: list(tcnn.tensor(1.0)), "0-d tensor cannot be iterated"),
        (lambda: range(tcnn.tensor(1.5)), "only whole numbers can be an index"),
        (lambda: tcnn.Tensor([[1.0], [1.0, 2.0]]), "nested lists must have equal lengths"),
        (lambda: tcnn.from_numpy([1.0]), r"from_numpy: list is not an array; use Tensor"),
        (lambda: tcnn.zeros(2) + "a", "unsupported operand"),
        (lambda: tcnn.zeros(2) < None, "not supported between"),
        (lambda: tcnn.zeros(2).maximum("a"), "maximum: .*str"),
        (lambda: tcnn.where(True, tcnn.zeros(2), None), "where: .*NoneType"),
        (lambda: tcnn.zeros(2).pow(None), "unsupported operand"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(wrong, message):
    with pytest.raises(Exception, match=message):
        wrong()
