"""Activations: the error function's digits, and numbers at the ends of the format, against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.kernels.reference.activations import normal_share


@pytest.mark.parametrize(("dtype", "within"), [("float64", 5e-16), ("float32", 2e-7)])
def test_the_normal_distribution_has_all_its_digits(dtype, within):
    x = np.concatenate([np.linspace(-40, 40, 40_001), np.geomspace(1e-300, 1, 999), -np.geomspace(1e-30, 9, 999)])
    x = np.append(x, [np.inf, -np.inf]).astype(dtype)
    wanted = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in x.astype("float64")])
    with np.errstate(over="ignore", under="ignore"):
        share = normal_share(x)
    assert share.dtype == dtype
    assert np.abs(share - wanted).max() < within
    assert (np.diff(share[:40_001]) >= -within).all()
    near = np.abs(x) < 5  # the tail has digits of its own, too
    np.testing.assert_allclose(share[near], wanted[near], rtol=1e-7 if dtype == "float64" else 1e-4)


def test_gelu_by_hand():
    """84.134 % of the normal distribution lie below 1, 2.275 % below −2."""
    assert F.gelu(tcnn.tensor([1.0, -2.0, 0.0])).numpy() == pytest.approx([0.841345, -0.0455003, 0], abs=1e-6)


EVERY = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "prelu": lambda x: F.prelu(x, tcnn.tensor([0.25], dtype=x.dtype)),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, "tanh"),
    "silu": F.silu,
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.filterwarnings("error")
def test_the_ends_of_the_format(torch, name, dtype):
    """±∞, ±10⁴, ±0, denormals, the limits of the piecewise ones: PyTorch's numbers, NaN only where it has one."""
    tiny = float(np.finfo(dtype).smallest_subnormal)
    values = [-np.inf, -1e4, -30.0, -1.0, -tiny, -0.0, 0.0, tiny, 1.0, 6.0, 20.0, 20.5, 1e4, np.inf, np.nan]
    x = np.array(values, dtype)
    p, q = tcnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    word, _, rest = name.partition(" ")
    theirs = getattr(torch.nn.functional, word)
    arguments = [torch.tensor([0.25], dtype=q.dtype)] if name == "prelu" else []
    y, z = EVERY[name](p), theirs(q, *arguments, **({"approximate": rest} if rest else {}))
    y.backward(np.ones(len(x), dtype))
    z.backward(torch.ones_like(z))
    rough = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3}[dtype]
    for ours, its in ((y.numpy(), z.detach().numpy()), (p.grad[:-1], q.grad.numpy()[:-1])):
        where = ~np.isnan(its)
        np.testing.assert_allclose(ours[where], its[where], rtol=rough, atol=rough)
        assert not np.isnan(ours[where]).any()
    assert np.isnan(y.numpy()[-1])


def test_a_negative_alpha_bends_upwards(against_torch):
    against_torch(lambda m, x: m.F.elu(x, -2.0), np.linspace(-3, 3, 11))


def test_what_elu_saves_is_its_input():
    """Not its result, from which `alpha = 0` could not be undone."""
    x = tcnn.tensor([-1.0, 2.0], requires_grad=True)
    F.elu(x, 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]


