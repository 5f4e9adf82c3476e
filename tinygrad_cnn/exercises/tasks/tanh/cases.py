import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law

LARGE = np.array([[1000.0, -1000.0, 30.0], [-30.0, 720.0, -720.0]])
FLAT = np.array([[1.0, -1.0, 0.0], [0.5, -0.5, 1.0]])  # what large numbers become


def cases(rng):
    def forward(shape, label, dtype="float64"):
        return Case("tanh_forward", (rng.normal(size=shape).astype(dtype),), label)

    def backward(shape, label, dtype="float64"):
        dy, y = rng.normal(size=shape), rng.uniform(-1, 1, shape)
        return Case("tanh_backward", (dy.astype(dtype), y.astype(dtype)), label)

    return [
        Case("tanh_forward", (np.array([0.0, 1.0, -1.0, 2.5]),), "four numbers"),
        forward((2, 3, 4, 5), "two images of three channels"),
        Case("tanh_forward", (LARGE,), "large numbers"),
        forward((3, 2), "numbers in float32", "float32"),
        Case("tanh_backward", (np.array([4.0, 4.0, -1.0]), np.array([0.0, -0.5, 0.25])), "three numbers"),
        Case("tanh_backward", (rng.normal(size=FLAT.shape), FLAT), "y exactly 1 and exactly −1"),
        backward((2, 3, 4, 5), "two images of three channels"),
        backward((3, 2), "numbers in float32", "float32"),
    ]


def laws(rng):
    x = rng.normal(size=(2, 3))
    return [
        Law(
            "tanh_forward",
            "The result for −x must be minus the result for x.",
            [(x,), (-x,)],
            lambda y: abs(y[0] + y[1]).max() < 1e-9,
        ),
    ]


def where(case, part, index):
    names = ["dy", "y"] if len(case.args) == 2 else ["x"]
    place = ", ".join(map(str, index))
    return "it is computed from " + " and ".join(f"{n}[{place}] = {a[index]:.6g}" for n, a in zip(names, case.args))
