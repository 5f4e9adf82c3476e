import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.textbook.norm import batch_norm_forward

NAME = "batch_norm_backward"


def arguments(rng, shape, eps, dtype="float64"):
    """What arrives, and what forward had and computed."""
    C = shape[1]
    x, dy = (3 * rng.normal(size=shape) + 1).astype(dtype), rng.normal(size=shape).astype(dtype)
    weight, bias, running = rng.normal(size=C).astype(dtype), np.zeros(C, dtype), np.ones(C, dtype)
    _, mean, var = batch_norm_forward(x, weight, bias, running, running.copy(), True, 0.1, eps)
    return dy, x, weight, mean, var, eps


def cases(rng):
    return [
        Case(NAME, arguments(rng, (1, 1, 2, 3), 0.5), "one image, one channel"),
        Case(NAME, arguments(rng, (3, 2, 1, 2), 0.5), "three images, two channels"),
        Case(NAME, arguments(rng, (2, 3, 4, 5), 1e-5), "a small eps"),
        Case(NAME, arguments(rng, (4, 3, 7, 9), 4.0), "a large eps"),
        Case(NAME, arguments(rng, (3, 2, 2, 5), 0.01, "float32"), "numbers in float32"),
    ]


def laws(rng):
    args = arguments(rng, (3, 2, 4, 5), 0.0)
    x = args[1]
    return [
        Law(
            NAME,
            "5 added to all pixels of a channel changes no output, so the sum of dx over each channel must be 0.",
            [args],
            lambda results: np.abs(results[0][0].sum(axis=(0, 2, 3))).max() < 1e-9,
        ),
        Law(
            NAME,
            "If eps is 0, all pixels of a channel times 2 give the same output, so the sum of dx·x must be 0.",
            [args],
            lambda results: np.abs((results[0][0] * x).sum(axis=(0, 2, 3))).max() < 1e-9,
        ),
    ]


def where(case, part, index):
    N, C, H, W = case.args[1].shape
    c = index[1] if part == "dx" else index[0]
    numbers = f"the {N * H * W} numbers of channel {c} ({N} image{'s' * (N != 1)} of {H}×{W} pixels)"
    if part == "dx":
        return f"it is computed from dy and x̂ at this pixel, and from two means over {numbers}"
    return f"it is a sum over {numbers} of {'dy·x̂' if part == 'dweight' else 'dy'}"
