"""The figures to reach, and whether they were: computed from what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import figures, tables
from benchmarks.figures import Result, fastest_ours, ours_with_avx2, rows, times_faster, times_larger

Found = tuple[float, str]  # the worst figure, and where
LENETS = ("LeNet-5 modern", "LeNet-5 caffe")
SMALL = ("mygrad", "tinygrad-jit", "tinygrad")
BATCHES = (64, 128, 256)


@dataclass(frozen=True)
class Goal:
    """A figure to reach.

    Attributes:
        text: What.
        wanted: The limit.
        worst: result of its topic → the worst figure and where, or None if it was not measured.
        topic: Where it is measured.
        most: Whether the limit is the largest that will do; else it is the smallest.
        aim: What would be better still.
        unit: Behind the numbers.
    """

    text: str
    topic: str
    wanted: float
    worst: Callable[[Result], Found | None]
    most: bool = False
    aim: float | None = None
    unit: str = "×"

    def reached(self, value: float) -> bool:
        """Whether a figure will do."""
        return value <= self.wanted if self.most else value >= self.wanted

    def wish(self) -> str:
        """The limit in words."""
        aim = f" (the aim: {self.aim:g}{self.unit})" if self.aim else ""
        return f"{'≤' if self.most else '≥'} {self.wanted:g}{self.unit}{aim}"


def steps(
    *others: str,
    ours: Callable[[Result], str | None] = fastest_ours,
    kind: str | tuple[str, ...] = "training",
    **more: Any,
) -> Callable[[Result], Found | None]:
    """The smallest ratio among the cases of `training` with certain values."""

    def worst(result: Result) -> Found | None:
        side = ours(result)
        if side is None:
            return None
        found = []
        for case in rows(result, kind=kind, **more):
            if "failed" in case["results"].get(side, {}):
                found.append((0.0, f"{case['name']}: ours failed"))
            for other in others:
                ratio = times_faster(case, side, other, "step")
                if ratio is not None:
                    found.append((ratio, case["name"] + (f" against {other}" if len(others) > 1 else "")))
        return min(found, default=None)

    return worst


def layer(result: Result) -> Found | None:
    """The slowest convolution or pooling layer, forward and backward together."""
    ratios = [
        (ratio, case["name"])
        for case in rows(result, of_network=True)
        if case["op"].startswith(("Conv", "MaxPool", "AvgPool"))
        and (ratio := times_faster(case, fastest_ours(result), "pytorch", "all")) is not None
    ]
    return min(ratios, default=None)


def largest_memory(result: Result) -> Found | None:
    """The step that takes most, against PyTorch."""
    ratios = [
        (ratio, case["name"])
        for case in result["cases"]
        if (ratio := times_larger(case, "ours", "pytorch", "peak")) is not None
    ]
    return max(ratios, default=None)


def overhead(name: str, part: str) -> Callable[[Result], Found | None]:
    """Microseconds of an operation, ours."""

    def worst(result: Result) -> Found | None:
        found = [
            (1e6 * figure["median"], case["name"])
            for case in rows(result, name=name)
            if (figure := figures.figures(case, "ours", part))
        ]
        return max(found, default=None)

    return worst


GOALS = (
    *(
        Goal(
            f"LeNet-5 modern, training step, B = {batch}",
            "training",
            1.1,
            steps("pytorch", network="LeNet-5 modern", batch=batch),
            aim=1.3,
        )
        for batch in BATCHES
    ),
    Goal(
        "LeNet-5 caffe, training step, B = 64, 128, 256",
        "training",
        1.1,
        steps("pytorch", network="LeNet-5 caffe", batch=BATCHES),
    ),
    Goal(
        "AlexNet cifar, training step, B = 64",
        "training",
        1.2,
        steps("pytorch", network="AlexNet cifar", batch=64),
        aim=1.5,
    ),
    Goal(
        "AlexNet paper, training step, B = 16",
        "training",
        1.5,
        steps("pytorch", network="AlexNet paper", batch=16),
        aim=2.0,
    ),
    Goal("every convolution and pooling layer of them", "layers", 0.85, layer),
    Goal(
        "LeNet-5, training step, with OpenBLAS's AVX2 kernels",
        "training",
        0.9,
        steps("pytorch", ours=ours_with_avx2, network=LENETS, batch=BATCHES),
    ),
    Goal("inference, every network", "training", 0.9, steps("pytorch", kind="inference")),
    Goal("MyGrad and tinygrad, every figure", "training", 4, steps(*SMALL, kind=("training", "inference"))),
    Goal("memory of a training step, ours ÷ PyTorch's", "memory", 1.3, largest_memory, most=True),
    Goal("scalar addition with a graph", "overhead", 5, overhead("add, with a graph", "add"), most=True, unit=" µs"),
    Goal("backward, a node", "overhead", 5, overhead("chain of 1,000", "backward"), most=True, unit=" µs"),
)


def judged(results: Mapping[str, Result]) -> list[tuple[Goal, Found | None]]:
    """Each goal with its worst figure; None if it was not measured."""
    return [(goal, goal.worst(results[goal.topic]) if goal.topic in results else None) for goal in GOALS]


def table(results: Mapping[str, Result]) -> str:
    """The goals in Markdown."""
    lines = []
    for goal, found in judged(results):
        if found is None:
            lines.append([goal.text, goal.wish(), "not measured", "", ""])
        else:
            value, where = found
            verdict = "yes" if goal.reached(value) else "**no**"
            lines.append([goal.text, goal.wish(), tables.number(value) + goal.unit, verdict, where])
    heads = ["PyTorch ÷ ours, if nothing else is said", "wanted", "worst figure", "reached", "where"]
    return tables.table(heads, lines, left=5) + doubts(results)


def doubts(results: Mapping[str, Result]) -> str:
    """Topics whose figures are rough, and why."""
    said = []
    for name, result in results.items():
        reasons = ["a quick look"] if result["quick"] else []
        if (result["others"] or 0) > figures.DISTURBED:
            reasons.append(f"other programs took {result['others']:.1f} cores' worth of time")
        if reasons:
            said.append(f"- {name}: {'; '.join(reasons)}")
    return "\nRough figures:\n\n" + "\n".join(said) + "\n" if said else ""
