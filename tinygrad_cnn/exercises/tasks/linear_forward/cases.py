import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law


def cases(rng):
    def case(N, F, D, label, dtype="float64"):
        arrays = rng.normal(size=(N, F)), rng.normal(size=(D, F)), rng.normal(size=D)
        return Case("linear_forward", tuple(a.astype(dtype) for a in arrays), label)

    return [
        case(1, 3, 1, "one sample, one output"),
        case(1, 3, 2, "one sample, two outputs"),
        case(2, 3, 4, "two samples, three features, four outputs"),
        case(3, 3, 3, "all sizes the same"),
        case(5, 2, 3, "more samples than features"),
        case(2, 3, 4, "numbers in float32", "float32"),
    ]


def laws(rng):
    x, weight, bias = rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), rng.normal(size=4)
    return [
        Law(
            "linear_forward",
            "For x = 0 the result must be the bias, in every row.",
            [(0 * x, weight, bias)],
            lambda y: np.allclose(y[0], bias),
        ),
    ]


def where(case, part, index):
    n, d = index
    return f"it is computed from row {n} of x, row {d} of weight and bias[{d}]"
