"""Number formats, and which one the result of a mixed expression has: PyTorch's rules on NumPy's names."""

from __future__ import annotations

from typing import Any

import numpy as np

float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
uint8, int8, int16 = np.dtype("uint8"), np.dtype("int8"), np.dtype("int16")
int32, int64 = np.dtype("int32"), np.dtype("int64")
bool_ = np.dtype("bool")

SUPPORTED = (float16, float32, float64, uint8, int8, int16, int32, int64, bool_)

#: The format of Python floats, and of whole numbers after `/` or `exp`.
DEFAULT = float32

_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2}
_PYTHON = {bool: bool_, int: int64, float: DEFAULT}


class DtypeError(TypeError):
    """A number format the operation cannot use; the message says which, where and what to do."""


def as_dtype(dtype: Any) -> np.dtype:
    """The supported dtype a name or type stands for; `float` means float64, as in NumPy and PyTorch.

    Raises:
        DtypeError: If it is none of `SUPPORTED`.

    >>> as_dtype("float16")
    dtype('float16')
    """
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise DtypeError(f"dtype {dtype!r} is not known; use one of {_names()}") from error
    if found not in SUPPORTED:
        raise DtypeError(f"dtype {found} is not supported; use one of {_names()}")
    return found


def _names() -> str:
    return ", ".join(map(str, SUPPORTED))


def is_floating(dtype: np.dtype) -> bool:
    """True for the formats that can carry gradients."""
    return dtype.kind == "f"


def holds(dtype: np.dtype, other: np.dtype) -> bool:
    """Whether `other` numbers may be written into a `dtype` array: no floats into integers, no integers into bools.

    >>> holds(float16, float32), holds(int64, float32)
    (True, False)
    """
    return _CATEGORY[other.kind] <= _CATEGORY[dtype.kind]


def accumulator(dtype: np.dtype) -> np.dtype:
    """The format to add many numbers in: float32 for float16, int64 for whole numbers and bools, else itself.

    >>> accumulator(float16)
    dtype('float32')
    """
    if dtype.kind == "f":
        return float32 if dtype == float16 else dtype
    return int64


def result_type(*operands: tuple[np.dtype, int] | bool | int | float) -> np.dtype:
    """The dtype of an expression over tensors and Python numbers.

    Any float beats integers, integers beat bools. Within a category the wider one wins, but Python numbers and
    0-d tensors only count where no tensor with dimensions has their category: they never widen a result.

    Args:
        *operands: `(dtype, ndim)` of a tensor, or a Python number.

    Source: PyTorch documentation, "Tensor Attributes", type promotion.

    >>> result_type((float32, 2), (float64, 0))
    dtype('float32')
    >>> result_type((int64, 1), 0.5)
    dtype('float32')
    """
    ranks: list[np.dtype | None] = [None, None, None]  # Python numbers, 0-d tensors, tensors with dimensions
    for operand in operands:
        if isinstance(operand, tuple):
            dtype, ndim = operand
            rank = 2 if ndim else 1
        else:
            rank = 0
            dtype = _PYTHON[bool if isinstance(operand, bool) else int if isinstance(operand, int) else float]
        known = ranks[rank]
        ranks[rank] = dtype if known is None else _wider(known, dtype)
    result: np.dtype | None = None
    for strong in reversed(ranks):
        if strong is None:
            continue
        if result is None or _CATEGORY[strong.kind] > _CATEGORY[result.kind]:
            result = strong
    return result if result is not None else DEFAULT


def _wider(a: np.dtype, b: np.dtype) -> np.dtype:
    if _CATEGORY[a.kind] != _CATEGORY[b.kind]:
        return a if _CATEGORY[a.kind] > _CATEGORY[b.kind] else b
    return np.promote_types(a, b)
