"""What a dashboard remembers of a training run: curves that never grow too long, and how each class is doing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.training import Batch, Run

LIMIT = 400  # points of a curve: more than a screen shows
SMOOTHING = 0.95  # the share of what was before in a running average
RECENT = 0.98  # likewise for the classes: the last 50 batches or so count


class Curves:
    """Rows of numbers; when there are too many, neighbours become their average.

    >>> curves = Curves(limit=2)
    >>> for step in range(1, 6):
    ...     curves.add(step, 10.0 * step)
    >>> curves.rows
    [(1.5, 15.0), (3.5, 35.0)]
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.rows: list[tuple[float, ...]] = []
        self._stride = 1  # rows that make one
        self._waiting: list[tuple[float, ...]] = []

    def add(self, *row: float) -> None:
        """Take in a row; the first number is the step."""
        self._waiting.append(row)
        if len(self._waiting) < self._stride:
            return
        if len(self.rows) == self.limit:
            self.rows = [_average(pair) for pair in zip(self.rows[::2], self.rows[1::2])]
            self._stride *= 2
            if len(self._waiting) < self._stride:
                return
        self.rows.append(_average(self._waiting))
        self._waiting = []

    def column(self, index: int) -> list[float]:
        """One number of every row."""
        return [row[index] for row in self.rows]


def _average(rows: Any) -> tuple[float, ...]:
    return tuple(sum(column) / len(rows) for column in zip(*rows))


class Smoothed:
    """A running average in which older numbers count less and less; the first number counts no more than others.

    Formula: `m ← βm + (1 − β)x`, divided by `1 − βⁿ` after n numbers.

    Source: Kingma & Ba 2015, "Adam", section 3 (the correction).

    >>> mean = Smoothed(0.5)
    >>> mean.add(4.0), mean.add(1.0)
    (4.0, 2.0)
    """

    def __init__(self, share: float = SMOOTHING) -> None:
        self._share, self._mean, self._weight = share, 0.0, 0.0

    def add(self, value: float) -> float:
        """Take in a number; returns the average so far. What is not a number is left out."""
        if math.isfinite(value):
            self._mean = self._share * self._mean + (1 - self._share) * value
            self._weight = self._share * self._weight + 1 - self._share
        return self._mean / self._weight if self._weight else math.nan


class Memory:
    """Everything a dashboard draws as a curve or counts.

    Attributes:
        metric: The metric that is drawn beside the loss; None if none is measured.
        curves: Rows (step, loss, smoothed loss, smoothed metric, learning rate).
        epochs: Per finished epoch: its step, and what the history says.
        right: (C,) how many of the recent samples of each class were recognised, weighted by how recent they are.
        total: (C,) how many there were.
    """

    STEP, LOSS, SMOOTH, METRIC, LR = range(5)

    def __init__(self) -> None:
        self.metric: str | None = None
        self.curves = Curves()
        self.epochs: list[dict[str, Any]] = []
        self.right, self.total = np.zeros(0), np.zeros(0)
        self._loss, self._metric = Smoothed(), Smoothed()

    def begin(self, run: Run) -> None:
        """An epoch begins; what a resumed run did before it is known from its history only."""
        known = len(self.epochs)
        for record in run.history.records[known:]:
            step = record["epoch"] * (run.batches or run.step / max(run.epoch - 1, 1))
            self.epochs.append({"step": step, **record})

    def batch(self, run: Run) -> None:
        """A batch is done."""
        batch = run.last_batch
        if batch is None:
            return
        if self.metric is None:
            names = [name for name in batch.values if name != "loss"]
            self.metric = next((name for name in names if name.endswith("accuracy")), next(iter(names), None))
        loss, metric = batch.values["loss"], batch.values.get(self.metric or "", math.nan)
        self.curves.add(run.step, loss, self._loss.add(loss), self._metric.add(metric), run.lr)
        self._count(batch)

    def epoch(self, run: Run) -> None:
        """An epoch is done."""
        self.epochs.append({"step": run.step, **run.logs})

    def _count(self, batch: Batch) -> None:
        scores, y = batch.y_hat, batch.y
        if not isinstance(scores, Tensor) or scores.ndim != 2 or y.ndim != 1 or y.dtype.kind not in "iu":
            return
        C = scores.shape[1]
        guesses, labels = scores.numpy().argmax(axis=1), y.numpy()
        if C < 2 or not labels.size or labels.min() < 0 or labels.max() >= C:
            return
        if self.total.shape != (C,):
            self.right, self.total = np.zeros(C), np.zeros(C)
        self.right = RECENT * self.right + np.bincount(labels[guesses == labels], minlength=C)
        self.total = RECENT * self.total + np.bincount(labels, minlength=C)
