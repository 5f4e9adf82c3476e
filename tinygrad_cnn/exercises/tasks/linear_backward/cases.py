import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law


def cases(rng):
    def case(N, F, D, label, dtype="float64"):
        arrays = rng.normal(size=(N, D)), rng.normal(size=(N, F)), rng.normal(size=(D, F))
        return Case("linear_backward", tuple(a.astype(dtype) for a in arrays), label)

    return [
        case(1, 3, 1, "one sample, one output"),
        case(2, 1, 3, "two samples, one feature, three outputs"),
        case(2, 3, 4, "two samples, three features, four outputs"),
        case(3, 3, 3, "all sizes the same"),
        case(5, 2, 3, "more samples than features"),
        case(2, 3, 4, "numbers in float32", "float32"),
    ]


def laws(rng):
    dy, x, weight = rng.normal(size=(2, 4)), rng.normal(size=(2, 3)), rng.normal(size=(4, 3))
    return [
        Law(
            "linear_backward",
            "Twice the dy must give twice of every gradient.",
            [(dy, x, weight), (2 * dy, x, weight)],
            lambda results: all(np.allclose(2 * a, b) for a, b in zip(*results)),
        ),
        Law(
            "linear_backward",
            "A sample that is there twice must contribute twice to dweight and dbias.",
            [(dy, x, weight), (np.vstack([dy, dy]), np.vstack([x, x]), weight)],
            lambda results: all(np.allclose(2 * a, b) for a, b in zip(results[0][1:], results[1][1:])),
        ),
    ]


def where(case, part, index):
    if part == "dx":
        return f"it is computed from row {index[0]} of dy and column {index[1]} of weight"
    if part == "dweight":
        return f"it is computed from column {index[0]} of dy and column {index[1]} of x: a sum over the samples"
    return f"it is computed from column {index[0]} of dy: a sum over the samples"
