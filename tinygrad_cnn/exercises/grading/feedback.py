"""What a student gets back, in words: the verdict of each exercise."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from tinygrad_cnn.exercises.grading.grades import Grade, plain
from tinygrad_cnn.exercises.report import WIDTH, Line, points


def lines(grade: Grade, width: int = WIDTH) -> list[Line]:
    """A submission's exercises, with what is wrong with them."""
    told = [Line(f"{grade.name}: {points(grade.points, grade.max_points)}, {grade.percent:g} %", "bold")]
    for result in grade.results:
        if result.handed_in:
            title = f"{result.number}. {plain(result.verdict.title)}: {points(result.points, result.max_points)}"
            told += [Line(""), Line(title, "bold")]
            told += [Line(f"  {line.text}".rstrip(), line.style) for line in result.told(width - 2)]
    missing = [result.exercise for result in grade.results if not result.handed_in]
    if missing:
        text = f"Not handed in: {', '.join(missing)}"
        told += [Line(""), *(Line(line, "yellow") for line in textwrap.wrap(text, width, subsequent_indent="  "))]
    return told


def write(folder: Path, grades: Sequence[Grade]) -> None:
    """A text file for each student.

    Args:
        folder: Where; it is made if there is none.
        grades: The students'.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, grade in zip(file_names([grade.name for grade in grades]), grades):
        text = "\n".join(line.text for line in lines(grade))
        (folder / f"{name}.txt").write_text(f"{text}\n", encoding="utf-8", newline="\n")


def file_names(names: Sequence[str]) -> list[str]:
    """What files of these students can be called on every system, no two of them the same.

    >>> file_names(["Ada Lovelace", "a/b", "A:b"])
    ['Ada Lovelace', 'a_b', 'A_b (2)']
    """
    found: list[str] = []
    for name in names:
        short = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name)[:100].strip(". ") or "_"
        taken = {other.casefold() for other in found}
        found.append(next(n for i in count(1) if (n := short if i == 1 else f"{short} ({i})").casefold() not in taken))
    return found
