"""What a training step does, counted: a gate against slowness that does not depend on the machine or its mood.

Each bound lies a little above what was counted when it was written. If one fails, something does more than it did: a
product was cut into more pieces, a layer lost its fast way, an array is copied that was not. Find what, or, if the
change is worth it, count again and change the bound together with the code.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import models, nn, optim
from tinygrad_cnn.kernels import threads
from tinygrad_cnn.kernels.cpu.scratch import scratch


@dataclass
class Counted:
    products: int = 0
    multiplications: int = 0


def trained(variant: str, N: int, **options):
    """A training step of a network, and the size of its images."""
    tcnn.manual_seed(0)
    family = models.LeNet5 if variant in models.LeNet5.variants else models.AlexNet
    model = family(variant, **options)
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = tcnn.randn(N, *model.input_shape)
    labels = tcnn.tensor(np.arange(N) % 10)
    criterion = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()

    for _ in range(3):  # work space and buffers are made in the first steps
        step()
    return step


@contextlib.contextmanager
def threads_in_use(n: int) -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(n)
    try:
        yield
    finally:
        threads.set_num_threads(before)


@pytest.fixture
def products(monkeypatch):
    """Counts the matrix products: calls of BLAS, and numbers multiplied."""
    counted, lock, real = Counted(), threading.Lock(), np.matmul

    def matmul(a, b, out=None):
        result = real(a, b, out=out)
        with lock:
            counted.products += max(1, int(np.prod(result.shape[:-2])))
            counted.multiplications += result.size * a.shape[-1]
        return result

    monkeypatch.setattr(np, "matmul", matmul)
    with threads_in_use(2):
        yield counted


# network, batch, options → products, multiplications a sample in millions
STEPS = [
    (("modern", 64, {}), 130, 1.5),
    (("caffe", 64, {}), 1000, 10.5),
    (("cifar", 32, {"width": 0.5}), 2400, 56.0),
]


@pytest.mark.parametrize(("network", "calls", "millions"), STEPS, ids=lambda v: str(v))
def test_matrix_products_of_a_training_step(network, calls, millions, products):
    variant, N, options = network
    step = trained(variant, N, **options)
    products.products = products.multiplications = 0
    step()
    assert 0 < products.products <= calls
    assert 0 < products.multiplications / N / 1e6 <= millions


# network, batch, options → megabytes that a step has allocated at its peak, beyond what stays; of LeNet-5 most are the
# columns of both convolutions, which backward takes over from forward
MEMORY = [(("modern", 64, {}), 4.5), (("cifar", 32, {"width": 0.5}), 18.0)]


@pytest.mark.parametrize(("network", "megabytes"), MEMORY, ids=lambda v: str(v))
def test_bytes_of_a_training_step(network, megabytes):
    variant, N, options = network
    step = trained(variant, N, **options)
    tracemalloc.start()
    try:
        step()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (peak - held) / 1e6 <= megabytes


# network, batch → megabytes of work space that a thread keeps from step to step
WORK_SPACE = [("modern", 64, 5.2), ("caffe", 256, 105)]


@pytest.mark.parametrize(("variant", "N", "megabytes"), WORK_SPACE)
def test_work_space_of_a_training_step(variant, N, megabytes):
    """Of a thread that is new: what others computed before is not in it."""
    kept = []

    def work() -> None:
        with threads_in_use(1):
            trained(variant, N)
        kept.append(sum(map(len, scratch.pieces.values())) / 1e6)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert 0 < kept[0] <= megabytes


def test_nothing_stays_behind_after_a_step():
    """Without Python's search for circles, too: a graph is gone with its last tensor.

    What stays behind does so after every step. A worker that did not get a part before, on a busy machine, makes its
    work space later, once.
    """
    step = trained("modern", 64)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        held = []
        for _ in range(6):
            for _ in range(3):
                step()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.enable()
    assert min(after - before for before, after in itertools.pairwise(held)) < 20_000
