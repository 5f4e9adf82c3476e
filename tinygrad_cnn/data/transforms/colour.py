"""Changing the light that a picture was taken in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.data.transforms.base import BatchTransform, Rngs, as_array, each
from tinygrad_cnn.shapes import ShapeError

_CHUNK = 1000  # images whose pixels are summed at once


class PCAColor(BatchTransform):
    """Shift all pixels of an image by one random colour, drawn along the directions in which colours vary.

    Formula: `y[c, h, w] = x[c, h, w] + Σ_i eigenvectors[c, i]·αᵢ·eigenvalues[i]`, with αᵢ ~ N(0, std) drawn once for
    each image. Eigenvectors and eigenvalues are those of the (C, C) covariance of the training set's pixels.

    In photographs most of the variance lies along grey, so the brightness changes most, the tint a little: what the
    picture shows stays the same in another light. Eigenvalues are variances, so the formula depends on the unit;
    here images go from 0 to 1, and so the transform stands between `ToTensor` and `Normalize`. Results may leave 0 … 1.

    Args:
        eigenvalues: (C,) variances of the pixels along the directions.
        eigenvectors: (C, C) the directions, one a column, each of length 1.
        std: Standard deviation of α.

    Raises:
        ShapeError: If the sizes do not fit each other, or the image has another number of channels.
        ValueError: If std is negative.
        TypeError: If the image is not of floats.

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 4.1.

    >>> from tinygrad_cnn.random import Generator
    >>> reds = PCAColor([0.5, 0.0], [[1.0, 0.0], [0.0, 1.0]])   # only the first channel varies
    >>> alpha = Generator(7).normal(2, std=0.1)
    >>> shift = reds(np.zeros((2, 1, 1)), Generator(7)).ravel()
    >>> bool(shift[0] == 0.5 * alpha[0]), float(shift[1])
    (True, 0.0)
    """

    def __init__(self, eigenvalues: Any, eigenvectors: Any, std: float = 0.1) -> None:
        self.eigenvalues = np.asarray(eigenvalues, dtype=np.float64)
        self.eigenvectors = np.asarray(eigenvectors, dtype=np.float64)
        C = self.eigenvalues.size
        if self.eigenvalues.shape != (C,) or self.eigenvectors.shape != (C, C):
            raise ShapeError(
                f"PCAColor: eigenvalues must be (C,) and eigenvectors (C, C), one a column; they are "
                f"{self.eigenvalues.shape} and {self.eigenvectors.shape}"
            )
        if not std >= 0:
            raise ValueError(f"PCAColor: std={std} is a standard deviation; it must be at least 0")
        self.std = float(std)

    @classmethod
    def fit(cls, images: Any, std: float = 0.1) -> PCAColor:
        """The transform with the principal components of these images' pixels, the largest first.

        The sign of a direction does not matter, since α is as often negative; its largest entry is made positive.

        Args:
            images: (N, H, W) or (N, H, W, C) uint8 training pictures, or (N, C, H, W) floats from 0 to 1.
            std: Standard deviation of α.

        Raises:
            ShapeError: If they are no images.
            ValueError: If there are fewer than two pixels.

        >>> two = np.array([[[[0, 0]], [[255, 255]]]], np.uint8)   # (1, 2, 1, 2): a black and a white pixel
        >>> PCAColor.fit(two).eigenvalues.round(3).tolist()        # variance ¼ in each of 2 channels, covariance ¼
        [0.5, 0.0]
        """
        eigenvalues, eigenvectors = np.linalg.eigh(_covariance(as_array(images)))  # ascending
        eigenvalues, eigenvectors = eigenvalues[::-1].clip(0), eigenvectors[:, ::-1]
        largest = np.abs(eigenvectors).argmax(axis=0)
        return cls(eigenvalues, eigenvectors * np.sign(eigenvectors[largest, np.arange(len(eigenvalues))]), std)

    def __repr__(self) -> str:
        return f"PCAColor(eigenvalues={[round(value, 4) for value in self.eigenvalues.tolist()]}, std={self.std})"

    def batch(self, images: Any, rngs: Rngs = None) -> Any:
        """(N, C, H, W) floats from 0 to 1, each shifted by a colour of its own."""
        images = as_array(images)
        if images.dtype.kind != "f":
            raise TypeError(f"PCAColor: the image must be of floats, not {images.dtype}; apply ToTensor() first")
        C = len(self.eigenvalues)
        if images.ndim != 4 or images.shape[1] != C:
            raise ShapeError(
                f"PCAColor: {C} principal component{'s' * (C != 1)} do not fit an image of shape {images.shape[1:]}; "
                f"it must be (C, H, W) with C={C}, or fit the transform to such images (PCAColor.fit)"
            )
        alphas = np.array([rng.normal(C) for rng in each(rngs, images)]).reshape(-1, C) * self.std
        # a sum over rows of C numbers, not a matrix product, whose last bits may depend on the number of rows
        shift = ((alphas * self.eigenvalues)[:, None, :] * self.eigenvectors).sum(-1)  # (N,1,C)·(C,C) -> (N,C)
        return images + shift.astype(images.dtype)[:, :, None, None]


def _covariance(images: np.ndarray) -> np.ndarray:
    """The (C, C) covariance of all pixels, scaled to 0 … 1.

    Bytes are summed as whole numbers, which float64 holds exactly, so neither order nor threads change a bit.
    """
    pictures = images.dtype == np.uint8
    if images.ndim not in (3, 4) or (images.ndim == 3 and not pictures):
        raise ShapeError(
            f"PCAColor: images must be (N, H, W) or (N, H, W, C) uint8, or (N, C, H, W) floats, not {images.shape}"
        )
    if images.ndim == 3:
        images = images[..., None]
    C = images.shape[-1 if pictures else 1]
    count, total, products = 0, np.zeros(C), np.zeros((C, C))
    for chunk in _chunks(images):
        pixels = (chunk if pictures else np.moveaxis(chunk, 1, -1)).reshape(-1, C).astype(np.float64)
        count, total, products = count + len(pixels), total + pixels.sum(axis=0), products + pixels.T @ pixels
    if count < 2:
        raise ValueError(f"PCAColor: a covariance needs at least two pixels, the images have {count}")
    mean = total / count
    covariance: np.ndarray = (products / count - np.outer(mean, mean)) / (255**2 if pictures else 1)
    return covariance


def _chunks(images: np.ndarray) -> Sequence[np.ndarray]:
    return [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
