"""Count the lines of code a student has to read: no docstrings, comments or blank lines.

python -m benchmarks.core_lines
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "tinygrad_cnn"

#: The core: all that a Tensor is made of.
CORE = (
    "shapes.py",
    "dtypes.py",
    "backends.py",
    "random.py",
    "kernels/table.py",
    "kernels/reference",
    "kernels/optimizers.py",
    "function.py",
    "ops",
    "methods.py",
    "grad_mode.py",
    "storage.py",
    "inplace.py",
    "explain.py",
    "autograd.py",
)


#: What an operation is, how it is computed and how gradients flow back.
OPERATIONS_AND_GRAPH = ("shapes.py", "backends.py", "function.py", "autograd.py", "ops", "kernels/reference")


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


def count(names: tuple[str, ...] = CORE) -> dict[str, int]:
    """Code lines of each file or folder of the package."""
    counts = {}
    for name in names:
        path = PACKAGE / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        counts[name] = sum(code_lines(file.read_text(encoding="utf-8")) for file in files)
    return counts


def main() -> None:
    """Print a table of the core, and the sum for the whole package."""
    counts = count()
    for name, lines in counts.items():
        print(f"{name:24}{lines:6,}")
    print(f"{'core':24}{sum(counts.values()):6,}")
    print(f"{'operations and graph':24}{sum(count(OPERATIONS_AND_GRAPH).values()):6,}")
    print(f"{'whole package':24}{count(('.',))['.']:6,}")


if __name__ == "__main__":
    main()
