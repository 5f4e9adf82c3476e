"""Numbers by their size."""

from __future__ import annotations

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.methods import Extremes


def sort(input: Tensor, dim: int = -1, descending: bool = False) -> Extremes:
    """The numbers along `dim` in order, and where each stood.

    >>> values, indices = sort(Tensor([3.0, 1.0, 2.0]), descending=True)
    >>> values.tolist(), indices.tolist()
    ([3.0, 2.0, 1.0], [0, 2, 1])
    """
    return Tensor._as_tensor(input).sort(dim, descending)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extremes:
    """The k largest (or smallest) numbers along `dim`, always in order, and where they stood.

    >>> values, classes = topk(Tensor([[0.1, 0.7, 0.2]]), k=2)   # for the top-2 error
    >>> classes.tolist()
    [[1, 2]]
    """
    return Tensor._as_tensor(input).topk(k, dim, largest)
