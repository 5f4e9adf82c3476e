"""Figures of what happens inside a network: what is drawn, that nothing is cut, that the network is left alone."""

from __future__ import annotations

import numpy as np
import pytest
import standin
from test_viz_attribution import X, net, snapshot
from test_viz_plot import assert_drawn

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, nn, training
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training.histograms import Histogram
from tinygrad_cnn.viz import plot
from tinygrad_cnn.viz.attribution import grad_cam_map, occlusion_map, saliency_map

pytest.importorskip("matplotlib")

BANK = Generator(2).normal((20, 3, 9, 7))
LABELS = np.arange(20) % 4
POINTS, SIDES = data.toys.moons(40, generator=Generator(0))


def planar(dtype="float64", outputs=2):
    return nn.Sequential(nn.Linear(2, 8, generator=Generator(1)), nn.Tanh(), nn.Linear(8, outputs)).to(dtype)


def recorded(model):
    device = next(iter(model.parameters())).device
    x, y = tcnn.tensor(BANK, device=device), tcnn.tensor(LABELS, device=device)
    return training.layer_histograms(model, x.to(model.conv1.weight.dtype), y)


# each figure of an image network
FIGURES = {
    "feature_maps": lambda model: plot.feature_maps(model, X[:1], "conv2"),
    "neurons": lambda model: plot.feature_maps(model, X[0], model.fc),
    "saliency": lambda model: plot.saliency(model, X),
    "grad_cam": lambda model: plot.grad_cam(model, X, y=1),
    "occlusion": lambda model: plot.occlusion(model, X, y=[2, 3], size=3),
    "neighbours": lambda model: plot.neighbours(model, (X, [0, 1]), (BANK, LABELS), "flatten"),
    "receptive_field": lambda model: plot.receptive_field(model, ["conv1", "conv2"], x=X[0], effective=True),
    "histograms": lambda model: plot.histograms(recorded(model)),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_figures_are_drawn_and_leave_no_trace(draw, dtype):
    model = net(dtype)
    model(tcnn.tensor(X, dtype=dtype)).sum().backward()
    model.bn.eval()
    model.conv1.weight.requires_grad_(False)
    before = snapshot(model)
    figure = draw(model)
    assert snapshot(model) == before
    assert_drawn(figure)


def drawn_values(figure):
    arrays = [image.get_array() for axes in figure.axes for image in axes.get_images()]
    lines = [line.get_xydata() for axes in figure.axes for line in axes.get_lines()]
    return [np.ma.filled(np.ma.asarray(a, dtype=float), np.nan) for a in [*arrays, *lines]]


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_figures_of_a_network_on_a_gpu_are_the_same(draw):
    with standin.registered():
        here, there = net(), net().to("standin:1")
        assert there.fc.weight.device == "standin:1"
        ours, theirs = drawn_values(draw(here)), drawn_values(draw(there))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


def test_images_on_a_gpu_are_taken_too():
    with standin.registered():
        model = net().to("standin:1")
        x, bank = (tcnn.tensor(a, device="standin:1") for a in (X, BANK))
        for figure in (
            plot.feature_maps(model, x[:1], "conv1"),
            plot.saliency(model, x, tcnn.tensor([0, 1], device="standin:1")),
            plot.neighbours(model, x, bank, "fc"),
            plot.misclassified(x, tcnn.tensor([0, 1], device="standin:1"), [1, 1]),
            plot.filters(model),
            plot.receptive_field(model, "conv2", x=x[0]),
            plot.decision_boundary(planar().to("standin:1"), POINTS.to("standin:1"), SIDES.to("standin:1")),
        ):
            assert_drawn(figure)


# ---- feature maps


def tile(figure, axes=1):
    return np.ma.filled(figure.axes[axes].get_images()[0].get_array(), np.nan)


def test_feature_maps_are_the_layers_output():
    model = net()
    figure = plot.feature_maps(model, X[:1], "conv2")
    (maps,) = models.features(model, tcnn.tensor(X[:1]), "conv2").numpy()
    K, P, Q = maps.shape
    for k in range(K):
        np.testing.assert_array_equal(tile(figure)[:P, (Q + 1) * k : (Q + 1) * k + Q], maps[k])
    assert figure.get_suptitle() == f"conv2: 5 feature maps of {P}×{Q}"
    assert figure.axes[0].get_xlabel() == "input, 3×9×7"
    low, high = figure.axes[1].get_images()[0].get_clim()
    assert low == -high == -np.abs(maps).max()  # zero is the middle colour
    assert plot.feature_maps(model, X[0], "relu").axes[1].get_images()[0].get_clim()[0] == 0


@pytest.mark.parametrize("K", [1, 9, 64, 100])
def test_any_number_of_maps_fits(K):
    model = nn.Sequential(nn.Conv2d(1, K, 1))
    figure = plot.feature_maps(model, np.ones((1, 5, 7)), "0", limit=64)
    assert ("the first 64 of them" in figure.get_suptitle()) == (K > 64)
    shown = tile(figure)
    assert np.isfinite(shown).sum() == min(K, 64) * 35
    assert_drawn(figure)


def test_neurons_are_cells():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 30))
    x = Generator(0).normal((1, 1, 2, 3)).astype(np.float32)
    figure = plot.feature_maps(model, x, "1")
    shown = tile(figure)
    assert shown.shape == (4, 8)
    np.testing.assert_array_equal(shown.reshape(-1)[:30], model(tcnn.tensor(x)).numpy()[0])
    assert np.isnan(shown.reshape(-1)[30:]).all()
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["0 …", "8 …", "16 …", "24 …"]


