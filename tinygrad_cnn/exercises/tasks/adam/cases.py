import numpy as np

from tinygrad_cnn.exercises.cases import Case


def cases(rng):
    def case(shape, step, lr, beta1, beta2, eps, label, dtype="float64"):
        w, dw, m, v = rng.normal(size=(4, *shape)).astype(dtype)
        moments = (m * (step > 1), v * v * (step > 1))  # zeros before the first step
        return Case("adam_step", (w, dw, *moments, step, lr, beta1, beta2, eps), label)

    one = (np.array([1.0]), np.array([4.0]), np.array([0.0]), np.array([0.0]), 1, 0.25, 0.5, 0.5, 0.0)
    return [
        Case("adam_step", one, "one weight, the first step"),
        case((3,), 1, 0.1, 0.9, 0.999, 1e-8, "the first step"),
        case((2, 3), 2, 0.1, 0.9, 0.999, 1e-8, "the second step"),
        case((2, 3), 7, 0.1, 0.8, 0.95, 0.3, "step 7, with a large eps"),
        case((4, 3, 3, 2), 7, 0.01, 0.9, 0.99, 1e-8, "step 7, filters"),
        Case("adam_step", (np.ones(2), np.zeros(2), np.zeros(2), np.zeros(2), 1, 0.1, 0.9, 0.999, 1e-8), "gradient 0"),
        case((2, 3), 7, 0.1, 0.9, 0.99, 1e-3, "numbers in float32", "float32"),
    ]


def where(case, part, index):
    place = ", ".join(map(str, index))
    told = zip(("w", "dw", "m", "v"), case.args)
    return "before the step, " + ", ".join(f"{name}[{place}] was {array[index]:.6g}" for name, array in told)
