"""The schedule that looks at how the training goes."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler, attached, per_group
from tinygrad_cnn.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Multiply the learning rate by `factor` when a measured value has not improved for `patience` epochs.

    Args:
        optimizer: Whose learning rates to change.
        mode: `"min"` if smaller is better (a loss), `"max"` if larger is (an accuracy).
        factor: The factor, below 1.
        patience: Epochs without improvement that are put up with.
        threshold: How much better than the best counts as an improvement.
        threshold_mode: `"rel"`: the threshold is a fraction of the best; `"abs"`: a difference.
        cooldown: Epochs after a change during which nothing is counted.
        min_lr: The learning rate never falls below it; one number, or one a group.
        eps: A change smaller than this is not made.

    Raises:
        ValueError: If an option is out of range.

    >>> from tinygrad_cnn import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.5, 2.1]:
    ...     scheduler.step(loss)
    ...     print(scheduler.get_last_lr())
    [1.0]
    [1.0]
    [1.0]
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        # not the base's: this schedule says nothing before the first measurement
        self.optimizer = attached(self, optimizer)
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor={factor} must be below 1, or the learning rate would grow")
        if mode not in ("min", "max"):
            raise ValueError(f'ReduceLROnPlateau: mode={mode!r} must be "min" or "max"')
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f'ReduceLROnPlateau: threshold_mode={threshold_mode!r} must be "rel" or "abs"')
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lr = min_lr
        per_group("ReduceLROnPlateau: min_lr", min_lr, optimizer)
        self.eps = eps
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self._last_lr = self.lrs()

    @property
    def in_cooldown(self) -> bool:
        """Whether the learning rate was changed only just now."""
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat) -> None:  # type: ignore[override]
        """Take note of the value measured after an epoch.

        Args:
            metrics: The loss or accuracy: a number or a tensor with one element.
        """
        current = float(metrics)
        self.last_epoch += 1
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self.lrs()

    def _is_better(self, current: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            wanted = self.best * (1 + sign * self.threshold)
        else:
            wanted = self.best + sign * self.threshold
        return sign * current > sign * wanted  # not a number is never better

    def _reduce(self) -> None:
        lows = per_group("ReduceLROnPlateau: min_lr", self.min_lr, self.optimizer)
        for group, low in zip(self.optimizer.param_groups, lows):
            lr = float(group["lr"])
            reduced = max(lr * self.factor, low)
            if lr - reduced > self.eps:
                group["lr"] = reduced

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue exactly here, as JSON knows it; no best value yet is None."""
        state = super().state_dict()
        return {**state, "best": None if math.isinf(self.best) else self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Raises:
            ValueError: If it is the state of another kind of scheduler.
        """
        super().load_state_dict(state_dict)
        if self.best is None:
            self.best = math.inf if self.mode == "min" else -math.inf
