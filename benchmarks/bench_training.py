"""Steps of training, and inference: the plain loop that every tutorial shows, on one batch.

    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()

SGD with momentum 0.9, float32. Inference: scores of a batch, in evaluation mode, under `no_grad`.
"""

from __future__ import annotations

from benchmarks import networks
from benchmarks.sides import SIDES
from benchmarks.sides.task import Case
from benchmarks.topics import Topic

BATCHES = {"LeNet-5 modern": (32, 64, 128, 256), "LeNet-5 caffe": (32, 64, 128, 256), "AlexNet cifar": (64,),
           "AlexNet paper": (16,)}  # fmt: skip
QUICK = {"LeNet-5 modern": (64,), "LeNet-5 caffe": (64,), "AlexNet cifar": (64,)}


def case(network: str, kind: str, batch: int) -> Case:
    """A step, or scores, of a network."""
    return {"name": f"{network}, {kind}, B={batch}", "kind": kind, "batch": batch, **networks.network(network)}


def groups(quick: bool) -> list[list[Case]]:
    """The cases; those of one network share a process."""
    found = [
        [case(network, kind, batch) for kind in ("training", "inference") for batch in batches]
        for network, batches in (QUICK if quick else BATCHES).items()
    ]
    for one in (case for group in found for case in group):
        one["left_out"] = left_out(one, quick)
    return found


def left_out(case: Case, quick: bool) -> dict[str, str]:
    """Who is not asked, and why."""
    lenet, modern = "LeNet-5" in case["network"], case["network"] == "LeNet-5 modern"
    slow = {"tinygrad": "slower than with TinyJit"}
    if not quick:
        if not lenet:
            return slow
        return {} if case["batch"] == 64 else dict.fromkeys(("tinygrad", "autograd"), "for 64 images only")
    if modern and case["kind"] == "training":
        return dict.fromkeys(("tinygrad", "tinygrad-jit"), "for the full run")  # TinyJit compiles for half a minute
    names = [name for name, side in SIDES.items() if side.peer or (name == "ours-avx2" and not lenet)]
    return dict.fromkeys(names, "for the full run")


def labels(case: Case) -> dict[str, str]:
    """The first columns of the table."""
    return {"network": case["network"], "": case["kind"], "B": str(case["batch"])}


TOPIC = Topic(
    "training",
    "Training steps and inference",
    __doc__,
    groups,
    sides=("ours", "ours-avx512", "ours-avx2", "pytorch", "mygrad", "tinygrad-jit", "tinygrad", "autograd"),
    labels=labels,
)
