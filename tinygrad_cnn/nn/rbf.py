"""LeNet-5's output: distances from prototypes, and the loss that goes with them."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.arguments import one_of, whole
from tinygrad_cnn.nn.linear import features_of
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.shapes import Shape, ShapeError


class EuclideanRBF(Module):
    """The squared distance of a vector from each of D prototypes: Euclidean radial basis functions.

    Formula: `y[n,j] = Σ_i (x[n,i] − centers[j,i])²`. The nearest class has the *smallest* output.

    Args:
        in_features: F, length of an input vector.
        out_features: D, number of prototypes.
        centers: (D, F) the prototypes.
        trainable: Whether the prototypes are learned; they are fixed in LeNet-5.
        device: Where the prototypes live.
        dtype: Their number format, float32 by default.

    Attributes:
        centers: (D, F), a buffer, or a parameter if trainable.

    Raises:
        ShapeError: If the prototypes have another shape, or x has other than F features.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    equation 7.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> layer = nn.EuclideanRBF(2, 2, centers=[[1.0, 1.0], [-1.0, 1.0]])
    >>> layer(tcnn.tensor([[1.0, 0.0]])).tolist()   # 0² + 1², 2² + 1²
    [[1.0, 5.0]]
    """

    centers: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        centers: Any,
        trainable: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = F_ = whole("EuclideanRBF", "in_features", in_features)
        self.out_features = D = whole("EuclideanRBF", "out_features", out_features)
        self.trainable = trainable
        values = Parameter(centers, dtype="float32" if dtype is None else dtype, device=device)
        if values.shape != (D, F_):
            raise ShapeError(
                f"EuclideanRBF: centers have shape {values.shape}; {D} outputs for {F_} features want ({D}, {F_})"
            )
        if trainable:
            self.centers = values
        else:
            self.register_buffer("centers", values.detach())

    def forward(self, x: Tensor) -> Tensor:
        """(..., F) → (..., D)."""
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ShapeError(
                f"EuclideanRBF: x {x.shape} must have {self.in_features} features in its last axis, as the prototypes "
                "do"
            )
        differences = x.unsqueeze(-2) - self.centers  # (...,1,F) − (D,F) -> (...,D,F)
        return (differences * differences).sum(-1)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of one sample, (..., F) → (..., D).

        Raises:
            ShapeError: If there are not F features.
        """
        return (*features_of(self, shape), self.out_features)

    def connections(self, output: Shape) -> int:
        """How many connections there are: F to each of the D outputs.

        >>> from tinygrad_cnn import nn
        >>> nn.EuclideanRBF(2, 3, centers=[[0.0, 0.0]] * 3).connections((3,))
        6
        """
        return math.prod(output) * self.in_features

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, trainable={self.trainable}"


class MAPLoss(Module):
    """LeNet-5's loss: near the right prototype, and far from the others.

    Formula: with the distances y of `EuclideanRBF` and the scores s = −y,
    `loss = y[target] + log(e⁻ʲ + Σ_i e^−y[i])`, averaged over the samples: the negative logarithm of the probability
    of the right class, where a picture may also be none of the classes ("rubbish"), at the constant distance j.

    The first term alone would not mind if all distances were small; with trainable prototypes all vectors could
    become the same one, and the loss 0. The second term pushes the wrong classes away, but only those that are nearer
    than about j. Together it is cross-entropy with one class more, whose score is −j, so no exponential overflows.

    Args:
        j: The distance of rubbish, greater than 0.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ValueError: If j is not positive, or reduction is none of the three.
        IndexError: If a target is no class.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    equation 9 (the maximum a posteriori criterion).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> scores = tcnn.tensor([[-1.0, -1.0]])   # both classes at distance 1, as far as rubbish: probability 1/3
    >>> round(nn.MAPLoss(j=1.0)(scores, tcnn.tensor([0])).item(), 4)   # log 3
    1.0986
    """

    def __init__(self, j: float, *, reduction: str = "mean") -> None:
        super().__init__()
        if not 0 < j < math.inf:
            raise ValueError(f"MAPLoss: j={j} is a distance; it must be greater than 0, and finite")
        self.j = float(j)
        self.reduction = one_of("MAPLoss", "reduction", reduction, ("none", "mean", "sum"))

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        """Scores (N, classes), minus the distances, and class numbers (N,) → a number."""
        rubbish = scores.new_zeros(len(scores), 1) - self.j
        log_p = scores - F.cat([scores, rubbish], dim=1).logsumexp(1, keepdim=True)
        return F.nll_loss(log_p, target, reduction=self.reduction)

    def extra_repr(self) -> str:
        """The distance of rubbish."""
        return f"j={self.j:g}"
