import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.textbook.conv import im2col, output_size

#   what is special                                            stride, padding, N, C, H, W, R, S
SIZES = [
    ("one image, one channel",                                      1, 0,       1, 1, 3, 4, 2, 2),
    ("two channels",                                                1, 0,       1, 2, 4, 5, 2, 3),
    ("two images",                                                  1, 0,       2, 2, 4, 5, 3, 2),
    ("a window as large as the image",                              1, 0,       2, 3, 3, 4, 3, 4),
    ("padding 1",                                                   1, 1,       2, 2, 3, 4, 3, 2),
    ("stride 2 and padding 1",                                      2, 1,       2, 3, 7, 9, 3, 2),
    ("stride 3 and padding 2",                                      3, 2,       3, 2, 6, 7, 3, 3),
    ("stride 2, a row and a column left over",                      2, 0,       1, 2, 8, 6, 3, 3),
]  # fmt: skip


def places(x_shape, kernel, stride, padding):
    """P and Q."""
    return tuple(output_size(size, k, stride, padding) for size, k in zip(x_shape[2:], kernel))


def cases(rng):
    def normal(*shape, dtype="float64"):
        return rng.normal(size=shape).astype(dtype)

    found = []
    for dtype in ("float64", "float32"):
        for label, stride, padding, N, C, H, W, R, S in SIZES if dtype == "float64" else SIZES[2:3]:
            label = label if dtype == "float64" else "numbers in float32"
            P, Q = places((N, C, H, W), (R, S), stride, padding)
            columns = normal(C * R * S, N * P * Q, dtype=dtype)
            found += [
                Case("im2col", (normal(N, C, H, W, dtype=dtype), (R, S), stride, padding), label),
                Case("col2im", (columns, (N, C, H, W), (R, S), stride, padding), label),
            ]

    def product(label, N, C, R, S, K, P, Q, dtype="float64"):
        columns, weight, bias = normal(C * R * S, N * P * Q), normal(K, C, R, S), normal(K)
        return Case("conv2d_from_columns", (*(a.astype(dtype) for a in (columns, weight, bias)), (N, K, P, Q)), label)

    return found + [
        product("one image, one channel, one filter",                    1, 1, 2, 2, 1, 1, 2),
        product("two channels, three filters",                           1, 2, 2, 3, 3, 2, 4),
        product("as many filters as the image has windows",              1, 2, 2, 1, 6, 2, 3),
        product("two images, and as many filters as a row has windows",  2, 3, 3, 2, 4, 3, 4),
        product("three images, filters of one pixel",                    3, 2, 1, 1, 5, 2, 3),
        product("numbers in float32",                                    2, 2, 2, 3, 3, 2, 4, "float32"),
    ]  # fmt: skip


def laws(rng):
    x, (R, S), stride, padding = rng.normal(size=(2, 3, 6, 7)), (3, 2), 2, 1
    (P, Q), K = places(x.shape, (R, S), stride, padding), 4
    columns, weight, bias = rng.normal(size=(3 * R * S, 2 * P * Q)), rng.normal(size=(K, 3, R, S)), rng.normal(size=K)
    other = rng.normal(size=columns.shape)
    tiles = x[:, :, :, :6]  # 3×3 windows side by side cover it
    return [
        Law(
            "im2col",
            "Windows side by side do not overlap: every pixel must be in the matrix exactly once.",
            [(tiles, (3, 3), 3, 0)],
            lambda y: np.array_equal(np.sort(y[0].ravel()), np.sort(tiles.ravel())),
        ),
        Law(
            "im2col",
            "Windows of one pixel, without padding, are the pixels themselves, a row for each channel.",
            [(x, (1, 1), 1, 0)],
            lambda y: np.array_equal(y[0], x.transpose(1, 0, 2, 3).reshape(3, -1)),
        ),
        Law(
            "conv2d_from_columns",
            "Without bias, the sum of two matrices of columns must give the sum of their outputs.",
            [(a, weight, 0 * bias, (2, K, P, Q)) for a in (columns, other, columns + other)],
            lambda y: abs(y[2] - y[0] - y[1]).max() < 1e-9,
        ),
        Law(
            "conv2d_from_columns",
            "If every bias is 1 larger, every output must be 1 larger.",
            [(columns, weight, bias, (2, K, P, Q)), (columns, weight, bias + 1, (2, K, P, Q))],
            lambda y: abs(y[1] - y[0] - 1).max() < 1e-9,
        ),
        Law(
            "col2im",
            "Windows side by side do not overlap: col2im must then give the image that im2col took apart.",
            [(im2col(tiles, (3, 3), 3, 0), tiles.shape, (3, 3), 3, 0)],
            lambda y: np.array_equal(y[0], tiles),
        ),
        Law(
            "col2im",
            "It must be the transpose of im2col: for any image x and any columns v, the sum of im2col(x)·v must be the "
            "sum of x·col2im(v).",
            [(columns, x.shape, (R, S), stride, padding)],
            lambda y: np.isclose((im2col(x, (R, S), stride, padding) * columns).sum(), (x * y[0]).sum()),
        ),
    ]


def where(case, part, index):
    if case.function == "conv2d_from_columns":
        columns, weight, bias, (N, K, P, Q) = case.args
        n, k, p, q = index
        return f"it is weight[{k}], in one line, times column {(n * P + p) * Q + q} of columns, plus bias[{k}]"
    *first, (R, S), stride, padding = case.args
    N, C, H, W = shape = first[1] if case.function == "col2im" else first[0].shape
    P, Q = places(shape, (R, S), stride, padding)
    if case.function == "im2col":
        c, r, s = (int(i) for i in np.unravel_index(index[0], (C, R, S)))
        n, p, q = (int(i) for i in np.unravel_index(index[1], (N, P, Q)))
        h, w = p * stride + r - padding, q * stride + s - padding
        pixel = f"x[{n}, {c}, {h}, {w}]" if 0 <= h < H and 0 <= w < W else "in the padding, a 0"
        return (
            f"column {index[1]} is the window ({p}, {q}) of image {n}, row {index[0]} is its number [{c}, {r}, {s}] "
            f"(channel, row, column): it is {pixel}"
        )
    n, c, h, w = index
    terms = [
        f"columns[{(c * R + r) * S + s}, {(n * P + p) * Q + q}]"
        for p in range(P)
        for q in range(Q)
        for r, s in [(h + padding - p * stride, w + padding - q * stride)]
        if 0 <= r < R and 0 <= s < S
    ]
    if not terms:
        return "no window covers this pixel: it is 0"
    windows = "1 window covers" if len(terms) == 1 else f"{len(terms)} windows cover"
    return f"{windows} this pixel: it is {' + '.join(terms)}"
