import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law

FORWARD, BACKWARD = "local_response_norm_forward", "local_response_norm_backward"


def cases(rng):
    def both(shape, size, alpha, beta, k, label, dtype="float64"):
        x, dy = rng.normal(size=(2, *shape)).astype(dtype) * 2
        numbers = size, alpha, beta, k
        return Case(FORWARD, (x, *numbers), label), Case(BACKWARD, (dy, x, *numbers), label)

    made = [
        both((1, 3, 1, 2), 3, 0.6, 0.75, 2.0, "two pixels, three channels, size 3"),
        both((2, 6, 2, 3), 5, 1.0, 0.5, 1.0, "six channels, size 5"),
        both((2, 6, 2, 3), 4, 0.8, 1.5, 0.5, "an even size, 4"),
        both((1, 3, 3, 2), 7, 0.9, 0.75, 2.0, "a size larger than the number of channels"),
        both((2, 5, 3, 2), 3, 0.3, 0.75, 1.0, "numbers in float32", "float32"),
    ]
    return [case for pair in zip(*made) for case in pair]


def laws(rng):
    x, dy = rng.normal(size=(2, 1, 4, 2, 3))
    return [
        Law(
            FORWARD,
            "With alpha 0 and k 1 nothing is divided: y must be x.",
            [(x, 3, 0.0, 0.75, 1.0)],
            lambda y: np.abs(y[0] - x).max() < 1e-9,
        ),
        Law(
            BACKWARD,
            "With k 0 and beta 1/2, x times 2 gives the same y, so the sum of dx·x must be 0.",
            [(dy, x, 3, 1.0, 0.5, 0.0)],
            lambda dx: abs((dx[0] * x).sum()) < 1e-9,
        ),
    ]


def where(case, part, index):
    x, size = (case.args[0], case.args[1]) if part == "y" else (case.args[1], case.args[2])
    n, c, i, j = index
    before, behind = (size // 2, (size - 1) // 2) if part == "y" else ((size - 1) // 2, size // 2)
    first, last = max(0, c - before), min(x.shape[1] - 1, c + behind)
    if part == "y":
        return f"it is computed from pixel ({i}, {j}) of image {n}, channels {first} to {last}"
    return f"it acts on y[{n}, {first} to {last}, {i}, {j}], so it is a sum over these channels"
