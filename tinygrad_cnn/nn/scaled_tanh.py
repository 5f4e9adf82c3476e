"""LeNet-5's squashing function."""

from __future__ import annotations

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.module import Module


class ScaledTanh(Module):
    """The hyperbolic tangent, stretched so that f(1) = 1 and f(−1) = −1.

    Formula: `y = amplitude·tanh(slope·x)`. With the defaults the gain around 0 is near 1, and |f''| is largest at ±1:
    targets of ±1 lie where the function bends most, not where it is flat and learning stops.

    Args:
        amplitude: A, where it levels off.
        slope: S, its slope at 0 divided by A.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    equation 6 and appendix A.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> [round(y, 4) for y in nn.ScaledTanh()(tcnn.tensor([-1.0, 0.0, 1.0, 100.0])).tolist()]
    [-1.0, 0.0, 1.0, 1.7159]
    """

    def __init__(self, amplitude: float = 1.7159, slope: float = 2 / 3) -> None:
        super().__init__()
        self.amplitude = amplitude
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.tanh(x * self.slope) * self.amplitude

    def extra_repr(self) -> str:
        """The two factors."""
        return f"amplitude={self.amplitude:g}, slope={self.slope:.4g}"
