"""The exercises on activations, the graph, linear layers, losses and optimizers: solutions, wrong versions, laws."""

import functools
import inspect
import itertools
import warnings

import numpy as np
import pytest
from exercising import one_process  # noqa: F401

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import nn, optim
from tinygrad_cnn.exercises import checking
from tinygrad_cnn.exercises.cases import Case
from tinygrad_cnn.exercises.catalogue import SEED, Catalogue
from tinygrad_cnn.exercises.sandbox import wire
from tinygrad_cnn.textbook import activation, graph, linear, loss, optimizer

ALL = Catalogue()
IDS = [
    "relu", "sigmoid", "tanh", "unbroadcast", "toposort", "backward",
    "linear_forward", "linear_backward", "softmax", "cross_entropy", "sgd", "adam",
]  # fmt: skip
FUNCTIONS = [(id, name) for id in IDS for name in ALL[id].tasks]
LAWS = [(id, i) for id in IDS for i in range(len(ALL[id].laws()))]


# ---- the solutions against the library


def equal(got, expected):
    rounding = {"float32": 1e-6, "float64": 1e-12}[str(expected.dtype)]
    np.testing.assert_allclose(got, expected, rtol=rounding, atol=rounding)
    assert got.dtype == expected.dtype


def slopes(function, dy, *arrays):
    """The library's result, and its gradients of all arrays."""
    tensors = [tcnn.Tensor(array, requires_grad=True) for array in arrays]
    y = function(*tensors)
    y.backward(dy)
    return y.numpy(), [tensor.grad for tensor in tensors]


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations(rng, name, dtype):
    dy, x = rng.normal(size=(2, 4, 7)).astype(dtype)
    x[1, 2], x[3] = 0, 400 * x[3]
    function = {"softmax": lambda x: F.softmax(x, 1)}.get(name, getattr(F, name))
    y, (dx,) = slopes(function, dy, x)
    equal(getattr(activation, f"{name}_forward")(x), y)
    equal(getattr(activation, f"{name}_backward")(dy, x if name == "relu" else y), dx)


def test_the_linear_layer(rng):
    x, weight, bias, dy = (rng.normal(size=shape) for shape in ((5, 3), (2, 3), (2,), (5, 2)))
    y, gradients = slopes(F.linear, dy, x, weight, bias)
    equal(linear.linear_forward(x, weight, bias), y)
    for got, expected in zip(linear.linear_backward(dy, x, weight), gradients, strict=True):
        equal(got, expected)


@pytest.mark.parametrize("size", [1.0, 1000.0])
def test_cross_entropy(rng, size):
    scores, labels = size * rng.normal(size=(5, 3)), np.array([2, 0, 0, 1, 2])
    expected, (dscores,) = slopes(lambda x: F.cross_entropy(x, tcnn.tensor(labels)), np.ones(()), scores)
    value, p = loss.cross_entropy_forward(scores, labels)
    equal(value, expected[()])
    equal(p, F.softmax(tcnn.tensor(scores), 1).numpy())
    equal(loss.cross_entropy_backward(p, labels), dscores)


def test_unbroadcast(rng):
    unbroadcast = ALL["unbroadcast"].function("unbroadcast")
    for case in ALL["unbroadcast"].cases():
        dy, shape = case.args
        _, (expected,) = slopes(
            lambda x, big=dy.shape: x + tcnn.zeros(big, dtype=x.dtype), dy, np.ones(shape, dy.dtype)
        )
        assert unbroadcast(dy, shape).shape == shape
        np.testing.assert_allclose(unbroadcast(dy, shape), expected, rtol=1e-6)