def test_feature_maps_errors():
    model = net()
    with pytest.raises(ValueError, match=r"feature_maps: Sequential has no 'conv'.*it has conv1, bn, act, conv2"):
        plot.feature_maps(model, X[:1], "conv")
    with pytest.raises(ShapeError, match="must be one image, not 2; take one of them"):
        plot.feature_maps(model, X, "conv1")
    with pytest.raises(ShapeError, match="neither feature maps"):
        plot.feature_maps(nn.Sequential(nn.Flatten(2)), X[0], "0")


# ---- attributions


def test_attributions_draw_their_numbers():
    model = net()
    for figure, found in (
        (plot.saliency(model, X), saliency_map(model, X)),
        (plot.grad_cam(model, X), grad_cam_map(model, X)),
    ):
        for n in range(2):
            shown = figure.axes[2 + n].get_images()[-1].get_array()
            np.testing.assert_allclose(shown, found.maps[n] / (found.maps[n].max() or 1))
    found = occlusion_map(model, X, size=(3, 2), stride=2)
    figure = plot.occlusion(model, X, size=(3, 2), stride=2)
    shown = figure.axes[3].get_images()[-1]
    np.testing.assert_array_equal(shown.get_array(), found.maps[1])
    # the first cell lies around the middle of the first square, rows 0 … 2 and columns 0, 1
    assert found.maps.shape == (2, 4, 3)
    assert shown.get_extent() == [-0.5, 5.5, 8.0, 0.0]


def test_a_map_of_zeros_says_so():
    model = nn.Sequential({"conv": nn.Conv2d(1, 1, 1, bias=False), "pool": nn.GlobalAvgPool2d(), "flat": nn.Flatten()})
    model.load_state_dict({"conv.weight": [[[[-1.0]]]]})  # nothing is active where the pixels are positive
    figure = plot.grad_cam(model, np.array([[[[1.0, 2.0]]], [[[-1.0, 2.0]]]]))
    assert [axes.get_xlabel() for axes in figure.axes[2:4]] == ["0 everywhere", ""]
    assert_drawn(figure)


def test_pictures_and_their_maps_stay_together():
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.GlobalAvgPool2d(), nn.Flatten())
    figure = plot.saliency(model, np.ones((3, 1, 9, 30)))
    figure.draw_without_rendering()
    (above, below), colours = (figure.axes[0], figure.axes[3]), figure.axes[6]
    for axes in (above, below):
        axes.apply_aspect()
    gap = above.get_position().y0 - below.get_position().y1
    assert gap < 0.2 * colours.get_position().height


