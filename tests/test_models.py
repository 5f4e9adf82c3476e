"""The networks: tables of the papers and lectures, names and outputs as PyTorch's, losses, errors."""

import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, nn, optim, training
from tinygrad_cnn import random as rnd
from tinygrad_cnn.models import lenet1998
from tinygrad_cnn.nn.utils import skip_init
from tinygrad_cnn.nn.walk import output_shape
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


def images(*shape, seed=3):
    return tcnn.Tensor(rnd.Generator(seed).normal(shape).astype(np.float32))


def volumes(model, shape=None):
    """Name → shape behind each layer of the chains in a model, from `walk_shapes`."""
    found = {}

    def call(name, shape):
        module = model.get_submodule(name)
        if not isinstance(module, nn.Sequential):
            found[name] = output_shape(module, shape, name)
            return found[name]
        for child, layer in module._modules.items():
            shape = found[f"{name}.{child}"] = output_shape(layer, shape)
        return shape

    found["out"] = model.walk_shapes(shape or model.input_shape, call)
    return found


# ---- LeNet-5, modern
def test_lenet_has_the_names_shapes_and_number_of_parameters_of_the_table():
    model = models.LeNet5()
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == LENET
    assert list(model.state_dict()) == list(LENET)
    assert model.num_parameters() == 61706


def test_volumes_of_the_table():
    model = models.LeNet5()
    x, seen = tcnn.zeros(1, 1, 28, 28), []
    for layer in model.features:
        x = layer(x)
        seen.append(tuple(x.shape[1:]))
    assert seen == [(6, 28, 28), (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 10, 10), (16, 5, 5)]


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
    with pytest.raises(ShapeError, match=r"LeNet5: images of 11×28 are too small: layer features.pool2 .* 16×1×10"):
        models.LeNet5(image_size=(11, 28))
    with pytest.raises(ShapeError, match=r"LeNet5: images of 9×9 .* features.conv2 \(Conv2d\) gets 6×4×4.*Enlarge"):
        models.LeNet5(image_size=9)


def test_an_unknown_variant_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"no variant '1997' \(did you mean '1998'\?\); there is 'modern', '1998', "):
        models.LeNet5(variant="1997")
    with pytest.raises(ValueError, match=r"no variant 5; there is .*'nielsen'; for 5 classes write num_classes=5$"):
        models.LeNet5(5)


@pytest.mark.parametrize(
    "make",
    [
        lambda g: models.LeNet5(generator=g),
        lambda g: models.LeNet5("1998", generator=g),
        lambda g: models.AlexNet("cifar", width=0.1, generator=g),
        lambda g: models.VGG(11, num_classes=10, image_size=32, width=0.1, generator=g),
        lambda g: models.GoogLeNet("cifar", width=0.1, generator=g),
    ],
)
def test_the_generator_decides_the_weights_and_leaves_the_default_one_alone(make):
    before = rnd.default_generator().state_dict()
    same = [make(rnd.Generator(seed)) for seed in (5, 5, 6)]
    assert rnd.default_generator().state_dict() == before
    name = next(name for name in same[0].state_dict() if name.endswith("weight"))
    first, second, other = [model.state_dict()[name].numpy() for model in same]
    assert first.tobytes() == second.tobytes() != other.tobytes()


def learnt_by_heart(model, steps, optimizer):
    """Loss of ten images before and behind some steps; after the first one every parameter has a gradient."""
    rnd.manual_seed(0)
    x, y = images(10, *model.input_shape, seed=2), tcnn.arange(10)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = model.criterion(model(x), y)
        loss.backward()
        if step == 0:
            dead = [name for name, p in model.named_parameters() if p.grad is None or not np.abs(p.grad).sum() > 0]
            assert dead == []
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_every_parameter_gets_a_gradient_and_a_batch_can_be_learnt_by_heart():
    model = models.LeNet5(generator=rnd.Generator(1))
    losses = learnt_by_heart(model, 80, optim.SGD(model.parameters(), lr=0.05, momentum=0.9))
    assert losses[-1] < 0.1


# ---- LeNet-5, 1998
# layer → output, parameters, connections
PAPER = {
    "features.input": ((1, 32, 32), 0, None),
    "features.c1": ((6, 28, 28), 156, 122_304),
    "features.s2": ((6, 14, 14), 12, 5_880),
    "features.c3": ((16, 10, 10), 1_516, 151_600),
    "features.s4": ((16, 5, 5), 32, 2_000),
    "features.c5": ((120, 1, 1), 48_120, 48_120),
    "classifier.f6": ((84,), 10_164, 10_164),
    "classifier.rbf": ((10,), 0, 840),
}


def connections(layer, output):
    if hasattr(layer, "connections"):
        return layer.connections(output)
    inputs = layer.weight.numel() // len(layer.weight)
    return int(np.prod(output)) * (inputs + 1)


