"""tinygrad on the CPU, as its documentation writes networks and training steps; with its JIT and without.

Its CPU backend needs clang. It has no layer for local response normalisation, which users write with `avg_pool2d`.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Callable
from typing import Any

if "CC" not in os.environ and not shutil.which("clang"):
    found = next((name for number in range(30, 10, -1) if (name := shutil.which(f"clang-{number}"))), None)
    if found:  # tinygrad asks for this variable
        os.environ["CC"] = found

from tinygrad import Device, Tensor, TinyJit, nn
from tinygrad.helpers import Context

from benchmarks.sides.task import CannotRun, Case, Task, batch
from benchmarks.sides.torchlike import LEARNING_RATE, MOMENTUM

JIT_LOOKS = 3  # it looks on twice before it plays back
Layer = Callable[[Tensor], Tensor]


def describe() -> dict[str, Any]:
    (Tensor([1.0]) + 1).realize()  # raises if it finds no compiler
    return {"versions": {"tinygrad": importlib.metadata.version("tinygrad")}, "note": f"device {Device.DEFAULT}"}


def local_response_norm(size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Layer:
    def normalise(x: Tensor) -> Tensor:
        squares = x.square().permute(0, 2, 3, 1).pad((None, None, None, (size // 2, (size - 1) // 2)))
        sums = squares.unsqueeze(1).flatten(2, 3).avg_pool2d((1, size), stride=1).reshape(*x.permute(0, 2, 3, 1).shape)
        return x / (k + alpha * sums.permute(0, 3, 1, 2)).pow(beta)

    return normalise


LAYERS: dict[str, Callable[..., Layer]] = {
    "Conv2d": nn.Conv2d,
    "Linear": nn.Linear,
    "ReLU": lambda: Tensor.relu,
    "Flatten": lambda: lambda x: x.flatten(1),
    "Dropout": lambda p=0.5: lambda x: x.dropout(p),
    "MaxPool2d": lambda kernel_size, stride=None: lambda x: x.max_pool2d(kernel_size, stride),
    "LocalResponseNorm": local_response_norm,
}


def layers(case: Case) -> list[Layer]:
    """The layers of a case."""
    missing = sorted({kind for _, kind, _ in case["layers"]} - LAYERS.keys())
    if missing:
        raise CannotRun(f"no {', '.join(missing)}")
    return [LAYERS[kind](**options) for _, kind, options in case["layers"]]


def jitted(step: Callable[..., Any]) -> Callable[..., Any]:
    """With TinyJit, on the side that has it."""
    return TinyJit(step) if os.environ.get("BENCHMARK_JIT") else step


def task(case: Case) -> Task:
    """What to time."""
    kinds = {"training": training, "inference": inference, "add": add, "chain": chain}
    return kinds[case["kind"]](case)


def training(case: Case) -> Task:
    network = layers(case)
    optimizer = nn.optim.SGD(nn.state.get_parameters(network), lr=LEARNING_RATE, momentum=MOMENTUM)
    x, y = (Tensor(array).realize() for array in batch(case))

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = x.sequential(network).sparse_categorical_crossentropy(y)
        loss.backward()
        return loss.realize(*optimizer.schedule_step())

    run = jitted(step)

    def timed() -> None:
        with Context(TRAINING=1):
            run(x, y).item()  # waits for the kernels

    return Task({"step": timed}, warm=JIT_LOOKS)


def inference(case: Case) -> Task:
    network, x = layers(case), Tensor(batch(case)[0]).realize()
    run = jitted(lambda x: x.sequential(network).realize())
    return Task({"step": lambda: run(x).numpy()}, warm=JIT_LOOKS)


def add(case: Case) -> Task:
    a = Tensor(1.0).realize()
    count = min(case["count"], 20)

    def many() -> None:
        for _ in range(count):
            (a + a).realize()

    return Task({"add": many}, per=count)


def chain(case: Case) -> Task:
    raise CannotRun("it would compile one kernel for the whole chain")
