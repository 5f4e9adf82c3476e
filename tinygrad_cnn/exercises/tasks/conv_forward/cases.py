from tinygrad_cnn.exercises.cases import Case, Law


def numbers(rng, N, C, H, W, K, R, S, dtype="float64"):
    arrays = rng.normal(size=(N, C, H, W)), rng.normal(size=(K, C, R, S)), rng.normal(size=K)
    return tuple(a.astype(dtype) for a in arrays)


def cases(rng):
    def case(label, stride, padding, *sizes, dtype="float64"):
        return Case("conv2d_forward", (*numbers(rng, *sizes, dtype=dtype), stride, padding), label)

    #                                                       stride, padding, N, C, H, W, K, R, S
    return [
        case("one image, one channel, one filter",               1, 0,       1, 1, 3, 4, 1, 2, 2),
        case("two channels, three filters",                      1, 0,       1, 2, 4, 5, 3, 2, 3),
        case("a filter as large as the image",                   1, 0,       1, 2, 3, 4, 3, 3, 4),
        case("filters of one pixel",                             1, 0,       2, 3, 4, 3, 2, 1, 1),
        case("filters of one pixel, stride 2",                   2, 0,       1, 2, 5, 4, 3, 1, 1),
        case("two images of one channel, padding 1",             1, 1,       2, 1, 4, 3, 3, 2, 3),
        case("stride 2, with a row and a column left over",      2, 0,       1, 2, 8, 7, 3, 3, 2),
        case("stride 2 and padding 1",                           2, 1,       2, 3, 7, 9, 4, 3, 2),
        case("stride 3 and padding 2, as many filters as channels", 3, 2,    1, 2, 6, 7, 2, 3, 3),
        case("stride 3 and padding 1, no window reaches the right edge", 3, 1, 2, 2, 5, 7, 3, 2, 1),
        case("numbers in float32",                               1, 1,       1, 2, 4, 5, 2, 2, 3, dtype="float32"),
    ]  # fmt: skip


def laws(rng):
    x, weight, bias = numbers(rng, 2, 2, 5, 6, 3, 3, 2)
    image, zero, one = rng.normal(size=x.shape), 0 * bias, 0 * weight[:1]
    one[0, 1, 2, 0] = 1

    def law(says, calls, holds):
        return Law("conv2d_forward", says, calls, holds)

    return [
        law(
            "Without bias, the sum of two images must give the sum of their outputs: each is a sum of pixel·weight.",
            [(x, weight, zero, 1, 1), (image, weight, zero, 1, 1), (x + image, weight, zero, 1, 1)],
            lambda y: abs(y[2] - y[0] - y[1]).max() < 1e-9,
        ),
        law(
            "Without bias, a filter with a single 1, at channel 1, row 2, column 0, must give channel 1 of the image, "
            "from row 2 on.",
            [(x, one, zero[:1], 1, 0)],
            lambda y: abs(y[0] - x[:, 1:, 2:, :-1]).max() < 1e-9,
        ),
        law(
            "If every bias is 1 larger, every output must be 1 larger.",
            [(x, weight, bias, 1, 0), (x, weight, bias + 1, 1, 0)],
            lambda y: abs(y[1] - y[0] - 1).max() < 1e-9,
        ),
        law(
            "If the image moves up by as many rows as the stride has pixels, the output must move up by one row.",
            [(x, weight, bias, 2, 0), (x[:, :, 2:], weight, bias, 2, 0)],
            lambda y: abs(y[1] - y[0][:, :, 1:]).max() < 1e-9,
        ),
        law(
            "An image must give the same output alone as in a batch: images never mix.",
            [(x, weight, bias, 1, 1), (x[1:], weight, bias, 1, 1)],
            lambda y: abs(y[1] - y[0][1:]).max() < 1e-9,
        ),
    ]


def speed(rng):
    return Case("conv2d_forward", (*numbers(rng, 8, 3, 16, 16, 8, 3, 3, dtype="float32"), 1, 1), "8 images, 8 filters")


def where(case, part, index):
    x, weight, bias, stride, padding = case.args
    (n, k, p, q), (H, W), (R, S) = index, x.shape[2:], weight.shape[2:]
    top, left = p * stride - padding, q * stride - padding
    bottom, right = top + R - 1, left + S - 1
    hangs = min(top, left) < 0 or bottom >= H or right >= W
    outside = f" (those outside 0..{H - 1} and 0..{W - 1} are padding)" if hangs else ""
    return (
        f"it is computed from image {n}, rows {top} to {bottom}, columns {left} to {right}{outside}, "
        f"all channels, and from weight[{k}] and bias[{k}]"
    )
