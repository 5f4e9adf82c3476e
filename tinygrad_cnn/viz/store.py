"""The arrays of a page: each once, exactly as computed, and as many of them whole as the page has room for."""

from __future__ import annotations

import base64
import hashlib
import itertools
from enum import IntEnum
from math import isfinite
from typing import Any

import numpy as np

from tinygrad_cnn.viz.numbers import SAMPLE, Numbers, short

SAMPLES = (SAMPLE, 64, 8)  # how much of each array stays when there is no room for all


class Worth(IntEnum):
    """What an array is to the reader; those worth least are cut first."""

    VALUE = 0  # what an operation computed
    GRADIENT = 1  # of an intermediate result
    GIVEN = 2  # parameters, images, labels
    RESULT = 3  # the gradients of parameters


class Store:
    """Arrays by number, for a page.

    Attributes:
        told: What the page knows of each: shape, format, statistics as text, and which of `arrays` it is.
        arrays: The numbers, flat; arrays of equal content are one.
    """

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.arrays: list[np.ndarray] = []
        self._worth: list[Worth] = []
        self._known: dict[Any, int] = {}

    def add(self, values: Numbers | None, worth: Worth) -> int | None:
        """The number under which the page finds these; None for None."""
        if values is None:
            return None
        flat = _plain(values.sample)
        key = values.shape, values.dtype, values.mean, values.norm, hashlib.sha256(flat.tobytes()).digest()
        if key not in self._known:
            limit = max(abs(values.smallest), abs(values.largest))
            self._known[key] = len(self.told)
            self.arrays.append(flat)
            self._worth.append(worth)
            self.told.append(
                {
                    "shape": values.shape,
                    "dtype": values.dtype,
                    "size": values.size,
                    "limit": limit if isfinite(limit) else 0.0,
                    "bad": values.not_finite,
                    **{name: short(getattr(values, name)) for name in ("mean", "std", "smallest", "largest", "norm")},
                }
            )
        number = self._known[key]
        self._worth[number] = max(self._worth[number], worth)
        return number

    def fit(self, room: int) -> int:
        """Cuts arrays to samples until they take at most so many characters; returns how many are not whole."""
        order = sorted(range(len(self.arrays)), key=lambda i: (self._worth[i], -self.arrays[i].nbytes))
        taken = sum(_length(array) for array in self.arrays)
        results = [i for i in order if self._worth[i] is Worth.RESULT]
        for part in (order[: len(order) - len(results)], results):
            for kept, i in itertools.product(SAMPLES, part):
                if taken > room:
                    before = _length(self.arrays[i])
                    self.arrays[i] = self.arrays[i][:kept]
                    taken -= before - _length(self.arrays[i])
        return sum(array.size < told["size"] for array, told in zip(self.arrays, self.told))

    def packed(self) -> list[dict[str, Any]]:
        """Everything, with the numbers' bytes in base64, little-endian."""
        return [
            told | {"kind": array.dtype.str[1:], "bytes": base64.b64encode(array.tobytes()).decode("ascii")}
            for told, array in zip(self.told, self.arrays)
        ]


def _plain(array: np.ndarray) -> np.ndarray:
    """In a format that JavaScript has, without changing a number: half precision as float32, whole numbers as int32."""
    if array.dtype.kind == "f":
        return array.astype("<f4" if array.dtype.itemsize < 8 else "<f8", copy=False)
    small = array.astype("<i4")
    return small if np.array_equal(small, array) else array.astype("<f8")


def _length(array: np.ndarray) -> int:
    return 4 * ((array.nbytes + 2) // 3)
