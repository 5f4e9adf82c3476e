"""Proof that the catalogue keeps its promises: for every exercise, all that a student could hand in is handed in.

Solutions get all points; skeletons, empty files and files that raise get none; every wrong version is recognised as
itself; two mistakes at once are named, or the checker says honestly that it only looks like them.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinygrad_cnn.exercises.cases import Case
from tinygrad_cnn.exercises.catalogue import Exercise, Task
from tinygrad_cnn.exercises.checking import Verdict, check, expected
from tinygrad_cnn.exercises.diagnosis import Finding, diagnose
from tinygrad_cnn.exercises.outcomes import Outcome, as_before
from tinygrad_cnn.exercises.plugin import adapters_of
from tinygrad_cnn.exercises.sandbox import wire
from tinygrad_cnn.exercises.sources import CatalogueError

EMPTY = ""
RAISING = "raise RuntimeError('this file raises while it is loaded')\n"


@dataclass
class Proof:
    """What was found about one exercise.

    Attributes:
        exercise: Its id.
        problems: Promises that are not kept, a sentence each.
        mistakes: How many wrong versions were recognised as themselves.
        pairs: How many pairs of mistakes were named.
        hidden: How many pairs were named as one of the two, the other making no difference beside it.
        alike: How many pairs were said to look like several things, the right one among them.
        raised: How many pairs show in nothing but an exception, which is told as it is.
    """

    exercise: str
    problems: list[str] = field(default_factory=list)
    mistakes: int = 0
    pairs: int = 0
    hidden: int = 0
    alike: int = 0
    raised: int = 0


def verify(exercise: Exercise, jobs: int = 2, pairs: bool = True) -> Proof:
    """Try everything on one exercise.

    Args:
        exercise: From a catalogue.
        jobs: Processes at a time.
        pairs: Try two mistakes at once, too.
    """
    proof = Proof(exercise.id)
    try:
        proof.problems += [f"{exercise.id}: {problem}" for problem in _slips(exercise)]
        if proof.problems:
            return proof
        handed_in = list(_submissions(exercise))
        with tempfile.TemporaryDirectory(prefix="tinygrad-cnn-verify-") as folder, ThreadPoolExecutor(jobs) as pool:

            def judged(numbered: tuple[int, tuple[str, str, Callable[[Verdict], str]]]) -> str:
                number, (what, text, judge) = numbered
                file = Path(folder) / f"submission_{number}.py"
                file.write_text(text, encoding="utf-8")
                problem = judge(check(exercise, file))
                return f"{exercise.id}: {what}: {problem}" if problem else ""

            proof.problems = [problem for problem in pool.map(judged, enumerate(handed_in)) if problem]
        proof.mistakes = sum(len(task.mistakes) for task in exercise.tasks.values())
        if pairs:
            _pairs(exercise, proof)
    except CatalogueError as error:
        proof.problems.append(f"{exercise.id}: {error}")
    return proof


def _slips(exercise: Exercise) -> Iterator[str]:
    """What is wrong with an exercise's own files, as far as that shows without a student."""
    known, toml, script = expected(exercise), exercise.folder / "exercise.toml", exercise.folder / "cases.py"
    adapters_of(exercise)
    first, second = (wire.dumps([wire.write(case.args) for case in cases]) for cases in (known.cases, exercise.cases()))
    if first != second:
        yield f"{script}: cases(rng) gives other numbers each time; draw them from rng"
    for task in exercise.tasks.values():
        names = known.parameters(task)
        for name in task.changes:
            if name not in names:
                yield f"{toml}: {task.name} changes {name}, which is no argument; there are {', '.join(names)}"
        if task.rival and exercise.speed(task.name) is None:
            yield f"{script}: there is no speed(rng) that gives a Case for {task.name}, which has a rival"
        for version in ((), *((mistake.id,) for mistake in task.mistakes)):
            place = f"{toml}: " + (
                f"mistake {version[0]!r} of {task.name}" if version else f"the solution of {task.name}"
            )
            exercise.function(task.name, *version)  # which may say that it cannot be loaded
            worker = threading.Thread(target=lambda v=version, f=task.name: list(known.outcomes(f, *v)), daemon=True)
            worker.start()
            worker.join(exercise.time_limit)
            if worker.is_alive():
                yield f"{place} does not come to its end within {exercise.time_limit:g} s"
                return  # everything else would wait for it
            outcomes = list(known.outcomes(task.name, *version))
            raised = [o.raised for o in outcomes if o.raised]
            if unknown := [r for r in raised if r["type"] in ("NameError", "UnboundLocalError")]:
                yield (
                    f"{place}: {unknown[0]['text']}. Is it spelled right? What a student's file imports besides NumPy "
                    'must stand in imports = ["import …"]'
                )
            elif not version and len(raised) == len(outcomes):
                yield f"{place} raises {raised[0]['type']}: {raised[0]['text']}, in all cases"
            elif not version:
                yield from _misfits(exercise, task, known.of(task.name), outcomes)
                for i, name in enumerate(names):
                    both = [(c.args[i], o.after[i]) for c, o in zip(known.of(task.name), outcomes) if not o.raised]
                    if name in task.changes and all(as_before(*of) for of in both):
                        yield f"{toml}: {task.name} changes {name}, but the solution does not"
    for law in known.laws:
        results = [wire.invoke(exercise.function(law.function), wire.write(args)) for args in law.calls]
        try:
            law.holds([wire.read(told["returned"])[0] for told in results])
        except Exception as error:
            yield f"{script}: the law {law.says!r}, for the solution's results: {type(error).__name__}: {error}"


