"""The dashboard in a terminal: curves, classes and filters above the line that `ProgressBar` shows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.training import ProgressBar, Run
from tinygrad_cnn.training.timing import Budget
from tinygrad_cnn.viz.dashboard import charts, look
from tinygrad_cnn.viz.dashboard.memory import Memory

EVERY = 0.2  # seconds between two drawings
SHARE = 0.03  # of the training time, at most, for drawing
SMALLEST = (40, 10)  # columns and rows of a terminal; in smaller ones there is one line, as without a dashboard
WIDEST = 140  # columns that are used
BESIDE = 76  # columns from which the two charts stand side by side
TALLEST = 12  # rows of a chart
DETAILS = 7  # rows of classes and filters
CLASS = 24  # columns of a class
MANY = 20  # classes; of more, those that are recognised least
# Okabe and Ito's colours; the marks tell the curves apart, too
RAW, SMOOTH, VALIDATION = "#5b7f95", "bold #56b4e9", "bold #e69f00"


class TerminalDashboard(ProgressBar):
    """Show curves, the classes' accuracies and the first layer's filters in the terminal while training runs.

    As a `ProgressBar` does, it leaves a line an epoch behind, above the drawing; the last drawing stays. Where there
    is no terminal (a file, a pipe, a notebook) or a very small one, it is a `ProgressBar`. It takes at most 3 % of the
    time. Training gives the same numbers, bit for bit, with it and without.

    Args:
        console: A `rich.console.Console` to draw on; by default standard output.
        every_seconds: How often a plain line is printed within an epoch, where nothing can be drawn.
        validation: What to call the data behind the `val_` numbers; None for "validation".
        classes: The names of the classes; without them their numbers.
    """

    def __init__(
        self,
        console: Any = None,
        every_seconds: float = 30.0,
        validation: str | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(console, every_seconds=every_seconds, validation=validation)
        self.classes = None if classes is None else [str(name) for name in classes]
        self._reset()

    def _reset(self) -> None:
        self._memory = Memory()
        self._size: Any = None
        self._said: list[str] = []
        self._works, self._ended = True, False

    def on_train_begin(self, run: Run) -> None:
        super().on_train_begin(run)
        self._reset()
        self._stays = not (self.plain or self.console.is_jupyter)
        if self._stays:
            self._budget = Budget(EVERY, SHARE)

    def on_epoch_begin(self, run: Run) -> None:
        self._memory.begin(run)
        super().on_epoch_begin(run)

    def on_batch_end(self, run: Run) -> None:
        self._memory.batch(run)
        if self._live is not None and self.console.size != self._size:
            self._begin_anew(run)
        super().on_batch_end(run)

    def on_epoch_end(self, run: Run) -> None:
        self._memory.epoch(run)
        super().on_epoch_end(run)

    def on_train_end(self, run: Run) -> None:
        if self._live is not None and self._draws:
            self._live.transient = False
            self._ended = True
            self._live.update(self._line(run), refresh=True)
        super().on_train_end(run)

    def _open(self, run: Run) -> None:
        self._size = self.console.size
        super()._open(run)

    def _begin_anew(self, run: Run) -> None:
        """After a change of size: the terminal has broken lines, so that nobody knows how many there are to erase."""
        self._close()
        self.console.clear()
        for line in self._said[-self.console.height :]:
            super()._print(line[: self.console.width])
        self._open(run)

    def _print(self, text: str) -> None:
        self._said.append(text)
        super()._print(text)

    @property
    def _draws(self) -> bool:
        """Whether there is room for more than a line."""
        width, height = self.console.size
        return self._stays and self._works and width >= SMALLEST[0] and height >= SMALLEST[1]

    def _line(self, run: Run) -> Any:
        line = super()._line(run)
        if not self._draws:
            return line
        try:
            return self._drawing(run, line)
        except Exception as error:  # whatever it is, the training is worth more than its pictures
            self._works = False
            text = f"TerminalDashboard: no more drawings, only a line: {type(error).__name__}: {error}"
            warnings.warn(text, TinygradCnnWarning, stacklevel=2)
            return line

    def _drawing(self, run: Run, line: Any) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        width, rows = min(self.console.width - 1, WIDEST), self.console.height - 3  # a blank row, the line, the prompt
        plain = self.console.options.ascii_only
        beside = width >= BESIDE and self._memory.metric is not None
        stacked = not beside and self._memory.metric is not None and rows >= 2 * 8
        details = DETAILS + 2 if rows - (DETAILS + 2) >= (2 * 8 if stacked else 8) else 0
        height = min(TALLEST, (rows - details) // (2 if stacked else 1) - 1)
        parts: list[Any] = []
        if beside:
            half = (width - 2) // 2
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_row(self._loss(run, half, height, plain), self._metric(run, half, height, plain))
            parts.append(grid)
        else:
            parts.append(self._loss(run, width, height, plain))
            if stacked:
                parts.append(self._metric(run, width, height, plain))
        if details:
            parts.append(self._details(run, width, plain))
        return Group(*parts, *([] if self._ended else [Text(), line]))

    def _loss(self, run: Run, width: int, height: int, plain: bool) -> Any:
        record = self._memory
        lines = {
            "batch": charts.Line(self._points(record.LOSS), RAW, "."),
            "average": charts.Line(self._points(record.SMOOTH), SMOOTH, "*"),
            self.validation or "validation": self._measured("loss", plain),
        }
        return self._chart(run, "loss", lines, width, height, plain)

    def _metric(self, run: Run, width: int, height: int, plain: bool) -> Any:
        name = self._memory.metric or ""
        lines = {
            "training": charts.Line(self._points(self._memory.METRIC), SMOOTH, "*"),
            self.validation or "validation": self._measured(name, plain),
        }
        return self._chart(run, name.replace("_", " "), lines, width, height, plain)

    def _points(self, column: int) -> list[tuple[float, float]]:
        return [(row[Memory.STEP], row[column]) for row in self._memory.curves.rows]

    def _measured(self, name: str, plain: bool) -> charts.Line:
        records = [r for r in self._memory.epochs if isinstance(r.get(f"val_{name}"), int | float)]
        points = [(float(r["step"]), float(r[f"val_{name}"])) for r in records]
        return charts.Line(points, VALIDATION, "o" if plain else "●", joined=False)

    def _chart(self, run: Run, title: str, lines: dict[str, charts.Line], width: int, height: int, plain: bool) -> Any:
        from rich.text import Text

        shown = {name: line for name, line in lines.items() if line.points}
        head = Text(title, "bold", no_wrap=True, overflow="crop")
        for name, line in shown.items():
            mark = 2 * line.mark if line.joined and plain else "⠒⠒" if line.joined else line.mark
            head.append(f"  {mark} ", line.style)
            head.append(name, "not bold")
        head.truncate(width)
        end = f"{run.step / run.batches:.1f} epochs" if run.batches else f"{run.step} batches"
        ends = (f"lr {run.lr:.3g}", end)
        drawn = charts.chart(list(shown.values()), width, height, plain, ends, percent=title.endswith("accuracy"))
        return Text.assemble(head, "\n", drawn, no_wrap=True)

    def _details(self, run: Run, width: int, plain: bool) -> Any:
        from rich.table import Table
        from rich.text import Text

        classes, used = self._classes(width, plain)
        coloured = self.console.color_system in ("256", "truecolor") and not plain
        filters = charts.pictures(look.filters(run.model), width - used - 2, DETAILS, coloured)
        grid = Table.grid(padding=(0, 2, 0, 0))
        cells = [Text.assemble(("\n", ""), classes)] if used else []
        if filters.plain and width - used > 20:
            cells.append(Text.assemble("\n", ("first-layer filters\n", "bold"), filters, no_wrap=True))
        grid.add_row(*cells)
        return grid

    def _classes(self, width: int, plain: bool) -> tuple[Any, int]:
        """The classes in columns, and how many characters wide they are."""
        from rich.text import Text

        right, total = self._memory.right, self._memory.total
        shown = [c for c in range(len(total)) if total[c] > 0]
        title = "recognised, of recent images"
        if len(shown) > MANY:
            shown = sorted(shown, key=lambda c: right[c] / total[c])
            title = "recognised least, of recent images"
        rows = DETAILS - 2 if len(shown) <= 2 * (DETAILS - 2) else DETAILS
        columns = min(math.ceil(len(shown) / rows), max(width // CLASS, 1), 4)
        text = Text(title, "bold", no_wrap=True)
        for row in range(min(rows, len(shown))):
            text.append("\n")
            for c in shown[row : rows * columns : rows]:
                name = self.classes[c] if self.classes is not None and c < len(self.classes) else str(c)
                share = right[c] / total[c]
                text.append(f"{name[:7]:>7} ", "not bold")
                text.append(charts.bar(share, 8, plain), SMOOTH)
                text.append(f" {100 * share:3.0f} %  ", "dim not bold")
        return text, max(CLASS * columns, len(title)) if shown else 0
