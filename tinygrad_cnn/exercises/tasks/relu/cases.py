import numpy as np

from tinygrad_cnn.exercises.cases import Case

ZEROS = np.array([[0.0, -0.0, 2.0], [-1.0, 0.0, 1e-300]])


def cases(rng):
    def forward(shape, label, dtype="float64"):
        return Case("relu_forward", (rng.normal(size=shape).astype(dtype),), label)

    def backward(shape, label, dtype="float64"):
        dy, x = rng.normal(size=(2, *shape)).astype(dtype)
        return Case("relu_backward", (dy, x), label)

    return [
        Case("relu_forward", (np.array([-2.0, 3.0, -0.5, 7.0]),), "four numbers"),
        Case("relu_forward", (ZEROS,), "zeros, also negative ones"),
        forward((2, 3, 4, 5), "two images of three channels"),
        forward((3, 2), "numbers in float32", "float32"),
        Case("relu_backward", (np.array([5.0, -6.0, 7.0, -8.0]), np.array([2.0, 3.0, -4.0, -1.0])), "four numbers"),
        Case("relu_backward", (rng.normal(size=ZEROS.shape), ZEROS), "zeros in x, also negative ones"),
        backward((2, 3, 4, 5), "two images of three channels"),
        backward((3, 2), "numbers in float32", "float32"),
    ]


def where(case, part, index):
    names = ["dy", "x"] if len(case.args) == 2 else ["x"]
    place = ", ".join(map(str, index))
    return "it is computed from " + " and ".join(f"{n}[{place}] = {a[index]:.6g}" for n, a in zip(names, case.args))
