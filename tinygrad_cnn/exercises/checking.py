"""Checking one exercise: run the student's functions, find out what is right, and say what is not.

The expected values are computed here, in the checker's process, and never leave it: the student's process gets
arguments, and gives results back.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from tinygrad_cnn.exercises import sources
from tinygrad_cnn.exercises.cases import Case
from tinygrad_cnn.exercises.catalogue import SEED, Exercise, Rival, Task
from tinygrad_cnn.exercises.diagnosis import Finding, diagnose, law_finding
from tinygrad_cnn.exercises.outcomes import Expected, Outcome, outcome
from tinygrad_cnn.exercises.sandbox import Call, Limits, Problem, Report, run, wire

__all__ = ["Finding", "Part", "Verdict", "check", "expected"]


@dataclass(frozen=True)
class Part:
    """What became of one function.

    Attributes:
        function: Its name.
        points: What it earned.
        max_points: What it could have earned.
        finding: What is wrong; None if nothing is.
        slower: How many times as long it took as the version it is compared with; None if it is not compared.
        remark: A sentence about its speed, never about its points.
    """

    function: str
    points: float
    max_points: float
    finding: Finding | None = None
    slower: float | None = None
    remark: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is right."""
        return self.finding is None


@dataclass(frozen=True)
class Verdict:
    """What became of an exercise.

    Attributes:
        exercise: Its id.
        title: Its title.
        parts: One for each function.
        problem: Why nothing could be tried: a syntax error, an endless loop, ….
        printed: What the student's code printed, the beginning of it.
        seconds: The check took.
        notes: What could not be limited on this system, how much was printed, ….
    """

    exercise: str
    title: str
    parts: tuple[Part, ...]
    problem: Finding | None = None
    printed: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """Earned."""
        return sum(part.points for part in self.parts)

    @property
    def max_points(self) -> float:
        """That could have been earned."""
        return sum(part.max_points for part in self.parts)

    @property
    def passed(self) -> bool:
        """Whether all functions are right."""
        return all(part.passed for part in self.parts)

    @property
    def begun(self) -> bool:
        """Whether any function is more than the skeleton."""
        return any(p.finding is None or p.finding.kind not in ("todo", "missing") for p in self.parts)


def expected(exercise: Exercise, seed: int = SEED) -> Expected:
    """The right outcomes of an exercise, computed once a process."""
    key = f"expected with seed {seed}"
    if key not in exercise._cache:
        exercise._cache[key] = Expected(exercise, seed)
    return exercise._cache[key]


def check(exercise: Exercise, file: Path, limits: Limits | None = None, seed: int = SEED) -> Verdict:
    """Check a student's file.

    Args:
        exercise: What it should solve.
        file: The student's.
        limits: Of the student's process; the exercise's own time limit by default.
        seed: Of the numbers the functions are tried with.
    """
    started = time.perf_counter()
    limits = limits or Limits(seconds=exercise.time_limit)
    known, again = expected(exercise, seed), expected(exercise, seed + 1)
    # the cases come first: they matter most if the time is up
    rounds = [
        known.calls,
        known.law_calls,
        again.calls[::-1],  # other numbers, in another order: nothing is to be remembered between calls
    ]
    calls = [call for of_round in rounds for call in of_round]
    report = run(file, list(exercise.tasks), calls, limits, exercise.allow)
    try:
        outcomes = [outcome(told) for told in report.outcomes]
    except ValueError:
        report.problem = report.problem or Problem("garbage", "What came back from your program cannot be read.")
        outcomes = []
    rest = iter([*outcomes, *[None] * (len(calls) - len(outcomes))])
    first, lawful, second = ([next(rest) for _ in of_round] for of_round in rounds)
    cut = _cut_off(calls, [*first, *lawful, *second], report, limits)
    tried = _Tried(report, first, _broken_laws(known, lawful), second[::-1], cut)
    parts = tuple(_part(known, again, task, tried) for task in exercise.tasks.values())
    parts = tuple(_timed(exercise, part, file, limits, seed) for part in parts)
    passed = all(part.passed for part in parts)
    return Verdict(
        exercise.id,
        exercise.title,
        parts,
        None if passed else _problem(report.problem),
        report.printed,
        time.perf_counter() - started,
        tuple(report.notes),
    )


def _problem(problem: Problem | None) -> Finding | None:
    if problem is None:
        return None
    place = f"line {problem.line}: "  # a second line points at a place in the first
    detail = place + problem.code.replace("\n", "\n" + " " * len(place)) if problem.line and problem.code else ""
    return Finding(problem.kind, problem.says, "", "", (), detail)


def _broken_laws(known: Expected, outcomes: Sequence[Outcome | None]) -> dict[int, Finding]:
    """What to say of broken laws, by their identity; those that were not tried to the end are left out."""
    told: dict[int, Finding] = {}
    results = iter(outcomes)
    for law in known.laws:
        made = [next(results) for _ in law.calls]
        if all(made) and (finding := law_finding(known, law, [o for o in made if o])):
            told[id(law)] = finding
    return told


