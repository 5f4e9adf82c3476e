"""`viz.why`: the paths to one number of a gradient, against all paths multiplied out one by one."""

from __future__ import annotations

import copy
import itertools
import json
import math

import numpy as np
import pytest
import standin
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinygrad_cnn as tcnn
from tinygrad_cnn import functional as F
from tinygrad_cnn import models, nn, optim, random, viz
from tinygrad_cnn.function import Function, GraphError
from tinygrad_cnn.viz.why import why

EVERYTHING = 10**9


def wanting(values, dtype="float64"):
    return tcnn.tensor(np.asarray(values, dtype), requires_grad=True)


def noise(*shape, seed=0):
    return wanting(np.random.default_rng(seed).normal(size=shape))


def jacobian(operation, index):
    """∂output/∂input as a matrix, row by row from a backward whose saved values are there still."""
    again = copy.copy(operation)
    rows = []
    for j in range(math.prod(operation.shape)):
        dy = np.zeros(operation.shape)
        dy[np.unravel_index(j, operation.shape)] = 1
        dx = again.gradients(dy)[index]
        rows.append(np.zeros(operation.parents[index].shape).ravel() if dx is None else np.ravel(dx))
    return np.array(rows)


def all_paths(node, place, root):
    """Every path with a product other than 0: the names and places passed, and the product."""
    uses, seen, todo = {}, set(), [root]
    while todo:
        operation = todo.pop()
        if operation not in seen and isinstance(operation, Function):
            seen.add(operation)
            for index, parent in enumerate(operation.parents):
                if parent is not None:
                    uses.setdefault(parent, []).append((operation, jacobian(operation, index)))
                    todo.append(parent)
    found = []

    def follow(at, i, product, trail):
        if at is root:
            found.append((trail, product))
        for operation, matrix in uses.get(at, ()):
            for j in np.flatnonzero(matrix[:, i]):
                follow(operation, j, product * matrix[j, i], (*trail, (operation.name, int(j))))

    follow(node, place, 1.0, ())
    return found


def check(tensor, loss, index=None, limit=EVERYTHING):
    """All paths are found, each with its factors, sorted, and their sum is the gradient that backward computes."""
    index = tuple(0 for _ in tensor.shape) if index is None else index
    place = int(np.ravel_multi_index(index, tensor.shape)) if index else 0
    answer = why(tensor, index, loss, limit=limit)
    expected = sorted(all_paths(tensor.node, place, loss.node))
    trails = []
    for path in answer.paths:
        np.testing.assert_allclose(math.prod(s.factor for s in path.steps) * path.start, path.contribution, rtol=1e-12)
        trails.append((tuple((s.operation, s.index) for s in path.steps), path.contribution))
    assert answer.complete
    assert answer.count == len(expected)
    assert answer.rest == 0.0 or len(answer.paths) < len(expected)
    sizes = [abs(path.contribution) for path in answer.paths]
    assert all(a >= b * (1 - 1e-8) for a, b in itertools.pairwise(sizes))
    products = sorted((abs(product) for _, product in expected), reverse=True)
    np.testing.assert_allclose(sizes, products[: len(sizes)], rtol=1e-8, atol=1e-300)
    if len(answer.paths) == len(expected):
        names = sorted(tuple(name for name, _ in trail) for trail, _ in expected)
        assert sorted(tuple(name for name, _ in trail) for trail, _ in trails) == names
        np.testing.assert_allclose(sorted(c for _, c in trails), sorted(p for _, p in expected), rtol=1e-9, atol=1e-300)
    (gradient,) = tcnn.grad(loss, tensor, retain_graph=True)
    scale = max([1e-300, *sizes, abs(float(gradient.numpy()[index]))])
    total = math.fsum(path.contribution for path in answer.paths) + answer.rest
    assert abs(total - gradient.numpy()[index]) <= 1e-11 * scale * max(1, math.sqrt(answer.count))
    assert math.fsum([total, answer.difference]) == pytest.approx(answer.value, rel=1e-12, abs=1e-12 * scale)
    shares = math.fsum(share.contribution for share in answer.by_consumer)
    assert shares == pytest.approx(answer.value, rel=1e-9, abs=1e-11 * scale)
    if answer.by_route:
        assert math.fsum(share.contribution for share in answer.by_route) == pytest.approx(
            answer.value, rel=1e-9, abs=1e-11 * scale
        )
    if limit == EVERYTHING:
        numbers = math.fsum(share.contribution for share in answer.by_number)
        assert numbers == pytest.approx(answer.value, rel=1e-9, abs=1e-11 * scale)
    assert json.loads(json.dumps(answer.to_dict()))["value"] == answer.value
    return answer


