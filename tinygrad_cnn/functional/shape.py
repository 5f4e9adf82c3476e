"""Other shapes: flattened, padded, joined."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.shapes import ShapeError, one_dim


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim … end_dim as one."""
    return Tensor._as_tensor(input).flatten(start_dim, end_dim)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """Add entries around the last dimensions.

    Args:
        input: x, of any shape.
        pad: (before, behind) of the last dimension, then of the one before it, and so on; negative numbers cut off.
        mode: "constant".
        value: What is added.

    Raises:
        ShapeError: If there are more pairs than dimensions.

    >>> pad(Tensor([[1.0]]), (1, 0))
    tensor([[0., 1.]])
    """
    x = Tensor._as_tensor(input)
    if mode != "constant":
        raise ValueError(f'pad: mode {mode!r} is not known; the mode is "constant"')
    if len(pad) % 2 or len(pad) // 2 > x.ndim:
        raise ShapeError(f"pad: {tuple(pad)} must be pairs (before, behind), at most {x.ndim} of them for {x.shape}")
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)][::-1]
    if any(min(pair) < 0 for pair in pairs):  # a negative pad crops
        first = x.ndim - len(pairs)
        for axis, (before, behind) in enumerate(pairs, start=first):
            if x.shape[axis] + min(before, 0) + min(behind, 0) < 0:
                raise ShapeError(f"pad: {tuple(pad)} cuts off more than dimension {axis} of {x.shape} has")
        crop = [slice(max(-b, 0), n - max(-e, 0)) for (b, e), n in zip(pairs, x.shape[first:])]
        x = x[(slice(None),) * first + tuple(crop)]
    return apply(ops.Pad(tuple((max(b, 0), max(e, 0)) for b, e in pairs), value), x)


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors one after the other along `dim`.

    >>> cat([Tensor([1, 2]), Tensor([3])])
    tensor([1, 2, 3])
    """
    operands = _several("cat", tensors)
    if not operands[0].ndim:
        raise ShapeError("cat: 0-d tensors have no dimension to join along; use stack")
    return apply(ops.Cat(one_dim("cat", dim if axis is None else axis, operands[0].ndim)), *operands)


def stack(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors of one shape as entries of a new dimension.

    >>> stack([Tensor([1, 2]), Tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    operands = _several("stack", tensors)
    return apply(ops.Stack(one_dim("stack", dim if axis is None else axis, operands[0].ndim + 1)), *operands)


def _several(operation: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not len(tensors):
        raise ShapeError(f"{operation}: give a list of at least one tensor")
    return Tensor._operands(operation, *(Tensor._as_tensor(t) for t in tensors))