def test_backward_is_autograd(rng):
    """On random graphs: sums of earlier results times numbers, as nodes and as tensors."""
    for seed in range(20):
        numbers = np.random.default_rng(seed)
        nodes, tensors = [wire.Node("x0")], [tcnn.Tensor(np.zeros((2, 3)), requires_grad=True)]
        for i in range(1, 9):
            picked = numbers.integers(0, i, size=numbers.integers(1, 4))
            factors = numbers.normal(size=len(picked))
            nodes.append(wire.Node(f"x{i}", tuple(nodes[p] for p in picked), tuple(factors)))
            tensors.append(sum(tensors[p] * factor for p, factor in zip(picked, factors)))
            tensors[-1].retain_grad()
        dy = numbers.normal(size=(2, 3))
        graph.backward(nodes[-1], dy)
        tensors[-1].backward(dy)
        for node, tensor in zip(nodes, tensors, strict=True):
            assert (node.grad is None) == (tensor.grad is None)
            if node.grad is not None:
                np.testing.assert_allclose(node.grad, tensor.grad, rtol=1e-12)


def test_sgd_and_adam(rng):
    """Several steps of the optimizers, with a learning rate that changes on the way."""
    w0, gradients = rng.normal(size=(4, 3)), rng.normal(size=(5, 4, 3))
    for make in ("SGD", "Adam"):
        parameter, w = nn.Parameter(w0.copy()), w0.copy()
        settings = {"momentum": 0.8, "weight_decay": 0.3} if make == "SGD" else {"betas": (0.7, 0.95), "eps": 0.1}
        steps = getattr(optim, make)([parameter], lr=0.1, **settings)
        first, second = np.zeros_like(w), np.zeros_like(w)
        for i, dw in enumerate(gradients, start=1):
            parameter.grad, steps.param_groups[0]["lr"] = dw.copy(), 0.1 * i
            steps.step()
            if make == "SGD":
                optimizer.sgd_step(w, dw, first, 0.1 * i, 0.8, 0.3)
            else:
                optimizer.adam_step(w, dw, first, second, i, 0.1 * i, 0.7, 0.95, 0.1)
            np.testing.assert_allclose(w, parameter.numpy(), rtol=1e-12)


# ---- wrong versions and cases


@functools.cache
def cases(id, name, seed=SEED):
    """Nobody changes them: what is called gets copies."""
    return [case for case in ALL[id].cases(seed) if case.function == name]


def called(id, case, function):
    """Its result and what it changed; or the exception's name."""
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        told = wire.invoke(function, wire.write(case.args), case.kind)
    if "raised" in told:
        return told["raised"]["type"]
    value, after = wire.read(told["returned"])
    names = list(inspect.signature(function).parameters)
    changed = [after[names.index(name)] for name in ALL[id].tasks[case.function].changes]
    return [value, *(wire.graph(a) if isinstance(a, wire.Node) else a for a in changed)]


@functools.cache
def outcome(id, name, mistakes, i, seed=SEED):
    return called(id, cases(id, name, seed)[i], ALL[id].function(name, *mistakes))


def alike(id, name, a, b, seed=SEED):
    """Whether two versions do the same in all cases, as far as the smallest tolerance that is in use can tell."""
    numbers = range(len(cases(id, name, seed)))
    return all(wire.same(outcome(id, name, a, i, seed), outcome(id, name, b, i, seed), 1e-4, 1e-5) for i in numbers)


@pytest.mark.parametrize("seed", [SEED, 7])
@pytest.mark.parametrize(("id", "name"), FUNCTIONS)
def test_no_two_versions_do_the_same(id, name, seed):
    versions = [(), *((mistake.id,) for mistake in ALL[id].tasks[name].mistakes)]
    assert len(versions) > 5
    assert [(a, b) for a, b in itertools.combinations(versions, 2) if alike(id, name, a, b, seed)] == []


@pytest.mark.parametrize(("id", "name"), FUNCTIONS)
def test_two_mistakes_at_once_are_not_right(id, name):
    assert [pair for pair in ALL[id].pairs(name) if alike(id, name, pair, ())] == []


@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_a_file_of_its_own(id):
    """It runs in an empty module, as a student's file does, and does what the solution does."""
    names = {"__name__": "student"}
    exec(compile(ALL[id].solution(), id, "exec", dont_inherit=True), names)
    for name in ALL[id].tasks:
        for i, case in enumerate(cases(id, name)):
            assert wire.same(called(id, case, names[name]), outcome(id, name, (), i), 0, 0)