# ---- graphs made by hand


def test_the_example_of_the_lecture():
    x, y, z = (wanting(number) for number in (-2.0, 5.0, -4.0))
    with viz.record() as tape:
        f = (x + y) * z
        f.backward()
    answer = why(x)
    assert answer.value == -4.0
    assert [(s.operation, s.index, s.factor) for s in answer.paths[0].steps] == [("add", (), 1.0), ("mul", (), -4.0)]
    assert str(answer).splitlines() == [
        "Why is ∂L/∂x = −4?",
        "",
        "One path leads from x to L, the result of mul.",
        "Along it the local derivatives are multiplied:",
        "",
        "  −4 = 1 · (−4)   x → add → mul",
        "",
        "  ∂add/∂x   =  1   hands the gradient on to both",
        "  ∂mul/∂add = −4   swaps: each gets the gradient times the other one",
    ]
    assert repr(answer) == "<viz.Why: ∂L/∂x = −4, paths: 1; print it>"
    assert tape.why(z).value == 3.0
    assert "z → mul" in str(tape.why(z))


def test_a_sum_of_several_paths_as_text():
    w = wanting([[3.0, 1.0], [2.0, 5.0]])
    x = tcnn.tensor([2.0, 4.0], dtype="float64")
    s = tcnn.tensor([0.5, 0.25], dtype="float64")
    loss = (((w * x).sum(1) + w.sum(1)) * s).sum()
    assert str(why(w, (0, 1), loss)).splitlines()[:9] == [
        "Why is ∂L/∂w[0, 1] = 2.5?",
        "",
        "2 paths lead from w[0, 1] to L, the result of sum.",
        "Along each the local derivatives are multiplied (factors of 1 are not written), "
        "and the products are added up:",
        "",
        "    +2 = 4 · 0.5           w[0, 1] → mul[0, 1] → sum[0] → add[0] → mul[0] → sum",
        "  +0.5 = 1 · 1 · 0.5 · 1   w[0, 1] → sum[0] → add[0] → mul[0] → sum",
        "  ────",
        "  +2.5 = ∂L/∂w[0, 1]",
    ]


def test_a_tensor_that_enters_twice():
    x = wanting(3.0)
    answer = check(x, x * x + 2 * x)
    assert answer.value == 8.0
    assert [p.contribution for p in answer.paths] == [3.0, 3.0, 2.0]
    text = str(why(x, loss=x * x + 2 * x))
    assert "x → mul (as x) → add" in text
    assert "x → mul (as y) → add" in text


def test_branches_that_cancel_are_shown():
    x = wanting([1.0, 2.0])
    y = x * 2
    answer = check(x, (y - y).sum(), (1,))
    assert answer.value == 0.0
    assert sorted(p.contribution for p in answer.paths) == [-2.0, 2.0]


def test_cancelling_inside_one_operation():
    x = wanting([1.0, 2.0, 4.0])
    answer = check(x, F.linear(x[None], wanting([[1.0, 0.0, 2.0], [-1.0, 3.0, 2.0]])).sum(), (0,))
    assert answer.value == 0.0
    assert answer.count == 2


