"""What five lectures on convolutional networks teach, as numbers: each comes out of this package, or is cited.

One test a fact, in the order of the lectures: arithmetic, the worked 7×7×3 example, LeNet-5, the other "LeNet-5",
AlexNet, and the networks after it. Where a lecture slipped, the comment says "slip". What was measured once and cannot
be computed, error rates and training times, is in `CITED` at the end.
"""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import data, keras, models, nn, optim
from tinygrad_cnn.cli import recipes
from tinygrad_cnn.data import transforms
from tinygrad_cnn.models.bitmaps import digit_bitmaps
from tinygrad_cnn.models.lenet1998 import InputPlane, connection_table
from tinygrad_cnn.nn.utils import skip_init
from tinygrad_cnn.nn.walk import output_shape
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.tables import summary

# ---- arithmetic


def test_output_size_is_w_minus_f_plus_2p_over_s_plus_1():
    # row: output size. 7×7, F=3: S1 → 5, S2 → 3, S3 → 2.33 "doesn't fit", P=1 → 7
    expected = {(1, 0): 5, (2, 0): 3, (1, 1): 7}
    for (stride, padding), size in expected.items():
        assert tcnn.output_size(7, 3, stride, padding, strict=True) == size == (7 - 3 + 2 * padding) // stride + 1
        conv = nn.Conv2d(1, 1, 3, stride, padding)
        pool = nn.MaxPool2d(3, stride, padding)  # the same rule
        assert conv(tcnn.zeros(1, 1, 7, 7)).shape == pool(tcnn.zeros(1, 1, 7, 7)).shape == (1, 1, size, size)


def test_stride_3_does_not_fit_on_request_and_is_rounded_down_otherwise():
    # row: output size, 2.33
    conv, x = nn.Conv2d(1, 1, 3, stride=3), tcnn.zeros(1, 1, 7, 7)
    assert tcnn.output_size(7, 3, 3) == conv(x).shape[-1] == 2
    message = r"\(7 − 3\)/3 \+ 1 = 2.33: doesn't fit; .* padding 1 \(output 3\), stride 2 .* an input of 6 .* or 9"
    with pytest.raises(ShapeError, match=message):
        tcnn.output_size(7, 3, 3, strict=True)
    with tcnn.strict_sizes(), pytest.raises(ShapeError, match=message):
        conv(x)


def test_same_padding_is_f_minus_1_over_2():
    # row: "same" padding. 3 → 1, 5 → 2, 7 → 3; without it 32 → 28 → 24 shrinks
    assert [tcnn.same_padding(kernel) for kernel in (3, 5, 7)] == [1, 2, 3]
    for kernel in (3, 5, 7):
        assert tcnn.output_size(32, kernel, padding=tcnn.same_padding(kernel)) == 32
        assert nn.Conv2d(1, 1, kernel, padding="same")(tcnn.zeros(1, 1, 32, 32)).shape == (1, 1, 32, 32)
    assert tcnn.output_size(32, 5) == 28
    assert tcnn.output_size(28, 5) == 24


def test_ten_5x5_filters_on_32x32x3():
    # row: 32×32×3, ten 5×5 filters, S1, P2. 32×32×10; 76·10 = 760; 10,240 outputs × 75 = 768,000
    (_, row) = summary(nn.Conv2d(3, 10, 5, stride=1, padding=2), (3, 32, 32)).rows
    assert row.output == (10, 32, 32)
    assert math.prod(row.output) == 10_240
    assert row.parameters == 76 * 10 == 760
    assert row.multiply_adds == 10_240 * 75 == 768_000


def test_one_filter_position_is_a_75_dimensional_dot_product():
    # row: one filter position. 5·5·3 = 75, and a bias
    conv, x = nn.Conv2d(3, 10, 5, padding=2), tcnn.randn(1, 3, 32, 32)
    w, b, patch = conv.weight[4].flatten(), conv.bias[4], x[0, :, 7:12, 20:25].flatten()
    assert len(w) == len(patch) == 5 * 5 * 3 == 75
    assert conv(x)[0, 4, 9, 22].item() == pytest.approx((tcnn.dot(w, patch) + b).item(), rel=1e-5)


def test_activation_maps():
    # row: activation maps. Six 5×5×3 filters on 3×32×32 → 6×28×28; a batch of 2 → 2×6×28×28
    conv = nn.Conv2d(3, 6, 5)
    assert conv.weight.shape == (6, 3, 5, 5)
    assert conv(tcnn.zeros(3, 32, 32)).shape == (6, 28, 28)
    assert conv(tcnn.zeros(2, 3, 32, 32)).shape == (2, 6, 28, 28)


def seen(layers, size):
    """Rows and columns of the input that have a gradient from the output's middle pixel."""
    x = tcnn.ones(1, 1, size, size, dtype="float64", requires_grad=True)
    network = nn.Sequential(*layers).to("float64")
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    y = network(x)
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    return int(x.grad[0, 0].any(axis=1).sum()), int(x.grad[0, 0].any(axis=0).sum())


