"""Numbers people look at besides the loss: accuracy, top-k accuracy, the confusion matrix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.shapes import ShapeError

#: A metric takes a batch's outputs and targets and returns its average over the batch.
Metric = Callable[[Tensor, Tensor], Any]
Metrics = Iterable[str | Metric] | Mapping[str, Metric]

_RESERVED = ("loss", "epoch", "lr", "seconds", "images_per_second")


def accuracy(y_hat: Tensor, y: Tensor) -> float:
    """The fraction of samples whose largest score is that of their class.

    Formula: `mean(argmax_c ŷ[n, c] = y[n])`

    Args:
        y_hat: (N, C) scores, one column a class; (N, C, …) for one decision a pixel.
        y: (N) whole numbers 0 … C − 1; (N, …) likewise.

    Raises:
        ShapeError: If the shapes do not fit.

    >>> import tinygrad_cnn as tcnn
    >>> accuracy(tcnn.tensor([[1.0, 3.0], [2.0, 0.0]]), tcnn.tensor([1, 1]))   # the second says class 0
    0.5
    """
    _check("accuracy", y_hat, y)
    with y_hat.backend.activate():
        return float((y_hat.data.argmax(axis=1) == y.data).mean())


def top_k_accuracy(k: int) -> Metric:
    """The metric "the right class is among the k largest scores"; of equals the lower class comes first.

    Args:
        k: How many guesses count, at least 1; with 1 it is `accuracy`.

    Raises:
        ValueError: If `k` is below 1.

    >>> import tinygrad_cnn as tcnn
    >>> top_k_accuracy(2)(tcnn.tensor([[1.0, 3.0, 2.0], [3.0, 2.0, 1.0]]), tcnn.tensor([2, 2]))
    0.5
    """
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"top_k_accuracy: k={k!r} must be a whole number from 1 on")
    name = f"top{k}_accuracy"

    def metric(y_hat: Tensor, y: Tensor) -> float:
        _check(name, y_hat, y)
        xp = y_hat.backend.xp
        scores = y_hat.data
        labels = y.data[:, None]  # (N, …) -> (N, 1, …)
        with y_hat.backend.activate():
            own = xp.take_along_axis(scores, labels, axis=1)
            classes = xp.arange(scores.shape[1]).reshape(-1, *[1] * (scores.ndim - 2))
            ahead = (scores > own) | ((scores == own) & (classes < labels))
            # a NaN is ahead of nothing and nothing is ahead of it: it counts as a miss
            return float(((ahead.sum(axis=1) < k) & ~xp.isnan(own[:, 0])).mean())

    metric.__name__ = metric.__qualname__ = name
    return metric


def confusion_matrix(predicted: Any, actual: Any, num_classes: int) -> np.ndarray:
    """Count how often each class was taken for each other one.

    Args:
        predicted: (N) class numbers the model said.
        actual: (N) class numbers that are right.
        num_classes: C, how many there are.

    Returns:
        (C, C) int64; row: the right class, column: what the model said.

    Raises:
        ShapeError: If there are more numbers of one kind than of the other.
        ValueError: If a number is not a class.

    >>> confusion_matrix(predicted=[0, 1, 1], actual=[0, 1, 0], num_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    predicted, actual = (np.asarray(a, dtype=np.int64).ravel() for a in (predicted, actual))
    if predicted.shape != actual.shape:
        raise ShapeError(f"confusion_matrix: {predicted.size} predictions for {actual.size} samples; give one for each")
    for what, numbers in (("predicted", predicted), ("actual", actual)):
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < num_classes):
            raise ValueError(
                f"confusion_matrix: {what} classes go from {numbers.min()} to {numbers.max()}, "
                f"but num_classes={num_classes} allows 0 to {num_classes - 1}"
            )
    counts = np.bincount(actual * num_classes + predicted, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)


def named(metrics: Metrics) -> dict[str, Metric]:
    """The metrics under the names they have in the history.

    Args:
        metrics: Names (`"accuracy"`, `"top5_accuracy"`), functions (their `__name__` counts) or a dict name →
            function.

    Raises:
        TypeError: If something is neither.
        ValueError: If a name is unknown, given twice or means something else in a history.

    >>> list(named(["accuracy", "top3_accuracy"]))
    ['accuracy', 'top3_accuracy']
    """
    if isinstance(metrics, str):
        raise TypeError(f'metrics={metrics!r}: give a list, ["{metrics}"]')
    pairs = list(metrics.items()) if isinstance(metrics, Mapping) else [_resolve(metric) for metric in metrics]
    for index, (name, _) in enumerate(pairs):
        if name in _RESERVED or name.startswith("val_"):
            raise ValueError(f"metrics: {name!r} has a meaning of its own in a history; give a dict with another name")
        if name in [other for other, _ in pairs[:index]]:
            raise ValueError(f"metrics: {name!r} is there twice; give a dict with a name for each")
    return dict(pairs)


def _resolve(metric: str | Metric) -> tuple[str, Metric]:
    if isinstance(metric, str):
        if metric == "accuracy":
            return metric, accuracy
        match = re.fullmatch(r"top([1-9]\d*)_accuracy", metric)
        if match:
            return metric, top_k_accuracy(int(match.group(1)))
        raise ValueError(
            f'metrics: {metric!r} is unknown; there are "accuracy", "top5_accuracy" (any number), or your function'
        )
    if not callable(metric):
        raise TypeError(f"metrics: {metric!r} is neither a name nor a function (y_hat, y) -> number")
    return getattr(metric, "__name__", type(metric).__name__), metric


def number(value: Any, name: str) -> float:
    """A metric's or loss function's result as a Python number.

    Raises:
        TypeError: If it is not one number.
    """
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must return one number a batch (its average), not {value!r}") from error


class Averages:
    """Averages over samples of what is measured batch by batch; a smaller last batch counts for less.

    >>> averages = Averages()
    >>> averages.add({"loss": 1.0}, samples=3)
    >>> averages.add({"loss": 5.0}, samples=1)
    >>> averages.result()
    {'loss': 2.0}
    """

    def __init__(self, sums: dict[str, float] | None = None, samples: int = 0) -> None:
        self.sums = {} if sums is None else sums
        self.samples = samples

    def add(self, values: Mapping[str, float], samples: int) -> None:
        """Take in a batch: averages over its samples."""
        self.samples += samples
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * samples

    def result(self) -> dict[str, float]:
        """The averages so far; empty before the first sample."""
        return {name: total / self.samples for name, total in self.sums.items()} if self.samples else {}


def _check(name: str, y_hat: Tensor, y: Tensor) -> None:
    if y_hat.ndim < 2 or y.shape != y_hat.shape[:1] + y_hat.shape[2:]:
        raise ShapeError(
            f"{name}: y_hat (N, C, …) = {y_hat.shape} and y (N, …) = {y.shape} do not fit; scores have one "
            "column a class, targets are class numbers. For other tasks give metrics=() or your own function "
            "(y_hat, y) -> number"
        )
