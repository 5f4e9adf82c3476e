"""What all optimizers share: groups, errors, saving and continuing."""

import copy
import gc
import json
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, optim

MAKERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.1, betas=(0.8, 0.95)),
    "amsgrad": lambda p: optim.AdamW(p, lr=0.1, amsgrad=True),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def parameters():
    rng = np.random.default_rng(1)
    return [nn.Parameter(rng.normal(size=shape).astype("float32")) for shape in [(3, 2), (4,)]]


def step(optimizer, params, number):
    rng = np.random.default_rng(number)
    for p in params:
        p.grad = rng.normal(size=p.shape).astype(p.dtype)
    optimizer.step()


# ---- groups
def test_groups_have_their_own_options():
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.25)
    for p in (a, b):
        p.grad = np.ones(1, "float32")
    optimizer.step()
    assert (a.item(), b.item()) == (0.75, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.25, 0.5]
    assert [g["params"] for g in optimizer.param_groups] == [[a], [b]]


def test_a_group_can_be_added_and_is_trained():
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = optim.SGD([a], lr=0.25, momentum=0.5)
    optimizer.add_param_group({"params": [b], "lr": 1.0})
    b.grad = np.ones(1, "float32")
    optimizer.step()
    assert (a.item(), b.item()) == (1.0, 0.0)
    assert optimizer.param_groups[1]["momentum"] == 0.5


def test_a_parameter_without_gradient_is_left_alone():
    a, b = parameters()
    before = b.numpy().copy()
    optimizer = optim.AdamW([a, b])
    a.grad = np.ones(a.shape, "float32")
    optimizer.step()
    assert (b.numpy() == before).all()
    assert b not in optimizer.state


def test_zero_grad():
    a, _ = parameters()
    optimizer = optim.SGD([a])
    a.grad = kept = np.ones(a.shape, "float32")
    optimizer.zero_grad(set_to_none=False)
    assert a.grad is not None
    assert (a.grad == 0).all()
    optimizer.zero_grad()
    assert a.grad is None
    del kept


def test_closure_runs_with_gradients_even_under_no_grad():
    w = nn.Parameter([3.0])
    optimizer = optim.SGD([w], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tcnn.no_grad():
        loss = optimizer.step(closure)
    assert (loss.item(), w.item()) == (9.0, 0.0)
    assert optimizer.step() is None


def test_a_step_changes_the_array_in_place_and_old_graphs_notice():
    w = nn.Parameter([3.0])
    array = w.data
    loss = (w * w).sum()
    w.grad = np.ones(1, "float32")
    optim.SGD([w], lr=0.5).step()
    assert w.data is array or np.shares_memory(w.data, array)
    with pytest.raises(RuntimeError, match=r"SGD\.step"):
        loss.backward()


def test_frozen_parameters_of_a_model_are_skipped():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    net[0].requires_grad_(False)
    before = net[0].weight.numpy().copy()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    net(tcnn.ones(4, 3)).sum().backward()
    optimizer.step()
    assert (net[0].weight.numpy() == before).all()
    assert net[1].bias.grad is not None


# ---- what is refused
def test_no_parameters():
    with pytest.raises(ValueError, match=r"SGD: there are no parameters.*only once"):
        optim.SGD([])
    used = nn.Linear(2, 2).parameters()
    list(used)
    with pytest.raises(ValueError, match="no parameters"):
        optim.SGD(used)


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        (lambda p: p, TypeError, r"not one Tensor; write \[tensor\]"),
        (lambda p: {"params": [p]}, TypeError, "not one dict"),
        (lambda p: [p, 3.0], TypeError, "parameter 1 of group 0 must be a Tensor, not float"),
        (lambda p: [("weight", p)], TypeError, "not named_parameters"),
        (lambda p: [p * 2], ValueError, "not a leaf"),
        (lambda p: [tcnn.zeros(2)], ValueError, "requires_grad=False"),
        (lambda p: [p, p], ValueError, r"parameter 1 .*given twice"),
        (lambda p: [{"params": [p]}, {"params": [p]}], ValueError, "given twice"),
        (lambda p: [{"params": {p}}], TypeError, "a set has no fixed order"),
        (lambda p: [{"lr": 3.0}], TypeError, 'a dict with "params"'),
        (lambda p: [{"params": [p], "lr": -3.0}], ValueError, "lr=-3.0 must be at least 0"),
    ],
)
def test_bad_parameters(params, error, text):
    with pytest.raises(error, match=text):
        optim.SGD(params(nn.Parameter([1.0, 2.0])), lr=0.1)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda p: optim.SGD(p, lr=-0.5), ValueError, "SGD: lr=-0.5 must be at least 0"),
        (lambda p: optim.SGD(p, lr=float("nan")), ValueError, "lr=nan"),
        (lambda p: optim.SGD(p, lr="fast"), TypeError, "lr must be a number, not str"),
        (lambda p: optim.SGD(p, lr=tcnn.tensor(0.1)), TypeError, "not Tensor"),
        (lambda p: optim.SGD(p, lr=0.1, nesterov=True), ValueError, "nesterov=True needs momentum > 0"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), ValueError, "betas=.* must be two numbers from 0 to below 1"),
        (lambda p: optim.Adam(p, betas=(0.9,)), ValueError, "two numbers"),
        (lambda p: optim.Adam(p, betas=0.9), ValueError, "betas=0.9 must be two numbers"),
        (lambda p: optim.AdamW(p, eps=-1), ValueError, "AdamW: eps=-1 must be at least 0"),
        (lambda p: optim.RMSprop(p, alpha=-1), ValueError, "RMSprop: alpha=-1"),
    ],
)
def test_bad_options(make, error, text):
    with pytest.raises(error, match=text):
        make([nn.Parameter([1.0])])


