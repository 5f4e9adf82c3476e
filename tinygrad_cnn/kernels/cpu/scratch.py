"""Work space that is used again: new memory comes from the system page by page, and each page costs a trap.

A training step needs the same columns and products a hundred times a second. Each thread keeps one piece of memory for
each purpose and hands out views of it, so that the second step finds its pages mapped and in the cache. Such memory
never leaves a kernel: what a kernel returns is always new.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

import numpy as np

Array = np.ndarray


@functools.cache
def keep_pages() -> None:
    """Have the C library keep the memory of arrays that are gone, for the next ones: once, at the first work space.

    By default glibc gives an array's pages back to the system when it is gone, if it is larger than the largest one
    that was ever given back (128 KB at first), and the pages of smaller ones if twice as much is free. A network's
    arrays come and go with every step, and each page that comes costs a trap: a tenth of a step of LeNet-5. So one
    large array is given back, of which no page was ever touched.
    """
    np.empty(LARGE, np.uint8)


# just below the limit up to which glibc adapts, 32 MB
LARGE = 31 << 20
# views are remembered, up to so many
MANY = 1000


class Scratch(threading.local):
    """This thread's work space, a piece for each purpose; what is in it is anyone's guess."""

    def __init__(self) -> None:
        self.pieces: dict[str, Array] = {}
        self.views: dict[tuple[str, tuple[int, ...], Any], Array] = {}

    def __call__(self, purpose: str, shape: tuple[int, ...], dtype: Any) -> Array:
        key = (purpose, shape, dtype)
        view = self.views.get(key)
        if view is None:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            piece = self.pieces.get(purpose)
            keep_pages()
            if piece is None or len(piece) < size or len(self.views) > MANY:
                self.views = {other: kept for other, kept in self.views.items() if other[0] != purpose}
                piece = self.pieces[purpose] = np.empty(size, np.uint8)
            view = self.views[key] = np.ndarray(shape, dtype, piece)
        return view


scratch = Scratch()