@pytest.mark.parametrize("size", [28, 32])
def test_lenet_1998_is_the_papers_layer_by_layer(size):
    model = models.LeNet5("1998", image_size=size)
    walked = volumes(model)
    for name, (output, parameters, links) in PAPER.items():
        layer = model.get_submodule(name)
        assert walked[name] == output
        assert layer.num_parameters() == parameters
        assert links is None or connections(layer, output) == links
    assert model.num_parameters() == 60_000
    assert sum(links or 0 for *_, links in PAPER.values()) == 340_908
    squashed = [name for name, module in model.named_modules() if isinstance(module, nn.ScaledTanh)]
    assert len(squashed) == 6
    assert list(model.features._modules)[1::2] == ["c1", "s2", "c3", "s4", "c5"]
    assert list(model.features._modules)[2::2] == ["squash1", "squash2", "squash3", "squash4", "squash5"]


def test_lenet_1998_scores_are_minus_the_distances_from_the_bitmaps():
    model = models.LeNet5("1998")
    x = images(3, 1, 28, 28)
    code = model.classifier.squash6(model.classifier.f6(model.features(x).flatten(1))).numpy()
    y = ((code[:, None] - lenet1998.digit_bitmaps()) ** 2).sum(-1)
    scores = model(x)
    np.testing.assert_allclose(scores.numpy(), -y, rtol=1e-5)
    assert (scores.argmax(1).numpy() == y.argmin(1)).all()
    assert isinstance(model.criterion, nn.MAPLoss)
    assert model.criterion.j == lenet1998.RUBBISH
    wider = np.full((3, 1, 32, 32), x.numpy().min(axis=(1, 2, 3)).reshape(3, 1, 1, 1))
    wider[:, :, 2:30, 2:30] = x.numpy()  # the frame is background: MNIST in the middle of 32×32
    np.testing.assert_allclose(model(tcnn.Tensor(wider)).numpy(), scores.numpy(), rtol=1e-4)


def test_lenet_1998_first_values_are_the_papers():
    model = models.LeNet5("1998", generator=rnd.Generator(1))
    for name, fan_in in {"features.c1": 25, "features.s2": 4, "features.c5": 400, "classifier.f6": 120}.items():
        for values in model.get_submodule(name).parameters():
            assert np.abs(values.numpy()).max() <= 2.4 / fan_in
        assert np.abs(model.get_submodule(name).weight.numpy()).max() > 0.5 * 2.4 / fan_in


def test_lenet_1998_refuses_what_it_cannot():
    with pytest.raises(ShapeError, match="40×40 are larger than the 32×32 input plane"):
        models.LeNet5("1998", image_size=40)
    with pytest.raises(ShapeError, match="33×32 are larger than the 32×32 input plane"):
        models.LeNet5("1998")(tcnn.zeros(1, 1, 33, 32))
    with pytest.raises(ShapeError, match=r"made for images \(N, 1, 28, 28\), x is \(1, 3, 28, 28\)"):
        models.LeNet5("1998")(tcnn.zeros(1, 3, 28, 28))
    with pytest.raises(ValueError, match="bitmaps of ten digits, so num_classes=11"):
        models.LeNet5("1998", num_classes=11)
    assert models.LeNet5("1998", num_classes=4)(tcnn.zeros(1, 1, 28, 28)).shape == (1, 4)


def test_lenet_1998_learns_digits_with_its_own_loss():
    split = data.load("digits")
    batches = data.DataLoader(split.train, batch_size=32, shuffle=True, generator=rnd.Generator(1))
    model = models.LeNet5("1998", generator=rnd.Generator(0))
    optimizer = optim.Adam(model.parameters(), lr=0.002)
    history = training.fit(model, batches, optimizer, epochs=3, generator=rnd.Generator(2))
    assert history["loss"][-1] < 0.3 * history["loss"][0]  # what fit measures without a loss_fn is the model's own
    test = [data.DataLoader(split.test, batch_size=359)]
    x, y = next(iter(test[0]))
    result = training.evaluate(model, [(x, y)])
    assert result.loss == pytest.approx(model.criterion(model(x), y).item(), rel=1e-5)
    assert result["accuracy"] > 0.85


# ---- the other networks called LeNet, ConvNetJS
def test_caffes_lenet_is_the_lectures():
    model = models.LeNet5("caffe")
    walked = volumes(model)
    names = ("features.conv1", "features.pool1", "features.conv2", "features.pool2", "classifier.fc1", "classifier.fc2")
    assert [walked[name] for name in names] == [(20, 28, 28), (20, 14, 14), (50, 14, 14), (50, 7, 7), (500,), (10,)]
    layers = [model.get_submodule(name).num_parameters() for name in names if "pool" not in name]
    assert layers == [520, 25_050, 1_225_500, 5_010]
    assert model.num_parameters() == 1_256_080


def test_nielsens_net():
    model = models.LeNet5("nielsen")
    assert list(volumes(model).values())[:3] == [(20, 24, 24), (20, 24, 24), (20, 12, 12)]
    assert list(model.features._modules) == ["conv1", "sigmoid1", "pool1"]
    assert list(model.classifier._modules) == ["fc1", "sigmoid2", "fc2"]
    assert model.num_parameters() == 520 + 100 * (2880 + 1) + 10 * 101


def test_convnetjs():
    model = models.ConvNetJS()
    assert [shape for name, shape in volumes(model).items() if "pool" in name] == [(16, 16, 16), (20, 8, 8), (20, 4, 4)]
    assert model.num_parameters() == 1216 + 8020 + 10_020 + 3210
    losses = learnt_by_heart(model, 60, optim.Adam(model.parameters(), lr=0.01))
    assert losses[-1] < 0.1


