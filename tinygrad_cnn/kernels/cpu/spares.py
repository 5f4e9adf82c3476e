"""The memory of large gradients, used again for the next gradient of the same weights.

The C library keeps the memory of arrays up to 32 MB (`scratch`), but gives larger ones back to the system when they are
gone. So the gradient of AlexNet's fc6, 151 MB, would come anew with every step, and the system fills what it hands out
with zeros. Instead, such a gradient waits here from `zero_grad` to the next backward, which would take as much memory
anyway: if nobody else holds it, as long as there are its weights, and only for weights whose kernel asks for it. The
gradient of a large embedding comes from elsewhere, and would wait in vain.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tinygrad_cnn.backends import owner

Array = np.ndarray

# from so many bytes on, glibc gives the memory of an array that is gone back to the system
LARGE = 32 << 20

# by the identity of the array that owns the weights: who asks for such memory, and what waits for them; both go when
# that array goes
_asking: dict[int, weakref.ref[Array]] = {}
_waiting: dict[int, Array] = {}


def leave(weights: Any, gradient: Any) -> None:
    """Have a gradient that nobody needs any more wait for the next one of these weights, if that will ask for it."""
    asked = gradient.nbytes >= LARGE and id(owner(weights)) in _asking
    if asked and gradient.flags.owndata and gradient.flags.c_contiguous:  # a view's memory may be somebody else's
        _waiting[id(owner(weights))] = gradient


def take(weights: Array) -> Array:
    """Memory for a gradient of these weights: what waits for them, or new."""
    if weights.nbytes >= LARGE:
        home = owner(weights)
        key = id(home)
        gradient = _waiting.pop(key, None)
        if gradient is not None and (gradient.shape, gradient.dtype) == (weights.shape, weights.dtype):
            return gradient
        if key not in _asking:
            _asking[key] = weakref.ref(home, lambda _: (_asking.pop(key, None), _waiting.pop(key, None)))
    return np.empty(weights.shape, weights.dtype)
