"""A class at a glance, for the next lecture: how each exercise went, and which mistakes were made how often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.checking import Finding
from tinygrad_cnn.exercises.grading.grades import CHECKER, NOT_HANDED_IN, Grade, Result

NO_MISTAKE = {"todo", NOT_HANDED_IN, CHECKER}
# what findings of a kind have in common, where each student is told of other lines and numbers
KINDS = {
    "encoding": "The file is no UTF-8 text.",
    "syntax": "Python cannot read the file.",
    "import": "The file raises an exception while it is loaded.",
    "forbidden": "It does something that is refused: importing another library, using files, …",
    "timeout": "It does not come to its end in time.",
    "memory": "It wants too much memory.",
    "exit": "It ends the whole program.",
    "crash": "Python itself crashes.",
    "garbage": "It disturbs the checker.",
    "missing": "The function is missing, or has another name.",
    "signature": "The function has other arguments.",
    "raised": "The function raises an exception.",
    "returned": "What is returned is nothing, of another shape, or no array.",
    "dtype": "The numbers are right, but in another format, such as float64 for float32.",
    "changed": "The result is right, but an argument was changed.",
    "value": "Some numbers are wrong, for no typical reason.",
}


@dataclass(frozen=True)
class Count:
    """How an exercise went.

    Attributes:
        exercise: Its id.
        number: Its place in the course.
        title: Its title.
        max_points: That could be earned.
        handed_in: By how many.
        right: Of so many all functions are right.
        points: That all of these earned together.
    """

    exercise: str
    number: int
    title: str
    max_points: float
    handed_in: int
    right: int
    points: float


@dataclass(frozen=True)
class Mistake:
    """A mistake, and who made it.

    Attributes:
        exercise: In which exercise.
        function: In which function; empty if the whole file could not be tried.
        kind: Of the finding, see `sandbox.Problem` and `diagnosis`.
        ids: The typical mistake; several, if it looks like one of them.
        says: It in a sentence or two.
        names: The students'.
    """

    exercise: str
    function: str
    kind: str
    ids: tuple[str, ...]
    says: str
    names: tuple[str, ...]


def exercises(grades: Sequence[Grade]) -> list[Count]:
    """How each exercise went, in the course's order."""
    return [
        Count(
            results[0].exercise,
            results[0].number,
            results[0].verdict.title,
            results[0].max_points,
            sum(result.handed_in for result in results),
            sum(result.verdict.passed for result in results),
            sum(result.points for result in results),
        )
        for results in zip(*(grade.results for grade in grades))
    ]


def mistakes(grades: Sequence[Grade], catalogue: Catalogue) -> list[Mistake]:
    """All mistakes, the most frequent first; of two that somebody made at once, each counts."""
    typical = {
        (exercise.id, task.name, mistake.id): mistake.says
        for exercise in catalogue.values()
        for task in exercise.tasks.values()
        for mistake in task.mistakes
    }
    made: dict[tuple[str, str, str, tuple[str, ...], str], list[str]] = {}
    for results in zip(*(grade.results for grade in grades)):  # in the course's order
        for grade, result in zip(grades, results):
            for function, finding in _findings(result):
                place = (result.exercise, function, finding.kind)
                if finding.kind == "mistake":
                    for id in finding.mistakes:
                        says = typical.get((result.exercise, function, id), finding.says)
                        made.setdefault((*place, (id,), says), []).append(grade.name)
                else:
                    says = KINDS.get(finding.kind, finding.says)
                    made.setdefault((*place, finding.mistakes, says), []).append(grade.name)
    found = [Mistake(*key, tuple(names)) for key, names in made.items()]
    return sorted(found, key=lambda mistake: -len(mistake.names))


def _findings(result: Result) -> Iterator[tuple[str, Finding]]:
    """What is wrong with which function; what is wrong with the whole file once, and without a function."""
    problem = result.verdict.problem
    told = [("", problem), *((p.function, p.finding) for p in result.verdict.parts if p.finding != problem)]
    yield from ((function, f) for function, f in told if f is not None and f.kind not in NO_MISTAKE)