CASES = {
    "broadcast": lambda: (noise(3), lambda b: ((noise(2, 3, seed=1) + b) * noise(2, 1, seed=2)).sum(), (1,)),
    "division": lambda: (wanting([1.5, 2.0]), lambda x: (1 / x + x / x.sum()).sum(), (0,)),
    "matmul": lambda: (noise(3, 2), lambda w: ((noise(2, 3, seed=1) @ w) ** 2).mean(), (2, 1)),
    "matmul left": lambda: (noise(2, 3), lambda x: (x @ noise(3, 2, seed=1)).exp().sum(), (1, 0)),
    "max pooling": lambda: (noise(1, 1, 5, 5), lambda x: (F.max_pool2d(x, 3, stride=1) ** 2).sum(), (0, 0, 2, 2)),
    "average pooling": lambda: (noise(1, 2, 5, 4), lambda x: (F.avg_pool2d(x, 3, 2, 1) ** 2).sum(), (0, 1, 2, 1)),
    "convolution, weight": lambda: (
        noise(2, 3, 3, 2),
        lambda w: F.relu(F.conv2d(noise(2, 3, 5, 6, seed=1), w, None, stride=2, padding=1)).sum(),
        (1, 2, 0, 1),
    ),
    "convolution, image": lambda: (
        noise(1, 2, 5, 4),
        lambda x: (F.conv2d(x, noise(3, 2, 3, 3, seed=1), noise(3, seed=2), stride=2, padding=1) ** 2).mean(),
        (0, 1, 2, 3),
    ),
    "groups": lambda: (
        noise(1, 4, 3, 3),
        lambda x: (F.conv2d(x, noise(4, 2, 2, 2, seed=1), groups=2) ** 2).sum(),
        (0, 3, 1, 1),
    ),
    "transposed convolution": lambda: (
        noise(1, 2, 2, 3),
        lambda x: (F.conv_transpose2d(x, noise(2, 1, 3, 3, seed=1), stride=2) ** 2).sum(),
        (0, 1, 1, 1),
    ),
    "cross entropy": lambda: (noise(3, 4), lambda s: F.cross_entropy(s * s, tcnn.tensor([1, 0, 3])), (2, 1)),
    "softmax": lambda: (noise(2, 3), lambda s: (F.softmax(s, 1) * noise(2, 3, seed=1)).sum(), (1, 1)),
    "batch norm": lambda: (
        noise(3, 2, 2),
        lambda x: (F.batch_norm(x, None, None, noise(2, seed=1), training=True) ** 3).sum(),
        (1, 0, 1),
    ),
    "layer norm, weight": lambda: (noise(3), lambda w: (F.layer_norm(noise(2, 3, seed=1), (3,), w) ** 2).sum(), (1,)),
    "dropout": lambda: (noise(4, 5), lambda x: (F.dropout(x, 0.4) ** 2).sum(), (2, 3)),
    "an index twice": lambda: (noise(4), lambda x: (x[tcnn.tensor([2, 0, 2])] ** 2).sum(), (2,)),
    "cat and stack": lambda: (noise(2), lambda x: (tcnn.cat([x, 3 * x]) ** 2).sum() + tcnn.stack([x, x]).sum(), (1,)),
    "maximum of equals": lambda: (wanting([1.0, 2.0]), lambda x: (F.maximum(x, x * 1.0) * 4).sum(), (0,)),
    "amax": lambda: (wanting([[1.0, 5.0], [5.0, 2.0]]), lambda x: x.amax() * 2 + x.max(1)[0].sum(), (0, 1)),
    "an intermediate result": lambda: (noise(2, 3) * 1, lambda y: (y.exp() * y).sum(), (1, 2)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("limit", [1, 3, EVERYTHING])
def test_all_paths_are_those_of_the_jacobians(case, limit):
    tensor, compute, index = CASES[case]()
    check(tensor, compute(tensor), index, limit)


def test_dead_numbers_have_no_paths():
    x = wanting([-1.0, 2.0])
    answer = check(x, (F.relu(x) * 3).sum(), (0,))
    assert (answer.count, answer.value, answer.paths) == (0, 0.0, ())
    assert "Nothing comes back to it" in str(answer)


def test_the_loss_itself():
    x = wanting(2.0)
    loss = x * 3
    answer = why(loss, loss=loss)
    assert (answer.value, answer.count, answer.paths[0].steps) == (1.0, 1, ())
    assert "1 = 1" in str(answer)


def test_routes_say_how_much_came_through_the_skip():
    x = noise(2, 3)
    y = x * 1.0
    loss = (F.linear(y, noise(3, 3, seed=1)) + y).sum()
    check(x, loss, (0, 2))
    answer = why(x, (0, 2), loss)
    routes = {share.via: share.contribution for share in answer.by_route}
    assert routes["x → mul → add → sum"] == 1.0
    assert set(routes) == {"x → mul → add → sum", "x → mul → linear → add → sum"}
    assert "By route:" in str(answer)


# ---- graphs made by chance

UNARY = [
    lambda a: a * 0.5,
    lambda a: a.exp(),
    lambda a: a.sin(),
    F.relu,
    lambda a: a * a,
    lambda a: a.sum(0, keepdim=True),
    lambda a: F.linear(a, wanting([[0.5, -1.0], [0.25, 2.0]])),
    lambda a: F.softmax(a, 1),
    lambda a: a.T if a.shape[0] == 2 else a,
    lambda a: a.max(1, keepdim=True)[0] + a,
]
BINARY = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, F.maximum]


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**16),
    plan=st.lists(
        st.one_of(
            st.tuples(st.just(1), st.integers(0, len(UNARY) - 1), st.integers(0, 9), st.just(0)),
            st.tuples(st.just(2), st.integers(0, len(BINARY) - 1), st.integers(0, 9), st.integers(0, 9)),
        ),
        min_size=1,
        max_size=5,
    ),
    place=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    limit=st.sampled_from([1, 5, EVERYTHING]),
)
def test_random_graphs(seed, plan, place, limit):
    x = noise(2, 2, seed=seed)
    known = [x]
    for arguments, which, a, b in plan:
        first, second = known[-1 - a % len(known)], known[-1 - b % len(known)]
        known.append(UNARY[which](first) if arguments == 1 else BINARY[which](first, second))
    loss = sum(y.sum() for y in known[-2:]) + x.sum()
    assume(abs(loss.item()) < 1e100)  # exp(exp(exp(x))) may be beyond float64, and 0 · ∞ is nothing to add up
    check(x, loss, place, limit)


