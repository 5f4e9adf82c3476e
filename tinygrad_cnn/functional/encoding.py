"""Class numbers as vectors."""

from __future__ import annotations

from tinygrad_cnn import dtypes
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.dtypes import DtypeError


def one_hot(labels: Tensor, num_classes: int = -1) -> Tensor:
    """A vector for each class number, with 1 at its place and 0 elsewhere.

    Args:
        labels: (…) class numbers, whole ones.
        num_classes: How long a vector is; −1: the largest class number + 1.

    Returns:
        (…, num_classes), int64.

    Raises:
        ValueError: For a class number that does not exist.
        DtypeError: If the labels are no whole numbers.

    >>> one_hot(Tensor([0, 2]), 3).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    labels = Tensor._as_tensor(labels)
    if dtypes.is_floating(labels.dtype):
        raise DtypeError(f"one_hot: class numbers must be whole numbers, not {labels.dtype}")
    if num_classes < 0:
        if not labels.numel():
            raise ValueError("one_hot: no labels to count the classes by; give num_classes")
        num_classes = int(labels.max()) + 1
    if labels.backend.checks_values and labels.numel():
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= num_classes:
            raise ValueError(f"one_hot: class numbers {low}..{high} must lie in 0..{num_classes - 1}")
    with labels.backend.activate():
        classes = Tensor(labels.backend.xp.arange(num_classes))
    return (labels.unsqueeze(-1) == classes).long()