def arrays_in(value):
    if isinstance(value, wire.Node):
        return [value.grad]
    if isinstance(value, list | tuple):
        return [array for part in value for array in arrays_in(part)]
    return [] if value is None else [value]


@pytest.mark.parametrize(("id", "name"), [f for f in FUNCTIONS if f != ("toposort", "toposort")])
def test_float32_stays_float32(id, name):
    (i,) = [i for i, case in enumerate(cases(id, name)) if "float32" in case.label]
    assert {array.dtype for array in arrays_in(outcome(id, name, (), i))} == {np.dtype("float32")}


@pytest.mark.parametrize(("id", "i"), LAWS)
def test_laws_hold_for_the_solution_and_not_for_every_wrong_version(id, i):
    law = ALL[id].laws()[i]

    def obeyed(*mistakes):
        function = ALL[id].function(law.function, *mistakes)
        results = [called(id, Case(law.function, args), function) for args in law.calls]
        try:
            return bool(law.holds([result[0] for result in results]))
        except (ValueError, TypeError, AttributeError):  # an exception's name, or another shape
            return None

    assert obeyed() is True
    assert False in [obeyed(mistake.id) for mistake in ALL[id].tasks[law.function].mistakes]


@pytest.mark.parametrize(("id", "name"), FUNCTIONS)
def test_every_number_can_be_traced(id, name):
    task = ALL[id].tasks[name]
    for i, case in enumerate(cases(id, name)):
        value, *changed = outcome(id, name, (), i)
        parts = list(zip(task.returns, value if isinstance(value, tuple) else [value]))
        for argument, after in zip(task.changes, changed):
            parts += [(f"{n.name}.grad", n.grad) for n in after] if isinstance(after, list) else [(argument, after)]
        for part, array in parts:
            if isinstance(array, np.ndarray) and array.ndim and array.size:
                where = ALL[id].where(case, part, tuple(size - 1 for size in array.shape))
                assert where.startswith(("it is ", "before the step, "))
                assert "nan" not in where


# ---- what a student is told, whatever the style


STYLES = [
    ("relu", "relu_backward", "dx = dy.copy()\n    dx[x < 0] = 0\n    return dx", "passes-at-zero"),
    ("relu", "relu_backward", "return dy * (dy > 0)", "mask-of-dy"),
    ("relu", "relu_forward", "return np.array([v for v in x.flat if v > 0])", "filtered"),
    ("sigmoid", "sigmoid_forward", "e = np.exp(x)\n    return np.divide(e, e + 1)", "overflow"),
    ("sigmoid", "sigmoid_backward", "return dy - dy * y**2", "slope-of-tanh"),
    ("tanh", "tanh_forward", "return 2 / (1 + np.exp(-x)) - 1", "half"),
    ("unbroadcast", "unbroadcast", "return dy.sum(axis=tuple(range(dy.ndim - len(shape))))", "leading-only"),
    (
        "toposort",
        "toposort",
        "been = []\n    def go(n):\n        if n in been:\n            return\n        been.append(n)\n"
        "        [go(p) for p in n.parents]\n    go(root)\n    return been",
        "preorder-by-recursion",
    ),
    (
        "toposort",
        "toposort",
        "from collections import deque\n    seen, todo, out = set(), deque([root]), []\n    while todo:\n"
        "        n = todo.popleft()\n        if n not in seen:\n            seen.add(n)\n            out.append(n)\n"
        "            todo.extend(n.parents)\n    return out",
        "breadth-first",
    ),
    (
        "backward",
        "backward",
        "root.grad = dy\n    def go(n):\n        for p, s in zip(n.parents, n.backward(n.grad)):\n"
        "            p.grad = s if p.grad is None else p.grad + s\n            go(p)\n    go(root)",
        "turn-for-each-share-by-recursion",
    ),
    ("linear_forward", "linear_forward", "return np.einsum('nf,df->nd', x, weight)", "no-bias"),
    ("linear_forward", "linear_forward", "return np.matmul(x, weight) + bias", "not-transposed"),
    (
        "linear_backward",
        "linear_backward",
        "dw, db = np.zeros_like(weight), np.zeros_like(weight[:, 0])\n    for n in range(len(x)):\n"
        "        for d in range(len(weight)):\n            dw[d] = dy[n, d] * x[n]\n            db[d] += dy[n, d]\n"
        "    return dy @ weight, dw, db",
        "last-sample-only",
    ),
    ("linear_backward", "linear_backward", "return dy @ weight, dy.T @ x, dy", "dbias-not-summed"),
    ("softmax", "softmax_forward", "return np.exp(x) / np.exp(x).sum(-1)[:, None]", "no-shift"),
    ("softmax", "softmax_backward", "return dy * (y - y * y)", "as-sigmoid"),
    (
        "cross_entropy",
        "cross_entropy_forward",
        "e = np.exp(scores - scores.max(1)[:, None])\n    p = e / e.sum(1)[:, None]\n    total = 0\n"
        "    for n in range(len(p)):\n        total -= np.log(p[n, labels[n]])\n    return total, p",
        "not-divided",
    ),
    ("cross_entropy", "cross_entropy_backward", "return p / len(labels)", "labels-unused"),
    ("sgd", "sgd_step", "velocity[:] = momentum * velocity - lr * (dw + weight_decay * w)\n    w += velocity",
     "downhill-velocity"),
    ("sgd", "sgd_step", "w[:] = (1 - lr * weight_decay) * w\n    velocity *= momentum\n    velocity += dw\n"
     "    w[:] = w - lr * velocity", "decay-beside-velocity"),
    ("adam", "adam_step", "m[:] = beta1 * m + (1 - beta1) * dw\n    v[:] = beta2 * v + (1 - beta2) * dw**2\n"
     "    w -= lr * m / (np.sqrt(v) + eps)", "no-correction"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "name", "body", "mistake"), STYLES)
