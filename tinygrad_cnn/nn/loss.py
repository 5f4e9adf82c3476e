"""Loss functions as modules: how wrong the outputs are, as one number."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.arguments import one_of
from tinygrad_cnn.nn.module import Module


class _Loss(Module):
    """What the losses share: a reduction, and weights as buffers so that they move with `to()`."""

    def __init__(self, reduction: str, **weights: Any) -> None:
        super().__init__()
        self.reduction = one_of(type(self).__name__, "reduction", reduction, ("none", "mean", "sum"))
        for name, values in weights.items():
            tensor = values if values is None or isinstance(values, Tensor) else Tensor(values)
            self.register_buffer(name, tensor)


class CrossEntropyLoss(_Loss):
    """Cross-entropy of logits and classes: softmax and the negative logarithm in one, without overflow.

    Formula: `loss = −log softmax(logits)[target]`, averaged over the samples.

    Args:
        weight: (classes,) how much each class counts.
        ignore_index: Samples with this target do not count.
        reduction: `"mean"` (weighted), `"sum"` or `"none"`.
        label_smoothing: This part of the target is spread evenly over all classes, 0 to 1.

    Raises:
        ValueError: If reduction is none of the three.

    Source: Bishop 2006, "Pattern recognition and machine learning", equation 4.108.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> round(nn.CrossEntropyLoss()(tcnn.tensor([[0.0, 0.0]]), tcnn.tensor([1])).item(), 4)   # log 2
    0.6931
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction, weight=weight)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing={label_smoothing} must be from 0 to 1")
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (N, classes) and class numbers (N,) → a number."""
        return F.cross_entropy(
            logits,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_Loss):
    """Negative log-likelihood: cross-entropy for what is a log-probability already (`LogSoftmax`).

    Formula: `loss = −log_probabilities[target]`, averaged over the samples.

    Args:
        weight: (classes,) how much each class counts.
        ignore_index: Samples with this target do not count.
        reduction: `"mean"` (weighted), `"sum"` or `"none"`.

    Raises:
        ValueError: If reduction is none of the three.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.NLLLoss()(tcnn.tensor([[-3.0, -1.0], [-2.0, -5.0]]), tcnn.tensor([1, 0])).item()   # (1 + 2)/2
    1.5
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction, weight=weight)
        self.ignore_index = ignore_index

    def forward(self, log_probabilities: Tensor, target: Tensor) -> Tensor:
        """Log-probabilities (N, classes) and class numbers (N,) → a number."""
        return F.nll_loss(
            log_probabilities,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(_Loss):
    """Mean squared error.

    Formula: `loss = mean((y − target)²)`.

    Args:
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ValueError: If reduction is none of the three.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.MSELoss()(tcnn.tensor([1.0, 2.0]), tcnn.tensor([1.0, 4.0])).item()   # (0 + 4)/2
    2.0
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, y: Tensor, target: Tensor) -> Tensor:
        """Two tensors of one shape → a number."""
        return F.mse_loss(y, target, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits: sigmoid and the logarithm in one, without overflow.

    Formula: `loss = −(pos_weight·t·log σ(x) + (1 − t)·log(1 − σ(x)))`, averaged.

    Args:
        weight: Factor of each element, broadcast to x's shape.
        reduction: `"mean"`, `"sum"` or `"none"`.
        pos_weight: Factor of the positive part, broadcast to x's shape.

    Raises:
        ValueError: If reduction is none of the three.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> round(nn.BCEWithLogitsLoss()(tcnn.tensor([0.0]), tcnn.tensor([1.0])).item(), 4)   # log 2
    0.6931
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction, weight=weight, pos_weight=pos_weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Logits and probabilities of one shape → a number."""
        return F.binary_cross_entropy_with_logits(
            x, target, weight=self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )
