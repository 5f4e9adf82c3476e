"""The layers that only LeNet-5 (1998) has: subsampling, the connection table, distances from bitmaps, its loss."""

import itertools
import pickle

import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.checks import gradcheck
from tinygrad_cnn.models import lenet1998
from tinygrad_cnn.models.bitmaps import COLUMNS, ROWS, digit_bitmaps
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import ShapeError

TABLE = [[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 1, 1]]  # 4 filters, 3 channels, 8 connections


def inputs(*shape, seed=0):
    return tcnn.Tensor(Generator(seed).normal(shape), requires_grad=True)


def checked(layer, x):
    """gradcheck of a layer's input and parameters."""
    parameters = dict(layer.double().named_parameters())

    def call(x, *_):
        return layer(x)

    return gradcheck(call, [x, *parameters.values()])


# ---- trainable subsampling
def test_subsampling_by_hand():
    layer = nn.Subsampling2d(2, (1, 2))
    layer.load_state_dict({"weight": [10.0, -1.0], "bias": [0.5, 0.0]})
    x = tcnn.tensor([[[[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]], [[5.0, 6.0, 9.0], [7.0, 8.0, 9.0]]]])
    assert layer(x).tolist() == [[[[30.5], [70.5]], [[-11.0], [-15.0]]]]


