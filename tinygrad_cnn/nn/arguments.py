"""Checks of what layers are given: an error names the layer, the argument, the rule and the remedy."""

from __future__ import annotations

import operator
import warnings
from typing import Any

from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.shapes import Shape, ShapeError

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
    rows, columns = per_axis(layer, name, value, 2, least)
    return rows, columns


def per_axis(layer: str, name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """One number for every axis, or one for each, as one for each.

    Raises:
        TypeError, ShapeError: As `whole`, or if there are neither one nor `rank` of them.

    >>> per_axis("Conv3d", "stride", 2, 3), per_axis("Conv3d", "stride", (1, 2, 2), 3)
    ((2, 2, 2), (1, 2, 2))
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    values = values * rank if len(values) == 1 else values
    if len(values) != rank:
        more = {1: "", 2: ", or two: (rows, columns)", 3: ", or three: (slices, rows, columns)"}[rank]
        raise ShapeError(f"{layer}: {name}={value!r} must be one whole number{more}")
    return tuple(whole(layer, name, v, least) for v in values)


def one_sample(layer: str, shape: Shape, rank: int, channels: int | None = None) -> Shape:
    """The sizes behind the channels of one sample, (H, W) of (C, H, W).

    Raises:
        ShapeError: If there are not `rank` of them, or not as many channels as given.

    >>> one_sample("Conv2d", (3, 32, 28), 2)
    (32, 28)
    """
    if len(shape) != rank + 1:
        layout = {1: "(C, L)", 2: "(C, H, W)", 3: "(C, Z, H, W)"}[rank]
        raise ShapeError(f"{layer}: one sample is {layout}, without the batch axis; got {tuple(shape)}")
    if channels is not None and shape[0] != channels:
        wanted = f"{channels} channel{'s' * (channels != 1)}, {tuple(shape)} has {shape[0]}"
        if shape[-1] == channels:
            first = (channels, *shape[:-1])
            raise ShapeError(f"{layer}: it wants {wanted}; channels come first here, {first}: turn it with permute")
        raise ShapeError(f"{layer}: it wants {wanted}; make it with in_channels={shape[0]}")
    return tuple(shape[1:])


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
