import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law

SHAPES = [
    ((2, 3), (2, 3), "nothing was repeated"),
    ((2, 3), (3,), "a row, used in each of two rows"),
    ((2, 3), (2, 1), "a column, used in each of three columns"),
    ((3, 3), (1, 3), "a row with two axes, used in three rows"),
    ((3, 3), (3, 1), "a column, used in three columns"),
    ((2, 3), (), "a single number, used everywhere"),
    ((2, 3), (1,), "an array of one number, used everywhere"),
    ((2, 3, 4, 5), (3, 1, 1), "one number for each channel of images"),
    ((4, 2, 3), (2, 1), "an axis added, another one stretched"),
    ((2, 3, 4), (1, 3, 1), "the first and the last axis stretched"),
    ((2, 1, 4), (1, 4), "an axis that has size 1 on both sides"),
    ((1, 3, 4), (1, 1, 4), "one axis stretched, beside one of size 1 that was not"),
    ((0, 3), (3,), "an empty batch: the sum of no gradients is 0"),
]


def cases(rng):
    told = [Case("unbroadcast", (rng.normal(size=big), shape), label) for big, shape, label in SHAPES]
    return [*told, Case("unbroadcast", (rng.normal(size=(2, 3)).astype("float32"), (2, 1)), "numbers in float32")]


def laws(rng):
    dy = rng.normal(size=(4, 2, 3))
    return [
        Law(
            "unbroadcast",
            "The result must have the same sum as dy: no gradient gets lost, none counts twice.",
            [(dy, (2, 1)), (dy, (1, 3))],
            lambda results: all(abs(np.sum(r) - np.sum(dy)) < 1e-9 for r in results),
        ),
    ]


def where(case, part, index):
    dy, shape = case.args
    added = dy.ndim - len(shape)
    places = [str(index[i - added]) if i >= added and dy.shape[i] == shape[i - added] else ":" for i in range(dy.ndim)]
    return f"it is the sum of dy[{', '.join(places)}]"
