"""How images lie in memory: channels outermost.

A convolution of the whole batch is one product of matrices, `weight (K, C·R·S) @ columns (C·R·S, N·P·Q)`, and its
result has the channels outermost, (K, N, P, Q). Nothing is sorted back: the tensor is (N, K, P, Q), a view of it. All
that follows (bias, ReLU, pooling, normalisation) computes in the order in which its input lies, and the next
convolution takes it as it is. Batch normalisation even likes it: all of a channel lies in one piece.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace

Array = Any


def channels_outermost(x: Array) -> bool:
    """Whether (N, C, …) lies in memory as (C, N, …) does."""
    return bool(x.swapaxes(0, 1).flags.c_contiguous and not x.flags.c_contiguous)


def in_one_piece(x: Array, swapped: bool = False) -> Array:
    """The array, or a copy, that lies in one piece as (C, N, …) if `swapped`, else as it is; seen in that order."""
    ordered = x.swapaxes(0, 1) if swapped else x
    return ordered if ordered.flags.c_contiguous else ordered.copy()


def empty(x: Array, shape: tuple[int, ...], swapped: bool, dtype: Any = None) -> tuple[Array, Array]:
    """Memory for (N, C, …): as users see it, and in the order in which it lies."""
    xp = namespace(x)
    first, second = shape[:2][::-1] if swapped else shape[:2]
    lying = xp.empty((first, second, *shape[2:]), dtype or x.dtype)
    return (lying.swapaxes(0, 1) if swapped else lying), lying
