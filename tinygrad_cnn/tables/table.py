"""A network's table: rows, totals, and how they look in a terminal, in Markdown, in HTML and as a dictionary."""

from __future__ import annotations

import dataclasses
import html
import io
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.shapes import Shape, Window

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Field:
    """What one output value sees of the image: pixels per axis, and the step from one value's field to the next's.

    The field of the first value begins at pixel `start`, which is negative if it begins in the padding; so value p
    sees the pixels from `start + p·step` on.

    Source: Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks", Distill.
    """

    size: tuple[int, ...] = (1, 1)
    step: tuple[int, ...] = (1, 1)
    start: tuple[int, ...] = (0, 0)

    @staticmethod
    def of_one(rank: int) -> Field:
        """What a value of the input itself sees, along so many axes; a vector has none."""
        return Field((1,) * rank, (1,) * rank, (0,) * rank)

    @staticmethod
    def widest(fields: Iterable[Field | None]) -> Field | None:
        """Behind a concatenation or a sum: as far as the widest of them, or all; None if that of one is not known."""
        fields = list(fields)
        known = [field for field in fields if field is not None]
        if ALL in known:
            return ALL
        return max(known, key=lambda field: field.size) if known and len(known) == len(fields) else None

    def through(self, window: Window) -> Field:
        """Behind one more window: `size += (span − 1)·step`, `start −= padding·step`, and `step *= stride`."""
        size = tuple(s + (span - 1) * step for s, span, step in zip(self.size, window.spans, self.step))
        field = self.padded([before for before, _ in window.pads])
        return Field(size, tuple(step * stride for step, stride in zip(self.step, window.stride)), field.start)

    def padded(self, before: Sequence[int]) -> Field:
        """Behind a border: so many values before the first one."""
        return Field(self.size, self.step, tuple(s - n * step for s, n, step in zip(self.start, before, self.step)))

    def __str__(self) -> str:
        return _short(self.size) if self != ALL else "all"


def _short(sizes: tuple[int, ...]) -> str:
    """One number where all are the same."""
    return "×".join(map(str, sizes if len(set(sizes)) > 1 else sizes[:1]))


ALL = Field((), (), ())  # behind a fully connected layer


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
        field: Receptive field of an output value in pixels of the input, the product of the strides up to here,
            which is the distance of the fields of neighbouring values, and where the first one begins; None where it
            cannot be known.
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
    ("stride", True, lambda row: "" if row.field is None else _short(row.field.step)),
    ("memory", True, lambda row: memory_text(row.memory) if row.memory else ""),
    ("connections", True, lambda row: _count(row.connections)),
)
# what a narrow terminal does without, in this order
DISPENSABLE = ("connections", "memory", "stride", "type", "field")