def test_subsampling_is_average_pooling_with_a_coefficient_four_times_as_large():
    layer = nn.Subsampling2d(3, 2)
    x = tcnn.Tensor(Generator(1).normal((2, 3, 6, 8)), dtype="float32")
    averaged = F.avg_pool2d(x, 2) * (4 * layer.weight).reshape(3, 1, 1) + layer.bias.reshape(3, 1, 1)
    np.testing.assert_allclose(layer(x).numpy(), averaged.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kernel", "stride"), [(2, None), ((3, 2), (2, 3)), (2, 1)])
def test_subsampling_gradients(kernel, stride):
    assert checked(nn.Subsampling2d(3, kernel, stride), inputs(2, 3, 7, 5))


def test_subsampling_names_sizes_and_first_values():
    layer = nn.Subsampling2d(6, 2, generator=Generator(3))
    assert {name: p.shape for name, p in layer.state_dict().items()} == {"weight": (6,), "bias": (6,)}
    assert np.abs(layer.weight.numpy()).max() <= 0.6  # 2.4/4
    assert np.abs(nn.Subsampling2d(1000, 2).weight.numpy()).max() > 0.59
    assert repr(layer) == "Subsampling2d(6, kernel_size=(2, 2), stride=(2, 2))"
    assert layer(tcnn.zeros(0, 6, 4, 4)).shape == (0, 6, 2, 2)
    with pytest.raises(ShapeError, match=r"Subsampling2d: channels=0 must be at least 1"):
        nn.Subsampling2d(0, 2)
    with pytest.raises(ShapeError, match=r"kernel spanning 2 pixels does not fit into 1"):
        layer(tcnn.zeros(1, 6, 1, 4))


# ---- a connection table
def masked(layer):
    """The filters with zeros where the table has none, built connection by connection."""
    dense = np.zeros((layer.out_channels, layer.in_channels, *layer.kernel_size), layer.weight.dtype)
    for kernel, (k, c) in zip(layer.weight.numpy(), np.argwhere(layer.table.numpy())):
        dense[k, c] = kernel
    return dense


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), ((2, 1), (1, 2))])
def test_a_connection_table_is_a_convolution_with_holes(torch, stride, padding):
    layer = nn.ConnectionConv2d(TABLE, (3, 2), stride, padding).double()
    x = inputs(2, 3, 7, 5)
    y = layer(x)
    assert (layer.dense_weight().numpy() == masked(layer)).all()
    weight, bias, image = (torch.tensor(a, requires_grad=True) for a in (masked(layer), layer.bias.numpy(), x.numpy()))
    wanted = torch.nn.functional.conv2d(image, weight, bias, stride, padding)
    np.testing.assert_allclose(y.numpy(), wanted.detach().numpy(), rtol=1e-12, atol=1e-12)
    dy = Generator(5).normal(y.shape)
    y.backward(dy)
    wanted.backward(torch.tensor(dy))
    at = np.nonzero(np.array(TABLE))
    np.testing.assert_allclose(layer.weight.grad, weight.grad.numpy()[at], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer.bias.grad, bias.grad.numpy(), rtol=1e-10)
    np.testing.assert_allclose(x.grad, image.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_connection_gradients():
    assert checked(nn.ConnectionConv2d(TABLE, (3, 2), (2, 1), 1), inputs(2, 3, 5, 4))


def test_a_full_table_is_a_convolution():
    layer, plain = nn.ConnectionConv2d(np.ones((4, 3), int), 3), nn.Conv2d(3, 4, 3)
    plain.load_state_dict({"weight": layer.weight.reshape(4, 3, 3, 3), "bias": layer.bias})
    x = tcnn.Tensor(Generator(1).normal((2, 3, 5, 6)), dtype="float32")
    assert (layer(x).numpy() == plain(x).numpy()).all()


def test_connection_names_sizes_and_first_values():
    layer = nn.ConnectionConv2d(TABLE, 5, generator=Generator(0))
    shapes = {name: t.shape for name, t in layer.state_dict().items()}
    assert shapes == {"weight": (8, 5, 5), "bias": (4,), "table": (4, 3)}
    assert layer.num_parameters() == 8 * 25 + 4
    bounds = 2.4 / (25 * np.array([2, 2, 1, 3, 3, 3, 2, 2]))  # the channels that each kernel's filter sees
    largest = np.abs(layer.weight.numpy()).max(axis=(1, 2)) / bounds
    assert (largest <= 1).all()
    assert (largest > 0.6).all()  # 25 draws
    assert "4, connections=8" in repr(layer)
    assert layer(tcnn.zeros(0, 3, 6, 6)).shape == (0, 4, 2, 2)
    assert layer.to("float64").table.dtype == "bool"


def test_the_table_is_saved_and_loaded():
    other = [[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 1]]  # as many connections
    saved, layer = nn.ConnectionConv2d(other, 2), nn.ConnectionConv2d(TABLE, 2)
    layer.load_state_dict(saved.state_dict())
    x = tcnn.Tensor(Generator(1).normal((1, 3, 4, 4)), dtype="float32")
    assert (layer(x).numpy() == saved(x).numpy()).all()


@pytest.mark.parametrize(
    ("table", "error", "text"),
    [
        ([1, 0, 1], ShapeError, r"table has shape \(3,\); it must be \(K, C\)"),
        ([[1, 0], [0, 2]], ValueError, "only 0 .not connected. and 1"),
        ([[1, 0], [0, 0]], ShapeError, "filter 1 sees no channel; set a 1 in row 1"),
    ],
)
def test_wrong_tables_are_refused(table, error, text):
    with pytest.raises(error, match=text):
        nn.ConnectionConv2d(table, 3)


def test_images_with_other_channels_are_refused():
    with pytest.raises(ShapeError, match=r"wants C=3 .* has 4"):
        nn.ConnectionConv2d(TABLE, 3)(tcnn.zeros(1, 4, 5, 5))


def test_table_1_of_the_paper():
    table = lenet1998.connection_table()
    assert np.shape(table) == (16, 6)
    seen = [tuple(c for c in range(6) if row[c]) for row in table]
    assert len(set(seen)) == 16
    assert sum(map(len, seen)) == 60
    ring = [{(start + i) % 6 for i in range(6)} for start in range(6)]
    assert len(ring[0]) == 6
    neighbours = {n: [tuple(sorted((s + i) % 6 for i in range(n))) for s in range(6)] for n in (3, 4)}
    assert sorted(seen[:6]) == sorted(neighbours[3])
    assert sorted(seen[6:12]) == sorted(neighbours[4])
    assert all(len(s) == 4 and s not in neighbours[4] for s in seen[12:15])
    assert seen[15] == (0, 1, 2, 3, 4, 5)
    assert np.sum(table, axis=0).tolist() == [10] * 6
    # the paper's columns 0 to 5 and 12 to 14, as printed
    assert seen[:6] == [(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)]
    assert seen[12:15] == [(0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)]


# ---- scaled tanh
def test_scaled_tanh(torch):
    layer = nn.ScaledTanh()
    x = inputs(3, 4)
    assert checked(layer, x)
    wanted = 1.7159 * torch.tanh(torch.tensor(x.numpy()) * 2 / 3)
    np.testing.assert_allclose(layer(x).numpy(), wanted.numpy(), rtol=1e-12)
    assert layer(tcnn.tensor([1.0])).item() == pytest.approx(1.0, abs=1e-4)
    assert repr(nn.ScaledTanh(amplitude=2)) == "ScaledTanh(amplitude=2, slope=0.6667)"


# ---- distances
def test_rbf_by_hand_and_gradients():
    centers = Generator(2).normal((4, 6))
    layer = nn.EuclideanRBF(6, 4, centers, dtype="float64")
    x = inputs(2, 3, 6)
    wanted = ((x.numpy()[:, :, None] - centers) ** 2).sum(-1)
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-12)
    assert checked(layer, x)
    trainable = nn.EuclideanRBF(6, 4, centers, trainable=True, dtype="float64")
    assert checked(trainable, x)
    assert [name for name, _ in trainable.named_parameters()] == ["centers"]
    assert list(layer.parameters()) == []
    assert list(layer.state_dict()) == ["centers"]
    assert layer(tcnn.zeros(0, 6, dtype="float64")).shape == (0, 4)


