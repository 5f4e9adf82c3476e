"""autograd (HIPS), as its examples write networks: NumPy functions, its `scipy.signal.convolve`, maxima by reshape.

It has no layers; its convolution goes through strided views and einsum. Stride, groups and overlapping pooling are not
in its examples.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

import autograd.numpy as np
import numpy as plain
from autograd import grad, make_vjp
from autograd.scipy.signal import convolve
from autograd.scipy.special import logsumexp

from benchmarks.sides.task import CannotRun, Case, Task, batch
from benchmarks.sides.torchlike import LEARNING_RATE, MOMENTUM

Weights = list[Any]


def describe() -> dict[str, Any]:
    return {"versions": {"autograd": importlib.metadata.version("autograd"), "numpy": plain.__version__}}


def weights(case: Case) -> Weights:
    """Weight and bias of each layer that has some.

    Raises:
        CannotRun: If a layer is none that the examples have.
    """
    found = []
    draw = plain.random.default_rng(0)
    for _, kind, options in case["layers"]:
        if kind == "Conv2d" and not {"stride", "groups"} & options.keys():
            C, K, R = options["in_channels"], options["out_channels"], options["kernel_size"]
            found.append((draw.normal(scale=0.1, size=(C, K, R, R)), plain.zeros((1, K, 1, 1))))
        elif kind == "Linear":
            F, D = options["in_features"], options["out_features"]
            found.append((draw.normal(scale=F**-0.5, size=(F, D)), plain.zeros(D)))
        elif kind not in ("ReLU", "Flatten", "MaxPool2d") or options.get("stride", 2) != options.get("kernel_size", 2):
            raise CannotRun(f"its examples have no {kind}({', '.join(f'{k}={v}' for k, v in options.items())})")
    return [tuple(array.astype(plain.float32) for array in pair) for pair in found]


def scores(values: Weights, x: Any, case: Case) -> Any:
    rest = iter(values)
    for _, kind, options in case["layers"]:
        if kind == "Conv2d":
            weight, bias = next(rest)
            edge = (options.get("padding", 0),) * 2
            x = np.pad(x, ((0, 0), (0, 0), edge, edge), "constant") if edge[0] else x
            x = convolve(x, weight, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid") + bias
        elif kind == "MaxPool2d":
            N, C, H, W = x.shape
            R = options["kernel_size"]
            x = x[:, :, : H // R * R, : W // R * R].reshape(N, C, H // R, R, W // R, R)
            x = np.max(np.max(x, axis=3), axis=4)
        elif kind == "ReLU":
            x = np.maximum(x, 0)
        elif kind == "Flatten":
            x = x.reshape(x.shape[0], -1)
        else:
            weight, bias = next(rest)
            x = np.dot(x, weight) + bias
    return x


def task(case: Case) -> Task:
    """What to time."""
    kinds = {"training": training, "inference": inference, "add": add, "chain": chain}
    return kinds[case["kind"]](case)


def training(case: Case) -> Task:
    values = weights(case)
    velocities = [tuple(map(plain.zeros_like, pair)) for pair in values]
    x, y = batch(case)

    def loss(values: Weights) -> Any:
        z = scores(values, x, case)
        return np.mean(logsumexp(z, axis=1) - z[plain.arange(len(y)), y])

    gradient = grad(loss)

    def step() -> None:
        for arrays, moving, slopes in zip(values, velocities, gradient(values)):
            for array, velocity, slope in zip(arrays, moving, slopes):
                velocity *= MOMENTUM
                velocity += slope
                array -= LEARNING_RATE * velocity

    return Task({"step": step})


def inference(case: Case) -> Task:
    values, x = weights(case), batch(case)[0]
    return Task({"step": lambda: scores(values, x, case)})


def add(case: Case) -> Task:
    def many(a: Any) -> Any:
        for _ in range(case["count"]):
            b = np.add(a, a)
        return b

    return Task({"add": (lambda: make_vjp(many)(1.0)) if case["graph"] else lambda: many(1.0)}, per=case["count"])


def chain(case: Case) -> Task:
    def many(a: Any) -> Any:
        y = a
        for _ in range(case["count"]):
            y = y + a
        return y

    last: list[Any] = []
    return Task(
        {"build": lambda: last.append(make_vjp(many)(1.0)), "backward": lambda: last[0][0](1.0)},
        last.clear,
        case["count"],
    )
