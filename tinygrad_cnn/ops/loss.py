"""Losses of a classifier, one number per sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import backend_of
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Shape, ShapeError

Array = Any


@dataclass(eq=False)
class ClassLoss(Function):
    """A loss over scores (N, C, …) and the numbers of the right classes (N, …)."""

    ignore_index: int = -100
    label_smoothing: float = 0.0

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        scores, target, weight = (*shapes, None)[:3]
        if scores is None or target is None or len(scores) < 2 or target != scores[:1] + scores[2:]:
            wanted = f", {(scores[:1] + scores[2:])}" if scores and len(scores) > 1 else ""
            raise ShapeError(
                f"{self.name}: scores {scores} are (N, C, …), so the target must hold one class number "
                f"per sample{wanted}; it has shape {target}"
            )
        if weight is not None and weight != scores[1:2]:
            raise ShapeError(
                f"{self.name}: weight {weight} wants one entry per class, scores {scores} have {scores[1]}"
            )
        return {}

    def wanted(self, target: Array, classes: int, weight: Array | None, dtype: Any) -> Array:
        """What each class should score, (N, C, …)."""
        self.check_target(target, classes)
        return kernels.class_targets(target, classes, weight, self.ignore_index, self.label_smoothing, dtype)

    def check_target(self, target: Array, classes: int) -> None:
        """Refuse class numbers that do not exist."""
        if not backend_of(target).checks_values:
            return
        wrong = (target != self.ignore_index) & ((target < 0) | (target >= classes))
        if wrong.any():
            place = tuple(int(i[0]) for i in wrong.nonzero())
            raise IndexError(
                f"{self.name}: target {int(target[place])} at position {place} is not a class: the scores have "
                f"C={classes} classes, numbered 0..{classes - 1} (ignore_index is {self.ignore_index})"
            )


class CrossEntropy(ClassLoss):
    """`−Σ_c q_c·log softmax(scores)_c`, q being the wanted distribution."""

    def forward(self, scores: Array, target: Array, weight: Array | None = None) -> Array:
        q = self.wanted(target, scores.shape[1], weight, scores.dtype)
        loss, log_probabilities = kernels.cross_entropy_forward(scores, q)
        self.save(log_probabilities=log_probabilities, target=q)
        return loss

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        return kernels.cross_entropy_backward(dy, **self.saved), None, None


class NLLLoss(ClassLoss):
    """`−Σ_c q_c·scores_c` for scores that are log-probabilities already."""

    name = "nll_loss"

    def forward(self, scores: Array, target: Array, weight: Array | None = None) -> Array:
        q = self.wanted(target, scores.shape[1], weight, scores.dtype)
        self.save(q=q)
        xp = backend_of(scores).xp
        return -xp.where(q != 0, q * scores, 0).sum(axis=1)  # 0·(−∞) counts as nothing

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        xp = backend_of(dy).xp
        return -self.saved.q * xp.expand_dims(dy, 1), None, None