def test_rbf_takes_a_copy_of_its_centers():
    centers = np.zeros((2, 3), "float32")
    layer = nn.EuclideanRBF(3, 2, centers)
    centers += 1
    assert layer.centers.tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("trainable", [False, True])
def test_rbf_is_pickled(trainable):
    layer = nn.EuclideanRBF(2, 2, centers=[[1.0, 1.0], [-1.0, 1.0]], trainable=trainable)
    back = pickle.loads(pickle.dumps(layer))
    x = tcnn.tensor([[1.0, 0.5]])
    assert back(x).tolist() == layer(x).tolist()


def test_rbf_errors():
    with pytest.raises(ShapeError, match=r"centers have shape \(2, 3\); 3 outputs for 2 features want \(3, 2\)"):
        nn.EuclideanRBF(2, 3, np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"x \(5, 4\) must have 3 features"):
        nn.EuclideanRBF(3, 2, np.zeros((2, 3)))(tcnn.zeros(5, 4))


# ---- the loss
def naive_map_loss(scores, target, j):
    """Equation 9 of the paper in extended precision, with y = −scores."""
    y = -scores.astype(np.longdouble)
    return y[np.arange(len(y)), target] + np.log(np.exp(np.longdouble(-j)) + np.exp(-y).sum(axis=1))


@pytest.mark.parametrize("j", [0.1, 3.0, 60.0])
def test_map_loss_is_equation_9(j):
    scores, target = inputs(5, 4) * 3 - 4, tcnn.Tensor([3, 0, 1, 2, 3])
    wanted = naive_map_loss(scores.numpy(), target.numpy(), j)
    each = nn.MAPLoss(j, reduction="none")
    np.testing.assert_allclose(each(scores, target).numpy(), wanted.astype(float), rtol=1e-12)
    assert nn.MAPLoss(j)(scores, target).item() == pytest.approx(float(wanted.mean()), rel=1e-12)
    assert nn.MAPLoss(j, reduction="sum")(scores, target).item() == pytest.approx(float(wanted.sum()), rel=1e-12)
    assert gradcheck(lambda s: each(s, target), [inputs(5, 4)])


def test_map_loss_does_not_overflow():
    scores = tcnn.tensor([[-1e4, -3e4], [-2.0, -3e4], [0.0, 0.0]], requires_grad=True)
    loss = nn.MAPLoss(1.0, reduction="none")(scores, tcnn.tensor([0, 0, 1]))
    expected = [9999.0, 2 + np.log(np.exp(-1) + np.exp(-2)), np.log(np.exp(-1) + 2)]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-6)
    loss.sum().backward()
    assert np.isfinite(scores.grad).all()
    # far from everything only the right distance counts: −1 for it, nothing for the others
    np.testing.assert_allclose(scores.grad[0], [-1.0, 0.0], atol=1e-7)


