"""The file a student begins with, made from the solution: signatures and docstrings stay, bodies go."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import TYPE_CHECKING

from tinygrad_cnn.exercises import sources

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.catalogue import Exercise

WIDTH = 100
_ENTRY = re.compile(r"\s+\*{0,2}\w+(?:, \w+)*(?:: \S|, \()")  # of Args or Returns


def skeleton(exercise: Exercise) -> str:
    """The text of an exercise's file, unsolved."""
    intro = "\n\n".join(textwrap.fill(" ".join(p.split()), WIDTH) for p in exercise.intro.strip().split("\n\n"))
    head = f'''"""{exercise.number}. {exercise.title}

{intro}

Check it:  tcnn exercise check {exercise.id}
A hint:    tcnn exercise hint {exercise.id}
Read:      {exercise.tutorial}
"""

'''
    imports = "".join(f"{line}\n" for line in exercise.imports) + sources.HEAD
    bodies = [narrowed(sources.skeleton(exercise.text(name))) for name in exercise.tasks]
    return head + imports + "".join("\n\n" + body for body in bodies)


def narrowed(text: str, width: int = WIDTH) -> str:
    r"""A function's text with its signature and docstring in lines of at most this width.

    >>> print(narrowed("def f(first: int, second: int) -> int:\n    pass\n", 32))
    def f(
        first: int, second: int
    ) -> int:
        pass
    <BLANKLINE>
    """
    (node,) = ast.parse(text).body
    lines = text.splitlines()
    start, end = node.body[0].lineno - 1, node.body[0].end_lineno or 0  # type: ignore[attr-defined]
    signature, docstring, body = lines[:start], lines[start:end], lines[end:]
    if isinstance(node, ast.FunctionDef) and any(len(line) > width for line in signature):
        signature = _signature(node, width)
    return "\n".join([*signature, *_narrowed(docstring, width), *body]) + "\n"


def _signature(node: ast.FunctionDef, width: int) -> list[str]:
    """The first lines of a function: its arguments on a line of their own, or each on one."""
    arguments = ast.unparse(node.args)
    if len(arguments) + 4 > width:
        arguments = re.sub(r", (?=\*{0,2}\w+(?:: |=|,|$))", ",\n    ", arguments) + ","
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return [f"def {node.name}(", *f"    {arguments}".splitlines(), f"){returns}:"]


def _narrowed(lines: list[str], width: int) -> list[str]:
    """A docstring's lines, its prose filled anew from each line on that is too long."""
    done: list[str] = []
    example = False
    while lines:
        line, *lines = lines
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if len(line) <= width:
            done.append(line)
            continue
        if example:
            done += _example(line, width)
            continue
        indent = hang = _indent(line)
        if lines and _indent(lines[0]) > indent:
            hang = _indent(lines[0])
        elif _ENTRY.match(line) and indent > 4:
            hang = indent + 4
        while lines and _indent(lines[0]) == hang and lines[0].strip(' "') and not _new(lines[0], hang == indent):
            line, lines = f"{line} {lines[0].strip()}", lines[1:]
        done += textwrap.wrap(
            line.strip(), width, initial_indent=" " * indent, subsequent_indent=" " * hang,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return done


def _example(line: str, width: int) -> list[str]:
    """A line of an example: its comment goes before it, its call goes on in further lines."""
    indent = " " * _indent(line)
    if not line.lstrip().startswith((">>> ", "... ")):  # what comes out
        return [line]
    code, mark, comment = line.partition("   # ")
    done = [f"{indent}>>> # {comment}"] if mark else []
    while len(code) > width:
        commas = [i + 1 for i in range(width) if code[i : i + 2] == ", " and _open(code[:i])]
        if not commas:
            break
        done.append(code[: commas[-1]])
        code = f"{indent}...     {code[commas[-1] :].strip()}"
    return [*done, code]


def _open(code: str) -> bool:
    """Whether a bracket is open at its end; where a line goes on, one is open from the beginning."""
    return sum((c in "([{") - (c in ")]}") for c in code) + code.lstrip().startswith("...") > 0


def _new(line: str, entries: bool) -> bool:
    """Whether a line begins something new although it is indented like the one before."""
    return line.lstrip().startswith(">>>") or (entries and bool(_ENTRY.match(line)))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
