"""Count the lines of code a student has to read: no docstrings, comments or blank lines.

Three sums: the core (what an operation is, how it is computed, how gradients flow back), a tensor's methods and
operators, and all that a Tensor is made of.

python -m benchmarks.core_lines
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "tinygrad_cnn"

#: What an operation is, how it is computed, how gradients flow back: `autograd.py` and all that was split off from it.
CORE = (
    "shapes.py",
    "backends.py",
    "kernels/reference",
    "function.py",
    "ops",
    "grad_mode.py",
    "storage.py",
    "inplace.py",
    "explain.py",
    "autograd.py",
)

#: One line for each method and operator, mostly.
METHODS = ("methods",)

#: All that a Tensor is made of: with number formats, random numbers, the table of kernels and the optimizers' rules.
TENSOR = (*CORE, *METHODS, "dtypes.py", "random.py", "kernels/table.py", "kernels/optimizers.py")


def code_lines(source: str) -> int:
    r"""Lines that hold code.

    >>> code_lines("'Says hello.'\n\nx = 1  # why\n# a comment\n")
    1
    """
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and body:
            first = body[0]
            text = first.value if isinstance(first, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                documentation.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - documentation)


def count(name: str) -> int:
    """Code lines of a file or folder of the package."""
    path = PACKAGE / name
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return sum(code_lines(file.read_text(encoding="utf-8")) for file in files)


def total(names: tuple[str, ...]) -> int:
    """Code lines of several files and folders."""
    return sum(map(count, names))


def main() -> None:
    """Print a table of what a Tensor is made of, the three sums, and the whole package."""
    for name in TENSOR:
        print(f"{name:32}{count(name):6,}")
    print()
    print(f"{'core':32}{total(CORE):6,}")
    print(f"{'methods and operators':32}{total(METHODS):6,}")
    print(f"{'all that a Tensor is made of':32}{total(TENSOR):6,}")
    print(f"{'whole package':32}{count('.'):6,}")


if __name__ == "__main__":
    main()
