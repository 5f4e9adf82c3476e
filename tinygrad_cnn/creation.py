"""Tensors from nothing: zeros, ones, ranges and random numbers, under PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn import dtypes
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.random import Generator, default_generator


def _shape(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer)) else sizes


def full(
    shape: Any, fill_value: float, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of this shape with `fill_value` everywhere.

    >>> full((2,), 7)
    tensor([7, 7])
    """
    dtype = dtypes.result_type(fill_value) if dtype is None else dtypes.as_dtype(dtype)
    return Tensor(np.full(shape, fill_value, dtype), device=device, requires_grad=requires_grad)


def zeros(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros, float32 unless said otherwise."""
    return full(_shape(shape), 0, dtype=dtype or dtypes.DEFAULT, device=device, requires_grad=requires_grad)


def ones(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones, float32 unless said otherwise."""
    return full(_shape(shape), 1, dtype=dtype or dtypes.DEFAULT, device=device, requires_grad=requires_grad)


def empty(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor to be filled; here it holds zeros, so that a forgotten entry is no random number."""
    return zeros(*shape, dtype=dtype, device=device, requires_grad=requires_grad)


def full_like(tensor: Tensor, fill_value: float, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`full` with another tensor's shape, format and device."""
    return full(
        tensor.shape,
        fill_value,
        dtype=dtype or tensor.dtype,
        device=tensor.backend,
        requires_grad=requires_grad,
    )


def zeros_like(tensor: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros with another tensor's shape, format and device."""
    return full_like(tensor, 0, dtype=dtype, requires_grad=requires_grad)


def ones_like(tensor: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones with another tensor's shape, format and device."""
    return full_like(tensor, 1, dtype=dtype, requires_grad=requires_grad)


def arange(*limits: float, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The numbers start, start + step, … below end: `arange(end)`, `arange(start, end)`, `arange(start, end, step)`.

    >>> arange(3)
    tensor([0, 1, 2])
    """
    dtype = dtypes.result_type(*limits) if dtype is None else dtypes.as_dtype(dtype)
    return Tensor(np.arange(*limits).astype(dtype), device=device, requires_grad=requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers from start to end, both included, at equal distances."""
    values = np.linspace(start, end, steps).astype(dtypes.as_dtype(dtype or dtypes.DEFAULT))
    return Tensor(values, device=device, requires_grad=requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """An n×m matrix with ones on the diagonal."""
    return Tensor(
        np.eye(n, m, dtype=dtypes.as_dtype(dtype or dtypes.DEFAULT)),
        device=device,
        requires_grad=requires_grad,
    )


def _drawn(values: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """Numbers drawn with NumPy, then copied: the same on every device."""
    array = np.asarray(values).astype(dtypes.as_dtype(dtype or dtypes.DEFAULT))
    return Tensor(array, device=device, requires_grad=requires_grad)


def randn(
    *shape: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Gaussian numbers with mean 0 and variance 1."""
    return _drawn((generator or default_generator()).normal(_shape(shape)), dtype, device, requires_grad)


def rand(
    *shape: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers between 0 and 1 (1 excluded), all equally likely."""
    values = (generator or default_generator()).uniform(_shape(shape))
    # rounding to float32 may reach 1.0, which is excluded
    below_one = np.nextafter(1, 0, dtype=dtypes.as_dtype(dtype or dtypes.DEFAULT))
    return _drawn(np.minimum(values, below_one), dtype, device, requires_grad)


def randint(
    low: int,
    high: Any,
    shape: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Whole numbers from low to high − 1, int64 unless said otherwise; `randint(high, shape)` begins at 0.

    >>> randint(1, (2,))
    tensor([0, 0])
    """
    if shape is None:
        low, high, shape = 0, low, high
    drawn = (generator or default_generator()).integers(low, high, tuple(shape))
    return _drawn(drawn, dtype or dtypes.int64, device, False)


def randperm(n: int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """The numbers 0 … n − 1 in random order."""
    return _drawn((generator or default_generator()).permutation(n), dtypes.int64, device, False)


def randn_like(tensor: Tensor, *, generator: Generator | None = None, requires_grad: bool = False) -> Tensor:
    """Gaussian numbers with another tensor's shape, format and device."""
    return randn(
        tensor.shape,
        generator=generator,
        dtype=tensor.dtype,
        device=tensor.backend,
        requires_grad=requires_grad,
    )


def rand_like(tensor: Tensor, *, generator: Generator | None = None, requires_grad: bool = False) -> Tensor:
    """Numbers between 0 and 1 with another tensor's shape, format and device."""
    return rand(
        tensor.shape,
        generator=generator,
        dtype=tensor.dtype,
        device=tensor.backend,
        requires_grad=requires_grad,
    )
