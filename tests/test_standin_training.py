"""A whole training step on the stand-in for CuPy: the CPU's losses, and the host never waits."""

from pathlib import Path

import cuda_on_cpu
import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import backends, models, nn, optim
from tinygrad_cnn import functional as F
from tinygrad_cnn.random import Generator

DEVICE = "standin:1"
needs_compiler = pytest.mark.skipif(not cuda_on_cpu.COMPILER, reason="there is no g++ or clang++")


@pytest.fixture(autouse=True)
def _registered():
    with standin.registered():
        yield


def lenet() -> nn.Sequential:
    """All kinds of layers there are, small; the numbers are drawn from one seed."""
    with tcnn.random.use_generator(Generator(3)):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, (3, 2)),
            nn.LeakyReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(6 * 2 * 2, 8),
            nn.BatchNorm1d(8),
            nn.Tanh(),
            nn.Linear(8, 5),
        )


def batches(device: str) -> list[tuple[tcnn.Tensor, tcnn.Tensor]]:
    draw = np.random.default_rng(0)
    return [
        (
            tcnn.tensor(draw.normal(size=(7, 1, 12, 10)).astype(np.float32), device=device),
            tcnn.tensor(draw.integers(0, 5, 7), device=device),
        )
        for _ in range(3)
    ]


OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Nesterov": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, lr=0.01, weight_decay=0.01),
    "AMSGrad": lambda params: optim.Adam(params, lr=0.01, amsgrad=True),
    "AdamW": lambda params: optim.AdamW(params, lr=0.01),
    "RMSprop": lambda params: optim.RMSprop(params, lr=0.01, momentum=0.5, centered=True),
}


def train(device: str, optimizer: str, clip: bool) -> tuple[list[tcnn.Tensor], nn.Sequential]:
    """Three steps; the losses stay tensors, so that nobody has to wait for them."""
    model = lenet().to(device)
    steps = OPTIMIZERS[optimizer](model.parameters())
    losses = []
    with tcnn.random.use_generator(Generator(9)):
        for images, labels in batches(device):
            steps.zero_grad()
            loss = F.cross_entropy(model(images), labels, label_smoothing=0.1)
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                nn.utils.clip_grad_value_(model.parameters(), 0.1)
            steps.step()
            losses.append(loss.detach())
    return losses, model


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_three_steps_without_waiting(optimizer, clip, monkeypatch):
    monkeypatch.setattr(backends.CPU, "kernel_sets", ("reference",), raising=False)
    expected, twin = train("cpu", optimizer, clip)
    with standin.counting() as waits:
        losses, model = train(DEVICE, optimizer, clip)
        assert waits == []
    assert [loss.item() for loss in losses] == [loss.item() for loss in expected]
    here, there = twin.state_dict(), model.state_dict()
    assert list(here) == list(there)
    for name in here:
        assert np.array_equal(backends.to_numpy(there[name].data), here[name].data), name


def test_the_fast_kernels_learn_the_same():
    expected, _ = train("cpu", "momentum", False)
    losses, _ = train(DEVICE, "momentum", False)
    np.testing.assert_allclose([loss.item() for loss in losses], [loss.item() for loss in expected], rtol=2e-5)


@needs_compiler
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_three_steps_with_kernels_of_our_own(optimizer):
    """The losses; weights may differ: batch norm takes out a bias before it, whose gradient is nothing but rounding."""
    expected, _ = train("cpu", optimizer, clip=False)
    with standin.registered("cuda", "reference"), standin.counting() as waits:
        losses, _ = train(DEVICE, optimizer, clip=False)
        assert waits == []
    np.testing.assert_allclose([loss.item() for loss in losses], [loss.item() for loss in expected], rtol=2e-5)


def launched(*kernel_sets):
    """What a GPU is given in a step of LeNet-5, after the first."""
    with standin.registered(*kernel_sets):
        model = models.LeNet5().to(DEVICE)
        steps = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x, y = tcnn.randn(4, 1, 28, 28).to(DEVICE), tcnn.tensor([1, 2, 3, 4], device=DEVICE)
        for _ in range(2):
            with standin.counting():
                steps.zero_grad()
                F.cross_entropy(model(x), y).backward()
                steps.step()
                counted = list(standin.launches)
    return counted


@needs_compiler
def test_few_kernels_are_launched():
    """Each costs some microseconds, however little it does: of a step of LeNet-5 on a GPU that is nearly all."""
    plain, fused = launched("reference"), launched("cuda", "reference")
    assert len(fused) <= 66, "\n".join(fused)
    page = (Path(__file__).parents[1] / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert f"**{len(plain)} for one training step of LeNet-5**" in page
    assert f"the step is **{len(fused)}**" in page


@pytest.mark.parametrize("kernel_sets", [("reference",), pytest.param(("cuda", "reference"), marks=needs_compiler)])
def test_a_step_copies_only_its_batch_from_the_host(kernel_sets, monkeypatch):
    """Beside the two arrays of a batch nothing may cross the bus in every step."""
    monkeypatch.setattr(standin.StandinBackend, "kernel_sets", kernel_sets)
    model = lenet().to(DEVICE)
    steps = optim.SGD(model.parameters(), lr=0.1)
    data = batches(DEVICE)
    with standin.counting():
        for images, labels in data:
            steps.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            steps.step()
        assert standin.uploads == []


def test_moving_a_model_takes_everything_along():
    model = lenet()
    images, labels = batches("cpu")[0]
    F.cross_entropy(model(images), labels).backward()
    before = {name: (p.numpy().copy(), p.grad.copy()) for name, p in model.named_parameters()}
    buffers = {name: b.numpy().copy() for name, b in model.named_buffers()}
    parameters = list(model.parameters())
    assert model.to(DEVICE) is model
    assert all(a is b for a, b in zip(parameters, model.parameters()))  # an optimizer holds on to them
    for name, p in model.named_parameters():
        assert p.device == DEVICE
        assert p.requires_grad
        assert p.is_leaf
        assert isinstance(p.grad, standin.Array)
        assert p.grad.device.id == 1
        assert np.array_equal(p.numpy(), before[name][0])
        assert np.array_equal(backends.to_numpy(p.grad), before[name][1])
    for name, b in model.named_buffers():
        assert b.device == DEVICE
        assert np.array_equal(b.numpy(), buffers[name])
    model.to("cpu")
    assert all(isinstance(p.data, np.ndarray) and isinstance(p.grad, np.ndarray) for p in model.parameters())


def test_a_model_elsewhere_says_so():
    model = lenet().to(DEVICE)
    with pytest.raises(tcnn.DeviceError, match=r"conv2d: x is on cpu, weight on standin:1.*model\.to\(device\)"):
        model(batches("cpu")[0][0])


def test_an_optimizer_follows_its_model():
    model = lenet()
    steps = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for device in ("cpu", DEVICE, "cpu"):
        model.to(device)
        images, labels = batches(device)[0]
        steps.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        steps.step()
        assert {p.device for p in model.parameters()} == {backends.get(device).name}


def test_a_state_moves_between_devices():
    there, here = lenet().to(DEVICE), lenet()
    for p in there.parameters():
        with tcnn.no_grad():
            p.mul_(2)
    here.load_state_dict(there.state_dict())
    assert {p.device for p in here.parameters()} == {"cpu"}
    for p, q in zip(here.parameters(), there.parameters()):
        assert np.array_equal(p.numpy(), q.numpy())