@pytest.mark.torch
def test_weights_move_to_pytorch_unchanged_and_give_the_same_scores(torch):
    tnn = torch.nn
    features = {"conv1": tnn.Conv2d(1, 6, 5, padding=2), "relu1": tnn.ReLU(), "pool1": tnn.MaxPool2d(2)}
    features |= {"conv2": tnn.Conv2d(6, 16, 5), "relu2": tnn.ReLU(), "pool2": tnn.MaxPool2d(2)}
    classifier = {"fc1": tnn.Linear(400, 120), "relu3": tnn.ReLU(), "fc2": tnn.Linear(120, 84), "relu4": tnn.ReLU()}
    classifier |= {"fc3": tnn.Linear(84, 10)}
    theirs = chain(torch, features=OrderedDict(features), classifier=OrderedDict(classifier))
    same_outputs(torch, models.LeNet5(), theirs, images(4, 1, 28, 28))


# ---- against PyTorch
def chain(torch, **parts):
    """A PyTorch network: features, avgpool if there is one, classifier."""
    tnn = torch.nn

    class Theirs(tnn.Module):
        def __init__(self):
            super().__init__()
            for name, part in parts.items():
                if isinstance(part, list):
                    part = tnn.Sequential(*part)
                setattr(self, name, tnn.Sequential(part) if isinstance(part, dict) else part)

        def forward(self, x):
            x = self.features(x)
            if "avgpool" in parts:
                x = self.avgpool(x)
            return self.classifier(torch.flatten(x, 1))

    return Theirs()


def same_names(ours, theirs):
    """Names, order and shapes of all that is saved."""
    mine = {name: tuple(t.shape) for name, t in ours.state_dict().items()}
    its = {name: tuple(t.shape) for name, t in theirs.state_dict().items()}
    assert list(mine.items()) == list(its.items())


def same_outputs(torch, ours, theirs, x, rtol=1e-4, atol=1e-5):
    """PyTorch's random weights in both, the same scores in evaluation mode and the same gradients of the weights."""
    same_names(ours, theirs)
    ours.load_state_dict(theirs.state_dict())
    ours.eval()
    theirs.eval()
    y, z = ours(x), theirs(torch.from_numpy(x.numpy().copy()))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=rtol, atol=atol)
    dy = rnd.Generator(9).normal(y.shape).astype(np.float32)
    y.backward(dy)
    z.backward(torch.from_numpy(dy))
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if q.grad is not None:
            scale = np.abs(q.grad.numpy()).max() or 1
            np.testing.assert_allclose(p.grad / scale, q.grad.numpy() / scale, atol=2e-4, err_msg=name)


def torch_alexnet(torch, w=lambda channels: channels, classes=1000):
    """torchvision's AlexNet, from its published definition."""
    tnn = torch.nn
    A, B, D, E = w(64), w(192), w(384), w(256)
    features = [tnn.Conv2d(3, A, 11, 4, 2), tnn.ReLU(), tnn.MaxPool2d(3, 2), tnn.Conv2d(A, B, 5, padding=2)]
    features += [tnn.ReLU(), tnn.MaxPool2d(3, 2), tnn.Conv2d(B, D, 3, padding=1), tnn.ReLU()]
    features += [tnn.Conv2d(D, E, 3, padding=1), tnn.ReLU(), tnn.Conv2d(E, E, 3, padding=1), tnn.ReLU()]
    classifier = [tnn.Dropout(), tnn.Linear(E * 36, w(4096)), tnn.ReLU(), tnn.Dropout()]
    classifier += [tnn.Linear(w(4096), w(4096)), tnn.ReLU(), tnn.Linear(w(4096), classes)]
    pool = tnn.AdaptiveAvgPool2d((6, 6))
    return chain(torch, features=[*features, tnn.MaxPool2d(3, 2)], avgpool=pool, classifier=classifier)


def narrow(width):
    return lambda channels: models.base.widened(channels, width)


@pytest.mark.torch
def test_alexnet_is_torchvisions(torch):
    with torch.device("meta"):
        theirs = torch_alexnet(torch)
    ours = skip_init(models.AlexNet, "torchvision")
    same_names(ours, theirs)
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters()) == 61_100_840
    small = models.AlexNet("torchvision", num_classes=5, width=0.05)
    same_outputs(torch, small, torch_alexnet(torch, narrow(0.05), 5), images(2, 3, 67, 95))


