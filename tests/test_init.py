"""nn.init: bounds, statistics, the same numbers for the same seed, and gains against PyTorch."""

import math

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn
from tinygrad_cnn.nn import init
from tinygrad_cnn.random import Generator

CONV = (40, 30, 5, 3)  # fan_in 450, fan_out 600
LINEAR = (300, 200)  # fan_in 200, fan_out 300


def drawn(function, shape, **options):
    tensor = tcnn.zeros(*shape)
    assert function(tensor, generator=Generator(7), **options) is tensor
    return tensor.numpy()


def test_fans():
    assert init.fans(CONV) == (450, 600)
    assert init.fans(LINEAR) == (200, 300)
    with pytest.raises(ValueError, match=r"shape \(3,\) has no inputs and outputs to count.*use zeros_ or uniform_"):
        init.xavier_uniform_(tcnn.zeros(3))


@pytest.mark.parametrize("shape", [CONV, LINEAR])
@pytest.mark.parametrize(
    ("function", "options", "bound"),
    [
        (init.xavier_uniform_, {}, lambda i, o: math.sqrt(6 / (i + o))),
        (init.xavier_uniform_, {"gain": 2.0}, lambda i, o: 2 * math.sqrt(6 / (i + o))),
        (init.kaiming_uniform_, {}, lambda i, o: math.sqrt(6 / i)),
        (init.kaiming_uniform_, {"a": math.sqrt(5)}, lambda i, o: 1 / math.sqrt(i)),
        (init.kaiming_uniform_, {"mode": "fan_out", "nonlinearity": "relu"}, lambda i, o: math.sqrt(6 / o)),
        (init.kaiming_uniform_, {"nonlinearity": "tanh"}, lambda i, o: 5 / 3 * math.sqrt(3 / i)),
        (init.uniform_, {"a": -0.5, "b": 0.5}, lambda i, o: 0.5),
    ],
)
def test_uniform_bounds_and_moments(function, options, bound, shape):
    values, b = drawn(function, shape, **options), bound(*init.fans(shape))
    assert abs(values).max() <= b * (1 + 1e-6)
    assert abs(values).max() > 0.999 * b
    assert abs(values.mean()) < 0.02 * b
    assert values.std() == pytest.approx(b / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize("shape", [CONV, LINEAR])
@pytest.mark.parametrize(
    ("function", "options", "std"),
    [
        (init.xavier_normal_, {}, lambda i, o: math.sqrt(2 / (i + o))),
        (init.xavier_normal_, {"gain": 3.0}, lambda i, o: 3 * math.sqrt(2 / (i + o))),
        (init.kaiming_normal_, {}, lambda i, o: math.sqrt(2 / i)),
        (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "linear"}, lambda i, o: math.sqrt(1 / o)),
        (init.normal_, {"std": 0.1}, lambda i, o: 0.1),
    ],
)
def test_normal_moments(function, options, std, shape):
    values, s = drawn(function, shape, **options), std(*init.fans(shape))
    assert abs(values.mean()) < 0.02 * s
    assert values.std() == pytest.approx(s, rel=0.02)
    assert (abs(values) > s).mean() == pytest.approx(0.317, abs=0.01)  # Gaussian, not uniform


def test_shifted():
    assert drawn(init.normal_, LINEAR, mean=5.0, std=0.01).mean() == pytest.approx(5, abs=1e-3)
    values = drawn(init.uniform_, LINEAR, a=2.0, b=3.0)
    assert values.min() >= 2
    assert values.max() <= 3
    assert values.mean() == pytest.approx(2.5, abs=0.01)


def test_limits():
    assert init.uniform_(tcnn.zeros(2), 3.0, 3.0).tolist() == [3.0, 3.0]
    assert init.normal_(tcnn.ones(2), std=0.0).tolist() == [0.0, 0.0]
    assert init.calculate_gain("selu") == 0.75


def test_constants():
    x = tcnn.zeros(2, 3)
    assert init.ones_(x) is x
    assert x.tolist() == [[1.0] * 3] * 2
    assert init.constant_(x, 0.5).tolist() == [[0.5] * 3] * 2
    assert init.zeros_(x).tolist() == [[0.0] * 3] * 2


def test_layers_start_as_pytorchs_do():
    g = Generator(1)
    for layer, fan_in in (
        (nn.Linear(200, 900, generator=g), 200),
        (nn.Conv2d(30, 800, (5, 3), groups=2, generator=g), 225),
    ):
        bound = 1 / math.sqrt(fan_in)
        for values in (layer.weight.numpy(), layer.bias.numpy()):
            assert abs(values).max() <= bound * (1 + 1e-6)
            assert abs(values).max() > 0.9 * bound
            assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.15)


def test_signals_keep_their_size_through_kaiming_and_relu():
    x = tcnn.tensor(np.random.default_rng(0).normal(size=(64, 256)).astype("float32"))
    for i in range(12):
        weight = init.kaiming_normal_(tcnn.zeros(256, 256), nonlinearity="relu", generator=Generator(i))
        x = (x @ weight.T).relu()
    assert 0.4 < (x.numpy() ** 2).mean() < 2.5


def test_the_same_seed_gives_the_same_numbers_in_every_dtype():
    wanted = init.normal_(tcnn.zeros(5, 3, dtype="float64"), generator=Generator(3)).numpy()
    assert (Generator(3).normal((5, 3)) == wanted).all()
    for dtype in ("float32", "float16"):
        values = init.normal_(tcnn.zeros(5, 3, dtype=dtype), generator=Generator(3)).numpy()
        assert (values == wanted.astype(dtype)).all()
    tcnn.manual_seed(3)
    assert (init.normal_(tcnn.zeros(5, 3, dtype="float64")).numpy() == wanted).all()


def test_a_parameter_keeps_its_gradient_flag_and_old_graphs_notice():
    w = nn.Parameter(np.ones((2, 3)))
    loss = (w * w).sum()
    init.xavier_normal_(w)
    assert w.requires_grad
    assert w.is_leaf
    with pytest.raises(RuntimeError, match=r"init\.normal_"):
        loss.backward()


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda x: init.uniform_(x, 2.0, 1.0), "lower bound a=2.0 is above the upper bound b=1.0"),
        (lambda x: init.normal_(x, std=-1.0), "std=-1.0 must be at least 0"),
        (lambda x: init.kaiming_normal_(x, mode="fan_avg"), 'mode=\'fan_avg\' must be one of "fan_in", "fan_out"'),
        (lambda x: init.kaiming_normal_(x, nonlinearity="swish"), "nonlinearity='swish' must be one of"),
        (lambda x: init.calculate_gain("gelu"), "calculate_gain: nonlinearity='gelu'"),
    ],
)
def test_bad_arguments(act, text):
    with pytest.raises(ValueError, match=text):
        act(tcnn.zeros(2, 3))


def test_gains_by_hand():
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu", 1) == 1
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_as_pytorch(name):
    torch = pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")
    for param in (None, 0.2):
        assert init.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param)
