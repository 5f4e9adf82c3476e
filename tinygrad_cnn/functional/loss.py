"""Losses: how wrong the outputs are, as one number."""

from __future__ import annotations

import warnings
from typing import Any

from tinygrad_cnn import dtypes, ops
from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.autograd import Tensor, apply, no_grad
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.functional.arguments import present
from tinygrad_cnn.functional.elementwise import where
from tinygrad_cnn.shapes import ShapeError


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss of a classifier: how surprised it is by the right classes.

    Formula: `lossₙ = −Σ_c q[n,c]·log softmax(logits)[n,c]` where q is 1 for the right class, or `1 − ε` plus `ε/C` for
    every class with label smoothing ε, times the class's weight. The mean divides by the sum of the right classes'
    weights.

    Args:
        input: (N, C) or (N, C, …) scores; (C,) for a single sample.
        target: (N, …) class numbers 0 … C − 1; or (N, C, …) probabilities.
        weight: (C,), a factor per class.
        ignore_index: A class number whose samples count nothing.
        reduction: "mean", "sum" or "none"; the mean over no sample is NaN, with a gradient of zeros.
        label_smoothing: ε, from 0 to 1.

    Raises:
        ShapeError: If the sizes do not agree.
        IndexError: For a class number that does not exist.

    Source: Szegedy et al. 2016, "Rethinking the Inception architecture", section 7 (label smoothing).

    >>> cross_entropy(Tensor([[0.0, 0.0]]), Tensor([1])).item()  # log 2
    0.6931471824645996
    """
    logits, target = Tensor._as_tensor(input), Tensor._as_tensor(target)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing} must lie between 0 and 1")
    if dtypes.is_floating(target.dtype):
        return _soft_cross_entropy(logits, target, weight, reduction, label_smoothing)
    operation = ops.CrossEntropy(ignore_index, label_smoothing)
    return _class_loss(operation, logits, target, weight, ignore_index, reduction)


def _soft_cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    """Targets that are probabilities: the formula, written with tensors."""
    if target.shape != logits.shape:
        raise ShapeError(
            f"cross_entropy: probabilities {target.shape} must have the logits' shape {logits.shape}; "
            "class numbers must be whole numbers: use .long()"
        )
    dim = 1 if logits.ndim > 1 else 0
    q = target * (1 - label_smoothing) + label_smoothing / logits.shape[dim] if label_smoothing else target
    if weight is not None:
        q = q * weight.reshape((-1,) + (1,) * (logits.ndim - 1 - dim))
    return _reduced("cross_entropy", -(q * logits.log_softmax(dim)).sum(dim), reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood: cross-entropy after log_softmax.

    Formula: `lossₙ = −weight[targetₙ]·input[n, targetₙ]`; the mean divides by the sum of the targets' weights.

    Args:
        input: (N, C) or (N, C, …), for instance from `log_softmax(x, dim=1)`.
        target: (N, …) class numbers.
        weight: (C,), a factor per class.
        ignore_index: A class number whose samples count nothing.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: If the sizes do not agree.
        IndexError: For a class number that does not exist.

    >>> nll_loss(Tensor([[-1.0, -2.0]]), Tensor([1]))
    tensor(2.)
    """
    target = Tensor._as_tensor(target)
    operation = ops.NLLLoss(ignore_index)
    return _class_loss(operation, Tensor._as_tensor(input), target, weight, ignore_index, reduction)


def _class_loss(
    operation: Any, scores: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    if dtypes.is_floating(target.dtype) or target.dtype == dtypes.bool_:
        raise DtypeError(
            f"{operation.name}: target is {target.dtype}; class numbers must be whole numbers: use .long()"
        )
    if scores.ndim == 1:
        losses = apply(operation, scores.unsqueeze(0), target.reshape(1), *present(weight))
        losses = losses.reshape(())
    else:
        losses = apply(operation, scores, target, *present(weight))
    divisor = None
    if reduction == "mean" and not (weight is None and _all_count(target, ignore_index)):
        with no_grad():  # the mean is over what counts: not the ignored ones, the others with their weight
            counted = target != ignore_index
            each = counted if weight is None else weight[(target * counted).long()] * counted
            divisor = each.sum().to(losses.dtype)
    return _reduced(operation.name, losses, reduction, divisor)


def _all_count(target: Tensor, ignore_index: int) -> bool:
    """Whether no sample is ignored, as far as looking at values is cheap."""
    return target.backend.checks_values and not (target.data == ignore_index).any()


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The mean squared error.

    Formula: `loss = mean((x − target)²)`.

    Args:
        input: x, of any shape.
        target: As large; other shapes are broadcast, with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: If the shapes cannot be broadcast.

    >>> mse_loss(Tensor([1.0, 3.0]), Tensor([1.0, 1.0]))
    tensor(2.)
    """
    x, target = Tensor._as_tensor(input), Tensor._as_tensor(target)
    errors = x - target
    if x.shape != target.shape:
        warnings.warn(
            f"mse_loss: x {x.shape} and target {target.shape} differ and are broadcast to {errors.shape}, which is "
            "rarely meant; reshape one of them",
            TinygradCnnWarning,
            stacklevel=2,
        )
    return _reduced("mse_loss", errors**2, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The loss of yes/no questions, without overflow.

    Formula: `loss = −pos_weight·t·log σ(x) − (1 − t)·log(1 − σ(x))`, times the element's weight.

    Args:
        input: Scores of any shape.
        target: Answers of the same shape, 0 to 1.
        weight: A factor per element, broadcast.
        reduction: "mean", "sum" or "none".
        pos_weight: A factor for the yes-part, broadcast.

    Raises:
        ShapeError: If the shapes differ.

    >>> binary_cross_entropy_with_logits(Tensor([0.0]), Tensor([1.0])).item()  # log 2
    0.6931471824645996
    """
    logits, target = Tensor._as_tensor(input), Tensor._as_tensor(target)
    if target.shape != logits.shape:
        raise ShapeError(
            f"binary_cross_entropy_with_logits: target {target.shape} and logits {logits.shape} must be equal"
        )
    # −log σ(x) is softplus(−x), −log(1 − σ(x)) is softplus(x)
    yes = target if pos_weight is None else target * pos_weight
    loss = yes * apply(ops.Softplus(), -logits) + (1 - target) * apply(ops.Softplus(), logits)
    return _reduced("binary_cross_entropy_with_logits", loss if weight is None else loss * weight, reduction)


def _reduced(operation: str, loss: Tensor, reduction: str, divisor: Tensor | None = None) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        if divisor is None:
            return loss.mean()
        total = loss.sum()
        with no_grad():  # nothing counts: NaN like 0/0, but with a gradient of zeros
            empty = divisor == 0
            one = empty.to(total.dtype)  # 1 if nothing counts, else 0; made on the device, without a copy from the host
            excess = where(empty, total / divisor, one)
        return total / (divisor + one) + excess
    raise ValueError(f'{operation}: reduction={reduction!r} must be "mean", "sum" or "none"')