@dataclass(frozen=True)
class _Tried:
    """What came of all calls.

    Attributes:
        report: Of the student's process.
        first: Outcomes of the cases.
        broken: What to say of broken laws, by their identity.
        second: Outcomes of the cases with other numbers.
        cut: The function in which the program ended, if it did not come to its end; empty also if it was only slow.
    """

    report: Report
    first: list[Outcome | None]
    broken: dict[int, Finding]
    second: list[Outcome | None]
    cut: str


def _cut_off(calls: Sequence[Call], outcomes: Sequence[Outcome | None], report: Report, limits: Limits) -> str:
    """The function in which the program ended early; empty if it did not, or if it has worked until its time was up."""
    seconds = sum(o.seconds for o in outcomes if o)
    if report.problem is None or (report.problem.kind == "timeout" and seconds > limits.seconds / 2):
        return ""
    lost = (call.function for call, o in zip(calls, outcomes) if o is None)
    return next((name for name in lost if report.functions.get(name) is not None), "")


def _part(known: Expected, again: Expected, task: Task, tried: _Tried) -> Part:
    """What became of one function."""
    report = tried.report

    def failed(finding: Finding) -> Part:
        return Part(task.name, 0, task.points, finding)

    def of(expected: Expected, outcomes: Sequence[Outcome | None]) -> list[Outcome | None]:
        return [o for case, o in zip(expected.cases, outcomes) if case.function == task.name]

    got, repeated = of(known, tried.first), of(again, tried.second)
    if report.functions.get(task.name, ()) is None:
        return failed(Finding("missing", f"{task.name} is no function.", f"It must begin with: def {task.name}(…):"))
    if any(o is None for o in got):
        if task.name not in report.functions and report.problem is None:
            return failed(_missing(task, report))
        problem = _problem(report.problem)
        return failed(problem or Finding("crash", "Your program ended before this function had been tried."))
    parameters = report.functions.get(task.name)
    outcomes = [o for o in got if o is not None]
    finding = diagnose(known, task.name, outcomes, lambda law: tried.broken.get(id(law)), parameters)
    if finding is None and tried.cut == task.name:
        finding = _problem(report.problem)
    elif finding is None and all(repeated):
        finding = diagnose(again, task.name, [o for o in repeated if o is not None], parameters=parameters)
        finding = finding and _unsteady(task, finding)
    return failed(finding) if finding else Part(task.name, task.points, task.points)


def _unsteady(task: Task, finding: Finding) -> Finding:
    """Right in the first round, wrong in the second."""
    says = (
        f"{task.name} was right for all cases, but wrong when they were tried once more, with other numbers and in "
        f"another order. {finding.says}"
    )
    hint = (
        "Does it remember something from one call to the next, in a global variable or a cache? Are results of certain "
        "cases written into it, or does it draw random numbers?"
    )
    return replace(finding, says=says, hint=hint)


def _missing(task: Task, report: Report) -> Finding:
    return Finding(
        "missing",
        f"There is no function {task.name} in your file.",
        f"It must begin at the left margin with: def {task.name}(…): — is it spelled like that?",
    )


def _timed(exercise: Exercise, part: Part, file: Path, limits: Limits, seed: int) -> Part:
    """A right function's speed against its rival's; never a reason to lose points."""
    rival = exercise.tasks[part.function].rival
    case = exercise.speed(part.function, seed) if rival and part.passed else None
    if rival is None or case is None:
        return part
    call = Call(case.function, wire.write(case.args), case.kind)
    report = run(file, [part.function], [call] * 2, limits, exercise.allow)
    seconds = [float(told["seconds"]) for told in report.outcomes if told and "returned" in told]
    if not seconds:
        return replace(part, remark=f"Correct; on a larger image it takes more than {limits.seconds:g} s.")
    slower = min(seconds) / _rival_seconds(exercise, rival, case)
    return replace(part, slower=slower, remark=_speed_remark(slower, rival))


def _speed_remark(slower: float, rival: Rival) -> str:
    times = f"{slower:.0f} times" if slower >= 2 else f"{slower:.1f} times"
    if slower <= rival.times:
        return f"★ Fast: {times} the time of {rival.name}, and at most {rival.times:g} times earns the star."
    return f"Correct; {times} the time of {rival.name}. It costs no points; {rival.times:g} times would earn a star."


def _rival_seconds(exercise: Exercise, rival: Rival, case: Case) -> float:
    """How long the rival takes: the best of five, with one BLAS thread, as the student's process has."""
    key = f"seconds of {rival.solution}"
    if key not in exercise._cache:
        name = rival.solution.partition(":")[2]
        function = sources.compiled(sources.standalone({name: rival.solution}, exercise.folder), name)
        message: dict[str, Any] = wire.write(case.args)
        with threadpool_limits(1):
            exercise._cache[key] = min(wire.invoke(function, message)["seconds"] for _ in range(5))
    return float(exercise._cache[key])
