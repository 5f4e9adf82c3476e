"""LeNet-5 and the registry of models."""

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import models, nn, optim
from tinygrad_cnn import random as rnd
from tinygrad_cnn.shapes import ShapeError

LENET = {
    "features.conv1.weight": (6, 1, 5, 5),
    "features.conv1.bias": (6,),
    "features.conv2.weight": (16, 6, 5, 5),
    "features.conv2.bias": (16,),
    "classifier.fc1.weight": (120, 400),
    "classifier.fc1.bias": (120,),
    "classifier.fc2.weight": (84, 120),
    "classifier.fc2.bias": (84,),
    "classifier.fc3.weight": (10, 84),
    "classifier.fc3.bias": (10,),
}


def test_lenet_has_the_names_shapes_and_number_of_parameters_of_the_table():
    model = models.LeNet5()
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == LENET
    assert list(model.state_dict()) == list(LENET)
    assert model.num_parameters() == 61706


def test_volumes_of_the_table():
    model = models.LeNet5()
    x, volumes = tcnn.zeros(1, 1, 28, 28), []
    for layer in model.features:
        x = layer(x)
        volumes.append(tuple(x.shape[1:]))
    assert volumes == [(6, 28, 28), (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 10, 10), (16, 5, 5)]


@pytest.mark.parametrize(
    ("options", "inputs", "flat"),
    [
        ({"in_channels": 3, "image_size": 32}, (3, 32, 32), 576),
        ({"image_size": (12, 28), "num_classes": 3}, (1, 12, 28), 80),
        ({"image_size": 12}, (1, 12, 12), 16),
    ],
)
def test_the_flatten_size_follows_the_image(options, inputs, flat):
    model = models.LeNet5(**options)
    assert model.input_shape == inputs
    assert model.classifier[0].weight.shape == (120, flat)
    assert model(tcnn.zeros(2, *inputs)).shape == (2, options.get("num_classes", 10))


def test_images_too_small_are_refused_with_layer_and_sizes():
    with pytest.raises(ShapeError, match=r"LeNet5: images of 11×28 .* pool2 gets 1×10"):
        models.LeNet5(image_size=(11, 28))
    with pytest.raises(ShapeError, match=r"LeNet5: images of 9×9 .* conv2 gets 4×4"):
        models.LeNet5(image_size=9)


def test_an_unknown_variant_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"no variant '1997'; there is 'modern'"):
        models.LeNet5(variant="1997")


def test_the_generator_decides_the_weights_and_leaves_the_default_one_alone():
    before = rnd.default_generator().state_dict()
    same = [models.LeNet5(generator=rnd.Generator(seed)) for seed in (5, 5, 6)]
    assert rnd.default_generator().state_dict() == before
    first, second, other = [model.state_dict()["classifier.fc1.weight"].numpy() for model in same]
    assert first.tobytes() == second.tobytes() != other.tobytes()


def test_every_parameter_gets_a_gradient_and_a_batch_can_be_learnt_by_heart():
    rnd.manual_seed(0)
    model = models.LeNet5(generator=rnd.Generator(1))
    x = tcnn.Tensor(rnd.Generator(2).normal((10, 1, 28, 28)).astype(np.float32))
    y = tcnn.arange(10)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for step in range(80):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        if step == 0:
            dead = [name for name, p in model.named_parameters() if p.grad is None or not np.abs(p.grad).sum() > 0]
            assert dead == []
        optimizer.step()
    assert loss.item() < 0.1


def test_create_knows_spellings_and_options():
    assert models.available() == ("lenet5",)
    for name in ("lenet5", "LeNet-5", "LENET_5"):
        assert type(models.create(name)) is models.LeNet5
    assert models.create("lenet5", num_classes=7).classifier[-1].weight.shape == (7, 84)


def test_create_says_what_was_meant():
    with pytest.raises(ValueError, match=r"no model 'lenett5' \(did you mean 'lenet5'\?\); there is lenet5"):
        models.create("lenett5")
    with pytest.raises(ValueError, match=r"no model 'transformer'; there is lenet5"):
        models.create("transformer")
    with pytest.raises(TypeError, match=r"no option 'imagesize' \(did you mean 'image_size'\?\); it has variant, "):
        models.create("lenet5", imagesize=28)


@pytest.mark.torch
def test_weights_move_to_pytorch_unchanged_and_give_the_same_scores():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: LeNet-5 is not compared with it")
    from torch import nn as tnn

    features = {"conv1": tnn.Conv2d(1, 6, 5, padding=2), "relu1": tnn.ReLU(), "pool1": tnn.MaxPool2d(2)}
    features |= {"conv2": tnn.Conv2d(6, 16, 5), "relu2": tnn.ReLU(), "pool2": tnn.MaxPool2d(2)}
    classifier = {
        "fc1": tnn.Linear(400, 120),
        "relu3": tnn.ReLU(),
        "fc2": tnn.Linear(120, 84),
        "relu4": tnn.ReLU(),
    }
    classifier |= {"fc3": tnn.Linear(84, 10)}

    class Theirs(tnn.Module):
        def __init__(self):
            super().__init__()
            from collections import OrderedDict

            self.features = tnn.Sequential(OrderedDict(features))
            self.classifier = tnn.Sequential(OrderedDict(classifier))

        def forward(self, x):
            return self.classifier(self.features(x).flatten(1))

    ours, theirs = models.LeNet5(), Theirs()
    theirs.load_state_dict({k: torch.from_numpy(v.numpy().copy()) for k, v in ours.state_dict().items()})
    x = rnd.Generator(3).normal((4, 1, 28, 28)).astype(np.float32)
    wanted = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(tcnn.Tensor(x)).numpy(), wanted, rtol=1e-4, atol=1e-5)
