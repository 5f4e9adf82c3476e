"""A network's table: rows, totals, and how they look as text, Markdown and HTML."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn.shapes import Shape, Window


@dataclass(frozen=True)
class Field:
    """What one output value sees of the image: pixels per axis, and the step from one value's field to the next's."""

    size: tuple[int, ...] = (1, 1)
    step: tuple[int, ...] = (1, 1)

    def through(self, window: Window) -> Field:
        """Behind one more window: `size += (span − 1) · step`, and the step grows by the window's stride."""
        size = tuple(s + (span - 1) * step for s, span, step in zip(self.size, window.spans, self.step))
        return Field(size, tuple(step * stride for step, stride in zip(self.step, window.stride)))

    def __str__(self) -> str:
        if self == ALL:
            return "all"
        return "×".join(map(str, self.size if len(set(self.size)) > 1 else self.size[:1]))


ALL = Field((), ())  # behind a fully connected layer


@dataclass(frozen=True)
class Row:
    """One layer; sizes are for one sample, without the batch axis.

    Attributes:
        name: Its path in the model, `features.conv1`.
        kind: Its class.
        output: Shape of its output.
        weights: How the number of parameters comes about: `16 × (6·5·5 + 1)`.
        parameters: How many numbers it learns; 0 for a layer that shares those of an earlier row.
        connections: Output values times the inputs each is connected to, the bias counted as one.
        multiply_adds: Multiplications with an addition; None where they cannot be known (a layer of your own).
        field: Receptive field of an output value in pixels of the input; None where it cannot be known.
        memory: Bytes of its output.
    """

    name: str
    kind: str
    output: Shape
    weights: str = ""
    parameters: int = 0
    connections: int | None = 0
    multiply_adds: int | None = 0
    field: Field | None = None
    memory: int = 0


# heading, whether numbers stand at the right, text of a row's cell
COLUMNS: tuple[tuple[str, bool, Any], ...] = (
    ("layer", False, lambda row: row.name),
    ("type", False, lambda row: row.kind),
    ("output", False, lambda row: "×".join(map(str, row.output)) or "scalar"),
    ("weights", False, lambda row: row.weights),
    ("parameters", True, lambda row: f"{row.parameters:,}" if row.parameters else ""),
    ("mult-adds", True, lambda row: _count(row.multiply_adds)),
    ("field", True, lambda row: "?" if row.field is None else str(row.field)),
    ("memory", True, lambda row: memory_text(row.memory) if row.memory else ""),
    ("connections", True, lambda row: _count(row.connections)),
)
# what a narrow terminal does without, in this order
DISPENSABLE = ("connections", "memory", "type", "field")


@dataclass(frozen=True)
class Summary:
    """The table of a model; `print` it, or let a notebook show it.

    Attributes:
        title: The model's class.
        rows: The input, then one row per layer in the order of the forward pass.
        parameters: Numbers the model learns, shared ones counted once.
        parameter_memory: Their bytes.
        notes: What the table cannot show, in sentences.
    """

    title: str
    rows: tuple[Row, ...]
    parameters: int
    parameter_memory: int
    notes: tuple[str, ...] = ()

    @property
    def multiply_adds(self) -> int:
        """Multiplications (each with an addition) of one forward pass of one sample."""
        return sum(row.multiply_adds or 0 for row in self.rows)

    @property
    def connections(self) -> int:
        """Connections of all layers."""
        return sum(row.connections or 0 for row in self.rows)

    @property
    def memory(self) -> int:
        """Bytes of all outputs of one sample."""
        return sum(row.memory for row in self.rows)

    @property
    def totals(self) -> str:
        """The last line: `61,706 parameters (247 kB), 416,520 multiply-adds and 54 kB of outputs for one sample`."""
        return (
            f"{self.parameters:,} parameters ({memory_text(self.parameter_memory)}), {self.multiply_adds:,} "
            f"multiply-adds and {memory_text(self.memory)} of outputs for one sample"
        )

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, width: int | None = None) -> str:
        """The table for a terminal.

        Args:
            width: Characters in a line; columns that do not fit are left out, the least important first.
        """
        leave: list[str] = ["connections"] if width is None else []
        while True:
            headings, cells, right = self._cells(leave)
            widths = [max(map(len, column)) for column in zip(headings, *cells)]
            rest = [name for name in DISPENSABLE if name not in leave]
            if width is None or sum(widths) + 2 * (len(widths) - 1) <= width or not rest:
                break
            leave.append(rest[0])
        lines = [
            "  ".join(
                cell.rjust(n) if at_right else cell.ljust(n) for cell, n, at_right in zip(row, widths, right)
            ).rstrip()
            for row in (headings, *cells)
        ]
        rule = "─" * max(map(len, lines))
        below = [textwrap.fill(text, width or 1000) for text in (self.totals, *self.notes)]
        return "\n".join([self.title, "", lines[0], rule, *lines[1:], rule, *below])

    def to_markdown(self) -> str:
        """The table in Markdown, as GitHub and notebooks show it."""
        headings, cells, right = self._cells()
        bars = ["--:" if at_right else "---" for at_right in right]
        lines = [
            f"| {' | '.join(row)} |"
            for row in (headings, bars, *([c.replace("|", "\\|") for c in row] for row in cells))
        ]
        return "\n".join([f"**{self.title}**", "", *lines, "", f"{self.totals}", *(f"\n{note}" for note in self.notes)])

    def to_html(self) -> str:
        """The table in HTML."""
        headings, cells, right = self._cells()
        head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in headings)
        sides = ["right" if at_right else "left" for at_right in right]
        body = ""
        for row in cells:
            data = (f'<td style="text-align: {side}">{html.escape(cell)}</td>' for cell, side in zip(row, sides))
            body += f"<tr>{''.join(data)}</tr>\n"
        below = "<br>".join(html.escape(line) for line in (self.totals, *self.notes))
        return (
            f"<table>\n<caption>{html.escape(self.title)}</caption>\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{body}</tbody>\n</table>\n<p>{below}</p>"
        )

    def _repr_html_(self) -> str:
        return self.to_html()

    def _cells(self, leave: Sequence[str] = ()) -> tuple[list[str], list[list[str]], list[bool]]:
        columns = [column for column in COLUMNS if column[0] not in leave]
        cells = [[text(row) for _, _, text in columns] for row in self.rows]
        return [name for name, *_ in columns], cells, [at_right for _, at_right, _ in columns]


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}" if number else ""


def memory_text(size: int) -> str:
    """Bytes as people read them.

    >>> memory_text(18_816), memory_text(243_860_896)
    ('18.8 kB', '244 MB')
    """
    number = float(size)
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.95 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
