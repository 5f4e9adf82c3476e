"""Dropout."""

from __future__ import annotations

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.random import Generator


class Dropout(Module):
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

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p={p} must be a probability, from 0 to 1")
        self.p = p
        self.inplace = inplace
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.dropout(x, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"