@dataclass(frozen=True)
class Summary:
    """The table of a model; `print` it (in a terminal it is as wide as that), or let a notebook show it.

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
        """The last line: `8 parameters (32 B), 8 connections, 6 multiply-adds and 20 B of outputs for one sample`."""
        return (
            f"{self.parameters:,} parameters ({memory_text(self.parameter_memory)}), {self.connections:,} connections, "
            f"{self.multiply_adds:,} multiply-adds and {memory_text(self.memory)} of outputs for one sample"
        )

    def __str__(self) -> str:
        return self.to_text(shutil.get_terminal_size().columns if sys.stdout.isatty() else None)

    def to_rich(self, columns: Sequence[str] | None = None) -> Table:
        """The table as rich prints it: `rich.print(table)` does so by itself.

        Args:
            columns: The headings to show; all by default.

        Raises:
            ValueError: If there is no such column.
        """
        from rich import box
        from rich.table import Table

        look: dict[str, Any] = {"box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False}
        table = Table(title=f"{self.title}\n", title_justify="left", title_style="bold", **look)
        headings, cells, right = self._cells(columns)
        for heading, at_right in zip(headings, right):
            table.add_column(heading, justify="right" if at_right else "left", no_wrap=True)
        for row in cells:
            table.add_row(*row)
        return table

    def __rich_console__(self, console: Any, options: Any) -> Iterable[Any]:
        yield from self._parts(options.max_width)

    def _parts(self, width: int | None, columns: Sequence[str] | None = None) -> Iterable[Any]:
        """The table, without the columns that do not fit, the totals and the notes."""
        from rich.console import Console
        from rich.text import Text

        table, wide = self.to_rich(columns), Console(width=1000)
        shown, rest = [heading for heading, *_ in COLUMNS], list(DISPENSABLE)
        while width is not None and columns is None and rest and wide.measure(table).maximum > width:
            shown.remove(rest.pop(0))
            table = self.to_rich(shown)
        yield table
        for text in ("", self.totals, *self.notes):
            yield Text(textwrap.fill(text, width or 1000))

    def to_text(self, width: int | None = None, columns: Sequence[str] | None = None) -> str:
        """The table for a terminal.

        Args:
            width: Characters in a line; columns that do not fit are left out, the least important first. None: as
                wide as it comes out.
            columns: The headings to show, whatever the width: `("layer", "output", "parameters", "connections")`.

        Raises:
            ValueError: If there is no such column.
        """
        from rich.console import Console

        out = io.StringIO()
        console = Console(file=out, width=1000, color_system=None, legacy_windows=False)
        for part in self._parts(width, columns):
            console.print(part, soft_wrap=True)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings, lists and dictionaries, for JSON or a data frame.

        >>> from tinygrad_cnn import nn, tables
        >>> tables.summary(nn.Linear(3, 2), (3,)).to_dict()["rows"][1]["parameters"]
        8
        """
        rows = []
        for row in self.rows:
            values = dataclasses.asdict(row) | {"output": list(row.output)}
            del values["field"]
            values["receptive_field"] = None if row.field is None else list(row.field.size) or "all"
            values["stride_product"] = None if row.field is None else list(row.field.step)
            rows.append(values)
        totals = {name: getattr(self, name) for name in ("parameters", "parameter_memory", "multiply_adds")}
        more = {"connections": self.connections, "memory": self.memory, "notes": list(self.notes)}
        return {"title": self.title, "rows": rows, **totals, **more}

    def to_markdown(self, columns: Sequence[str] | None = None) -> str:
        """The table in Markdown, as GitHub and notebooks show it.

        Args:
            columns: The headings to show; all by default.

        Raises:
            ValueError: If there is no such column.

        >>> from tinygrad_cnn import models, tables
        >>> text = tables.summary(models.LeNet5("1998"), depth=1).to_markdown(["layer", "output", "parameters"])
        >>> print(text[len("**LeNet5**") :].partition("60,000")[0].strip())
        | layer | output | parameters |
        | --- | --- | --: |
        | input | 1×28×28 |  |
        | features | 120×1×1 | 49,836 |
        | classifier | 10 | 10,164 |
        """
        headings, cells, right = self._cells(columns)
        bars = ["--:" if at_right else "---" for at_right in right]
        lines = [
            f"| {' | '.join(row)} |"
            for row in (headings, bars, *([c.replace("|", "\\|") for c in row] for row in cells))
        ]
        return "\n".join([f"**{self.title}**", "", *lines, "", f"{self.totals}", *(f"\n{note}" for note in self.notes)])

    def to_html(self, columns: Sequence[str] | None = None) -> str:
        """The table in HTML.

        Args:
            columns: The headings to show; all by default.

        Raises:
            ValueError: If there is no such column.
        """
        headings, cells, right = self._cells(columns)
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

    def _cells(self, columns: Sequence[str] | None = None) -> tuple[list[str], list[list[str]], list[bool]]:
        """Headings, the rows' texts, and which columns stand at the right."""
        known = {heading: (at_right, text) for heading, at_right, text in COLUMNS}
        headings = list(known) if columns is None else list(columns)
        if missing := [heading for heading in headings if heading not in known]:
            raise ValueError(f"there is no column {missing[0]!r}; there is {', '.join(known)}")
        cells = [[known[heading][1](row) for heading in headings] for row in self.rows]
        return headings, cells, [known[heading][0] for heading in headings]


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