def test_an_optimizer_without_a_rule_says_so():
    w = nn.Parameter([1.0])
    w.grad = np.ones(1, "float32")

    class Lazy(optim.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy .*write its update\(\)"):
        Lazy([w], {}).step()


# ---- saving and continuing
def tree_through_json(state):
    """As a checkpoint writes it: arrays apart, everything else as JSON."""
    arrays = []

    def default(value):
        assert isinstance(value, np.ndarray)
        arrays.append(value)
        return {"array": len(arrays) - 1}

    def restore(node):
        return arrays[node["array"]] if "array" in node else node

    return json.loads(json.dumps(state, default=default), object_hook=restore)


@every
@pytest.mark.parametrize("through_json", [False, True])
def test_continued_training_is_the_same_bit_by_bit(make, through_json):
    straight = parameters()
    optimizer = make(straight)
    for i in range(6):
        step(optimizer, straight, i)

    first = parameters()
    optimizer = make(first)
    for i in range(3):
        step(optimizer, first, i)
    state = optimizer.state_dict()
    if through_json:
        state = tree_through_json(state)
    second = [nn.Parameter(p.numpy().copy()) for p in first]
    optimizer = MAKERS["sgd"](second) if make is MAKERS["sgd"] else make(second)
    optimizer.param_groups[0]["lr"] = 123.0  # must come back from the state
    optimizer.load_state_dict(state)
    for i in range(3, 6):
        step(optimizer, second, i)
    assert all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in zip(straight, second))


@every
def test_a_state_is_a_tree_of_plain_values(make):
    params = parameters()
    optimizer = make(params)
    step(optimizer, params, 0)

    def check(value):
        if isinstance(value, dict):
            assert all(type(k) in (str, int) for k in value)
            [check(v) for v in value.values()]
        elif isinstance(value, list):
            [check(v) for v in value]
        else:
            assert type(value) in (int, float, str, bool, type(None), np.ndarray)

    check(optimizer.state_dict())


def test_a_state_is_a_copy():
    params = parameters()
    optimizer = MAKERS["adam"](params)
    step(optimizer, params, 0)
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    step(optimizer, params, 1)
    np.testing.assert_equal(state, kept)
    optimizer.load_state_dict(state)
    step(optimizer, params, 2)
    np.testing.assert_equal(state, kept)


def test_a_state_numbers_parameters_over_all_groups():
    a, b = parameters()
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], momentum=0.9)
    step(optimizer, [a, b], 0)
    state = optimizer.state_dict()
    assert [g["params"] for g in state["param_groups"]] == [[0], [1]]
    assert state["state"][1]["momentum_buffer"].shape == b.shape


