"""Layers computed at once by `Sequential`: the same numbers, and the same graph, for whoever looks."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import kernels, nn, viz
from tinygrad_cnn.backends import owner
from tinygrad_cnn.function import GraphError
from tinygrad_cnn.nn import row as rows
from tinygrad_cnn.shapes import ShapeError


def network(dtype: str = "float64", **conv) -> nn.Sequential:
    tcnn.manual_seed(5)
    layers = {
        "conv": nn.Conv2d(2, 4, 3, padding=1, **conv),
        "relu": nn.ReLU(),
        "pool": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(4, 3, (2, 3)),
        "relu2": nn.ReLU(),
        "flat": nn.Flatten(),
        "fc": nn.Linear(3 * 4 * 2, 5),
        "relu3": nn.ReLU(),
    }
    return nn.Sequential(layers).to(dtype)


def images(N: int = 20, dtype: str = "float64") -> tcnn.Tensor:
    tcnn.manual_seed(6)
    return tcnn.randn(N, 2, 10, 8).to(dtype)


def one_by_one(net: nn.Sequential, x: tcnn.Tensor) -> tcnn.Tensor:
    for module in net:
        x = module(x)
    return x


def gradients(loss: tcnn.Tensor, net: nn.Sequential, x: tcnn.Tensor) -> list[np.ndarray]:
    net.zero_grad()
    x.zero_grad()
    loss.backward()
    return [x.grad, *(p.grad for p in net.parameters())]


def nodes_of(result: tcnn.Tensor) -> list:
    nodes = [result.node]
    while nodes[-1].parents and nodes[-1].parents[0] is not None:
        nodes.append(nodes[-1].parents[0])
    return nodes


def counted(monkeypatch) -> list[str]:
    """The rows that are computed from now on, by their kernels' names."""
    seen: list[str] = []
    for name in kernels.names():
        if name.endswith("_relu_forward") or name == "conv2d_relu_max_pool2d_forward":
            original = kernels.get(name).library

            def library(*args, _name=name, _original=original, **kwargs):
                seen.append(_name.removesuffix("_forward"))
                return _original(*args, **kwargs)

            monkeypatch.setattr(kernels.get(name), "library", library)
    return seen


ROWS = ["conv2d_relu_max_pool2d", "conv2d_relu", "linear_relu"]