@pytest.mark.torch
def test_alexnet_of_the_paper_against_pytorch(torch):
    tnn, w = torch.nn, narrow(0.1)
    A, B, D = w(96), w(256), w(384)

    def norm():
        return tnn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

    features = {"conv1": tnn.Conv2d(3, A, 11, 4), "relu1": tnn.ReLU(), "norm1": norm(), "pool1": tnn.MaxPool2d(3, 2)}
    features |= {"conv2": tnn.Conv2d(A, B, 5, padding=2, groups=2), "relu2": tnn.ReLU(), "norm2": norm()}
    features |= {"pool2": tnn.MaxPool2d(3, 2), "conv3": tnn.Conv2d(B, D, 3, padding=1), "relu3": tnn.ReLU()}
    features |= {"conv4": tnn.Conv2d(D, D, 3, padding=1, groups=2), "relu4": tnn.ReLU()}
    features |= {"conv5": tnn.Conv2d(D, B, 3, padding=1, groups=2), "relu5": tnn.ReLU(), "pool5": tnn.MaxPool2d(3, 2)}
    F = w(4096)
    classifier = {"fc6": tnn.Linear(B * 36, F), "relu6": tnn.ReLU(), "dropout6": tnn.Dropout()}
    classifier |= {"fc7": tnn.Linear(F, F), "relu7": tnn.ReLU(), "dropout7": tnn.Dropout(), "fc8": tnn.Linear(F, 7)}
    theirs = chain(torch, features=OrderedDict(features), classifier=OrderedDict(classifier))
    same_outputs(torch, models.AlexNet("paper", num_classes=7, width=0.1), theirs, images(2, 3, 227, 227))


# ---- AlexNet
def test_alexnet_of_the_paper_has_its_numbers():
    model = skip_init(models.AlexNet, "paper")
    parameters = [
        sum(p.numel() for p in m.parameters()) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))
    ]
    numbers = [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]
    assert parameters == numbers
    assert model.num_parameters() == sum(numbers) == 60_965_224
    walked = volumes(model)
    wanted = {"conv1": (96, 55, 55), "pool1": (96, 27, 27), "conv2": (256, 27, 27), "pool2": (256, 13, 13)}
    wanted |= {"conv3": (384, 13, 13), "conv4": (384, 13, 13), "conv5": (256, 13, 13), "pool5": (256, 6, 6)}
    assert {name: walked[f"features.{name}"] for name in wanted} == wanted
    assert list(model.features._modules)[:4] == ["conv1", "relu1", "norm1", "pool1"]
    norm = model.features.norm1
    assert (norm.size, norm.alpha / norm.size, norm.beta, norm.k) == (5, pytest.approx(1e-4), 0.75, 2.0)


def test_the_single_tower_pools_before_it_normalises():
    model = skip_init(models.AlexNet, "single-tower")
    assert model.num_parameters() == 62_378_344
    assert list(model.features._modules)[:8] == [
        *("conv1", "relu1", "pool1", "norm1"),
        *("conv2", "relu2", "pool2", "norm2"),
    ]
    assert {m.groups for m in model.modules() if isinstance(m, nn.Conv2d)} == {1}
    assert volumes(model)["features.norm1"] == (96, 27, 27)


def test_the_papers_first_values():
    model = models.AlexNet("paper", width=0.1, num_classes=3, generator=rnd.Generator(0))
    ones = [
        n.removesuffix(".bias").split(".")[1]
        for n, p in model.named_parameters()
        if n.endswith("bias") and p.numpy().all()
    ]
    assert ones == ["conv2", "conv4", "conv5", "fc6", "fc7"]
    assert model.features.conv1.bias.numpy().any() == np.False_
    assert model.classifier.fc6.weight.numpy().std() == pytest.approx(0.01, rel=0.05)


def test_alexnet_for_small_images():
    model = models.AlexNet("cifar")
    walked = volumes(model)
    wanted = {"conv1": (64, 32, 32), "pool1": (64, 15, 15), "conv2": (192, 15, 15), "pool2": (192, 7, 7)}
    wanted |= {"conv3": (384, 7, 7), "conv4": (256, 7, 7), "conv5": (256, 7, 7), "pool5": (256, 3, 3)}
    assert {name: walked[f"features.{name}"] for name in wanted} == wanted
    assert walked["out"] == (10,)
    half = models.AlexNet("cifar", width=0.5)
    assert [m.out_channels for m in half.modules() if isinstance(m, nn.Conv2d)] == [32, 96, 192, 128, 128]
    assert half.classifier.fc6.out_features == 512
    assert model.num_parameters() == 5_871_434


def test_alexnet_for_small_images_learns():
    model = models.AlexNet("cifar", width=0.25, dropout=0.0, generator=rnd.Generator(1))
    losses = learnt_by_heart(model, 25, optim.Adam(model.parameters(), lr=0.001))
    assert losses[-1] < 0.1


@pytest.mark.parametrize("variant", ["paper", "single-tower"])
def test_alexnet_on_224_does_not_fit(variant):
    text = r"AlexNet: features.conv1: \(224 − 11\)/4 \+ 1 = 54.25: doesn't fit .*224 is a slip.*; use 227×227 .*ding 2"
    with pytest.raises(ShapeError, match=text):
        models.AlexNet(variant, image_size=224)
    model = models.AlexNet(variant, width=0.02, num_classes=3)
    with pytest.raises(ShapeError, match=text):
        model(tcnn.zeros(1, 3, 224, 224))
    with pytest.raises(ShapeError, match=r"made for images \(N, 3, 227, 227\), x is \(1, 3, 231, 227\); resize them"):
        model(tcnn.zeros(1, 3, 231, 227))  # (231 − 11)/4 + 1 = 56 would fit


