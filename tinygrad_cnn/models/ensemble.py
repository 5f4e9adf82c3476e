"""Several networks that vote."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tinygrad_cnn import functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.walk import Call
from tinygrad_cnn.shapes import Shape, ShapeError


class Ensemble(nn.Module):
    """The average opinion of several classifiers: networks that err on different images correct each other.

    Formula: `ŷ = log(1/k · Σᵢ softmax(fᵢ(x)))`, computed as `logsumexpᵢ(log_softmax(fᵢ(x))) − log k`, which neither
    overflows nor underflows. So the largest output is the class, `exp` gives the probabilities, and `cross_entropy`
    and `nll_loss` are the same.

    Args:
        members: The networks; each gives scores or log-probabilities (N, C). They are shared, not copied.

    Raises:
        ValueError: If there are none.
        TypeError: If one is no Module, or returns no tensor.
        ShapeError: If their outputs have different shapes.

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 6 (five networks: 18.2 % → 16.4 % top-5 error).

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import models, nn
    >>> class Says(nn.Module):
    ...     def __init__(self, *p):
    ...         super().__init__()
    ...         self.scores = tcnn.tensor([p]).log()
    ...     def forward(self, x):
    ...         return self.scores
    >>> ensemble = models.Ensemble([Says(0.9, 0.1), Says(0.4, 0.6)])
    >>> [round(p, 2) for p in ensemble(None).exp()[0].tolist()]   # (0.9 + 0.4)/2, (0.1 + 0.6)/2
    [0.65, 0.35]
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        if isinstance(members, nn.Module) and not isinstance(members, nn.ModuleList):
            raise TypeError(f"Ensemble: members must be a list of networks, not one {type(members).__name__}")
        self.members = nn.ModuleList(members)
        if not len(self.members):
            raise ValueError("Ensemble: there are no members; give at least one network")

    def forward(self, x: Tensor) -> Tensor:
        """Logarithms of the average probabilities: (N, C, H, W) images -> (N, C)."""
        outputs: list[Tensor] = []
        for i, member in enumerate(self.members):
            output = member(x)
            name = f"member {i} ({type(member).__name__})"
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"Ensemble: {name} returns {type(output).__name__}, not scores (N, C); eval() it first?"
                )
            if output.ndim < 2 or output.shape != (outputs or [output])[0].shape:
                raise ShapeError(
                    f"Ensemble: {name} gives {output.shape}, member 0 {(outputs or [output])[0].shape}; all must give "
                    "scores (N, C) for the same classes"
                )
            outputs.append(output)
        log_p = F.stack([F.log_softmax(output, 1) for output in outputs])  # k times (N, C) -> (k, N, C)
        return log_p.logsumexp(0) - math.log(len(outputs))

    def walk_shapes(self, shape: Shape, call: Call) -> Shape:
        """What `forward` does to the shape of one sample; see `nn.walk`."""
        scores = [call(f"members.{i}", shape) for i in range(len(self.members))]
        return scores[0]
