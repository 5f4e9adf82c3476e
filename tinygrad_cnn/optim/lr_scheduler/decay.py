"""Schedules that depend on the epoch alone. Each changes the present learning rate, so that two can be chained."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Multiply the learning rate by `gamma` every `step_size` epochs.

    Formula: `lr = lr₀ · gammaᵏ` with `k = floor(epoch / step_size)`.

    Args:
        optimizer: Whose learning rates to change.
        step_size: Epochs between two changes.
        gamma: The factor.
        last_epoch: See `LRScheduler`.

    Raises:
        ValueError: If step_size is not a positive whole number.

    >>> from tinygrad_cnn import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [1.0]
    [0.5]
    [0.5]
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = _positive("StepLR", "step_size", step_size)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The learning rates for this epoch."""
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self.lrs()
        return [lr * self.gamma for lr in self.lrs()]


class MultiStepLR(LRScheduler):
    """Multiply the learning rate by `gamma` at each of some epochs.

    Formula: `lr = lr₀ · gammaᵏ`, k milestones being reached.

    Args:
        optimizer: Whose learning rates to change.
        milestones: The epochs; one that is given twice counts twice.
        gamma: The factor.
        last_epoch: See `LRScheduler`.

    >>> from tinygrad_cnn import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for epoch in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.5]
    [0.5]
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(int(m) for m in milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The learning rates for this epoch."""
        factor = self.gamma ** self.milestones.count(self.last_epoch)
        return [lr * factor for lr in self.lrs()]


class CosineAnnealingLR(LRScheduler):
    """Let the learning rate fall to `eta_min` along half a cosine.

    Formula: `lr = eta_min + (lr₀ − eta_min)·(1 + cos(π·epoch/T_max))/2`, computed from the last learning rate.

    Args:
        optimizer: Whose learning rates to change.
        T_max: Epochs until the minimum; after it the learning rate rises again.
        eta_min: The minimum.
        last_epoch: See `LRScheduler`.

    Raises:
        ValueError: If T_max is not a positive whole number.

    Source: Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation 5, without
    restarts.

    >>> from tinygrad_cnn import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> for epoch in range(4):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.8536
    0.5
    0.1464
    0.0
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = _positive("CosineAnnealingLR", "T_max", T_max)
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The learning rates for this epoch."""
        self._require_known_groups()
        t, T, low = self.last_epoch, self.T_max, self.eta_min
        if self._step_count == 1:  # the first one: what the optimizer was given
            return self.lrs()
        if (t - 1 - T) % (2 * T) == 0:  # the last one was the minimum: a factor cannot lead away from there
            return [lr + (base - low) * _height(T - 1, T) for lr, base in zip(self.lrs(), self.base_lrs)]
        factor = _height(t, T) / _height(t - 1, T)
        return [low + (lr - low) * factor for lr in self.lrs()]


def _height(t: int, T: int) -> float:
    """The cosine from 1 at t = 0 to 0 at t = T."""
    return (1 + math.cos(math.pi * t / T)) / 2


def _positive(name: str, what: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}: {what} must be a whole number of epochs, at least 1, not {value!r}")
    return value
