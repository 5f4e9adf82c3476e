"""Dropout, of single numbers and of whole channels."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.random import Generator


class _Dropout(Module):
    """What the kinds share; they differ in the function they call."""

    function: Callable[..., Tensor]

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p={p} must be a probability, from 0 to 1")
        self.p = p
        self.inplace = inplace
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return self.function(x, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, set each number to zero with probability p; after `eval()` nothing.

    Formula: `y = x·keep / (1 − p)`, keep being 0 with probability p, else 1: the mean stays as it was.

    Args:
        p: The probability, 0 to 1.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.
        generator: Draws the mask; the default generator if None.

    Raises:
        ValueError: If p is no probability.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, "Dropout".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> layer = nn.Dropout(0.5)
    >>> sorted(set(layer(tcnn.ones(100)).tolist()))
    [0.0, 2.0]
    >>> layer.eval()(tcnn.ones(2)).tolist()
    [1.0, 1.0]
    """

    function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """In training, set each channel of a sequence to zero with probability p; after `eval()` nothing.

    Formula: `y = x·keep / (1 − p)`, keep being 0 with probability p, else 1, for a whole channel of a sample.
    Neighbours within a channel say nearly the same: dropping single ones would take little away.

    Args:
        p: The probability, 0 to 1.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.
        generator: Draws the mask; the default generator if None.

    Raises:
        ValueError: If p is no probability.
        ShapeError: If x is not (N, C, L) or (C, L).

    Source: Tompson et al. 2015, "Efficient object localization using convolutional networks", section 3.2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> layer = nn.Dropout1d(0.5)
    >>> sorted({tuple(channel) for channel in layer(tcnn.ones(1, 50, 3))[0].tolist()})
    [(0.0, 0.0, 0.0), (2.0, 2.0, 2.0)]
    """

    function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """In training, set each channel of an image to zero with probability p: `Dropout1d` for (N, C, H, W).

    Formula: `y = x·keep / (1 − p)`, keep being 0 with probability p, else 1, for a whole (H, W) map of a sample.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Dropout2d(1.0)(tcnn.ones(1, 2, 1, 1)).tolist()
    [[[[0.0]], [[0.0]]]]
    """

    function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """In training, set each channel of a volume to zero with probability p: `Dropout1d` for (N, C, Z, H, W).

    Formula: `y = x·keep / (1 − p)`, keep being 0 with probability p, else 1, for a whole (Z, H, W) map of a sample.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> nn.Dropout3d(1.0)(tcnn.ones(1, 2, 1, 1, 1)).flatten().tolist()
    [0.0, 0.0]
    """

    function = staticmethod(F.dropout3d)
