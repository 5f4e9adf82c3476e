"""From the one source of an exercise, its solution, all that is made of it: the skeleton and the wrong versions.

A solution is a function of the library, named `package.module:function`, or one of a file in the exercise's own
folder, `solution.py:function`. What it calls of its own module comes along, so that its text stands alone.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

HEAD = "import numpy as np\n"
TODO = "# TODO: your code"
#: Names the library's annotations use, for a file that imports NumPy only.
ANNOTATIONS = {"Array": "np.ndarray", "Shape": "tuple[int, ...]", "Any": "object"}


class CatalogueError(ValueError):
    """An exercise whose files do not fit together; the message names the file and what to change."""


@functools.lru_cache(maxsize=256)
def module_text(place: str, folder: Path) -> tuple[str, str]:
    """The text of the module a solution lies in, and its file's name."""
    if place.endswith(".py"):
        path = folder / place
        if not path.exists():
            raise CatalogueError(f"{folder.name}: the solution's file {path} does not exist")
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except UnicodeDecodeError as error:
            raise CatalogueError(f"{path}: it is not UTF-8: {error}") from None
    try:
        module: ModuleType = importlib.import_module(place)
        return inspect.getsource(module), module.__file__ or place
    except Exception as error:
        raise CatalogueError(
            f"{folder.name}: the solution's module {place} cannot be imported: {type(error).__name__}: {error}"
        ) from None


@functools.lru_cache(maxsize=512)
def definition(solution: str, folder: Path) -> tuple[str, dict[str, str]]:
    """A solution's text, and the texts of what it uses of its own module, by name."""
    place, _, name = solution.partition(":")
    text, path = module_text(place, folder)
    parts: dict[str, ast.stmt] = {}
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise CatalogueError(f"{path}, line {error.lineno}: {error.msg}") from None
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            parts[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            parts[node.targets[0].id] = node
    if not isinstance(parts.get(name), ast.FunctionDef | ast.ClassDef):
        raise CatalogueError(f"{folder.name}: there is no function {name!r} in {place}, where its solution should be")
    if parts[name].body[0].lineno == parts[name].lineno:  # type: ignore[attr-defined]
        raise CatalogueError(f"{path}, line {parts[name].lineno}: write what {name} does on lines of its own")
    used: dict[str, str] = {}
    waiting = [name]
    while waiting:
        names = [node.id for node in ast.walk(parts[waiting.pop()]) if isinstance(node, ast.Name)]
        for found in names:
            if found in parts and found not in (name, "Array", *used):
                used[found] = segment(text, parts[found])
                waiting.append(found)
    ordered = {key: used[key] for key in parts if key in used}
    return segment(text, parts[name]), ordered


def segment(text: str, node: ast.stmt) -> str:
    """The lines of a definition, without decorators, with annotations that need no import but NumPy's."""
    code = "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]) + "\n"
    for name, plain in ANNOTATIONS.items():
        code = re.sub(rf"((?<=[:>\[,|] )|(?<=\[)){name}\b(?! [a-z])", plain, code)  # not "x: Any shape." in a docstring
    return code


@functools.lru_cache(maxsize=512)
def head_and_body(text: str) -> tuple[str, str]:
    """A function's signature with docstring, and its other lines."""
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    first = node.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    lines = text.splitlines()
    end = first.end_lineno if has_docstring else first.lineno - 1
    return "\n".join(lines[:end]) + "\n", "\n".join(lines[end:]) + "\n"


def skeleton(text: str) -> str:
    """A function with its signature and docstring, and a TODO for a body; a class with each method like this."""
    head, _ = head_and_body(text)
    (node,) = ast.parse(text).body
    if isinstance(node, ast.ClassDef):
        methods = [textwrap.dedent(segment(text, part)) for part in node.body if isinstance(part, ast.FunctionDef)]
        return head + "".join("\n" + textwrap.indent(skeleton(method), "    ") for method in methods)
    return head + f'    {TODO}\n    raise NotImplementedError("{node.name} is still to be written")\n'  # type: ignore[attr-defined]


def standalone(solutions: Mapping[str, str], folder: Path, changed: Mapping[str, str] | None = None) -> str:
    """The text of a file that defines all functions of an exercise; `changed` replaces the texts of some."""
    used: dict[str, str] = {}
    texts: list[str] = []
    for name, solution in solutions.items():
        text, helpers = definition(solution, folder)
        used |= helpers
        texts.append((changed or {}).get(name, text))
    return "\n\n".join([HEAD, *(v for k, v in used.items() if k not in solutions), *texts])


def compiled(text: str, name: str) -> Callable[..., Any]:
    """The function of this name that a text defines."""
    names: dict[str, Any] = {"__name__": "exercise"}
    exec(compile(text, f"<{name}>", "exec", dont_inherit=True), names)
    return names[name]


def with_changes(text: str, changes: Sequence[tuple[str, str]], place: str) -> str:
    """A function with each `find` replaced; each must occur exactly once below the docstring, apart from the others.

    Raises:
        CatalogueError: If it does not.
    """
    head, body = head_and_body(text)
    made, end = [], 0
    for find, replace in sorted(changes, key=lambda change: body.find(change[0])):
        if not find or body.count(find) != 1:
            raise CatalogueError(
                f"{place}: {find!r} occurs {body.count(find)} times in the solution; it must occur exactly once, so "
                "that the change is clear"
            )
        begin = body.index(find)
        if begin < end:
            raise CatalogueError(f"{place}: {find!r} overlaps with what another change replaces; make them one change")
        made += [body[end:begin], replace]
        end = begin + len(find)
    return head + "".join(made) + body[end:]


@functools.lru_cache(maxsize=128)
def words(text: str) -> frozenset[str]:
    """All names, keywords and numbers in a text."""
    return frozenset(re.findall(r"\w+", text))


def with_body(text: str, body: str) -> str:
    """A function with another body."""
    return head_and_body(text)[0] + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"
