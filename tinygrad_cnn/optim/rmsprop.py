"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.optim.optimizer import Group, Optimizer, require


class RMSprop(Optimizer):
    """The gradient divided by its running root mean square (rule: kernel `rmsprop_step`).

    Formula: `v = α·v + (1 − α)·g²`, `w = w − lr·g / (√v + ε)`.

    Args:
        params: Tensors or groups of tensors, see `Optimizer`.
        lr: Learning rate, at least 0.
        alpha: How much of the running mean square v is kept, at least 0.
        eps: Added to the root, at least 0.
        weight_decay: Factor of the L2 penalty, at least 0.
        momentum: How much of the last step is kept, at least 0.
        centered: Divide by the running standard deviation instead.
        maximize: Climb instead of descending.

    Raises:
        ValueError: If an option is out of range.

    Source: Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6.5.

    >>> from tinygrad_cnn import nn, optim
    >>> w = nn.Parameter([3.0])
    >>> optimizer = optim.RMSprop([w], lr=0.5, alpha=0.75)
    >>> (w * w).sum().backward()          # g = 6, v = 0.25·36, √v = 3
    >>> optimizer.step()
    >>> w.tolist()
    [2.0]
    """

    state_arrays = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError if the options make no sense together."""
        at_least_0 = (lambda x: x >= 0, "at least 0")
        names = ("lr", "eps", "momentum", "weight_decay", "alpha")
        require(self.name, options, **dict.fromkeys(names, at_least_0))

    def update(self, w: Any, dw: Any, state: dict[str, Any], group: Group) -> None:
        """Change one parameter's array in place; `state` keeps the running means."""
        wanted = {"square_avg": True, "momentum_buffer": group["momentum"] > 0, "grad_avg": group["centered"]}
        for key, use in wanted.items():
            if use and key not in state:
                state[key] = namespace(w).zeros_like(w)
        state["step"] = int(state.get("step", 0)) + 1
        kernels.rmsprop_step(
            w,
            dw,
            state["square_avg"],
            state["momentum_buffer"] if wanted["momentum_buffer"] else None,
            state["grad_avg"] if wanted["grad_avg"] else None,
            lr=float(group["lr"]),
            alpha=float(group["alpha"]),
            eps=float(group["eps"]),
            momentum=float(group["momentum"]),
            weight_decay=float(group["weight_decay"]),
        )
