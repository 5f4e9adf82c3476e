"""Looking over `fit`'s shoulder, and telling it to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.training.history import History, direction
from tinygrad_cnn.training.weights import arrays_of


@dataclass(frozen=True)
class Batch:
    """What a training step worked with.

    Attributes:
        x: (N, …) the inputs.
        y: (N, …) the targets.
        y_hat: What the model returned, without its graph; of several outputs the first.
        values: Loss and metrics of this batch alone.
    """

    x: Tensor
    y: Tensor
    y_hat: Any
    values: dict[str, float]


@dataclass
class Run:
    """A training run as callbacks see it.

    Attributes:
        model: The model.
        optimizer: Its optimizer.
        scheduler: The learning-rate schedule, or None.
        epochs: How many epochs there will be, counted from the very beginning.
        batches: Batches in an epoch; None if the loader does not say.
        epoch: The current epoch, from 1.
        batch: Batches of it that are done.
        step: Batches done since the very beginning.
        logs: In `on_batch_end`: averages over the epoch so far; in `on_epoch_end`: the epoch's record in the
            history, to which a callback may add.
        history: The finished epochs.
        last_batch: In `on_batch_end`: inputs, targets, outputs and values of the batch; None elsewhere.
        images_per_second: Training samples a second, in this epoch so far.
        seconds: Training time of this epoch so far, without pauses and the writing of checkpoints.
        validation_seconds: How long the last validation took.
        paused: Set it (another thread may) and training waits before its next batch, until it is unset, `stop` is
            called, or Ctrl-C comes.
        outcome: `"running"`; in `on_train_end` `"completed"`, `"stopped"`, `"interrupted"` or `"failed"`.
        stop_reason: Why a callback asked to stop; None if none did.
    """

    model: nn.Module
    optimizer: Any
    scheduler: Any = None
    epochs: int = 0
    batches: int | None = None
    epoch: int = 1
    batch: int = 0
    step: int = 0
    logs: dict[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)
    last_batch: Batch | None = None
    images_per_second: float = 0.0
    seconds: float = 0.0
    validation_seconds: float = 0.0
    paused: bool = False
    outcome: str = "running"
    stop_reason: str | None = None

    @property
    def lr(self) -> float:
        """The learning rate (of the optimizer's first group)."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def seconds_left(self) -> float | None:
        """At this epoch's speed, each validation like the last one; None where nobody knows how many batches remain."""
        if not self.batch or not self.batches:
            return None
        batches = self.batches * (self.epochs - self.epoch + 1) - self.batch
        return batches * self.seconds / self.batch + (self.epochs - self.epoch + 1) * self.validation_seconds

    def stop(self, reason: str) -> None:
        """End the training after this batch (at an epoch's end: after the epoch); the first reason counts."""
        self.stop_reason = self.stop_reason or reason


class Callback:
    """Base class: write the hooks you need.

    A callback whose `state_dict` is not empty is kept in checkpoints.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, run):
    ...         print(f"epoch {run.epoch} of {run.epochs}: {run.logs['loss']:.2f}!")
    """

    def on_train_begin(self, run: Run) -> None:
        """Before anything else, also before a checkpoint is loaded."""

    def on_epoch_begin(self, run: Run) -> None:
        """Before an epoch's first batch, or before its next one when training resumes in the middle of it."""

    def on_batch_end(self, run: Run) -> None:
        """After the weights were changed."""

    def on_wait(self, run: Run) -> None:
        """Again and again while training is paused (`run.paused`)."""

    def on_epoch_end(self, run: Run) -> None:
        """After validation and the schedule's step, before the checkpoint."""

    def on_train_end(self, run: Run) -> None:
        """At the very end, also after an error or Ctrl-C; `run.outcome` says which."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep: dicts, lists, numbers, strings, arrays."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` returned."""


class EarlyStopping(Callback):
    """Stop when a value has not improved for some epochs.

    Args:
        monitor: What to watch: a name in the history, such as `"val_loss"` or `"val_accuracy"`.
        patience: Epochs in a row without improvement after which training stops, at least 1.
        min_delta: An improvement must be larger than this.
        mode: `"min"`, `"max"`, or `"auto"`: larger is better for accuracies, smaller for everything else.
        restore_best: Give the model the weights of its best epoch when training ends (not after Ctrl-C or an
            error). Checkpoints hold the last epoch's, since training resumes from those.

    Attributes:
        best: The best value so far; None before the first epoch.
        best_epoch: When it was reached.
        wait: Epochs since then.

    Raises:
        ValueError: If an option makes no sense, or (at the end of the first epoch) if there is no such value.

    Source: Prechelt 1998, "Early stopping, but when?".
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = False,
    ) -> None:
        if not isinstance(patience, int) or patience < 1:
            raise ValueError(f"EarlyStopping: patience={patience!r} must be a whole number of epochs from 1 on")
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: min_delta={min_delta!r} must be at least 0")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.mode = direction(monitor, mode)
        self.restore_best = restore_best
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.wait = 0
        self._weights: dict[str, Any] | None = None

    def on_train_begin(self, run: Run) -> None:
        self._reset()

    def on_epoch_begin(self, run: Run) -> None:
        self._stop_if_due(run)  # a run that was stopped and is resumed stays stopped, unless patience was raised

    def on_epoch_end(self, run: Run) -> None:
        if self.monitor not in run.logs:
            advice = "; give fit a val_loader" if self.monitor.startswith("val_") else ""
            raise ValueError(f"EarlyStopping: there is no {self.monitor!r}, only {', '.join(run.logs)}{advice}")
        value = run.logs[self.monitor]
        if self._improved(value):
            self.best, self.best_epoch, self.wait = value, run.epoch, 0
            if self.restore_best:
                self._weights = {name: array.copy() for name, array in arrays_of(run.model).items()}
        else:
            self.wait += 1
        self._stop_if_due(run)

    def on_train_end(self, run: Run) -> None:
        if self._weights is not None and run.outcome in ("completed", "stopped"):
            run.model.load_state_dict(self._weights)

    def _improved(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self.best is None:
            return True
        gain = self.best - value if self.mode == "min" else value - self.best
        return gain > self.min_delta

    def _stop_if_due(self, run: Run) -> None:
        if self.wait >= self.patience:
            best = "it never was a number" if self.best is None else f"best {self.best:.4g} in epoch {self.best_epoch}"
            epochs = f"{self.wait} epoch{'s' * (self.wait != 1)}"
            run.stop(f"{self.monitor} has not improved for {epochs} ({best})")

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "wait": self.wait, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch, self.wait = state["best"], state["best_epoch"], state["wait"]
        self._weights = state["weights"]
