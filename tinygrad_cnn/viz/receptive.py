"""What a unit of a network sees of the image, as numbers; `plot.receptive_field` draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor, grad
from tinygrad_cnn.shapes import Shape, ShapeError
from tinygrad_cnn.tables import summary
from tinygrad_cnn.tables.table import ALL
from tinygrad_cnn.viz.inputs import images, last_output, path_of, undisturbed


class Patch(NamedTuple):
    """The pixels a unit sees: rows top … bottom − 1, columns left … right − 1.

    Attributes:
        layer: The unit's layer.
        at: Its row and column in the layer's output; () of a layer without, which sees all.
        top: First row; negative in the padding.
        left: First column; negative in the padding.
        bottom: The row behind the last.
        right: The column behind the last.
    """

    layer: str
    at: tuple[int, ...]
    top: int
    left: int
    bottom: int
    right: int

    @property
    def middle(self) -> tuple[float, float]:
        """Row and column of its middle."""
        return (self.top + self.bottom - 1) / 2, (self.left + self.right - 1) / 2

    def inside(self, H: int, W: int) -> Patch:
        """The part in an image of H rows and W columns, without the padding.

        At the border a unit may see a little less: what other layers pad hides pixels from it that lie in between.
        """
        top, left, bottom, right = self[2:]
        return Patch(self.layer, self.at, max(top, 0), max(left, 0), min(bottom, H), min(right, W))


def receptive_patch(
    model: nn.Module,
    layer: Any,
    at: tuple[int, int] | None = None,
    input_shape: Sequence[int] | None = None,
    around: tuple[float, float] | None = None,
) -> Patch:
    """Which pixels a unit of a layer sees, computed from the sizes of the layers before it.

    Formula: rows `start + p·step` to `start + p·step + size − 1`, with the size and step that `summary` shows; behind
    a window `size += (span − 1)·step`, `start −= padding·step`, `step *= stride`.

    Args:
        model: The network.
        layer: The name of a layer, or the layer itself.
        at: Row and column of the unit in the layer's output; the one in the middle if None.
        input_shape: (C, H, W) of one image; the model's own `input_shape` by default.
        around: Instead of `at`: row and column of a pixel; of the unit whose field has its middle nearest to it.

    Raises:
        ValueError: If there is no such layer, or its receptive field cannot be known.
        ShapeError: If the layer's output has no such place.

    Source: Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks", Distill.

    >>> from tinygrad_cnn import models
    >>> receptive_patch(models.LeNet5(), "features.conv2", at=(0, 9))[2:]   # 14×14, beginning at 0 − 2 and 9·2 − 2
    (-2, 16, 12, 30)
    """
    path = path_of("receptive_field", model, layer)
    table = summary(model, input_shape, depth=path.count(".") + 1 if path else 0)
    (_, *pixels), rows = table.rows[0].output, [row for row in table.rows if row.name == (path or "(model)")]
    if not rows:
        listed = ", ".join(row.name for row in table.rows[1:])
        raise ValueError(f"receptive_field: {path!r} is not called in evaluation mode; there is {listed}")
    field, output = rows[-1].field, rows[-1].output
    if field is None or len(pixels) != 2:
        raise ValueError(f"receptive_field: what {path!r} sees of the image (C, H, W) cannot be told from its layers")
    if field == ALL or len(output) != 3:
        return Patch(path, (), 0, 0, *pixels)
    if around is not None:
        middles = [start + (size - 1) / 2 for start, size in zip(field.start, field.size)]
        nearest = [round((pixel - m) / step) for pixel, m, step in zip(around, middles, field.step)]
        at = tuple(min(max(p, 0), n - 1) for p, n in zip(nearest, output[1:]))  # type: ignore[assignment]
    place = _place(path, output[1:], at)
    top, left = (start + p * step for start, p, step in zip(field.start, place, field.step))
    return Patch(path, place, top, left, top + field.size[0], left + field.size[1])


def effective_field(
    model: nn.Module, layer: Any, at: tuple[int, int] | None = None, x: Any = None, channel: int | None = None
) -> np.ndarray:
    """How much each pixel counts for a unit: pixels in the middle of its field have more ways to it.

    Formula: `m[h,w] = mean_n Σ_c |∂y[n,k,p,q]/∂x[n,c,h,w]|`, with `Σ_k y[k]` instead of `y[k]` if no channel is given.

    Args:
        model: The network, in any mode; evaluated in evaluation mode.
        layer: The name of a layer, or the layer itself.
        at: Row and column of the unit; the one in the middle if None.
        x: (N, C, H, W) images, or one image (C, H, W).
        channel: The unit's feature map.

    Returns:
        (H, W).

    Raises:
        ValueError: If there is no such layer, or it is not called.
        ShapeError: If x are no images, or the layer's output has no such place.

    Source: Luo, Li, Urtasun & Zemel 2016, "Understanding the effective receptive field in deep convolutional neural
    networks".

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 1, (1, 2), bias=False), nn.Conv2d(1, 1, (1, 2), bias=False))
    >>> _ = net.load_state_dict({f"{i}.weight": [[[[1.0, 1.0]]]] for i in (0, 1)})
    >>> effective_field(net, "1", at=(0, 0), x=tcnn.zeros(1, 1, 4)).tolist()   # the second pixel has two ways
    [[1.0, 2.0, 1.0, 0.0]]
    """
    path = path_of("receptive_field", model, layer)
    with undisturbed(model):
        x = images("receptive_field", model, x).requires_grad_()
        with last_output([model.get_submodule(path)]) as last:
            model(x)
        if not last or not isinstance(last[0], Tensor):
            raise ValueError(f"receptive_field: {path!r} was not called in evaluation mode, or returns no tensor")
        y = last[0]
        start = np.zeros(y.shape)
        place = _place(path, y.shape[2:], at) if y.ndim == 4 else ()
        start[(slice(None), slice(None) if channel is None else channel, *place)] = 1
        (dx,) = grad(y, x, start)
    assert dx is not None
    return np.abs(dx.numpy()).sum(axis=1).mean(axis=0)


def _place(path: str, output: Shape, at: Sequence[int] | None) -> tuple[int, ...]:
    """Row and column of the unit: those given, or the ones in the middle."""
    place = tuple(n // 2 for n in output) if at is None else tuple(at)
    if len(place) != 2 or not all(0 <= p < n for p, n in zip(place, output)):
        raise ShapeError(
            f"receptive_field: at={at!r}: the output of {path!r} has {output[0]} rows and {output[1]} columns; give a "
            "row and a column, counted from 0"
        )
    return place
