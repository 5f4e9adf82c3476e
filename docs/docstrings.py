"""Our docstrings as reStructuredText, for Sphinx.

They are written to be read in an editor: code between single backticks or indented behind an empty line, tables as in
Markdown, everything else plain text, in which `*`, `_` and `|` mean nothing.
"""

from __future__ import annotations

import re

# between backticks; in a doctest; indented behind an empty line; rows of a table
CODE = r"(`[^`]*`|^ *>>> .*(?:\n *\S.*)*|(?<=\n\n)    \S.*(?:\n(?:    .*)?)*|^\|.*\|(?:\n\|.*\|)+)"

# what a function returns: a line for each result, and those that go on are indented further
RESULTS = r"^Returns:\n(?:    .*\n?)+"


def restructured(text: str) -> str:
    r"""The text of a docstring, in which Sphinx reads no more than was meant.

    >>> print(restructured("Multiplies `x` by w_0, and `y`s by w_1*2."))
    Multiplies ``x`` by w\_0, and ``y``\ s by w\_1\*2.
    """
    text = re.sub(RESULTS, lambda found: re.sub(r"^ +", "    ", found[0], flags=re.M), text, flags=re.M)
    parts = re.split(CODE, text, flags=re.M)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"([*|_\\])", r"\\\1", parts[i])
        if i and parts[i - 1].startswith("`") and parts[i][:1].isalnum():
            parts[i] = "\\ " + parts[i]
    for i in range(1, len(parts), 2):
        if parts[i].startswith("`"):
            parts[i] = literal(parts[i])
        elif parts[i].startswith("|"):
            parts[i] = table(parts[i])
        elif parts[i].startswith("    ") and behind_text(parts[i], text):
            parts[i] = block(parts[i])
    return "".join(parts)


def behind_text(code: str, text: str) -> bool:
    """Whether it is a block of its own: no doctest, and not what goes on saying something about an argument."""
    return not code.lstrip().startswith(">>>") and bool(re.search(r"(^|\n)\S[^\n]*\n\n$", text[: text.index(code)]))


def literal(code: str) -> str:
    """What stands between backticks, in one line."""
    return re.sub(r"\s*\n\s*", " ", f"`{code}`")


def block(code: str) -> str:
    """A formula or program in lines of its own."""
    return f"::\n\n{code}"


def table(rows: str) -> str:
    """A table of Markdown as a list of lists."""
    header, _, *others = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows.split("\n"))
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *others):
        for place, cell in enumerate(row):
            lines.append(f"   {'* -' if place == 0 else '  -'} {restructured(cell)}".rstrip())
    return "\n".join([*lines, ""])
