"""Keras' names: sizes and parameters counted by hand, "same" as TensorFlow pads, layers that are made late."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import keras, nn, optim, training
from tinygrad_cnn.nn.walk import output_shape
from tinygrad_cnn.shapes import ShapeError, Window
from tinygrad_cnn.tables import summary


def lecture():
    """The example of many Keras lectures, for MNIST."""
    return keras.Sequential(
        [
            keras.Conv2D(32, kernel_size=(3, 3), activation="relu", input_shape=(28, 28, 1)),
            keras.MaxPooling2D(pool_size=(2, 2)),
            keras.Conv2D(64, (3, 3), activation="relu"),
            keras.MaxPooling2D(pool_size=(2, 2)),
            keras.Flatten(),
            keras.Dropout(0.5),
            keras.Dense(10),
        ]
    )


def test_the_lectures_network_layer_by_layer(capsys):
    model = lecture()
    assert list(model._modules) == [
        "conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "flatten", "dropout", "dense",
    ]  # fmt: skip
    sizes = [output_shape(nn.Sequential(*list(model)[:n]), (1, 28, 28)) for n in range(1, 8)]
    assert sizes == [(32, 26, 26), (32, 13, 13), (64, 11, 11), (64, 5, 5), (1600,), (1600,), (10,)]
    assert [layer.num_parameters() for layer in model] == [320, 0, 18_496, 0, 0, 0, 16_010]
    assert model.count_params() == 34_826
    assert list(model.state_dict())[:2] == ["conv2d.conv.weight", "conv2d.conv.bias"]
    assert model(tcnn.zeros(2, 1, 28, 28)).shape == (2, 10)
    model.summary()
    printed = capsys.readouterr().out
    assert "34,826 parameters" in printed
    assert "64 × (32·3·3 + 1)" in printed


def test_it_trains_like_any_other_model():
    model, (images, labels) = lecture(), (tcnn.randn(10, 1, 28, 28), tcnn.arange(10))
    history = training.fit(model, [(images, labels)] * 4, optim.Adam(model.parameters(), lr=0.003), epochs=5)
    assert history["loss"][-1] < history["loss"][0] / 4


# sizes by hand: kernel, stride, H → outputs, (before, behind)
SAME = [
    ((3, 1, 28), 28, (1, 1)),
    ((3, 2, 28), 14, (0, 1)),  # 13·2 + 3 = 29 of 28 rows
    ((3, 2, 7), 4, (1, 1)),
    ((5, 2, 28), 14, (1, 2)),  # 26 + 5 = 31
    ((2, 2, 7), 4, (0, 1)),
    ((2, 1, 7), 7, (0, 1)),
    ((4, 1, 7), 7, (1, 2)),
    ((3, 3, 7), 3, (1, 1)),
    ((1, 2, 7), 4, (0, 0)),
    ((2, 5, 6), 2, (0, 1)),  # windows that start at 0 and 5
    ((2, 5, 9), 2, (0, 0)),  # and leave pixels out in between
    ((7, 4, 1), 1, (3, 3)),
]


@pytest.mark.parametrize(("sizes", "outputs", "pads"), SAME)
def test_same_gives_one_output_for_each_begun_stride(sizes, outputs, pads):
    kernel, stride, H = sizes
    assert outputs == math.ceil(H / stride)
    assert keras.same_pads(Window((kernel, 1), (stride, 1)), H, 5) == [pads, (0, 0)]
    x = tcnn.randn(2, 3, H, 9)
    for layer in (
        keras.Conv2D(4, (kernel, 3), (stride, 2), "same"),
        keras.MaxPooling2D((kernel, 3), (stride, 2), "same"),
        keras.AveragePooling2D((kernel, 3), (stride, 2), "same"),
    ):
        y = layer(x)
        assert y.shape[2:] == (outputs, 5)
        assert y.shape[1:] == output_shape(layer, (3, H, 9))


@pytest.mark.parametrize(("sizes", "outputs", "pads"), SAME)
def test_same_puts_pixels_where_tensorflow_does(sizes, outputs, pads, rng):
    kernel, stride, H = sizes
    x = rng.normal(size=H) - 5  # negative: a zero in the padding would win
    rows = [[i - pads[0] + p * stride for i in range(kernel)] for p in range(outputs)]
    inside = [[x[i] for i in window if 0 <= i < H] for window in rows]
    images = tcnn.tensor(x).reshape(1, 1, H, 1)
    np.testing.assert_allclose(
        keras.MaxPooling2D((kernel, 1), (stride, 1), "same")(images).numpy().ravel(), [max(w) for w in inside]
    )
    np.testing.assert_allclose(
        keras.AveragePooling2D((kernel, 1), (stride, 1), "same")(images).numpy().ravel(), [np.mean(w) for w in inside]
    )
    conv = keras.Conv2D(1, (kernel, 1), (stride, 1), "same", input_shape=(H, 1, 1))
    conv.build((1, H, 1))
    weight = conv.to("float64").get_submodule("conv").weight.numpy().ravel()
    summed = [sum(weight[n] * x[i] for n, i in enumerate(window) if 0 <= i < H) for window in rows]
    np.testing.assert_allclose(conv(images).detach().numpy().ravel(), summed, atol=1e-12)


def test_average_pooling_has_gradients_through_the_asymmetric_edge():
    x = tcnn.randn(1, 2, 5, 4, dtype="float64", requires_grad=True)
    assert tcnn.gradcheck(lambda t: keras.AveragePooling2D((2, 3), padding="same")(t), (x,))
    assert tcnn.gradcheck(lambda t: keras.MaxPooling2D((2, 3), padding="same")(t), (x,))


def test_padding_follows_the_image_not_the_first_one():
    layer = keras.Conv2D(2, 3, 2, "same")
    assert [layer(tcnn.zeros(1, 1, n, n)).shape[2] for n in (28, 7, 6)] == [14, 4, 3]


def test_defaults_are_keras():
    pool = keras.MaxPooling2D()
    assert pool(tcnn.zeros(1, 1, 9, 8)).shape == (1, 1, 4, 4)  # 2×2, steps of 2, "valid"
    assert keras.MaxPooling2D(3)(tcnn.zeros(1, 1, 9, 8)).shape == (1, 1, 3, 2)  # strides=None: the window's size
    assert keras.AveragePooling2D(3, 1)(tcnn.zeros(1, 1, 9, 8)).shape == (1, 1, 7, 6)
    norm = keras.BatchNormalization()
    norm(tcnn.ones(2, 3, 4, 4))
    assert isinstance(norm.get_submodule("norm"), nn.BatchNorm2d)
    assert (norm.get_submodule("norm").momentum, norm.get_submodule("norm").eps) == (0.01, 1e-3)
    np.testing.assert_allclose(norm.get_submodule("norm").running_mean.numpy(), [0.01] * 3, rtol=1e-6)
    assert keras.GlobalAveragePooling2D()(tcnn.ones(2, 3, 4, 5)).tolist() == [[1.0] * 3] * 2


def test_receptive_fields_with_same_padding():
    model = keras.Sequential(
        [
            keras.Conv2D(6, 5, 2, "same", input_shape=(28, 28, 1)),
            keras.AveragePooling2D(3, padding="same"),
            keras.MaxPooling2D(padding="same"),
        ]
    )
    rows = [row for row in summary(model).rows if "pad" not in row.name]
    assert [str(row.field) for row in rows] == ["1", "5", "9", "15"]  # 5, 5 + 2·2, 9 + 1·6
    assert [row.output for row in rows] == [(1, 28, 28), (6, 14, 14), (6, 5, 5), (6, 3, 3)]


def test_first_values_are_glorots():
    layer = keras.Conv2D(64, 3, groups=2, input_shape=(8, 8, 16))
    layer.build((16, 8, 8))
    conv = layer.get_submodule("conv")
    assert conv.weight.shape == (64, 8, 3, 3)
    bound = math.sqrt(6 / (8 * 9 + 64 * 9))
    weights = np.abs(conv.weight.numpy())
    assert bound * 0.98 < weights.max() <= bound
    assert weights.mean() == pytest.approx(bound / 2, rel=0.05)
    assert not conv.bias.numpy().any()
    dense = keras.Sequential([keras.Input((300,)), keras.Dense(100, use_bias=False)])
    weights = np.abs(dense.get_submodule("dense.linear").weight.numpy())
    assert math.sqrt(6 / 400) * 0.98 < weights.max() <= math.sqrt(6 / 400)
    assert dense.count_params() == 30_000


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softmax", "elu", "gelu", "silu", "softplus"])
def test_activations_by_name(name):
    x = tcnn.randn(2, 3, 4, 4)
    expected = nn.functional.softmax(x, 1) if name == "softmax" else getattr(nn.functional, name)(x)
    np.testing.assert_array_equal(keras.Activation(name)(x).numpy(), expected.numpy())
    layers = [keras.Conv2D(3, 1, activation=name), keras.Conv2D(3, 1)]
    with_it, without = [layer(x) for layer in layers]
    assert len(layers[0]._modules) == 2
    assert len(layers[1]._modules) == 1
    assert with_it.shape == without.shape


def test_layers_are_made_on_the_first_call():
    model = keras.Sequential([keras.Conv2D(6, 5, activation="tanh"), keras.Flatten(), keras.Dense(3)])
    assert repr(model) == "Sequential(\n  (conv2d): Conv2D(not built yet)\n  (flatten): Flatten(not built yet)\n" + (
        "  (dense): Dense(not built yet)\n)"
    )
    for early in (lambda: optim.SGD(model.parameters(), lr=0.1), model.summary, model.count_params):
        with pytest.raises(ValueError, match=r"not made yet, .* give the first one input_shape=\(H, W, C\), or call"):
            early()
    model.eval()
    assert model(tcnn.zeros(1, 3, 8, 9)).shape == (1, 3)
    assert model.input_shape == (3, 8, 9)
    assert model.count_params() == 6 * (3 * 25 + 1) + 3 * (6 * 4 * 5 + 1)
    assert not any(layer.training for layer in model.modules())
    assert "Conv2D(\n    (conv): Conv2d(3, 6, kernel_size=(5, 5)" in repr(model)
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(twin(tcnn.ones(1, 3, 8, 9)).numpy(), model(tcnn.ones(1, 3, 8, 9)).numpy())


def test_a_model_may_hold_other_layers_and_be_cut():
    model = keras.Sequential([keras.Input(shape=(8, 8, 1)), keras.Conv2D(2, 3), nn.ReLU(), nn.MaxPool2d(2)])
    model.add(keras.Flatten())
    model.add(keras.Dense(5, activation="softmax"))
    assert list(model._modules) == ["conv2d", "re_lu", "max_pool2d", "flatten", "dense"]
    front = model[:3]
    assert isinstance(front, keras.Sequential)
    assert front.input_shape == (1, 8, 8)
    assert front(tcnn.zeros(1, 1, 8, 8)).shape == (1, 2, 3, 3)
    np.testing.assert_allclose(model(tcnn.randn(4, 1, 8, 8)).sum(1).detach().numpy(), np.ones(4), rtol=1e-6)


def test_a_layer_that_does_not_fit_is_not_added():
    model = lecture()
    with pytest.raises(ShapeError, match="MaxPooling2D"):
        model.add(keras.MaxPooling2D())
    model.add(keras.Dense(2))
    assert model.count_params() == 34_826 + 2 * 11
    assert model(tcnn.zeros(1, 1, 28, 28)).shape == (1, 2)


def test_images_in_keras_order_are_refused():
    message = r"look like \(N, H, W, C\); here they are \(N, C, H, W\): .*permute\(0, 3, 1, 2\)"
    with pytest.raises(ShapeError, match=message):
        lecture()(tcnn.zeros(2, 28, 28, 1))
    late = keras.Sequential([keras.Conv2D(2, 3, padding="same")])
    with pytest.raises(ShapeError, match=message):
        late(tcnn.zeros(2, 32, 32, 3))
    assert late(tcnn.zeros(2, 32, 32, 3).permute(0, 3, 1, 2)).shape == (2, 2, 32, 32)


@pytest.mark.parametrize(("wrong", "error", "message"), [
    (lambda: keras.Conv2D(2, 3, padding="full"), ValueError, 'Conv2D: padding=.* "valid", "same"'),
    (lambda: keras.Conv2D(2, 3, padding=1), ValueError, 'Conv2D: padding=1 must be one of "valid", "same"'),
    (lambda: keras.MaxPooling2D(2, padding="half"), ValueError, "MaxPooling2D: padding="),
    (lambda: keras.Conv2D(2, 3, activation="rely"), ValueError, "Conv2D: activation='rely' must be one of"),
    (lambda: keras.Conv2D(0, 3), ShapeError, "Conv2D: filters=0 must be at least 1"),
    (lambda: keras.Dense(2.5), TypeError, "Dense: units=2.5 must be a whole number"),
    (lambda: keras.Conv2D(2, (3, 3, 3)), ShapeError, "Conv2D: kernel_size="),
    (lambda: keras.Dropout(1.5), ValueError, "must be a probability"),
    (lambda: keras.Conv2D(2, 3, input_shape=(28, 28)), ShapeError,
     r"Conv2D: input_shape=\(28, 28\) must be \(H, W, C\)"),
    (lambda: keras.Input((None, None, 3)), ShapeError, "Input: input_shape="),
    (lambda: keras.Sequential([keras.Dense(2, input_shape=(8, 8, 1))]), ShapeError,
     r"Dense: its input is \(1, 8, 8\), .*put Flatten\(\) or .* or take Conv2D\(2, 1\)"),
    (lambda: keras.Sequential([keras.Input((9,)), keras.MaxPooling2D()]), ShapeError,
     r"MaxPooling2D: its input is \(9,\), .*Flatten"),
    (lambda: keras.Sequential([keras.Conv2D(4, 3, groups=3, input_shape=(8, 8, 3))]), ShapeError, "groups=3"),
    (lambda: keras.Sequential([keras.Input((4, 4, 1)), keras.Conv2D(2, 5)]), ShapeError, r"conv2d.conv .*5 pixels"),
    (lambda: lecture()(tcnn.zeros(1, 3, 28, 28)), ShapeError, "conv2d"),
])  # fmt: skip
def test_what_cannot_be(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()


def test_summary_has_a_row_for_each_layer_as_keras_prints_it(capsys):
    model = lecture()
    model.summary()
    text = capsys.readouterr().out
    rows = [line.split()[:2] for line in text.splitlines()[5:] if line]
    assert rows[: len(model)] == [[name, layer.kind] for name, layer in model.named_children()]
    assert "Keras would" not in text
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.BatchNormalization(), keras.Activation("swish")])
    model.summary()
    assert "Keras would count 12: with the means and variances" in capsys.readouterr().out


@pytest.mark.parametrize(("method", "instead"), [
    ("compile", "training.fit"), ("fit", r"training\.fit\(model.*leave out the last activation"),
    ("evaluate", "training.evaluate"), ("predict", r"model\.eval\(\)"),
])  # fmt: skip
def test_methods_that_are_elsewhere(method, instead):
    assert not hasattr(lecture(), method)
    with pytest.raises(AttributeError, match=f"has no {method}.*{instead}"):
        getattr(lecture(), method)
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = lecture().fitt
