import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.textbook.conv import conv2d_forward, output_size


def numbers(rng, stride, padding, N, C, H, W, K, R, S, dtype="float64"):
    P, Q = output_size(H, R, stride, padding), output_size(W, S, stride, padding)
    arrays = (rng.normal(size=shape).astype(dtype) for shape in ((N, K, P, Q), (N, C, H, W), (K, C, R, S)))
    return *arrays, stride, padding


def cases(rng):
    def case(label, *sizes, dtype="float64"):
        return Case("conv2d_backward", numbers(rng, *sizes, dtype=dtype), label)

    #                                                       stride, padding, N, C, H, W, K, R, S
    return [
        case("one image, one channel, one filter",               1, 0,       1, 1, 3, 4, 1, 2, 3),
        case("two channels, three filters",                      1, 0,       1, 2, 4, 5, 3, 2, 3),
        case("a filter as large as the image",                   1, 0,       2, 2, 3, 4, 3, 3, 4),
        case("filters of one pixel, stride 2",                   2, 0,       1, 2, 5, 4, 3, 1, 1),
        case("two images, padding 1",                            1, 1,       2, 2, 4, 3, 3, 2, 3),
        case("stride 2, with a row and a column left over",      2, 0,       1, 2, 8, 7, 3, 3, 2),
        case("stride 2 and padding 1",                           2, 1,       2, 3, 7, 9, 4, 3, 2),
        case("stride 3 and padding 2, as many filters as channels", 3, 2,    2, 3, 6, 7, 3, 3, 3),
        case("stride 3 and padding 1, no window reaches the right edge", 3, 1, 2, 2, 5, 7, 3, 2, 1),
        case("numbers in float32",                               1, 1,       2, 2, 4, 5, 3, 2, 3, dtype="float32"),
    ]  # fmt: skip


def laws(rng):
    dy, x, weight, stride, padding = args = numbers(rng, 2, 1, 2, 2, 5, 6, 3, 3, 2)
    bias = rng.normal(size=3)
    loss = (dy * conv2d_forward(x, weight, 0 * bias, stride, padding)).sum()
    with_bias = (dy * conv2d_forward(x, weight, bias, stride, padding)).sum()

    def law(says, calls, holds):
        return Law("conv2d_backward", says, calls, holds)

    return [
        law(
            "Without bias, the output is linear in x: the sum of x·dx must be the sum of y·dy. It is not: dx is wrong.",
            [args],
            lambda results: np.isclose((x * results[0][0]).sum(), loss),
        ),
        law(
            "Without bias, the output is linear in weight, so the sum of weight·dweight must be the sum of y·dy. It is "
            "not: dweight is wrong.",
            [args],
            lambda results: np.isclose((weight * results[0][1]).sum(), loss),
        ),
        law(
            "The bias is added to every output, so the sum of bias·dbias must be what that adds to the sum of y·dy. It "
            "is not: dbias is wrong.",
            [args],
            lambda results: np.isclose((bias * results[0][2]).sum(), with_bias - loss),
        ),
        law(
            "Twice dy must give twice each gradient: they are sums of dy times something.",
            [args, (2 * dy, *args[1:])],
            lambda results: all(np.allclose(b, 2 * np.asarray(a)) for a, b in zip(*results)),
        ),
        law(
            "dx depends on dy and weight only: another image x must give the same dx.",
            [args, (dy, x[::-1] + 1, *args[2:])],
            lambda results: np.allclose(results[0][0], results[1][0]),
        ),
    ]


def where(case, part, index):
    dy, x, weight, stride, padding = case.args
    (N, _, P, Q), (R, S) = dy.shape, weight.shape[2:]
    if part == "dbias":
        return f"it is the sum of all {N * P * Q} numbers of dy[:, {index[0]}]"
    if part == "dweight":
        k, c, r, s = index
        steps = ("p", "q") if stride == 1 else (f"{stride}·p", f"{stride}·q")
        row, column = (f"{step} + {a - padding}".replace(" + 0", "") for step, a in zip(steps, (r, s)))
        return (
            f"it is the sum of dy[n, {k}, p, q] · x[n, {c}, {row}, {column}] over all images n and places (p, q)"
            + ("; outside the image x is 0" if padding else "")
        ).replace("+ -", "- ")
    n, c, h, w = index
    terms = [
        f"dy[{n}, k, {p}, {q}]·weight[k, {c}, {r}, {s}]"
        for p in range(P)
        for q in range(Q)
        for r, s in [(h + padding - p * stride, w + padding - q * stride)]
        if 0 <= r < R and 0 <= s < S
    ]
    if not terms:
        return "no window covers this pixel: it is 0"
    windows = "1 window" if len(terms) == 1 else f"{len(terms)} windows"
    return f"this pixel is in {windows}: it is the sum over all filters k of {' + '.join(terms)}"