# ---- recordings


def lenet(batch=2):
    model = models.create("lenet5", generator=random.Generator(0))
    images = tcnn.tensor(random.Generator(1).normal((batch, 1, 28, 28)), dtype="float32")
    return model, images, tcnn.tensor([1, 2] * (batch // 2))


def test_lenet():
    model, images, labels = lenet()
    with viz.record() as tape:
        F.cross_entropy(model(images), labels).backward()
    weight = model.features.conv1.weight
    answer = tape.why(weight, (0, 0, 2, 2))
    assert answer.value == float(weight.grad[0, 0, 2, 2])
    assert answer.complete
    assert answer.count > 1e8
    assert len(answer.paths) == 10
    total = math.fsum([*(path.contribution for path in answer.paths), answer.rest])
    assert total == pytest.approx(answer.value, rel=1e-5)
    assert abs(answer.difference) <= answer.rounding
    assert [step.module for step in answer.paths[0].steps if step.operation == "linear"] == [
        "classifier.fc1",
        "classifier.fc2",
        "classifier.fc3",
    ]
    assert answer.name == "∂L/∂features.conv1.weight[0, 0, 2, 2]"
    assert max(map(len, str(answer).splitlines())) <= 112
    (alone,) = answer.by_consumer
    assert alone.contribution == pytest.approx(answer.value, rel=1e-5)


def test_a_small_network_in_every_detail():
    with tcnn.random.use_generator(random.Generator(5)):
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
        ).double()
    loss = F.cross_entropy(model(noise(2, 1, 4, 4).detach()), tcnn.tensor([0, 2]))
    check(model[0].weight, loss, (1, 0, 2, 1), limit=50)
    check(model[0].bias, loss, (0,), limit=50)


def test_nothing_is_changed():
    model, images, labels = lenet()
    model = nn.Sequential(model.features, nn.Flatten(), nn.Dropout(0.3), nn.Linear(400, 10))
    called = []
    with viz.record() as tape:
        loss = F.cross_entropy(model(images), labels)
        model[3].weight.register_hook(lambda g: called.append("leaf"))
        hooked = loss * 1
        hooked.register_hook(lambda g: called.append("result"))
        hooked.backward()
    arrays = {
        node: {name: array for name, array in record.saved.items() if isinstance(array, np.ndarray)}
        for node, record in tape.records.items()
    }

    def state():
        return (
            {name: (p.data.tobytes(), p.grad.tobytes(), p._version.count) for name, p in model.named_parameters()},
            {node: {name: array.tobytes() for name, array in saved.items()} for node, saved in arrays.items()},
            {node: (node.grad is None, getattr(node, "freed", None)) for node in tape.records},
            [list(tape.events), dict(tape.records), list(tape.steps)],
            random.default_generator().state_dict(),
            np.random.get_state()[1].tobytes(),  # noqa: NPY002
            list(called),
        )

    before = state()
    weight = model[0].conv1.weight
    with viz.record() as other:
        first, second = why(weight, (1, 0, 1, 1), tape=tape), why(weight, (1, 0, 1, 1), tape=tape)
    assert first == second
    assert not other.events
    assert state() == before
    assert called == ["result", "leaf"]


def test_with_a_loss_nothing_is_kept_and_backward_still_works():
    x = wanting([1.0, 2.0])
    loss = (x.exp() * x).sum()
    assert why(x, 0, loss).value == pytest.approx(2 * math.e)
    assert x.grad is None
    loss.backward()
    np.testing.assert_allclose(x.grad[0], 2 * math.e)


def test_the_start_that_was_recorded():
    x = wanting([1.0, 2.0])
    with viz.record() as tape:
        y = x * x
        y.backward(np.array([10.0, 0.5]))
    answer = tape.why(x, 1)
    assert answer.value == 2.0
    assert [(p.contribution, p.start) for p in answer.paths] == [(1.0, 0.5), (1.0, 0.5)]
    assert "  ∂L/∂mul[1]    = 0.5   what backward began with" in str(answer)
    assert why(x, 1, y).value == 2.0


def test_of_several_passes_the_newest_or_that_of_the_loss():
    x, w = wanting(2.0), wanting(5.0)
    with viz.record():
        first = x * 3
        first.backward()
    with viz.record() as tape:
        one = x * 4
        two = x * x
        one.backward()
        two.backward()
        (w * 2).backward()
    assert why(x).value == 4.0
    assert why(x, loss=one).value == 4.0
    assert why(x, loss=two).value == 4.0
    assert [p.contribution for p in why(x, loss=two).paths] == [2.0, 2.0]
    assert [p.contribution for p in why(x, loss=one).paths] == [4.0]
    assert ".grad holds 11 there" in str(tape.why(x))


def test_several_roots_of_one_pass():
    x = wanting(3.0)
    with viz.record() as tape:
        y = x * x
        z = y * 2
        tcnn.grad([y, z], x)
    answer = tape.why(x)
    assert answer.value == 18.0
    assert [p.contribution for p in answer.paths] == [6.0, 6.0, 3.0, 3.0]


def test_hooks_are_not_called_but_noticed():
    x = wanting([1.0, 2.0])
    x.register_hook(lambda g: g * 10)
    with viz.record() as tape:
        (x * 3).sum().backward()
    answer = tape.why(x, 1)
    assert (answer.value, answer.paths[0].contribution, answer.rest, answer.difference) == (30.0, 3.0, 0.0, 27.0)
    assert "The recorded gradient is 30, the sum of all paths 3: hooks may have" in str(answer)


def test_a_backward_that_has_no_gradient_for_one_of_its_inputs():
    class Scaled(tcnn.Function):
        def forward(self, x, scale):
            self.save(scale=scale)
            return x * scale

        def backward(self, dy):
            return dy * self.saved.scale if self.needs.x else None, None

    x, scale = wanting([1.0, 2.0]), wanting([3.0, 4.0])
    loss = (tcnn.apply(Scaled(), x, scale) * scale).sum()
    assert why(x, 1, loss).value == 16.0
    assert why(scale, 1, loss).value == 8.0  # along the other way


def test_factors_are_asked_in_float64():
    x, weight = wanting(noise(2, 3, 6, 6).numpy(), "float32"), wanting(noise(4, 3, 3, 3).numpy(), "float32")
    answer = why(weight, (1, 2, 1, 1), F.conv2d(x, weight, padding=1).sum(), limit=EVERYTHING)
    assert math.fsum(p.contribution for p in answer.paths) == math.fsum(x.numpy()[:, 2].ravel().tolist())
    assert answer.difference == pytest.approx(0, abs=1e-15)


def test_half_precision_adds_up_within_its_rounding():
    x = wanting([0.1, 0.7, 1.3], "float16")
    with viz.record() as tape:
        (x.exp() * x).mean().backward()
    answer = tape.why(x, 2)
    assert abs(answer.difference) <= answer.rounding
    assert answer.value == float(x.grad[2])


def test_a_gradient_that_is_not_finite_names_the_operation():
    x = wanting([0.0, 1.0])
    answer = why(x, 0, (x.sqrt() * 2).sum())
    assert answer.value == math.inf
    assert answer.paths == ()
    assert "sqrt is the first operation to hand on numbers that are not finite" in str(answer)


def test_when_the_time_is_up_the_rest_of_a_path_is_one_number():
    x = noise(1, 2, 6, 6)
    loss = (F.relu(x) * F.conv2d(x * 2, noise(2, 2, 3, 3, seed=1), padding=1)).sum()
    answer = why(x, (0, 0, 2, 3), loss, seconds=0)
    assert not answer.complete
    (gradient,) = tcnn.grad(loss, x, retain_graph=True)
    assert math.fsum(p.contribution for p in answer.paths) == pytest.approx(float(gradient.numpy()[0, 0, 2, 3]))
    ends = [path.steps[-1] for path in answer.paths]
    assert any(step.operation == "conv2d" and step.index is None for step in ends)
    assert "The time was up" in str(answer)
    assert "conv2d …" in str(answer)


def test_deep_and_forked_graphs():
    x = wanting(1.0)
    y = x
    for _ in range(40):
        y = y * 0.5 + y * 0.5  # 2⁴⁰ paths, all alike
    answer = why(x, loss=y)
    assert answer.count == 2.0**40
    assert [p.contribution for p in answer.paths] == [2.0**-40] * 10
    assert answer.by_route == ()
    z = x
    for _ in range(1500):
        z = z * 1.0
    text = str(why(x, loss=z))
    assert "(1,477 more)" in text
    assert len(text) < 10_000


def test_html_is_escaped():
    x = wanting(1.0)
    page = why(x, loss=x * 2, params={"<script>alert(1)</script>": x})._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


# ---- a device


def test_on_another_device():
    with standin.registered():
        x = tcnn.tensor(np.array([[1.0, -2.0], [0.5, 3.0]]), device="standin:1", requires_grad=True)
        conv = noise(1, 1, 2, 2).to("standin:1").detach()
        with viz.record() as tape:
            loss = (F.relu(F.conv2d(x[None, None], conv, padding=1)) ** 2).sum().to("cpu") * wanting(2.0)
            loss.backward()
        answer = tape.why(x, (1, 1))
        assert abs(answer.difference) <= answer.rounding
        assert math.fsum(p.contribution for p in answer.paths) + answer.rest == pytest.approx(answer.value)
        on_cpu = why(x, (1, 1), loss)
        assert [p.contribution for p in on_cpu.paths] == [p.contribution for p in answer.paths]


# ---- errors


def test_errors():
    x = wanting([[1.0, 2.0, 3.0]])
    loss = (x * 2).sum()
    for index in [(0,), (1, 0), (0, 3), (0, 0, 0), 1.5, (0, slice(None)), ()]:
        with pytest.raises(IndexError, match=r"of shape \(1, 3\): give one whole number for each dimension, within"):
            why(x, index, loss)
    assert why(x, (-1, -3), loss).name == "∂L/∂x[0, 0]"
    with pytest.raises(GraphError, match="why: no backward pass through this tensor was recorded"):
        why(x, (0, 0))
    with pytest.raises(GraphError, match="does not require a gradient"):
        why(tcnn.tensor(1.0), (), loss)
    with pytest.raises(GraphError, match=r"shape \(1, 3\) is not a single number; sum\(\) or mean\(\)"):
        why(x, (0, 0), x * 2)
    with pytest.raises(GraphError, match="the loss has no graph"):
        why(x, (0, 0), tcnn.tensor(1.0))
    with pytest.raises(GraphError, match="no path from the loss"):
        why(wanting(1.0), (), loss)
    with pytest.raises(ValueError, match="limit=0"):
        why(x, (0, 0), loss, limit=0)


def test_wrong_arguments_are_named():
    x = wanting([1.0])
    with pytest.raises(TypeError, match=r"tensor must be a Tensor, got int"):
        why(3)
    with pytest.raises(TypeError, match=r"loss must be a Tensor, got float"):
        why(x, 0, 3.0)
    with pytest.raises(ValueError, match=r"limit=1.5 paths; give a whole number"):
        why(x, 0, x * 1, limit=1.5)
    with pytest.raises(IndexError, match=r"shape \(0, 3\); it has no numbers"):
        why(tcnn.zeros(0, 3, requires_grad=True), (0, 0), x * 1)


def test_after_backward_without_a_recording():
    x = wanting([1.0, 2.0])
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(GraphError, match=r"freed what mul saved.*retain_graph=True"):
        why(x, 0, loss)


def test_after_the_optimizer_step():
    model, images, labels = lenet()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with viz.record() as tape:
        scores = model(images)
        F.cross_entropy(scores, labels).backward()
    optimizer.step()
    with pytest.raises(GraphError, match=r"changed in place.*before optimizer.step\(\)"):
        tape.why(model.features.conv1.weight, (0, 0, 0, 0))
    assert tape.why(scores, (1, 2)).count == 1  # nothing that was changed is on its path
