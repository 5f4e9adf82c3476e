import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law

NAME = "batch_norm_forward"


def channels(rng, C, dtype="float64"):
    """weight, bias, running_mean and running_var of C channels."""
    drawn = rng.normal(size=(4, C)).astype(dtype)
    return drawn[0], drawn[1], drawn[2], np.exp(drawn[3])


def cases(rng):
    def case(shape, training, momentum, eps, label, dtype="float64"):
        x = (3 * rng.normal(size=shape) + rng.normal(size=(shape[1], 1, 1))).astype(dtype)
        return Case(NAME, (x, *channels(rng, shape[1], dtype), training, momentum, eps), label)

    return [
        case((2, 1, 1, 3), True, 0.1, 0.5, "two images, one channel, in training"),
        case((2, 1, 1, 3), False, 0.1, 0.5, "two images, one channel, not in training"),
        case((2, 3, 4, 5), True, 0.3, 1e-5, "three channels, in training"),
        case((4, 3, 7, 9), True, 0.25, 2.0, "a large eps, in training"),
        case((3, 2, 5, 4), False, 0.25, 2.0, "a large eps, not in training"),
        case((3, 2, 2, 5), True, 0.1, 0.01, "numbers in float32", "float32"),
    ]


def laws(rng):
    x, (weight, bias, mean, var) = rng.normal(size=(3, 2, 4, 5)), channels(rng, 2)
    return [
        Law(
            NAME,
            "In training, with weight 1 and bias 0, the mean of each channel of y must be 0.",
            [(x, weight * 0 + 1, bias * 0, mean, var, True, 0.1, 0.01)],
            lambda results: np.abs(results[0][0].mean(axis=(0, 2, 3))).max() < 1e-9,
        ),
        Law(
            NAME,
            "In training, 5 added to every pixel changes the mean and nothing else: y must stay as it was.",
            [(x, weight, bias, mean, var, True, 0.1, 0.01), (x + 5, weight, bias, mean, var, True, 0.1, 0.01)],
            lambda results: np.abs(results[1][0] - results[0][0]).max() < 1e-9,
        ),
        Law(
            NAME,
            "Without training an image's result must not depend on the other images of its batch.",
            [(x, weight, bias, mean, var, False, 0.1, 0.01), (x[:1], weight, bias, mean, var, False, 0.1, 0.01)],
            lambda results: np.abs(results[0][0][:1] - results[1][0]).max() < 1e-9,
        ),
    ]


def where(case, part, index):
    x, training = case.args[0], case.args[5]
    N, C, H, W = x.shape
    c = index[1] if part == "y" else index[0]
    numbers = f"the {N * H * W} numbers of channel {c} ({N} image{'s' * (N != 1)} of {H}×{W} pixels)"
    if part == "y":
        source = f"mean and variance of {numbers}" if training else f"running_mean[{c}] and running_var[{c}]"
        return f"it is computed from x[{', '.join(map(str, index))}], {source}, weight[{c}] and bias[{c}]"
    if not training:
        return f"without training it is what running_mean[{c}] or running_var[{c}] was before the call"
    return f"it is computed from {numbers}" + (f", and from what {part}[{c}] was" if "running" in part else "")
