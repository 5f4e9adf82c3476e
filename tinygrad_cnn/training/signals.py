"""Ctrl-C and SIGTERM as a question the training loop asks between batches, so that nothing is torn."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from tinygrad_cnn.training.history import History


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended `fit`; it is a KeyboardInterrupt, so that programs end as Python programs do.

    Attributes:
        signum: The signal's number (2 for Ctrl-C, 15 for SIGTERM).
        history: The finished epochs.
        checkpoint: What `fit(…, resume=True)` continues from; None without a checkpoint directory.
    """

    def __init__(self, signum: int, history: History, checkpoint: Path | None) -> None:
        where = f"resume from {checkpoint}" if checkpoint else "no checkpoint_dir was given, so nothing was saved"
        done = f"{len(history)} epoch{'s' * (len(history) != 1)}"
        super().__init__(f"training was interrupted by {signal.Signals(signum).name} after {done}; {where}")
        self.signum = signum
        self.history = history
        self.checkpoint = checkpoint

    @property
    def exit_code(self) -> int:
        """What a program ends with by convention: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.signum


class Signals:
    """Inside the block the first Ctrl-C or SIGTERM is only remembered; a second one ends the program.

    Signals that the program ignores stay ignored (`nohup`, background jobs). Outside the main thread, where
    Python cannot handle signals, the block changes nothing.

    Attributes:
        received: The signal's number; None if there was none.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                # None: a handler written in another language, which could not be restored
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *error: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
