"""Recording: what is seen is what was computed, and nothing is different for having been seen."""

from __future__ import annotations

import gc
import re
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tests import standin
from tinygrad_cnn import functional as F
from tinygrad_cnn import models, nn, optim, random, viz
from tinygrad_cnn.function import GraphError
from tinygrad_cnn.observe import observer
from tinygrad_cnn.viz import tape as tape_module
from tinygrad_cnn.viz.numbers import KEPT, SAMPLE, numbers, short
from tinygrad_cnn.viz.tape import tape_with


def network():
    """Everything that could be disturbed: batch norm's statistics, dropout's random numbers."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1, generator=random.Generator(0)),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(3 * 2 * 3, 4, generator=random.Generator(1)),
    )


def images(batch=5, seed=0):
    return tcnn.tensor(random.Generator(seed).normal((batch, 1, 9, 13)), dtype="float32")


def test_every_operation_and_every_contribution_in_order():
    a, b = tcnn.tensor(2.0, requires_grad=True), tcnn.tensor(-3.0, requires_grad=True)
    with viz.record() as tape:
        c = a * b
        loss = c + a * 0.5
        loss.backward()
    told = [(e.phase, e.node.name, e.dx and e.dx.array.item(), e.total and e.total.array.item()) for e in tape.events]
    assert told[:3] == [("forward", "mul", None, None), ("forward", "mul", None, None), ("forward", "add", None, None)]
    assert told[3] == ("backward", "add", 1.0, 1.0)
    to_a = [(dx, total) for _, name, dx, total in told if name == "leaf" and dx is not None]
    assert to_a == [(-3.0, -3.0), (2.0, 2.0), (0.5, -2.5)]  # to a 0 → −3 → −2.5, between them 2 to b
    assert sorted(e.total.array.item() for e in tape.events if e.phase == "kept") == [-2.5, 2.0]
    assert tape.records[a.node].grad.array == a.grad == -2.5
    assert tape.records[c.node].value.array == -6.0
    assert tape.records[c.node].grad.array == 1.0
    assert tape.root is loss.node
    assert repr(tape).startswith("<viz.Tape: 3 operations forward, ")


def test_the_totals_are_bit_for_bit_those_of_backward():
    model, x = models.LeNet5(), tcnn.tensor(random.Generator(1).normal((3, 1, 28, 28)), dtype="float32")
    with viz.record() as tape:
        F.cross_entropy(model(x), tcnn.tensor([1, 2, 3])).backward()
    last = {event.node: event.total for event in tape.events if event.phase == "backward"}
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(last[parameter.node].array, parameter.grad, err_msg=name)
        np.testing.assert_array_equal(tape.records[parameter.node].value.array, parameter.numpy(), err_msg=name)


def test_the_record_of_an_operation():
    model, x = network(), images()
    with viz.record() as tape:
        y = model(x)
        loss = y.sum()
        loss.backward()
    conv = next(event.node for event in tape.events if event.node.name == "conv2d")
    record = tape.records[conv]
    np.testing.assert_array_equal(record.inputs[0].array, x.numpy())
    assert record.value.shape == (5, 3, 5, 7)
    assert record.seconds > 0
    assert record.backward_seconds > 0
    assert record.where.rpartition(":")[0].endswith("test_viz_tape.py")
    assert record.code == "y = model(x)"
    assert "weight" in record.saved  # backward has let go of it, the recording has not
    assert conv.freed
    assert [type(module).__name__ for module in conv.scope.modules()] == ["Sequential", "Conv2d"]


def trained(recorded, device="cpu", steps=4):
    model = network().to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    generator = random.Generator(7)
    with random.use_generator(generator):
        for step in range(steps):
            x, y = images(seed=step).to(device), tcnn.tensor([0, 1, 2, 3, 0]).to(device)
            if recorded:
                with viz.record():
                    loss = F.cross_entropy(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
            else:
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}, generator.state_dict()


@pytest.mark.parametrize("device", ["cpu", "standin"])
def test_training_with_and_without_recording_is_bitwise_the_same(device):
    with standin.registered():
        plain, plain_state = trained(recorded=False, device=device)
        seen, seen_state = trained(recorded=True, device=device)
    assert plain_state == seen_state
    for name, values in plain.items():
        np.testing.assert_array_equal(seen[name], values, err_msg=name)


def test_recording_ends_with_its_block_also_after_an_error():
    x = tcnn.tensor(1.0, requires_grad=True)
    tape = viz.record()

    def failing():
        with tape:
            (x * 2).backward()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert observer.get() is None
    events = len(tape.events)
    (x * 2).backward()
    assert len(tape.events) == events


def test_recordings_nest():
    x = tcnn.tensor(1.0, requires_grad=True)
    with viz.record() as outer:
        x * 2
        with viz.record() as inner:
            x * 3
        x * 4
    assert (len(outer.events), len(inner.events)) == (2, 1)


def test_recordings_that_are_gone_are_forgotten():
    for _ in range(50):
        with viz.record():
            pass
    with viz.record() as tape:
        pass
    assert tape_module._tapes[-1]() is tape
    assert len([each for each in tape_module._tapes if each() is None]) <= 1


def test_a_hook_that_replaces_a_gradient_is_an_event():
    x = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as tape:
        y = x * 3
        y.register_hook(lambda dy: dy * 2)
        y.register_hook(lambda dy: None)
        x.register_hook(lambda dy: None)  # only looks
        y.sum().backward()
    hooked = [event for event in tape.events if event.phase == "hooked"]
    assert [(event.node, event.total.array.tolist()) for event in hooked] == [(y.node, [2, 2])]
    assert tape.events[tape.events.index(hooked[0]) + 1].dx.array.tolist() == [6, 6]


def test_a_pass_that_begins_twice_at_a_node():
    x = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as tape:
        y = (x * x).sum()
        tcnn.grad([y, y], x, [2.0, 3.0])
    starts = [event for event in tape.events if event.phase == "backward" and event.sender is None]
    assert [(str(event.dx), str(event.total)) for event in starts] == [("2", "2"), ("3", "5")]
    assert not any(event.phase == "hooked" for event in tape.events)


def test_a_recording_around_a_whole_training_keeps_what_was_saved_of_the_last_passes_only(monkeypatch):
    monkeypatch.setattr("tinygrad_cnn.viz.tape.MOST_BYTES", 50_000)
    x = tcnn.ones(40, 40, requires_grad=True)
    with viz.record() as tape:
        for _ in range(50):
            (x * x).exp().sum().backward()
    held = [node for node, record in tape.records.items() if record.saved]
    assert len(held) < 20
    assert tape.events[-1].sender is None
    assert tape.why(x, (0, 0)).count == 2  # the last pass is whole


def test_the_newest_recording_that_is_held_is_found():
    x = tcnn.tensor(1.0, requires_grad=True)
    with viz.record() as first:
        y = x * 2
    with viz.record() as second:
        z = x * 3
    assert tape_with(x.node) is second
    assert tape_with(y.node) is first
    assert tape_with((z * 2).node) is None
    gone = weakref.ref(second)
    del second
    gc.collect()
    assert gone() is None
    assert tape_with(x.node) is first


def test_operations_without_a_graph_are_no_events():
    with viz.record() as tape:
        tcnn.tensor([1.0]) * 2
        with tcnn.no_grad():
            tcnn.tensor([1.0], requires_grad=True) * 2
    assert tape.events == []
    with pytest.raises(GraphError, match="nothing was recorded"):
        tape.graph()


def test_a_forward_pass_alone_has_a_graph_with_gradients_not_yet_computed():
    model = network()
    with viz.record() as tape:
        model(images()).sum()
    graph = tape.graph()
    assert graph.boxes[-1].title == "sum"
    assert all(graph.grad(box) is None for box in graph.boxes)
    assert all(graph.value(box) is not None for box in graph.boxes)
    assert graph.to_dot().count("grad not computed yet") == sum(box.kind != "data" for box in graph.boxes)


def test_a_graph_drawn_after_a_recording_has_its_numbers_by_itself():
    model, x = network(), images()
    with viz.record() as tape:
        loss = model(x).sum()
        loss.backward()
    graph = viz.graph(loss, params=model)
    assert graph.tape is tape
    assert all(graph.value(box) is not None for box in graph.boxes)
    assert all(graph.grad(box) is not None for box in graph.boxes if box.kind != "data")
    assert re.search(r"forward \d.*backward \d", viz.graph(loss, cost=True).to_dot())


def test_backward_of_what_was_computed_before_the_recording():
    x = tcnn.tensor([1.0, 2.0], requires_grad=True)
    loss = (x * x).sum()
    with viz.record() as tape:
        loss.backward()
    np.testing.assert_array_equal(tape.records[x.node].grad.array, [2, 4])
    graph = viz.graph(loss)
    assert graph.tape is tape
    assert graph.value(graph.boxes[1]) is None  # nobody saw it


def test_two_passes_back_the_second_counts():
    x = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as tape:
        (x * x).sum().backward()
        loss = (x * 3).sum()
        loss.backward()
    assert tape.root is loss.node
    assert len(tape.steps) == 4  # the start, sum, mul, x
    np.testing.assert_array_equal(tape.records[x.node].grad.array, [3, 3])
    assert [e.total.array.tolist() for e in tape.events if e.phase == "kept"] == [[2, 4], [5, 7]]


def test_values_stay_what_they_were_when_weights_change():
    w = tcnn.tensor([1.0], requires_grad=True)
    with viz.record() as tape:
        (w * w).backward()
    with tcnn.no_grad():
        w += 5
    assert tape.records[w.node].value.array == 1.0


def test_large_arrays_are_kept_as_statistics_and_a_sample():
    values = np.arange(KEPT + 1, dtype="float32")
    large = numbers(values)
    assert large.array is None
    np.testing.assert_array_equal(large.sample, values[:SAMPLE])
    assert (large.smallest, large.largest, large.size) == (0, KEPT, KEPT + 1)
    assert large.mean == pytest.approx(KEPT / 2)
    assert numbers(values[:-1]).array is not None


def test_numbers_that_are_not_finite_are_counted_and_left_out_of_statistics():
    odd = numbers(np.array([1.0, np.nan, np.inf] + [3.0] * 97))
    assert odd.not_finite == 2
    assert str(odd).endswith("2 not finite")
    assert (odd.smallest, odd.largest) == (1.0, 3.0)
    assert str(numbers(np.full(100, np.nan))) == "mean nan, std nan, norm 0, 100 not finite"
    assert str(numbers(np.zeros((0, 3)))) == "[]"
    assert numbers(tcnn.tensor([True, False])).lines() == ["[1, 0]"]


def test_five_digits_before_the_point_are_rounded_with_an_exponent():
    assert [short(v) for v in (9999.4, 12345.6, -99999.6, 1234.56)] == ["9999", "1.235e4", "−1e5", "1235"]


def test_a_recording_does_not_grow_without_bounds(monkeypatch):
    monkeypatch.setattr("tinygrad_cnn.viz.tape.MOST_BYTES", 10_000)
    x = tcnn.ones(40, 40, requires_grad=True)
    with viz.record() as tape:
        y = x * 2
        z = y * 2
    assert tape.records[x.node].value.array is not None
    assert tape.records[z.node].value.array is None
    assert tape.records[z.node].value.mean == 4.0