def test_attributions_name_the_class_and_say_when_images_are_left_out():
    model, names = net(), ["cat", "dog", "fish", "a very long name of a sulphur-crested cockatoo"]
    figure = plot.saliency(model, BANK, y=3, classes=names)
    assert "the first 8 of 20 images" in figure.get_suptitle()
    assert len([axes for axes in figure.axes if axes.get_images()]) == 16
    title = figure.axes[0].get_title()
    assert title.startswith("a very long name of")
    assert "…\np = 0." in title
    assert plot.grad_cam(model, X[0], y=1).axes[0].get_title().startswith("class 1\np = ")
    assert_drawn(figure)
    per_image = plot.saliency(model, BANK, y=LABELS, classes=names)
    assert [axes.get_title().split("\n")[0] for axes in per_image.axes[:3]] == ["cat", "dog", "fish"]
    with pytest.raises(ShapeError, match=r"one for each of the 20 images, not \(3,\)"):
        plot.saliency(model, BANK, y=[0, 1, 2])


@pytest.mark.parametrize("size", [(1, 1), (40, 9), (9, 60)])
def test_images_of_odd_sizes(size):
    model = nn.Sequential({"conv": nn.Conv2d(2, 3, 1), "pool": nn.GlobalAvgPool2d(), "flat": nn.Flatten()})
    x = Generator(0).normal((3, 2, *size))
    for figure in (plot.saliency(model, x), plot.grad_cam(model, x[0]), plot.occlusion(model, x)):
        assert_drawn(figure)
    assert_drawn(plot.receptive_field(model, "conv", x=x[0], effective=True))
    assert_drawn(plot.neighbours(model, x, x, "pool", k=2))
    assert_drawn(plot.feature_maps(model, x[0], "conv"))


# ---- neighbours


def test_neighbours_shows_the_nearest_with_distance_and_label():
    class Identity(nn.Module):
        def forward(self, x):
            return x

    bank = np.array([0.0, 1.0, 5.0, 7.0]).reshape(4, 1, 1, 1) * np.ones((1, 1, 2, 2))
    figure = plot.neighbours(
        nn.Sequential(Identity()), (bank[2:3] - 1, [1]), (bank, [0, 0, 1, 1]), "0", k=3, classes=["cat", "dog"]
    )
    query, *near = [axes.get_title() for axes in figure.axes]
    assert query == "image\ndog"
    assert near == ["2\ndog", "6\n≠ cat", "6\ndog"]  # ‖(d, d, d, d)‖ = 2·|d|, d = 1, 3, 3
    assert [axes.spines["left"].get_visible() for axes in figure.axes] == [False, False, True, False]
    assert figure.get_suptitle() == "nearest in 0, euclidean distances"


def test_neighbours_without_labels_and_errors():
    model = net()
    figure = plot.neighbours(model, BANK, BANK, "fc", k=1, limit=3, metric="cosine")
    assert len(figure.axes) == 6
    assert figure.axes[0].get_title() == "image"
    assert float(figure.axes[1].get_title()) < 1e-12  # itself
    assert "the first 3 of 20" in figure.get_suptitle()
    assert_drawn(figure)
    with pytest.raises(ShapeError, match=r"database must be images.*with labels \(3,\)"):
        plot.neighbours(model, X, (BANK, [0, 1, 2]), "fc")
    with pytest.raises(ValueError, match="k=50 must be 1 to m=20"):
        plot.neighbours(model, X, BANK, "fc", k=50)


# ---- receptive field


def frames(axes):
    return {p.get_label(): p.get_bbox().extents.tolist() for p in axes.patches if p.get_label()}


def test_receptive_fields_are_frames_around_the_pixels():
    model = models.LeNet5()
    figure = plot.receptive_field(model, ["features.conv1", "features.pool2"], at=(0, 4), effective=True)
    left, right = figure.axes[:2]
    assert frames(left) == {
        # pool2 sees rows −2 … 13 and columns 14 … 29; the frame runs around the pixels
        "features.pool2 at row 0, column 4: 16×16 pixels, of which 14×14 lie in the image": [13.5, -2.5, 29.5, 13.5],
        "features.conv1 at row 6, column 22: 5×5 pixels": [19.5, 3.5, 24.5, 8.5],
    }
    assert list(frames(right)) == list(frames(left))[1:]
    small, large = left.patches
    assert small.get_zorder() > large.get_zorder()  # dashes over the solid line
    (low, high), (bottom, top) = left.get_xlim(), left.get_ylim()
    assert low <= -0.5
    assert high >= 29.5
    assert top <= -2.5
    assert bottom >= 27.5
    assert (left.get_xlabel(), left.get_ylabel()) == ("column (pixels)", "row (pixels)")
    assert_drawn(figure)


