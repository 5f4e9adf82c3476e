"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.optim.optimizer import Group, Optimizer, require


def _are_fractions(betas: Any) -> bool:
    return isinstance(betas, (tuple, list)) and len(betas) == 2 and all(0 <= b < 1 for b in betas)


class Adam(Optimizer):
    """Adaptive moments: each weight's step is scaled by the recent size of its gradient (kernel `adam_step`).

    Formula: `m = β₁·m + (1 − β₁)·g`, `v = β₂·v + (1 − β₂)·g²`,
    `w = w − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`.

    Args:
        params: Tensors or groups of tensors, see `Optimizer`.
        lr: Learning rate, at least 0: roughly the largest change of a weight in a step.
        betas: How much of the running means m and v is kept, each from 0 to below 1.
        eps: Added to the root, at least 0.
        weight_decay: Factor of the L2 penalty, at least 0; its gradient passes through m and v (AdamW's does not).
        amsgrad: Use the largest v so far instead of v.
        maximize: Climb instead of descending.

    Raises:
        ValueError: If an option is out of range.

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.

    >>> from tinygrad_cnn import nn, optim
    >>> w = nn.Parameter([1.0, 100.0])
    >>> optimizer = optim.Adam([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()                  # the first step has length lr for every weight
    >>> w.tolist()
    [0.75, 99.75]
    """

    state_arrays = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    #: AdamW shrinks the weights themselves instead of adding the penalty's gradient.
    decoupled = False

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas) if isinstance(betas, list) else betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError if the options make no sense together."""
        at_least_0 = (lambda x: x >= 0, "at least 0")
        betas = (_are_fractions, "two numbers from 0 to below 1")
        require(self.name, options, lr=at_least_0, eps=at_least_0, betas=betas, weight_decay=at_least_0)

    def update(self, w: Any, dw: Any, state: dict[str, Any], group: Group) -> None:
        """Change one parameter's array in place; `state` keeps the step number and the running means."""
        for key in self.state_arrays[: 3 if group["amsgrad"] else 2]:
            if key not in state:
                state[key] = namespace(w).zeros_like(w)
        state["step"] = int(state.get("step", 0)) + 1
        beta1, beta2 = group["betas"]
        kernels.adam_step(
            w,
            dw,
            state["exp_avg"],
            state["exp_avg_sq"],
            state["max_exp_avg_sq"] if group["amsgrad"] else None,
            step=state["step"],
            lr=float(group["lr"]),
            beta1=float(beta1),
            beta2=float(beta2),
            eps=float(group["eps"]),
            weight_decay=float(group["weight_decay"]),
            decoupled=self.decoupled,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: `w = (1 − lr·weight_decay)·w` before Adam's step.

    Args:
        params: Tensors or groups of tensors, see `Optimizer`.
        lr: Learning rate, at least 0.
        betas: How much of the running means is kept, each from 0 to below 1.
        eps: Added to the root, at least 0.
        weight_decay: How much of itself, times lr, a weight loses in a step, at least 0.
        amsgrad: Use the largest second moment so far.
        maximize: Climb instead of descending.

    Raises:
        ValueError: If an option is out of range.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2.

    >>> import numpy as np
    >>> from tinygrad_cnn import nn, optim
    >>> w = nn.Parameter([8.0])
    >>> optimizer = optim.AdamW([w], lr=0.5, weight_decay=0.5)
    >>> w.grad = np.array([3.0], dtype="float32")
    >>> optimizer.step()                  # 8 · (1 − 0.5·0.5) − 0.5
    >>> w.tolist()
    [5.5]
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
