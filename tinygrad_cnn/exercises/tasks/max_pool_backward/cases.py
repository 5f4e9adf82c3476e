import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.textbook.pool import max_pool2d_forward

INDEX, FROM_X = "max_pool2d_backward", "max_pool2d_backward_from_x"


def both(rng, x, kernel, stride, padding, label=""):
    """The arguments of both functions for the same images and the same gradient."""
    y, index = max_pool2d_forward(x, kernel, stride, padding)
    dy = rng.normal(size=y.shape).astype(x.dtype)
    return [
        Case(INDEX, (dy, index, x.shape, kernel, stride, padding), label),
        Case(FROM_X, (dy, x, kernel, stride, padding), label),
    ]


def cases(rng):
    def images(*shape):
        return rng.normal(size=shape) - 1  # mostly negative, so that a 0 in the padding would win

    ties = rng.integers(-2, 0, size=(1, 2, 5, 6)).astype(float)
    made = [
        both(rng, images(1, 1, 3, 4), (2, 2), 1, 0, "one image, one channel, windows that overlap"),
        both(rng, images(1, 2, 4, 7), (2, 3), 2, 0, "windows of 2 rows and 3 columns"),
        both(rng, ties, (2, 3), 1, 0, "several equal pixels in a window"),
        both(rng, images(2, 3, 7, 9), (3, 2), 2, 1, "stride 2 and padding 1"),
        both(rng, images(1, 2, 8, 7), (3, 3), 3, 1, "stride 3 and padding 1"),
        both(rng, images(1, 2, 5, 4).astype("float32"), (3, 2), 1, 1, "numbers in float32"),
    ]
    return [case for pair in zip(*made) for case in pair]


def laws(rng):
    x = rng.integers(-3, 4, size=(2, 2, 5, 6)).astype(float)
    return [
        Law(
            case.function,
            "All gradients together must be as much as arrived: the sum of dx is the sum of dy, for each channel.",
            [case.args],
            lambda dx, dy=case.args[0]: np.abs(dx[0].sum(axis=(2, 3)) - dy.sum(axis=(2, 3))).max() < 1e-9,
        )
        for case in both(rng, x, (3, 2), 2, 1)
    ]


def where(case, part, index):
    kernel, stride, padding = case.args[-3:]
    dy, (n, c, i, j) = case.args[0], index
    windows = [
        f"dy[{n}, {c}, {p}, {q}]"
        for p, q in np.ndindex(dy.shape[2:])
        if 0 <= i + padding - p * stride < kernel[0] and 0 <= j + padding - q * stride < kernel[1]
    ]
    if not windows:
        return "no window holds this pixel, so it is 0"
    return f"it is the sum of those of {', '.join(windows)} in whose windows it was the largest pixel"
