"""Resizing, padding, cropping and mirroring, of pictures (H, W, C) and of channels-first floats alike."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms.base import BatchTransform, Rngs, as_array, each
from tinygrad_cnn.shapes import ShapeError


class Resize(BatchTransform):
    """Scale an image to another size.

    Output pixel p has its centre at `x = (p + ½)·H/P − ½` of the input (half-pixel centres). Bilinear takes
    the two nearest rows and columns, weighted by distance; nearest takes `floor(p·H/P)`. Both are what
    PyTorch's `interpolate` computes (bilinear with `align_corners=False`, without antialiasing when
    shrinking).

    Args:
        size: (rows, columns) in pixels; one number is the length of the shorter side.
        interpolation: `"bilinear"` or `"nearest"`.

    Raises:
        ValueError: If a size is not positive or the interpolation unknown.

    >>> Resize((1, 4))(np.array([[[0.0, 1.0]]])).tolist()
    [[[0.0, 0.25, 0.75, 1.0]]]
    """

    def __init__(self, size: int | Sequence[int], interpolation: str = "bilinear") -> None:
        self.size = size if isinstance(size, int) else _sizes("Resize", "size", size, (2,))
        if min(self.size if isinstance(self.size, tuple) else (self.size,)) < 1:
            raise ValueError(f"Resize: size={size} must be at least 1")
        if interpolation not in ("bilinear", "nearest"):
            raise ValueError(f'Resize: interpolation={interpolation!r} must be "bilinear" or "nearest"')
        self.interpolation = interpolation

    def __repr__(self) -> str:
        return f"Resize(size={self.size}, interpolation={self.interpolation!r})"

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """N images, resized; uint8 stays uint8 (rounded), floats keep their dtype."""
        maps, restore = _maps("Resize", images)
        H, W = maps.shape[-2:]
        if isinstance(self.size, int):
            P, Q = (self.size * H // min(H, W), self.size * W // min(H, W))
        else:
            P, Q = self.size
        if self.interpolation == "nearest":
            return restore(maps[..., (np.arange(P) * H // P)[:, None], np.arange(Q) * W // Q])
        values = maps if maps.dtype.kind == "f" else maps.astype(np.float32)
        up, down, weight = _taps(H, P, values.dtype)
        values = values[..., up, :] * (1 - weight[:, None]) + values[..., down, :] * weight[:, None]
        left, right, weight = _taps(W, Q, values.dtype)
        values = values[..., left] * (1 - weight) + values[..., right] * weight
        return restore(values if maps.dtype.kind == "f" else np.rint(values).astype(maps.dtype))


def _taps(size: int, wanted: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each output pixel the input pixels before and behind its centre, and the latter's weight."""
    centre = np.maximum((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0)
    before = centre.astype(np.int64)
    behind = np.minimum(before + 1, size - 1)
    return before, behind, (centre - before).astype(dtype)


class Pad(BatchTransform):
    """Add pixels around an image.

    Args:
        padding: One number for all sides, (left and right, top and bottom), or (left, top, right, bottom).
        fill: The value of the new pixels.
        padding_mode: `"constant"` (the fill), `"edge"`, `"reflect"` or `"symmetric"`.

    Raises:
        ValueError: If a number is negative or the mode unknown.

    >>> Pad(1)(np.ones((1, 1), np.uint8)).tolist()
    [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    """

    def __init__(self, padding: int | Sequence[int], fill: float = 0, padding_mode: str = "constant") -> None:
        sides = _sizes("Pad", "padding", padding, (1, 2, 4))
        self.padding = (sides * 4)[:4]  # left, top, right, bottom
        if min(self.padding) < 0:
            raise ValueError(f"Pad: padding={padding} must not be negative; to cut pixels off use RandomCrop")
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError(f"Pad: padding_mode={padding_mode!r} must be constant, edge, reflect or symmetric")
        self.fill, self.padding_mode = fill, padding_mode

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode!r})"

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """N images, padded."""
        maps, restore = _maps("Pad", images)
        left, top, right, bottom = self.padding
        width = [(0, 0)] * (maps.ndim - 2) + [(top, bottom), (left, right)]
        options: dict[str, Any] = {"constant_values": self.fill} if self.padding_mode == "constant" else {}
        return restore(np.pad(maps, width, mode=self.padding_mode, **options))  # type: ignore[call-overload]


