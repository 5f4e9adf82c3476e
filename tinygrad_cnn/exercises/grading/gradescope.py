"""`results.json`, as Gradescope reads it.

Source: "Autograder Specifications", https://gradescope-autograders.readthedocs.io/en/latest/specs/, sections "Output
format", "Test case status" and "Output String Formatting".
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.exercises.grading.grades import Grade, Result, plain, told

PRINTED = 2_000  # characters of what a student's code printed
OUTPUT = 8_000  # and of what is said about one function


def results(grade: Grade) -> dict[str, Any]:
    """What `results.json` holds: a test for each function, with its points and what is wrong with it."""
    tests = [test for result in grade.results for test in _tests(result)]
    right = sum(test["status"] == "passed" for test in tests)
    lines = [f"{right} of {len(tests)} functions are right.", *grade.remarks]
    return {
        "score": round(sum(test["score"] for test in tests), 4),
        "execution_time": round(grade.seconds, 3),
        "output": plain("\n".join(lines)),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",  # what the grading itself prints is for instructors
        "tests": tests,
    }


def _tests(result: Result) -> list[dict[str, Any]]:
    verdict = result.verdict
    tests = []
    for number, part in enumerate(result.parts, start=1):
        lines = [told(part) or "Right."]
        if number == 1 and verdict.printed.strip():
            lines.append(f"Your program printed:\n{plain(verdict.printed[:PRINTED])}")
        tests.append(
            {
                "score": part.points,
                "max_score": part.max_points,
                # without a status, whatever has not all points counts as failed, and what is worth none as passed
                "status": "passed" if part.passed else "failed",
                "name": plain(f"{verdict.title}: {part.function}"),
                "number": f"{result.number}.{number}",
                "output": "\n\n".join(lines)[:OUTPUT],
                "output_format": "text",
                "tags": [result.exercise],
                "visibility": "visible",
            }
        )
    return tests
