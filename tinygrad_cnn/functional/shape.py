"""Other shapes: flattened, padded, joined."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.shapes import ShapeError, one_dim, padded

PAD_MODES = ("constant", "reflect", "replicate", "circular")


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim … end_dim as one.

    >>> flatten(Tensor([[[1, 2], [3, 4]]]), 1)   # (1, 2, 2) -> (1, 4)
    tensor([[1, 2, 3, 4]])
    """
    return Tensor._as_tensor(input).flatten(start_dim, end_dim)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add entries around the last dimensions.

    Args:
        input: x, of any shape; (C, …) or (N, C, …) with one, two or three axes behind, in other modes than "constant".
        pad: (before, behind) of the last dimension, then of the one before it, and so on; negative numbers cut off.
        mode: What is added: "constant" `value`; "reflect" `cb|abc|ba`; "replicate" `aa|abc|cc`; "circular" `bc|abc|ab`.
        value: 0 if None.

    Raises:
        ShapeError: If there are more pairs than dimensions, or more is to be repeated than there is.
        ValueError: For another mode, or a value that the mode does not use.

    >>> pad(Tensor([[1.0]]), (1, 0))
    tensor([[0., 1.]])
    >>> pad(Tensor([[1.0, 2.0, 3.0]]), (1, 2), "reflect")
    tensor([[2., 1., 2., 3., 2., 1.]])
    """
    x = Tensor._as_tensor(input)
    if mode not in PAD_MODES:
        raise ValueError(f"pad: mode {mode!r} is not known; the modes are {', '.join(PAD_MODES)}")
    if value and mode != "constant":
        raise ValueError(f'pad: mode={mode!r} adds entries of x; value={value} is for mode="constant"')
    padded(x.shape, pad, mode)  # refuses what cannot be
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)][::-1]

    def cut(x: Tensor) -> Tensor:
        if not any(min(pair) < 0 for pair in pairs):
            return x
        first = x.ndim - len(pairs)
        kept = [slice(max(-b, 0), n - max(-e, 0)) for (b, e), n in zip(pairs, x.shape[first:])]
        return x[(slice(None),) * first + tuple(kept)]

    early = mode in ("constant", "circular")  # reflect and replicate see what is cut off, as in PyTorch
    x = cut(x) if early else x
    x = apply(ops.Pad(tuple((max(b, 0), max(e, 0)) for b, e in pairs), value or 0.0, mode), x)
    return x if early else cut(x)


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors one after the other along `dim`; in all other dimensions they have the same sizes.

    Raises:
        ShapeError: If they have not, or there are none.

    >>> cat([Tensor([1, 2]), Tensor([3])])
    tensor([1, 2, 3])
    """
    operands = _several("cat", tensors)
    if not operands[0].ndim:
        raise ShapeError("cat: 0-d tensors have no dimension to join along; use stack")
    return apply(ops.Cat(one_dim("cat", dim if axis is None else axis, operands[0].ndim)), *operands)


def stack(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors of one shape as entries of a new dimension.

    Raises:
        ShapeError: If their shapes differ, or there are none.

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
