import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.textbook.activation import softmax_forward


def cases(rng):
    def forward(N, C, label, dtype="float64", plus=0.0):
        return Case("softmax_forward", ((rng.normal(size=(N, C)) + plus).astype(dtype),), label)

    def backward(N, C, label, dtype="float64"):
        y = softmax_forward(rng.normal(size=(N, C)))
        return Case("softmax_backward", (rng.normal(size=(N, C)).astype(dtype), y.astype(dtype)), label)

    return [
        forward(1, 3, "one sample, three classes"),
        forward(2, 3, "two samples, three classes"),
        forward(3, 3, "as many samples as classes"),
        forward(4, 2, "four samples, two classes"),
        Case("softmax_forward", (np.array([[2.0, 2.0, 2.0, 2.0], [1.0, 3.0, 3.0, 1.0]]),), "equal scores"),
        forward(2, 3, "scores around 1000", plus=1000.0),
        forward(2, 3, "scores around −1000", plus=-1000.0),
        Case("softmax_forward", (np.array([[800.0, 0.0, 1.0], [2.0, 3.0, 801.0]]),), "one score far above the others"),
        forward(2, 3, "numbers in float32", "float32"),
        backward(1, 3, "one sample, three classes"),
        backward(2, 3, "two samples, three classes"),
        backward(3, 3, "as many samples as classes"),
        backward(4, 2, "four samples, two classes"),
        Case("softmax_backward", (rng.normal(size=(2, 3)), np.array([[1.0, 0, 0], [0, 0, 1.0]])), "certain: y 1 and 0"),
        backward(2, 3, "numbers in float32", "float32"),
    ]


def laws(rng):
    x, dy = rng.normal(size=(2, 2, 3))
    y = softmax_forward(x)
    return [
        Law(
            "softmax_forward",
            "Every row of the result must add up to 1.",
            [(x,)],
            lambda results: abs(results[0].sum(axis=1) - 1).max() < 1e-9,
        ),
        Law(
            "softmax_forward",
            "Adding 5 to all scores must change nothing.",
            [(x,), (x + 5,)],
            lambda results: abs(results[0] - results[1]).max() < 1e-9,
        ),
        Law(
            "softmax_backward",
            "Every row of dx must add up to 0: the probabilities stay the same if all scores of a row grow alike.",
            [(dy, y)],
            lambda results: abs(results[0].sum(axis=1)).max() < 1e-9,
        ),
        Law(
            "softmax_backward",
            "Adding 5 to all dy must change nothing: the probabilities of a row always have the sum 1.",
            [(dy, y), (dy + 5, y)],
            lambda results: abs(results[0] - results[1]).max() < 1e-9,
        ),
    ]


def where(case, part, index):
    if part == "dx":
        return f"it is computed from rows {index[0]} of dy and of y, all {case.args[0].shape[1]} classes"
    return f"it is computed from row {index[0]} of x, all {case.args[0].shape[1]} classes"