def test_receptive_field():
    # row: receptive field. 1 + L(K − 1) for stride 1; RF_L = RF_{L−1} + (K_L − 1)·∏ S_i
    for L, K in [(1, 3), (2, 3), (3, 3), (2, 5), (4, 2)]:
        assert tcnn.receptive_field([K] * L) == 1 + L * (K - 1)
        assert seen([nn.Conv2d(1, 1, K)] * L, 25) == (1 + L * (K - 1),) * 2
    strided = [nn.Conv2d(1, 1, 5), nn.AvgPool2d(2), nn.Conv2d(1, 1, 5), nn.AvgPool2d(2), nn.Conv2d(1, 1, 3, stride=2)]
    field, jump = 1, 1
    for K, S in [(5, 1), (2, 2), (5, 1), (2, 2), (3, 2)]:
        field, jump = field + (K - 1) * jump, jump * S
    assert field == tcnn.receptive_field([5, (2, 2), 5, (2, 2), (3, 2)]) == 24
    assert seen(strided, 40) == (24, 24)


def test_fully_connected_on_images():
    # row: fully connected on images. 3072 inputs; 256·256·3 = 196,608 weights a neuron; 1,000 neurons = 196 M
    assert nn.Flatten()(tcnn.zeros(1, 3, 32, 32)).shape == (1, 3072)
    neuron = nn.Sequential(nn.Flatten(), skip_init(nn.Linear, 256 * 256 * 3, 1, bias=False))
    assert output_shape(neuron, (3, 256, 256)) == (1,)
    assert neuron.num_parameters() == 196_608
    thousand = skip_init(nn.Linear, 196_608, 1000, bias=False).num_parameters()
    assert thousand == 196_608_000  # "196 M"


def test_weight_sharing():
    # row: weight sharing. 200×200 image, one 10×10 filter = 100 weights; 100 filters = 10 K
    one, hundred = nn.Conv2d(1, 1, 10, bias=False), nn.Conv2d(1, 100, 10, bias=False)
    assert (one.num_parameters(), hundred.num_parameters()) == (100, 10_000)
    assert output_shape(hundred, (1, 200, 200)) == (100, 191, 191)  # the image's size does not enter


