"""MyGrad, as its documentation writes networks: `mygrad.nnet.layers`, gradients by `loss.backward()`, SGD by hand.

It has `conv_nd`, `max_pool`, `batchnorm`; no groups, no local response normalisation, no dropout.
"""

from __future__ import annotations

from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.layers import conv_nd, max_pool
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.sides.task import CannotRun, Case, Task, batch
from benchmarks.sides.torchlike import LEARNING_RATE, MOMENTUM


def describe() -> dict[str, Any]:
    return {"versions": {"mygrad": mg.__version__, "numpy": np.__version__}}


class Conv2d:
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        if groups != 1:
            raise CannotRun("it has no convolution in groups")
        draw = np.random.default_rng(0)
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = mg.tensor(draw.normal(scale=0.1, size=shape).astype(np.float32))
        self.bias = mg.tensor(np.zeros((1, out_channels, 1, 1), np.float32))
        self.stride, self.padding = stride, padding
        self.parameters = [self.weight, self.bias]

    def __call__(self, x: Any) -> Any:
        return conv_nd(x, self.weight, stride=self.stride, padding=self.padding) + self.bias


class Linear:
    def __init__(self, in_features: int, out_features: int) -> None:
        draw = np.random.default_rng(0)
        weight = draw.normal(scale=in_features**-0.5, size=(in_features, out_features))
        self.parameters = [mg.tensor(weight.astype(np.float32)), mg.tensor(np.zeros(out_features, np.float32))]

    def __call__(self, x: Any) -> Any:
        weight, bias = self.parameters
        return mg.matmul(x, weight) + bias


class MaxPool2d:
    parameters = ()

    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        self.pool, self.stride = (kernel_size, kernel_size), stride or kernel_size

    def __call__(self, x: Any) -> Any:
        return max_pool(x, self.pool, self.stride)


class ReLU:
    parameters = ()

    def __call__(self, x: Any) -> Any:
        return relu(x)


class Flatten:
    parameters = ()

    def __call__(self, x: Any) -> Any:
        return x.reshape(x.shape[0], -1)


LAYERS = {layer.__name__: layer for layer in (Conv2d, Linear, MaxPool2d, ReLU, Flatten)}


def layers(case: Case) -> list[Any]:
    """The layers of a case.

    Raises:
        CannotRun: If MyGrad lacks one.
    """
    missing = sorted({kind for _, kind, _ in case["layers"]} - LAYERS.keys())
    if missing:
        raise CannotRun(f"it has no {', '.join(missing)}")
    return [LAYERS[kind](**options) for _, kind, options in case["layers"]]


def scores(network: list[Any], x: Any) -> Any:
    for layer in network:
        x = layer(x)
    return x


def task(case: Case) -> Task:
    """What to time."""
    kinds = {"training": training, "inference": inference, "add": add, "chain": chain}
    return kinds[case["kind"]](case)


def training(case: Case) -> Task:
    network = layers(case)
    parameters = [parameter for layer in network for parameter in layer.parameters]
    velocities = [np.zeros_like(parameter.data) for parameter in parameters]
    x, y = batch(case)

    def step() -> None:
        loss = softmax_crossentropy(scores(network, x), y)
        loss.backward()
        for parameter, velocity in zip(parameters, velocities):
            velocity *= MOMENTUM
            velocity += parameter.grad
            parameter.data -= LEARNING_RATE * velocity

    return Task({"step": step})


def inference(case: Case) -> Task:
    network, x = layers(case), batch(case)[0]

    def step() -> None:
        with mg.no_autodiff:
            scores(network, x)

    return Task({"step": step})


def add(case: Case) -> Task:
    a = mg.tensor(1.0, constant=not case["graph"])

    def many() -> None:
        for _ in range(case["count"]):
            a + a

    return Task({"add": many}, per=case["count"])


def chain(case: Case) -> Task:
    a = mg.tensor(1.0)
    last: list[Any] = []

    def build() -> None:
        y = a
        for _ in range(case["count"]):
            y = y + a
        last.append(y)

    def clear() -> None:
        last.clear()
        a.null_grad()

    return Task({"build": build, "backward": lambda: last[0].backward()}, clear, case["count"])
