import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law

FORWARD, BACKWARD = "dropout_forward", "dropout_backward"


def cases(rng):
    def forward(shape, p, training, label, dtype="float64"):
        x, random = rng.normal(size=shape).astype(dtype), rng.random(size=shape)
        random.flat[1] = p  # just kept
        return Case(FORWARD, (x, p, training, random), label)

    def backward(shape, p, label, dtype="float64"):
        return Case(BACKWARD, (rng.normal(size=shape).astype(dtype), rng.random(size=shape) >= p, p), label)

    return [
        forward((8,), 0.25, True, "eight numbers, in training"),
        forward((8,), 0.25, False, "eight numbers, not in training"),
        forward((5, 6), 0.7, True, "p = 0.7, in training"),
        forward((2, 3, 4, 5), 0.1, True, "four axes, in training"),
        forward((3, 4), 0.4, True, "numbers in float32, in training", "float32"),
        forward((3, 4), 0.4, False, "numbers in float32, not in training", "float32"),
        backward((8,), 0.25, "eight numbers"),
        backward((5, 6), 0.7, "p = 0.7"),
        backward((2, 3, 4, 5), 0.4, "four axes"),
        backward((3, 4), 0.4, "numbers in float32", "float32"),
    ]


def laws(rng):
    x, dy, keep = rng.normal(size=50), rng.normal(size=50), rng.random(size=50) >= 0.4
    evenly = (np.arange(50) + 0.5) / 50
    return [
        Law(
            FORWARD,
            "Called twice with the same random numbers, it must drop the same ones: draw none of your own.",
            [(x, 0.4, True, evenly), (x, 0.4, True, evenly)],
            lambda results: (results[0][0] == results[1][0]).all(),
        ),
        Law(
            FORWARD,
            "With random numbers spread evenly over [0, 1) the mean of nothing but ones must stay 1.",
            [(np.ones(50), 0.4, True, evenly)],
            lambda results: abs(results[0][0].mean() - 1) < 1e-9,
        ),
        Law(
            BACKWARD,
            "What was dropped must get the gradient 0: use the mask keep, and draw no new one.",
            [(dy, keep, 0.4)],
            lambda dx: (dx[0][~keep] == 0).all(),
        ),
    ]


def where(case, part, index):
    place = ", ".join(map(str, index))
    if part == "dx":
        return f"it is computed from dy[{place}] and keep[{place}]"
    if part == "keep":
        return f"it is computed from random[{place}] and p"
    return f"it is computed from x[{place}]" + (f", random[{place}] and p" if case.args[2] else "")
