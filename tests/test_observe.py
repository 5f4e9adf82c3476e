"""Scopes: which module's call computed a node; observers: told everything, once, in order."""

from __future__ import annotations

import threading

import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn
from tinygrad_cnn.observe import Observer, observer, scope


class Names(Observer):
    def __init__(self):
        self.seen = []

    def applied(self, operation, inputs, results, seconds):
        assert seconds >= 0
        self.seen.append(("applied", operation.name, results[0].item()))

    def started(self, node, dy, total):
        self.seen.append(("started", node.name, dy.item(), total.item()))

    def arrived(self, node, dy, kept):
        self.seen.append(("arrived", node.name, dy.item(), kept))

    def handed_on(self, node, index, dx, total):
        self.seen.append(("handed on", node.name, index, dx.item(), total.item()))

    def finished(self, node, seconds):
        self.seen.append(("finished", node.name))


@pytest.fixture
def names():
    watcher = Names()
    token = observer.set(watcher)
    yield watcher
    observer.reset(token)


def test_an_observer_is_told_everything_in_order(names):
    x = tcnn.tensor(3.0, requires_grad=True)
    (x * x).backward()
    assert names.seen == [
        ("applied", "mul", 9.0),
        ("started", "mul", 1.0, 1.0),
        ("arrived", "mul", 1.0, False),
        ("finished", "mul"),
        ("handed on", "mul", 0, 3.0, 3.0),
        ("handed on", "mul", 1, 3.0, 6.0),
        ("arrived", "leaf", 6.0, True),
    ]


def test_grad_keeps_nothing_and_says_so(names):
    x = tcnn.tensor(3.0, requires_grad=True)
    tcnn.grad(x * x, x)
    assert names.seen[-1] == ("arrived", "leaf", 6.0, False)


def test_a_walk_that_begins_twice_at_a_node_tells_the_sum(names):
    x = tcnn.tensor(3.0, requires_grad=True)
    y = x * 2
    tcnn.grad([y, y], x)
    assert [told for told in names.seen if told[0] == "started"] == [
        ("started", "mul", 1.0, 1.0),
        ("started", "mul", 1.0, 2.0),
    ]


def test_a_base_observer_may_ignore_everything():
    token = observer.set(Observer())
    try:
        x = tcnn.tensor(3.0, requires_grad=True)
        (x * x).backward()
    finally:
        observer.reset(token)
    assert x.grad == 6


def test_the_scope_of_a_node_is_the_call_that_computed_it():
    inner = nn.Linear(2, 2)
    model = nn.Sequential(nn.Sequential(inner), nn.ReLU())
    y = model(tcnn.ones(1, 2))
    assert y.node.scope.modules() == [model, model[1]]
    assert y.node.parents[0].scope.modules() == [model, model[0], inner]
    assert y.sum().node.scope is None
    first, second = inner(tcnn.ones(1, 2)), inner(tcnn.ones(1, 2))
    assert first.node.scope is not second.node.scope  # two calls


def test_a_scope_ends_with_an_error_and_is_the_threads_own():
    layer = nn.Linear(2, 2)
    with pytest.raises(tcnn.ShapeError):
        nn.Sequential(layer)(tcnn.ones(1, 3))
    assert scope.get() is None
    scopes = []

    class Spawning(nn.Module):
        def forward(self, x):
            thread = threading.Thread(target=lambda: scopes.append(scope.get()))
            thread.start()
            thread.join()
            return x

    Spawning()(tcnn.ones(1))
    assert scopes == [None]