def _misfits(exercise: Exercise, task: Task, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Where exercise.toml and cases.py do not fit the solution's results."""
    toml, script = exercise.folder / "exercise.toml", exercise.folder / "cases.py"
    for case, o in zip(cases, outcomes):
        if o.raised:
            continue
        values = o.value if isinstance(o.value, tuple) else () if o.value is None else (o.value,)
        if values and len(values) != len(task.returns):
            yield f"{toml}: {task.name} returns {len(values)} things, and returns = {list(task.returns)} names others"
            return
        if not values and not task.changes:
            yield f'{toml}: {task.name} returns nothing; say with changes = ["…"] which of its arguments it changes'
            return
        if exercise.agrees(case, o.value, o.value) is False:
            yield f"{script}: agrees(case, got, want) refuses the solution's own result of {case.label!r}"
        for part, value in zip(task.returns, values):
            if isinstance(value, np.ndarray) and value.size and value.dtype.kind == "f":
                if np.isnan(value).any():
                    yield f"{script}: in {case.label!r} the solution's {part} holds nan, and any nan would pass for it"
                for end in (0, -1) if value.ndim else ():
                    exercise.where(case, part, tuple(range(size)[end] for size in value.shape))


def _submissions(exercise: Exercise) -> Iterable[tuple[str, str, Callable[[Verdict], str]]]:
    """What is handed in, its text, and what must become of it (a sentence if it does not)."""
    yield "the solution", exercise.solution(), _all_points
    yield "the skeleton", exercise.skeleton(), _todo
    yield "an empty file", EMPTY, _no_points
    yield "a file that raises", RAISING, _no_points
    yield "the solution behind a line that raises", RAISING + exercise.solution(), _no_points
    yield "functions that raise", _raising(exercise), _no_points
    for task in exercise.tasks.values():
        for mistake in task.mistakes:
            text = exercise.wrong_text(task.name, mistake.id)
            yield f"{task.name} with the mistake {mistake.id!r}", text, _named(task.name, mistake.id)


def _raising(exercise: Exercise) -> str:
    return "".join(f"def {name}(*args, **kwargs):\n    raise ValueError('not today')\n\n\n" for name in exercise.tasks)


def _all_points(verdict: Verdict) -> str:
    wrong = [f"{p.function}: {p.finding.kind}: {p.finding.says} {p.finding.detail}" for p in verdict.parts if p.finding]
    if verdict.problem:
        wrong.append(verdict.problem.says)
    return "; ".join(wrong) or ("" if verdict.points == verdict.max_points > 0 else f"{verdict.points} points")


def _no_points(verdict: Verdict) -> str:
    return f"{verdict.points} undeserved points" if verdict.points else ""


def _todo(verdict: Verdict) -> str:
    kinds = [part.finding.kind for part in verdict.parts if part.finding]
    if kinds != ["todo"] * len(verdict.parts):
        return f"it should be said to be still unwritten, not {kinds}"
    return _no_points(verdict)


def _named(function: str, id: str) -> Callable[[Verdict], str]:
    def judge(verdict: Verdict) -> str:
        problems = []
        for part in verdict.parts:
            if part.function != function:
                if not part.passed:
                    assert part.finding is not None
                    problems.append(f"{part.function} is right and was said to be wrong: {part.finding.says}")
            elif part.finding is None:
                problems.append("it passed; add a case in which it does not do what the solution does")
            elif part.finding.kind != "mistake" or part.finding.mistakes != (id,):
                names = part.finding.mistakes
                problems.append(f"it was not recognised, but: {part.finding.kind} {names} {part.finding.says}")
            elif part.points:
                problems.append(f"{part.points} undeserved points")
        return "; ".join(problems)

    return judge


def _both(task: Task, finding: Finding) -> set[str]:
    """Of which two mistakes the one that was named is made, if it is."""
    return set(task.mistake(finding.mistakes[0]).both)


def _pairs(exercise: Exercise, proof: Proof) -> None:
    """Two mistakes at once, in this process: their outcomes are what the student's process would give."""
    known = expected(exercise)
    for task in exercise.tasks.values():
        for pair in exercise.pairs(task.name):
            finding = diagnose(known, task.name, list(known.outcomes(task.name, *pair)))
            place = f"{exercise.id}: {task.name} with {' and '.join(pair)}"
            if finding is None:
                proof.problems.append(f"{place}: it passed; add a case in which the two do not cancel")
            elif finding.kind == "looks-like" and set(pair) <= set(finding.mistakes):
                proof.alike += 1
            elif finding.kind == "mistake" and set(pair) in (set(finding.mistakes), _both(task, finding)):
                proof.pairs += 1
            elif finding.kind in ("mistake", "looks-like") and set(finding.mistakes) & set(pair):
                proof.hidden += 1  # exactly what one of them does alone
            elif finding.kind == "raised":
                proof.raised += 1
            else:
                proof.problems.append(f"{place}: it was not recognised, but: {finding.kind} {finding.mistakes}")
