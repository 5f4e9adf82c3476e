"""Long chains, and memory: what a step used is gone when its loss is, with the garbage collector off."""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import GraphError, no_grad


@pytest.fixture
def no_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_chain_of_100_000_operations(no_gc):
    x = tcnn.tensor(1.0, requires_grad=True)
    limit = sys.getrecursionlimit()
    y = x
    for _ in range(50_000):
        y = y * 1.0 + 0.0
    y.backward(retain_graph=True)
    assert x.grad.item() == 1.0
    y.backward()
    first = weakref.ref(y.grad_fn.parents[0])
    del y  # freed link by link, not by recursion
    assert first() is None
    assert sys.getrecursionlimit() == limit


def test_a_long_chain_is_freed_when_its_backward_never_ran(no_gc):
    x = tcnn.ones(3, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def test_long_chains_take_linear_time():
    def seconds(n):
        x = tcnn.tensor(1.0, requires_grad=True)
        y = x
        for _ in range(n):
            y = y + 1
        start = time.thread_time()  # of this thread alone, whatever else the machine does
        y.backward()
        return time.thread_time() - start

    seconds(1000)
    short = min(seconds(2_000) for _ in range(3))
    long = min(seconds(20_000) for _ in range(2))
    assert long < 40 * short


def network(x, w, v, target):
    """A step through most kinds of operations."""
    h = F.conv2d(x, w, padding=1)
    h = F.batch_norm(h, training=True).relu()
    h = F.dropout(F.max_pool2d(h, 2), 0.3)
    return F.cross_entropy(h.flatten(1) @ v, target)


@pytest.fixture
def step():
    x = tcnn.randn(4, 2, 6, 6)
    w = tcnn.randn(3, 2, 3, 3, requires_grad=True)
    v = tcnn.randn(27, 5, requires_grad=True)
    return x, w, v, tcnn.tensor([0, 1, 2, 4])


def nodes_of(loss):
    seen, stack = [], [loss.node]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.append(node)
            stack.extend(node.parents)
    return seen


def watch(loss):
    """Weak references to all operations and all saved arrays of a graph."""
    operations = [n for n in nodes_of(loss) if isinstance(n, tcnn.Function)]
    saved = [a for n in operations for a in n.saved.values() if isinstance(a, np.ndarray)]
    return [weakref.ref(n) for n in operations], [weakref.ref(a) for a in saved]


def alive(references):
    return [r() for r in references if r() is not None]


def test_what_a_step_saved_is_gone_after_backward(step, no_gc):
    x, w, v, target = step
    loss = network(x, w, v, target)
    operations, saved = watch(loss)
    saved = [r for r in saved if r() is not x.data and r() is not w.data and r() is not v.data]
    assert len(saved) >= 6
    loss.backward()
    assert alive(saved) == []
    assert len(alive(operations)) == len(operations)  # the topology stays, for pictures
    del loss
    assert alive(operations) == []


def test_a_step_without_backward_is_gone_with_its_loss(step, no_gc):
    loss = network(*step)
    operations, saved = watch(loss)
    del loss
    assert alive(operations) == []
    assert all(any(a is t.data for t in step) for a in alive(saved))


@pytest.mark.parametrize("place", ["forward", "backward", "hook"])
def test_a_step_that_failed_is_gone_too(step, no_gc, place):
    x, w, v, target = step
    references = []

    class Fails(tcnn.Function):
        def forward(self, x):
            self.save(x=x)
            references.append(weakref.ref(self))
            if place == "forward":
                raise ZeroDivisionError
            return x * 1

        def backward(self, dy):
            raise ZeroDivisionError

    def hook(dy):
        raise ZeroDivisionError

    def run():
        h = F.conv2d(x, w).relu()
        references.append(weakref.ref(h.grad_fn))
        references.append(weakref.ref(h.data))
        if place == "hook":
            h.register_hook(hook)
        else:
            h = tcnn.apply(Fails(), h)
        loss = h.sum()
        loss.backward()

    try:
        run()
    except ZeroDivisionError:
        pass
    else:
        pytest.fail("nothing failed")
    assert alive(references) == []


def test_a_refused_backward_leaves_nothing(step, no_gc):
    def run():
        y = step[1] * 2
        references.append(weakref.ref(y.grad_fn))
        y.backward()

    references: list = []
    with pytest.raises(GraphError) as caught:
        run()
    del caught
    assert alive(references) == []


def test_steps_do_not_grow(no_gc):
    x = tcnn.randn(32, 2, 24, 24)  # an activation is 220 kB
    w = tcnn.randn(3, 2, 3, 3, requires_grad=True)
    v = tcnn.randn(432, 5, requires_grad=True)
    target = tcnn.arange(32) % 5

    def steps(n):
        for _ in range(n):
            w.zero_grad()
            v.zero_grad()
            network(x, w, v, target).backward()

    steps(3)
    tracemalloc.start()
    try:
        steps(2)
        before = tracemalloc.get_traced_memory()[0]
        steps(20)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 200_000  # Python keeps some small tuples for later
    assert gc.collect() == 0


def test_an_activation_nobody_saved_is_freed_at_once(no_gc):
    x = tcnn.ones(1000, requires_grad=True)
    h = x + 1
    activation = weakref.ref(h.data)
    y = (h + 1).relu()  # add saves nothing, relu a mask
    assert activation() is not None
    del h
    assert activation() is None
    y.sum().backward()
    assert x.grad.sum() == 1000


def test_without_gradients_nothing_is_kept(step, no_gc):
    references = []

    class Spy(tcnn.Function):
        def forward(self, x):
            self.save(x=x)
            references.append(weakref.ref(self))
            return x * 1

    with no_grad():
        y = tcnn.apply(Spy(), step[1])
    assert y.grad_fn is None
    assert alive(references) == []


def test_the_peak_of_a_chain_is_flat_without_gradients(no_gc):
    x = tcnn.zeros(100_000)
    tracemalloc.start()
    try:
        for _ in range(50):
            x = x + 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * x.data.nbytes + 50_000


def test_hooks_and_handles_make_no_cycle(no_gc):
    x = tcnn.ones(3, requires_grad=True)
    y = x * 2
    handle = y.register_hook(lambda dy: None)
    y.retain_grad()
    y.sum().backward()
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None
    handle.remove()  # of a node that is gone: nothing to do


# ---- no gradient shares memory

SHARING = {
    "x + x": lambda x, y: (x + x) + (y + y),
    "x + y": lambda x, y: x + y,
    "x − y": lambda x, y: x - y,
    "x + x + y + y": lambda x, y: x + x + y + y,
    "reshape": lambda x, y: x.reshape(3, 2) + y.reshape(3, 2),
    "reshape there and back": lambda x, y: x.reshape(6).reshape(2, 3) + y,
    "transpose": lambda x, y: x.T + y.T,
    "expand": lambda x, y: x.expand(1, 2, 3) + y.expand(1, 2, 3),
    "expand for real": lambda x, y: x.expand(4, 2, 3) + y,
    "index": lambda x, y: x[:] + y[...],
    "unsqueeze": lambda x, y: x.unsqueeze(0) + y.unsqueeze(0),
    "cat": lambda x, y: tcnn.cat([x, y, x]),
    "stack": lambda x, y: tcnn.stack([x, y, x]),
    "clone": lambda x, y: x.clone() + y.clone(),
    "cast": lambda x, y: x.to("float64") + y.to("float64"),
    "sum": lambda x, y: x.sum() + y.sum(),
    "pos": lambda x, y: (+x) + (+y),
    "pad": lambda x, y: F.pad(x, (0, 0)) + F.pad(y, (1, 1))[:, 1:-1],
    "flip": lambda x, y: x.flip(0) + y.flip(1),
    "where": lambda x, y: tcnn.where(x > 0, x, y),
    "dropout p=0": lambda x, y: F.dropout(x, 0.0) + y,
    "linear": lambda x, y: F.linear(x, y, None) + x.sum(),
    "diamond": lambda x, y: (x + y) + (x + y),
    "max": lambda x, y: x.max(0).values + y.amax(0),
    "sort": lambda x, y: x.sort().values + y,
    "batched identity": lambda x, y: F.avg_pool2d(x[None], 1)[0] + y,
}


@pytest.mark.parametrize("graph", SHARING.values(), ids=SHARING.keys())
@pytest.mark.parametrize("retain", [False, True], ids=["", "retained"])
def test_no_gradient_shares_memory(graph, retain):
    x = tcnn.tensor(np.arange(6.0).reshape(2, 3) - 2, requires_grad=True)
    y = tcnn.tensor(np.arange(6.0).reshape(2, 3) * 2 - 5, requires_grad=True)
    a, b = x * 1, y * 1
    middle = [a, b] if retain else []
    for t in middle:
        t.retain_grad()
    z = graph(a, b) + graph(x, y)
    mine = np.random.default_rng(0).normal(size=z.shape).astype(z.dtype)
    kept = mine.copy()
    for _ in range(2):  # the second time adds in place
        z.backward(mine, retain_graph=True)
        gradients = [t.grad for t in (x, y, *middle)]
        arrays = [*gradients, mine, x.data, y.data, z.data, a.data, b.data]
        for i, gradient in enumerate(gradients):
            assert gradient.flags.writeable
            assert gradient.flags.c_contiguous
            for other in arrays[:i] + arrays[i + 1 :]:
                assert not np.shares_memory(gradient, other)
    np.testing.assert_array_equal(mine, kept)


def test_what_grad_returns_shares_nothing():
    x = tcnn.ones(3, requires_grad=True)
    mine = np.ones(3, np.float32)
    y = x + 0
    dx, again, dy = tcnn.grad(y, [x, x, y], mine)
    arrays = [dx.data, again.data, dy.data, mine, x.data, y.data]
    for i, array in enumerate(arrays[:3]):
        assert not any(np.shares_memory(array, other) for other in arrays[i + 1 :])


def test_a_gradient_may_lie_in_memory_as_its_leaf_does():
    """As in PyTorch: the gradient of an image that lies with the batch innermost is not turned around."""
    images = np.arange(16 * 3 * 4 * 4, dtype=np.float32).reshape(16, 3, 4, 4)
    turned = np.ascontiguousarray(images.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    found = []
    for array in (images, turned):
        x = tcnn.from_numpy(array).requires_grad_()
        F.max_pool2d(x, 2).backward(np.ones((16, 3, 2, 2), np.float32))
        assert x.grad.strides == array.strides
        assert x.grad.flags.writeable
        found.append(x.grad.copy())
        first = x.grad
        F.max_pool2d(x, 2).backward(np.ones((16, 3, 2, 2), np.float32))
        assert x.grad is first
        assert np.array_equal(first, 2 * found[-1])
    assert np.array_equal(*found)


def test_a_gradient_of_which_an_operation_keeps_the_memory_is_copied():
    kept = []

    class Keeps(tcnn.Function):
        def forward(self, x):
            return x + 1

        def backward(self, dy):
            kept[:] = [np.ones((4, 3), np.float32)]
            return kept[0].T

    x = tcnn.from_numpy(np.zeros((4, 3), np.float32).T).requires_grad_()
    tcnn.apply(Keeps(), x).sum().backward()
    assert not np.shares_memory(x.grad, kept[0])


def test_changing_a_gradient_in_place_changes_only_itself():
    x, y = tcnn.ones(3, requires_grad=True), tcnn.ones(3, requires_grad=True)
    (x + y).sum().backward()
    x.grad *= 100
    assert y.grad.tolist() == [1.0, 1.0, 1.0]
    (x + y).sum().backward()
    assert x.grad.tolist() == [101.0] * 3
    assert y.grad.tolist() == [2.0] * 3
