"""The memory of large gradients, used again for the next gradient of the same weights.

The C library keeps the memory of arrays up to 32 MB (`scratch`), but gives larger ones back to the system when they are
gone. So the gradient of AlexNet's fc6, 151 MB, would come anew with every step, and the system fills what it hands out
with zeros. Instead, such a gradient waits here from `zero_grad` to the next backward, which would take as much memory
anyway: if nobody else holds it, and as long as there are its weights.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tinygrad_cnn.backends import owner

Array = np.ndarray

# from so many bytes on, glibc gives the memory of an array that is gone back to the system
LARGE = 32 << 20

# identity of the array that owns the weights → that array, and the gradient that waits; it goes when the array goes
_waiting: dict[int, tuple[weakref.ref[Array], Array]] = {}


def leave(weights: Any, gradient: Any) -> None:
    """Have a gradient that nobody needs any more wait for the next one of these weights, if it is large."""
    if type(gradient) is not np.ndarray or gradient.nbytes < LARGE:
        return
    if gradient.flags.owndata and gradient.flags.c_contiguous:  # else somebody may hold the memory it looks into
        home = owner(weights)
        key = id(home)
        _waiting[key] = weakref.ref(home, lambda _: _waiting.pop(key, None)), gradient


def take(weights: Array, dtype: Any) -> Array:
    """Memory for a gradient of these weights: what waits for them, or new."""
    _, gradient = _waiting.pop(id(owner(weights)), (None, None))
    if gradient is not None and (gradient.shape, gradient.dtype) == (weights.shape, dtype):
        return gradient
    return np.empty(weights.shape, dtype)
