"""The stopwatch: each side in processes of its own, in turns, so that a machine that wanders wanders for all of them.

A round starts a fresh process for each side. Within a round the sides take turns, block by block, A, B, A, B: only one
works while the others wait. The median of all calls in one process is that process's figure. Since PyTorch is as fast
as one of two numbers, by chance of the process, what it is held to is its best process; ours are held to the median of
their processes: `ratio = best process of the other ÷ median process of ours`.

    round 1   A starts, B starts   A A A | B B B | A A A | B B B   both end
    round 2   A starts, B starts   A A A | B B B | A A A | B B B   both end

A virtual machine stands still while its host serves others, which hurts a side with two threads most: one waits for
the other. Linux tells how long that was. A turn in which it was much is repeated, whoever's turn it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks import machine
from benchmarks.sides import Side
from benchmarks.sides.task import Case

ROOT = Path(__file__).parents[1]
#: Not handed on to a side's process: it is measured as it comes.
SETTINGS = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TINYGRAD_CNN_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
)
BEGAN = time.perf_counter()
STOLEN = 0.05  # cores' worth of time that the host kept, from which on a turn is disturbed
PAUSE = 0.02  # seconds before a block: threads of the other side spin for some ms before they sleep
Answer = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How long and how often.

    Attributes:
        rounds: Processes of each side.
        peer_rounds: Processes of each peer.
        blocks: Turns of each process.
        calls: Least calls in a block.
        seconds: Least time of a block.
        longest: After so many seconds a block ends with the call it is at, however few there were.
        tries: Turns of which the least disturbed one counts, if the first is disturbed.
        slow: A side whose call takes longer than so many seconds has only one turn in each process.
        warm: Seconds of work before the first one.
        patience: Seconds after which a side that does not answer is given up.
    """

    rounds: int = 5
    peer_rounds: int = 2
    blocks: int = 3
    calls: int = 5
    seconds: float = 0.4
    longest: float = 5
    tries: int = 4
    slow: float = 1
    warm: float = 0.4
    patience: float = 200


FULL = Plan()
QUICK = Plan(rounds=1, peer_rounds=1, blocks=2, calls=2, seconds=0.15, longest=1, tries=1, warm=0.1, patience=60)


class Station(Protocol):
    """Where a side works: a process, or something that a test puts in its place."""

    def ask(self, message: dict[str, Any]) -> Answer:
        """The answer to an order; see `worker`."""

    def close(self) -> None:
        """No more orders."""