@pytest.mark.parametrize("N", [20, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_the_same_numbers_and_gradients(N, bias, monkeypatch):
    net, x = network(bias=bias), images(N).requires_grad_()
    wanted = one_by_one(net, x)
    wanted_gradients = gradients((wanted**2).sum(), net, x)
    seen = counted(monkeypatch)
    y = net(x)
    assert [name for name in seen if name in ROWS][:3] == ROWS or set(ROWS) <= set(seen)
    assert np.allclose(y.data, wanted.data, rtol=1e-12)
    for got, want in zip(gradients((y**2).sum(), net, x), wanted_gradients, strict=True):
        assert np.allclose(got, want, rtol=1e-9, atol=1e-12)


def test_what_forward_leaves_for_backward_goes_with_the_graph():
    net, x = network(), images()
    with tcnn.no_grad():
        assert net(x).node is None
    y = net(x).sum()
    row = next(node.row for node in nodes_of(y) if node.name == "max_pool2d")
    columns = weakref.ref(row.saved.kept[1])
    y.backward(retain_graph=True)
    assert columns() is not None
    y.backward()
    assert columns() is None
    net.requires_grad_(False)
    y = net(x.requires_grad_()).sum()  # the gradients of the filters would need them
    row = next(node.row for node in nodes_of(y) if node.name == "max_pool2d")
    assert row.saved.kept[1] is None


def test_the_limits_of_a_window_are_checked_anew():
    """What was remembered of another image, another block or another layer does not count."""
    net, x = network("float32"), images(20, "float32")
    net(x)
    with tcnn.strict_sizes(), pytest.raises(ShapeError, match="doesn't fit"):
        nn.Sequential(nn.Conv2d(2, 4, 4), nn.ReLU(), nn.MaxPool2d(2))(x)
    with pytest.raises(ShapeError, match="layer pool"):
        net(x[:, :, :1, :1])
    net(x)


def test_gradcheck_through_rows():
    net, x = network(), images(16).requires_grad_()
    assert tcnn.gradcheck(lambda x: net(x), [x])


def test_the_graph_has_every_operation():
    net, x = network(), images().requires_grad_()
    names = [node.name for node in nodes_of(net(x))]
    assert names == [node.name for node in nodes_of(one_by_one(net, x))]
    assert names[-4:] == ["max_pool2d", "relu", "conv2d", "leaf"]
    for quick, plain in zip(nodes_of(net(x)), nodes_of(one_by_one(net, x)), strict=True):
        assert (quick.shape, quick.dtype) == (plain.shape, plain.dtype)
        assert getattr(quick, "input_shapes", None) == getattr(plain, "input_shapes", None)
        if quick.scope is not None:
            assert quick.scope.module is plain.scope.module


def test_a_picture_shows_every_operation():
    net, x = network(), images()
    titles = [box.title for box in viz.graph(net(x).sum()).boxes if box.kind == "operation"]
    assert titles == ["conv2d", "relu", "max_pool2d", "conv2d", "relu", "reshape", "linear", "relu", "sum"]


def test_a_hook_between_gets_its_gradient_and_changes_it():
    net, x = network(), images().requires_grad_()
    plain = one_by_one(net, x)
    seen = {}
    results = {}
    for which, y in (("plain", plain), ("row", net(x))):
        node = next(node for node in nodes_of(y) if node.name == "conv2d" and node.shape[1] == 4)
        node.hooks = {1: lambda g, which=which: seen.setdefault(which, g.copy()) * 2}
        results[which] = gradients((y**2).sum(), net, x)
    assert np.allclose(seen["row"], seen["plain"], rtol=1e-10, atol=1e-12)
    for got, want in zip(results["row"], results["plain"], strict=True):
        assert np.allclose(got, want, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_a_node_between_can_be_asked_for():
    net, x = network(), images().requires_grad_()
    found = {}
    for which, y in (("plain", one_by_one(net, x)), ("row", net(x))):
        node = next(node for node in nodes_of(y) if node.name == "relu" and len(node.shape) == 4)
        node.retains_grad = True
        y.sum().backward()
        found[which] = node.grad
    assert np.allclose(found["row"], found["plain"], rtol=1e-10, atol=1e-12)


def test_the_bias_may_have_changed_when_somebody_looks_between():
    net, x = network(), images().requires_grad_()
    wanted = gradients(net(x).sum(), net, x)
    y = net(x)
    with tcnn.no_grad():
        net.conv.bias.add_(100.0)  # as in PyTorch: backward does not need it
    node = next(node for node in nodes_of(y) if node.name == "conv2d" and node.shape[1] == 4)
    node.hooks = {1: lambda g: None}
    for got, want in zip(gradients(y.sum(), net, x), wanted, strict=True):
        assert np.allclose(got, want, rtol=1e-9, atol=1e-12)


def test_a_weight_that_changed_is_refused():
    net, x = network(), images().requires_grad_()
    loss = net(x).sum()
    with tcnn.no_grad():
        net.conv.weight.mul_(2.0)
    with pytest.raises(GraphError, match=r"conv2d: its input weight was changed in place by \*=") as error:
        loss.backward()
    assert "clone()" in str(error.value)


def test_two_calls_of_one_size_share_no_nodes():
    net, x = network(), images().requires_grad_()
    first, second = net(x), net(x)
    assert not set(nodes_of(first)[:-1]) & set(nodes_of(second)[:-1])
    between = [next(n for n in nodes_of(y) if n.name == "relu" and len(n.shape) == 4) for y in (first, second)]
    between[0].retains_grad = True
    between[0].new_attribute = 1
    (first + second).sum().backward()
    assert between[0].grad is not None
    assert between[1].grad is None
    assert not hasattr(between[1], "new_attribute")
    assert not hasattr(nodes_of(net(x))[nodes_of(second).index(between[1])], "new_attribute")


def test_operations_are_made_only_for_a_graph(monkeypatch):
    net, x = network(), images()
    made = []
    original = rows.Row.stand_behind
    monkeypatch.setattr(rows.Row, "stand_behind", lambda self, scopes: made.append(self) or original(self, scopes))
    with tcnn.no_grad():
        net(x)
    assert not made
    net(x)
    assert [row.name for row in made] == ["conv2d", "conv2d", "linear"]


def test_backward_twice():
    net, x = network(), images().requires_grad_()
    loss = net(x).sum()
    loss.backward(retain_graph=True)
    first = x.grad.copy()
    loss.backward()
    assert np.allclose(x.grad, 2 * first)
    with pytest.raises(GraphError, match="a second time"):
        loss.backward()


def test_without_gradients_nothing_is_kept():
    net, x = network(), images()
    with tcnn.no_grad():
        y = net(x)
    assert y.node is None
    assert np.allclose(y.data, one_by_one(net, x).data)
    assert "no_grad" in tcnn.explain_grad(y)


def test_frozen_layers():
    net, x = network(), images()
    net.conv.requires_grad_(False)
    net(x).sum().backward()
    assert net.conv.weight.grad is None
    assert net.conv2.weight.grad is not None


LOOKING = {
    "a forward hook": lambda net: net.relu.register_forward_hook(lambda *args: None),
    "a forward pre-hook": lambda net: net.conv.register_forward_pre_hook(lambda *args: None),
    "a forward of one's own": lambda net: setattr(net.pool, "forward", type(net.pool).forward.__get__(net.pool)),
    "a subclass": lambda net: setattr(net, "conv", type("Mine", (nn.Conv2d,), {})(2, 4, 3, padding=1).double()),
    "another padding": lambda net: setattr(net.conv, "padding_mode", "reflect"),
}


@pytest.mark.parametrize("why", LOOKING)
def test_modules_are_called_one_by_one_where_somebody_looks(why, monkeypatch):
    net, x = network(), images()
    LOOKING[why](net)
    wanted = one_by_one(net, x)
    seen = counted(monkeypatch)
    assert np.allclose(net(x).data, wanted.data)
    assert "conv2d_relu_max_pool2d" not in seen
    assert "linear_relu" in seen  # the others need not wait


def test_a_recording_sees_every_operation(monkeypatch):
    net, x = network(), images()
    seen = counted(monkeypatch)
    with viz.record() as recording:
        net(x).sum().backward()
    assert not seen
    assert recording is not None


def test_a_recording_of_backward_alone_sees_every_operation():
    net, x = network(), images().requires_grad_()
    wanted = gradients(one_by_one(net, x).sum(), net, x)
    loss = net(x).sum()
    net.zero_grad()
    x.zero_grad()
    with viz.record():
        loss.backward()
    for got, want in zip([x.grad, *(p.grad for p in net.parameters())], wanted, strict=True):
        assert np.allclose(got, want, rtol=1e-9, atol=1e-12)


def test_a_students_kernel_is_used():
    net, x = network(), images()
    calls = []

    def mine(x):
        calls.append(x.shape)
        return np.maximum(x, 0), x > 0

    with kernels.use(relu_forward=mine):
        net(x)
    assert len(calls) == 3


def test_errors_name_the_layer():
    net = network()
    with pytest.raises(ShapeError, match=r"layer conv \(Conv2d\): conv2d: weight .* wants C=2"):
        net(tcnn.zeros(20, 3, 10, 8).double())
    with pytest.raises(tcnn.DtypeError, match=r"layer conv \(Conv2d\)"):
        net(tcnn.zeros(20, 2, 10, 8))


def test_only_known_rows_are_taken():
    x = images()
    assert rows.at_once([nn.ReLU(), nn.ReLU()], x)[1] == 0
    assert rows.at_once([nn.Conv2d(2, 4, 3).double()], x)[1] == 0
    pooled = [nn.Conv2d(2, 4, 3).double(), nn.ReLU(), nn.MaxPool2d(2, return_indices=True)]
    assert rows.at_once(pooled, x)[1] == 0
    assert rows.at_once([nn.Conv2d(2, 4, 3).double(), nn.ReLU(), nn.AvgPool2d(2)], x)[1] == 2
    assert rows.at_once([nn.Conv2d(2, 4, 3).double(), nn.ReLU(), nn.MaxPool2d(3, 2)], x)[1] == 3


def test_what_was_kept_is_gone_with_the_result():
    net, x = network(), images().requires_grad_()
    y = net(x)
    kept = [
        weakref.ref(owner(array))
        for node in nodes_of(y)
        if node.name != "leaf" and node.row
        for value in node.row.saved.values()
        for array in (value if isinstance(value, tuple) else (value,))
    ]
    assert len(kept) == 10  # x, weight and what the kernel kept of three rows; the first one keeps columns, too
    gc.disable()
    try:
        del y
        alive = [array() for array in kept if array() is not None]
    finally:
        gc.enable()
    assert all(array is x.data or any(array is p.data for p in net.parameters()) for array in alive)
