"""What a topic is, how it is measured, and what is kept of it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import harness, machine
from benchmarks.harness import FULL, QUICK, Plan, Process, Start, say
from benchmarks.sides import OURS, SIDES, Side, of_no_use
from benchmarks.sides.task import Case

RESULTS = Path(__file__).parent / "results"
Result = dict[str, Any]  # what a topic's JSON file holds
Cases = Sequence[Sequence[Case]]


@dataclass(frozen=True)
class Topic:
    """One subject of measurement.

    Attributes:
        name: On the command line, and its file in `results/`.
        title: Of its section.
        text: What is measured, for the section.
        groups: quick → the cases; those of a group share a process.
        sides: Who is measured.
        labels: case → the first columns of its table.
        unit, scale: Of the table; the JSON files hold seconds and bytes.
        plan, quick: How long and how often.
        measure: `harness.measure`, or `harness.measure_memory`.
        table: result → its table, if it has a form of its own.
    """

    name: str
    title: str
    text: str
    groups: Callable[[bool], Cases]
    sides: tuple[str, ...]
    labels: Callable[[Case], dict[str, str]]
    unit: str = "ms"
    scale: float = 1e3
    plan: Plan = FULL
    quick: Plan = QUICK
    measure: Callable[[Cases, Sequence[Side], Plan, Start], list[dict[str, Any]]] = harness.measure
    table: Callable[[Result], str] | None = None


def run(
    topic: Topic,
    quick: bool = False,
    only: str | None = None,
    sides: Sequence[str] | None = None,
    start: Callable[[Side, float], harness.Station] = Process,
    known: dict[str, dict[str, Any]] | None = None,
) -> Result:
    """Measure a topic.

    Args:
        topic: The topic.
        quick: Fewer cases, fewer and shorter turns.
        only: Only cases whose names contain this.
        sides: Only these sides.
        start: (side, seconds of patience) → its station.
        known: What sides said of themselves to an earlier topic; grows.

    Raises:
        ValueError: If no case is left.
    """
    groups = [[case for case in group if (only or "").lower() in case["name"].lower()] for group in topic.groups(quick)]
    groups = [group for group in groups if group]
    if not groups:
        names = ", ".join(case["name"] for group in topic.groups(quick) for case in group)
        raise ValueError(f"{topic.name}: no case has {only!r} in its name; there are {names}")
    plan = topic.quick if quick else topic.plan
    say(topic.title)

    def started(side: Side) -> harness.Station:
        return start(side, plan.patience)

    others = machine.Others()
    wanted = [name for name in topic.sides if sides is None or name in sides]
    introduced = introduce(wanted, machine.cpu()[1], started, {} if known is None else known)
    there = [SIDES[name] for name in wanted if "missing" not in introduced[name]]
    cases = topic.measure(groups, there, plan, started)
    return {
        "topic": topic.name,
        "date": now(),
        "quick": quick,
        "plan": asdict(plan),
        "machine": machine.describe(),
        "others": others.cores(),
        "dtype": "float32",
        "unit": {"ms": "s", "µs": "s", "MiB": "bytes"}[topic.unit],
        "sides": introduced,
        "cases": cases,
    }


def now() -> str:
    """The date, for the JSON file."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def introduce(
    names: Sequence[str], flags: set[str], start: Start, known: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Title, versions and threads of each side; `missing`, with the reason, for one that cannot take part.

    Args:
        names: The sides.
        flags: What the processor can do.
        start: Makes a side's station.
        known: What sides have said before; grows.
    """

    def said(side: Side) -> dict[str, Any]:
        if side.name not in known:
            station = start(side)
            answer = station.ask({"do": "describe"})
            station.close()
            known[side.name] = {"missing": answer["failed"]} if "failed" in answer else answer
        return known[side.name]

    core = said(OURS).get("core", "")  # that of a process nothing was set for
    found = {}
    for side in map(SIDES.__getitem__, names):
        reason = of_no_use(side, core, flags)
        heading = {"title": side.title, "environment": dict(side.environment)}
        found[side.name] = heading | ({"missing": reason} if reason else said(side))
    return found


def path(name: str, folder: Path = RESULTS) -> Path:
    """Where a topic's figures are kept."""
    return folder / f"{name}.json"


def save(result: Result, file: Path) -> None:
    """Write figures as JSON: a line for each fact, side and case."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(as_lines(result) + "\n", encoding="utf-8")


def as_lines(value: Any, depth: int = 2) -> str:
    """JSON whose outer dicts and lists have a line for each entry.

    >>> print(as_lines({"a": {"b": [1, 2]}}))
    {
    "a": {
    "b": [1, 2]
    }
    }
    """
    if depth and isinstance(value, dict):
        inside = (f"{json.dumps(key)}: {as_lines(item, depth - 1)}" for key, item in value.items())
        return "{\n" + ",\n".join(inside) + "\n}"
    if depth and isinstance(value, list):
        return "[\n" + ",\n".join(as_lines(item, depth - 1) for item in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)


def load(file: Path) -> Result | None:
    """The figures of a file, if it is there."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
