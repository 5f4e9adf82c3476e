"""Dropout: elements, or whole channels, set to 0 at random, in training."""

from __future__ import annotations

import warnings

from tinygrad_cnn import ops
from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.autograd import Tensor, apply
from tinygrad_cnn.random import Generator, default_generator
from tinygrad_cnn.shapes import ShapeError


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Set each element to 0 with probability p, and multiply the others by 1/(1 − p); only in training.

    Formula: `y = x·keep/(1 − p)`, keep being 0 with probability p, else 1: the mean stays as it was.

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


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Set whole channels to 0 with probability p, and multiply the others by 1/(1 − p); only in training.

    Neighbouring pixels of a channel say nearly the same: dropping some of them would take little away.

    Args:
        input: x, (N, C, L), or one sample (C, L).
        p: Probability of a channel to be dropped, 0 to 1.
        training: If false, x comes back unchanged.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.
        generator: Source of the random numbers; None is the default generator.

    Raises:
        ValueError: If p is not between 0 and 1.
        ShapeError: If x has another number of dimensions.

    Source: Tompson et al. 2015, "Efficient object localization using convolutional networks", section 3.2.

    >>> y = dropout1d(Tensor([[[1.0, 1.0, 1.0]] * 50]), p=0.5)
    >>> sorted({tuple(channel) for channel in y[0].tolist()})
    [(0.0, 0.0, 0.0), (2.0, 2.0, 2.0)]
    """
    return _drop_channels("dropout1d", input, 2, p, training, generator)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """As `dropout1d`, for images (N, C, H, W).

    Three dimensions are taken for (N, C, L), with a warning, as in PyTorch.

    >>> y = dropout2d(Tensor([[[[1.0, 1.0]]] * 50]), p=0.5)
    >>> sorted({tuple(channel[0]) for channel in y[0].tolist()})
    [(0.0, 0.0), (2.0, 2.0)]
    """
    if Tensor._as_tensor(input).ndim == 3:
        warnings.warn(
            f"dropout2d: x {input.shape} has 3 dimensions and is taken for (N, C, L); write dropout1d for that, and "
            "x[None] for one image (C, H, W)",
            TinygradCnnWarning,
            stacklevel=2,
        )
        return _drop_channels("dropout2d", input, 2, p, training, generator)
    return _drop_channels("dropout2d", input, 3, p, training, generator)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """As `dropout1d`, for volumes (N, C, Z, H, W), or one volume (C, Z, H, W).

    >>> dropout3d(Tensor([[[[[7.0]]]]]), p=1.0)
    tensor([[[[[0.]]]]])
    """
    return _drop_channels("dropout3d", input, 4, p, training, generator)


def _drop_channels(
    operation: str, input: Tensor, sample: int, p: float, training: bool, generator: Generator | None
) -> Tensor:
    """Dropout of one number per channel; `sample` dimensions belong to one sample, which may come alone."""
    x = Tensor._as_tensor(input)
    if x.ndim not in (sample, sample + 1):
        raise ShapeError(
            f"{operation}: x {x.shape} must have {sample + 1} dimensions, (N, C, …); for single numbers use dropout"
        )
    ones = x.new_ones(x.shape[: x.ndim - sample + 1] + (1,) * (sample - 1))
    keep = dropout(ones, p, training, generator=generator)
    return x if keep is ones else x * keep