class RandomCrop(BatchTransform):
    """Cut out a window of fixed size at a random place, the same for all channels.

    Args:
        size: (rows, columns) in pixels; one number for a square.
        padding: Pixels added first, as in `Pad`; None for none.
        fill: Their value.
        padding_mode: As in `Pad`.

    Raises:
        ShapeError: If the window is larger than the padded image.

    Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1 (random translations against overfitting).

    >>> RandomCrop(2)(np.arange(4).reshape(1, 2, 2) / 4).tolist()
    [[[0.0, 0.25], [0.5, 0.75]]]
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        fill: float = 0,
        padding_mode: str = "constant",
    ) -> None:
        sides = _sizes("RandomCrop", "size", size, (1, 2))
        self.size = (sides[0], sides[-1])
        if min(self.size) < 1:
            raise ValueError(f"RandomCrop: size={size} must be at least 1")
        self.padding = None if padding is None else Pad(padding, fill, padding_mode)

    def __repr__(self) -> str:
        if self.padding is None:
            return f"RandomCrop(size={self.size})"
        return f"RandomCrop(size={self.size}, {repr(self.padding).removeprefix('Pad(')}"

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """N images, each cropped at a place of its own."""
        if self.padding is not None:
            images = self.padding.batch(images)
        maps, restore = _maps("RandomCrop", images)
        (H, W), (P, Q) = maps.shape[-2:], self.size
        if P > H or Q > W:
            raise ShapeError(
                f"RandomCrop: a window of {P}×{Q} does not fit into an image of {H}×{W} (padding included); "
                "make it smaller or pad more"
            )
        crops = np.empty((*maps.shape[:-2], P, Q), maps.dtype)
        for crop, image, rng in zip(crops, maps, each(rngs, maps), strict=True):
            top, left = (rng.uniform(2) * (H - P + 1, W - Q + 1)).astype(int)  # one draw for both
            crop[...] = image[..., top : top + P, left : left + Q]
        return restore(crops)


class RandomHorizontalFlip(BatchTransform):
    """Mirror an image left to right with probability p.

    Args:
        p: The probability, 0 to 1.

    Raises:
        ValueError: If p is not a probability.

    Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1.

    >>> RandomHorizontalFlip(p=1)(np.array([[[1.0, 2.0, 3.0]]])).tolist()
    [[[3.0, 2.0, 1.0]]]
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: p={p} must be a probability, 0 to 1")
        self.p = p

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """N images, each mirrored or not."""
        maps, restore = _maps("RandomHorizontalFlip", images)
        mirrored = np.array([rng.uniform() < self.p for rng in each(rngs, maps)], dtype=bool)
        maps = maps.copy()
        maps[mirrored] = maps[mirrored][..., ::-1]
        return restore(maps)


def _maps(name: str, images: Any) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """The images with rows and columns as last axes, and the function that puts the axes back."""
    images = as_array(images)
    if images.ndim not in (3, 4):
        raise ShapeError(
            f"{name}: an image must be (H, W), (H, W, C) uint8 or (C, H, W) floats, not {images.shape[1:]}"
        )
    if images.dtype != np.uint8 or images.ndim == 3:
        return images, lambda maps: maps
    if images.shape[-1] > 4:
        raise ShapeError(
            f"{name}: uint8 pictures are (H, W) or (H, W, C) with at most 4 channels, not "
            f"{images.shape[1:]}; make (C, H, W) images floats first"
        )
    return np.moveaxis(images, -1, 1), lambda maps: np.moveaxis(maps, 1, -1)


def _sizes(name: str, what: str, value: Any, allowed: tuple[int, ...]) -> tuple[int, ...]:
    values = (value,) if isinstance(value, numbers.Integral) else tuple(value)
    if len(values) not in allowed or not all(isinstance(v, numbers.Integral) for v in values):
        raise ValueError(f"{name}: {what}={value!r} must be {' or '.join(map(str, allowed))} whole number(s)")
    return tuple(int(v) for v in values)
