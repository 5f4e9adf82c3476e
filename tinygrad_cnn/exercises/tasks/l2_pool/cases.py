import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.textbook.pool import l2_pool2d_forward

FORWARD, BACKWARD = "l2_pool2d_forward", "l2_pool2d_backward"


def cases(rng):
    def both(shape, kernel, stride, label, dtype="float64", zeros=0):
        x = rng.normal(size=shape).astype(dtype)
        x[:, :, :zeros, :zeros] = 0
        y = l2_pool2d_forward(x, kernel, stride)
        dy = rng.normal(size=y.shape).astype(dtype)
        return Case(FORWARD, (x, kernel, stride), label), Case(BACKWARD, (dy, x, y, kernel, stride), label)

    made = [
        both((1, 1, 2, 4), (2, 2), 2, "one image, one channel, windows side by side"),
        both((1, 2, 4, 5), (2, 3), 1, "two channels, windows that overlap"),
        both((2, 3, 7, 9), (3, 2), 2, "windows of 3 rows and 2 columns, stride 2"),
        both((1, 2, 6, 7), (2, 2), 3, "stride 3, pixels that no window holds"),
        both((1, 2, 5, 6), (2, 2), 1, "windows of zeros", zeros=3),
        both((1, 2, 5, 4), (3, 2), 1, "numbers in float32", "float32"),
    ]
    return [case for pair in zip(*made) for case in pair]


def laws(rng):
    x, dy = rng.normal(size=(1, 2, 5, 6)), rng.normal(size=(1, 2, 2, 3))
    y = l2_pool2d_forward(x, (3, 2), 2)
    return [
        Law(
            FORWARD,
            "With every pixel multiplied by −3, every length must be 3 times as large.",
            [(x, (3, 2), 2), (-3 * x, (3, 2), 2)],
            lambda y: np.abs(y[1] - 3 * y[0]).max() < 1e-9,
        ),
        Law(
            BACKWARD,
            "If a window's pixels all grow by 1 %, so does its length: the sum of dx·x must be the sum of dy·y.",
            [(dy, x, y, (3, 2), 2)],
            lambda dx: abs((dx[0] * x).sum() - (dy * y).sum()) < 1e-9,
        ),
    ]


def where(case, part, index):
    (R, S), stride = case.args[-2:]
    n, c, i, j = index
    if part == "y":
        top, left = i * stride, j * stride
        return (
            f"it is the length of the window of image {n}, channel {c}, rows {top} to {top + R - 1}, columns {left} to "
            f"{left + S - 1}"
        )
    windows = [
        f"dy·x/y of window ({p}, {q})"
        for p, q in np.ndindex(case.args[0].shape[2:])
        if 0 <= i - p * stride < R and 0 <= j - q * stride < S
    ]
    return f"it is the sum of {', '.join(windows)}" if windows else "no window holds this pixel, so it is 0"
