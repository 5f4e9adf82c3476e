"""Element by element: the memory of all arrays walked together, in blocks that stay in the cache, over threads.

`x·σ(x)` is four NumPy functions. Over whole arrays each of them reads its operand from main memory and writes its
result back, into new pages that the system hands out one trap at a time. A block at a time, the first result is still
in the second-level cache when the second function asks for it, and four functions cost little more than one.

The memory is walked as it lies: an array in any order of axes, if it has no gaps, is one row of numbers, and where all
arrays lie alike, element i of each row is the same element. So results lie as the first array does; see `layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.kernels import threads
from tinygrad_cnn.kernels.cpu.scratch import scratch

Array = np.ndarray

# of all the arrays of a block: more than the second-level cache holds, as for `blocks.BLOCK_BYTES`. Measured with two
# threads, against 1 MB: GELU 23 % faster, SGD 30 %, Adam 45 %
BLOCK_BYTES = 4 << 20


def elementwise(work: Callable[..., Any], *arrays: Array, cost: float, mask: bool = False, space: int = 0) -> Any:
    """Results that lie in memory as the first array does.

    Args:
        work: Given 1-d pieces of the arrays, of the results and of the work space, in this order, fills the results.
        *arrays: Of one shape; all float32 or all float64, but for masks.
        cost: Nanoseconds for an element on one core, roughly.
        mask: There is a second result, a mask.
        space: How many arrays of work space `work` wants.

    Returns:
        The result, with `mask` both; NotImplemented for other formats.
    """
    x = arrays[0]
    dtype = (arrays[-1] if x.dtype.char == "?" else x).dtype
    char = dtype.char
    if char not in "fd":
        return NotImplemented
    for a in arrays:
        if a.dtype.char != char and a.dtype.char != "?":
            return NotImplemented
    kinds = (dtype, bool)[: 1 + mask]
    if x.flags.c_contiguous and not worth_sharing(x.size, cost):  # as it is
        results = [np.empty(x.shape, kind) for kind in kinds]
        work(*arrays, *results, *[np.empty(x.shape, dtype) for _ in range(space)])
        return tuple(results) if mask else results[0]
    order = memory_order(x)
    shape = tuple([x.shape[axis] for axis in order]) if order else x.shape
    results = [np.empty(shape, kind) for kind in kinds]
    share = 4 if space else 2  # few passes gain little from the cache, and lose by every further call
    walk(work, [*(row(a, order) for a in arrays), *(y.reshape(-1) for y in results)], dtype, cost, space, share)
    if order:
        back = sorted(range(x.ndim), key=order.__getitem__)
        results = [y.transpose(back) for y in results]
    return tuple(results) if mask else results[0]


def memory_order(x: Array) -> tuple[int, ...]:
    """The axes from the longest stride to the shortest; empty for the usual order."""
    return () if x.flags.c_contiguous else tuple(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])))


def row(a: Array, order: Sequence[int] = ()) -> Array:
    """The elements with the axes in this order, in a row: a view if they lie so in memory, else a copy."""
    return (a.transpose(order) if order else a).reshape(-1)


def walk(
    work: Callable[..., Any], rows: Sequence[Array], dtype: np.dtype, cost: float, space: int = 0, arrays: int = 4
) -> None:
    """`work(*pieces)` for one block of the rows after the other, arguments as for `elementwise` and `block`."""
    n, step = rows[0].size, block(dtype, arrays)

    def part_of_it(part: int, first: int, last: int) -> None:
        spaces = [scratch(f"elementwise {i}", (step,), dtype) for i in range(space)]
        for a in range(first, last, step):
            b = min(a + step, last)
            work(*[piece[a:b] for piece in rows], *[piece[: b - a] for piece in spaces])

    if worth_sharing(n, cost):
        threads.split(n, part_of_it, n * cost * 1e-9)
    else:
        part_of_it(0, 0, n)


def worth_sharing(n: int, cost: float) -> bool:
    """Whether threads pay for so many elements, of so many nanoseconds each."""
    return n * cost * 1e-9 >= threads.WORTHWHILE_SECONDS


def block(dtype: np.dtype, arrays: int = 4) -> int:
    """Elements in a block, of which so many arrays are worked on at a time."""
    return max(1, BLOCK_BYTES // (arrays * dtype.itemsize))


def full(like: Array, value: float) -> Array:
    """This value as often as a piece has elements: a maximum with an array is three times as fast as with a number.

    A matrix in Fortran's order gets one of that order, since NumPy is slow with two arrays that lie differently.
    """
    known = _full.get((value, like.dtype.char))
    if known is None or known.size < like.size:
        known = np.full(like.size, value, like.dtype)
        known.flags.writeable = False
        _full[value, like.dtype.char] = known
    return known[: like.size].reshape(like.shape, order="F" if like.flags.fnc else "C")


# a value and a format → the longest array of it that was wanted
_full: dict[tuple[float, str], Array] = {}
