"""From what was handed in to points: every submission by itself, so that a broken one costs nobody else anything."""

from __future__ import annotations

import math
import os
import tempfile
import textwrap
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tinygrad_cnn.exercises import checking, report
from tinygrad_cnn.exercises.catalogue import SEED, Catalogue, Exercise
from tinygrad_cnn.exercises.checking import Finding, Part, Verdict
from tinygrad_cnn.exercises.grading.reading import GradingError
from tinygrad_cnn.exercises.grading.submissions import Submission
from tinygrad_cnn.exercises.sandbox import Limits

NOT_HANDED_IN = "not handed in"
CHECKER = "checker"  # a finding of this kind is our fault


@dataclass(frozen=True)
class Result:
    """What one exercise earned.

    Attributes:
        exercise: Its id.
        number: Its place in the course.
        verdict: What the checker found.
        weight: What the exercise's own points are multiplied with.
    """

    exercise: str
    number: int
    verdict: Verdict
    weight: float = 1.0

    @property
    def parts(self) -> tuple[Part, ...]:
        """The verdict's parts with points as they count here; never less than none, never not a number."""

        def scaled(points: float) -> float:
            points *= self.weight
            return round(points, 4) if math.isfinite(points) and points > 0 else 0.0

        return tuple(replace(p, points=scaled(p.points), max_points=scaled(p.max_points)) for p in self.verdict.parts)

    @property
    def points(self) -> float:
        """Earned."""
        return round(sum(part.points for part in self.parts), 4)

    @property
    def max_points(self) -> float:
        """That could have been earned."""
        return round(sum(part.max_points for part in self.parts), 4)

    @property
    def handed_in(self) -> bool:
        """Whether there was a file."""
        return self.verdict.problem is None or self.verdict.problem.kind != NOT_HANDED_IN

    def told(self, width: int = report.WIDTH) -> list[report.Line]:
        """The verdict in lines, as the student sees it, but with the points that count here."""
        lines = report.told(replace(self.verdict, parts=self.parts), width=width)
        return [line._replace(text=plain(line.text)) for line in lines]


@dataclass(frozen=True)
class Grade:
    """What one submission earned.

    Attributes:
        name: The student's.
        source: How the submission is called where it lies.
        results: One for each exercise, in the course's order.
        remarks: What an instructor should know.
        seconds: The grading took.
    """

    name: str
    source: str
    results: tuple[Result, ...]
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """Earned."""
        return round(sum(result.points for result in self.results), 4)

    @property
    def max_points(self) -> float:
        """That could have been earned."""
        return round(sum(result.max_points for result in self.results), 4)

    @property
    def percent(self) -> float:
        """Of the points; 0 if there are none to be earned."""
        return round(100 * self.points / self.max_points, 1) if self.max_points else 0.0


@dataclass(frozen=True)
class Grading:
    """How submissions are graded.

    Attributes:
        catalogue: The exercises that count.
        points: For whole exercises, instead of the catalogue's.
        seed: Of the numbers the functions are tried with.
        seconds: The time limit of each exercise, instead of the catalogue's.
    """

    catalogue: Catalogue
    points: Mapping[str, float]
    seed: int = SEED
    seconds: float | None = None

    def all(self, submissions: Sequence[Submission], jobs: int = 1) -> Iterator[Grade]:
        """The grades of all, in order, each as soon as it and those before it are there.

        Raises:
            CatalogueError: If an exercise's own files are not as they should be.
        """
        for exercise in self.catalogue.values():
            checking.expected(exercise, self.seed)  # once, before threads ask for it
        pool = ThreadPoolExecutor(jobs)
        try:
            yield from pool.map(self.one, submissions)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def one(self, submission: Submission) -> Grade:
        """The grade of one; whatever happens is told in it."""
        started = time.perf_counter()
        results = tuple(self._result(exercise, submission) for exercise in self.catalogue.values())
        remarks = [plain(remark) for remark in submission.remarks]
        by_hand = [r.exercise for r in results if r.verdict.problem and r.verdict.problem.kind == CHECKER]
        if by_hand:
            remarks.insert(0, f"LOOK AT BY HAND: {', '.join(by_hand)}: the checker itself failed")
        return Grade(
            plain(submission.name),
            plain(submission.source),
            results,
            tuple(remarks),
            time.perf_counter() - started,
        )

    def _result(self, exercise: Exercise, submission: Submission) -> Result:
        content = submission.files.get(exercise.id)
        if content is None:
            verdict = _no_points(exercise, Finding(NOT_HANDED_IN, f"There is no file for {exercise.id}."))
        else:
            try:
                verdict = self._checked(exercise, content, submission.beside.get(exercise.id, {}))
            except Exception as error:  # ours, not the student's; the class goes on
                says = f"The checker itself failed ({type(error).__name__}: {error}); this is not the student's fault."
                verdict = _no_points(exercise, Finding(CHECKER, says))
        weight = self.points[exercise.id] / exercise.points if exercise.id in self.points else 1.0
        return Result(exercise.id, exercise.number, verdict, weight)

    def _checked(self, exercise: Exercise, content: bytes, beside: Mapping[str, bytes]) -> Verdict:
        limits = None if self.seconds is None else Limits(seconds=self.seconds)
        with tempfile.TemporaryDirectory(prefix="tinygrad-cnn-grade-", ignore_cleanup_errors=True) as folder:
            file = Path(folder) / exercise.file
            for name, other in beside.items():
                (Path(folder) / name).write_bytes(other)
            file.write_bytes(content)
            return checking.check(exercise, file, limits, self.seed)


def _no_points(exercise: Exercise, finding: Finding) -> Verdict:
    parts = tuple(Part(task.name, 0, task.points, finding) for task in exercise.tasks.values())
    return Verdict(exercise.id, exercise.title, parts, finding)


def read_points(path: Path, catalogue: Catalogue) -> dict[str, float]:
    """Points for whole exercises, from lines such as `conv_forward = 20`.

    Raises:
        GradingError: If a line names no exercise of the catalogue, or no number of points.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GradingError(f"{path}: {error}; write lines such as: conv_forward = 20") from None
    for id, points in told.items():
        if id not in catalogue:
            raise GradingError(f"{path}: {id!r} is none of the exercises graded: {', '.join(catalogue)}")
        number = isinstance(points, int | float) and not isinstance(points, bool)
        if not number or not math.isfinite(points) or points < 0:
            raise GradingError(f"{path}: {id} = {points!r} must be a number, 0 or more")
        if catalogue[id].points <= 0:
            raise GradingError(f"{path}: {id} has no points of its own that could be scaled")
    return {id: float(points) for id, points in told.items()}


def default_jobs() -> int:
    """Submissions graded at a time: two, but for a machine with one core."""
    return min(2, os.cpu_count() or 1)


def plain(text: str) -> str:
    r"""A text with control characters and half characters spelled out, which XML, JSON and terminals would not take.

    >>> plain("red: \x1b[31m\n")
    'red: \\x1b[31m\n'
    """
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def told(part: Part) -> str:
    """What is to be said about a function, in a few lines."""
    if part.finding is None:
        return plain(part.remark)
    return plain(textwrap.dedent("\n".join(line.text for line in report.found(part.finding, full=True))))
