"""A line that says how training is going: live on a terminal, sparse in a log file."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.training.callbacks import Callback, Run
from tinygrad_cnn.training.timing import Budget

_REDRAW_SECONDS = 0.1


class ProgressBar(Callback):
    """Show epoch, batch, loss, accuracy, images a second and the time left.

    On a terminal (or in a notebook) one line changes in place and leaves a summary behind at the end of each
    epoch. Elsewhere there is that summary, and in between a plain line now and then.

    Args:
        console: A `rich.console.Console` to print on; by default standard output.
        plain: True for plain lines, False for the live one; None decides by what the console is.
        every_seconds: How often a plain line is printed within an epoch.
        validation: What the lines call the data behind the `val_` numbers, say `"test"` for `test loss`; None
            leaves `val_loss` as it is.
    """

    _stays = False  # whether what is drawn stays open from one epoch to the next

    def __init__(
        self,
        console: Any = None,
        plain: bool | None = None,
        every_seconds: float = 30.0,
        validation: str | None = None,
    ) -> None:
        self.console = console
        self.plain = plain
        self.every_seconds = every_seconds
        self.validation = validation
        self._live: Any = None
        self._budget = Budget(every_seconds)

    def on_train_begin(self, run: Run) -> None:
        if self.console is None:
            from rich.console import Console

            self.console = Console(highlight=False)
        if self.plain is None:
            self.plain = not (self.console.is_terminal or self.console.is_jupyter)
        self._budget = Budget(self.every_seconds if self.plain else _REDRAW_SECONDS)
        self._budget.restart()

    def on_epoch_begin(self, run: Run) -> None:
        if not self.plain and self._live is None:
            self._open(run)

    def on_batch_end(self, run: Run) -> None:
        if self._live is not None:
            if self._budget.due() or (run.batch == run.batches and not self._stays):
                with self._budget.spending():
                    self._live.update(self._line(run), refresh=True)
        elif self._budget.due():
            self._budget.restart()
            self._print(
                f"epoch {run.epoch}/{run.epochs}  {self._position(run)}  {_numbers(run.logs)}  {self._speed(run)}"
            )

    def on_epoch_end(self, run: Run) -> None:
        if not self._stays:
            self._close()
        lines = self._summaries(run)
        if self.console.is_terminal:  # the longest that fits; files and pipes get everything
            lines = [line for line in lines if len(line) <= self.console.width] or lines[-1:]
        self._print(lines[0])

    def on_train_end(self, run: Run) -> None:
        self._close()
        if run.outcome == "stopped":
            self._print(f"stopped: {run.stop_reason}")

    def _summaries(self, run: Run) -> list[str]:
        """The line at the end of an epoch, and shorter ones for narrow terminals."""
        record = {self._called(name): value for name, value in run.logs.items() if name not in _NOT_SHOWN}
        epoch, time = f"epoch {run.epoch}/{run.epochs}", duration(run.logs["seconds"])
        lr, speed = f"lr {run.logs['lr']:.3g}", f"{run.logs['images_per_second']:,.0f} images/s"
        short = _numbers(record, short=True)
        rows = [[_numbers(record), lr, speed, time], [_numbers(record), lr, time], [_numbers(record), time]]
        lines = ["  ".join([epoch, *row]) for row in [*rows, [short, time], [short]]]
        return [*lines, lines[-1].replace("  ", " ")]

    def _called(self, name: str) -> str:
        if self.validation is None or not name.startswith("val_"):
            return name
        return f"{self.validation} {name.removeprefix('val_')}"

    def _open(self, run: Run) -> None:
        from rich.live import Live

        # redrawn by hand: a drawing thread would take the interpreter lock from the training
        self._live = Live(self._line(run), console=self.console, auto_refresh=False, transient=True)
        self._live.start()
        self._live.refresh()

    def _close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _line(self, run: Run) -> Any:
        from rich.progress_bar import ProgressBar as Bar
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 1, 0, 0))
        numbers = _numbers(run.logs, short=True)
        texts = [f"epoch {run.epoch}/{run.epochs}", self._position(run), numbers, self._speed(run)]
        width = min(30, max(4, self.console.width - 76))  # a line in 80 columns, with a loss and an accuracy
        if width + sum(1 + len(text) for text in texts) > self.console.width:
            texts[-1] = self._left(run)
        cells: list[Any] = [Text(text, no_wrap=True) for text in texts]
        if run.batches:
            cells.insert(1, Bar(total=run.batches, completed=run.batch, width=width))
        line.add_row(*cells)
        return line

    def _position(self, run: Run) -> str:
        return f"{run.batch}/{run.batches}" if run.batches else f"batch {run.batch}"

    def _speed(self, run: Run) -> str:
        speed = f"{run.images_per_second:,.0f} images/s" if run.images_per_second else ""
        return "  ".join(part for part in (speed, self._left(run)) if part)

    def _left(self, run: Run) -> str:
        return "" if run.seconds_left is None else f"ETA {duration(run.seconds_left)}"


_NOT_SHOWN = ("epoch", "lr", "seconds", "images_per_second")


def _numbers(values: dict[str, Any], short: bool = False) -> str:
    return "  ".join(f"{name} {_number(name, value, short)}" for name, value in values.items())


def _number(name: str, value: float, short: bool) -> str:
    if name.endswith("accuracy") and 0 <= value <= 1:
        return f"{100 * value:.1f} %" if short else f"{100 * value:.2f} %"
    return f"{value:.{3 if short else 4}f}" if 0.001 <= abs(value) < 1000 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds as people write them.

    >>> duration(3.21), duration(75), duration(7384)
    ('3.2 s', '1:15', '2:03:04')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
