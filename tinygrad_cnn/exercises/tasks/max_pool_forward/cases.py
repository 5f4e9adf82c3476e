import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law

NAME = "max_pool2d_forward"


def cases(rng):
    def case(N, C, H, W, kernel, stride, padding, label, dtype="float64"):
        x = rng.normal(size=(N, C, H, W)) - 1  # mostly negative, so that a 0 which does not belong there wins
        return Case(NAME, (x.astype(dtype), kernel, stride, padding), label)

    ties = rng.integers(-2, 0, size=(1, 2, 4, 6)).astype(float)
    return [
        case(1, 1, 3, 4, (2, 2), 1, 0, "one image, one channel, windows that overlap"),
        case(1, 2, 4, 6, (2, 3), 2, 0, "windows of 2 rows and 3 columns"),
        Case(NAME, (ties, (2, 3), 1, 0), "several equal pixels in a window"),
        case(2, 3, 7, 9, (3, 2), 2, 1, "stride 2 and padding 1"),
        case(1, 2, 8, 7, (3, 3), 3, 1, "stride 3 and padding 1"),
        case(1, 2, 5, 4, (3, 2), 1, 1, "numbers in float32", "float32"),
    ]


def laws(rng):
    x = rng.normal(size=(1, 2, 5, 6))
    return [
        Law(
            NAME,
            "With 5 added to every pixel, every maximum must grow by 5, at the edges, too: padding never wins.",
            [(x, (3, 2), 2, 1), (x + 5, (3, 2), 2, 1)],
            lambda results: np.abs(results[1][0] - results[0][0] - 5).max() < 1e-9,
        ),
        Law(
            NAME,
            "With every pixel doubled, the largest pixel of each window must be the same one: index must not change.",
            [(x, (3, 2), 2, 1), (2 * x, (3, 2), 2, 1)],
            lambda results: (results[0][1] == results[1][1]).all(),
        ),
    ]


def where(case, part, index):
    x, (R, S), stride, padding = case.args
    n, c, p, q = index
    top, left = p * stride - padding, q * stride - padding
    window = (
        f"the window of image {n}, channel {c}, rows {top} to {top + R - 1}, columns {left} to {left + S - 1} (those "
        f"outside 0..{x.shape[2] - 1} and 0..{x.shape[3] - 1} are padding)"
    )
    if part == "index":
        return f"it is the number, 0 to {R * S - 1} counted row by row, of the largest pixel in {window}"
    return f"it is the largest pixel in {window}"
