"""NaN and infinity: noticed before they reach the weights, with what usually helps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.backends import backend_of
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training.callbacks import Run
from tinygrad_cnn.training.history import History


class NonFiniteError(ArithmeticError):
    """The loss or a parameter became NaN or infinite; the message says where and what helps.

    Attributes:
        history: The finished epochs, if `fit` was running.
        checkpoint: The last good checkpoint; None if there is none.
    """

    def __init__(self, message: str, history: History | None = None, checkpoint: Path | None = None) -> None:
        super().__init__(message)
        self.history = history
        self.checkpoint = checkpoint


def require_finite(loss: Tensor) -> None:
    """Let a loss pass that is one finite number.

    Raises:
        ShapeError: If it is several numbers.
        NonFiniteError: If it is NaN or infinite.
    """
    if loss.data.size != 1:
        raise ShapeError(f"the loss function returned shape {loss.shape}; training needs one number: take its mean()")
    value = loss.item()
    if not math.isfinite(value):
        raise NonFiniteError(f"the loss became {value}")


def first_non_finite(model: nn.Module) -> str | None:
    """The name of the first parameter that contains NaN or infinity; None if all is well."""
    return next((name for name, parameter in model.named_parameters() if not _finite(parameter.data)), None)


def diagnosis(problem: str, run: Run, x: Tensor | None, newest: Path | None) -> str:
    """What happened, where, why most likely, what to try, and what is left.

    Args:
        problem: What became NaN.
        run: Where training stands.
        x: The inputs of the batch it happened in; None if it was noticed after the batch.
        newest: The last good checkpoint.
    """
    place = f"epoch {run.epoch}, batch {run.batch + (x is not None)}" + (f" of {run.batches}" if run.batches else "")
    smaller = f"Try a smaller learning rate (lr={run.lr / 10:.3g}) or clip_norm=1.0"
    spoilt = first_non_finite(run.model)
    if x is not None and not _finite(x.data):
        advice = "The inputs of this batch contain NaN or infinity: look at the data and its normalisation"
    elif spoilt:
        advice = f"The parameter {spoilt} is not finite, so an earlier step was too long. {smaller}"
    else:
        advice = f"{smaller}; a loss function of your own may have taken log(0) or divided by 0"
    kept = f"The last good checkpoint is {newest}" if newest else "There is no checkpoint to go back to"
    return f"fit: {problem} in {place}, at learning rate {run.lr:.3g}. {advice}. {kept}."


def _finite(array: Any) -> bool:
    return bool(backend_of(array).xp.isfinite(array).all())
