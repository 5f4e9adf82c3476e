"""Saliency, Grad-CAM, occlusion, receptive fields: the numbers, by other means."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import functional as F
from tinygrad_cnn import models, nn, random
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.tables import summary
from tinygrad_cnn.viz.attribution import grad_cam_map, occlusion_map, occlusion_window, saliency_map
from tinygrad_cnn.viz.receptive import effective_field, receptive_patch


def net(dtype="float64", **more):
    """Two convolutions, dropout, a batch norm that has seen something; for images 3×9×7."""
    g = Generator(5)
    model = nn.Sequential(
        {
            "conv1": nn.Conv2d(3, 4, 3, padding=1, generator=g),
            "bn": nn.BatchNorm2d(4),
            "act": nn.Tanh(),
            "conv2": nn.Conv2d(4, 5, (3, 2), stride=2, generator=g),
            "relu": nn.ReLU(),
            "drop": nn.Dropout(0.5, generator=g),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(60, 4, generator=g),
            **more,
        }
    ).to(dtype)
    model(tcnn.tensor(g.normal((6, 3, 9, 7)), dtype=dtype))
    return model


X = Generator(1).normal((2, 3, 9, 7))


def score(model, x):
    with nn.utils.evaluating(model), tcnn.no_grad():
        return model(tcnn.tensor(x)).numpy()


def test_saliency_is_the_largest_difference_quotient_of_the_channels():
    model, step = net(), 1e-6
    found = saliency_map(model, X)
    np.testing.assert_array_equal(found.classes, score(model, X).argmax(axis=1))
    for n, h, w in [(0, 0, 0), (0, 4, 3), (1, 8, 6), (1, 2, 5)]:
        quotients = []
        for c in range(3):
            up, down = X.copy(), X.copy()
            up[n, c, h, w] += step
            down[n, c, h, w] -= step
            rise = (score(model, up) - score(model, down))[n, found.classes[n]]
            quotients.append(abs(rise / (2 * step)))
        np.testing.assert_allclose(found.maps[n, h, w], max(quotients), rtol=1e-6, atol=1e-9)


def test_probabilities_are_those_of_the_class_asked_about():
    model = net()
    e = np.exp(score(model, X))
    for found in (saliency_map(model, X, [3, 0]), grad_cam_map(model, X, y=[3, 0]), occlusion_map(model, X, [3, 0])):
        np.testing.assert_allclose(found.probabilities, e[[0, 1], [3, 0]] / e.sum(axis=1), rtol=1e-12)
        assert found.classes.tolist() == [3, 0]


def test_grad_cam_follows_its_formula_by_hand():
    """The head is linear, so that the gradient of a score by the maps is a row of its weights."""
    model = nn.Sequential({"conv": nn.Conv2d(3, 4, 3), "flatten": nn.Flatten(), "fc": nn.Linear(4 * 7 * 5, 3)}).double()
    found = grad_cam_map(model, X, y=2)
    A = models.features(model, tcnn.tensor(X), "conv").numpy()
    alpha = model.fc.weight.numpy()[2].reshape(4, 7, 5).mean(axis=(1, 2))
    expected = np.maximum(np.einsum("k,nkpq->npq", alpha, A), 0)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-12, atol=1e-15)
    assert 0 < (expected > 0).mean() < 1


def test_grad_cam_takes_the_last_convolution_or_any_layer():
    model = net()
    np.testing.assert_array_equal(grad_cam_map(model, X).maps, grad_cam_map(model, X, "conv2").maps)
    np.testing.assert_array_equal(grad_cam_map(model, X, model.act).maps, grad_cam_map(model, X, "act").maps)
    assert grad_cam_map(model, X, "act").maps.shape == (2, 9, 7)


def test_grad_cam_sees_what_the_layer_gave_not_what_was_made_of_it_in_place():
    class Adds(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)
            self.fc = nn.Linear(2 * 9 * 7, 3)

        def forward(self, x):
            y = self.conv(x)
            y += 100.0
            return self.fc(y.flatten(1))

    model = Adds().double()
    A = models.features(model, tcnn.tensor(X), "conv").numpy()
    alpha = model.fc.weight.numpy()[0].reshape(2, 9, 7).mean(axis=(1, 2))
    np.testing.assert_allclose(grad_cam_map(model, X, y=0).maps, np.maximum(np.einsum("k,nkpq->npq", alpha, A), 0))


@pytest.mark.parametrize("fill", [None, 0.5])
def test_occlusion_is_a_loop_over_covered_images(fill):
    model = net()
    found = occlusion_map(model, X, size=(3, 2), stride=(3, 1), fill=fill)
    assert found.maps.shape == (2, 3, 6)

    def probability(image, y):
        e = np.exp(score(model, image[None])[0])
        return e[y] / e.sum()

    for n in range(2):
        y = found.classes[n]
        for p in range(3):
            for q in range(6):
                covered = X[n].copy()
                for c in range(3):
                    covered[c, 3 * p : 3 * p + 3, q : q + 2] = X[n, c].mean() if fill is None else fill
                expected = probability(X[n], y) - probability(covered, y)
                np.testing.assert_allclose(found.maps[n, p, q], expected, rtol=1e-9, atol=1e-12)


def test_more_squares_than_go_through_at_once():
    model = net()
    found = occlusion_map(model, X[:1], size=1, stride=1, fill=0.0)
    assert found.maps.shape == (1, 9, 7)
    with_one_less = X[:1].copy()
    with_one_less[..., 8, 6] = 0
    e, e2 = (np.exp(score(model, x)) for x in (X[:1], with_one_less))
    k = found.classes[0]
    np.testing.assert_allclose(found.maps[0, 8, 6], (e / e.sum() - e2 / e2.sum())[0, k], atol=1e-12)


def test_occlusion_defaults_to_a_quarter_of_the_image():
    assert occlusion_window((28, 28)).kernel == (7, 7)
    assert occlusion_window((224, 100)).kernel == (56, 25)
    assert occlusion_window((224, 100)).stride == (14, 6)
    assert occlusion_window((3, 1)).kernel == (1, 1)
    assert occlusion_window((9, 9), 4).stride == (1, 1)


def snapshot(model):
    """All that a picture must leave alone."""
    generators = [random.default_generator(), *(m.generator for m in model.modules() if getattr(m, "generator", None))]
    return (
        {name: t.numpy().tobytes() for name, t in model.state_dict().items()},
        [(p.requires_grad, None if p.grad is None else p.grad.tobytes()) for p in model.parameters()],
        [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        [g.state_dict() for g in generators],
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
    )


LOOKS = {
    "saliency": lambda model: saliency_map(model, X),
    "grad_cam": lambda model: grad_cam_map(model, X),
    "occlusion": lambda model: occlusion_map(model, X, size=4, stride=4),
    "field": lambda model: effective_field(model, "conv2", x=X),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_looking_leaves_no_trace(look):
    class Noisy(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.1, training=True)  # draws in evaluation mode, too

    model = net(noisy=Noisy())
    model(tcnn.tensor(X)).sum().backward()
    model.bn.eval()  # not all parts have one mode
    model.conv1.weight.requires_grad_(False)
    before = snapshot(model)
    look(model)
    assert snapshot(model) == before
    with tcnn.no_grad():
        look(model)
    assert snapshot(model) == before


def test_errors_leave_no_trace_either():
    model = net()
    before = snapshot(model)
    for wrong in (
        lambda: grad_cam_map(model, X[:, :2]),
        lambda: grad_cam_map(model, X, "fc"),
        lambda: saliency_map(model, X, 4),
        lambda: effective_field(model, "conv2", at=(50, 0), x=X),
    ):
        with pytest.raises((ShapeError, ValueError)):
            wrong()
    assert snapshot(model) == before


def test_frozen_networks_can_be_looked_at():
    model = net().requires_grad_(False)
    assert saliency_map(model, X).maps.max() > 0
    assert grad_cam_map(model, X, "act").maps.max() > 0
    assert all(p.grad is None for p in model.parameters())


def test_models_with_several_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            scores = self.net(x)
            return scores, scores * 2

    model = Two()
    np.testing.assert_array_equal(saliency_map(model, X).maps, saliency_map(model.net, X).maps)
    np.testing.assert_array_equal(occlusion_map(model, X).maps, occlusion_map(model.net, X).maps)


def test_googlenet_in_training_mode():
    model = models.create("googlenet", num_classes=5)  # returns three outputs while it trains
    found = grad_cam_map(model, np.zeros((1, 3, 224, 224)), y=1, layer="inception5b")
    assert found.maps.shape == (1, 7, 7)
    assert model.training


def test_one_image_and_float32():
    model = net("float32")
    found = saliency_map(model, X[0].astype(np.float32))
    assert (found.maps.shape, found.maps.dtype) == ((1, 9, 7), np.float32)
    np.testing.assert_array_equal(saliency_map(model, tcnn.tensor(X[0])).maps, found.maps)  # float64 is converted


def test_errors_name_what_is_there():
    model = net()
    with pytest.raises(ShapeError, match=r"saliency: x must be images.*not \(9, 7\)"):
        saliency_map(model, X[0, 0])
    with pytest.raises(ValueError, match=r"y=7: classes are whole numbers from 0 to 3; the network has 4"):
        saliency_map(model, X, 7)
    with pytest.raises(ValueError, match=r"y=1.5"):
        saliency_map(model, X, 1.5)
    with pytest.raises(ShapeError, match=r"one for each of the 2 images, not \(3,\)"):
        saliency_map(model, X, [0, 1, 2])
    with pytest.raises(ShapeError, match=r"scores \(N, K\), one a class, not \(2, 4, 9, 7\)"):
        saliency_map(model.conv1, X)
    with pytest.raises(ValueError, match=r"grad_cam: Sequential has no 'conv3' \(did you mean 'conv[12]'\?\)"):
        grad_cam_map(model, X, "conv3")
    with pytest.raises(ValueError, match="has no 'a Conv2d of another network'"):
        grad_cam_map(model, X, nn.Conv2d(1, 1, 1))
    with pytest.raises(ShapeError, match=r"'fc' returns \(2, 4\), not feature maps"):
        grad_cam_map(model, X, "fc")
    with pytest.raises(ValueError, match="did not call a convolution"):
        grad_cam_map(nn.Sequential(nn.Flatten(), nn.Linear(189, 2)), X)
    with pytest.raises(ShapeError, match="occlusion"):
        occlusion_map(model, X, size=20)


# ---- receptive fields


def footprint(model, layer, at, shape):
    """First and last row and column with a gradient other than 0; all weights are 1."""
    rows, columns = np.nonzero(effective_field(model, layer, at, x=np.ones((1, *shape))))
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


def ones(model):
    for p in model.parameters():
        with tcnn.no_grad():
            p.copy_(tcnn.ones(p.shape) * 0.125)
    return model


def windows():
    """All that a window can have; sums instead of maxima, whose gradient goes to one pixel only."""
    return nn.Sequential(
        {
            "conv1": nn.Conv2d(2, 3, (3, 5), stride=(1, 2), padding=(1, 2)),
            "pool1": nn.AvgPool2d(2, padding=1),
            "conv2": nn.Conv2d(3, 2, 3, padding="same", dilation=(1, 2)),
            "even": nn.Conv2d(2, 2, (2, 4), padding="same"),
            "pad": nn.ZeroPad2d((2, 0, 1, 0)),
            "conv3": nn.Conv2d(2, 1, (2, 3), stride=2),
            "global": nn.GlobalAvgPool2d(),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(1, 2),
        }
    )


class Hidden(nn.Module):
    """Tells its shapes nowhere: receptive fields are read from the graph."""

    def __init__(self):
        super().__init__()
        self.inside = windows()

    def forward(self, x):
        return self.inside(F.pad(x, (1, 0, 1, 0)))


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "even", "pad", "conv3", "global", "fc"])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_receptive_field_is_where_the_gradient_is(layer, hidden):
    model, shape = ones(Hidden() if hidden else windows()), (2, 21, 30)
    path = f"inside.{layer}" if hidden else layer
    output = models.features(model, tcnn.zeros(1, *shape), path).shape[2:]
    wide = {row.name: row.field for row in summary(model, shape).rows}[path]
    H, W = output or (1, 1)
    for at in {(0, 0), (H - 1, W - 1), (H // 2, W // 2), (0, W - 1)} if output else {None}:
        patch = receptive_patch(model, path, at, shape)
        if output:
            assert (patch.bottom - patch.top, patch.right - patch.left) == wide.size
            assert patch.at == at
        seen = patch.inside(21, 30)
        if layer == "pad" and (at[0] < 1 or at[1] < 2):
            continue  # made of zeros, sees nothing
        found = footprint(model, path, at, shape)
        if layer in ("conv2", "even"):  # taps that are apart, or hit no pixel, leave pixels at the edge out
            assert found[0] >= seen.top
            assert found[1] >= seen.left
            assert found[2] <= seen.bottom
            assert found[3] <= seen.right
        else:
            assert found == seen[2:], at


@pytest.mark.parametrize("name", ["features.conv1", "features.pool1", "features.conv2", "features.pool2", "features"])
def test_lenet_sees_nothing_outside_of_its_field(name):
    model = models.LeNet5()
    draw = Generator(0).normal((4, 1, 28, 28))
    for at in [(0, 0), (4, 2), None]:
        seen = receptive_patch(model, name, at).inside(28, 28)
        field = effective_field(model, name, at, draw)
        assert field[seen.top : seen.bottom, seen.left : seen.right].max() > 0
        field[seen.top : seen.bottom, seen.left : seen.right] = 0
        assert field.max() == 0


def test_receptive_fields_of_known_networks():
    lenet = models.LeNet5()
    assert receptive_patch(lenet, "features.pool2", (0, 0))[2:] == (-2, -2, 14, 14)
    assert receptive_patch(lenet, lenet.classifier.fc1)[1:] == ((), 0, 0, 28, 28)
    alexnet = nn.utils.skip_init(models.create, "alexnet")
    assert receptive_patch(alexnet, "features.0", (1, 2))[2:] == (2, 6, 13, 17)  # 11×11, stride 4, padding 2
    vgg = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(3)))
    assert receptive_patch(vgg, "2", (10, 10), (1, 21, 21))[2:] == (7, 7, 14, 14)  # three 3×3 are a 7×7
    googlenet = nn.utils.skip_init(models.create, "googlenet")
    patch = receptive_patch(googlenet, "inception3a", (0, 0))
    assert (
        patch.bottom - patch.top == {r.name: r for r in summary(googlenet, depth=1).rows}["inception3a"].field.size[0]
    )


def test_around_picks_the_unit_in_the_middle():
    model = models.LeNet5()
    deep = receptive_patch(model, "features.pool2", (2, 2))
    inner = receptive_patch(model, "features.conv1", around=deep.middle)
    assert (deep.middle, inner.at) == ((13.5, 13.5), (14, 14))
    assert receptive_patch(model, "features.pool2", around=(-50, 90)).at == (0, 4)


def test_receptive_field_errors():
    model = models.LeNet5()
    with pytest.raises(ShapeError, match=r"at=\(5, 0\): the output of 'features.pool2' has 5 rows and 5 columns"):
        receptive_patch(model, "features.pool2", (5, 0))
    with pytest.raises(ValueError, match="did you mean"):
        receptive_patch(model, "features.pool3")
    with pytest.raises(ValueError, match="cannot be told"):
        receptive_patch(nn.Sequential(nn.Upsample(scale_factor=2)), "0", (0, 0), (1, 4, 4))


def test_the_effective_field_of_two_equal_windows_is_a_triangle():
    model = nn.Sequential(nn.Conv2d(1, 1, (1, 3), bias=False), nn.Conv2d(1, 1, (1, 3), bias=False)).double()
    ones(model)
    field = effective_field(model, "1", (0, 0), x=np.zeros((1, 1, 1, 6)))
    np.testing.assert_allclose(field / field[0, 0], [[1, 2, 3, 2, 1, 0]])
    assert field[0, 0] == 0.125**2
