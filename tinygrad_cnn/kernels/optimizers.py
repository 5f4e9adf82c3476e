"""How one step of each optimizer changes one parameter: the textbook rules, in place, for any array library.

`w` is the parameter, `dw` its gradient (never changed), the other arrays are what the optimizer remembers
between steps. All have the shape and dtype of `w`. Numbers must be Python numbers: they never widen an array.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.table import kernel


@kernel("sgd_step")
def sgd_step(
    w: Any,
    dw: Any,
    velocity: Any = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    """One step of gradient descent, with momentum where a `velocity` is given.

    Formula: `g = dw + weight_decay·w`, `v = momentum·v + (1 − dampening)·g`, `w = w − lr·v`;
    without velocity `w = w − lr·g`, with Nesterov's look-ahead `w = w − lr·(g + momentum·v)`.

    Args:
        w: The parameter; changed in place.
        dw: Its gradient, as `w`.
        velocity: The running sum of gradients, as `w`; changed in place. None: no momentum.
        lr: Learning rate.
        momentum: How much of the velocity is kept.
        dampening: How much of the gradient does not enter the velocity.
        weight_decay: Factor of the L2 penalty `weight_decay/2·|w|²`.
        nesterov: Step along the velocity of the next step.

    Source: Sutskever, Martens, Dahl & Hinton 2013, "On the importance of initialization and momentum in deep
    learning", in the form where the learning rate multiplies the velocity.

    >>> import numpy as np
    >>> w, v = np.array([1.0]), np.array([2.0])
    >>> sgd_step(w, np.array([3.0]), v, lr=0.5, momentum=0.5)
    >>> w, v   # v = 0.5·2 + 3 = 4, w = 1 − 0.5·4
    (array([-1.]), array([4.]))
    """
    if weight_decay:
        dw = dw + weight_decay * w
    if velocity is not None:
        velocity *= momentum
        velocity += (1 - dampening) * dw if dampening else dw
        dw = dw + momentum * velocity if nesterov else velocity
    w -= lr * dw


@kernel("adam_step")
def adam_step(
    w: Any,
    dw: Any,
    m: Any,
    v: Any,
    v_max: Any = None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """One step of Adam, or of AdamW where the weight decay is `decoupled` from the gradient.

    Formula: `m = β₁·m + (1 − β₁)·g`, `v = β₂·v + (1 − β₂)·g²`,
    `w = w − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`.

    Args:
        w: The parameter; changed in place.
        dw: Its gradient, as `w`.
        m: Running mean of the gradient, as `w`; changed in place.
        v: Running mean of its square, as `w`; changed in place.
        v_max: The largest `v` so far, as `w`; changed in place. None: plain Adam, without AMSGrad's memory.
        step: The number t of this step, from 1: m and v start at zero, dividing by `1 − βᵗ` makes up for it.
        lr: Learning rate, the largest change of a weight in a step, roughly.
        beta1: How much of `m` is kept.
        beta2: How much of `v` is kept.
        eps: Added to the root, so that it is never zero.
        weight_decay: Factor of the penalty.
        decoupled: Shrink the weights themselves by `lr·weight_decay` instead of adding to the gradient.

    Source: Kingma & Ba 2015, "Adam", algorithm 1; Loshchilov & Hutter 2019, "Decoupled weight decay
    regularization", algorithm 2; Reddi, Kale & Kumar 2018, "On the convergence of Adam and beyond".

    >>> import numpy as np
    >>> w, m, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam_step(w, np.array([4.0]), m, v, step=1, lr=0.25, beta1=0.5, beta2=0.5, eps=0.0)
    >>> w, m, v   # the first step has length lr, whatever the gradient
    (array([0.75]), array([2.]), array([8.]))
    """
    xp = namespace(w)
    if weight_decay and decoupled:
        w *= 1 - lr * weight_decay
    elif weight_decay:
        dw = dw + weight_decay * w
    m *= beta1
    m += (1 - beta1) * dw
    v *= beta2
    v += (1 - beta2) * dw * dw
    if v_max is not None:
        v_max[...] = xp.maximum(v_max, v)
        v = v_max
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    w -= lr * m_hat / (xp.sqrt(v_hat) + eps)


@kernel("rmsprop_step")
def rmsprop_step(
    w: Any,
    dw: Any,
    v: Any,
    velocity: Any = None,
    mean: Any = None,
    *,
    lr: float,
    alpha: float,
    eps: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """One step of RMSprop: the gradient divided by its running root mean square.

    Formula: `v = α·v + (1 − α)·g²`, `w = w − lr·g / (√v + ε)`; with momentum
    `u = momentum·u + g / (√v + ε)`, `w = w − lr·u`; centered: `√(v − mean²)` instead of `√v`.

    Args:
        w: The parameter; changed in place.
        dw: Its gradient, as `w`.
        v: Running mean of the squared gradient, as `w`; changed in place.
        velocity: The running sum u of scaled gradients, as `w`; changed in place. None: no momentum.
        mean: Running mean of the gradient, as `w`; changed in place. None: not centered.
        lr: Learning rate.
        alpha: How much of `v` (and `mean`) is kept.
        eps: Added to the root, so that it is never zero.
        momentum: How much of the velocity is kept.
        weight_decay: Factor of the L2 penalty.

    Source: Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6.5; centered: Graves 2013,
    "Generating sequences with recurrent neural networks", equations 38 to 41.

    >>> import numpy as np
    >>> w, v = np.array([1.0]), np.array([0.0])
    >>> rmsprop_step(w, np.array([4.0]), v, lr=0.5, alpha=0.75, eps=0.0)
    >>> w, v   # √(0.25·16) = 2, w = 1 − 0.5·4/2
    (array([0.]), array([4.]))
    """
    xp = namespace(w)
    if weight_decay:
        dw = dw + weight_decay * w
    v *= alpha
    v += (1 - alpha) * dw * dw
    variance = v
    if mean is not None:
        mean *= alpha
        mean += (1 - alpha) * dw
        variance = v - mean * mean
    scaled = dw / (xp.sqrt(variance) + eps)
    if velocity is not None:
        velocity *= momentum
        velocity += scaled
        scaled = velocity
    w -= lr * scaled
