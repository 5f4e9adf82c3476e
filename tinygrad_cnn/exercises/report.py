"""A verdict as lines of text: for the student's terminal, for pages and for the instructor's reports."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.checking import Part, Verdict
    from tinygrad_cnn.exercises.diagnosis import Finding

WIDTH = 80
PRINTED = 12  # lines of what the student's program printed
_SPEAKS_FOR_ITSELF = ("todo", "missing", "signature", "mistake", "looks-like")  # without the case it was found in


class Line(NamedTuple):
    """A line, without a line break in it.

    Attributes:
        text: What it says.
        style: How a terminal shows it: "green", "red", "bold", "dim", "cyan" or several of them.
    """

    text: str
    style: str = ""


def told(verdict: Verdict, full: bool = False, width: int = WIDTH) -> list[Line]:
    """A verdict in lines: for each function a symbol and its points, then what is wrong with it and what to do.

    Args:
        verdict: What came out of a check.
        full: Also the case in which a typical mistake was found.
        width: Characters in a line.
    """
    lines: list[Line] = []
    if verdict.problem is not None:
        lines += [Line(f"✗ {verdict.title}: {points(verdict.points, verdict.max_points)}", "bold red")]
        lines += found(verdict.problem, full, width)
    for part in verdict.parts:
        if part.finding is None or part.finding != verdict.problem:
            lines += of_part(part, full, width)
    if verdict.printed.strip():
        lines += [Line(""), Line("Your program printed:", "bold"), *_printed(verdict.printed, width)]
    if verdict.notes:
        lines += [Line(""), *(line for note in verdict.notes for line in _wrapped(note, "", width, "dim"))]
    return lines


def of_part(part: Part, full: bool = False, width: int = WIDTH) -> list[Line]:
    """What became of one function, in lines."""
    if part.finding is None:
        remark = _wrapped(part.remark, "  ", width) if part.remark else []
        return [Line(f"✓ {part.function}: right, {points(part.points)}", "bold green"), *remark]
    if part.finding.kind == "todo":
        return [Line(f"· {part.function}: still to be written, {points(part.max_points)}", "yellow")]
    head = Line(f"✗ {part.function}: {points(part.points, part.max_points)}", "bold red")
    return [head, *found(part.finding, full, width)]


def found(finding: Finding, full: bool = False, width: int = WIDTH) -> list[Line]:
    """What is wrong, in lines: the mistake, what to look at, what to read, where it shows."""
    lines = _wrapped(finding.says, "  ", width)
    if finding.hint:
        lines += _wrapped(f"Hint: {finding.hint}", "  ", width, "cyan")
    if finding.tutorial:
        lines += _wrapped(f"Read: {finding.tutorial}", "  ", width, "dim")
    if finding.detail and (full or finding.kind not in _SPEAKS_FOR_ITSELF):
        lines.append(Line(""))
        *above, last = finding.detail.splitlines()
        pointer = bool(above) and not last.strip(" ^")  # at a place in the code above it
        if pointer and len(above[-1]) + 2 <= width:
            return [*lines, Line(f"  {above[-1]}"), Line(f"  {last}")]
        for line in above if pointer else [*above, last]:
            lines += _wrapped(line, "  ", width, hanging="    ")
    return lines


def points(earned: float, possible: float | None = None) -> str:
    """Points in words.

    >>> points(1), points(2.5), points(0, 10)
    ('1 point', '2.5 points', '0 of 10 points')
    """
    of = "" if possible is None else f" of {possible:g}"
    return f"{earned:g}{of} point{'s' * ((earned if possible is None else possible) != 1)}"


def paragraphs(text: str, width: int = WIDTH, indent: str = "") -> list[str]:
    r"""A text with its paragraphs filled anew, a line each.

    >>> paragraphs("one\ntwo\n\nthree")
    ['one two', '', 'three']
    """
    blocks = [" ".join(block.split()) for block in textwrap.dedent(text).strip().split("\n\n")]
    filled = [[line.text for line in _wrapped(block, indent, width)] for block in blocks if block]
    return [line for block in filled for line in ("", *block)][1:]


def _wrapped(text: str, indent: str, width: int, style: str = "", hanging: str | None = None) -> list[Line]:
    wrapped = textwrap.wrap(
        " ".join(text.split()),
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [Line(line, style) for line in wrapped]


def _printed(text: str, width: int) -> list[Line]:
    """The beginning of what a program printed; what would move the cursor or change colours is taken out."""
    lines = text.expandtabs(4).splitlines()
    shown = ["".join(c if c.isprintable() else "·" for c in line) for line in lines[:PRINTED]]
    short = [line if len(line) <= width - 4 else line[: width - 5] + "…" for line in shown]
    more = [Line(f"  … {len(lines) - PRINTED:,} more lines", "dim")] if len(lines) > PRINTED else []
    return [Line(f"  | {line}") for line in short] + more