def changed(state, **how):
    state = copy.deepcopy(state)
    if "groups" in how:
        state["param_groups"] *= how["groups"]
    if "size" in how:
        state["param_groups"][0]["params"] = list(range(how["size"]))
    if "drop" in how:
        del state["param_groups"][0][how["drop"]]
    if "shape" in how:
        state["state"][1]["exp_avg"] = np.zeros(how["shape"])
    if "extra" in how:
        state["state"][0][how["extra"]] = np.zeros((3, 2))
    if "key" in how:
        state["state"][how["key"]] = {}
    return state


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"groups": 2}, r"it has 2 parameter group\(s\), the optimizer 1"),
        ({"size": 3}, r"group 0 has 3 parameter\(s\), the optimizer's 2"),
        ({"drop": "betas"}, r"group 0 lacks the option\(s\) betas; was it another optimizer's"),
        ({"shape": (5, 1)}, r"exp_avg of parameter 1 has shape \(5, 1\), the parameter \(4,\)"),
        ({"extra": "square_avg"}, "square_avg of parameter 0 is unknown to Adam"),
        ({"key": 7}, "a state for parameter 7, which is in no group"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(how, text):
    params = parameters()
    optimizer = MAKERS["adam"](params)
    step(optimizer, params, 0)
    before = optimizer.state_dict()
    bad = changed(before, **how)
    bad["param_groups"][0]["lr"] = 77.0
    if "groups" not in how:
        bad["state"][0]["exp_avg"] = np.full((3, 2), 5.0)
    with pytest.raises(ValueError, match=text) as caught:
        optimizer.load_state_dict(bad)
    assert "nothing was changed" in str(caught.value)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_all_that_does_not_fit_is_listed():
    params = parameters()
    optimizer = MAKERS["adam"](params)
    step(optimizer, params, 0)
    bad = changed(optimizer.state_dict(), shape=(9,), extra="square_avg")
    with pytest.raises(ValueError, match=r"(?s)square_avg of parameter 0.*exp_avg of parameter 1"):
        optimizer.load_state_dict(bad)
    for no_state in ([1, 2], {"state": {}}, {"param_groups": []}):
        with pytest.raises(ValueError, match="must be a dict"):
            optimizer.load_state_dict(no_state)


def test_a_state_may_hold_none_and_numpy_numbers():
    params = parameters()
    optimizer = MAKERS["adam"](params)
    step(optimizer, params, 0)
    state = optimizer.state_dict()
    state["state"][0].update(step=np.float32(3.0), max_exp_avg_sq=None)
    state["state"][1]["step"] = np.array(5)
    optimizer.load_state_dict(state)
    assert "max_exp_avg_sq" not in optimizer.state[params[0]]
    step(optimizer, params, 1)
    assert [optimizer.state[p]["step"] for p in params] == [4, 6]


def test_the_state_follows_a_model_to_another_number_format():
    net = nn.Linear(3, 2)
    optimizer = optim.Adam(net.parameters())
    net(tcnn.ones(1, 3)).sum().backward()
    optimizer.step()
    net.to("float64")
    assert net.weight.grad.dtype == np.float64
    optimizer.step()
    assert optimizer.state[net.weight]["exp_avg"].dtype == np.float64


def test_repr_shows_the_options():
    text = repr(optim.SGD([nn.Parameter([1.0])], lr=0.5))
    assert text.splitlines()[:2] == ["SGD (", "Parameter Group 0"]
    assert "    lr: 0.5" in text.splitlines()
    assert "params" not in text


def test_nothing_is_kept_alive_by_a_cycle():
    gc.disable()
    try:
        w = nn.Parameter([1.0])
        optimizer = optim.Adam([w])
        w.grad = np.ones(1, "float32")
        optimizer.step()
        scheduler = optim.lr_scheduler.StepLR(optimizer, 3)
        gone = weakref.ref(optimizer)
        del optimizer, scheduler, w
        assert gone() is None
    finally:
        gc.enable()
