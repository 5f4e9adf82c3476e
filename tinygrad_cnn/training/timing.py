"""When: when a checkpoint is due, when a schedule steps, and how fast training goes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.optim import lr_scheduler
from tinygrad_cnn.training import checkpoint


@dataclass
class Saver:
    """Where checkpoints go, and when one is due in the middle of an epoch."""

    directory: str | os.PathLike[str] | None
    every: int | None
    seconds: float | None
    keep: int
    newest: Path | None = None
    _when: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        for name in ("every", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"fit: checkpoint_{name}={value!r} must be above 0")
        if self.keep < 1:
            raise ValueError(f"fit: keep_checkpoints={self.keep!r} must be at least 1")

    def due(self, batch: int) -> bool:
        """Whether to write one after this batch."""
        if self.directory is None:
            return False
        late = self.seconds is not None and time.perf_counter() - self._when >= self.seconds
        return late or (self.every is not None and batch % self.every == 0)

    def save(self, model: nn.Module, **state: Any) -> None:
        """Write one, if there is a place for it."""
        if self.directory is not None:
            self.newest = checkpoint.save(self.directory, model, keep=self.keep, **state)
            self._when = time.perf_counter()


class Budget:
    """Lets something happen every so many seconds, and less often if it would take more than its share of the time.

    Args:
        every: Seconds between two times, at least.
        share: The largest share of all time that may go into it.
    """

    def __init__(self, every: float, share: float = 1.0) -> None:
        self.every, self.share = every, share
        self.restart(wait=0.0)

    def restart(self, wait: float | None = None) -> None:
        """Let so many seconds pass before the next time, `every` without a number."""
        self._next = time.perf_counter() + (self.every if wait is None else wait)

    def due(self) -> bool:
        """Whether it is time."""
        return time.perf_counter() >= self._next

    @contextlib.contextmanager
    def spending(self) -> Iterator[None]:
        """Around what happens: takes the time."""
        before = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - before
            self.restart(wait=max(self.every, took / self.share - took))


class Speed:
    """A stopwatch that can be stopped, and goes on from an earlier time."""

    def __init__(self, seconds: float, samples: int) -> None:
        self._earlier, self._samples = seconds, samples
        self._started = time.perf_counter()

    def seconds(self) -> float:
        """All the time, the earlier one included."""
        return self._earlier + time.perf_counter() - self._started

    def samples_per_second(self, samples: int) -> float:
        """Since this stopwatch was made."""
        return (samples - self._samples) / max(time.perf_counter() - self._started, 1e-9)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside the block does not count."""
        before = time.perf_counter()
        yield
        self._started += time.perf_counter() - before


def when_to_step(optimizer: Any, scheduler: Any, wish: str | None) -> str:
    """When to call `scheduler.step()`: the wish, or what the schedule is made for.

    Raises:
        ValueError: If that makes no sense.
    """
    if wish not in (None, "epoch", "batch"):
        raise ValueError(f'fit: step_scheduler={wish!r}; use "epoch", "batch" or None (what suits the schedule)')
    if scheduler is not None and getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError("fit: the scheduler belongs to another optimizer; make it with this one")
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) and wish == "batch":
        raise ValueError('fit: ReduceLROnPlateau looks at the values of an epoch; use step_scheduler="epoch"')
    return wish or ("batch" if isinstance(scheduler, lr_scheduler.OneCycleLR) else "epoch")
