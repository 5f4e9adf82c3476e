"""state_dict and load_state_dict: what fits is copied, and a load that fails changes nothing."""

import copy

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn


def small():
    return nn.Sequential(nn.Conv2d(2, 3, (3, 2)), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 5))


def arrays(net):
    return {name: t.numpy().copy() for name, t in net.state_dict().items()}


def same(net, wanted):
    return all((net.state_dict()[name].numpy() == a).all() for name, a in wanted.items())


def test_a_state_goes_over_to_another_net():
    a, b = small(), small()
    a.train()
    a(tcnn.randn(4, 2, 4, 3))  # running means that are not the first ones
    assert not same(b, arrays(a))
    assert b.load_state_dict(a.state_dict()) == ([], [])
    assert same(b, arrays(a))
    assert b[1].num_batches_tracked.item() == 1
    x = tcnn.randn(2, 2, 4, 3)
    assert (a.eval()(x).numpy() == b.eval()(x).numpy()).all()


def test_a_state_shares_memory_and_has_no_graph():
    net = small()
    state = net.state_dict()
    assert list(state) == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
        "3.weight", "3.bias",
    ]  # fmt: skip
    assert not any(t.requires_grad for t in state.values())
    kept = copy.deepcopy(state)
    nn.init.constant_(net[0].bias, 7.0)
    assert state["0.bias"].tolist() == [7.0] * 3
    assert kept["0.bias"].tolist() != [7.0] * 3
    assert next(iter(net.state_dict(prefix="net."))) == "net.0.weight"


def test_loading_keeps_parameters_dtypes_and_gradients():
    net = small()
    before = list(net.parameters())
    net(tcnn.randn(4, 2, 4, 3)).sum().backward()
    state = {name: t.numpy().astype("float64") for name, t in net.state_dict().items()}
    net.load_state_dict(state)
    assert all(a is b for a, b in zip(before, net.parameters()))
    assert net[0].weight.dtype == "float32"
    assert net[1].num_batches_tracked.dtype == "int64"
    assert all(p.requires_grad and p.grad is not None for p in net.parameters())


def test_the_loaded_arrays_are_not_ours():
    net = nn.Linear(2, 1)
    state = {"weight": np.ones((1, 2), "float32"), "bias": np.ones(1, "float32")}
    net.load_state_dict(state)
    nn.init.zeros_(net.weight)
    assert state["weight"].tolist() == [[1.0, 1.0]]


def test_loading_its_own_state_and_lists():
    net = nn.Linear(2, 1)
    wanted = arrays(net)
    net.load_state_dict(net.state_dict())
    assert same(net, wanted)
    net.load_state_dict({"weight": [[1, 2]], "bias": [3]})
    assert net.weight.tolist() == [[1.0, 2.0]]


def test_an_older_graph_notices_the_load():
    net = nn.Linear(2, 1)
    loss = (net(tcnn.ones(3, 2)) ** 2).sum() + (net.weight**2).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="load_state_dict"):
        loss.backward()


def test_everything_wrong_is_listed_and_nothing_changed():
    net = small()
    before = arrays(net)
    state = {name: a * 0 + 5 for name, a in before.items()}
    state["0.wieght"] = state.pop("0.weight")
    state["head.bias"] = np.ones(5)
    del state["3.bias"]
    state["3.weight"] = state["3.weight"].T
    state["1.bias"] = np.ones((3, 1))
    state["0.bias"] = np.ones(7)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "Sequential: this state does not fit (nothing was changed):\n"
        "  '0.bias' has shape (3,) in the model, (7,) in the state\n"
        "  '1.bias' has shape (3,) in the model, (3, 1) in the state (as many numbers: reshape them?)\n"
        "  '3.weight' has shape (5, 12) in the model, (12, 5) in the state "
        "(transposed? weights are stored (out, in, ...))\n"
        "  missing in the state: '0.weight', '3.bias'\n"
        "  not in the model: '0.wieght' (did you mean '0.weight'?), 'head.bias' (did you mean '3.bias'?)\n"
        "  → make the model as it was when the state was saved, or load what fits with strict=False"
    )
    assert same(net, before)


def test_not_strict_loads_what_fits_but_never_another_shape():
    net = small()
    before = arrays(net)
    report = net.load_state_dict({"0.bias": np.full(3, 5.0), "extra": np.ones(1)}, strict=False)
    assert report.unexpected_keys == ["extra"]
    assert report.missing_keys == [name for name in before if name != "0.bias"]
    assert net[0].bias.tolist() == [5.0] * 3
    with pytest.raises(
        RuntimeError, match=r"(?s)'0.bias' has shape \(3,\) in the model, \(2,\).*leave these entries out"
    ):
        net.load_state_dict({"0.bias": np.ones(2), "3.bias": np.ones(5)}, strict=False)
    assert (net[3].bias.numpy() == before["3.bias"]).all()


def test_a_common_prefix_is_explained():
    net = small()
    state = {f"module.{name}": a for name, a in arrays(net).items()}
    with pytest.raises(RuntimeError, match=r"all names begin with 'module.': load \{k.removeprefix\('module.'\)"):
        net.load_state_dict(state)


@pytest.mark.parametrize("value", [None, "weights", object(), np.array(["a"])])
def test_values_that_are_no_numbers(value):
    net = nn.Linear(2, 1)
    before = arrays(net)
    with pytest.raises(RuntimeError, match=f"(?s)'weight' is {type(value).__name__}, which is no array of numbers"):
        net.load_state_dict({"weight": value, "bias": [9.0]})
    assert same(net, before)


def test_a_state_that_is_no_dict():
    with pytest.raises(TypeError, match="must be a dict of name → values, not list"):
        small().load_state_dict([1, 2])


@pytest.mark.torch
def test_weights_go_to_pytorch_and_back():
    torch = pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, (3, 2)), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(12, 5)
    )
    x = np.random.default_rng(0).normal(size=(4, 2, 4, 3)).astype("float32")
    theirs(torch.from_numpy(x))
    ours = small()
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    np.testing.assert_allclose(
        ours.eval()(tcnn.tensor(x)).numpy(), theirs.eval()(torch.from_numpy(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    ours.load_state_dict(dict(theirs.named_parameters()), strict=False)  # Parameters that require gradients
    for p in ours.parameters():
        nn.init.normal_(p)
    theirs.load_state_dict({k: torch.from_numpy(np.array(v.numpy())) for k, v in ours.state_dict().items()})
    np.testing.assert_allclose(
        ours(tcnn.tensor(x)).numpy(), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
