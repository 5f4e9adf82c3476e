"""Choices between two tensors, element by element."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.autograd import Tensor


def where(condition: Any, input: Any, other: Any) -> Tensor:
    """Take from `input` where the condition holds, else from `other`, element by element.

    >>> where(Tensor([True, False]), 1.0, 2.0)
    tensor([1., 2.])
    """
    condition = Tensor._as_tensor(condition)
    first, second = Tensor._given("where", input, other)
    return first.where(condition, second)


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, element by element; equals share the gradient.

    >>> maximum(Tensor([1.0, 5.0]), Tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    return Tensor._as_tensor(input).maximum(other)


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, element by element; equals share the gradient.

    >>> minimum(Tensor([1.0, 5.0]), Tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return Tensor._as_tensor(input).minimum(other)
