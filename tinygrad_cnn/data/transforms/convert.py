"""From pictures to the network's inputs: channels first, scaled, normalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms.base import BatchTransform, Rngs, as_array
from tinygrad_cnn.shapes import ShapeError


class ToTensor(BatchTransform):
    """A picture as channels first, scaled: `y[c, h, w] = x[h, w, c] / 255`, float32.

    The result is an array; the loader makes tensors of whole batches.

    Args of the call:
        image: (H, W) or (H, W, C) uint8 array with values 0 … 255, or a PIL image. Arrays of other dtypes are
            only rearranged, not scaled, as in torchvision.

    Raises:
        ShapeError: If it is no picture, or floats that are channels-first already.

    >>> ToTensor()(np.array([[0, 51], [102, 255]], np.uint8)).tolist() == [
    ...     [[0.0, np.float32(0.2)], [np.float32(0.4), 1.0]]]
    True
    """

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """(N, H, W) or (N, H, W, C) pictures as (N, C, H, W) floats."""
        images = as_array(images)
        if images.ndim not in (3, 4):
            raise ShapeError(f"ToTensor: a picture must be (H, W) or (H, W, C), not {images.shape[1:]}")
        if images.ndim == 4:
            if images.shape[-1] > 4 and images.shape[1] <= 4:
                raise ShapeError(
                    f"ToTensor: pictures are (H, W, C), this one of shape {images.shape[1:]} looks like (C, "
                    "H, W): it needs no ToTensor, or `.transpose(1, 2, 0)` first"
                )
            images = images.transpose(0, 3, 1, 2)  # (N,H,W,C) -> (N,C,H,W)
        else:
            images = images[:, None]
        if images.dtype == np.bool_:
            return np.ascontiguousarray(images, dtype=np.float32)
        if images.dtype != np.uint8:
            return np.ascontiguousarray(images)
        maps = np.ascontiguousarray(images, dtype=np.float32)
        maps /= 255
        return maps


class Normalize(BatchTransform):
    """Subtract a mean and divide by a standard deviation, channel by channel: `y = (x − mean[c]) / std[c]`.

    With the mean and standard deviation of the training images, the network's inputs have mean 0 and standard
    deviation 1.

    Args:
        mean: One number per channel, or one for all.
        std: Likewise; not 0.

    Raises:
        ValueError: If a standard deviation is not positive.
        ShapeError: If the image has another number of channels.
        TypeError: If the image is not of floats.

    >>> Normalize(mean=0.5, std=0.25)(np.array([[[0.0, 0.5, 1.0]]], np.float32)).tolist()
    [[[-2.0, 0.0, 2.0]]]
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean = tuple(float(m) for m in np.atleast_1d(np.asarray(mean, dtype=np.float64)))
        self.std = tuple(float(s) for s in np.atleast_1d(np.asarray(std, dtype=np.float64)))
        if not all(s > 0 for s in self.std):
            raise ValueError(f"Normalize: every standard deviation must be positive, std={self.std}")

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """(N, C, H, W) floats, normalised."""
        images = as_array(images)
        if images.dtype.kind != "f":
            raise TypeError(f"Normalize: the image must be of floats, not {images.dtype}; apply ToTensor() first")
        C = images.shape[1] if images.ndim == 4 else 0
        if not C or any(len(numbers) not in (1, C) for numbers in (self.mean, self.std)):
            raise ShapeError(
                f"Normalize: {len(self.mean)} mean(s) and {len(self.std)} std(s) do not fit an image of "
                f"shape {images.shape[1:]}; it must be (C, H, W) with one of each per channel, or one for all"
            )
        mean = np.asarray(self.mean, images.dtype).reshape(-1, 1, 1)
        std = np.asarray(self.std, images.dtype).reshape(-1, 1, 1)
        normalised = images - mean
        normalised /= std
        return normalised