class Process:
    """A side's process.

    Args:
        side: The side.
        patience: Seconds to wait for an answer.
    """

    def __init__(self, side: Side, patience: float = 300) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        self.patience = patience
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115, closed in close
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", side.module],
            cwd=ROOT,
            env=environment | dict(side.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.problem: Answer | None = None
        self.problem = self._answer() or None

    def ask(self, message: dict[str, Any]) -> Answer:
        if self.problem is None:
            assert self.process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it has died: the answer says so
                print(json.dumps(message), file=self.process.stdin, flush=True)
            return self._answer()
        return self.problem

    def _answer(self) -> Answer:
        assert self.process.stdout is not None
        late = threading.Timer(self.patience, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        in_time = late.is_alive()
        late.cancel()
        if line:
            return json.loads(line)
        self.process.wait()
        self.problem = {"failed": self._last_words() if in_time else f"no answer within {self.patience:g} s"}
        return self.problem

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"its process ended ({self.process.returncode}): {said}"[:200]

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


Start = Callable[[Side], Station]


def say(text: str) -> None:
    """Progress, with the seconds since the program began."""
    print(f"{time.perf_counter() - BEGAN:5.0f} s  {text}", file=sys.stderr, flush=True)


class Notes:
    """What was measured so far: of each case and side the figures of its processes, or why there are none."""

    def __init__(self, cases: Sequence[Case], sides: Sequence[Side]) -> None:
        self.cases, self.sides = cases, sides
        self.processes: dict[tuple[str, str], list[dict[str, list[float]]]] = {
            (case["name"], side.name): [] for case in cases for side in sides
        }
        self.problems: dict[tuple[str, str], Answer] = {}
        self.stolen: dict[tuple[str, str], list[float]] = {key: [] for key in self.processes}

    def add(self, case: Case, side: str, answers: Iterable[Answer]) -> None:
        """Note the blocks of one process, unless one of them went wrong."""
        times: dict[str, list[float]] = {}
        for answer in answers:
            if "times" not in answer:
                self.problems[case["name"], side] = answer
                return
            for part, values in answer["times"].items():
                times.setdefault(part, []).extend(values)
            if "stolen" in answer:
                self.stolen[case["name"], side].append(round(answer["stolen"], 3))
        self.processes[case["name"], side].append(times)

    def results(self) -> list[dict[str, Any]]:
        """The cases, each with what its sides reached."""
        return [case | {"results": {side.name: self._result(case, side) for side in self.sides}} for case in self.cases]

    def _result(self, case: Case, side: Side) -> dict[str, Any]:
        key = case["name"], side.name
        if key in self.problems:
            return self.problems[key]
        if not self.processes[key]:
            return {"left_out": case["left_out"][side.name]}
        return {"parts": summary(self.processes[key])} | ({"stolen": self.stolen[key]} if self.stolen[key] else {})


def summary(processes: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Of each part, and of all together if there are several: the processes' medians, their median and their best.

    >>> summary([{"step": [3, 1, 2]}, {"step": [5, 5, 9]}])["step"]
    {'median': 3.5, 'best': 2, 'processes': [2, 5], 'calls': 6}
    """
    sums = {}
    for part in processes[0]:
        calls = [process[part] for process in processes]
        sums[part] = _figures(calls)
    if len(sums) > 1:
        sums["all"] = _figures([[sum(call) for call in zip(*process.values())] for process in processes])
    return sums


def _figures(calls: list[list[float]]) -> dict[str, Any]:
    medians = [statistics.median(process) for process in calls]
    return {
        "median": statistics.median(medians),
        "best": min(medians),
        "processes": medians,
        "calls": sum(map(len, calls)),
    }


def measure(groups: Sequence[Sequence[Case]], sides: Sequence[Side], plan: Plan, start: Start) -> list[dict[str, Any]]:
    """The times of all cases.

    Args:
        groups: Cases that one process works at, one after the other.
        sides: Who.
        plan: How long and how often.
        start: Makes a side's station.

    Returns:
        The cases, each with `results`: side → `parts`, in seconds; or `cannot` or `failed`, with the reason.
    """
    measured = []
    for cases in groups:
        notes = Notes(cases, sides)
        for number in range(plan.rounds):
            say(f"  {cases[0]['name']}{' …' if len(cases) > 1 else ''}: round {number + 1} of {plan.rounds}")
            _round(
                notes,
                [side for side in sides if number < (plan.peer_rounds if side.peer else plan.rounds)],
                plan,
                start,
            )
        measured += notes.results()
    return measured


def _round(notes: Notes, sides: Sequence[Side], plan: Plan, start: Start) -> None:
    stations: dict[str, Station] = {}
    try:
        for case in notes.cases:
            answers: dict[str, list[Answer]] = {}
            for side in sides:
                if (case["name"], side.name) in notes.problems or side.name in case.get("left_out", ()):
                    continue
                if side.name not in stations:
                    stations[side.name] = start(side)
                problem = stations[side.name].ask({"do": "prepare", "case": case, "seconds": plan.warm})
                if problem:
                    notes.problems[case["name"], side.name] = problem
                    stations.pop(side.name).close()  # it may have died, or hold too much memory
                else:
                    answers[side.name] = []
            for _ in range(plan.blocks):
                for name, blocks in answers.items():
                    if not (blocks and _a_call(blocks[0]) > plan.slow):
                        blocks.append(_turn(stations[name], plan))
            for name, blocks in answers.items():
                notes.add(case, name, blocks)
    finally:
        for station in stations.values():
            station.close()


def _turn(station: Station, plan: Plan) -> Answer:
    """What a side answers when it has its turn: of several tries the one the host disturbed least."""
    best: Answer = {}
    for _ in range(plan.tries):
        time.sleep(PAUSE)
        began, stolen = time.perf_counter(), machine.stolen()
        answer = station.ask({"do": "block", "calls": plan.calls, "seconds": plan.seconds, "longest": plan.longest})
        if "times" not in answer:
            return answer
        answer["stolen"] = (machine.stolen() - stolen) / (time.perf_counter() - began)
        best = min(best or answer, answer, key=lambda turn: turn["stolen"])
        if best["stolen"] <= STOLEN or _a_call(answer) > plan.slow:
            break
    return best


def _a_call(block: Answer) -> float:
    return sum(map(statistics.median, block.get("times", {}).values()))


def measure_memory(
    groups: Sequence[Sequence[Case]], sides: Sequence[Side], plan: Plan, start: Start
) -> list[dict[str, Any]]:
    """The largest memory of all cases, as `measure`, but each in a process of its own, which has done nothing else.

    Returns:
        The cases, each with `results`: side → `parts`, in bytes.
    """
    measured = []
    for cases in groups:
        notes = Notes(cases, sides)
        for case in cases:
            say(f"  {case['name']}")
            for number in range(plan.rounds):
                for side in sides:
                    if number < (plan.peer_rounds if side.peer else plan.rounds):
                        station = start(side)
                        notes.add(case, side.name, [station.ask({"do": "memory", "case": case, "calls": plan.calls})])
                        station.close()
        measured += notes.results()
    return measured
