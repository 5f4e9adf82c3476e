"""Checks of what layers are given: an error names the layer, the argument, the rule and the remedy."""

from __future__ import annotations

import operator
import warnings
from typing import Any

from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.shapes import ShapeError

Pair = tuple[int, int]


def whole(layer: str, name: str, value: Any, least: int = 1) -> int:
    """The value, if it is a whole number of at least `least`.

    Raises:
        TypeError: If it is no whole number.
        ShapeError: If it is too small.

    >>> whole("Linear", "in_features", 0)
    Traceback (most recent call last):
    tinygrad_cnn.shapes.ShapeError: Linear: in_features=0 must be at least 1
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{layer}: {name}={value!r} must be a whole number")
    if number < least:
        raise ShapeError(f"{layer}: {name}={number} must be at least {least}")
    return number


def pair(layer: str, name: str, value: Any, least: int = 1) -> Pair:
    """One number for rows and columns, or two, as two.

    Raises:
        TypeError, ShapeError: As `whole`, or if there are neither one nor two.

    >>> pair("Conv2d", "stride", 2)
    (2, 2)
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    values = values * 2 if len(values) == 1 else values
    if len(values) != 2:
        raise ShapeError(f"{layer}: {name}={value!r} must be one whole number, or two: (rows, columns)")
    rows, columns = (whole(layer, name, v, least) for v in values)
    return rows, columns


def one_of(layer: str, name: str, value: Any, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices.

    Raises:
        ValueError: If it is not.
    """
    if value not in choices:
        allowed = ", ".join(f'"{c}"' for c in choices)
        raise ValueError(f"{layer}: {name}={value!r} must be one of {allowed}")
    return str(value)


def warn(message: str, stacklevel: int) -> None:
    """A warning of this package; `stacklevel` counts as if the caller had issued it."""
    warnings.warn(message, TinygradCnnWarning, stacklevel=stacklevel + 1)