def test_receptive_field_of_a_dense_layer_is_the_image():
    figure = plot.receptive_field(models.LeNet5(), "classifier.fc2", x=np.zeros((1, 28, 28)))
    assert frames(figure.axes[0]) == {"classifier.fc2: all of the image": [-0.5, -0.5, 27.5, 27.5]}


def test_receptive_field_needs_an_image_or_its_size():
    with pytest.raises(ValueError, match="give an image x"):
        plot.receptive_field(net(), "conv1")
    assert_drawn(plot.receptive_field(net(), "conv1", x=X[0]))


# ---- histograms


def test_histograms_of_one_batch_are_shares():
    found = recorded(net())
    figure = plot.histograms(found)
    drawn = [axes for axes in figure.axes if axes.axison]
    assert all(axes.patches for axes in drawn)
    for axes in drawn:
        (stairs,) = axes.patches
        assert stairs.get_data().values.sum() == pytest.approx(1)
    assert figure.get_suptitle() == "one batch"
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == ["conv1", "bn", "act", "conv2", "relu", "drop", "flatten", "fc"]


def made(step, layer, kind, low, high, rms=1.0, dead=0.0, zeros=0.0, counts=(1, 2, 1)):
    return Histogram(step, layer, kind, np.array(counts), low, high, zeros, dead, rms)


def test_histograms_over_the_training_are_heat_maps():
    found = [made(step, "fc", "weights", -step, step) for step in (1, 11, 21)]
    figure = plot.histograms(found, ["weights"])
    (axes,) = figure.axes
    (mesh,) = axes.collections
    assert mesh.get_array().shape == (60, 3)
    assert mesh.get_coordinates()[0, :, 0].tolist() == [-4.0, 6.0, 16.0, 26.0]  # each step in the middle of its column
    assert mesh.get_coordinates()[[0, -1], 0, 1].tolist() == [-21.0, 21.0]
    first = mesh.get_array()[:, 0]
    assert (first[:28] == 0).all()
    assert first[30] == pytest.approx(1)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step", "weight w")
    assert axes.get_xlim() == (1, 21)
    assert "steps 1 to 21" in figure.get_suptitle()
    assert_drawn(figure)


def test_dead_units_and_vanishing_gradients_are_told():
    found = [
        made(1, "relu", "activations", 0, 1, zeros=0.75, dead=0.5),
        made(1, "fc", "activations", 0, 1, dead=0.1),
        made(1, "relu", "gradients", -9, -7, rms=1e-8),
        made(1, "fc", "gradients", -3, -1, rms=1e-2),
    ]
    titles = [(axes.get_title(loc="right"), axes.get_xlim()) for axes in plot.histograms(found, KINDS[:2]).axes]
    assert titles == [
        ("zeros: 75%, dead: 50%", (0, 1)),
        ("rms 1e-08, vanishing", (-9, -1)),  # layers have one scale, so that it is seen
        ("dead: 10%", (0, 1)),
        ("rms 1e-02", (-9, -1)),
    ]


def test_a_few_tiny_gradients_do_not_flatten_the_others():
    def shown(*found):
        return plot.histograms(found, ["gradients"]).axes[0].get_xlim()

    tiny = {"counts": (1, *[0] * 18, 50), "low": -20, "high": 0}
    assert shown(made(1, "fc", "gradients", rms=0.1, **tiny)) == (-10, 0)
    vanished = made(1, "conv", "gradients", -16, -14, rms=1e-15)
    assert shown(made(1, "fc", "gradients", rms=0.1, **tiny), vanished) == (-17, 0)


KINDS = training.histograms.KINDS


