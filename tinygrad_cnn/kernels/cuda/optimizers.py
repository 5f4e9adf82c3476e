"""The optimizers' rules, one kernel for each parameter: the arrays are read and written once.

The numbers (learning rate, momentum, …) are arguments, so that a schedule compiles nothing anew.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.kernels.cuda.each import Each, taken
from tinygrad_cnn.kernels.table import kernel

Array = Any

#: The gradient with the penalty's; 0·w would make NaN of an infinite weight.
GRADIENT = "T g = weight_decay != 0 ? dw + weight_decay * w : dw;"

sgd = Each("T dw, T lr, T weight_decay", "T w", GRADIENT + "w -= lr * g", name="sgd_step")
sgd_momentum = Each(
    "T dw, T lr, T weight_decay, T momentum, T fresh, bool nesterov", "T w, T velocity",
    GRADIENT + """
    velocity = momentum * velocity + fresh * g;
    w -= lr * (nesterov ? g + momentum * velocity : velocity)
    """,
    name="sgd_momentum_step",
)  # fmt: skip
# 1 − β comes as a number of its own: in single precision, 1 − 0.999 has lost three digits
ADAM = f"""
    {GRADIENT}
    w *= shrink;
    m = beta1 * m + fresh1 * g;
    v = beta2 * v + fresh2 * g * g;
"""
ADAMS = "T dw, T lr, T beta1, T fresh1, T beta2, T fresh2, T eps, T weight_decay, T shrink, T unbiased1, T unbiased2"
adam = Each(
    ADAMS, "T w, T m, T v",
    ADAM + "w -= lr * (m / unbiased1) / (sqrt(v / unbiased2) + eps)",
    name="adam_step",
)  # fmt: skip
amsgrad = Each(
    ADAMS, "T w, T m, T v, T v_max",
    ADAM + "v_max = v > v_max || v != v ? v : v_max;  w -= lr * (m / unbiased1) / (sqrt(v_max / unbiased2) + eps)",
    name="amsgrad_step",
)  # fmt: skip
rmsprop = Each(
    "T dw, T lr, T alpha, T fresh, T eps, T weight_decay", "T w, T v",
    GRADIENT + """
    v = alpha * v + fresh * g * g;
    w -= lr * g / (sqrt(v) + eps)
    """,
    name="rmsprop_step",
)  # fmt: skip


@kernel("sgd_step", backend="cuda")
def _(
    w: Array,
    dw: Array,
    velocity: Array | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    if not taken(w, dw, velocity):
        return NotImplemented
    if velocity is None:
        sgd(dw, lr, weight_decay, w)
    else:
        sgd_momentum(dw, lr, weight_decay, momentum, 1 - dampening, nesterov, w, velocity)
    return None


@kernel("adam_step", backend="cuda")
def _(
    w: Array,
    dw: Array,
    m: Array,
    v: Array,
    v_max: Array | None = None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    if not taken(w, dw, m, v, v_max):
        return NotImplemented
    penalty, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    kept = beta1, 1 - beta1, beta2, 1 - beta2
    numbers = dw, lr, *kept, eps, penalty, shrink, 1 - beta1**step, 1 - beta2**step
    if v_max is None:
        adam(*numbers, w, m, v)
    else:
        amsgrad(*numbers, w, m, v, v_max)
    return None


@kernel("rmsprop_step", backend="cuda")
def _(
    w: Array,
    dw: Array,
    v: Array,
    velocity: Array | None = None,
    mean: Array | None = None,
    *,
    lr: float,
    alpha: float,
    eps: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    if not taken(w, dw, v) or velocity is not None or mean is not None:
        return NotImplemented
    rmsprop(dw, lr, alpha, 1 - alpha, eps, weight_decay, w, v)
    return None
