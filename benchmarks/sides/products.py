"""This package's matrix products alone: the time that would be left if everything around them took none.

The products of a call are noted, with the memory they read and write, and then only they are computed again, shared as
evenly between the threads as can be. They are OpenBLAS's: nothing written in NumPy around them makes them faster, only
another algorithm with fewer or better ones.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.sides import ours
from benchmarks.sides.task import Case, Task
from tinygrad_cnn.kernels import threads

Product = tuple[np.ndarray, np.ndarray, np.ndarray]  # left, right, result

describe = ours.describe


def task(case: Case) -> Task:
    """The products of what this package does for the case."""
    whole = ours.task(case)
    for _ in range(whole.warm):
        whole.before()
        for function in whole.parts.values():
            function()
    whole.before()
    parts = {}
    for part, function in whole.parts.items():
        with noted() as products:
            function()
        parts[part] = functools.partial(compute, shared(products, threads.get_num_threads()))
    return Task(parts)


@contextlib.contextmanager
def noted() -> Iterator[list[Product]]:
    """Every product that NumPy computes inside the block, in whatever thread."""
    products: list[Product] = []
    matmul = np.matmul

    def note(A: np.ndarray, B: np.ndarray, out: np.ndarray | None = None) -> Any:
        result = matmul(A, B, out=out)
        products.append((A, B, result))
        return result

    with mock.patch.object(np, "matmul", note):
        yield products


def shared(products: list[Product], n: int) -> list[list[Product]]:
    """Products for each of n threads: of those with a long axis in front a part each, the others one by one.

    >>> A, B = np.ones((4, 1, 2, 3)), np.ones((6, 3, 5))
    >>> first, second = shared([(A, B, A @ B)], 2)
    >>> [X.shape for X in first[0]]  # three of six matrices of B
    [(4, 1, 2, 3), (3, 3, 5), (4, 3, 2, 5)]
    """
    lists: list[list[Product]] = [[] for _ in range(n)]
    work = [0] * n
    for A, B, out in products:
        lead = out.shape[:-2]
        if max(lead, default=0) >= n:
            axis = lead.index(max(lead)) - out.ndim
            bounds = np.linspace(0, max(lead), n + 1).astype(int)
            for mine, (a, b) in zip(lists, itertools.pairwise(bounds)):
                mine.append((_some(A, axis, a, b), _some(B, axis, a, b), _some(out, axis, a, b)))
        else:
            least = work.index(min(work))
            lists[least].append((A, B, out))
            work[least] += out.size * A.shape[-1]
    return lists


def _some(X: np.ndarray, axis: int, a: int, b: int) -> np.ndarray:
    """Entries a … b − 1 along an axis counted from the end, unless X is broadcast along it."""
    if X.ndim < -axis or X.shape[axis] == 1:
        return X
    return X[(..., slice(a, b), *[slice(None)] * (-axis - 1))]


def compute(lists: list[list[Product]]) -> None:
    """All products, each thread its own."""

    def work(part: int, first: int, last: int) -> None:
        for A, B, out in itertools.chain(*lists[first:last]):
            np.matmul(A, B, out=out)

    threads.split(len(lists), work, seconds=1)