def test_map_loss_is_cross_entropy_where_rubbish_is_far():
    scores, target = inputs(5, 4), tcnn.Tensor([3, 0, 1, 2, 3])
    wanted = F.cross_entropy(scores, target).item()
    assert nn.MAPLoss(1e3)(scores, target).item() == pytest.approx(wanted, rel=1e-12)


def test_map_loss_errors():
    for j in (0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"MAPLoss: j=.* must be greater than 0"):
            nn.MAPLoss(j)
    with pytest.raises(ValueError, match="reduction='max'"):
        nn.MAPLoss(1.0, reduction="max")
    with pytest.raises(IndexError, match="4"):  # the class behind the last: rubbish is no target
        nn.MAPLoss(1.0)(tcnn.zeros(2, 4), tcnn.tensor([0, 4]))


# ---- bitmaps and the input plane
def test_bitmaps_are_ten_different_pictures():
    pictures = digit_bitmaps()
    assert pictures.shape == (10, 84) == (10, ROWS * COLUMNS)
    assert set(np.unique(pictures)) == {-1.0, 1.0}
    assert min((a != b).sum() for a, b in itertools.combinations(pictures, 2)) >= 14
    images = pictures.reshape(10, ROWS, COLUMNS)
    assert (images[:, 0] == -1).all()
    assert (images[:, -1] == -1).all()
    zero, eight = images[0], images[8]
    assert (zero == zero[:, ::-1]).all()
    assert (zero == zero[::-1]).all()
    assert (eight == eight[:, ::-1]).all()


@pytest.mark.parametrize(("H", "W"), [(28, 28), (32, 32), (9, 28), (31, 1)])
def test_input_plane(H, W):
    image = Generator(4).uniform((2, 1, H, W))
    plane = lenet1998.InputPlane()(tcnn.Tensor(image)).numpy()
    assert plane.shape == (2, 1, 32, 32)
    top, left = (32 - H) // 2, (32 - W) // 2
    inside = plane[:, :, top : top + H, left : left + W]
    for ours, theirs in zip(inside, image):
        np.testing.assert_allclose(ours, -0.1 + 1.275 * (theirs - theirs.min()) / np.ptp(theirs), rtol=1e-10)
    outside = np.ones((32, 32), bool)
    outside[top : top + H, left : left + W] = False
    assert (plane[:, :, outside] == -0.1).all()


def test_input_plane_does_not_care_how_images_were_scaled():
    image = Generator(4).uniform((3, 1, 28, 28))
    plane = lenet1998.InputPlane()
    np.testing.assert_allclose(
        plane(tcnn.Tensor(image * 255)).numpy(), plane(tcnn.Tensor((image - 0.13) / 0.31)).numpy(), rtol=1e-10
    )
    assert (plane(tcnn.ones(1, 1, 28, 28)).numpy() == np.float32(-0.1)).all()  # no ink
    assert gradcheck(lenet1998.InputPlane(5), [inputs(2, 1, 3, 4)])
    with pytest.raises(ShapeError, match="33×20 are larger than the 32×32 input plane of variant '1998'"):
        plane(tcnn.zeros(1, 1, 33, 20))


# ---- another array library
def test_the_layers_run_on_a_device():
    layers = [nn.ConnectionConv2d(TABLE, 2), nn.ScaledTanh(), nn.Subsampling2d(4, 2), nn.Flatten()]
    model = nn.Sequential(*layers, nn.EuclideanRBF(16, 3, Generator(1).normal((3, 16))))
    x, target = Generator(2).normal((2, 3, 5, 5)).astype("float32"), [0, 2]
    criterion = nn.MAPLoss(1.0)
    loss = criterion(-model(tcnn.tensor(x)), tcnn.tensor(target))
    loss.backward()
    wanted = [p.grad for p in model.parameters()]
    model.zero_grad()
    with standin.registered():
        model.to("standin:1")
        there = criterion(-model(tcnn.tensor(x, device="standin:1")), tcnn.tensor(target, device="standin:1"))
        there.backward()
        assert there.item() == pytest.approx(loss.item(), rel=1e-5)
        for p, grad in zip(model.parameters(), wanted, strict=True):
            np.testing.assert_allclose(p.backend.to_numpy(p.grad), grad, rtol=1e-4, atol=1e-5)
