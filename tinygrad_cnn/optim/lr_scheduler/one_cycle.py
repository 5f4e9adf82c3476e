"""One cycle: warm up to a large learning rate, then anneal to almost nothing."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler, attached, per_group
from tinygrad_cnn.optim.optimizer import Optimizer


class OneCycleLR(LRScheduler):
    """Raise the learning rate to `max_lr`, then lower it far below the start; momentum goes the other way.

    Call `step()` after every batch. The rates are `initial = max_lr / div_factor` → `max_lr` →
    `initial / final_div_factor`; in three phases → `max_lr` → `initial` → the end.

    Args:
        optimizer: Whose learning rates (and momentum or β₁) to change.
        max_lr: The largest learning rate; one number, or one a group.
        total_steps: Batches in the whole training; or give the next two.
        epochs: Epochs in the training.
        steps_per_epoch: Batches in an epoch.
        pct_start: The part of the steps in which the learning rate rises, 0 to 1.
        anneal_strategy: `"cos"` or `"linear"`.
        cycle_momentum: Lower momentum (SGD, RMSprop) or β₁ (Adam) while the learning rate rises.
        base_momentum: Its smallest value; one number, or one a group.
        max_momentum: Its largest value; one number, or one a group.
        div_factor: `max_lr` over the first learning rate.
        final_div_factor: The first learning rate over the last one.
        three_phase: Come down to the first learning rate as slowly as up, and only then further.
        last_epoch: See `LRScheduler`.

    Raises:
        ValueError: If an option is out of range, or more than `total_steps` steps are made.

    Source: Smith & Topin 2018, "Super-convergence: very fast training of neural networks using large learning
    rates".

    >>> from tinygrad_cnn import nn, optim
    >>> optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0, momentum=0.9)
    >>> scheduler = optim.lr_scheduler.OneCycleLR(
    ...     optimizer, max_lr=1.0, total_steps=5, pct_start=0.6, anneal_strategy="linear", div_factor=5
    ... )
    >>> for batch in range(4):
    ...     print(round(optimizer.param_groups[0]["lr"], 3), round(optimizer.param_groups[0]["momentum"], 3))
    ...     optimizer.step()
    ...     scheduler.step()
    0.2 0.95
    0.6 0.9
    1.0 0.85
    0.5 0.9
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        attached(self, optimizer)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start={pct_start} must be from 0 to 1: the part of rising steps")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'OneCycleLR: anneal_strategy={anneal_strategy!r} must be "cos" or "linear"')
        if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ValueError(
                f"OneCycleLR: {optimizer.name} has neither momentum nor betas to cycle; cycle_momentum=False"
            )
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.use_beta1 = "betas" in optimizer.defaults
        self.phases = _phases(float(pct_start), self.total_steps, three_phase)
        lrs = per_group("OneCycleLR: max_lr", max_lr, optimizer)
        lows = per_group("OneCycleLR: base_momentum", base_momentum, optimizer)
        highs = per_group("OneCycleLR: max_momentum", max_momentum, optimizer)
        if last_epoch == -1:
            for group, lr, low, high in zip(optimizer.param_groups, lrs, lows, highs):
                group["initial_lr"] = lr / div_factor
                group["max_lr"] = lr
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = high, low
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The learning rates for this batch; also writes the momentum that goes with them."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {self.last_epoch} is beyond total_steps={self.total_steps}; give the number of "
                "batches in the whole training (epochs · batches of an epoch)"
            )
        self._require_known_groups()
        begin = 0.0
        for phase in self.phases:
            end = phase["end_step"]
            if self.last_epoch <= end or phase is self.phases[-1]:
                break
            begin = end
        # a phase of one step is at its end at once
        part = (self.last_epoch - begin) / (end - begin) if end != begin else 1.0
        lrs = []
        for group in self.optimizer.param_groups:
            lrs.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], part))
            if self.cycle_momentum:
                momentum = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], part)
                if self.use_beta1:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return lrs

    def _between(self, start: float, end: float, part: float) -> float:
        """From start (part 0) to end (part 1)."""
        if self.anneal_strategy == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def _phases(pct_start: float, total: int, three_phase: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and which of a group's numbers it leads from and to."""
    up = _phase(pct_start * total - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return [up, _phase(total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    return [
        up,
        _phase(2 * pct_start * total - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
        _phase(total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
    ]


def _phase(end: float, lr: str, next_lr: str, momentum: str, next_momentum: str) -> dict[str, Any]:
    return {
        "end_step": end,
        "start_lr": lr,
        "end_lr": next_lr,
        "start_momentum": momentum,
        "end_momentum": next_momentum,
    }


def _total_steps(total: int | None, epochs: int | None, per_epoch: int | None) -> int:
    given = {"total_steps": total} if total is not None else {"epochs": epochs, "steps_per_epoch": per_epoch}
    steps = 1
    for name, value in given.items():
        if value is None:
            raise ValueError("OneCycleLR: give either total_steps, or both epochs and steps_per_epoch")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"OneCycleLR: {name} must be a whole number, at least 1, not {value!r}")
        steps *= value
    return steps
