"""What a side hands to the stopwatch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Case = dict[str, Any]  # what is measured: only what JSON can hold


class CannotRun(Exception):
    """This framework has no such thing; the table says so."""


def nothing() -> None:
    """Before a call, if nothing has to be done."""


@dataclass
class Task:
    """What is timed.

    Attributes:
        parts: Timed one after the other in each call, by name.
        before: Called before each call, not timed.
        per: So many operations are one call; the times are divided by it.
        warm: Least calls before the first one that counts.
    """

    parts: dict[str, Callable[[], object]]
    before: Callable[[], object] = nothing
    per: int = 1
    warm: int = 2


def batch(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Random images (N, C, H, W) and class numbers (N,), the same for all sides."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(case["batch"], *case["input"])).astype(np.float32)
    return x, draw.integers(0, case.get("classes", 10), size=(case["batch"],))
