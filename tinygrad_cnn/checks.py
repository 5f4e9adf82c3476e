"""Is a backward right? Compare it with the slope measured by small steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn import dtypes
from tinygrad_cnn.autograd import Tensor, grad, no_grad
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.random import Generator


class GradcheckError(AssertionError):
    """An analytic gradient that disagrees with the measured one; the message names the worst place."""


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    generator: Generator | None = None,
) -> bool:
    """Compare the gradients of `fn` with central differences, in float64.

    Formula: for a random v of the output's shape, `∂(v·fn)/∂xᵢ ≈ (v·fn(x + eps·eᵢ) − v·fn(x − eps·eᵢ)) / (2·eps)`.
    A random v sees mistakes that `fn(x).sum()` hides, such as those of batch norm, whose outputs sum to a constant.

    Args:
        fn: Takes the inputs, returns a tensor or several.
        inputs: Its arguments; every float64 tensor among them that requires a gradient is checked.
        eps: Step, in the inputs' unit.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
        raise_exception: Raise on a mismatch; else return False.
        generator: Source of v.

    Returns:
        True if all gradients agree.

    Raises:
        GradcheckError: With the input, the index of its worst entry, and both values there.
        DtypeError: If an input to be checked is not float64, or there is none.

    Source: Griewank & Walther 2008, "Evaluating Derivatives", chapter 1 (why float64 and central differences).

    >>> x = Tensor([0.5, -1.0], dtype="float64", requires_grad=True)
    >>> gradcheck(lambda x: x.exp() * x, [x])
    True
    """
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [(i, t) for i, t in enumerate(arguments) if isinstance(t, Tensor) and t.requires_grad]
    if not checked:
        raise DtypeError("gradcheck: no input requires a gradient; make them with requires_grad=True")
    for i, t in checked:
        if t.dtype != dtypes.float64:
            raise DtypeError(f"gradcheck: input {i} is {t.dtype}; differences need float64: use .double()")
    rng = generator or Generator(seed=0)
    outputs = _outputs(fn, arguments)
    again = _outputs(fn, arguments)
    if any(
        a.shape != b.shape or not np.array_equal(a.numpy(), b.numpy(), equal_nan=True) for a, b in zip(outputs, again)
    ):
        raise GradcheckError(
            "gradcheck: fn gives other results the second time, so no slope can be measured; is it random?"
        )
    cotangents = [rng.normal(output.shape) for output in outputs]
    differentiable = [(o, v) for o, v in zip(outputs, cotangents) if o.requires_grad]
    if not differentiable:
        raise GradcheckError("gradcheck: no output requires a gradient, so no gradient reaches the inputs")
    analytic = grad(
        [o for o, _ in differentiable],
        [t for _, t in checked],
        [v for _, v in differentiable],
        allow_unused=True,
    )
    for (i, t), dx in zip(checked, analytic):
        measured = _measured(fn, arguments, t, cotangents, eps)
        computed = np.zeros(t.shape) if dx is None else dx.numpy()
        error = np.abs(computed - measured)
        excess = error - (atol + rtol * np.abs(measured))
        if not (excess <= 0).all():
            worst = np.unravel_index(int(np.argmax(np.where(np.isnan(excess), np.inf, excess))), t.shape)
            place = tuple(map(int, worst))
            message = (
                f"gradcheck: the gradient of input {i} (shape {t.shape}) is wrong, worst at {place}: backward says "
                f"{computed[worst]:.8g}, the slope measured is {measured[worst]:.8g} (difference {error[worst]:.2g}; "
                f"{int((~(excess <= 0)).sum())} of {error.size} entries are off)"
            )
            if raise_exception:
                raise GradcheckError(message)
            return False
    return True


def _outputs(fn: Callable[..., Any], arguments: Sequence[Any]) -> list[Tensor]:
    result = fn(*arguments)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    return [o for o in outputs if isinstance(o, Tensor) and dtypes.is_floating(o.dtype)]


def _measured(
    fn: Callable[..., Any], arguments: Sequence[Any], x: Tensor, cotangents: Sequence[np.ndarray], eps: float
) -> np.ndarray:
    """The slope of v·fn along each entry of x."""

    def value() -> float:
        with no_grad():
            return sum(float((o.numpy() * v).sum()) for o, v in zip(_outputs(fn, arguments), cotangents))

    slope = np.empty(x.shape)
    for index in np.ndindex(*x.shape):
        before = float(x.numpy()[index])
        ends = []
        for step in (eps, -eps):
            with x.writing("gradcheck") as array:
                array[index] = before + step
            ends.append(value())
        with x.writing("gradcheck") as array:
            array[index] = before
        slope[index] = (ends[0] - ends[1]) / (2 * eps)
    return slope