def test_histograms_of_many_layers_and_of_chosen_ones():
    many = [made(1, f"block{i}.a_rather_long_name_of_a_layer", "weights", 0, 1) for i in range(40)]
    figure = plot.histograms(many, ["weights"])
    assert len(figure.axes) == 16
    assert figure.get_suptitle() == "16 of 40 layers"
    assert figure.axes[0].get_title(loc="left").startswith("block0.")
    assert figure.axes[-1].get_title(loc="left").startswith("block39.")
    assert_drawn(figure)
    chosen = plot.histograms(many, ["weights"], layers=[many[3].layer])
    assert len(chosen.axes) == 1


def test_histograms_of_zeros_and_of_nothing():
    zeros = [made(1, "fc", "gradients", 0, 1, zeros=1.0, rms=0.0, counts=(0, 0, 0))]
    (axes,) = plot.histograms(zeros, ["gradients"]).axes
    assert [text.get_text() for text in axes.texts] == ["all are 0"]
    both = plot.histograms([made(1, "relu", "activations", 0, 1), made(1, "fc", "weights", 0, 1)]).axes
    assert [axes.texts[0].get_text() if axes.texts else "" for axes in both] == [
        "", "no gradients", "no weights", "no activations", "no gradients", "",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"callbacks=\[training.LayerHistograms"):
        plot.histograms(training.LayerHistograms())
    with pytest.raises(ValueError, match=r"no kind \['losses'\]; there is activations"):
        plot.histograms(zeros, ["losses"])
    with pytest.raises(ValueError, match=r"no layer \['conv'\]; there is fc"):
        plot.histograms(zeros, layers=["conv"])


# ---- decision boundary


def test_regions_are_the_networks_classes():
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    model.load_state_dict({"0.weight": [[1.0, 0.0], [0.0, 1.0]]})  # class 1 above the diagonal
    points, labels = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]]), np.array([0, 1, 1])
    figure = plot.decision_boundary(model, points, labels, ["below", "above"], resolution=50)
    axes = figure.axes[0]
    image = axes.get_images()[0]
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == pytest.approx((-0.2, 2.2, -0.2, 1.2))
    x, y = np.meshgrid(np.linspace(left, right, 50), np.linspace(bottom, top, 50))
    np.testing.assert_array_equal(image.get_array(), (y > x).astype(int))
    assert figure.get_suptitle() == "2 of 3 points classified right (66.7%)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["below", "above", "misclassified"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x₀", "x₁")
    assert_drawn(figure)


@pytest.mark.parametrize("outputs", [1, 3])
def test_boundary_of_one_output_and_of_absent_classes(outputs):
    figure = plot.decision_boundary(planar(outputs=outputs), POINTS, SIDES, resolution=20)
    assert set(np.unique(figure.axes[0].get_images()[0].get_array())) <= set(range(max(outputs, 2)))
    assert_drawn(figure)


def test_boundary_of_many_classes_tells_them_by_their_marks():
    labels = np.arange(12)
    points = np.stack([labels, labels % 3], axis=1)
    figure = plot.decision_boundary(planar(outputs=12), points, labels, [f"quite a long name {k}" for k in range(12)])
    assert len(figure.legends[0].get_texts()) == 13
    assert_drawn(figure)


def test_boundary_errors_and_traces():
    model = planar()
    before = snapshot(model)
    plot.decision_boundary(model, POINTS, SIDES, resolution=10)
    assert snapshot(model) == before
    with pytest.raises(ShapeError, match=r"points must be \(N, 2\).*not \(4, 3\) and \(4,\)"):
        plot.decision_boundary(model, np.ones((4, 3)), np.ones(4))
    with pytest.raises(ShapeError, match="1 names in classes, but there is a class 1"):
        plot.decision_boundary(model, POINTS, SIDES, ["a"])


def test_the_loss_is_no_layer():
    class WithLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.criterion = nn.Linear(2, 2), nn.CrossEntropyLoss()

        def forward(self, x):
            return self.fc(x)

    found = training.layer_histograms(WithLoss(), tcnn.randn(3, 2), tcnn.tensor([0, 1, 1]))
    assert {h.layer for h in found} == {"fc"}
