"""What a network makes of images: the outputs of its inner layers, and which images are alike there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn import backends, nn
from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor, no_grad
from tinygrad_cnn.models.paths import module_at
from tinygrad_cnn.nn.utils import evaluating
from tinygrad_cnn.shapes import ShapeError

METRICS = ("euclidean", "cosine")
_BLOCK = 2**21  # numbers in a block of rough distances: 16 MiB, and there are up to three of them


def features(model: nn.Module, x: Tensor | Iterable[Any], *names: str) -> Any:
    """The outputs of inner layers: what the network has turned images into by then.

    Runs the network in evaluation mode and without a graph; afterwards every module has the mode it had before.

    Args:
        model: The network.
        x: (N, C, H, W) one batch, or a loader whose batches are `(x, y)` or x: then the outputs of all batches,
            one after the other, on the model's device.
        *names: The modules, such as "classifier.fc2"; "" is the network itself.

    Returns:
        The output (N, …) of that module, a copy; for several names a dict name → output.

    Raises:
        ValueError: If there is no module of such a name, it was not called, or called more than once; if the loader
            is empty or shuffles.
        TypeError: If x, a batch or the module's output is no tensor.

    Source: Donahue et al. 2014, "DeCAF: a deep convolutional activation feature for generic visual recognition".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import models
    >>> model, x = models.LeNet5(), tcnn.zeros(2, 1, 28, 28)
    >>> models.features(model, x, "classifier.fc2").shape
    (2, 84)
    >>> {name: output.shape for name, output in models.features(model, x, "features.pool1", "features").items()}
    {'features.pool1': (2, 6, 14, 14), 'features': (2, 16, 5, 5)}
    """
    if not names:
        raise ValueError("features: name at least one module, such as features(model, x, 'classifier.fc2')")
    modules = {name: module_at("features", model, name) for name in names}
    if getattr(x, "shuffle", False) is True:
        raise ValueError(
            "features: this loader shuffles, so nobody could tell which output is whose; make it with shuffle=False"
        )
    parts: dict[str, list[Tensor]] = {name: [] for name in modules}
    with evaluating(model), no_grad(), _listening(modules) as heard:
        for images in _batches(model, x):
            model(images)
            for name, outputs in heard.items():
                parts[name].append(_only(name, outputs))
                outputs.clear()
    if not parts[names[0]]:
        raise ValueError("features: the loader gave no batches; is it an iterator that was already walked through?")
    found = {name: outputs[0] if len(outputs) == 1 else F.cat(outputs) for name, outputs in parts.items()}
    return found if len(names) > 1 else found[names[0]]


@contextmanager
def _listening(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, list[Any]]]:
    """Inside the block, the outputs of these modules are noted in the order of the calls."""
    heard: dict[str, list[Any]] = {name: [] for name in modules}
    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.enter_context(module.register_forward_hook(_noting(heard[name])))
        yield heard


def _noting(outputs: list[Any]) -> Any:
    def note(module: nn.Module, args: Any, output: Any) -> None:
        # a copy: what follows may change the output in place, as `x += shortcut` does
        outputs.append(output.detach().clone() if isinstance(output, Tensor) else output)

    return note


def _only(name: str, outputs: list[Any]) -> Tensor:
    if len(outputs) != 1:
        times = "not called" if not outputs else f"called {len(outputs)} times"
        raise ValueError(
            f"features: {name!r} was {times} in one forward pass, so it has no one output; name a module that is "
            "called once in evaluation mode"
        )
    if not isinstance(outputs[0], Tensor):
        raise TypeError(f"features: {name!r} returns {type(outputs[0]).__name__}, not a tensor; name one of its parts")
    return outputs[0]


def _batches(model: nn.Module, x: Tensor | Iterable[Any]) -> Iterator[Tensor]:
    parameter = next(iter(model.parameters()), None)
    for batch in [x] if isinstance(x, Tensor) else x:
        images = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        if not isinstance(images, Tensor):
            raise TypeError(
                f"features: x must be a tensor of images or a loader of batches, not {type(x).__name__} of "
                f"{type(batch).__name__}; make a tensor of arrays first"
            )
        yield images if parameter is None else images.to(parameter.device)


class Neighbours(NamedTuple):
    """For each query the k nearest rows of the database, nearest first: (n, k) float64 and (n, k) int64."""

    distances: np.ndarray
    indices: np.ndarray


def nearest_neighbours(query: Any, database: Any, k: int = 5, metric: str = "euclidean") -> Neighbours:
    """For each query the k most similar rows of a database, such as the training images closest in a hidden layer.

    Formula: `‖q − x‖` (euclidean), `1 − q·x/(‖q‖·‖x‖)` (cosine; 1 where one of the two is zero); of equal distances
    the lower index comes first.

    Computed on the host in float64, whatever the number formats of the two. Besides float64 copies of both it needs
    some 64 MiB, or two numbers a row of a database with more than four million.

    Args:
        query: (n, d) vectors, a tensor or array.
        database: (m, d) vectors to search.
        k: How many, 1 to m.
        metric: `"euclidean"` or `"cosine"`.

    Returns:
        `(distances, indices)`, NumPy arrays (n, k) each.

    Raises:
        ShapeError: If the vectors are not (n, d) and (m, d).
        ValueError: If k is not 1 to m, the metric is unknown, or a number is NaN or infinite.

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 6.1, figure 4.

    >>> database = [[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]
    >>> near = nearest_neighbours([[0.0, 0.0]], database, k=3)
    >>> near.indices.tolist(), near.distances.tolist()
    ([[0, 2, 1]], [[0.0, 1.0, 5.0]])
    """
    q, x = _vectors("query", query), _vectors("database", database)
    (n, d), m = q.shape, len(x)
    if x.shape[1] != d:
        raise ShapeError(
            f"nearest_neighbours: query (n, d) = {q.shape} and database (m, d) = {x.shape} must have the same d; take "
            "both from the same layer"
        )
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= m:
        raise ValueError(f"nearest_neighbours: k={k!r} must be 1 to m={m}, the rows of the database")
    if metric not in METRICS:
        raise ValueError(f"nearest_neighbours: there is no metric {metric!r}; there is {', '.join(map(repr, METRICS))}")
    cosine = metric == "cosine"
    if cosine:
        q, x = _unit(q), _unit(x)
    x_squares = (x * x).sum(axis=1)
    # The matrix product is fast but rounds differently from place to place. So it only rules out what is farther
    # than the k-th by more than all rounding errors together, the rest is measured one by one.
    slack = 16 * (d + 4) * np.finfo(np.float64).eps * ((q * q).sum(axis=1) + x_squares.max())
    distances, indices = np.empty((n, k)), np.empty((n, k), np.int64)
    rows = max(1, _BLOCK // m)
    for start in range(0, n, rows):
        rough = (-2 * q[start : start + rows]) @ x.T  # ‖q − x‖² = ‖q‖² − 2·q·x + ‖x‖²; ‖q‖² changes no order
        if not cosine:
            rough += x_squares
        limits = np.partition(rough, k - 1, axis=1)[:, k - 1].copy()  # a view would keep the whole block
        for i, (row, limit) in enumerate(zip(rough, limits), start):
            near = np.flatnonzero(row <= limit + slack[i])
            if cosine:
                exact = (1 - (x[near] * q[i]).sum(axis=1)).clip(min=0)  # rounding makes 1 + 2⁻⁵² of some cosines
            else:
                exact = np.sqrt(((x[near] - q[i]) ** 2).sum(axis=1))
            order = np.argsort(exact, kind="stable")[:k]
            distances[i], indices[i] = exact[order], near[order]
    return Neighbours(distances, indices)


def _vectors(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values.numpy() if isinstance(values, Tensor) else backends.to_numpy(values), np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ShapeError(
            f"nearest_neighbours: {name} must be one vector a row, (n, d), not {array.shape}; flatten(1) feature maps, "
            "and give a single vector as v[None]"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"nearest_neighbours: {name} holds NaN or infinity, which are near to nothing")
    return array


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return vectors / np.where(lengths == 0, 1, lengths)