def test_images_too_small_for_alexnet():
    with pytest.raises(ShapeError, match=r"AlexNet: images of 32×32 .* features.12 \(MaxPool2d\) .*variant='cifar'"):
        skip_init(models.AlexNet, image_size=32)
    model = models.AlexNet(width=0.02, num_classes=3)
    assert model(tcnn.zeros(1, 3, 63, 70)).shape == (1, 3)
    with pytest.raises(ShapeError, match=r"AlexNet: images of 62×70 .* layer features.12 \(MaxPool2d\) gets 8×2×3"):
        model(tcnn.zeros(1, 3, 62, 70))
    with pytest.raises(ShapeError, match=r"x is \(2, 1, 63, 63\)"):
        model(tcnn.zeros(2, 1, 63, 63))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"width": 0}, ValueError, r"width=0 must be greater than 0"),
        ({"width": -1}, ValueError, r"width=-1 must be greater than 0"),
        ({"image_size": (3, 32, 32)}, ShapeError, r"image_size=\(3, 32, 32\) must be one whole number, or two"),
        ({"image_size": "32"}, TypeError, r"image_size='32' must be a whole number"),
        ({"image_size": 0}, ShapeError, r"image_size=0 must be at least 1"),
    ],
)
def test_what_is_no_width_and_no_size_of_images(options, error, text):
    with pytest.raises(error, match=text):
        models.AlexNet("cifar", **options)
    assert models.AlexNet("cifar", width=0.02, image_size=[np.int64(32), 40]).input_shape == (3, 32, 40)


# ---- VGG
VGG = {
    (11, False): 132_863_336,
    (11, True): 132_868_840,
    (13, False): 133_047_848,
    (13, True): 133_053_736,
    (16, False): 138_357_544,
    (16, True): 138_365_992,
    (19, False): 143_667_240,
    (19, True): 143_678_248,
}


def torch_vgg(torch, depth, batch_norm, w=lambda channels: channels, classes=1000, pooled=7):
    tnn = torch.nn
    counts = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}[depth]
    features, C = [], 3
    for K, count in zip((64, 128, 256, 512, 512), counts):
        for _ in range(count):
            norm = [tnn.BatchNorm2d(w(K))] if batch_norm else []
            features += [tnn.Conv2d(C, w(K), 3, padding=1), *norm, tnn.ReLU()]
            C = w(K)
        features.append(tnn.MaxPool2d(2, 2))
    F = w(4096)
    classifier = [tnn.Linear(C * pooled**2, F), tnn.ReLU(), tnn.Dropout(), tnn.Linear(F, F), tnn.ReLU()]
    classifier += [tnn.Dropout(), tnn.Linear(F, classes)]
    return chain(torch, features=features, avgpool=tnn.AdaptiveAvgPool2d((pooled, pooled)), classifier=classifier)


@pytest.mark.torch
@pytest.mark.parametrize(("depth", "batch_norm"), VGG)
def test_vgg_is_torchvisions(torch, depth, batch_norm):
    with torch.device("meta"):
        theirs = torch_vgg(torch, depth, batch_norm)
    ours = skip_init(models.VGG, depth, batch_norm)
    same_names(ours, theirs)
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters()) == VGG[depth, batch_norm]


@pytest.mark.torch
@pytest.mark.parametrize(("image_size", "pooled"), [(32, 1), (224, 7)])
def test_vgg_scores_are_pytorchs_on_small_images(torch, image_size, pooled):
    ours = models.VGG(13, True, num_classes=4, image_size=image_size, width=0.05)
    same_outputs(torch, ours, torch_vgg(torch, 13, True, narrow(0.05), 4, pooled), images(2, 3, 32, 45))


def test_vgg_for_small_images():
    model = skip_init(models.VGG, 16, num_classes=10, image_size=32)
    assert model.num_parameters() == 33_638_218
    assert volumes(model)["features.30"] == (512, 1, 1)
    assert skip_init(models.VGG, 16, image_size=(96, 64)).avgpool.output_size == (3, 2)
    assert volumes(skip_init(models.VGG, 19))["avgpool"] == (512, 7, 7)
    with pytest.raises(ValueError, match="VGG: there is no depth 12; there is 11, 13, 16, 19"):
        models.VGG(12)
    with pytest.raises(ShapeError, match=r"VGG: images of 28×32 .* layer features.20 \(MaxPool2d\) gets 512×1×2"):
        models.VGG(11, image_size=(28, 32), width=1.0)


def test_vgg_first_values_are_those_of_he():
    model = models.VGG(11, num_classes=3, image_size=32, width=0.2, generator=rnd.Generator(2))
    conv = model.features[3]  # K filters of 3×3: √(2/(9·K))
    assert conv.weight.numpy().std() == pytest.approx((2 / (9 * conv.out_channels)) ** 0.5, rel=0.1)
    assert not conv.bias.numpy().any()
    assert model.classifier[3].weight.numpy().std() == pytest.approx(0.01, rel=0.05)


