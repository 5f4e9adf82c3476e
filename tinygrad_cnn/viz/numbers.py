"""The numbers of an array, as a picture can show them: all of them if they are few, else what they are like."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

import numpy as np

from tinygrad_cnn.storage import host

KEPT = 65_536  # arrays up to this size are kept whole; larger ones only as statistics and a sample
SAMPLE = 1_024  # numbers of a larger array that are kept, from its beginning
SHOWN = 64  # up to so many numbers are written out


@dataclass(frozen=True, eq=False)
class Numbers:
    """A copy of an array at one moment, on the CPU.

    Attributes:
        shape: The array's shape.
        dtype: Its number format.
        array: All its numbers, or None if there are more than 65,536.
        sample: The first numbers, flat; all of them if the array was kept.
        mean: Mean of the finite numbers, as all statistics.
        std: Their standard deviation.
        smallest: The smallest.
        largest: The largest.
        norm: √Σ v².
        not_finite: How many are NaN or infinite.
    """

    shape: tuple[int, ...]
    dtype: str
    array: np.ndarray | None = field(repr=False)
    sample: np.ndarray = field(repr=False)
    mean: float
    std: float
    smallest: float
    largest: float
    norm: float
    not_finite: int = 0

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return prod(self.shape)

    @property
    def few(self) -> bool:
        """Whether all of them can be written out."""
        return self.array is not None and self.size <= SHOWN

    def __str__(self) -> str:
        """Up to 64 numbers, written out; else mean, standard deviation and norm.

        >>> print(numbers([1.0, 2.5]))
        [1, 2.5]
        >>> print(numbers(np.ones((20, 5))))
        mean 1, std 0, norm 10
        """
        if self.few:
            return _nested(self.array)
        bad = f", {self.not_finite:,} not finite" if self.not_finite else ""
        return f"mean {short(self.mean)}, std {short(self.std)}, norm {short(self.norm)}{bad}"

    def lines(self, wide: int = 8) -> list[str]:
        """The same in short lines for a picture: every row of a matrix has its own, or several if it is long."""
        if self.array is None or not self.few or self.size <= 4:
            return [str(self)]
        rows = self.array.reshape(-1, self.shape[-1])
        cut = [row[i : i + wide] for row in rows for i in range(0, len(row), wide)]
        return ["  ".join(short(number, digits=3) for number in part) for part in cut]


def numbers(values: Any, kept: int = KEPT) -> Numbers:
    """Copies an array (of any device), a tensor or a number; of more than `kept` numbers only the first 1,024."""
    array = host(values)
    flat = array.astype(np.float64, copy=False).ravel()
    finite = np.isfinite(flat)
    good = flat if finite.all() else flat[finite]
    whole = array.copy() if array.size <= kept else None
    with np.errstate(over="ignore"):  # squares of float64 beyond 1e154
        norm = float(np.sqrt((good * good).sum()))
    told = [float(f(good)) if good.size else np.nan for f in (np.mean, np.std, np.min, np.max)]
    mean, std, smallest, largest = told
    return Numbers(
        tuple(array.shape),
        str(array.dtype),
        array=whole,
        sample=array.ravel()[:SAMPLE].copy() if whole is None else whole.ravel(),
        mean=mean,
        std=std,
        smallest=smallest,
        largest=largest,
        norm=norm,
        not_finite=int(flat.size - good.size),
    )


def short(number: Any, digits: int = 4) -> str:
    """A number in few characters, always with its sign, never rounded to a false 0.

    >>> short(0.12345), short(-2.0), short(1234567.0), short(0.00000123), short(True)
    ('0.1235', '−2', '1.235e6', '1.23e-6', '1')
    """
    value = float(number)
    if not isfinite(value):
        return str(value).replace("-", "−")
    if value == int(value) and abs(value) < 1e6:
        text = str(int(value))
    elif abs(value) >= 1e-3 and "e" not in (plain := f"{value:.{digits}g}"):
        text = plain
    else:
        head, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        text = f"{head.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def amount(number: float, unit: str) -> str:
    """A quantity with a prefix people know.

    >>> amount(0.00123, "s"), amount(18816, "B"), amount(2.5, "s")
    ('1.23 ms', '18.8 kB', '2.5 s')
    """
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def _nested(array: Any) -> str:
    """`[[1, 2], [3, 4]]`."""
    if not array.ndim:
        return short(array)
    return f"[{', '.join(_nested(row) for row in array)}]"