POOL = [[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]


def test_max_pooling_2x2():
    # row: max pool 2×2, stride 2
    assert nn.MaxPool2d(2, stride=2)(tcnn.tensor([[POOL]])).tolist() == [[[[6.0, 8.0], [3.0, 4.0]]]]


def test_kinds_of_pooling():
    # row: pooling kinds. Max, average, L2 over space, L2 over features; no parameters
    x = tcnn.tensor([[POOL, [[0.0] * 4] * 4, [[2.0] * 4] * 4, [[0.0] * 4] * 4]])
    average, l2, features = nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.FeatureLPPool(2, 2)
    assert average(x)[0, 0].tolist() == [[13 / 4, 21 / 4], [2.0, 2.0]]
    squares = [[1 + 1 + 25 + 36, 4 + 16 + 49 + 64], [9 + 4 + 1 + 4, 1 + 0 + 9 + 16]]
    np.testing.assert_allclose(l2(x)[0, 0].numpy(), np.sqrt(squares), rtol=1e-6)
    y = features(x)  # channels 0 and 1, channels 2 and 3
    np.testing.assert_allclose(y[0].numpy(), [POOL, [[2.0] * 4] * 4], rtol=1e-6)
    assert [layer.num_parameters() for layer in (nn.MaxPool2d(2), average, l2, features)] == [0, 0, 0, 0]


@pytest.mark.parametrize(("settings", "expected"), [((3, 1, 1), 32), ((5, 2, 1), 32), ((1, 0, 1), 32), ((3, 1, 2), 16)])
def test_common_settings(settings, expected):
    # row: common settings (K, P, S). Three keep the size, the last one halves it
    K, P, S = settings
    assert tcnn.output_size(32, K, S, P) == expected
    assert nn.Conv2d(1, 2, K, S, P)(tcnn.zeros(1, 1, 32, 32)).shape == (1, 2, expected, expected)


def test_batch_normalisation():
    # row: batch normalisation. Per channel, biased variance, x̂ = (x − μ)/√(σ² + ε)
    x = tcnn.randn(4, 3, 5, 6, dtype="float64")
    layer = nn.BatchNorm2d(3, eps=1e-5).to("float64")
    for c in range(3):
        values = x.numpy()[:, c]
        mean = values.sum() / values.size
        variance = ((values - mean) ** 2).sum() / values.size  # not size − 1
        expected = (values - mean) / np.sqrt(variance + 1e-5)
        np.testing.assert_allclose(layer(x)[:, c].detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_dropout_trains_one_of_2_to_the_h_thinned_networks():
    # row: dropout. p = 0.5 at training, one of 2^h thinned networks a step
    assert nn.Dropout().p == 0.5
    h = 4
    hidden, units = nn.Dropout(0.5), tcnn.ones(1, h)
    networks = {tuple(hidden(units).numpy()[0] > 0) for _ in range(400)}
    assert len(networks) == 2**h == 16
    assert hidden.eval()(units).tolist() == [[1.0] * h]  # afterwards: all of them at once


def test_kinds_of_convolution():
    # row: convolution kinds. 1-d, 2-d, 3-d, 1×1; the PyTorch signature
    names = ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"]
    for conv, sizes in [(nn.Conv1d, (9,)), (nn.Conv2d, (9, 8)), (nn.Conv3d, (9, 8, 7))]:
        assert list(inspect.signature(conv).parameters)[:9] == [*names, "padding_mode"]
        layer = conv(4, 6, 3, stride=2, padding=1, dilation=1, groups=2, bias=False, padding_mode="reflect")
        assert layer.weight.shape == (6, 2, *[3] * len(sizes))
        assert layer(tcnn.zeros(1, 4, *sizes)).shape == (1, 6, *(math.ceil(n / 2) for n in sizes))
        wide = conv(4, 6, 3, dilation=2)  # three taps that span five
        assert wide.num_parameters() == 6 * (4 * 3 ** len(sizes) + 1)
        assert wide(tcnn.zeros(1, 4, *sizes)).shape == (1, 6, *(n - 5 + 1 for n in sizes))
    one = nn.Conv2d(3, 2, 1, bias=False)  # 1×1: a fully connected layer at each pixel
    x = tcnn.randn(1, 3, 4, 5)
    mixed = np.einsum("kc,nchw->nkhw", one.weight.numpy()[:, :, 0, 0], x.numpy())
    np.testing.assert_allclose(one(x).detach().numpy(), mixed, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "border"),
    [("zeros", (0, 0)), ("reflect", (2, 3)), ("replicate", (1, 4)), ("circular", (4, 1))],
)
def test_padding_modes(mode, border):
    # row: convolution kinds, padding mode: what stands before the 1 and behind the 4
    look = nn.Conv1d(1, 1, 3, padding=1, bias=False, padding_mode=mode)
    x = tcnn.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    for tap, end in [(0, 0), (2, 3)]:  # a filter that takes its left neighbour, and one that takes its right one
        look.weight.data[...] = np.eye(3, dtype=np.float32)[tap]
        assert look(x)[0, 0, end].item() == border[end // 3]


def test_kerass_names():
    # row: Keras names. filters, kernel_size, strides, padding "valid"/"same"; pool_size, strides=None → pool_size
    conv, pool = (inspect.signature(f).parameters for f in (keras.Conv2D, keras.MaxPooling2D))
    assert list(conv)[:4] == ["filters", "kernel_size", "strides", "padding"]
    assert list(pool) == ["pool_size", "strides", "padding"]
    assert (conv["padding"].default, pool["strides"].default) == ("valid", None)
    x = tcnn.zeros(1, 3, 28, 28)
    assert keras.Conv2D(filters=6, kernel_size=5, strides=1, padding="valid")(x).shape == (1, 6, 24, 24)
    assert keras.Conv2D(filters=6, kernel_size=5, strides=1, padding="same")(x).shape == (1, 6, 28, 28)
    assert keras.MaxPooling2D(pool_size=4, strides=None)(x).shape == (1, 3, 7, 7)


def test_ranges_of_the_activations():
    # row: activations. Identity, sigmoid (0, 1), tanh (−1, 1), ReLU [0, ∞)
    x = tcnn.linspace(-15, 15, 301, dtype="float64")
    np.testing.assert_array_equal(nn.Identity()(x).numpy(), x.numpy())
    for layer, low, high in [(nn.Sigmoid(), 0, 1), (nn.Tanh(), -1, 1)]:
        y = layer(x).numpy()
        assert low < y.min() < low + 1e-6
        assert high - 1e-6 < y.max() < high
    assert (nn.ReLU()(x).min().item(), nn.ReLU()(x).max().item()) == (0, 15)


def test_losses_and_optimizers():
    # row: losses and optimizers named. Cross-entropy, MSE; SGD, Adam, RMSprop
    target = tcnn.tensor([3])
    assert nn.CrossEntropyLoss()(tcnn.zeros(1, 10), target).item() == pytest.approx(math.log(10))
    assert nn.MSELoss()(tcnn.tensor([1.0, 4.0]), tcnn.tensor([2.0, 2.0])).item() == (1 + 4) / 2
    for optimizer in (optim.SGD, optim.Adam, optim.RMSprop):
        w = nn.Parameter([3.0])
        step = optimizer([w], lr=0.01)
        (w * w).sum().backward()
        step.step()
        assert 2 < w.item() < 3


def test_two_convolutions_without_a_non_linearity_are_one():
    # row: stacking two convolutions
    first, second = (nn.Conv2d(2, 3, 3, bias=False).to("float64"), nn.Conv2d(3, 4, 3, bias=False).to("float64"))
    weight = np.zeros((4, 2, 5, 5))
    for r, s in np.ndindex(3, 3):  # each tap of the second shifts the first
        weight[:, :, r : r + 3, s : s + 3] += np.einsum(
            "km,mcij->kcij", second.weight.numpy()[:, :, r, s], first.weight.numpy()
        )
    x = tcnn.randn(2, 2, 8, 9, dtype="float64")
    one = F.conv2d(x, tcnn.tensor(weight)).numpy()
    np.testing.assert_allclose(second(first(x)).detach().numpy(), one, atol=1e-12)
    assert np.abs(second(F.relu(first(x))).detach().numpy() - one).max() > 0.01


# ---- the worked 7×7×3 example

EXAMPLE_X = """
    0000000 0101010 0211120 0112120 0112220 0111110 0000000
    0000000 0111000 0102200 0211000 0201010 0222120 0000000
    0000000 0121100 0102100 0001010 0221220 0021020 0000000
"""
EXAMPLE_W = [
    [
        [[-1, -1, 1], [0, -1, 1], [-1, -1, 0]],
        [[1, 1, -1], [-1, 0, 1], [-1, -1, 1]],
        [[-1, -1, -1], [1, -1, 0], [1, -1, 1]],
    ],
    [
        [[0, 0, 0], [0, 1, 0], [1, 1, 1]],
        [[-1, 1, 0], [-1, -1, 0], [1, 0, -1]],
        [[1, 0, 1], [0, 0, -1], [-1, -1, 0]],
    ],
]
EXAMPLE_B = [1.0, 0.0]
EXAMPLE_O = [[[-4, -3, -3], [-2, -7, -9], [1, -4, -10]], [[0, -3, 5], [0, 5, 1], [1, 2, 1]]]


def example():
    """Image (1, 3, 7, 7), filters (2, 3, 3, 3), biases (2,)."""
    image = [[[float(pixel) for pixel in row] for row in channel.split()] for channel in EXAMPLE_X.strip().splitlines()]
    return tcnn.tensor([image]), tcnn.tensor(EXAMPLE_W).float(), tcnn.tensor(EXAMPLE_B)


def test_all_18_outputs_of_the_worked_example():
    # page: the worked 7×7×3 example, padding already in the input, stride 2, cross-correlation
    x, w, b = example()
    assert x.shape == (1, 3, 7, 7)
    assert not x[:, :, [0, -1]].any() and not x[..., [0, -1]].any()  # noqa: PT018
    y = F.conv2d(x, w, b, stride=2)
    assert y[0].tolist() == EXAMPLE_O
    inner = x[:, :, 1:-1, 1:-1]  # the 5×5 image that was padded
    assert F.conv2d(inner, w, b, stride=2, padding=1)[0].tolist() == EXAMPLE_O
    assert y.numel() == 18


def test_flipped_kernels_do_not_give_the_worked_example():
    # page: "with the kernels flipped they do not": it is cross-correlation, not convolution
    x, w, b = example()
    flipped = F.conv2d(x, w.flip(2, 3), b, stride=2)[0]
    for o, wrong in zip(EXAMPLE_O, flipped.tolist()):
        assert o != wrong


# ---- LeNet-5 (1998)


@pytest.fixture(scope="module")
def lenet():
    return summary(models.LeNet5("1998"))


def rows_of(table):
    return {row.name.rpartition(".")[-1]: row for row in table.rows}


@pytest.mark.parametrize(("name", "output", "parameters", "connections"), [
    ("input", (1, 32, 32), 0, 0),
    ("c1", (6, 28, 28), 156, 122_304),
    ("s2", (6, 14, 14), 12, 5_880),
    ("c3", (16, 10, 10), 1_516, 151_600),
    ("s4", (16, 5, 5), 32, 2_000),
    ("c5", (120, 1, 1), 48_120, 48_120),
    ("f6", (84,), 10_164, 10_164),
    ("rbf", (10,), 0, 840),
])  # fmt: skip
def test_lenets_table(lenet, name, output, parameters, connections):
    # page: LeNet-5, layer by layer
    row = [row for row in lenet.rows if row.name.endswith(name)][-1]
    assert (row.output, row.parameters, row.connections) == (output, parameters, connections)


def test_lenets_sums(lenet):
    # row: sum. 60,000 parameters; 340,068 connections, 340,908 with the RBF's 840
    assert lenet.parameters == models.LeNet5("1998").num_parameters() == 60_000
    assert lenet.connections == 340_908
    assert lenet.connections - rows_of(lenet)["rbf"].connections == 340_068
    assert nn.EuclideanRBF(84, 10, digit_bitmaps()).centers.numel() == 840  # fixed


def test_lenets_c1_fully_connected(lenet):
    # row: C1. 4,821,600 weights: each of 6·28·28 units would have 32·32 and a bias
    c1 = rows_of(lenet)["c1"]
    assert skip_init(nn.Linear, 32 * 32, math.prod(c1.output)).num_parameters() == 4_821_600


def test_lenets_connection_table():
    # row: C3. 1,516 parameters with the partial table; 2,416 with a full one
    table = np.array(connection_table())
    assert table.shape == (16, 6)
    assert table.sum() * 25 + 16 == 1_516
    assert nn.ConnectionConv2d(table, 5).num_parameters() == 1_516
    full = nn.ConnectionConv2d(np.ones((16, 6)), 5)
    assert full.num_parameters() == nn.Conv2d(6, 16, 5).num_parameters() == 2_416
    x = tcnn.randn(2, 6, 14, 14)
    plain = F.conv2d(x, full.weight.reshape(16, 6, 5, 5), full.bias)
    np.testing.assert_allclose(full(x).detach().numpy(), plain.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_lenets_c5_is_a_convolution_and_a_fully_connected_layer():
    # row: C5, "conv 5×5 / fully connected": on 5×5 maps they are the same
    conv, x = nn.Conv2d(16, 120, 5), tcnn.randn(2, 16, 5, 5)
    linear = F.linear(x.flatten(1), conv.weight.flatten(1), conv.bias)
    np.testing.assert_allclose(conv(x).flatten(1).detach().numpy(), linear.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_lenets_subsampling_by_sum_or_by_mean_is_the_same_layer():
    # page: the deck averages in S2/S4, the paper sums; with a trainable coefficient both are one layer
    s2, x = nn.Subsampling2d(6, 2), tcnn.randn(2, 6, 28, 28)
    averaged = nn.AvgPool2d(2)(x) * (4 * s2.weight).reshape(6, 1, 1) + s2.bias.reshape(6, 1, 1)
    np.testing.assert_allclose(s2(x).detach().numpy(), averaged.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_lenets_scaled_tanh():
    # page: 1.7159·tanh(2x/3)
    x = tcnn.linspace(-3, 3, 7, dtype="float64")
    np.testing.assert_allclose(nn.ScaledTanh()(x).numpy(), 1.7159 * np.tanh(2 * x.numpy() / 3), rtol=1e-12)
    assert nn.ScaledTanh()(tcnn.tensor([1.0])).item() == pytest.approx(1, abs=1e-4)


def test_lenets_bitmaps():
    # row: output. 10 Euclidean RBF units against 7×12 bitmaps
    bitmaps = np.array(digit_bitmaps())
    assert bitmaps.shape == (10, 7 * 12)
    assert set(bitmaps.ravel()) == {-1, 1}
    rbf = nn.EuclideanRBF(84, 10, bitmaps)
    distances = rbf(tcnn.tensor(bitmaps).float()).numpy()
    assert (distances.argmin(axis=1) == np.arange(10)).all()
    assert not distances.diagonal().any()


def test_lenets_input_levels():
    # row: input. Background −0.1 (slip: deck C has 0.1), foreground 1.175
    y = InputPlane()(tcnn.tensor([[[[0.0, 1.0]]]])).numpy()
    assert y.shape == (1, 1, 32, 32)
    assert (y.min(), y.max()) == (np.float32(-0.1), np.float32(1.175))
    # the mean is 0 if 0.1/1.275, or 1 pixel in 13, is ink, which is about what digits of 20×20 in 32×32 have.
    # slip: the standard deviation then is not 1 (the paper: "roughly 1"), but √(0.1·1.175) = 0.34
    ink = 0.1 / (1.175 + 0.1)
    levels, share = np.array([-0.1, 1.175]), np.array([1 - ink, ink])
    assert ink == pytest.approx(1 / 13, abs=0.002)
    assert levels @ share == pytest.approx(0)
    assert math.sqrt(levels**2 @ share) == pytest.approx(math.sqrt(0.1 * 1.175)) == pytest.approx(0.343, abs=1e-3)


def test_lenets_table_is_printed(lenet):
    # page: LeNet-5, layer by layer, and the weights as deck E writes them, `20 × (1·5·5 + 1)`
    lines = {line.split()[0]: line for line in str(lenet).splitlines() if line.startswith(("features", "classifier"))}
    for name, numbers in [("c1", "156 122,304"), ("s2", "12 5,880"), ("c3", "1,516 151,600"), ("s4", "32 2,000")]:
        assert set(numbers.split()) < set(lines[f"features.{name}"].split())
    for text in (lenet.to_markdown(), lenet.to_html(), str(lenet)):
        assert "60,000" in text
        assert "60·5·5 + 16" in text
    assert "20 × (1·5·5 + 1)" in str(summary(models.LeNet5("caffe")))


def test_slips_about_lenets_size(lenet):
    # slip: deck C's "14,000 weights, 187,000 connections" and "1980" are no sum and no row of the layer table
    rows = [row for row in lenet.rows if row.parameters or row.connections]
    for column, claimed in [("parameters", 14_000), ("connections", 187_000), ("connections", 1_980)]:
        numbers = [getattr(row, column) for row in rows]
        sums = {sum(numbers[i:j]) for i in range(len(rows)) for j in range(i + 1, len(rows) + 1)}
        assert not [total for total in sums if abs(total - claimed) < claimed / 100]


# ---- the other networks called LeNet-5


def test_the_other_lenet5():
    # page: the other "LeNet-5" (deck E)
    table = summary(models.LeNet5("caffe"))
    assert table.rows[0].output == (1, 28, 28)
    weighted = [row for row in table.rows if row.parameters]
    assert [row.parameters for row in weighted] == [520, 25_050, 1_225_500, 5_010]
    assert table.parameters == 1_256_080
    rows = rows_of(table)
    outputs = [rows[name].output for name in ("conv1", "pool1", "conv2", "pool2", "fc1", "fc2")]
    assert outputs == [(20, 28, 28), (20, 14, 14), (50, 14, 14), (50, 7, 7), (500,), (10,)]
    model = models.LeNet5("caffe")
    assert model.classifier.fc1.in_features == 50 * 7 * 7 == 2450
    kinds = [type(layer) for part in (model.features, model.classifier) for layer in part]
    assert kinds == [*[nn.Conv2d, nn.ReLU, nn.MaxPool2d] * 2, nn.Linear, nn.ReLU, nn.Linear]


def test_deck_bs_lenet():
    # page: deck B, 2 convolution + 3 fully connected layers
    layers = list(models.LeNet5("modern").modules())
    assert [sum(isinstance(layer, kind) for layer in layers) for kind in (nn.Conv2d, nn.Linear)] == [2, 3]


def test_nielsens_network():
    # page: deck D, 28×28, 5×5 sigmoid convolution, 2×2 max pool
    model = models.LeNet5("nielsen")
    conv, squash, pool = model.features
    assert model.input_shape == (1, 28, 28)
    assert (conv.kernel_size, type(squash), nn.MaxPool2d) == ((5, 5), nn.Sigmoid, type(pool))
    assert output_shape(nn.Sequential(conv, squash), (1, 28, 28)) == (20, 24, 24)
    assert output_shape(model.features, (1, 28, 28)) == (20, 12, 12)
    assert model.num_parameters() == 289_630


# ---- AlexNet


@pytest.fixture(scope="module")
def alexnet():
    """The paper's network without first values: its 244 MB are never written to."""
    return skip_init(models.AlexNet, "paper")


@pytest.fixture(scope="module")
def alexnet_table(alexnet):
    return summary(alexnet)


@pytest.fixture(scope="module")
def tower():
    return summary(skip_init(models.AlexNet, "single-tower"))


VOLUMES = {
    "input": (3, 227, 227),
    "conv1": (96, 55, 55),
    "pool1": (96, 27, 27),
    "norm1": (96, 27, 27),  # where the deck has it
    "conv2": (256, 27, 27),
    "pool2": (256, 13, 13),
    "norm2": (256, 13, 13),
    "conv3": (384, 13, 13),
    "conv4": (384, 13, 13),
    "conv5": (256, 13, 13),
    "pool5": (256, 6, 6),
    "fc6": (4096,),
    "fc7": (4096,),
    "fc8": (1000,),
}


def test_alexnets_volumes_in_the_decks_order(tower):
    # page: AlexNet, 227×227×3 → … → 1000; the deck pools and then normalises
    rows = {name: row.output for name, row in rows_of(tower).items() if name in VOLUMES}
    assert list(rows.items()) == list(VOLUMES.items())


def test_alexnets_volumes_in_the_papers_order(alexnet_table):
    # page: the paper normalises after the ReLU and then pools; variant "paper"
    rows = rows_of(alexnet_table)
    names = [name for name in rows if not name.startswith("dropout")]
    assert names[1:9] == ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"]
    expected = VOLUMES | {"norm1": (96, 55, 55), "norm2": (256, 27, 27)}
    assert {name: rows[name].output for name in expected} == expected


def test_alexnets_filters(alexnet):
    # page: 96@11×11 S4, 256@5×5 P2, 384@3×3 P1, 384@3×3 P1, 256@3×3 P1, pools 3/2
    convs = [layer for layer in alexnet.features if isinstance(layer, nn.Conv2d)]
    settings = [(c.out_channels, c.kernel_size[0], c.stride[0], c.padding[0]) for c in convs]
    assert settings == [(96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1)]
    pools = [layer for layer in alexnet.features if isinstance(layer, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3


def test_alexnets_conv1(alexnet, alexnet_table):
    # row: CONV1. 34,848 weights, 34,944 with biases; 290,400 neurons × 364 = 105,705,600 if not shared
    conv1 = rows_of(alexnet_table)["conv1"]
    assert alexnet.features.conv1.weight.numel() == 34_848
    assert conv1.parameters == 34_944
    neurons = math.prod(conv1.output)
    assert neurons == 290_400
    assert conv1.connections == neurons * 364 == 105_705_600  # each would be a weight of its own


def test_alexnets_parameters(alexnet_table, tower):
    # row: whole network. 60,965,224 with two groups (the "60 M"); 62,378,344 without
    assert alexnet_table.parameters == 60_965_224
    assert tower.parameters == 62_378_344
    assert alexnet_table.parameter_memory == 4 * 60_965_224


def test_alexnets_multiply_adds(alexnet_table, tower):
    # row: whole network. 0.724 / 1.135 G multiply-adds: convolutions and fully connected layers
    assert alexnet_table.multiply_adds == 724_406_816
    assert tower.multiply_adds == 1_135_256_096


def test_alexnets_units(alexnet_table):
    # row: whole network. "650,000 units": the convolutions alone have 650,080, with the fully connected layers 659,272
    units = {name: math.prod(row.output) for name, row in rows_of(alexnet_table).items()}
    convolutions = sum(units[f"conv{i}"] for i in range(1, 6))
    assert convolutions == 650_080
    assert convolutions + units["fc6"] + units["fc7"] + units["fc8"] == 659_272


def test_why_227():
    # row: why 227. slip of the paper, which says 224: (224 − 11)/4 + 1 = 54.25 does not fit
    assert (224 - 11) / 4 + 1 == 54.25
    with pytest.raises(ShapeError, match=r"\(224 − 11\)/4 \+ 1 = 54.25: doesn't fit; .* or 227 \(output 55\)"):
        tcnn.output_size(224, 11, 4, strict=True)
    with pytest.raises(ShapeError, match=r"AlexNet: .*\(224 − 11\)/4 \+ 1 = 54.25.*227×227"):
        models.AlexNet("paper", image_size=224)
    assert tcnn.output_size(227, 11, 4, strict=True) == 55


def test_how_alexnet_is_trained(alexnet):
    # row: training. ReLU, local response normalisation, dropout 0.5, SGD momentum 0.9, weight decay 5e-4, LR 1e-2 ÷ 10
    # when the validation accuracy stalls (batches of 128 in the paper; the recipe for small images has its own)
    layers = list(alexnet.modules())
    kinds = (nn.ReLU, nn.LocalResponseNorm, nn.Dropout)
    assert [sum(isinstance(layer, kind) for layer in layers) for kind in kinds] == [7, 2, 2]
    assert {layer.p for layer in layers if isinstance(layer, nn.Dropout)} == {0.5}
    recipe = recipes.recipe("alexnet", None, "cifar10")
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.schedule) == ("sgd", 1e-2, 5e-4, "plateau")
    config = {"optimizer": "sgd", "lr": recipe.lr, "weight_decay": recipe.weight_decay, "schedule": "plateau"}
    optimizer = recipes.optimizer(config, [nn.Parameter([1.0])])
    assert optimizer.param_groups[0]["momentum"] == 0.9
    schedule = recipes.schedule(config, optimizer, steps=1)
    rates = []
    for accuracy in [0.5, 0.6, 0.7, *[0.7] * 20]:
        schedule.step(accuracy)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[:3] == [1e-2] * 3
    assert next(rate for rate in rates if rate != 1e-2) == pytest.approx(1e-3)


def test_alexnets_augmentation(rng):
    # row: augmentation. Random crops, reflections, PCA colour ("changing RGB intensities")
    assert set(recipes.recipe("alexnet", None, "cifar10").augment) == {"shift", "mirror", "colour"}
    image = rng.random((3, 8, 8)).astype(np.float32)
    generator = tcnn.Generator(0)
    crops = {transforms.RandomCrop(6)(image, generator).tobytes() for _ in range(200)}
    assert len(crops) == 3 * 3
    flips = {transforms.RandomHorizontalFlip()(image, generator).tobytes() for _ in range(50)}
    assert flips == {image.tobytes(), np.ascontiguousarray(image[:, :, ::-1]).tobytes()}
    change = transforms.PCAColor.fit(image[None])(image, generator) - image
    assert np.ptp(change, axis=(1, 2)).max() < 1e-6  # one shift of each channel for the whole image
    assert np.abs(change).max() > 1e-4


def test_alexnets_two_gpus(alexnet):
    # row: two GPUs. CONV2/4/5 see only their own GPU's maps, CONV3 and the fully connected layers see both
    groups = {name: layer.groups for name, layer in alexnet.features._modules.items() if isinstance(layer, nn.Conv2d)}
    assert groups == {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2, "conv5": 2}
    assert alexnet.features.conv2.weight.shape == (256, 48, 5, 5)
    both, x = nn.Conv2d(6, 8, 3, groups=2), tcnn.randn(1, 6, 7, 7)
    halves = [
        F.conv2d(x[:, 3 * g : 3 * g + 3], *(p[4 * g : 4 * g + 4] for p in (both.weight, both.bias))) for g in (0, 1)
    ]
    np.testing.assert_allclose(both(x).detach().numpy(), tcnn.cat(halves, 1).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_alexnets_first_filters_and_last_features(alexnet):
    # row: results. What is drawn are 96 filters of 11×11 in colour; images are compared by the 4096 features before fc8
    assert alexnet.features.conv1.weight.shape == (96, 3, 11, 11)
    assert alexnet.classifier.fc8.in_features == 4096


# ---- further systems


@pytest.mark.parametrize(("depth", "convolutions", "parameters"), [(16, 13, 138_357_544), (19, 16, 143_667_240)])
def test_vgg_has_3x3_stride_1_padding_1_everywhere(depth, convolutions, parameters):
    # page: VGG-16 and VGG-19
    model = skip_init(models.VGG, depth)
    convs = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    linears = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert {(c.kernel_size, c.stride, c.padding) for c in convs} == {((3, 3), (1, 1), (1, 1))}
    assert (len(convs), len(convs) + len(linears)) == (convolutions, depth)
    assert model.num_parameters() == parameters


def test_inception_concatenates_its_branches_over_channels():
    # page: GoogLeNet's Inception module, parallel 1×1, 3×3, 5×5, pool, concatenated over channels
    module, x = models.Inception(12, 4, 3, 8, 2, 6, 5), tcnn.randn(2, 12, 7, 6)
    parts = [module.branch1(x), module.branch2(x), module.branch3(x), module.branch4(x)]
    assert [part.shape for part in parts] == [(2, K, 7, 6) for K in (4, 8, 6, 5)]
    np.testing.assert_array_equal(module(x).detach().numpy(), np.concatenate([p.detach().numpy() for p in parts], 1))
    kernels = [
        [layer.kernel_size for layer in branch.modules() if hasattr(layer, "kernel_size")]
        for branch in (module.branch1, module.branch2, module.branch3, module.branch4)
    ]
    assert kernels == [[(1, 1)], [(1, 1), (3, 3)], [(1, 1), (5, 5)], [3, (1, 1)]]


def test_googlenet_has_nine_inception_modules():
    # page: GoogLeNet
    model = skip_init(models.GoogLeNet, "paper", aux_logits=False)
    inceptions = [layer for layer in model.modules() if isinstance(layer, models.Inception)]
    assert len(inceptions) == 9
    assert [layer.out_channels for layer in inceptions] == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    assert model.num_parameters() == 6_998_552


def test_transfer_learning():
    # page: a trained network as a fixed feature extractor, or fine-tuned
    x, target = tcnn.randn(8, 1, 28, 28, dtype="float64"), tcnn.tensor([0, 1] * 4)

    def rates(model, parameters):
        """How far one step goes along the gradient, for each parameter that moves."""
        before = {name: p.numpy().copy() for name, p in model.named_parameters()}
        optimizer = optim.SGD(parameters, lr=0.1)
        model.criterion(model(x), target).backward()
        optimizer.step()
        learning = [(name, p) for name, p in model.named_parameters() if p.grad is not None]
        return {name: np.abs(p.numpy() - before[name]).max() / np.abs(p.grad).max() for name, p in learning}

    extractor = models.LeNet5().double()
    models.freeze(extractor)
    assert models.replace_head(extractor, 2) == "classifier.fc3"
    features = models.features(extractor, x, "classifier.fc2")
    assert list(rates(extractor, extractor.parameters())) == ["classifier.fc3.weight", "classifier.fc3.bias"]
    np.testing.assert_array_equal(models.features(extractor, x, "classifier.fc2").numpy(), features.numpy())
    tuned = models.LeNet5().double()
    models.replace_head(tuned, 2)
    found = rates(tuned, models.parameter_groups(tuned, 0.1, {"features": 0.001}))
    expected = {name: 0.001 if name.startswith("features") else 0.1 for name, _ in tuned.named_parameters()}
    assert found == pytest.approx(expected)


def test_the_convnetjs_demo():
    # page: the ConvNetJS CIFAR-10 demo
    table = summary(models.ConvNetJS())
    assert table.rows[0].output == (3, 32, 32)
    assert [row.parameters for row in table.rows if row.parameters] == [1_216, 8_020, 10_020, 3_210]
    assert table.rows[-1].output == (10,)


def test_cifar10():
    # page: CIFAR-10, 50,000/10,000, 32×32, 10 classes
    info = data.datasets.catalogue.CIFAR10
    assert (info.sizes, info.image_shape, len(info.classes)) == ((50_000, 10_000), (3, 32, 32), 10)


def test_mnist():
    # page: MNIST, 60,000 / 10,000 (deck A)
    info = data.datasets.catalogue.MNIST
    assert (info.sizes, info.image_shape, len(info.classes)) == ((60_000, 10_000), (1, 28, 28), 10)


# Measured by others, once: fact → who says so. Training results of this package are in the README and in benchmarks.
CITED = {
    "LeNet-5: 0.95 % test error on MNIST, 0.8 % with distorted images; SVM 1.1 %": (
        "LeCun et al. 1998, section III.C and figure 9. The deck gives 0.8 % without saying how; other SVMs there have "
        "1.0 and 0.8 %"
    ),
    "LeNet-5: 2-3 days on a 200 MHz CPU": "LeCun et al. 1998, section III.C",
    "AlexNet: batches of 128": "Krizhevsky et al. 2012, section 5",
    "AlexNet: 15.3 % top-5 error on ImageNet's test set; validation 18.2 % (one network), 15.4 % (seven)": (
        "Krizhevsky et al. 2012, table 2; two of the seven were first trained on a larger ImageNet"
    ),
    "AlexNet: two GPUs, top-1 and top-5 error −1.7 and −1.2 points against half the kernels on one": (
        "Krizhevsky et al. 2012, section 3.2"
    ),
    "AlexNet: similar images are near each other in the last hidden layer": "Krizhevsky et al. 2012, section 6.1",
    "AlexNet: first filters show oriented edges and opposing colours": "Krizhevsky et al. 2012, section 6.1, figure 3",
    "GoogLeNet: 6.7 % top-5 error": "Szegedy et al. 2015, table 2",
    "ImageNet: 1.2 million training images, 1,000 classes": "Krizhevsky et al. 2012, section 2",
}
