"""Accuracy, top-k, the confusion matrix, averages, and `evaluate`, which uses them."""

import itertools

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn
from tinygrad_cnn import random as rnd
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training import accuracy, confusion_matrix, evaluate, metrics, top_k_accuracy

F = nn.functional


def scores(seed, *shape):
    return rnd.Generator(seed).normal(shape).astype(np.float32)


def test_accuracy_counts_hits_also_per_pixel():
    y_hat = tcnn.Tensor(scores(0, 7, 5))
    y = y_hat.numpy().argmax(axis=1)
    y[:3] = (y[:3] + 1) % 5
    assert accuracy(y_hat, tcnn.Tensor(y)) == 4 / 7
    images = tcnn.Tensor(scores(1, 2, 3, 4, 5))
    assert accuracy(images, tcnn.Tensor(images.numpy().argmax(axis=1))) == 1


@pytest.mark.parametrize(("y_hat", "y"), [((3,), (3,)), ((3, 2), (2,)), ((3, 2), (3, 2)), ((2, 3, 4), (2, 3))])
@pytest.mark.parametrize("metric", [accuracy, top_k_accuracy(2)])
def test_shapes_that_do_not_fit(metric, y_hat, y):
    with pytest.raises(ShapeError, match=r"do not fit; scores have one column a class"):
        metric(tcnn.zeros(*y_hat), tcnn.zeros(*y, dtype="int64"))


@pytest.mark.parametrize("k", [1, 2, 3, 6, 9])
def test_top_k_is_what_sorting_says(k):
    y_hat = np.round(scores(2, 50, 6) * 2)  # many ties
    y = rnd.Generator(3).integers(0, 6, (50,))
    best = np.argsort(-y_hat, axis=1, kind="stable")[:, :k]
    wanted = (best == y[:, None]).any(axis=1).mean()
    assert top_k_accuracy(k)(tcnn.Tensor(y_hat), tcnn.Tensor(y)) == wanted
    if k == 1:
        assert accuracy(tcnn.Tensor(y_hat), tcnn.Tensor(y)) == wanted


def test_top_k_per_pixel_and_nan():
    y_hat = scores(4, 3, 5, 2, 2)
    y = rnd.Generator(5).integers(0, 5, (3, 2, 2))
    best = np.argsort(-y_hat, axis=1, kind="stable")[:, :2]
    assert top_k_accuracy(2)(tcnn.Tensor(y_hat), tcnn.Tensor(y)) == (best == y[:, None]).any(axis=1).mean()
    assert top_k_accuracy(2)(tcnn.Tensor([[np.nan, 0.0, 0.0]]), tcnn.Tensor([0])) == 0


@pytest.mark.parametrize("k", [0, -1, 2.0, "3"])
def test_top_k_refuses_odd_numbers(k):
    with pytest.raises(ValueError, match="whole number from 1 on"):
        top_k_accuracy(k)


def test_confusion_matrix_rows_are_the_right_classes():
    matrix = confusion_matrix(predicted=[2, 2, 0, 1], actual=[0, 0, 0, 1], num_classes=3)
    assert matrix.tolist() == [[1, 0, 2], [0, 1, 0], [0, 0, 0]]
    assert confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ValueError, match=r"actual classes go from -1 to 1, but num_classes=2 allows 0 to 1"):
        confusion_matrix([0, 0], [-1, 1], 2)
    with pytest.raises(ValueError, match=r"predicted classes go from 0 to 2"):
        confusion_matrix([0, 2], [0, 1], 2)
    with pytest.raises(ShapeError, match="2 predictions for 1 samples"):
        confusion_matrix([0, 1], [0], 2)


def test_metrics_by_name_function_and_dict():
    def half(y_hat, y):
        return 0.5

    found = metrics.named(["accuracy", "top2_accuracy", half])
    assert list(found) == ["accuracy", "top2_accuracy", "half"]
    assert list(metrics.named({"other name": half})) == ["other name"]
    assert metrics.named(()) == {}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("accuracy", TypeError, r'give a list, \["accuracy"\]'),
        (["acuracy"], ValueError, r"'acuracy' is unknown; there are \"accuracy\""),
        (["top0_accuracy"], ValueError, "unknown"),
        (["accuracy", "accuracy"], ValueError, "there twice"),
        ([3], TypeError, "neither a name nor a function"),
        ({"loss": accuracy}, ValueError, "meaning of its own"),
        ({"val_x": accuracy}, ValueError, "meaning of its own"),
    ],
)
def test_metrics_that_make_no_sense(given, error, message):
    with pytest.raises(error, match=message):
        metrics.named(given)


