"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.backends import namespace
from tinygrad_cnn.optim.optimizer import Group, Optimizer, require


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted (rule: kernel `sgd_step`).

    Formula: `g = dw + weight_decay·w`, `v = momentum·v + (1 − dampening)·g`, `w = w − lr·v`;
    in the first step `v = g`.

    Args:
        params: Tensors or groups of tensors, see `Optimizer`.
        lr: Learning rate, at least 0.
        momentum: How much of the velocity v is kept from step to step, at least 0 (0.9 is common).
        dampening: How much of the gradient does not enter the velocity.
        weight_decay: Factor of the L2 penalty, at least 0.
        nesterov: Look ahead along the velocity; needs momentum and no dampening.
        maximize: Climb instead of descending.

    Raises:
        ValueError: If an option is out of range.

    Source: Robbins & Monro 1951; Sutskever, Martens, Dahl & Hinton 2013 for both momenta.

    >>> from tinygrad_cnn import nn, optim
    >>> w = nn.Parameter([4.0])
    >>> optimizer = optim.SGD([w], lr=0.25, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    ...     print(w.tolist())             # g = 8, v = 8; then g = 4, v = 0.5·8 + 4
    [2.0]
    [0.0]
    """

    state_arrays = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError if the options make no sense together."""
        at_least_0 = (lambda x: x >= 0, "at least 0")
        require(self.name, options, lr=at_least_0, momentum=at_least_0, weight_decay=at_least_0)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov=True needs momentum > 0 and dampening = 0, not momentum={options['momentum']}, "
                f"dampening={options['dampening']}"
            )

    def update(self, w: Any, dw: Any, state: dict[str, Any], group: Group) -> None:
        """Change one parameter's array in place; `state` keeps its velocity."""
        velocity, dampening = None, group["dampening"]
        if group["momentum"]:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = namespace(w).zeros_like(w)
                dampening = 0  # the first velocity is the whole gradient
            velocity = state["momentum_buffer"]
        kernels.sgd_step(
            w,
            dw,
            velocity,
            lr=float(group["lr"]),
            momentum=float(group["momentum"]),
            dampening=float(dampening),
            weight_decay=float(group["weight_decay"]),
            nesterov=group["nesterov"],
        )
