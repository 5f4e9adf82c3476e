"""What the functions share: checks of their arguments, and images one by one or in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_cnn import dtypes
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.shapes import Ints


def same_format(operation: str, **tensors: Any) -> None:
    """PyTorch's rule: layers do not mix number formats silently, and their weights are tensors (or None)."""
    (first, x), *rest = tensors.items()
    for name, tensor in rest:
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise TypeError(f"{operation}: {name} must be a tensor, not {kind}; make one with tensor(…)")
        if tensor.dtype != x.dtype:
            remedy = f".to({tensor.dtype.name!r})"
            if dtypes.is_floating(x.dtype):
                remedy += f", or the model with model.to({x.dtype.name!r})"
            elif x.dtype == dtypes.uint8:
                remedy += ", pictures with x.float() / 255"
            raise DtypeError(
                f"{operation}: {first} is {x.dtype}, {name} is {tensor.dtype}; convert {first} with {remedy}"
            )


def present(*tensors: Tensor | None) -> list[Tensor]:
    """Those that were given: a bias or a weight may be None."""
    return [tensor for tensor in tensors if tensor is not None]


def per_axis(value: Ints, rank: int) -> tuple[int, ...]:
    """One number for every axis, or one for each.

    >>> per_axis(3, 2), per_axis((1, 2, 3), 3)
    ((3, 3), (1, 2, 3))
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * rank if len(values) == 1 else values


def batched(function: Callable[..., Any], x: Tensor, *rest: Any, rank: int = 2) -> Any:
    """A layer for batches (N, C, …) on one sample (C, …) with `rank` axes: as a batch of one, and back."""
    if x.ndim != rank + 1:
        return function(x, *rest)
    result = function(x.unsqueeze(0), *rest)
    return tuple(r.squeeze(0) for r in result) if isinstance(result, tuple) else result.squeeze(0)
