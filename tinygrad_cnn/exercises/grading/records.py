"""Everything that is known about a class's grades, as JSON; the format is described in docs/instructors.md."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.about import __version__
from tinygrad_cnn.exercises.checking import Finding, Part
from tinygrad_cnn.exercises.grading import overview
from tinygrad_cnn.exercises.grading.grades import Grade, Grading, Result, plain

FORMAT = "tinygrad-cnn grades, 1"


def document(grades: Sequence[Grade], grading: Grading) -> bytes:
    """The text of a JSON file."""
    told = {
        "format": FORMAT,
        "version": __version__,
        "seed": grading.seed,
        "exercises": [
            {
                "id": count.exercise,
                "number": count.number,
                "title": plain(count.title),
                "max_points": count.max_points,
                "handed_in": count.handed_in,
                "right": count.right,
            }
            for count in overview.exercises(grades)
        ],
        "mistakes": [
            {
                "exercise": mistake.exercise,
                "function": mistake.function,
                "kind": mistake.kind,
                "mistakes": list(mistake.ids),
                "says": plain(mistake.says),
                "names": [plain(name) for name in mistake.names],
            }
            for mistake in overview.mistakes(grades, grading.catalogue)
        ],
        "submissions": [_submission(grade) for grade in grades],
    }
    return written(told)


def written(told: Any) -> bytes:
    """JSON that every reader takes: ASCII, and no NaN."""
    return (json.dumps(told, indent=1, allow_nan=False) + "\n").encode()


def _submission(grade: Grade) -> dict[str, Any]:
    return {
        "name": plain(grade.name),
        "source": plain(grade.source),
        "points": grade.points,
        "max_points": grade.max_points,
        "percent": grade.percent,
        "seconds": round(grade.seconds, 3),
        "remarks": [plain(remark) for remark in grade.remarks],
        "exercises": [_exercise(result) for result in grade.results],
    }


def _exercise(result: Result) -> dict[str, Any]:
    verdict = result.verdict
    return {
        "id": result.exercise,
        "handed_in": result.handed_in,
        "points": result.points,
        "max_points": result.max_points,
        "passed": verdict.passed,
        "problem": _finding(verdict.problem),
        "printed": plain(verdict.printed),
        "seconds": round(verdict.seconds, 3),
        "notes": [plain(note) for note in verdict.notes],
        "functions": [_function(part) for part in result.parts],
    }


def _function(part: Part) -> dict[str, Any]:
    slower = part.slower if part.slower is not None and math.isfinite(part.slower) else None
    return {
        "name": part.function,
        "points": part.points,
        "max_points": part.max_points,
        "passed": part.passed,
        "finding": _finding(part.finding),
        "slower": None if slower is None else round(slower, 2),
        "remark": plain(part.remark),
    }


def _finding(finding: Finding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    return {
        "kind": finding.kind,
        "says": plain(finding.says),
        "hint": plain(finding.hint),
        "tutorial": plain(finding.tutorial),
        "mistakes": list(finding.mistakes),
        "detail": plain(finding.detail),
    }
