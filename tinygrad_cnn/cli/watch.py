"""Ways to watch a training: a line or a dashboard in the terminal, a page in the browser, a log for TensorBoard."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.console import console, fail, quoted, wrong

if TYPE_CHECKING:
    from tinygrad_cnn.data import DataSplit
    from tinygrad_cnn.training import Callback

SHOWN = 10  # test images on the page
LOG = "tensorboard"  # in the run directory


@dataclass(frozen=True)
class Watch:
    """How somebody wants to watch; none of it changes what is learned.

    Attributes:
        live: Curves in the terminal.
        dashboard: A page in the browser.
        port: Where it is served; None for any free port.
        open_browser: Open it, too.
        tensorboard: A log in the run directory.
    """

    live: bool = False
    dashboard: bool = False
    port: int | None = None
    open_browser: bool = False
    tensorboard: bool = False

    def check(self) -> None:
        """Ends the command if something is missing, before a run directory is made."""
        if (self.port is not None or self.open_browser) and not self.dashboard:
            wrong(f"{'--open' if self.port is None else '--port'} belongs to --dashboard; give that, too")
        if self.tensorboard:
            from tinygrad_cnn.training import TensorBoard

            TensorBoard(LOG)  # an ImportError if its package is not there; writes nothing yet

    @contextlib.contextmanager
    def page(self, split: DataSplit, watched: str) -> Iterator[list[Callback]]:
        """The page, served inside the block, if it is wanted: a list of one callback or none."""
        if not self.dashboard:
            yield []
            return
        from tinygrad_cnn.viz import Dashboard

        examples = list(itertools.islice(split.test, SHOWN))
        dashboard = Dashboard(
            self.port or 0,
            images=[x for x, _ in examples],
            labels=[int(y) for _, y in examples],
            classes=split.classes,
            validation=watched,
            open_browser=self.open_browser,
        )
        try:
            dashboard.start()
        except OSError as error:
            fail(error.strerror or str(error))
        try:
            yield [dashboard]
        finally:
            dashboard.close()

    def facts(self, run: Path) -> dict[str, str]:
        """What to tell at the beginning."""
        return {"TensorBoard": f"tensorboard --logdir {quoted(run / LOG)}"} if self.tensorboard else {}

    def callbacks(self, run: Path, split: DataSplit, watched: str) -> list[Callback]:
        """What else to give to `fit`.

        Args:
            run: The run directory.
            split: The data.
            watched: What the `val_` numbers are measured on.
        """
        from tinygrad_cnn import training

        line: Any = training.ProgressBar(console(), validation=watched)
        if self.live:
            from tinygrad_cnn.viz import TerminalDashboard

            line = TerminalDashboard(console(), validation=watched, classes=split.classes)
        if not self.tensorboard:
            return [line]
        from tinygrad_cnn.viz.dashboard import look

        pictures = {"filters": lambda run: look.enlarged(look.mosaic(look.filters(run.model)))}
        return [training.TensorBoard(run / LOG, images=pictures), line]