# ---- GoogLeNet
INCEPTIONS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def torch_googlenet(torch, w=lambda channels: channels, classes=1000):
    """torchvision's GoogLeNet with auxiliary heads, from its published definition."""
    tnn, functional = torch.nn, torch.nn.functional

    class BasicConv2d(tnn.Module):
        def __init__(self, C, K, **options):
            super().__init__()
            self.conv = tnn.Conv2d(C, K, bias=False, **options)
            self.bn = tnn.BatchNorm2d(K, eps=0.001)

        def forward(self, x):
            return functional.relu(self.bn(self.conv(x)))

    class Inception(tnn.Module):
        def __init__(self, C, a, b1, b2, c1, c2, d):
            super().__init__()
            one = {"kernel_size": 1}
            three = {"kernel_size": 3, "padding": 1}
            self.branch1 = BasicConv2d(C, a, **one)
            self.branch2 = tnn.Sequential(BasicConv2d(C, b1, **one), BasicConv2d(b1, b2, **three))
            self.branch3 = tnn.Sequential(BasicConv2d(C, c1, **one), BasicConv2d(c1, c2, **three))
            self.branch4 = tnn.Sequential(tnn.MaxPool2d(3, 1, 1, ceil_mode=True), BasicConv2d(C, d, **one))

        def forward(self, x):
            return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)

    class InceptionAux(tnn.Module):
        def __init__(self, C):
            super().__init__()
            self.conv = BasicConv2d(C, w(128), kernel_size=1)
            self.fc1 = tnn.Linear(16 * w(128), w(1024))
            self.fc2 = tnn.Linear(w(1024), classes)

        def forward(self, x):
            x = self.conv(functional.adaptive_avg_pool2d(x, (4, 4)))
            return self.fc2(functional.relu(self.fc1(torch.flatten(x, 1))))

    class GoogLeNet(tnn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = BasicConv2d(3, w(64), kernel_size=7, stride=2, padding=3)
            self.maxpool1 = tnn.MaxPool2d(3, 2, ceil_mode=True)
            self.conv2 = BasicConv2d(w(64), w(64), kernel_size=1)
            self.conv3 = BasicConv2d(w(64), w(192), kernel_size=3, padding=1)
            self.maxpool2 = tnn.MaxPool2d(3, 2, ceil_mode=True)
            C = w(192)
            for name, (_, *ways) in INCEPTIONS.items():
                a, b1, b2, c1, c2, d = map(w, ways)
                setattr(self, f"inception{name}", Inception(C, a, b1, b2, c1, c2, d))
                C = a + b2 + c2 + d
                if name == "4a":
                    first = C
                if name == "4d":
                    second = C
            self.aux1, self.aux2 = InceptionAux(first), InceptionAux(second)
            self.fc = tnn.Linear(C, classes)

        def forward(self, x):
            x = self.maxpool1(self.conv1(x))
            x = self.maxpool2(self.conv3(self.conv2(x)))
            x = functional.max_pool2d(self.inception3b(self.inception3a(x)), 3, 2, ceil_mode=True)
            x = self.inception4a(x)
            aux1 = self.aux1(x)
            x = self.inception4d(self.inception4c(self.inception4b(x)))
            aux2 = self.aux2(x)
            x = functional.max_pool2d(self.inception4e(x), 2, 2, ceil_mode=True)
            x = self.inception5b(self.inception5a(x)).mean((2, 3))
            return (self.fc(x), aux2, aux1) if self.training else self.fc(x)

    return GoogLeNet()


@pytest.mark.torch
def test_googlenet_is_torchvisions(torch):
    with torch.device("meta"):
        theirs = torch_googlenet(torch)
    ours = skip_init(models.GoogLeNet)
    same_names(ours, theirs)
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters()) == 13_004_888
    assert skip_init(models.GoogLeNet, aux_logits=False).num_parameters() == 6_624_904


@pytest.mark.torch
def test_googlenet_scores_are_pytorchs(torch):
    ours = models.GoogLeNet(num_classes=5, width=0.1, dropout=0.0, dropout_aux=0.0)
    theirs = torch_googlenet(torch, narrow(0.1), 5)
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.3)
    x = images(3, 3, 75, 98)
    same_outputs(torch, ours, theirs, x, rtol=1e-3, atol=1e-3)
    ours.train()
    theirs.train()
    for mine, its in zip(ours(x), theirs(torch.from_numpy(x.numpy().copy())), strict=True):
        scale = float(its.detach().abs().max())
        np.testing.assert_allclose(mine.numpy() / scale, its.detach().numpy() / scale, atol=1e-4)


def test_googlenet_of_the_paper():
    model = skip_init(models.GoogLeNet, "paper")
    walked = volumes(model)
    wanted = {"maxpool1": (64, 56, 56), "maxpool2": (192, 28, 28), "inception3a": (256, 28, 28)}
    wanted |= {"inception3b": (480, 28, 28), "maxpool3": (480, 14, 14), "inception4a": (512, 14, 14)}
    wanted |= {"inception4d": (528, 14, 14), "inception4e": (832, 14, 14), "maxpool4": (832, 7, 7)}
    wanted |= {"inception5b": (1024, 7, 7), "avgpool": (1024, 1, 1), "fc": (1000,)}
    assert {name: walked.get(name) for name in wanted} == wanted
    assert walked["aux1.pool"] == (512, 4, 4)
    assert walked["aux1.fc2"] == walked["aux2.fc2"] == (1000,)
    assert skip_init(models.GoogLeNet, "paper", aux_logits=False).num_parameters() == 6_998_552
    assert [m.kernel_size for m in model.inception3a.modules() if isinstance(m, nn.Conv2d)] == [
        *((1, 1), (1, 1), (3, 3), (1, 1), (5, 5), (1, 1))
    ]
    for name, (_, *ways) in INCEPTIONS.items():
        module = model.get_submodule(f"inception{name}")
        assert [m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d)] == ways


