"""Whether there is a GPU: `device = "cuda" if tcnn.cuda.is_available() else "cpu"`."""

from __future__ import annotations

import contextlib
import itertools

from tinygrad_cnn import backends


def is_available() -> bool:
    """Whether `device="cuda"` can be used; if not, `backends.cuda_problem()` says why."""
    return backends.cuda_problem() is None


def device_count() -> int:
    """How many GPUs can be used."""
    with contextlib.suppress(backends.DeviceError):
        for index in itertools.count():
            backends.get(f"cuda:{index}")
    return index
