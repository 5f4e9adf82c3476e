"""Fully connected layers and matrix products."""

from __future__ import annotations

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.functional.arguments import present, same_format


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The fully connected layer.

    Formula: `y[n,d] = Σ_f x[n,f]·weight[d,f] + bias[d]`, in short `y = x·weightᵀ + bias`.

    Args:
        input: x, (…, F) inputs.
        weight: (D, F), one row per output.
        bias: (D,).

    Returns:
        (…, D).

    Raises:
        ShapeError: If the sizes F or D do not agree.
        DtypeError: If the number formats differ.

    >>> linear(Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), Tensor([10.0]))   # 1·3 + 2·4 + 10
    tensor([[21.]])
    """
    x = Tensor._as_tensor(input)
    same_format("linear", x=x, weight=weight, bias=bias)
    return apply(ops.Linear(), x, weight, *present(bias))


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product `input @ other`.

    Formula: `y[i,k] = Σ_j x[i,j]·z[j,k]`, for each of the dimensions before the last two.

    Raises:
        ShapeError: If the sizes j differ.

    >>> matmul(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]]))   # 1·3 + 2·4
    tensor([[11.]])
    """
    return input @ other
