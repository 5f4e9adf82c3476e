"""Dropout: elements set to 0 at random, in training."""

from __future__ import annotations

from tinygrad_cnn import ops
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.random import Generator, default_generator


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Set each element to 0 with probability p, and multiply the others by 1/(1 − p); only in training.

    Args:
        input: x, of any shape.
        p: Probability of an element to be dropped, 0 to 1.
        training: If false, x comes back unchanged.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.
        generator: Source of the random numbers; None is the default generator.

    Raises:
        ValueError: If p is not between 0 and 1.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    >>> dropout(Tensor([1.0, 2.0]), p=0.5, training=False)
    tensor([1., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p={p} is a probability; it must lie between 0 and 1")
    x = Tensor._as_tensor(input)
    if not training or p == 0:
        return x
    x._needs_float("dropout")
    return apply(ops.Dropout(float(p), *(generator or default_generator()).take()), x)
