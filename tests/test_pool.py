"""Pooling beyond the tables of test_functional.py: by hand, at the edges, and what the layers say of their sizes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import ShapeError, kernels, nn
from tinygrad_cnn.shapes import Window

LECTURE = [[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]
RANKS = [1, 2, 3]
SIZES = {1: (7,), 2: (5, 6), 3: (3, 4, 5)}


def pool(kind, rank):
    return getattr(F, f"{kind}_pool{rank}d")


# ---- by hand


def test_the_lectures_example():
    x = tcnn.tensor([[LECTURE]])
    assert F.max_pool2d(x, 2, 2).tolist() == [[[[6.0, 8.0], [3.0, 4.0]]]]
    assert F.avg_pool2d(x, 2).tolist() == [[[[3.25, 5.25], [2.0, 2.0]]]]
    assert F.lp_pool2d(x, 1, 2).tolist() == [[[[13.0, 21.0], [8.0, 8.0]]]]
    np.testing.assert_allclose(F.lp_pool2d(x, 2, 2).numpy(), np.sqrt([[[[63.0, 133], [18, 26]]]]), rtol=1e-6)


def test_l2_pooling_by_hand():
    x = tcnn.tensor([[[3.0, 4.0, 0.0, 0.0, -6.0, 8.0]]], requires_grad=True)
    y = F.lp_pool1d(x, 2, 2)
    y.backward([[[5.0, 7.0, 10.0]]])
    assert y.tolist() == [[[5.0, 0.0, 10.0]]]
    assert x.grad.tolist() == [[[3.0, 4.0, 0.0, 0.0, -6.0, 8.0]]]  # dy·x/y, and 0 where y is 0


def test_pooling_over_features_by_hand():
    x = tcnn.tensor([[[[3.0]], [[-4.0]], [[0.0]], [[0.0]], [[5.0]]]], requires_grad=True)
    y = F.feature_lp_pool(x, 2, 2)  # the fifth channel is left out
    y.backward([[[[10.0]], [[1.0]]]])
    assert y.flatten().tolist() == [5.0, 0.0]
    assert x.grad.ravel().tolist() == [6.0, -8.0, 0.0, 0.0, 0.0]
    assert F.feature_lp_pool(x, 2, 2, 1).flatten().tolist() == [5.0, 4.0, 0.0, 5.0]  # overlapping


def test_unpooling_puts_the_maxima_back():
    x = tcnn.tensor([[LECTURE]], requires_grad=True)
    y, places = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(y, places, 2)
    assert places.tolist() == [[[[5, 7], [8, 15]]]]
    assert back.tolist() == [[[[0.0] * 4, [0.0, 6.0, 0.0, 8.0], [3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 4.0]]]]
    back.backward(np.arange(16.0).reshape(1, 1, 4, 4))
    assert (x.grad != 0).sum() == 4
    assert x.grad[0, 0, 1, 1] == 5.0


# ---- at the edges


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(2, 1, 1, 1), (2, 2, 0, 2), (3, 2, 1, 1)])
@pytest.mark.parametrize("what", ["ties", "-inf", "nan"])
def test_the_winner_is_torchs_for_every_rank(against_torch, rank, kernel, stride, padding, dilation, what):
    x = np.random.default_rng(rank).integers(0, 2, (2, 2, *SIZES[rank])).astype(float)
    if what != "ties":
        x[x == 0] = float(what)
    sizes = kernel, stride, padding, dilation
    for ceil in (False, True):
        against_torch(lambda m, x: getattr(m.F, f"max_pool{rank}d")(x, *sizes, ceil, True), x)  # noqa: B023
    against_torch(lambda m, x: getattr(m.F, f"adaptive_max_pool{rank}d")(x, (2, 3, 2)[:rank], True), x)


@pytest.mark.parametrize("p", [1, 2, 3, 4, 1.5])
def test_the_slope_where_a_norm_is_zero_is_torchs(against_torch, p):
    x = np.array([[[0.0, 0.0, 2.0, 1.0, 0.0, 0.0]]])
    against_torch(lambda m, x: m.F.lp_pool1d(x, p, 2), x)


def test_the_slope_where_a_norm_below_one_is_zero():
    """PyTorch has NaN there."""
    x = tcnn.tensor([[[0.0, 0.0, 4.0, 0.0]]], requires_grad=True)
    F.lp_pool1d(x, 0.5, 2).backward([[[1.0, 1.0]]])
    assert x.grad.tolist() == [[[0.0, 0.0, 1.0, np.inf]]]


@pytest.mark.parametrize("p", [1, 3, 1.5])
def test_signs_are_torchs(against_torch, p):
    """Of an odd power the sum may be negative: its root is not a number, but for p = 1."""
    x = np.array([[[-1.0, -2.0, 3.0, -1.0, -1.0, 1.0]]])
    with np.errstate(invalid="ignore"):
        against_torch(lambda m, x: m.F.lp_pool1d(x, p, 2), x)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_l2_of_very_large_and_small_numbers(scale):
    """Their squares are beyond float32."""
    x = tcnn.tensor(np.array([[[3.0, 4.0, 0.0, 0.0]]], np.float32) * np.float32(scale), requires_grad=True)
    with kernels.use(lp_pool1d_forward=kernels.lp_pool1d_forward.implementations["reference"]):
        y = F.lp_pool1d(x, 2, 2)
    np.testing.assert_allclose(y.numpy(), [[[5 * scale, 0]]], rtol=1e-6)
    y.backward(np.ones((1, 1, 2), np.float32))
    np.testing.assert_allclose(x.grad, [[[0.6, 0.8, 0.0, 0.0]]], rtol=1e-6)
    if scale > 1:
        assert F.lp_pool1d(x, 2, 2).tolist() == y.tolist()  # the fast kernel hands them on


@pytest.mark.parametrize("rank", RANKS)
def test_half_precision_adds_in_single(rank):
    """A sum of 4,096 ones is beyond what float16 counts one by one."""
    x = tcnn.ones(1, 1, *{1: (4096,), 2: (64, 64), 3: (16, 16, 16)}[rank], dtype="float16")
    assert pool("adaptive_avg", rank)(x, 1).item() == 1.0
    assert pool("lp", rank)(x, 2, x.shape[2:]).item() == 64.0


def test_a_window_may_be_larger_than_the_image_by_less_than_a_stride_where_sizes_are_rounded_up():
    x = tcnn.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    assert F.max_pool1d(x, 6, 3, ceil_mode=True).tolist() == [[[4.0]]]
    assert F.avg_pool1d(x, 6, 3, ceil_mode=True).tolist() == [[[2.5]]]
    for wrong in (lambda: F.max_pool1d(x, 6, 3), lambda: F.max_pool1d(x, 6, 2, ceil_mode=True)):
        with pytest.raises(ShapeError, match="kernel spanning 6 pixels does not fit into 4"):
            wrong()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((17, 16), (8, 5), (3, 0)), ((300, 2), (300, 2), 0)], ids=["overlapping", "apart"]
)
def test_windows_of_more_than_256_taps(rng, kernel, stride, padding):
    """The number of a tap needs more than a byte; the fast kernel takes them, too, and says the same."""
    window = Window(kernel, stride, padding, ceil_mode=True)
    x = rng.normal(size=(2, 3, 400, 41)).round(1)
    forward, backward = kernels.max_pool2d_forward.implementations, kernels.max_pool2d_backward.implementations
    y, index = forward["cpu"](x, window)
    wanted, first = forward["reference"](x, window)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(index, first)
    assert index.dtype == first.dtype == np.int32
    assert index.max() > 255
    dy = rng.normal(size=y.shape)
    np.testing.assert_allclose(
        backward["cpu"](dy, index, x.shape, window), backward["reference"](dy, first, x.shape, window), atol=1e-12
    )


def test_bools_have_no_largest():
    for pool in (F.max_pool2d, F.adaptive_max_pool2d):
        with pytest.raises(tcnn.DtypeError, match=r"max_pool2d: needs numbers, not bools; convert with .float\(\)"):
            pool(tcnn.ones(1, 1, 4, 4).bool(), 2)


def test_unpooling_of_two_maxima_at_one_place():
    x = tcnn.tensor([[5.0, 7.0]], requires_grad=True)
    y = F.max_unpool1d(x, tcnn.tensor([[2, 2]]), 2)
    y.backward([[1.0, 2.0, 3.0, 4.0]])
    assert (y.tolist(), x.grad.tolist()) == ([[0.0, 0.0, 7.0, 0.0]], [[3.0, 3.0]])  # as PyTorch's: both slopes are 3


# ---- adaptive


def test_even_parts_are_plain_windows():
    """Also those that overlap: of 7 rows three parts of three."""
    windows = []
    plain = kernels.max_pool2d_forward.implementations["cpu"]
    with kernels.use(max_pool2d_forward=lambda x, window: windows.append(window) or plain(x, window)):
        F.adaptive_max_pool2d(tcnn.zeros(1, 1, 6, 7), (2, 3))
    (window,) = windows
    assert (window.kernel, window.stride) == ((3, 3), (3, 2))
    x = tcnn.zeros(1, 1, 6, 7, requires_grad=True)
    assert F.adaptive_avg_pool2d(x, (2, 3)).grad_fn.parents == (x.node,)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_parts_by_their_definition(kind):
    x = np.random.default_rng(3).normal(size=(2, 11))
    for outputs in range(1, 15):
        bounds = [(p * 11 // outputs, -(-(p + 1) * 11 // outputs)) for p in range(outputs)]
        wanted = [[(row[a:b].mean() if kind == "avg" else row[a:b].max()) for a, b in bounds] for row in x]
        y = getattr(F, f"adaptive_{kind}_pool1d")(tcnn.tensor(x), outputs)
        np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12)


def test_global_pools_flatten_unless_told_not_to():
    x = tcnn.randn(2, 3, 5, 4)
    for layer, numpys in ((nn.GlobalAvgPool2d, np.mean), (nn.GlobalMaxPool2d, np.max)):
        wanted = numpys(x.numpy(), axis=(2, 3))
        np.testing.assert_allclose(layer()(x).numpy(), wanted, rtol=1e-6, atol=1e-7)
        assert layer(keepdim=True)(x).shape == (2, 3, 1, 1)
        np.testing.assert_allclose(layer()(x[1]).numpy(), wanted[1], rtol=1e-6, atol=1e-7)
    assert nn.Sequential(nn.GlobalAvgPool2d(), nn.Linear(3, 10))(x).shape == (2, 10)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_global_pools_of_large_images(kind):
    """More than 256 taps, and the slope reaches the pixels it belongs to."""
    x = tcnn.tensor(np.random.default_rng(5).permutation(2 * 20 * 30).reshape(1, 2, 20, 30) / 7.0, requires_grad=True)
    y = getattr(F, f"adaptive_{kind}_pool2d")(x, 1)
    y.backward(np.array([[[[2.0]], [[3.0]]]]))
    flat = x.numpy().reshape(2, -1)
    wanted = np.full((2, 600), 1 / 600) if kind == "avg" else flat == flat.max(axis=1, keepdims=True)
    np.testing.assert_allclose(x.grad.reshape(2, -1), wanted * [[2.0], [3.0]], rtol=1e-12)
    if kind == "max":
        _, places = F.adaptive_max_pool2d(x, 1, return_indices=True)
        assert places.flatten().tolist() == flat.argmax(axis=1).tolist()


# ---- kernels


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("kind", ["max", "avg", "lp"])
def test_an_own_kernel_replaces_that_of_its_rank_alone(kind, rank):
    def refuse(*args, **kwargs):
        raise RuntimeError("mine")

    arguments = (2, 2) if kind == "lp" else (2,)
    with kernels.use(**{f"{kind}_pool{rank}d_forward": refuse}):
        for other in RANKS:
            x = tcnn.ones(1, 1, *SIZES[other])
            if other == rank:
                with pytest.raises(RuntimeError, match="mine"):
                    pool(kind, other)(x, *arguments)
            else:
                pool(kind, other)(x, *arguments)


def test_an_own_kernel_for_unpooling():
    with kernels.use(max_unpool2d_forward=lambda x, indices, sizes: np.ones((*x.shape[:2], *sizes))):
        assert F.max_unpool2d(tcnn.zeros(1, 1, 2), tcnn.tensor([[[0, 1]]]), 2).shape == (1, 2, 4)
        assert F.max_unpool1d(tcnn.zeros(1, 2), tcnn.tensor([[0, 1]]), 2).tolist() == [[0.0] * 4]


# ---- what the layers say of their sizes

LAYERS = [
    (getattr(nn, f"{kind}{rank}d"), arguments, options, rank)
    for rank in RANKS
    for kind, arguments, options in [
        ("MaxPool", (2,), {}),
        ("MaxPool", (3, 2, 1), {"ceil_mode": True}),
        ("MaxPool", (2, 1, 0, 2), {}),
        ("AvgPool", (2,), {"ceil_mode": True}),
        ("AvgPool", (3, 2, 1), {}),
        ("LPPool", (2, 2), {}),
        ("LPPool", (2, 3, 1, True), {}),
        ("MaxUnpool", (2,), {}),
        ("MaxUnpool", (3, 2, 1), {}),
        ("AdaptiveMaxPool", (2,), {}),
        ("AdaptiveAvgPool", ((2, None, 3)[:rank],), {}),
    ]
] + [
    (nn.FeatureLPPool, (2, 2), {}, 2),
    (nn.FeatureLPPool, (2, 3, 1), {"dim": 1}, 3),
    (nn.FeatureLPPool, (2, 2), {"dim": -2}, 1),
    (nn.GlobalAvgPool2d, (), {}, 2),
    (nn.GlobalMaxPool2d, (True,), {}, 2),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "options", "rank"), LAYERS, ids=[f"{k.__name__}{a}" for k, a, *_ in LAYERS]
)
def test_output_shape_is_the_outputs_shape(kind, arguments, options, rank):
    layer, shape = kind(*arguments, **options), (5, *SIZES[rank])
    x = tcnn.zeros(2, *shape)
    inputs = (x, x.long()) if "Unpool" in kind.__name__ else (x,)
    assert layer(*inputs).shape == (2, *layer.output_shape(shape))
    if layer.__dict__.get("dim", -1) < 0:
        assert layer(*(t[0] for t in inputs)).shape == layer.output_shape(shape)  # one sample


def test_every_pooling_layer_is_asked():
    named = {name for name in nn.__all__ if "Pool" in name or "Unpool" in name}
    assert {kind.__name__ for kind, *_ in LAYERS} == named


def test_unpooling_layers_take_an_output_size():
    for rank, kernel in itertools.product(RANKS, (2, 3)):
        x = tcnn.randn(2, 3, *SIZES[rank])
        pooling = getattr(nn, f"MaxPool{rank}d")(kernel, return_indices=True)
        unpooling = getattr(nn, f"MaxUnpool{rank}d")(kernel)
        y, places = pooling(x)
        for size in (x.shape, x.shape[2:]):
            back = unpooling(y, places, output_size=size)
            assert back.shape == x.shape
            assert set(back.numpy().ravel()) <= {*x.numpy().ravel(), 0}
