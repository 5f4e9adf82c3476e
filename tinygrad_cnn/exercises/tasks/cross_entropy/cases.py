import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.textbook.loss import cross_entropy_forward


def cases(rng):
    def forward(labels, C, label, dtype="float64", plus=0.0):
        scores = rng.normal(size=(len(labels), C)) + plus
        return Case("cross_entropy_forward", (scores.astype(dtype), np.array(labels)), label)

    def backward(labels, C, label, dtype="float64"):
        _, p = cross_entropy_forward(rng.normal(size=(len(labels), C)), np.array(labels))
        return Case("cross_entropy_backward", (p.astype(dtype), np.array(labels)), label)

    surprise = np.array([[50.0, 0.0, 1.0], [1.0, 2.0, 3.0]])
    apart = np.array([[720.0, 0.0, 1.0], [2.0, 3.0, 722.0]])  # e to the power of −720 is not yet 0
    return [
        forward([1], 3, "one sample, class 1 of three is right"),
        forward([2, 0], 3, "two samples, three classes"),
        forward([0, 0, 1], 3, "as many samples as classes, one class twice"),
        forward([1, 0, 0, 1, 1], 2, "five samples, two classes"),
        forward([1, 3], 4, "scores around 1000", plus=1000.0),
        forward([3, 1], 4, "scores around −1000", plus=-1000.0),
        Case("cross_entropy_forward", (surprise, np.array([1, 2])), "the right class is 50 behind the best one"),
        Case("cross_entropy_forward", (np.full((2, 4), 3.0), np.array([1, 0])), "all scores equal"),
        Case("cross_entropy_forward", (apart, np.array([0, 2])), "one score far above the others, in the right class"),
        forward([2, 0], 3, "numbers in float32", "float32"),
        backward([1], 3, "one sample, class 1 of three is right"),
        backward([2, 0], 3, "two samples, three classes"),
        backward([0, 0, 1], 3, "as many samples as classes, one class twice"),
        backward([1, 0, 0, 1, 1], 2, "five samples, two classes"),
        backward([2, 0], 3, "numbers in float32", "float32"),
    ]


def laws(rng):
    scores, labels = rng.normal(size=(2, 3)), np.array([2, 0])
    loss, p = cross_entropy_forward(scores, labels)
    return [
        Law(
            "cross_entropy_forward",
            "Every row of p must add up to 1.",
            [(scores, labels)],
            lambda results: abs(results[0][1].sum(axis=1) - 1).max() < 1e-9,
        ),
        Law(
            "cross_entropy_forward",
            "The same samples twice must have the same mean loss.",
            [(scores, labels), (np.vstack([scores, scores]), np.hstack([labels, labels]))],
            lambda results: abs(results[0][0] - results[1][0]) < 1e-9,
        ),
        Law(
            "cross_entropy_backward",
            "Every row of the gradient must add up to 0: what wrong classes lose, the right one gains.",
            [(p, labels)],
            lambda results: abs(results[0].sum(axis=1)).max() < 1e-9,
        ),
    ]


def where(case, part, index):
    labels = case.args[1]
    if part == "dscores":
        n, c = index
        right = "the right class" if labels[n] == c else f"a wrong class (class {labels[n]} is right)"
        return f"it is computed from p[{n}, {c}], {right}, and the number of samples, {len(labels)}"
    return f"it is computed from row {index[0]} of scores, all {case.args[0].shape[1]} classes"
