"""Normalisation: what each kind standardises, running statistics, local response, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import ShapeError, nn
from tinygrad_cnn.kernels import threads


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


@pytest.mark.parametrize(
    ("function", "axes"),
    [
        (lambda x: F.batch_norm(x, training=True, eps=0.0), (0, 2, 3)),
        (lambda x: F.instance_norm(x, eps=0.0), (2, 3)),
        (lambda x: F.group_norm(x, 1, eps=0.0), (1, 2, 3)),
        (lambda x: F.layer_norm(x, (4, 5), eps=0.0), (2, 3)),
        (lambda x: F.layer_norm(x, 5, eps=0.0), (3,)),
    ],
    ids=["batch", "instance", "group", "layer", "rows"],
)
def test_mean_0_and_variance_1_over_the_right_axes(function, axes):
    y = function(tcnn.tensor(normal(3, 2, 4, 5) * 7 + 30)).numpy()
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), 1, rtol=1e-12)


def test_the_kinds_meet():
    x = tcnn.tensor(normal(3, 4, 5, 2))
    instance, layer = F.instance_norm(x).numpy(), F.layer_norm(x, (4, 5, 2)).numpy()
    np.testing.assert_allclose(F.group_norm(x, 4).numpy(), instance, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(F.group_norm(x, 1).numpy(), layer, rtol=1e-12, atol=1e-14)
    one = F.batch_norm(x[:1], training=True).numpy()
    np.testing.assert_allclose(one, instance[:1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_large_mean_does_not_drown_the_variance(dtype):
    """`E[x²] − E[x]²` would be 0 or negative here."""
    x = (1000 + np.array([0.0, 1.0, 2.0, 3.0] * 26)).reshape(2, 1, 52).astype(dtype)
    wanted = (np.arange(4.0) - 1.5) / np.sqrt(1.25)
    for y in (F.batch_norm(tcnn.tensor(x), training=True, eps=0.0), F.layer_norm(tcnn.tensor(x), (1, 52), eps=0.0)):
        np.testing.assert_allclose(y.numpy().reshape(-1)[:4], wanted, rtol=5e-2 if dtype == "float16" else 1e-4)


@pytest.mark.parametrize("use", [True, False])
def test_instance_norms_running_statistics_are_means_over_the_samples(use):
    layer = nn.InstanceNorm1d(1, momentum=0.5, track_running_stats=True, eps=0.0).train(use)
    y = layer(tcnn.tensor([[[1.0, 3.0]], [[10.0, 30.0]]]))
    if use:  # means 2 and 20, unbiased variances 2 and 200
        assert y.tolist() == [[[-1.0, 1.0]], [[-1.0, 1.0]]]
        assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([5.5], [51.0])
    else:
        assert y.tolist() == [[[1.0, 3.0]], [[10.0, 30.0]]]
        assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([0.0], [1.0])


def test_an_empty_batch_leaves_no_trace(recwarn):
    layer = nn.BatchNorm2d(3)
    assert layer(tcnn.zeros(0, 3, 2, 2)).shape == (0, 3, 2, 2)
    assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([0.0] * 3, [1.0] * 3)
    assert not recwarn.list


def test_constant_channels_come_out_0():
    x = tcnn.full((3, 2, 4), 1e4, requires_grad=True)
    y = F.batch_norm(x, training=True)
    y.backward(normal(3, 2, 4))
    assert not y.numpy().any()
    assert np.isfinite(x.grad).all()


def test_instance_norm_takes_one_sample_and_other_channels_with_a_warning():
    x = tcnn.tensor(normal(3, 4))
    layer = nn.InstanceNorm1d(3)
    np.testing.assert_array_equal(layer(x).numpy(), layer(x[None]).numpy()[0])
    with pytest.warns(
        tcnn.TinygradCnnWarning, match=r"InstanceNorm1d: x has shape \(2, 5, 4\).*num_features=3"
    ) as seen:
        assert layer(tcnn.ones(2, 5, 4)).shape == (2, 5, 4)
    assert seen[0].filename == __file__
    with pytest.raises(ShapeError, match="num_features=3; make"):
        nn.InstanceNorm1d(3, affine=True)(tcnn.ones(2, 5, 4))


# ---- local response normalisation


@pytest.mark.parametrize("n", [5, 4])
def test_the_papers_numbers_are_these(n):
    """`b = a/(k + α·Σ a²)^β`, over channels i − n/2 to i + n/2: PyTorch's alpha is n·α."""
    a = normal(2, 9, 3, 2) * 20
    wanted = np.empty_like(a)
    for i in range(9):
        around = a[:, max(0, i - n // 2) : min(9, i + (n - 1) // 2 + 1)]
        wanted[:, i] = a[:, i] / (2 + 1e-4 * (around**2).sum(axis=1)) ** 0.75
    np.testing.assert_allclose(
        F.local_response_norm(tcnn.tensor(a), n, n * 1e-4, 0.75, 2.0).numpy(), wanted, rtol=1e-13
    )


def test_local_response_in_half_precision():
    x = normal(2, 6, 3, 4) * 300  # whose squares are beyond float16
    half = tcnn.tensor(x.astype("float16"), requires_grad=True)
    wide = tcnn.tensor(half.data.astype("float32"), requires_grad=True)
    dy = normal(2, 6, 3, 4)
    for t in (half, wide):
        F.local_response_norm(t, 5, 0.1).backward(dy.astype(t.dtype))
    assert half.grad.dtype == np.float16
    np.testing.assert_allclose(half.grad, wide.grad, rtol=2e-2, atol=1e-3)


def test_local_response_of_extremes(torch):
    """Squares beyond float32, infinities, denormals: NaN only where PyTorch has it."""
    x = np.array([0.0, 1e-40, 1e4, -1e4, 1e30, -1e-30, np.inf, 1.0], "float32").reshape(1, 8, 1).repeat(2, axis=2)
    p, q = tcnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = F.local_response_norm(p, 3), torch.nn.functional.local_response_norm(q, 3)
    y.sum().backward()
    z.sum().backward()
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-5)
    bad = np.isnan(p.grad) & ~np.isnan(q.grad.numpy())
    assert not bad.any()


# ---- every layer keeps the shape

LAYERS = [
    (nn.BatchNorm1d(3), [(3,), (3, 4)], [(4,), (3, 4, 5)]),
    (nn.BatchNorm2d(3), [(3, 4, 5)], [(4, 4, 5), (3, 4)]),
    (nn.BatchNorm3d(3), [(3, 2, 4, 5)], [(3, 4, 5)]),
    (nn.InstanceNorm1d(3, affine=True), [(3, 4)], [(4, 4), (3,)]),
    (nn.InstanceNorm2d(3), [(3, 4, 5)], [(3, 4)]),
    (nn.InstanceNorm3d(3), [(3, 2, 4, 5)], [(3, 4)]),
    (nn.GroupNorm(3, 6), [(6,), (6, 4, 5)], [(3, 4), ()]),
    (nn.LayerNorm((4, 5)), [(4, 5), (3, 4, 5)], [(5,), (4, 4)]),
    (nn.LocalResponseNorm(5), [(3, 4), (3, 4, 5)], [(3,)]),
    (nn.PReLU(3), [(3,), (3, 4, 5)], [(4,), ()]),
    (nn.Softmax2d(), [(3, 4, 5)], [(3, 4)]),
]


@pytest.mark.parametrize(("layer", "good", "bad"), LAYERS, ids=[type(layer).__name__ for layer, *_ in LAYERS])
def test_output_shape_is_what_forward_gives_or_refuses(layer, good, bad):
    for shape in good:
        assert layer.output_shape(shape) == shape == layer(tcnn.tensor(normal(2, *shape))).shape[1:]
    for shape in bad:
        with pytest.raises(ShapeError, match=type(layer).__name__):
            layer.output_shape(shape)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            lambda: nn.BatchNorm2d(3)(tcnn.ones(1, 3, 1, 1)),
            r"\(1, 3, 1, 1\) has one value per channel.*more samples, or",
        ),
        (lambda: F.instance_norm(tcnn.ones(2, 3, 1)), r"\(2, 3, 1\) has one value per channel and sample.*layer_norm"),
        (lambda: F.instance_norm(tcnn.ones(2, 3)), "one value per channel and sample"),
        (lambda: F.instance_norm(tcnn.ones(2, 3, 4), use_input_stats=False), "needs running_mean and running_var"),
        (lambda: F.instance_norm(tcnn.ones(2, 3, 4), tcnn.ones(4)), r"instance_norm: running_mean \(4,\)"),
        (lambda: F.group_norm(tcnn.ones(1, 4), 4), "one value per group of num_groups=4.*fewer groups"),
        (lambda: F.group_norm(tcnn.ones(2, 4, 3), 3), r"group_norm: the 4 channels of x \(2, 4, 3\).*3 groups"),
        (lambda: F.group_norm(tcnn.ones(2, 4, 3), 0), "num_groups=0 must be at least 1"),
        (lambda: F.group_norm(tcnn.ones(2, 4, 3), 2, tcnn.ones(2)), r"group_norm: weight \(2,\) wants C=2"),
        (lambda: nn.GroupNorm(3, 4), "GroupNorm: num_groups=3 does not divide num_channels=4"),
        (lambda: F.layer_norm(tcnn.ones(2, 3), (2,)), r"layer_norm: x \(2, 3\) must end in normalized_shape=\(2,\)"),
        (lambda: F.layer_norm(tcnn.ones(2, 3), ()), "at least one dimension"),
        (lambda: F.layer_norm(tcnn.ones(2, 3), (3,), tcnn.ones(1)), r"layer_norm: weight \(1,\) must have the shape"),
        (lambda: nn.LayerNorm((3, 0)), "LayerNorm: normalized_shape=0 must be at least 1"),
        (lambda: F.local_response_norm(tcnn.ones(2, 3), 5), r"x must have at least 3 dimensions \(N, C, L, ...\)"),
        (lambda: F.local_response_norm(tcnn.ones(2, 3, 4), 0), "size=0 channels; it must be at least 1"),
        (lambda: nn.LocalResponseNorm(0), "LocalResponseNorm: size=0"),
    ],
)
def test_mistakes_are_explained(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "group_norm", "layer_norm", "local_response_norm"])
def test_whole_numbers_are_refused(name):
    with pytest.raises(tcnn.DtypeError, match=rf"{name}: needs floating-point numbers, not int64.*\.float\(\)"):
        getattr(F, name)(tcnn.tensor(np.ones((2, 4, 3), int)), *([2] if "norm" in name[5:] else []))


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d])
def test_dropouts_bits_do_not_depend_on_the_threads(kind):
    before = threads.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            tcnn.manual_seed(11)
            results.append(kind(0.4)(tcnn.ones(64, 8, 20, 20)).numpy())
    finally:
        threads.set_num_threads(before)
    assert (results[0] == 0).any()
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()
