"""Gradient clipping, and parameters as one vector."""

import math

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn
from tinygrad_cnn.nn import utils


def with_gradients(*grads, dtype="float64"):
    params = [nn.Parameter(np.zeros(np.shape(g), dtype)) for g in grads]
    for p, g in zip(params, grads):
        p.grad = np.array(g, dtype)
    return params


def test_clip_norm_by_hand():
    a, b = with_gradients([3.0, 0.0], [[4.0]])
    kept = a.grad
    norm = utils.clip_grad_norm_(iter([a, nn.Parameter([1.0]), b]), 1.0)
    assert (norm.item(), norm.shape) == (5.0, ())
    np.testing.assert_allclose(a.grad, [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(b.grad, [[0.8]], rtol=1e-6)
    assert a.grad is kept


@pytest.mark.parametrize(("p", "norm"), [(1.0, 9.0), (2.0, math.sqrt(33)), (3.0, 73 ** (1 / 3)), (math.inf, 4.0)])
def test_norms(p, norm):
    params = with_gradients([[1.0, -4.0]], [-2.0, 0.0], [2.0, -2.0])
    total = utils.clip_grad_norm_(params, norm / 2, norm_type=p)
    wanted = (1 + 4**p + 2 * 2**p + 2**p) ** (1 / p) if p != math.inf else 4.0
    assert total.item() == pytest.approx(wanted)
    assert params[0].grad[0, 1] == pytest.approx(-4 * norm / 2 / wanted, rel=1e-5)


def test_small_gradients_stay():
    (a,) = with_gradients([3.0, 4.0], dtype="float32")
    utils.clip_grad_norm_(a, 5.1)
    assert a.grad.tolist() == [3.0, 4.0]
    assert a.grad.dtype == "float32"
    assert utils.clip_grad_norm_([nn.Parameter([1.0])], 1.0).item() == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite(bad):
    a, b = with_gradients([3.0], [bad])
    with pytest.raises(RuntimeError, match=r"norm of order 2\.0 is .* error_if_nonfinite=False"):
        utils.clip_grad_norm_([a, b], 1.0, error_if_nonfinite=True)
    assert a.grad.tolist() == [3.0]
    with np.errstate(invalid="ignore"):
        utils.clip_grad_norm_([a, b], 1.0)
    assert a.grad[0] != 3.0


def test_half_precision_does_not_overflow():
    (a,) = with_gradients([300.0, 400.0], dtype="float16")
    assert utils.clip_grad_norm_(a, 50.0).item() == 500.0
    assert a.grad.tolist() == [30.0, 40.0]
    assert a.grad.dtype == "float16"


def test_clip_value():
    a, b = with_gradients([3.0, -0.5], [[-7.0]])
    utils.clip_grad_value_([a, b, nn.Parameter([1.0])], 1)
    assert (a.grad.tolist(), b.grad.tolist()) == ([1.0, -0.5], [[-1.0]])
    utils.clip_grad_value_(a, 0.0)
    assert a.grad.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="clip_value=-1 must be at least 0"):
        utils.clip_grad_value_(a, -1)


def test_vector_and_back():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (net.num_parameters(),)
    assert vector.requires_grad
    twin = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    utils.vector_to_parameters(vector.detach(), twin.parameters())
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(net.parameters(), twin.parameters()))
    before = twin[0].weight.numpy().copy()
    with pytest.raises(ValueError, match=r"must have shape \(11,\), not \(12,\)"):
        utils.vector_to_parameters(tcnn.zeros(12), twin.parameters())
    assert (twin[0].weight.numpy() == before).all()


@pytest.mark.torch
@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.1, 3.0, 1e4])
def test_clipping_as_pytorch(p, max_norm):
    torch = pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")
    rng = np.random.default_rng(0)
    grads = [rng.normal(size=s) * 5 for s in [(4, 3, 2), (7,), ()]]
    ours = with_gradients(*grads)
    theirs = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in grads]
    for q, g in zip(theirs, grads):
        q.grad = torch.tensor(g)
    total = utils.clip_grad_norm_(ours, max_norm, p)
    assert total.item() == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, max_norm, p).item(), rel=1e-12)
    utils.clip_grad_value_(ours, 0.7)
    torch.nn.utils.clip_grad_value_(theirs, 0.7)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-12)
