"""Layers and optimizers on another device: the same numbers, nobody waits for the device, nothing is left behind."""

import math

import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, optim
from tinygrad_cnn.nn import init, utils
from tinygrad_cnn.random import Generator

DEVICE = "standin:0"
OTHER = "standin:1"  # not the one that is current by default


@pytest.fixture(autouse=True)
def device():
    with standin.registered():
        yield


def build(device=None):
    g = Generator(3)
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), bias=False, device=device, generator=g),
        nn.BatchNorm2d(4, device=device),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25, generator=g),
        nn.Linear(4 * 2 * 2, 3, device=device, generator=g),
    )


def data(device, seed=0):
    rng = np.random.default_rng(seed)
    x, target = rng.normal(size=(5, 2, 6, 5)).astype("float32"), rng.integers(0, 3, size=5)
    return tcnn.tensor(x, device=device), tcnn.tensor(target, device=device)


def train(net, optimizer, device, steps=3, start=0):
    loss_function = nn.CrossEntropyLoss([1.0, 2.0, 0.5]).to(device)
    for i in range(start, start + steps):
        x, target = data(device, i)
        optimizer.zero_grad()
        loss_function(net(x), target).backward()
        utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()


def assert_same(a, b, tolerance=1e-5):
    for (name, p), q in zip(a.state_dict().items(), b.state_dict().values()):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=tolerance, atol=tolerance, err_msg=name)


MAKERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01, maximize=True),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def test_weights_start_with_the_same_numbers():
    ours, theirs = build(), build(DEVICE)
    assert {p.device for p in theirs.state_dict().values()} == {DEVICE}
    assert_same(ours, theirs, 0)


@every
def test_training_gives_the_same_numbers(make):
    nets = build(), build().to(DEVICE)
    for net, device in zip(nets, ("cpu", DEVICE)):
        train(net, make(net.parameters()), device)
    assert_same(*nets, 1e-4)


@every
def test_a_step_does_not_wait_for_the_device(make):
    net = build(DEVICE)
    optimizer = make(net.parameters())
    train(net, optimizer, DEVICE, 1)
    x, target = data(DEVICE)
    nn.CrossEntropyLoss()(net(x), target).backward()
    with standin.counting() as waits:
        utils.clip_grad_norm_(net.parameters(), 0.5)
        utils.clip_grad_norm_(net.parameters(), 0.5, norm_type=math.inf)
        utils.clip_grad_value_(net.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        net.zero_grad(set_to_none=False)
    assert waits == []
    assert standin.uploads == []


@every
def test_a_device_that_is_not_the_current_one(make):
    nets = build(), build().to(OTHER)
    optimizers = [make(net.parameters()) for net in nets]
    rng = np.random.default_rng(0)
    for _ in range(3):
        for p, q in zip(*(net.parameters() for net in nets)):
            p.grad = q.grad = rng.normal(size=p.shape).astype("float32")
        for net, optimizer in zip(nets, optimizers):
            utils.clip_grad_norm_(net.parameters(), 0.5)
            utils.clip_grad_value_(net.parameters(), 0.01)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
    assert_same(*nets)
    nets[1].load_state_dict(nets[0].state_dict())
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    assert {t.device for t in nets[1].state_dict().values()} == {OTHER}
    assert_same(*nets, 0)


def test_a_forward_pass_in_training_does_not_wait():
    net = build(DEVICE)
    x, target = data(DEVICE)
    with standin.counting() as waits:
        nn.CrossEntropyLoss()(net(x), target).backward()
    assert waits == []


@every
def test_the_state_follows_a_model_that_moves_in_mid_training(make):
    nets = build(), build()
    optimizers = [make(net.parameters()) for net in nets]
    for net, optimizer in zip(nets, optimizers):
        train(net, optimizer, "cpu", 2)
    nets[1].to(DEVICE)
    train(nets[0], optimizers[0], "cpu", 2, 2)
    train(nets[1], optimizers[1], DEVICE, 2, 2)
    assert_same(*nets, 1e-4)
    back = nets[1].cpu()
    assert {t.device for t in back.state_dict().values()} == {"cpu"}
    train(back, optimizers[1], "cpu", 1, 4)
    train(nets[0], optimizers[0], "cpu", 1, 4)
    assert_same(*nets, 1e-4)


@every
def test_states_go_from_one_device_to_the_other(make):
    here, there = build(), build(DEVICE)
    first = make(here.parameters())
    train(here, first, "cpu")
    there.load_state_dict(here.state_dict())
    second = make(there.parameters())
    second.load_state_dict(first.state_dict())
    assert all(p.device == DEVICE for p in there.state_dict().values())
    assert_same(here, there, 0)
    np.testing.assert_equal(second.state_dict(), first.state_dict())
    assert all(isinstance(a, np.ndarray) for a in second.state_dict()["state"][0].values() if np.ndim(a))
    train(there, second, DEVICE, 1)
    here.load_state_dict(there.state_dict())
    assert_same(here, there, 0)


def test_gradients_move_along_and_parameters_stay_the_same_objects():
    net = build()
    before = list(net.parameters())
    net(data("cpu")[0]).sum().backward()
    wanted = [p.grad.copy() for p in before]
    net.to(DEVICE)
    assert all(p is q for p, q in zip(before, net.parameters()))
    for p, dw in zip(before, wanted):
        assert isinstance(p.grad, standin.Array)
        np.testing.assert_array_equal(p.grad.get(), dw)


def test_init_and_vectors():
    for fill in (init.uniform_, init.normal_, init.xavier_uniform_, init.kaiming_normal_):
        here, there = tcnn.zeros(4, 3), tcnn.zeros(4, 3, device=DEVICE)
        fill(here, generator=Generator(1))
        fill(there, generator=Generator(1))
        np.testing.assert_array_equal(here.numpy(), there.numpy())
    net = build(DEVICE)
    vector = utils.parameters_to_vector(net.parameters()).detach()
    assert vector.device == DEVICE
    utils.vector_to_parameters(vector * 2, net.parameters())
    np.testing.assert_array_equal(utils.parameters_to_vector(net.parameters()).numpy(), vector.numpy() * 2)


def test_clipping_over_two_devices():
    a, b = nn.Parameter([0.0, 0.0]), nn.Parameter([0.0], device=OTHER)
    a.grad, b.grad = [0.0, 3.0], [4.0]
    norm = utils.clip_grad_norm_([b, a], 1.0)
    assert (norm.item(), norm.device) == (5.0, OTHER)
    np.testing.assert_allclose([*a.grad, *b.grad.get()], [0.0, 0.6, 0.8], rtol=1e-5)
    b.grad = [math.nan]
    with pytest.raises(RuntimeError, match="is nan"):
        utils.clip_grad_norm_([b, a], 1.0, error_if_nonfinite=True)


def test_padding_modes():
    layer = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="reflect")
    x = data("cpu")[0]
    wanted = layer(x).numpy()
    np.testing.assert_allclose(layer.to(DEVICE)(x.to(DEVICE)).numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}])
def test_batch_norm(options):
    here, there = nn.BatchNorm2d(2, **options), nn.BatchNorm2d(2, **options).to(DEVICE)
    for seed, training in ((0, True), (1, True), (2, False)):
        x = data("cpu", seed)[0]
        y = there.train(training)(x.to(DEVICE))
        np.testing.assert_allclose(here.train(training)(x).numpy(), y.numpy(), rtol=1e-5, atol=1e-6)
    assert_same(here, there)


def test_layers_on_one_device_and_data_on_another():
    with pytest.raises(RuntimeError, match=r"model\.to\(device\)"):
        build(DEVICE)(data("cpu")[0])
