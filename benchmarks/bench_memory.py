"""Memory of a training step: how far the process grows, at most, from the moment its network and optimizer are made.

The gradients, the momenta, what the graph keeps and every working array are in it, and what a framework sets up when it
is first used. Three steps in a fresh process; on Linux the kernel's peak is set back before them, elsewhere the rise
since the process began is a lower bound. The batch of one image shows how much has nothing to do with images.
"""

from __future__ import annotations

from benchmarks import harness
from benchmarks.bench_training import case
from benchmarks.harness import Plan
from benchmarks.sides.task import Case
from benchmarks.topics import Topic

BATCHES = {
    "LeNet-5 modern": (1, 64, 256),
    "LeNet-5 caffe": (1, 64, 256),
    "AlexNet cifar": (1, 64),
    "AlexNet paper": (1, 16),
}
QUICK = {"LeNet-5 modern": (64,), "AlexNet cifar": (64,)}


def groups(quick: bool) -> list[list[Case]]:
    """The cases."""
    return [
        [case(network, "training", batch) for batch in batches]
        for network, batches in (QUICK if quick else BATCHES).items()
    ]


TOPIC = Topic(
    "memory",
    "Memory of a training step",
    __doc__,
    groups,
    sides=("ours", "pytorch"),
    labels=lambda case: {"network": case["network"], "B": str(case["batch"])},
    unit="MiB",
    scale=2**-20,
    plan=Plan(rounds=3, calls=3),
    quick=Plan(rounds=1, calls=2, patience=60),
    measure=harness.measure_memory,
)
