"""Convolution along any number of axes and its way back: by definition, by hand, by name, in half precision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.functional as F
from tinygrad_cnn import backends, kernels, nn
from tinygrad_cnn.shapes import ShapeError, Window, padded, resized

# rank → (N, C, sizes), (K, C/groups, kernel), settings
CASES = {
    1: ((2, 4, 9), (6, 2, 3), {"stride": (2,), "padding": (2,), "dilation": (3,), "groups": 2}),
    2: ((2, 3, 7, 5), (4, 3, 3, 2), {"stride": (2, 3), "padding": (1, 2), "dilation": (2, 1), "groups": 1}),
    3: ((1, 2, 4, 5, 3), (4, 1, 2, 3, 2), {"stride": (1, 2, 2), "padding": (1, 0, 1), "dilation": 1, "groups": 2}),
}


@pytest.fixture(params=["reference", "cpu"])
def kernel_set(request, monkeypatch):
    """Both ways to compute."""
    monkeypatch.setattr(backends.CPU, "kernel_sets", (request.param, "reference"), raising=False)
    return request.param


@pytest.mark.parametrize("rank", CASES)
def test_the_sum_over_taps_is_the_definition(rng, rank, kernel_set):
    (N, C, *sizes), (K, Cg, *kernel), settings = CASES[rank]
    x, w, b = rng.normal(size=(N, C, *sizes)), rng.normal(size=(K, Cg, *kernel)), rng.normal(size=K)
    y = getattr(F, f"conv{rank}d")(*map(tcnn.Tensor, (x, w, b)), **settings).numpy()
    stride, dilation = (v if isinstance(v, tuple) else (v,) * rank for v in (settings["stride"], settings["dilation"]))
    edged = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in settings["padding"]]])
    for n, k, *place in itertools.product(*map(range, y.shape)):
        first = k // (K // settings["groups"]) * Cg
        total = b[k]
        for c, *tap in itertools.product(range(Cg), *map(range, kernel)):
            at = tuple(p * s + t * d for p, s, t, d in zip(place, stride, tap, dilation))
            total += edged[(n, first + c, *at)] * w[(k, c, *tap)]
        np.testing.assert_allclose(y[(n, k, *place)], total, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rank", CASES)
def test_transposed_is_the_adjoint(rng, rank, kernel_set):
    """`⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩` for every x and y: what makes it the way back."""
    (N, C, *sizes), (K, Cg, *kernel), settings = CASES[rank]
    x, w = tcnn.Tensor(rng.normal(size=(N, C, *sizes))), tcnn.Tensor(rng.normal(size=(K, Cg, *kernel)))
    forth = getattr(F, f"conv{rank}d")(x, w, **settings)
    y = tcnn.Tensor(rng.normal(size=forth.shape))
    window = Window(tuple(kernel), settings["stride"], settings["padding"], settings["dilation"])
    extra = tuple(n - m for n, m in zip(sizes, window.back(forth.shape[2:])))
    back = getattr(F, f"conv_transpose{rank}d")(y, w, output_padding=extra, **settings)
    assert back.shape == x.shape
    np.testing.assert_allclose((forth * y).sum().item(), (x * back).sum().item(), rtol=1e-12)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (3, 1), (2, 4), (4, 3)])
def test_every_output_padding_is_a_size_that_convolution_makes_equal(stride, dilation):
    window = Window(3, stride, 1, dilation)
    for n in (1, 2, 5):
        for extra in range(max(stride, dilation)):
            (size,) = window.back((n,), (extra,))
            x = tcnn.ones(1, 1, n, requires_grad=True)
            y = F.conv_transpose1d(x, tcnn.ones(1, 1, 3), None, stride, 1, extra, 1, dilation)
            assert y.shape == (1, 1, size)
            y.sum().backward()
            assert x.grad.shape == (1, 1, n)
            assert window.out(size) == n + extra // stride
        with pytest.raises(ShapeError, match=f"output_padding {max(stride, dilation)} must be"):
            window.back((n,), (max(stride, dilation),))


def test_transposed_by_hand():
    """Each pixel stamps the filter, two pixels apart; the middle column is met by both."""
    x, w = tcnn.tensor([[[[1.0, 2.0]]]]), tcnn.tensor([[[[1.0, 10.0, 100.0], [0.0, 0.0, 1.0]]]])
    y = F.conv_transpose2d(x, w, tcnn.tensor([0.5]), stride=2)
    assert y.tolist() == [[[[1.5, 10.5, 102.5, 20.5, 200.5], [0.5, 0.5, 1.5, 0.5, 2.5]]]]
    assert F.conv_transpose2d(x, w, stride=2, padding=(0, 1)).tolist() == [[[[10, 102, 20], [0, 1, 0]]]]


def test_a_function_of_ones_own_stands_in_for_one_rank_only():
    calls = []

    def mine(x, weight, bias, window, groups=1):
        calls.append(x.shape)
        return kernels.conv2d_forward.implementations["reference"](x, weight, bias, window, groups)

    with kernels.use(conv2d_forward=mine):
        F.conv1d(tcnn.ones(1, 1, 4), tcnn.ones(1, 1, 2))
        F.conv3d(tcnn.ones(1, 1, 2, 2, 2), tcnn.ones(1, 1, 2, 2, 2))
        assert calls == []
        F.conv2d(tcnn.ones(1, 1, 2, 3), tcnn.ones(1, 1, 2, 2))
        assert calls == [(1, 1, 2, 3)]


def test_half_precision_adds_up_in_single():
    """4,000 ones, and one more for each tap: in half precision the sum would stop at 2048."""
    x, w = tcnn.ones(1, 4000, 1, dtype="float16"), tcnn.ones(1, 4000, 1, dtype="float16")
    assert F.conv1d(x, w).item() == 4000
    assert F.conv_transpose1d(x, tcnn.ones(4000, 1, 1, dtype="float16")).item() == 4000
    x = tcnn.ones(1, 1, 3000, dtype="float16", requires_grad=True)
    bias = tcnn.zeros(1, dtype="float16", requires_grad=True)
    F.conv_transpose1d(x, tcnn.ones(1, 1, 1, dtype="float16"), bias).sum().backward()
    assert bias.grad.item() == 3000
    x = tcnn.ones(1, 1, 1, dtype="float16", requires_grad=True)
    F.pad(x, (2000, 2000), "replicate").sum().backward()
    assert x.grad.item() == 4000  # 4001, rounded
    x.zero_grad()
    F.interpolate(x, 4000).sum().backward()
    assert x.grad.item() == 4000


@pytest.mark.parametrize("x", [(2, 0, 5, 4), (2, 3, 5, 4)], ids=["no channels", "no filters"])
def test_nothing_to_sum_or_nothing_to_compute(x, kernel_set):
    """Where an axis of the filters is empty, forth and back."""
    images, K = tcnn.zeros(*x, requires_grad=True), 0 if x[1] else 2
    for slide, shape, weight in (
        (F.conv2d, (2, K, 4, 3), (K, x[1], 2, 2)),
        (F.conv_transpose2d, (2, K, 6, 5), (x[1], K, 2, 2)),
    ):
        filters = tcnn.zeros(*weight, requires_grad=True)
        y = slide(images, filters)
        assert y.shape == shape
        assert not y.numpy().any()
        y.sum().backward()
        assert images.grad.shape == x
        assert filters.grad.shape == weight
    with pytest.raises(ShapeError, match=r"conv_transpose1d: .*of the sizes \(0,\) every one must be at least 1"):
        F.conv_transpose1d(tcnn.zeros(2, 3, 0), tcnn.zeros(3, 2, 4), stride=2)


def test_sizes_may_be_numpys_and_lists():
    x, w = tcnn.ones(1, 2, 7, 6), tcnn.ones(4, 2, 3, 2)
    two, one = np.int64(2), np.int32(1)
    assert F.conv2d(x, w, stride=two, padding=[1, one]).shape == F.conv2d(x, w, stride=2, padding=1).shape
    assert F.max_pool2d(x, two, (two, 1)).shape == (1, 2, 3, 5)
    assert Window(3, stride=[2, two], padding=[0, 1]).out(7, 6) == (3, 3)
    with pytest.raises(ShapeError, match=r"stride=\(1.5, 1.5\) must be one whole number or 2 of them"):
        F.conv2d(x, w, stride=1.5)


@pytest.mark.parametrize("slide", [F.conv1d, F.conv_transpose1d])
def test_what_is_no_number_of_groups_or_no_tensor(slide):
    x, w = tcnn.ones(1, 2, 7), tcnn.ones(2, 2, 3)
    for groups in (0, -1):
        with pytest.raises(ShapeError, match=rf"groups={groups} must be at least 1"):
            slide(x, w, groups=groups)
    for weight, bias, text in ((w.numpy(), None, "weight must be a tensor, not ndarray"), (w, [0.0] * 2, "not list")):
        with pytest.raises(TypeError, match=text):
            slide(x, weight, bias)


def test_a_transposed_convolution_takes_no_memory_for_a_shape(monkeypatch):
    seen = []
    reference = kernels.conv2d_backward.implementations["reference"]

    def watching(dy, x, *rest, **needs):
        seen.append((x.shape, x.strides))
        return reference(dy, x, *rest, **needs)

    with kernels.use(conv2d_backward=watching):
        F.conv_transpose2d(tcnn.ones(2, 3, 4, 5), tcnn.ones(3, 2, 2, 2), stride=2)
    assert seen == [((2, 2, 8, 10), (0, 0, 0, 0))]


# ---- padding


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("reflect", [3, 2, 1, 2, 3, 4, 3]),
        ("replicate", [1, 1, 1, 2, 3, 4, 4]),
        ("circular", [3, 4, 1, 2, 3, 4, 1]),
    ],
)
def test_padding_by_hand(mode, row):
    assert F.pad(tcnn.tensor([[1, 2, 3, 4]]), (2, 1), mode).tolist() == [row]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_the_gradient_of_a_border_arrives_where_it_came_from(mode):
    """Counted: each entry's gradient is how often it appears."""
    x = tcnn.tensor(np.arange(12.0).reshape(1, 3, 4), requires_grad=True)
    y = F.pad(x, (2, 3, 1, 2), mode)
    y.sum().backward()
    assert x.grad.reshape(-1).tolist() == np.bincount(y.numpy().astype(int).reshape(-1)).tolist()


