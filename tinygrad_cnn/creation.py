"""Tensors from nothing: zeros, ones, ranges and random numbers, under PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn import dtypes
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.methods.shape import as_sizes
from tinygrad_cnn.random import Generator, default_generator


def _shape(sizes: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """`f(2, 3)`, `f((2, 3))` and `f(size=(2, 3))` mean the same."""
    if size is not None and sizes:
        raise TypeError(f"the size is given twice: {sizes} and size={size}")
    return as_sizes(sizes if size is None else tuple(size))


def full(size: Any, fill_value: float, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of this shape with `fill_value` everywhere.

    >>> full((2,), 7)
    tensor([7, 7])
    """
    dtype = dtypes.result_type(fill_value) if dtype is None else dtypes.as_dtype(dtype)
    return Tensor(np.full(size, fill_value, dtype), device=device, requires_grad=requires_grad)


def zeros(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros, float32 unless said otherwise."""
    return full(_shape(shape, size), 0, dtype=dtype or dtypes.DEFAULT, device=device, requires_grad=requires_grad)


def ones(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones, float32 unless said otherwise."""
    return full(_shape(shape, size), 1, dtype=dtype or dtypes.DEFAULT, device=device, requires_grad=requires_grad)


def empty(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor to be filled; here it holds zeros, so that a forgotten entry is no random number."""
    return zeros(*shape, size=size, dtype=dtype, device=device, requires_grad=requires_grad)


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


def arange(
    start: float | None = None,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers start, start + step, … below end: `arange(end)`, `arange(start, end)`, `arange(start, end, step)`.

    >>> arange(3)
    tensor([0, 1, 2])
    """
    start, end = (0, start) if end is None else (0 if start is None else start, end)
    if end is None:
        raise TypeError("arange: give the end")
    dtype = dtypes.result_type(start, end, step) if dtype is None else dtypes.as_dtype(dtype)
    return Tensor(np.arange(start, end, step).astype(dtype), device=device, requires_grad=requires_grad)


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
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Gaussian numbers with mean 0 and variance 1."""
    return _drawn((generator or default_generator()).normal(_shape(shape, size)), dtype, device, requires_grad)


def rand(
    *shape: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers between 0 and 1 (1 excluded), all equally likely."""
    values = (generator or default_generator()).uniform(_shape(shape, size))
    # rounding to float32 may reach 1.0, which is excluded
    below_one = np.nextafter(1, 0, dtype=dtypes.as_dtype(dtype or dtypes.DEFAULT))
    return _drawn(np.minimum(values, below_one), dtype, device, requires_grad)


def randint(
    low: int = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Whole numbers from low to high − 1, int64 unless said otherwise; `randint(high, size)` begins at 0.

    >>> randint(1, (2,))
    tensor([0, 0])
    """
    high, size = (None, high) if size is None else (high, size)
    low, high = (0, low) if high is None else (low, high)
    if size is None or isinstance(size, int):
        raise TypeError("randint: give the size, as in randint(0, 10, (2, 3))")
    drawn = (generator or default_generator()).integers(low, high, tuple(size))
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
