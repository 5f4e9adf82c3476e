"""A look at a student's file before it runs: is it Python, and does it import what would do the work for them?

Runs in the student's process, because a text can be made that takes Python's own parser down. Standard library only.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator, Sequence
from types import CodeType
from typing import Any

LIBRARY = "tinygrad_cnn"
OURS = "a part of the library that this exercise belongs to: write it yourself with NumPy"
#: Packages that have ready-made what the exercises are about.
READY_MADE = frozenset({
    "torch", "torchvision", "tensorflow", "jax", "jaxlib", "flax", "keras", "scipy", "cupy", "cupyx", "sklearn",
    "skimage", "cv2", "numba", "autograd", "mxnet", "mygrad", "tinygrad", "micrograd", "paddle", "theano", "pytensor",
    "chainer", "onnxruntime",
})  # fmt: skip
#: Modules with which the process could get around its limits.
INNER = frozenset({
    "_posixsubprocess", "_xxsubinterpreters", "_interpreters", "_posixshmem", "_testcapi", "_testinternalcapi",
})  # fmt: skip


def allowed(name: str, allow: Collection[str]) -> bool:
    """Whether a module, or a package it lies in, may be imported; of the library each room has to be named."""
    return any(name == a or (a != LIBRARY and name.startswith(a + ".")) for a in allow)


def refused(name: str, allow: Collection[str]) -> str:
    """What somebody does wrong who imports this module; empty if nothing."""
    root = name.partition(".")[0]
    if root in INNER:
        return f"imports {name}, an inner part of Python that an exercise has no use for"
    if (root not in READY_MADE and root != LIBRARY) or allowed(name, allow):
        return ""
    if root == LIBRARY:
        return f"imports {name}, {OURS}"
    return f"imports {name}: write it yourself with NumPy"


def look(
    source: bytes, path: str, allow: Collection[str], rooms: Collection[str]
) -> tuple[CodeType | None, dict[str, Any] | None]:
    """Compile a file, and find what is wrong with it without running it.

    Args:
        source: What it holds.
        path: Its name, for messages.
        allow: Modules that may be imported.
        rooms: Names of the library's modules, so that `from tinygrad_cnn import models` is known to be an import.

    Returns:
        The code, or a problem: its kind and what is known about it.
    """
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        with warnings.catch_warnings(action="ignore"):  # they have been printed
            tree = ast.parse(source, path)
    except SyntaxError as error:
        end = error.end_offset if error.end_lineno == error.lineno else None
        return None, _syntax(error.msg, error.lineno, error.offset, end, type(error).__name__)
    except (RecursionError, MemoryError):
        return None, _syntax("it is nested too deeply")
    except ValueError as error:
        return None, _syntax(str(error))
    for line, name in sorted(_imports(tree, rooms)):
        if does := refused(name, allow):
            if name.partition(".")[0] not in INNER:
                does += '; a comparison with it may stand below `if __name__ == "__main__":`'
            return None, {"kind": "forbidden", "does": does, "line": line}
    return code, None


def _syntax(
    text: str, line: int | None = None, column: int | None = None, end: int | None = None, type: str = ""
) -> dict[str, Any]:
    return {"kind": "syntax", "text": text, "line": line or 0, "column": column or 0, "end": end or 0, "type": type}


def _imports(tree: ast.Module, rooms: Collection[str]) -> Iterator[tuple[int, str]]:
    """The lines that import a module, and its name; without what runs only when the file is started by itself."""
    library = {LIBRARY}
    waiting: list[ast.AST] = [tree]
    for node in waiting:  # it grows
        if isinstance(node, ast.If) and _elsewhere(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
                if alias.name == LIBRARY:
                    library.add(alias.asname or alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
            if node.module == LIBRARY:
                yield from _rooms(node.lineno, [alias.name for alias in node.names], rooms)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in library:
            yield from _rooms(node.lineno, [node.attr], rooms)
        waiting += ast.iter_child_nodes(node)


def _rooms(line: int, names: Sequence[str], rooms: Collection[str]) -> Iterator[tuple[int, str]]:
    for name in names:
        if name in rooms:
            yield line, f"{LIBRARY}.{name}"


def _elsewhere(test: ast.expr) -> bool:
    """Whether a condition is `__name__ == "__main__"` or `TYPE_CHECKING`."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        both = [test.left, *test.comparators]
        names = [side.id for side in both if isinstance(side, ast.Name)]
        return names == ["__name__"] and any(isinstance(s, ast.Constant) and s.value == "__main__" for s in both)
    name = test.id if isinstance(test, ast.Name) else test.attr if isinstance(test, ast.Attribute) else ""
    return name == "TYPE_CHECKING"
