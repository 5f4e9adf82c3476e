"""Stepping: the real backward, a node at a time, forwards and back again."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tests import standin
from tinygrad_cnn import functional as F
from tinygrad_cnn import models, random, viz
from tinygrad_cnn.function import GraphError


def product():
    x, y, z = (tcnn.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    return (x, y, z), (x + y) * z


def test_what_a_beginner_reads():
    (x, y, z), f = product()
    g = viz.graph(f, params={"x": x, "y": y, "z": z})
    assert str(g.back()) == "no step was made yet; step() makes the first"
    assert str(g.step()) == "step 1 of 6: the gradient of mul with respect to itself\n  grad of mul = 1"
    assert str(g.step()).splitlines() == [
        "step 2 of 6, back through mul: swaps: each gets the gradient times the other one",
        "  to add: ∂L/∂add = ∂L/∂mul · z",
        "    grad of add = −4",
        "  to z: ∂L/∂z = ∂L/∂mul · add",
        "    grad of z = 3",
    ]
    assert z.grad is None  # on its way, but the leaf's turn comes later
    assert [str(g.step()).splitlines()[0][11:] for _ in range(4)] == [
        ", back through add: hands the gradient on to both",
        ": x has its whole gradient and adds it to .grad",
        ": y has its whole gradient and adds it to .grad",
        ": z has its whole gradient and adds it to .grad",
    ]
    assert (x.grad, y.grad, z.grad) == (-4, -4, 3)
    assert str(g.step()) == "all 6 steps are made; back() takes one back, reset() all"
    assert (x.grad, y.grad, z.grad) == (-4, -4, 3)


def test_back_and_reset_undo_the_gradients_of_leaves():
    (x, _, z), f = product()
    z.grad = 10.0
    g = viz.graph(f).run()
    assert (x.grad, z.grad) == (-4, 13)
    for _ in range(3):
        g.back()
    assert (x.grad, z.grad) == (None, 10)
    g.step()
    assert (x.grad, z.grad) == (-4, 10)
    assert g.reset() is g
    assert (x.grad, z.grad) == (None, 10)
    assert str(g.back()).startswith("no step")
    assert (g.run() is g, x.grad, z.grad) == (True, -4, 13)
    f.backward()  # the graph is still whole
    assert (x.grad, z.grad) == (-8, 16)


def test_a_gradient_adds_up_step_by_step():
    t = tcnn.tensor([1.0, 2.0], requires_grad=True)
    g = viz.graph((t * t + t * 3.0).sum(), params={"t": t})
    seen = [str(g.grad(g.boxes[0]))]
    for _ in range(6):
        g.step()
        seen.append(str(g.grad(g.boxes[0])))
    assert seen[0] == "None"
    assert seen[-1] == "[5, 7]"
    assert len(set(seen)) >= 3  # None, a part, the whole
    assert t.grad.tolist() == [5, 7]
    assert "grad not computed yet" in g.reset().to_dot()


@pytest.mark.parametrize("device", ["cpu", "standin"])
def test_all_steps_together_are_backward_bit_for_bit(device):
    with standin.registered():
        gradients = []
        for stepwise in (True, False):
            model = models.create("lenet5", generator=random.Generator(0)).to(device)
            x = tcnn.tensor(random.Generator(1).normal((2, 1, 28, 28)), dtype="float32").to(device)
            loss = F.cross_entropy(model(x), tcnn.tensor([3, 1]).to(device))
            viz.graph(loss, params=model).run() if stepwise else loss.backward()
            gradients.append([tcnn.tensor(p.grad).numpy() for p in model.parameters()])
        for stepped, real in zip(*gradients):
            np.testing.assert_array_equal(stepped, real)


def test_a_recorded_pass_is_stepped_through_without_computing_it_again():
    (x, y, z), f = product()
    with viz.record() as tape:
        f = (x + y) * z
        f.backward()
    g = tape.graph()
    texts = []
    while not (step := g.step()).note:
        texts.append(str(step))
    assert len(texts) == 6
    assert (x.grad, z.grad) == (-4, 3)
    g.reset()
    assert (x.grad, z.grad) == (-4, 3)  # a recording shows, it does not change
    live = viz.graph(product()[1])
    assert [str(live.step()).splitlines()[0] for _ in range(3)] == [t.splitlines()[0] for t in texts[:3]]


def test_the_active_box_and_the_moving_gradients_are_marked():
    (x, _, _), f = product()
    g = viz.graph(f, params={"x": x})
    plain = g.to_dot()
    g.step()
    step = g.step()
    marked = g.to_dot(step)
    assert "#d55e00" not in plain
    assert marked.count("#d55e00") == 3  # mul, and its two arrows
    assert "back through mul: swaps" in marked
    bundle = step._repr_mimebundle_()
    assert bundle["text/plain"] == str(step)
    assert bundle["image/svg+xml"].startswith("<svg")


def test_marks_inside_a_closed_module():
    model = models.LeNet5()
    loss = F.cross_entropy(model(tcnn.ones(1, 1, 28, 28)), tcnn.tensor([1]))
    g = viz.graph(loss, level="module", depth=1)
    names = [box.title for box in g.boxes]
    active = set()
    while not (step := g.step()).note:
        active.add(names[step.marks(g)[0]])
    assert {"features", "classifier", "reshape", "cross_entropy"} <= active


def test_a_gradient_that_needs_a_start_and_a_graph_that_is_gone():
    x = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GraphError, match="sum\\(\\) or mean\\(\\)"):
        viz.graph(x * 2).step()
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(GraphError, match="a second time"):
        viz.graph(loss).run()
    with viz.record() as tape:
        x * 2
    with pytest.raises(GraphError, match="no backward pass"):
        tape.graph().step()


def test_an_error_in_backward_takes_all_steps_back():
    class Broken(tcnn.Function):
        def forward(self, x):
            return x * 1

        def backward(self, dy):
            raise ZeroDivisionError

    x, y = tcnn.tensor(3.0, requires_grad=True), tcnn.tensor(2.0, requires_grad=True)
    x.grad = 5.0
    broken = tcnn.apply(Broken(), y)
    broken.retain_grad()
    g = viz.graph(broken + x * 4)
    for _ in range(2):  # the second time it begins anew, and does not say that it is done
        with pytest.raises(ZeroDivisionError):
            g.run()
        assert (x.grad, y.grad, broken.grad) == (5, None, None)
        assert str(g.back()).startswith("no step")


def test_a_gradient_that_a_hook_replaces():
    x = tcnn.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    x.register_hook(lambda dy: dy * 10)
    y.register_hook(lambda dy: dy + 1)
    y.register_hook(lambda dy: None)
    g = viz.graph(y.sum(), params={"x": x})
    told = [str(g.step()) for _ in range(4)]
    assert x.grad.tolist() == [60, 60]
    assert str(g.grad(g.boxes[0])) == "[60, 60]"
    assert told[2].splitlines()[0].startswith("step 3 of 4, back through mul")
    assert told[2].splitlines()[1] == "  grad of mul = [2, 2], made by a hook"
    assert told[3].splitlines()[1:] == ["  grad of x = [60, 60], made by a hook", "  .grad of x = [60, 60]"]
    assert str(g.back().graph.grad(g.boxes[0])) == "[6, 6]"


def test_inputs_that_get_no_gradient_have_no_step():
    class Half(tcnn.Function):
        def forward(self, x, y):
            return x + y

        def backward(self, dz):
            return dz, None

    x, y = tcnn.tensor(1.0, requires_grad=True), tcnn.tensor(2.0, requires_grad=True)
    g = viz.graph(tcnn.apply(Half(), x, y)).run()
    assert (x.grad, y.grad) == (1, None)
    assert str(g.step()) == "all 3 steps are made; back() takes one back, reset() all"


def test_a_step_is_drawn_in_the_view_that_made_it():
    whole = viz.graph(models.LeNet5()(tcnn.ones(1, 1, 28, 28)).sum(), level="module", depth=1)
    whole.step()
    inside = whole.open("features")
    assert inside.step().graph is inside
    assert inside.back().graph is inside
    assert whole.back().graph is whole


def test_steps_continue_in_another_view():
    model = models.LeNet5()
    whole = viz.graph(F.cross_entropy(model(tcnn.ones(1, 1, 28, 28)), tcnn.tensor([1])), level="module", depth=1)
    whole.step()
    inside = whole.open("features")
    assert inside.step().number == 2
    assert whole.step().number == 3
