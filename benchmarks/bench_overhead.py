"""What a framework takes for itself: additions of two scalars, whose arithmetic is nothing.

`a + a` without and with a graph; a chain `y = y + a`, building its graph and going back through it, a node. tinygrad
computes nothing until it is asked: there each addition is realized.
"""

from __future__ import annotations

from benchmarks.harness import Plan
from benchmarks.sides.task import Case
from benchmarks.topics import Topic

CHAINS = {False: (1_000, 100_000), True: (1_000,)}


def groups(quick: bool) -> list[list[Case]]:
    """The cases."""
    adds: list[Case] = [
        {"name": "add, without a graph", "kind": "add", "graph": False, "count": 1000},
        {"name": "add, with a graph", "kind": "add", "graph": True, "count": 1000},
    ]
    chains: list[Case] = [{"name": f"chain of {count:,}", "kind": "chain", "count": count} for count in CHAINS[quick]]
    return [adds, *([chain] for chain in chains)]


TOPIC = Topic(
    "overhead",
    "Overhead",
    __doc__,
    groups,
    sides=("ours", "pytorch", "mygrad", "tinygrad", "autograd"),
    labels=lambda case: {"": case["name"]},
    unit="µs",
    scale=1e6,
    plan=Plan(calls=3, seconds=0.2, warm=0.1, patience=60),
    quick=Plan(rounds=1, blocks=2, calls=2, seconds=0.05, longest=0.5, warm=0.02, patience=60),
)
