"""Numbers and tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float) -> str:
    """Three digits that say something.

    >>> number(1234.5), number(56.78), number(4.004), number(0.0123)
    ('1,234', '56.8', '4.00', '0.012')
    """
    digits = next((digits for limit, digits in ((100, 0), (10, 1), (1, 2)) if abs(value) >= limit), 3)
    return f"{value:,.{digits}f}"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table whose first columns are words and the others numbers.

    >>> print(table(["what", "ms"], [["step", "4.00"]]))
    | what | ms |
    |---|---:|
    | step | 4.00 |
    <BLANKLINE>
    """
    ruler = ["---"] * left + ["---:"] * (len(heads) - left)
    rows = [f"|{'|'.join(ruler)}|", *(f"| {' | '.join(line)} |" for line in lines)]
    return "\n".join([f"| {' | '.join(heads)} |", *rows]) + "\n"
