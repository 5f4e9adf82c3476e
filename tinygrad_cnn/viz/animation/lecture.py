"""The worked example of the lectures: a 7×7×3 image whose zero border is part of it, two filters, stride 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.nn import init

IMAGE = (
    "0000000 0101010 0211120 0112120 0112220 0111110 0000000",
    "0000000 0111000 0102200 0211000 0201010 0222120 0000000",
    "0000000 0121100 0102100 0001010 0221220 0021020 0000000",
)
FILTERS = (
    ("-1 -1 1, 0 -1 1, -1 -1 0", "1 1 -1, -1 0 1, -1 -1 1", "-1 -1 -1, 1 -1 0, 1 -1 1"),
    ("0 0 0, 0 1 0, 1 1 1", "-1 1 0, -1 -1 0, 1 0 -1", "1 0 1, 0 0 -1, -1 -1 0"),
)
BIASES = (1, 0)
POOLED = [[[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]  # what the lectures pool, 2×2


def image() -> np.ndarray:
    """(3, 7, 7)."""
    return np.array([[[int(digit) for digit in row] for row in plane.split()] for plane in IMAGE], dtype=np.float32)


def layer(stride: Any = 2, padding: Any = 0, dilation: Any = 1) -> nn.Conv2d:
    """The two filters; as in the lecture with stride 2."""
    weight = [[[row.split() for row in plane.split(",")] for plane in planes] for planes in FILTERS]
    with init.skipped():  # no random numbers are drawn: a picture changes nothing
        made = nn.Conv2d(3, 2, 3, stride=stride, padding=padding, dilation=dilation)
    made.load_state_dict({"weight": np.array(weight).astype(np.float32), "bias": np.array(BIASES, dtype=np.float32)})
    return made
