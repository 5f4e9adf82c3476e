import numpy as np

from tinygrad_cnn.exercises.cases import Case


def cases(rng):
    def case(shape, lr, momentum, weight_decay, label, dtype="float64", moving=True):
        w, dw, velocity = rng.normal(size=(3, *shape)).astype(dtype)
        return Case("sgd_step", (w, dw, velocity * moving, lr, momentum, weight_decay), label)

    return [
        Case("sgd_step", (np.array([1.0]), np.array([2.0]), np.array([2.0]), 0.5, 0.5, 1.0), "one weight"),
        case((3,), 0.1, 0.0, 0.0, "no momentum, no weight decay", moving=False),
        case((2, 3), 0.1, 0.9, 0.0, "the first step with momentum: the velocity is 0", moving=False),
        case((2, 3), 0.1, 0.9, 0.0, "a later step with momentum"),
        case((2, 3), 0.1, 0.0, 0.3, "weight decay"),
        case((4, 3, 3, 2), 0.05, 0.7, 0.2, "filters, with momentum and weight decay"),
        case((4, 3, 3, 2), 0.4, 0.7, 0.2, "a larger learning rate"),
        case((2, 3), 0.1, 0.9, 0.25, "numbers in float32", "float32"),
    ]


def where(case, part, index):
    place = ", ".join(map(str, index))
    told = zip(("w", "dw", "velocity"), case.args)
    return "before the step, " + ", ".join(f"{name}[{place}] was {array[index]:.6g}" for name, array in told)
