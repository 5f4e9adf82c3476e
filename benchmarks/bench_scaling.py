"""What a training step costs against the size of the batch, the depth, the size of the images and the threads.

Depth: so many convolutions 3×3 of 16 channels on images of 16×16, with ReLU, at B = 32. Image size: two convolutions
3×3, of 16 and 32 filters, with a maximum pooling between them, and the average of each map, at B = 16.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.bench_training import case
from benchmarks.harness import Plan
from benchmarks.sides.task import Case
from benchmarks.topics import Topic

BATCHES = {False: (1, 2, 4, 8, 16, 32, 64, 128, 256, 512), True: (1, 16, 256)}
DEPTHS = {False: (1, 2, 4, 8, 16, 32), True: (2, 8)}
SIZES = {False: (16, 32, 64, 128), True: (16, 64)}


def conv(name: str, C: int, K: int) -> list[Any]:
    """A convolution 3×3 that keeps the size, and its ReLU."""
    options = {"in_channels": C, "out_channels": K, "kernel_size": 3, "padding": 1}
    return [[name, "Conv2d", options], [f"{name}.relu", "ReLU", {}]]


def deep(depth: int) -> Case:
    """A stack of convolutions."""
    layers = [layer for i in range(depth) for layer in conv(f"conv{i}", 16, 16)]
    end = [["flatten", "Flatten", {}], ["fc", "Linear", {"in_features": 16 * 16 * 16, "out_features": 10}]]
    return plain(f"depth {depth}", 32, (16, 16, 16), [*layers, *end])


def wide(size: int) -> Case:
    """Two convolutions on images of a size."""
    layers = [
        *conv("conv1", 3, 16),
        ["pool", "MaxPool2d", {"kernel_size": 2}],
        *conv("conv2", 16, 32),
        ["average", "AdaptiveAvgPool2d", {"output_size": 1}],
        ["flatten", "Flatten", {}],
        ["fc", "Linear", {"in_features": 32, "out_features": 10}],
    ]
    return plain(f"images {size}×{size}", 16, (3, size, size), layers)


def plain(name: str, batch: int, shape: tuple[int, int, int], layers: list[Any]) -> Case:
    """A step of a network that is no model of the package."""
    return {
        "name": name,
        "kind": "training",
        "network": name,
        "batch": batch,
        "input": list(shape),
        "classes": 10,
        "layers": layers,
    }


def threaded(network: str, batch: int, threads: int) -> Case:
    """A step with so many threads."""
    one = case(network, "training", batch)
    return one | {"name": f"{one['name']}, threads: {threads}", "threads": threads}


def thread_counts() -> list[int]:
    """1, 2, 4, … up to the cores there are."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [2**i for i in range(cores.bit_length())]


def groups(quick: bool) -> list[list[Case]]:
    """The cases; the number of threads is set once in a process."""
    networks = (("LeNet-5 modern", 64), ("LeNet-5 modern", 256), ("AlexNet cifar", 64))[: 1 if quick else 3]
    return [
        [case("LeNet-5 modern", "training", batch) for batch in BATCHES[quick]],
        [*map(deep, DEPTHS[quick]), *map(wide, SIZES[quick])],
        *([threaded(*network, threads) for network in networks] for threads in thread_counts()),
    ]


TOPIC = Topic(
    "scaling",
    "Cost against size",
    __doc__,
    groups,
    sides=("ours", "pytorch"),
    labels=lambda case: {"training step": case["name"], "B": str(case["batch"])},
    plan=Plan(seconds=0.2, warm=0.2),
    quick=Plan(rounds=1, blocks=2, calls=2, longest=0.5, seconds=0.05, warm=0.05, patience=60),
)
