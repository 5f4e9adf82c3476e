"""Pooling: the largest, the mean, or the length of the numbers under a window, and the way back of each.

Shapes: x (N, C, H, W), y (N, C, P, Q); the window has R rows and S columns; stride and padding are pixels, the same on
both axes. Each channel is pooled by itself, and nothing is learned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def max_pool2d_forward(x: Array, kernel: tuple[int, int], stride: int, padding: int) -> tuple[Array, Array]:
    """The largest pixel of each window, and which one it was.

    Formula: `y[n,c,p,q] = max_{r,s} x[n,c,p·stride+r,q·stride+s]`, x padded with −∞: padding never wins.

    Args:
        x: (N, C, H, W) images.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.
        padding: Rows and columns put on each side of the images, at most half the window.

    Returns:
        y, (N, C, P, Q) with `P = ⌊(H + 2·padding − R)/stride⌋ + 1`, likewise Q from W and S; in the format of x.
        index, (N, C, P, Q), int64: the largest pixel stands in row r and column s of its window, and index is r·S + s;
            of equal ones the first.

    Source: Zhou & Chellappa 1988, "Computation of optical flow using a neural network".

    >>> x = np.array([[[[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]])
    >>> y, index = max_pool2d_forward(x, kernel=(2, 2), stride=2, padding=0)
    >>> y.tolist(), index.tolist()   # 6 is the last of the four pixels 1 1 5 6, so its index is 3
    ([[[[6.0, 8.0], [3.0, 4.0]]]], [[[[3, 3], [0, 3]]]])
    """
    N, C, H, W = x.shape
    R, S = kernel
    P = (H + 2 * padding - R) // stride + 1
    Q = (W + 2 * padding - S) // stride + 1
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    y = np.zeros((N, C, P, Q), dtype=x.dtype)
    index = np.zeros((N, C, P, Q), dtype=np.int64)
    for p in range(P):
        for q in range(Q):
            top, left = p * stride, q * stride
            window = padded[:, :, top : top + R, left : left + S].reshape(N, C, R * S)
            y[:, :, p, q] = window.max(axis=2)
            index[:, :, p, q] = window.argmax(axis=2)  # of equals the first
    return y, index


def max_pool2d_backward(
    dy: Array, index: Array, x_shape: tuple[int, ...], kernel: tuple[int, int], stride: int, padding: int
) -> Array:
    """Each gradient goes back to the one pixel that was the largest of its window.

    Formula: `dx[n,c,p·stride+r−padding,q·stride+s−padding] += dy[n,c,p,q]` with `index[n,c,p,q] = r·S + s`.

    Args:
        dy: (N, C, P, Q), the gradient that arrives.
        index: (N, C, P, Q), the place of each maximum in its window, as `max_pool2d_forward` returns it.
        x_shape: (N, C, H, W), the size of the images.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.
        padding: Rows and columns that were put on each side of the images.

    Returns:
        dx, (N, C, H, W), in the format of dy.

    Source: Scherer, Müller & Behnke 2010, "Evaluation of pooling operations in convolutional architectures for object
    recognition".

    >>> dy, index = np.array([[[[10.0, 20.0]]]]), np.array([[[[2, 0]]]])   # windows of 1×3: x[2] won twice
    >>> max_pool2d_backward(dy, index, (1, 1, 1, 5), kernel=(1, 3), stride=2, padding=0).tolist()
    [[[[0.0, 0.0, 30.0, 0.0, 0.0]]]]
    """
    N, C, H, W = x_shape
    R, S = kernel
    dpadded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=dy.dtype)
    for n, c, p, q in np.ndindex(dy.shape):
        r, s = divmod(index[n, c, p, q], S)
        dpadded[n, c, p * stride + r, q * stride + s] += dy[n, c, p, q]  # += : windows may overlap
    return dpadded[:, :, padding : padding + H, padding : padding + W]


def max_pool2d_backward_from_x(dy: Array, x: Array, kernel: tuple[int, int], stride: int, padding: int) -> Array:
    """As `max_pool2d_backward`, but nobody noted which pixel was the largest: it is looked for again in x.

    Formula: `dx[n,c,i,j] += dy[n,c,p,q]`, (i, j) being the first of the largest pixels of window (p, q).

    Args:
        dy: (N, C, P, Q), the gradient that arrives.
        x: (N, C, H, W), the images.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.
        padding: Rows and columns put on each side of the images; they never win.

    Returns:
        dx, (N, C, H, W), in the format of dy.

    Source: as `max_pool2d_backward`.

    >>> x = np.array([[[[3.0, 7.0, 7.0]]]])   # two equal maxima: the first one gets everything
    >>> max_pool2d_backward_from_x(np.array([[[[10.0]]]]), x, kernel=(1, 3), stride=1, padding=0).tolist()
    [[[[0.0, 10.0, 0.0]]]]
    """
    N, C, H, W = x.shape
    R, S = kernel
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    dpadded = np.zeros(padded.shape, dtype=dy.dtype)
    for n, c, p, q in np.ndindex(dy.shape):
        top, left = p * stride, q * stride
        window = padded[n, c, top : top + R, left : left + S]
        r, s = divmod(window.argmax(), S)
        dpadded[n, c, top + r, left + s] += dy[n, c, p, q]
    return dpadded[:, :, padding : padding + H, padding : padding + W]


def avg_pool2d_forward(x: Array, kernel: tuple[int, int], stride: int, padding: int, count_include_pad: bool) -> Array:
    """The mean of each window.

    Formula: `y[n,c,p,q] = Σ_{r,s} x[n,c,p·stride+r,q·stride+s] / count`, x padded with zeros; count is R·S, or only the
    number of those pixels of the window that belong to the image.

    Args:
        x: (N, C, H, W) images.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.
        padding: Rows and columns of zeros put on each side of the images, at most half the window.
        count_include_pad: True: count is always R·S. False: padding does not count.

    Returns:
        y, (N, C, P, Q) with `P = ⌊(H + 2·padding − R)/stride⌋ + 1`, likewise Q from W and S; in the format of x.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.B (there with a trainable coefficient).

    >>> x = np.array([[[[6.0, 2.0, 4.0]]]])   # windows 6 2, then 2 4
    >>> avg_pool2d_forward(x, kernel=(1, 2), stride=1, padding=0, count_include_pad=True).tolist()
    [[[[4.0, 3.0]]]]
    """
    N, C, H, W = x.shape
    R, S = kernel
    P = (H + 2 * padding - R) // stride + 1
    Q = (W + 2 * padding - S) // stride + 1
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    counts = np.pad(np.ones((H, W)), padding, constant_values=float(count_include_pad))  # 1 for a pixel that counts
    y = np.zeros((N, C, P, Q), dtype=x.dtype)
    for p in range(P):
        for q in range(Q):
            top, left = p * stride, q * stride
            window = padded[:, :, top : top + R, left : left + S]
            y[:, :, p, q] = window.sum(axis=(2, 3)) / counts[top : top + R, left : left + S].sum()
    return y


def avg_pool2d_backward(
    dy: Array, x_shape: tuple[int, ...], kernel: tuple[int, int], stride: int, padding: int, count_include_pad: bool
) -> Array:
    """Each pixel of a window gets the same share of the window's gradient.

    Formula: `dx[n,c,p·stride+r−padding,q·stride+s−padding] += dy[n,c,p,q] / count` for all r, s.

    Args:
        dy: (N, C, P, Q), the gradient that arrives.
        x_shape: (N, C, H, W), the size of the images.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.
        padding: Rows and columns of zeros that were put on each side of the images.
        count_include_pad: True: count is always R·S. False: padding does not count.

    Returns:
        dx, (N, C, H, W), in the format of dy.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.B, differentiated.

    >>> dy = np.array([[[[10.0, 4.0]]]])   # windows of 1×2: halves of 10 and of 4, which meet in the middle
    >>> avg_pool2d_backward(dy, (1, 1, 1, 3), kernel=(1, 2), stride=1, padding=0, count_include_pad=True).tolist()
    [[[[5.0, 7.0, 2.0]]]]
    """
    N, C, H, W = x_shape
    R, S = kernel
    P, Q = dy.shape[2:]
    counts = np.pad(np.ones((H, W)), padding, constant_values=float(count_include_pad))  # 1 for a pixel that counts
    dpadded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=dy.dtype)
    for p in range(P):
        for q in range(Q):
            top, left = p * stride, q * stride
            share = dy[:, :, p, q] / counts[top : top + R, left : left + S].sum()
            dpadded[:, :, top : top + R, left : left + S] += share.reshape(N, C, 1, 1)  # += : windows may overlap
    return dpadded[:, :, padding : padding + H, padding : padding + W]


def l2_pool2d_forward(x: Array, kernel: tuple[int, int], stride: int) -> Array:
    """The length of each window, its pixels taken for the coordinates of a vector.

    Formula: `y[n,c,p,q] = √(Σ_{r,s} x[n,c,p·stride+r,q·stride+s]²)`.

    Args:
        x: (N, C, H, W) images.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.

    Returns:
        y, (N, C, P, Q) with `P = ⌊(H − R)/stride⌋ + 1`, likewise Q from W and S; in the format of x.

    Source: Hyvärinen & Köster 2007, "Complex cell pooling and the statistics of natural images".

    >>> l2_pool2d_forward(np.array([[[[3.0, -4.0, 0.0]]]]), kernel=(1, 2), stride=1).tolist()   # √(9 + 16), √(16 + 0)
    [[[[5.0, 4.0]]]]
    """
    N, C, H, W = x.shape
    R, S = kernel
    P = (H - R) // stride + 1
    Q = (W - S) // stride + 1
    y = np.zeros((N, C, P, Q), dtype=x.dtype)
    for p in range(P):
        for q in range(Q):
            top, left = p * stride, q * stride
            window = x[:, :, top : top + R, left : left + S]
            y[:, :, p, q] = np.sqrt((window**2).sum(axis=(2, 3)))
    return y


def l2_pool2d_backward(dy: Array, x: Array, y: Array, kernel: tuple[int, int], stride: int) -> Array:
    """Each pixel of a window gets the window's gradient times its share of the window's length, x/y.

    Formula: `dx[n,c,p·stride+r,q·stride+s] += dy[n,c,p,q]·x[n,c,p·stride+r,q·stride+s] / y[n,c,p,q]` for all r, s, and
    nothing where y is 0: there the length has a kink, and 0 is its slope by convention.

    Args:
        dy: (N, C, P, Q), the gradient that arrives.
        x: (N, C, H, W), the images.
        y: (N, C, P, Q), the result of `l2_pool2d_forward`.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.

    Returns:
        dx, (N, C, H, W), in the format of dy.

    Source: Hyvärinen & Köster 2007, "Complex cell pooling and the statistics of natural images", differentiated.

    >>> x, y, dy = np.array([[[[3.0, -4.0]]]]), np.array([[[[5.0]]]]), np.array([[[[10.0]]]])
    >>> l2_pool2d_backward(dy, x, y, kernel=(1, 2), stride=1).tolist()   # 10·3/5, 10·(−4)/5
    [[[[6.0, -8.0]]]]
    """
    N, C, P, Q = y.shape
    R, S = kernel
    dx = np.zeros(x.shape, dtype=dy.dtype)
    ratio = dy / np.where(y == 0, 1, y)  # where y is 0, all x of the window are 0, and so is dy/1·x
    for p in range(P):
        for q in range(Q):
            top, left = p * stride, q * stride
            window = x[:, :, top : top + R, left : left + S]
            dx[:, :, top : top + R, left : left + S] += ratio[:, :, p, q].reshape(N, C, 1, 1) * window
    return dx
