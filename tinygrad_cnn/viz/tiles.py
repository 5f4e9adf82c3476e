"""Pictures of one size side by side."""

from __future__ import annotations

from math import ceil

import numpy as np


def tiled(tiles: np.ndarray, columns: int, blank: float) -> np.ndarray:
    """Tiles (n, R, S) or (n, R, S, 3) in rows of so many, a pixel of `blank` between them.

    >>> tiled(np.ones((3, 1, 1)), 2, blank=0).tolist()
    [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    n, R, S = tiles.shape[:3]
    whole = np.full((ceil(n / columns) * (R + 1) - 1, columns * (S + 1) - 1, *tiles.shape[3:]), float(blank))
    for i, tile in enumerate(tiles):
        top, left = i // columns * (R + 1), i % columns * (S + 1)
        whole[top : top + R, left : left + S] = tile
    return whole