@pytest.mark.usefixtures("one_process")
def test_a_mistake_in_another_style_is_named(tmp_path, id, name, body, mistake):
    exercise, file = ALL[id], tmp_path / "answer.py"
    arguments = ", ".join(checking.expected(exercise).parameters(exercise.tasks[name]))
    text = f"{exercise.solution()}\n\ndef {name}({arguments}):\n    {body}\n"
    file.write_text(text, encoding="utf-8")
    with np.errstate(all="ignore"):
        verdict = checking.check(exercise, file)
    (finding,) = [part.finding for part in verdict.parts if part.function == name]
    assert (finding.kind, finding.mistakes) == ("mistake", (mistake,)), finding
    assert [part.passed for part in verdict.parts if part.function != name] == [True] * (len(verdict.parts) - 1)


@pytest.mark.parametrize(
    ("id", "name", "body", "kind", "says"),
    [
        ("sgd", "sgd_step", "return w - lr * dw", "returned", "nothing, but change w and velocity in place"),
        ("backward", "backward", "return dy", "returned", "nothing, but change root in place; it returned 4"),
        ("backward", "backward", "root.grad = 2 * dy", "value", "y.grad is 8, should be 4"),
        ("adam", "adam_step", "w[:] = v[:] = m[:] = 5", "value", "w[0] is 5, should be 0.75"),
        ("cross_entropy", "cross_entropy_backward",
         "p[range(len(p)), labels] -= 1\n    return p / len(p)", "changed", "changed its argument p"),
        ("toposort", "toposort", "return [root, *root.parents, root]", "law", "should be [<node x>]"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("one_process")
def test_what_is_said_of_graphs_and_changes_in_place(tmp_path, id, name, body, kind, says):
    exercise, file = ALL[id], tmp_path / "answer.py"
    arguments = ", ".join(checking.expected(exercise).parameters(exercise.tasks[name]))
    file.write_text(f"{exercise.solution()}\n\ndef {name}({arguments}):\n    {body}\n", encoding="utf-8")
    (finding,) = [part.finding for part in checking.check(exercise, file).parts if part.function == name]
    assert finding.kind == kind
    assert says in finding.says + finding.detail