def test_prelu_learns_one_weight_or_one_per_channel():
    layer = nn.PReLU(2, init=0.5)
    layer(tcnn.tensor([[[-1.0, 2.0], [-3.0, -4.0]]])).sum().backward()
    assert layer.weight.grad.tolist() == [-1.0, -7.0]
    one = nn.PReLU()
    one(tcnn.tensor([[[-1.0, 2.0], [-3.0, -4.0]]])).sum().backward()
    assert one.weight.grad.tolist() == [-8.0]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: F.prelu(tcnn.ones(2, 3), tcnn.ones(2)), ValueError, r"prelu: weight \(2,\) .*channel of x \(2, 3\)"),
        (lambda: F.prelu(tcnn.ones(3), tcnn.ones(3)), ValueError, r"prelu: weight \(3,\)"),
        (lambda: F.gelu(tcnn.ones(3), "erf"), ValueError, 'approximate=\'erf\' must be "none" or "tanh"'),
        (lambda: nn.GELU("erf"), ValueError, "GELU: approximate='erf' must be one of"),
        (lambda: F.hardtanh(tcnn.ones(3), 1.0, 1.0), ValueError, "min_val=1.0 must be below max_val=1.0"),
        (lambda: nn.Hardtanh(2, 1), ValueError, "Hardtanh: min_val=2 must be below max_val=1"),
        (lambda: nn.PReLU(0), ValueError, "PReLU: num_parameters=0"),
        (lambda: nn.Softmax2d()(tcnn.ones(3, 4)), ValueError, r"Softmax2d: x has shape \(3, 4\)"),
        (lambda: F.elu(tcnn.arange(3)), TypeError, r"elu: needs floating-point numbers, not int64"),
        (lambda: F.gelu(tcnn.arange(3)), TypeError, r"gelu: needs floating-point numbers"),
    ],
)
def test_mistakes_are_explained(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()


# ---- channel dropout


@pytest.mark.parametrize(("name", "shape"), [("1d", (40, 30, 3)), ("2d", (40, 30, 2, 3)), ("3d", (40, 30, 2, 1, 3))])
def test_whole_channels_are_dropped(name, shape):
    y = getattr(F, f"dropout{name}")(tcnn.ones(*shape, dtype="float64"), 0.3).numpy().reshape(40, 30, -1)
    assert set(np.unique(y).round(9)) == {0.0, round(1 / 0.7, 9)}
    assert (y == y[:, :, :1]).all()
    assert abs((y == 0).mean() - 0.3) < 0.05
    assert (y[0] != y[1]).any()


def test_the_masks_are_dropouts_own():
    x = tcnn.ones(5, 7, 3, 2)
    maps = F.dropout2d(x, 0.5, generator=tcnn.Generator(9))
    numbers = F.dropout(tcnn.ones(5, 7), 0.5, generator=tcnn.Generator(9))
    assert (maps.numpy() == numbers.numpy()[:, :, None, None]).all()


@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d"])
def test_the_gradient_goes_where_the_numbers_went(name):
    x = tcnn.ones(*{"dropout1d": (4, 6, 3), "dropout2d": (4, 6, 3, 2), "dropout3d": (4, 6, 3, 2, 2)}[name])
    x.requires_grad_()
    drop = getattr(F, name)
    y = drop(x, 0.5)
    y.backward(np.full(x.shape, 3.0))
    np.testing.assert_array_equal(x.grad, 3 * y.numpy())
    assert drop(x, 0.5, training=False) is x
    assert drop(x, 0.0) is x
    assert not drop(x, 1.0).numpy().any()
    assert drop(x[0], 0.5).shape == x.shape[1:] if name != "dropout2d" else True
    layer = getattr(nn, name.capitalize())(0.5, inplace=True)
    assert repr(layer) == f"{name.capitalize()}(p=0.5, inplace=True)"
    assert layer.eval()(x) is x


def test_which_shapes_have_channels():
    with pytest.raises(ValueError, match=r"dropout1d: x \(2, 3, 4, 5\) must have 3 dimensions"):
        F.dropout1d(tcnn.ones(2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"dropout2d: x \(2, 3\) must have 4 dimensions.*use dropout"):
        F.dropout2d(tcnn.ones(2, 3))
    with pytest.raises(ValueError, match="p=2 is a probability"):
        F.dropout2d(tcnn.ones(2, 3, 4, 5), 2)
    with pytest.raises(ValueError, match="Dropout3d: p=-1 must be a probability"):
        nn.Dropout3d(-1)
    with pytest.warns(tcnn.TinygradCnnWarning, match="taken for \\(N, C, L\\); write dropout1d"):
        y = F.dropout2d(tcnn.ones(20, 30, 4))
    assert (y.numpy() == y.numpy()[:, :, :1]).all()