def test_sizes_of_padding_and_resizing():
    assert padded((2, 3, 4), (1, 2, -1, 0)) == (2, 2, 7)
    assert padded((2, 3, 4), (4, 4), "circular") == (2, 3, 12)
    assert resized((5, 7), size=(3, 9)) == ((3, 9), (None, None))
    assert resized((5, 7), scale_factor=(1.5, 2)) == ((7, 14), (1.5, 2.0))


# ---- interpolation


def test_interpolation_by_hand():
    x = tcnn.tensor([[[0.0, 4.0]]])
    assert F.interpolate(x, 4).tolist() == [[[0, 0, 4, 4]]]
    assert F.interpolate(x, 4, mode="linear").tolist() == [[[0, 1, 3, 4]]]  # centres at −¼, ¼, ¾, 1¼
    assert F.interpolate(x, 5, mode="linear", align_corners=True).tolist() == [[[0, 1, 2, 3, 4]]]
    assert F.interpolate(tcnn.tensor([[[0.0, 1, 2, 3]]]), scale_factor=0.5).tolist() == [[[0, 2]]]


def test_an_infinite_pixel_stays_where_it_belongs():
    x = tcnn.tensor([[[1.0, np.inf, 3.0]]], requires_grad=True)
    y = F.interpolate(x, scale_factor=2)
    assert y.tolist() == [[[1, 1, np.inf, np.inf, 3, 3]]]
    y.backward([[[1.0, np.inf, 1, 1, 1, 1]]])
    assert x.grad.tolist() == [[[np.inf, 2, 2]]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nearest_pixels_are_torchs_whatever_the_scale(torch, dtype):
    """Places are rounded as PyTorch rounds them; where the output is exactly once or twice as large it does not
    always look at the scale, and its gradient is not that of its result.
    """
    rng = np.random.default_rng(0)
    compared = 0
    for size, scale in zip(rng.integers(1, 60, 400).tolist(), rng.uniform(0.3, 4, 400).tolist()):
        scale = round(scale, 1)
        out = int(size * scale)
        if out < 1 or out in (size, 2 * size):
            continue
        x = np.arange(size, dtype=dtype).reshape(1, 1, size)
        for settings in ({"scale_factor": scale}, {"size": out}):
            theirs = torch.nn.functional.interpolate(torch.tensor(x), **settings)
            assert F.interpolate(tcnn.tensor(x), **settings).tolist() == theirs.tolist(), (size, settings)
            compared += 1
    assert compared > 500


def test_layers_of_every_rank_train(rng):
    """An hourglass: down by a convolution, up again by its way back, and an image of the same size behind."""
    net = nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(),
        nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=(0, 1)),
    )  # fmt: skip
    x = tcnn.Tensor(rng.normal(size=(2, 1, 7, 8)).astype("float32"))
    losses = []
    for _ in range(30):
        loss = ((net(x) - x) ** 2).mean()
        net.zero_grad()
        loss.backward()
        losses.append(loss.item())
        for parameter in net.parameters():
            with parameter.writing("test") as array:
                array -= 0.1 * parameter.grad
    assert losses[-1] < 0.5 * losses[0]