def test_inception_is_four_ways_side_by_side():
    module = models.Inception(3, 2, 3, 4, 1, 2, 5)
    x = images(2, 3, 5, 7)
    y = module(x).numpy()
    parts = [module.branch1(x), module.branch2(x), module.branch3(x), module.branch4(x)]
    assert y.shape == (2, 2 + 4 + 2 + 5, 5, 7)
    assert (np.concatenate([p.numpy() for p in parts], axis=1) == y).all()
    assert output_shape(module, (3, 5, 7)) == (13, 5, 7)


def test_googlenets_heads_and_their_loss():
    model = models.GoogLeNet(
        "cifar", width=0.2, num_classes=4, dropout=0.0, dropout_aux=0.0, generator=rnd.Generator(1)
    )
    x, y = images(5, 3, 32, 32), tcnn.tensor([0, 1, 2, 3, 0])
    outputs = model(x)
    assert isinstance(outputs, models.GoogLeNetOutputs)
    assert outputs._fields == ("logits", "aux_logits2", "aux_logits1")
    assert [scores.shape for scores in outputs] == [(5, 4)] * 3
    main, second, first = (nn.functional.cross_entropy(scores, y) for scores in outputs)
    loss = model.criterion(outputs, y)
    assert loss.item() == pytest.approx(main.item() + 0.3 * (second.item() + first.item()), rel=1e-6)
    loss.backward(retain_graph=True)
    together = {name: p.grad.copy() for name, p in model.named_parameters()}
    assert all(np.abs(grad).sum() > 0 for grad in together.values())
    model.zero_grad()
    first.backward()  # the first head alone: nothing behind it
    assert all(p.grad is None for name, p in model.named_parameters() if name.startswith(("aux2", "fc", "inception4b")))
    np.testing.assert_allclose(model.aux1.fc2.weight.grad * 0.3, together["aux1.fc2.weight"], rtol=1e-4, atol=1e-7)
    scores = model.eval()(x)
    assert isinstance(scores, tcnn.Tensor)
    assert model.criterion(scores, y).item() == pytest.approx(nn.functional.cross_entropy(scores, y).item())
    assert isinstance(models.GoogLeNet("cifar", width=0.1, aux_logits=False)(x), tcnn.Tensor)


def test_googlenet_is_trained_by_fit():
    model = models.GoogLeNet("cifar", width=0.2, generator=rnd.Generator(1))
    x, y = images(10, 3, 32, 32, seed=2), tcnn.arange(10)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    history = training.fit(model, [(x, y)], optimizer, epochs=12, val_loader=[(x, y)], generator=rnd.Generator(3))
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["accuracy"][-1] > 0.5  # of the network's scores, not of a head's
    assert history["val_loss"][0] > 0


def test_googlenet_errors():
    with pytest.raises(
        ValueError, match="GoogLeNet: there is no variant 'v3'; there is 'torchvision', 'paper', 'cifar'"
    ):
        models.GoogLeNet("v3")
    with pytest.raises(ShapeError, match=r"GoogLeNet: images of 100×100 .* layer aux1.fc1 .*variant='cifar'"):
        skip_init(models.GoogLeNet, "paper", image_size=100)
    with pytest.raises(ShapeError, match=r"x is \(2, 1, 32, 32\); images are \(N, C, H, W\)"):
        models.GoogLeNet("cifar", width=0.1)(tcnn.zeros(2, 1, 32, 32))


# ---- all of them
PAGE = (Path(__file__).parent.parent / "docs" / "models.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(create\(.*?\))` \| (\S+) \| ([\d,]+) \|", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize(("code", "inputs", "parameters"), ROWS, ids=[code for code, *_ in ROWS])
def test_the_page_of_networks_shows_their_numbers(code, inputs, parameters):
    model = eval(code, {"create": lambda *args, **options: skip_init(models.create, *args, **options)})
    assert "×".join(map(str, model.input_shape)) == inputs
    assert f"{model.num_parameters():,}" == parameters


def test_the_page_of_networks_shows_all_of_them():
    assert all(f'create("{name}"' in PAGE for name in models.list_models())
    variants = [variant for name in models.list_models() for variant in models.variants(name)[1:]]
    assert all(f'variant="{variant}"' in PAGE for variant in variants)
    assert str(models.list_models()) in PAGE
    assert len(ROWS) == 20


def test_the_examples_on_the_page_of_networks_run(capsys):
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S):
        exec(block, names)
    (table,) = re.findall(r"^```text\n(.*?)^```", PAGE, flags=re.M | re.S)
    printed = capsys.readouterr().out
    assert table in printed
    assert "inception3a   Inception" in printed
    assert (names["lenet"].num_parameters(), names["table"].rows[2].connections) == (60_000, 122_304)


