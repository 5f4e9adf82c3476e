"""Splitting a set of samples, at random or with equal shares of every class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn import random
from tinygrad_cnn.data.dataset import Subset
from tinygrad_cnn.data.transforms import as_array


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: random.Generator | None = None
) -> list[Subset]:
    """Disjoint random parts of a dataset.

    Args:
        dataset: The whole set.
        lengths: The sizes of the parts, which add up to the set's; or fractions that add up to 1, where each
            part gets floor(fraction · N) samples and those left over go to the parts in turn, as in PyTorch.
        generator: Draws the order; the default generator if absent.

    Raises:
        ValueError: If the lengths do not add up.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    count, total = len(dataset), sum(lengths)
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths must not be negative: {list(lengths)}")
    if math.isclose(total, 1):
        sizes = [math.floor(count * fraction) for fraction in lengths]
        for i in range(count - sum(sizes)):
            sizes[i % len(sizes)] += 1
    elif total == count and all(float(length).is_integer() for length in lengths):
        sizes = [int(length) for length in lengths]
    else:
        raise ValueError(
            f"random_split: lengths {list(lengths)} add up to {total}; they must add up to the {count} "
            "samples of the dataset, or to 1 if they are fractions"
        )
    order = (random.default_generator() if generator is None else generator).permutation(count)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(sizes)[:-1])]


def stratified_split(labels: Any, test_fraction: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a test part in which every class has the same share.

    The test part has round(test_fraction · N) samples. Each class gives floor(test_fraction · n), and the
    classes with the largest remainders one more.

    Args:
        labels: (N,) whole numbers.
        test_fraction: The test part's share, between 0 and 1.
        seed: Fixes which samples of a class are taken.

    Returns:
        Two ascending index arrays, training and test.

    Raises:
        ValueError: If the fraction is not between 0 and 1, or a class would be missing in one part.

    >>> train, test = stratified_split([0, 0, 0, 0, 1, 1, 1, 1], test_fraction=0.5)
    >>> len(train), sorted(np.array([0, 0, 0, 0, 1, 1, 1, 1])[test].tolist())
    (4, [0, 0, 1, 1])
    """
    labels = as_array(labels)
    if not 0 < test_fraction < 1:
        raise ValueError(f"stratified_split: test_fraction must lie between 0 and 1, not {test_fraction}")
    if labels.ndim != 1 or not labels.size:
        raise ValueError(f"stratified_split: labels must be (N,) with N > 0, not {labels.shape}")
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * test_fraction
    takes = np.floor(exact + 1e-9).astype(int)
    missing = round(len(labels) * test_fraction) - int(takes.sum())
    takes[np.argsort(takes - exact, kind="stable")[: max(missing, 0)]] += 1
    for label, count, take in zip(classes.tolist(), counts.tolist(), takes.tolist(), strict=True):
        if not 0 < take < count:
            raise ValueError(
                f"stratified_split: class {label} has {count} samples and would give {take} to the test "
                "part; each part needs at least one. Change test_fraction or leave the class out"
            )
    generator = random.Generator(seed)
    test = np.sort(
        np.concatenate(
            [
                np.flatnonzero(labels == label)[generator.permutation(count)[:take]]
                for label, count, take in zip(classes, counts.tolist(), takes.tolist(), strict=True)
            ]
        )
    )
    return np.setdiff1d(np.arange(len(labels)), test), test
