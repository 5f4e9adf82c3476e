"""Whole trainings on a GPU: the loss goes where the CPU's goes. Without one, a few steps on the stand-in."""

from __future__ import annotations

import contextlib

import cuda_on_cpu
import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import models, nn, optim

WHERE = [
    pytest.param(
        "standin", 2, 6, marks=pytest.mark.skipif(not cuda_on_cpu.COMPILER, reason="there is no g++ or clang++")
    ),
    pytest.param("cuda", 64, 300, marks=pytest.mark.gpu),
]


def losses(model, sizes, device, batch, steps):
    """Of a training on images of which some pixels tell the class; the same numbers on every device."""
    draw = np.random.default_rng(3)
    tcnn.manual_seed(3)
    network = model().to(device)
    optimizer = optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    noted = []
    for _ in range(steps):
        labels = draw.integers(0, 10, batch)
        images = draw.normal(0, 0.5, (batch, *sizes)).astype(np.float32)
        images[np.arange(batch), :, labels, 4:20] += 1
        loss = nn.functional.cross_entropy(
            network(tcnn.tensor(images, device=device)), tcnn.tensor(labels, device=device)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        noted.append(loss.detach())
    return np.array([loss.item() for loss in noted])


@pytest.mark.parametrize(("device", "batch", "steps"), WHERE)
@pytest.mark.parametrize(
    ("model", "sizes"),
    [(models.LeNet5, (1, 28, 28)), (lambda: models.AlexNet("cifar"), (3, 32, 32))],
    ids=["LeNet-5", "AlexNet"],
)
def test_the_loss_goes_where_the_cpus_goes(model, sizes, device, batch, steps):
    expected = losses(model, sizes, "cpu", batch, steps)
    with standin.registered("cuda", "reference") if device == "standin" else contextlib.nullcontext():
        got = losses(model, sizes, device, batch, steps)
    np.testing.assert_allclose(got[:10], expected[:10], rtol=1e-3)
    if steps > 100:  # rounding differs, and is amplified; what is learnt is not
        assert got[-50:].mean() < got[:10].mean() / 4
        assert abs(got[-50:].mean() - expected[-50:].mean()) < 0.1 * expected[:10].mean()
