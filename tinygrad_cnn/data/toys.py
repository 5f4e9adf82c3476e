"""Points in the plane for small networks whose decision can be drawn: moons, circles, spirals."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.random import Generator, default_generator


def moons(n: int = 200, noise: float = 0.1, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Two half circles, one inside the other's opening: no line separates them.

    Formula: `(cos t, sin t)` and `(1 − cos t, ½ − sin t)` for t from 0 to π.

    Args:
        n: Points; every second one belongs to class 1.
        noise: Standard deviation of what is added to the coordinates.
        generator: Draws the noise; the default generator if None.

    Returns:
        `(points, labels)`: (n, 2) float32 and (n,) int64.

    Raises:
        ValueError: If n is smaller than 2.

    >>> points, labels = moons(2, noise=0.0)
    >>> points.tolist(), labels.tolist()
    ([[1.0, 0.0], [0.0, 0.5]], [0, 1])
    """
    labels, t = _places("moons", n, 2)
    x = np.where(labels == 0, np.cos(np.pi * t), 1 - np.cos(np.pi * t))
    y = np.where(labels == 0, np.sin(np.pi * t), 0.5 - np.sin(np.pi * t))
    return _noisy(x, y, labels, noise, generator)


def circles(n: int = 200, noise: float = 0.1, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """A circle of radius 1 (class 0) around one of radius ½ (class 1).

    Args:
        n: Points; every second one belongs to class 1.
        noise: Standard deviation of what is added to the coordinates.
        generator: Draws the noise; the default generator if None.

    Returns:
        `(points, labels)`: (n, 2) float32 and (n,) int64.

    Raises:
        ValueError: If n is smaller than 2.

    >>> points, labels = circles(2, noise=0.0)
    >>> points.tolist(), labels.tolist()
    ([[1.0, 0.0], [0.5, 0.0]], [0, 1])
    """
    labels, t = _places("circles", n, 2)
    radius, angle = np.where(labels == 0, 1.0, 0.5), 2 * np.pi * t * (1 - 2 / n)
    return _noisy(radius * np.cos(angle), radius * np.sin(angle), labels, noise, generator)


def spirals(
    n: int = 300, classes: int = 3, noise: float = 0.05, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Arms that wind around the origin, one a class: the toy of the cs231n notes.

    Formula: `r·(sin φ, cos φ)`, r from 0 to 1, `φ = 4·(class + r)`.

    Args:
        n: Points in all arms together.
        classes: How many arms.
        noise: Standard deviation of what is added to the coordinates.
        generator: Draws the noise; the default generator if None.

    Returns:
        `(points, labels)`: (n, 2) float32 and (n,) int64.

    Raises:
        ValueError: If there are fewer points than classes, or no class.

    >>> points, labels = spirals(4, classes=2, noise=0.0)
    >>> labels.tolist(), [[round(v, 2) for v in point] for point in points.tolist()[2:]]   # sin 4, cos 4; sin 8, cos 8
    ([0, 1, 0, 1], [[-0.76, -0.65], [0.99, -0.15]])
    """
    labels, r = _places("spirals", n, classes)
    angle = 4 * (labels + r)
    return _noisy(r * np.sin(angle), r * np.cos(angle), labels, noise, generator)


def _places(operation: str, n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The class of each point, in turn, and its place in it from 0 to 1."""
    if classes < 1 or n < classes:
        raise ValueError(f"{operation}: n={n} points for {classes} classes; give each class at least one")
    i = np.arange(n)
    return i % classes, (i // classes) / max((n - 1) // classes, 1)


def _noisy(
    x: np.ndarray, y: np.ndarray, labels: np.ndarray, noise: float, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    points = np.stack([x, y], axis=1)
    if noise:
        points += (generator or default_generator()).normal(points.shape, std=noise)
    return Tensor(points, dtype="float32"), Tensor(labels)
