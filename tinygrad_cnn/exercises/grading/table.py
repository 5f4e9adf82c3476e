"""Grades as a table: a row for each student, a column for each exercise; for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from tinygrad_cnn.exercises.grading.grades import Grade, plain

# A spreadsheet takes a cell that begins with one of these for a formula, and computes it: CWE-1236,
# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "＝", "＋", "－", "＠")


def document(grades: Sequence[Grade]) -> bytes:
    """The table as CSV: a comma between cells, UTF-8 with the mark by which Excel knows it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    exercises = [result.exercise for result in grades[0].results] if grades else []
    writer.writerow(["name", *map(harmless, exercises), "total", "of", "percent", "remarks", "source"])
    for grade in grades:
        points = [f"{result.points:g}" if result.handed_in else "" for result in grade.results]
        remarks = harmless(" | ".join([*grade.remarks, *_broken(grade)]))
        total = [f"{grade.points:g}", f"{grade.max_points:g}", f"{grade.percent:g}"]
        writer.writerow([harmless(grade.name), *points, *total, remarks, harmless(grade.source)])
    return file.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """A text that a spreadsheet shows as it is.

    >>> harmless("=HYPERLINK(...)"), harmless("Ada")
    ("'=HYPERLINK(...)", 'Ada')
    """
    cell = plain(cell.replace("\n", " "))
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell


def _broken(grade: Grade) -> list[str]:
    """Exercises whose code could not be tried, and why."""
    problems = [(r.exercise, r.verdict.problem) for r in grade.results if r.handed_in]
    return [f"{id}: {problem.kind}" for id, problem in problems if problem]