@pytest.mark.parametrize("name", models.list_models())
def test_every_model_takes_what_the_command_line_gives(name):
    options = {"num_classes": 3, "in_channels": 3, "image_size": [32, 32]}
    if name in ("alexnet", "googlenet"):
        options["variant"] = "cifar"
    width = {} if name in ("lenet5", "convnetjs") else {"width": 0.1}
    model = models.create(name, **options, **width, generator=rnd.Generator(0)).eval()
    assert model.input_shape == (3, 32, 32)
    x, y = images(2, 3, 32, 32), tcnn.tensor([0, 2])
    scores = model(x)
    assert scores.shape == (2, *output_shape(model, model.input_shape)) == (2, 3)
    model.criterion(scores, y).backward()
    assert model(tcnn.zeros(0, 3, 32, 32)).shape == (0, 3)
    again = models.create(name, **options, **width)
    again.load_state_dict(model.state_dict())
    assert (again.eval()(x).numpy() == scores.numpy()).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.LeNet5("1998"),
        lambda: models.LeNet5("nielsen"),
        lambda: models.AlexNet("cifar", width=0.1),
        lambda: models.VGG(11, True, num_classes=3, image_size=64, width=0.1),
        lambda: models.GoogLeNet("cifar", width=0.1),
        lambda: models.GoogLeNet("torchvision", width=0.1, image_size=64, num_classes=3),
    ],
)
def test_shapes_are_walked_as_forward_goes(make):
    """What `walk_shapes` says is what hooks see, in every layer that is called."""
    model, walked, seen = make(), {}, {}

    def walk(module, shape, path):
        if isinstance(module, nn.Sequential):
            for child, layer in module._modules.items():
                shape = walk(layer, shape, f"{path}.{child}")
            return shape
        if hasattr(module, "walk_shapes"):
            shape = module.walk_shapes(shape, lambda c, s: walk(module.get_submodule(c), s, f"{path}.{c}"))
        else:
            shape = output_shape(module, shape)
        if not any(True for _ in module.children()):
            walked[path.removeprefix(".")] = shape
        return shape

    for path, module in model.named_modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(lambda m, args, out, path=path: seen.update({path: out.shape[1:]}))
    walk(model, model.input_shape, "")
    model(tcnn.zeros(2, *model.input_shape))
    assert len(seen) > 5
    assert seen == walked


def test_the_walk_names_the_layer_that_does_not_fit():
    net = nn.Sequential({"block": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))})
    assert output_shape(net, (3, 4, 4)) == (2,)
    with pytest.raises(
        ShapeError, match=r"layer block.0 \(Conv2d\) gets 1×4×4: it wants 3 channels, .* make it with in_channels=1"
    ):
        output_shape(net, (1, 4, 4))
    with pytest.raises(
        ShapeError, match=r"layer model.block.2 \(Linear\) gets 36: it wants 16 features .* with in_features=36"
    ):
        output_shape(net, (3, 5, 5), "model")
    with pytest.raises(ShapeError, match=r"layer block.0 \(Conv2d\) gets 3×2×9: .* 3 pixels does not fit into 2"):
        output_shape(net, (3, 2, 9))


def test_create_knows_spellings_and_options():
    assert models.list_models()[0] == "lenet5"
    for name in ("lenet5", "LeNet-5", "LENET_5"):
        assert type(models.create(name)) is models.LeNet5
    assert models.create("lenet5", num_classes=7).classifier[-1].weight.shape == (7, 84)
    assert skip_init(models.create, "vgg-16", batch_norm=True).num_parameters() == VGG[16, True]
    assert models.variants("AlexNet") == models.AlexNet.variants == ("torchvision", "paper", "single-tower", "cifar")
    assert models.variants("vgg16") == ()


def test_create_says_what_was_meant():
    with pytest.raises(ValueError, match=r"no model 'lenett5' \(did you mean 'lenet5'\?\); there is lenet5, convnetjs"):
        models.create("lenett5")
    with pytest.raises(ValueError, match=r"no model 'transformer'; there is lenet5"):
        models.create("transformer")
    with pytest.raises(TypeError, match=r"no option 'imagesize' \(did you mean 'image_size'\?\); it has variant, "):
        models.create("lenet5", imagesize=28)
    with pytest.raises(TypeError, match=r"vgg16 has no option 'depth' .*; it has batch_norm"):
        models.create("vgg16", depth=11)


def test_a_criterion_can_be_replaced():
    model = models.LeNet5()
    assert training.loss_of(model) is model.criterion
    model.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    x, y = images(3, 1, 28, 28), tcnn.tensor([0, 1, 2])
    assert training.evaluate(model, [(x, y)]).loss == pytest.approx(model.criterion(model(x), y).item())
    assert training.loss_of(model, nn.functional.mse_loss) is nn.functional.mse_loss


def test_skipped_first_values_cost_neither_draws_nor_memory():
    before = rnd.default_generator().state_dict()
    model = skip_init(models.create, "vgg19")
    assert rnd.default_generator().state_dict() == before
    assert not model.classifier[6].weight.numpy().any()
    layer = skip_init(nn.Linear, 3, 2, generator=rnd.Generator(0))
    layer.reset_parameters()
    assert layer.weight.numpy().all()


@pytest.mark.slow
@pytest.mark.torch
def test_the_full_alexnet_scores_as_pytorchs(torch):
    ours = skip_init(models.AlexNet)
    same_outputs(torch, ours, torch_alexnet(torch), images(2, 3, 224, 224))
