import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.textbook.pool import avg_pool2d_forward

FORWARD, BACKWARD = "avg_pool2d_forward", "avg_pool2d_backward"


def cases(rng):
    def both(shape, kernel, stride, padding, counts, label, dtype="float64"):
        x = (rng.normal(size=shape) + 1).astype(dtype)
        window = (kernel, stride, padding, counts)
        dy = rng.normal(size=avg_pool2d_forward(x, *window).shape).astype(dtype)
        return Case(FORWARD, (x, *window), label), Case(BACKWARD, (dy, shape, *window), label)

    made = [
        both((1, 1, 3, 4), (2, 2), 1, 0, True, "one image, one channel, windows that overlap"),
        both((1, 2, 5, 7), (2, 3), 3, 0, False, "stride 3, pixels that no window holds"),
        both((1, 2, 4, 5), (3, 3), 2, 1, False, "padding that does not count"),
        both((2, 3, 7, 9), (3, 2), 2, 1, True, "stride 2, padding 1, which counts"),
        both((2, 3, 7, 8), (3, 2), 1, 1, False, "stride 1, padding 1, which does not count"),
        both((1, 2, 5, 4), (3, 2), 2, 1, False, "numbers in float32", "float32"),
    ]
    return [case for pair in zip(*made) for case in pair]


def laws(rng):
    ones, dy = np.full((1, 2, 5, 6), 3.0), rng.normal(size=(2, 3, 3, 4))
    return [
        Law(
            FORWARD,
            "If padding does not count and all pixels are 3, every mean must be 3, at the edges, too.",
            [(ones, (3, 2), 2, 1, False)],
            lambda y: np.abs(y[0] - 3).max() < 1e-9,
        ),
        Law(
            BACKWARD,
            "If padding does not count, the shares of a window add up to its gradient: the sum of dx is the sum of dy.",
            [(dy, (2, 3, 5, 6), (3, 2), 2, 1, False)],
            lambda dx: abs(dx[0].sum() - dy.sum()) < 1e-9,
        ),
    ]


def where(case, part, index):
    (R, S), stride, padding, counts = case.args[2:] if case.function == BACKWARD else case.args[1:]
    n, c, i, j = index
    if part == "y":
        top, left = i * stride - padding, j * stride - padding
        H, W = case.args[0].shape[2:]
        inside = (min(top + R, H) - max(top, 0)) * (min(left + S, W) - max(left, 0))
        return (
            f"it is the mean of image {n}, channel {c}, rows {top} to {top + R - 1}, columns {left} to {left + S - 1} "
            f"(those outside 0..{H - 1} and 0..{W - 1} are padding), {R * S if counts else inside} of which count"
        )
    windows = [
        f"dy[{n}, {c}, {p}, {q}]"
        for p, q in np.ndindex(case.args[0].shape[2:])
        if 0 <= i + padding - p * stride < R and 0 <= j + padding - q * stride < S
    ]
    return f"it gets a share of {', '.join(windows)}" if windows else "no window holds this pixel, so it is 0"