class Net(nn.Module):
    """Batch norm, dropout and a frozen part: everything that has a mode."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(4, 3)
        self.norm.eval()

    def forward(self, x):
        return self.out(self.drop(self.norm(x)))


def batches(*sizes, seed=6):
    x, y = scores(seed, sum(sizes), 4), rnd.Generator(seed + 1).integers(0, 3, (sum(sizes),))
    edges = np.cumsum((0, *sizes))
    return [(tcnn.Tensor(x[a:b]), tcnn.Tensor(y[a:b])) for a, b in itertools.pairwise(edges)]


def test_evaluate_weights_batches_by_their_samples_and_counts_the_confusion():
    model = Net()
    one, several = (evaluate(model, batches(*sizes), confusion=True) for sizes in [(11,), (4, 4, 3)])
    np.testing.assert_allclose(several.loss, one.loss, rtol=1e-6)
    assert several["accuracy"] == pytest.approx(one["accuracy"])
    assert several.samples == one.samples == 11
    assert several.confusion.tolist() == one.confusion.tolist()
    assert one.confusion.sum() == 11
    assert np.trace(one.confusion) / 11 == pytest.approx(one["accuracy"])
    assert several.as_dict() == {"loss": several.loss, "accuracy": several["accuracy"]}
    assert evaluate(model, batches(3)).confusion is None
    with pytest.raises(KeyError, match="no 'f1'; it has loss, accuracy"):
        one["f1"]


def test_evaluate_changes_nothing_and_restores_every_mode():
    model = Net()
    modes = [module.training for module in model.modules()]
    before = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
    generator = rnd.default_generator().state_dict()
    seen = []

    def watch(y_hat, y):
        seen.append((model.drop.training, y_hat.requires_grad, tcnn.is_grad_enabled()))
        return 0.0

    evaluate(model, batches(4, 4), metrics=[watch])
    assert seen == [(False, False, False)] * 2
    assert [module.training for module in model.modules()] == modes
    assert modes == [True, False, True, True]
    assert {name: value.numpy().tobytes() for name, value in model.state_dict().items()} == before
    assert rnd.default_generator().state_dict() == generator
    assert all(p.grad is None for p in model.parameters())
    assert tcnn.is_grad_enabled()


def test_modes_are_restored_after_an_error_too():
    model = Net()

    def broken(y_hat, y):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        evaluate(model, batches(4), metrics=[broken])
    assert model.training
    assert not model.norm.training


def test_evaluate_with_a_loss_and_metric_of_ones_own():
    pairs = [(x, tcnn.Tensor(scores(9, 4, 3))) for x, _ in batches(4, 4)]

    def error(y_hat, y):
        return (y_hat - y).abs().max()  # a 0-d tensor

    result = evaluate(Net(), pairs, F.mse_loss, {"largest error": error})
    assert set(result.as_dict()) == {"loss", "largest error"}
    assert result["largest error"] > 0
    with pytest.raises(ShapeError, match=r"confusion matrix needs scores \(N, C\) and class numbers \(N\)"):
        evaluate(Net(), pairs, F.mse_loss, (), confusion=True)


@pytest.mark.parametrize("value", [None, "good", [1, 2]])
def test_a_metric_that_is_no_number_is_named(value):
    with pytest.raises(TypeError, match=r"metric strange must return one number"):
        evaluate(Net(), batches(4), metrics={"strange": lambda y_hat, y: value})


def test_loaders_that_give_nothing_or_nonsense():
    with pytest.raises(ValueError, match="gave no batches"):
        evaluate(Net(), [])
    with pytest.raises(TypeError, match=r"pairs \(inputs, targets\) of tensors, this one gave \['Tensor'\]"):
        evaluate(Net(), [(tcnn.zeros(2, 4),)])
    with pytest.raises(TypeError, match=r"this one gave \['ndarray', 'ndarray'\]"):
        evaluate(Net(), [(np.zeros((2, 4)), np.zeros(2))])
    with pytest.raises(TypeError, match=r"this one gave Tensor"):
        evaluate(Net(), tcnn.zeros(2, 4))


def test_a_model_without_parameters_can_be_evaluated():
    assert evaluate(nn.Identity(), [(tcnn.eye(3), tcnn.arange(3))])["accuracy"] == 1
