"""The figures: what is drawn, how it is labelled, and that nothing global is touched."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import models, nn
from tinygrad_cnn.about import install
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training import History
from tinygrad_cnn.viz import plot

pytest.importorskip("matplotlib")

RECORDS = [
    {"epoch": 1, "loss": 2.0, "accuracy": 0.5, "val_loss": 1.5, "val_accuracy": 0.6, "lr": 0.1, "seconds": 1.0},
    {"epoch": 2, "loss": 1.0, "accuracy": 0.7, "val_loss": 1.2, "val_accuracy": 0.8, "lr": 0.1, "seconds": 1.0},
]


def pixels(figure):
    """The figure as it is saved, (H, W, 4)."""
    from matplotlib.image import imread

    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    file.seek(0)
    return imread(file)


def assert_drawn(figure):
    """Not blank, and with a white margin all around: nothing is cut off."""
    image = pixels(figure)[..., :3]
    ink = (image < 0.98).any(axis=-1)
    assert ink.mean() > 0.005
    for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
        assert not edge.any()


def lines(axes):
    return {line.get_label(): line.get_ydata().tolist() for line in axes.get_lines()}


def test_learning_curves_of_one_run():
    figure = plot.learning_curves(History(RECORDS), title="lenet5", validation="test")
    loss, accuracy = figure.axes
    assert (loss.get_xlabel(), loss.get_ylabel(), accuracy.get_ylabel()) == ("epoch", "loss", "accuracy")
    assert lines(loss) == {"training": [2.0, 1.0], "test": [1.5, 1.2]}
    assert lines(accuracy) == {"training": [0.5, 0.7], "test": [0.6, 0.8]}
    assert figure.get_suptitle() == "lenet5"
    assert {line.get_linestyle() for line in loss.get_lines()} == {"--", "-"}  # readable without colour
    assert_drawn(figure)


def test_learning_curves_of_several_runs_name_them():
    runs = {"SGD": History(RECORDS), "Adam": History(RECORDS[:1])}
    (loss, _) = plot.learning_curves(runs).axes
    assert list(lines(loss)) == ["SGD, training", "SGD, validation", "Adam, training", "Adam, validation"]
    assert len({line.get_color() for line in loss.get_lines()}) == 2
    (loss, _) = plot.learning_curves(list(runs.values())).axes
    assert next(iter(lines(loss))) == "run 1, training"


def test_learning_curves_of_one_epoch_can_be_told_apart():
    loss, accuracy = plot.learning_curves(History(RECORDS[:1])).axes
    for axes in (loss, accuracy):
        training, validation = axes.get_lines()
        assert (training.get_markerfacecolor(), validation.get_markerfacecolor()) == ("white", plot.COLOURS[0])
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1.0]
    (loss, _) = plot.learning_curves(History(RECORDS)).axes
    low, high = loss.get_xlim()
    assert [tick for tick in loss.get_xticks() if low <= tick <= high] == [1.0, 2.0]


def test_learning_curves_take_what_was_measured():
    (loss,) = plot.learning_curves(History([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": float("nan")}])).axes
    assert lines(loss) == {"training": [1.0]}
    records = [{"epoch": 1, "loss": 1.0, "val_top5_accuracy": 0.9}]
    assert [axes.get_ylabel() for axes in plot.learning_curves(History(records)).axes] == ["loss", "top5 accuracy"]


def runs_of(n):
    return {f"run with a longer name {i}": History(RECORDS) for i in range(n)}


@pytest.mark.parametrize("runs", [3, 5, 9])
def test_many_runs_have_one_legend_below_the_panels(runs):
    figure = plot.learning_curves(runs_of(runs), title="many")
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [*runs_of(runs), "training", "validation"]
    assert all(axes.get_legend() is None for axes in figure.axes)
    figure.savefig(io.BytesIO(), format="png")
    below = legend.get_window_extent()
    assert figure.bbox.x0 < below.x0 < below.x1 < figure.bbox.x1
    assert all(axes.get_tightbbox().y0 >= below.y1 for axes in figure.axes)
    assert_drawn(figure)


def test_learning_curves_against_time():
    (loss, _) = plot.learning_curves(History(RECORDS), against="seconds").axes
    assert loss.get_xlabel() == "time (s)"
    assert loss.get_lines()[0].get_xdata().tolist() == [1.0, 2.0]  # a second each


def test_learning_curves_smoothed_keep_what_was_measured():
    (loss, _) = plot.learning_curves(History(RECORDS), smooth=0.5).axes
    smoothed = lines(loss)
    assert smoothed["training"] == [2.0, 1.5]  # 2, then half of 2 and half of 1
    measured = [line.get_ydata().tolist() for line in loss.get_lines() if line.get_label().startswith("_")]
    assert measured == [[2.0, 1.0], [1.5, 1.2]]


def test_learning_curves_with_the_learning_rate():
    loss, accuracy, rate = plot.learning_curves(History(RECORDS), lr=True).axes
    assert (rate.get_ylabel(), rate.get_yscale()) == ("learning rate", "log")
    assert rate.get_lines()[0].get_ydata().tolist() == [0.1, 0.1]
    assert rate.get_legend() is None
    runs = {"SGD": History(RECORDS), "Adam": History(RECORDS)}
    rate = plot.learning_curves(runs, lr=True).axes[-1]
    assert [text.get_text() for text in rate.get_legend().get_texts()] == ["SGD", "Adam"]
    assert {line.get_linestyle() for line in rate.get_lines()} == {"-"}  # dashes are for training


@pytest.mark.parametrize("wrong", [{"against": "steps"}, {"smooth": 1.0}, {"smooth": -0.1}])
def test_learning_curves_options_without_sense(wrong):
    with pytest.raises(ValueError, match=r'against=.* must be "epoch" or "seconds", smooth='):
        plot.learning_curves(History(RECORDS), **wrong)


def test_learning_curves_of_nothing_are_an_error():
    with pytest.raises(ValueError, match="no epoch was finished"):
        plot.learning_curves(History())


def test_confusion_matrix():
    counts = np.array([[8, 2, 0], [0, 5, 0], [1, 0, 0]])
    figure = plot.confusion_matrix(counts, ["cat", "dog", "a very long name"])
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "a very long name"]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "8", (1, 0): "2", (1, 1): "5", (0, 2): "1"}  # zeros are left out
    np.testing.assert_allclose(axes.get_images()[0].get_array(), [[0.8, 0.2, 0], [0, 1, 0], [1, 0, 0]])
    assert bar.get_ylabel() == "share of the true class"
    assert figure.get_suptitle() == "13 of 16 right (81.2%)"
    assert_drawn(figure)


def test_confusion_matrix_of_100_classes_has_no_numbers_but_readable_labels():
    figure = plot.confusion_matrix(np.eye(100, dtype=int), [f"class {i}" for i in range(100)])
    assert len(figure.axes[0].texts) == 0
    assert len(figure.axes[0].get_yticks()) <= 30
    assert_drawn(figure)


def test_confusion_matrix_of_an_absent_class_is_zero_not_nan():
    shown = plot.confusion_matrix(tcnn.tensor([[0, 0], [0, 3]])).axes[0].get_images()[0].get_array()
    assert np.isfinite(shown).all()


def test_confusion_matrix_refuses_wrong_shapes():
    with pytest.raises(ShapeError, match=r"square.*\(2, 3\)"):
        plot.confusion_matrix(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="2 classes in the matrix, 3 names"):
        plot.confusion_matrix(np.eye(2, dtype=int), ["a", "b", "c"])


def test_filters_of_one_channel_lie_side_by_side():
    weight = np.arange(6 * 5 * 5, dtype=np.float32).reshape(6, 1, 5, 5)
    figure = plot.filters(weight)
    mosaic = np.ma.filled(figure.axes[0].get_images()[0].get_array(), np.nan)
    assert mosaic.shape == (5, 6 * 6 - 1)
    for k in range(6):
        np.testing.assert_array_equal(mosaic[:, 6 * k : 6 * k + 5], weight[k, 0])
    assert np.isnan(mosaic[:, 5]).all()
    assert figure.axes[0].get_images()[0].get_clim() == (-149.0, 149.0)  # zero is the middle colour
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list("012345")
    assert "6 filters, 1×5×5" in figure.get_suptitle()
    assert_drawn(figure)


def test_filters_of_three_channels_are_colours():
    weight = np.zeros((10, 3, 2, 2))
    weight[0, 0] = 1.0  # looks for red
    mosaic = plot.filters(weight).axes[0].get_images()[0].get_array()
    np.testing.assert_allclose(mosaic[0, 0], [1.0, 0.5, 0.5])
    np.testing.assert_allclose(mosaic[0, 3], [0.5, 0.5, 0.5])
    assert len(plot.filters(weight).axes) == 1  # colours need no colour bar


def test_filters_of_many_channels_have_a_row_each():
    weight = np.random.default_rng(0).normal(size=(20, 18, 3, 3))
    figure = plot.filters(weight)
    mosaic = np.ma.filled(figure.axes[0].get_images()[0].get_array(), np.nan)
    assert mosaic.shape == (16 * 4 - 1, 16 * 4 - 1)
    np.testing.assert_array_equal(mosaic[4:7, 8:11], weight[1, 2])
    assert figure.axes[0].get_xlabel() == "input channel (the first 16 of 18)"
    assert figure.axes[0].get_ylabel() == "filter"
    assert "16 of 20 filters" in figure.get_suptitle()
    assert_drawn(figure)


def test_filters_of_a_layer_and_of_a_network():
    model = models.create("lenet5")
    weight = model.features.conv1.weight.numpy()
    for source in (model, model.features.conv1, model.features.conv1.weight):
        mosaic = plot.filters(source).axes[0].get_images()[0].get_array()
        np.testing.assert_array_equal(mosaic[:, :5], weight[0, 0])


def test_filters_of_something_else_are_refused():
    with pytest.raises(ShapeError, match="Linear has no convolution"):
        plot.filters(nn.Linear(2, 2))
    with pytest.raises(ShapeError, match=r"\(K, C, R, S\), got shape \(2, 2\)"):
        plot.filters(np.ones((2, 2)))
    plot.filters(np.zeros((1, 1, 1, 1)))  # nothing to scale by


def test_misclassified_shows_the_wrong_ones_only():
    images = np.zeros((5, 1, 4, 4))
    images[3, 0, 0, 0] = 7.0
    labels = np.array([0, 1, 0, 1, 0])
    predictions = np.array([0, 1, 0, 0, 1])
    figure = plot.misclassified(images, labels, predictions, ["cat", "dog"])
    drawn = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title() for axes in drawn] == ["taken for cat\nis dog", "taken for dog\nis cat"]
    assert drawn[0].get_images()[0].get_array().max() == 1.0
    assert "2 of 5 images" in figure.get_suptitle()
    assert_drawn(figure)


def test_misclassified_takes_scores_colours_and_tensors():
    images = tcnn.randn(30, 3, 4, 4)
    scores = tcnn.tensor([[0.0, 1.0]] * 30)
    figure = plot.misclassified(images, tcnn.tensor([0] * 30), scores, limit=10)
    assert len([axes for axes in figure.axes if axes.get_images()]) == 10
    assert "30 of 30" in figure.get_suptitle()
    assert "the first 10" in figure.get_suptitle()
    assert figure.axes[0].get_images()[0].get_array().shape == (4, 4, 3)


@pytest.mark.parametrize("drawn", [1, 2, 30])
@pytest.mark.parametrize(
    "title", ["", "a title that is longer than a picture of one image is wide, and then some more"]
)
def test_the_whole_title_lies_inside_the_figure(drawn, title):
    figure = plot.misclassified(
        np.eye(28)[None, None].repeat(drawn, 0), [0] * drawn, [1] * drawn, title=title, total=359
    )
    assert figure.get_suptitle() == title or f"{drawn} of 359 images" in figure.get_suptitle()
    figure.savefig(io.BytesIO(), format="png")
    box, page = figure._suptitle.get_window_extent(), figure.bbox
    assert page.x0 < box.x0 < box.x1 < page.x1
    assert page.y0 < box.y0 < box.y1 < page.y1
    assert_drawn(figure)


def test_long_names_make_wider_tiles_and_are_shortened():
    names = [f"a sulphur-crested cockatoo of kind {i}" for i in range(2)] + ["b" * 80]
    figure = plot.misclassified(np.eye(6)[None, None].repeat(9, 0), [0] * 9, [1] * 8 + [2], names)
    titles = [axes.get_title() for axes in figure.axes if axes.get_images()]
    assert titles[-1].split("\n")[0].endswith("b…")
    figure.savefig(io.BytesIO(), format="png")
    boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_images()]
    for a in boxes:
        assert not any(a is not b and a.overlaps(b) for b in boxes)
    assert_drawn(figure)


@pytest.mark.parametrize("label", [2, -1])
def test_a_class_without_a_name_is_an_error_not_another_name(label):
    with pytest.raises(ValueError, match=f"no name for class {label} in classes, which has 2; give one for each"):
        plot.misclassified(np.zeros((1, 1, 2, 2)), [label], [0], classes=["cat", "dog"])


def test_misclassified_without_mistakes_says_so():
    figure = plot.misclassified(np.zeros((3, 1, 2, 2)), np.zeros(3), np.zeros(3))
    assert "0 of 3" in figure.get_suptitle()
    pixels(figure)


def test_misclassified_refuses_wrong_sizes():
    with pytest.raises(ShapeError, match=r"\(N, 1, H, W\) or \(N, 3, H, W\), got \(3, 2, 2\)"):
        plot.misclassified(np.zeros((3, 2, 2)), np.zeros(3), np.zeros(3))
    with pytest.raises(ShapeError, match="3 images, 2 labels and 3 predictions"):
        plot.misclassified(np.zeros((3, 1, 2, 2)), np.zeros(2), np.zeros(3))


def test_notebooks_display_the_figure():
    from matplotlib.figure import Figure

    figure = plot.filters(np.ones((1, 1, 3, 3)))
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_pyplot_is_never_imported():
    program = """
import sys
import numpy as np
from tinygrad_cnn import Tensor, models, nn, training
from tinygrad_cnn.training import History
from tinygrad_cnn.viz import plot
assert not any(name.startswith("matplotlib") for name in sys.modules), "matplotlib is imported too early"
plot.learning_curves(History([{"epoch": 1, "loss": 1.0}]))
plot.confusion_matrix(np.eye(2, dtype=int)), plot.filters(np.ones((1, 1, 2, 2)))
plot.misclassified(np.zeros((1, 1, 2, 2)), [0], [1])
model, x = models.LeNet5(), np.ones((1, 1, 28, 28))
plot.feature_maps(model, x, "features.conv1"), plot.saliency(model, x), plot.grad_cam(model, x)
plot.occlusion(model, x, size=14, stride=14), plot.neighbours(model, x, x, "features", k=1)
plot.receptive_field(model, "features.conv2", effective=True)
plot.histograms(training.layer_histograms(model, Tensor(x, dtype="float32"), Tensor([1])))
plot.decision_boundary(nn.Linear(2, 2), np.eye(2), [0, 1])
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    plot.style.figure_class.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=re.escape(install("demo"))):
        plot.learning_curves(History(RECORDS))
