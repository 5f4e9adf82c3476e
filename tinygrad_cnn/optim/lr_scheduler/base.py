"""What all learning-rate schedulers share."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn.arguments import warn
from tinygrad_cnn.optim.optimizer import Optimizer
from tinygrad_cnn.optim.saving import plain


class LRScheduler:
    """Base class: counts epochs and writes a new `lr` into every group of the optimizer.

    Make it before the optimizer's state is loaded, since it writes the first learning rates. To continue a training,
    load both states.

    A subclass writes `get_lr`. All attributes but `optimizer` must be plain values (numbers, strings, lists, dicts):
    they are the state that is saved.

    Args:
        optimizer: Whose learning rates to change.
        last_epoch: The number of the last epoch done, to continue without a saved state; −1 starts anew.

    Attributes:
        last_epoch: How many steps were made.
        base_lrs: The learning rates at the beginning, one a group.

    Raises:
        TypeError: If `optimizer` is none.
        KeyError: If `last_epoch` is given for an optimizer that never had a scheduler.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = attached(self, optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: last_epoch={last_epoch} continues a training, but group {i} of the "
                    "optimizer has no initial_lr; load the optimizer's state first, or leave last_epoch out"
                )
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._last_lr: list[float] = []
        self.step()  # the first epoch's learning rate

    def get_lr(self) -> list[float]:
        """The learning rates for epoch `last_epoch`, one a group; reads the present ones from the optimizer."""
        raise NotImplementedError(f"{type(self).__name__} does not say what the learning rate is; write its get_lr()")

    def get_last_lr(self) -> list[float]:
        """The learning rates now, one a group."""
        return list(self._last_lr)

    def step(self) -> None:
        """Go on to the next epoch (or batch, as the scheduler means it)."""
        # a subclass of Optimizer with a step of its own does not count
        counts = type(self.optimizer).step is Optimizer.step
        if self._step_count == 1 and counts and self.optimizer._step_count == 0:
            warn(
                f"{type(self).__name__}.step() was called before any optimizer.step(): the first learning rate of "
                "the schedule is skipped; call optimizer.step() first",
                stacklevel=2,
            )
        self._step_count += 1
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _require_known_groups(self) -> None:
        if len(self.optimizer.param_groups) != len(self.base_lrs):
            raise ValueError(
                f"{type(self).__name__} was made for {len(self.base_lrs)} parameter group(s), the optimizer now has "
                f"{len(self.optimizer.param_groups)}; make a new scheduler after add_param_group"
            )

    def lrs(self) -> list[float]:
        """The learning rates in the optimizer at this moment."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue exactly here, as JSON knows it. Save the optimizer's state as well."""
        return {key: plain(value) for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; the learning rates themselves come with the optimizer's state.

        Raises:
            ValueError: If it is the state of another kind of scheduler.
        """
        own = [key for key in vars(self) if key != "optimizer"]
        missing = [key for key in own if key not in state_dict]
        unknown = [key for key in state_dict if key not in own]
        if missing or unknown:
            raise ValueError(
                f"{type(self).__name__}: this state does not fit (nothing was changed): it lacks "
                f"{', '.join(missing) or 'nothing'} and has unknown {', '.join(unknown) or 'nothing'}; "
                "make the same kind of scheduler as the one that was saved"
            )
        if len(state_dict["_last_lr"]) != len(self.optimizer.param_groups):
            raise ValueError(
                f"{type(self).__name__}: this state is for {len(state_dict['_last_lr'])} parameter group(s), the "
                f"optimizer has {len(self.optimizer.param_groups)}; add the groups before making the scheduler"
            )
        vars(self).update(plain(state_dict))


def attached(scheduler: Any, optimizer: Any) -> Optimizer:
    """The optimizer, if it is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(scheduler).__name__}: optimizer must be an Optimizer, not {type(optimizer).__name__}")
    return optimizer


def per_group(what: str, value: Any, optimizer: Optimizer) -> list[float]:
    """One number for all groups, or a list with one a group, as a list."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [float(value)] * groups
    if len(value) != groups:
        raise ValueError(f"{what} must be one number or {groups} (one for each parameter group), not {len(value)}")
    return [float(v) for v in value]
