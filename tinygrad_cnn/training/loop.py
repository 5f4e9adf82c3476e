"""The training step that every tutorial shows, and its counterpart for measuring."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_cnn import functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor, no_grad
from tinygrad_cnn.nn.utils import evaluating
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training.finite import require_finite
from tinygrad_cnn.training.metrics import Averages, Metrics, confusion_matrix, named, number

LossFn = Callable[[Any, Tensor], Tensor]


def loss_of(model: nn.Module, given: LossFn | None = None) -> LossFn:
    """The given loss; or the one that belongs to the model, its attribute `criterion`; or cross-entropy.

    >>> from tinygrad_cnn import nn
    >>> model = nn.Linear(2, 3)
    >>> loss_of(model).__name__
    'cross_entropy'
    >>> model.criterion = nn.MSELoss()
    >>> loss_of(model)
    MSELoss()
    """
    loss: LossFn = getattr(model, "criterion", F.cross_entropy) if given is None else given
    return loss


def train_step(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    optimizer: Any,
    loss_fn: LossFn | None = None,
    clip_norm: float | None = None,
) -> tuple[Tensor, Any]:
    """One step of training: forget the old gradients, forward, loss, backward, change the weights.

    Args:
        x: (N, …) a batch of inputs.
        y: (N) their targets, for classification.
        model: The model, in training mode.
        optimizer: What changes its parameters.
        loss_fn: (ŷ, y) → one number; the model's own if None, see `loss_of`.
        clip_norm: Largest norm of all gradients together; longer ones are shortened to it.

    Returns:
        The loss, and ŷ, what the model returned: scores, or a tuple with the scores first (`GoogLeNet`).

    Raises:
        NonFiniteError: If the loss is NaN or infinite; the weights are unchanged then.
        ShapeError: If the loss is not one number.
    """
    optimizer.zero_grad()
    y_hat = model(x)
    loss = loss_of(model, loss_fn)(y_hat, y)
    require_finite(loss)
    loss.backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return loss, y_hat


@dataclass
class Evaluation:
    """What `evaluate` measured, averaged over the samples.

    Attributes:
        loss: Average loss.
        metrics: Name → average.
        samples: How many samples there were.
        seconds: How long it took.
        confusion: (C, C) counts, row: the right class, column: the model's; None unless asked for.
    """

    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    seconds: float = 0.0
    confusion: np.ndarray | None = None

    def __getitem__(self, name: str) -> float:
        values = self.as_dict()
        if name not in values:
            raise KeyError(f"evaluation has no {name!r}; it has {', '.join(values)}")
        return values[name]

    def as_dict(self) -> dict[str, float]:
        """Loss and metrics under their names."""
        return {"loss": self.loss, **self.metrics}


def evaluate(
    model: nn.Module,
    loader: Iterable[Any],
    loss_fn: LossFn | None = None,
    metrics: Metrics = ("accuracy",),
    *,
    confusion: bool = False,
    after_batch: Callable[[], None] | None = None,
) -> Evaluation:
    """Measure a model without changing it: evaluation mode, no gradients, each module's mode restored.

    Args:
        model: The model.
        loader: Yields batches (x, y); a last batch that is smaller counts for less.
        loss_fn: (ŷ, y) → average loss of the batch; the model's own if None, see `loss_of`.
        metrics: Names, functions (ŷ, y) → average of the batch, or a dict name → function.
        confusion: Also count how often each class was taken for each other one.
        after_batch: Called after every batch.

    Raises:
        ValueError: If the loader yields nothing.
        ShapeError: If a confusion matrix is asked of outputs that are not (N, C).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> batches = [(tcnn.tensor([[1.0, 3.0], [2.0, 0.0]]), tcnn.tensor([1, 1]))]
    >>> result = evaluate(nn.Identity(), batches, confusion=True)
    >>> result["accuracy"], result.samples
    (0.5, 2)
    >>> result.confusion
    array([[0, 0],
           [1, 1]])
    """
    loss_fn, measures = loss_of(model, loss_fn), named(metrics)
    averages = Averages()
    counts: np.ndarray | None = None
    started = time.perf_counter()
    with evaluating(model), no_grad():
        for x, y in batches(model, loader):
            y_hat = model(x)
            values = measure(loss_fn(y_hat, y), y_hat, y, measures)
            averages.add(values, x.shape[0])
            if confusion:
                counts = _count(counts, y_hat, y)
            if after_batch is not None:
                after_batch()
    if not averages.samples:
        raise ValueError(
            "evaluate: the loader gave no batches; is the data set empty, or is it an iterator that was "
            "already walked through (then pass a list or a DataLoader)?"
        )
    result = averages.result()
    return Evaluation(result.pop("loss"), result, averages.samples, time.perf_counter() - started, counts)


def measure(loss: Tensor, y_hat: Any, y: Tensor, metrics: dict[str, Any]) -> dict[str, float]:
    """Loss and metrics of a batch as numbers; of several outputs the first is measured."""
    y_hat = y_hat[0] if isinstance(y_hat, tuple) else y_hat
    with no_grad():
        values = {"loss": number(loss, "the loss function")}
        values.update((name, number(metric(y_hat, y), f"metric {name}")) for name, metric in metrics.items())
    return values


def batches(model: nn.Module, loader: Iterable[Any], skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """The loader's inputs and targets on the model's device.

    Args:
        model: Where its parameters are, the batches go.
        loader: Yields pairs.
        skip: Leave out so many at the beginning.

    Raises:
        TypeError: If a batch is not a pair of tensors.
    """
    parameter = next(iter(model.parameters()), None)
    for batch in itertools.islice(loader, skip, None):
        if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(isinstance(t, Tensor) for t in batch):
            kinds = [type(t).__name__ for t in batch] if isinstance(batch, (tuple, list)) else type(batch).__name__
            raise TypeError(f"a loader must yield pairs (inputs, targets) of tensors, this one gave {kinds}")
        x, y = batch
        yield (x, y) if parameter is None else (x.to(parameter.device), y.to(parameter.device))


def _count(counts: np.ndarray | None, y_hat: Tensor, y: Tensor) -> np.ndarray:
    if y_hat.ndim != 2 or y.ndim != 1:
        raise ShapeError(
            f"evaluate: a confusion matrix needs scores (N, C) and class numbers (N), not {y_hat.shape} and "
            f"{y.shape}; leave confusion=True out"
        )
    batch = confusion_matrix(y_hat.numpy().argmax(axis=1), y.numpy(), y_hat.shape[1])
    return batch if counts is None else counts + batch
