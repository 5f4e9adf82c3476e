"""Large gradients' memory is used again, and nobody ever sees it."""

import gc

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, optim
from tinygrad_cnn.kernels.cpu import spares


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    monkeypatch.setattr(spares, "LARGE", 4000)
    assert not spares._waiting
    yield
    gc.collect()
    assert not spares._waiting  # all weights are gone
    assert not spares._asking


def layer_and_optimizer():
    tcnn.manual_seed(0)
    layer = nn.Linear(50, 30)
    return layer, optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)


def batch(seed):
    return tcnn.tensor(np.random.default_rng(seed).normal(size=(7, 50)).astype("float32"))


def step(layer, optimizer, seed):
    optimizer.zero_grad()
    (layer(batch(seed)) ** 2).sum().backward()
    optimizer.step()


def place(array):
    return array.__array_interface__["data"][0]


def test_the_next_gradient_lies_where_the_last_one_lay():
    layer, optimizer = layer_and_optimizer()
    step(layer, optimizer, 0)
    before = place(layer.weight.grad)
    kept = [np.empty(1500, np.float32) for _ in range(20)]  # whoever asks for memory meanwhile does not get it
    optimizer.zero_grad()
    kept += [np.empty(1500, np.float32) for _ in range(20)]
    assert layer.weight.grad is None
    assert before not in map(place, kept)
    assert len(spares._waiting) == 1  # the bias is small
    step(layer, optimizer, 1)
    assert place(layer.weight.grad) == before
    assert not spares._waiting


def test_training_gives_the_same_bits(monkeypatch):
    def trained():
        layer, optimizer = layer_and_optimizer()
        for seed in range(5):
            step(layer, optimizer, seed)
        return layer.weight.numpy().tobytes()

    with_spares = trained()
    monkeypatch.setattr(spares, "LARGE", 1 << 30)
    assert trained() == with_spares


@pytest.mark.parametrize("hold", [lambda g: g, lambda g: g[3:5].T, memoryview, lambda g: {"mine": [g]}])
def test_a_gradient_somebody_holds_is_left_to_them(hold):
    layer, optimizer = layer_and_optimizer()
    step(layer, optimizer, 0)
    mine = hold(layer.weight.grad)
    numbers = layer.weight.grad.copy()
    again = hold(numbers)
    optimizer.zero_grad()
    assert not spares._waiting
    step(layer, optimizer, 1)
    np.testing.assert_equal(mine, again)


def test_a_gradient_that_looks_into_memory_of_others_is_not_kept():
    layer, optimizer = layer_and_optimizer()
    step(layer, optimizer, 0)
    mine = np.ones(1500, np.float32)
    layer.weight.node.grad = mine.reshape(30, 50)
    optimizer.zero_grad()
    assert not spares._waiting


def test_a_gradient_whose_successor_will_not_ask_for_its_memory_goes():
    layer, optimizer = layer_and_optimizer()
    (layer.weight * 2).sum().backward()  # by no linear layer
    optimizer.zero_grad()
    assert not spares._waiting


def test_it_goes_with_the_weights_and_with_grad_none():
    layer, optimizer = layer_and_optimizer()
    step(layer, optimizer, 0)
    layer.weight.grad = None
    assert not spares._waiting
    step(layer, optimizer, 0)
    layer.zero_grad()
    assert len(spares._waiting) == 1
    del layer, optimizer
    gc.collect()
    assert not spares._waiting


def test_other_formats_and_new_weights_get_memory_of_their_own():
    layer, optimizer = layer_and_optimizer()
    step(layer, optimizer, 0)
    optimizer.zero_grad()
    layer.double()
    (layer(batch(0).double()) ** 2).sum().backward()
    assert layer.weight.grad.dtype == np.float64
    layer.weight.grad = None
    layer.float()
    step(layer, optimizer, 0)
    optimizer.zero_grad()
    layer.weight.data = np.ones((30, 50), np.float32)  # the old array is gone, and its gradient with it
    assert not spares._waiting


def test_accumulated_gradients_and_shared_weights():
    layer, optimizer = layer_and_optimizer()

    def gradient():
        optimizer.zero_grad()
        (layer(batch(0)).sum() * layer(batch(1)).sum()).backward()  # two nodes with the same weights
        layer(batch(2)).sum().backward()
        return layer.weight.grad.copy()

    first = gradient()
    np.testing.assert_array_equal(gradient(), first)
    assert abs(first).max() > 0
