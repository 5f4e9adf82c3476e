"""Convolution: the definition by loops, the same as one matrix product, and the way back.

Shapes: x (N, C, H, W), weight (K, C, R, S), bias (K,), y (N, K, P, Q); stride and padding are pixels, the same on both
axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """How many places there are for a window that moves over an axis: how large the output of a convolution is.

    Formula: `P = ⌊(H + 2·padding − R)/stride⌋ + 1`.

    Args:
        size: H, pixels of the image along the axis.
        kernel: R, pixels of the window along the axis.
        stride: Pixels from one window to the next.
        padding: Pixels of zeros on each of the two sides.

    Returns:
        P, an int.

    Raises:
        ValueError: If the window is larger than the padded image.

    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", relationship 6.

    >>> output_size(7, kernel=3, stride=1, padding=0), output_size(7, kernel=3, stride=2, padding=0)
    (5, 3)
    >>> output_size(7, kernel=3, stride=3, padding=0)   # 4/3 = 1.33: the last pixel is left out
    2
    """
    room = size + 2 * padding - kernel
    if room < 0:
        raise ValueError(
            f"output_size: a window of {kernel} pixels does not fit into {size} + 2·{padding} = {size + 2 * padding}; "
            "use a smaller window, a larger image, or more padding"
        )
    return room // stride + 1


def conv2d_forward(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    """Slide each filter over the image; each output is one dot product of a window with a filter, plus a bias.

    Formula: `y[n,k,p,q] = bias[k] + Σ_{c,r,s} x[n,c,p·stride+r,q·stride+s]·weight[k,c,r,s]`, x padded with zeros. It is
    cross-correlation: the filter is not flipped.

    Args:
        x: (N, C, H, W) images.
        weight: (K, C, R, S), K filters.
        bias: (K,), one number per filter.
        stride: Pixels from one window to the next.
        padding: Rows and columns of zeros put on each side of the images.

    Returns:
        y, (N, K, P, Q) with `P = ⌊(H + 2·padding − R)/stride⌋ + 1`, likewise Q from W and S; in the format of x.

    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", section 2.

    >>> x = np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    >>> conv2d_forward(x, np.array([[[[1.0, 10.0]]]]), np.array([0.5]), stride=1, padding=0)   # 1 + 10·2 + 0.5, …
    array([[[[21.5, 32.5],
             [54.5, 65.5]]]])
    """
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    P, Q = output_size(H, R, stride, padding), output_size(W, S, stride, padding)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    y = np.zeros((N, K, P, Q), dtype=x.dtype)
    for n in range(N):
        for k in range(K):
            for p in range(P):
                for q in range(Q):
                    top, left = p * stride, q * stride
                    window = padded[n, :, top : top + R, left : left + S]
                    y[n, k, p, q] = np.sum(window * weight[k]) + bias[k]
    return y


def conv2d_backward(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> tuple[Array, Array, Array]:
    """Hand each output's gradient back to all that the output was computed from: its window, its filter, its bias.

    Formula: `dx[n,c,p·stride+r,q·stride+s] += dy[n,k,p,q]·weight[k,c,r,s]` and
    `dweight[k,c,r,s] += dy[n,k,p,q]·x[n,c,p·stride+r,q·stride+s]`, x and dx padded; `dbias[k] = Σ_{n,p,q} dy[n,k,p,q]`.

    Args:
        dy: (N, K, P, Q), the gradient of y.
        x: (N, C, H, W) images that forward was given.
        weight: (K, C, R, S), K filters.
        stride: Pixels from one window to the next.
        padding: Rows and columns of zeros put on each side of the images.

    Returns:
        dx (N, C, H, W), dweight (K, C, R, S) and dbias (K,); in the formats of x, weight and dy.

    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", section 4.1.

    >>> x, weight = np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[1.0, 10.0]]]])
    >>> dy = np.array([[[[1.0, 5.0]]]])                   # of y = [1 + 20, 2 + 30]
    >>> dx, dweight, dbias = conv2d_backward(dy, x, weight, stride=1, padding=0)
    >>> dx, dbias                                         # the middle pixel was in both windows: 1·10 + 5·1
    (array([[[[ 1., 15., 50.]]]]), array([6.]))
    >>> dweight                                           # 1·1 + 5·2, 1·2 + 5·3
    array([[[[11., 17.]]]])
    """
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    N, K, P, Q = dy.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
    for p in range(P):
        for q in range(Q):
            top, left = p * stride, q * stride
            window = np.s_[:, :, top : top + R, left : left + S]
            dout = dy[:, :, p, q]  # of one output number per image and filter: (N, K)
            dpadded[window] += np.einsum("nk,kcrs->ncrs", dout, weight)  # += : neighbouring windows overlap
            dweight += np.einsum("nk,ncrs->kcrs", dout, padded[window])
    dx = dpadded[:, :, padding : padding + H, padding : padding + W]
    return dx, dweight, dy.sum(axis=(0, 2, 3))


def im2col(x: Array, kernel: tuple[int, int], stride: int, padding: int) -> Array:
    """Write every window of the images as a column of numbers, so that a convolution is one matrix product.

    Formula: `columns[(c,r,s), (n,p,q)] = x[n,c,p·stride+r,q·stride+s]`, x padded with zeros. Along a column s runs
    fastest, then r, then c, as in `weight[k]`; along a row q, then p, then n.

    Args:
        x: (N, C, H, W) images.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.
        padding: Rows and columns of zeros put on each side of the images.

    Returns:
        columns, (C·R·S, N·P·Q) with `P = ⌊(H + 2·padding − R)/stride⌋ + 1`, likewise Q; in the format of x.

    Source: Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks for document processing".

    >>> x = np.array([[[[1, 2, 3], [4, 5, 6]]]])
    >>> im2col(x, kernel=(2, 2), stride=1, padding=0)   # the left window, 1 2 4 5, and the right one
    array([[1, 2],
           [2, 3],
           [4, 5],
           [5, 6]])
    """
    N, C, H, W = x.shape
    R, S = kernel
    P, Q = output_size(H, R, stride, padding), output_size(W, S, stride, padding)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    columns = np.zeros((C, R, S, N, P, Q), dtype=x.dtype)
    for p in range(P):
        for q in range(Q):
            top, left = p * stride, q * stride
            windows = padded[:, :, top : top + R, left : left + S]
            columns[:, :, :, :, p, q] = windows.transpose(1, 2, 3, 0)  # (N,C,R,S) -> (C,R,S,N)
    return columns.reshape(C * R * S, N * P * Q)


def col2im(columns: Array, x_shape: tuple[int, ...], kernel: tuple[int, int], stride: int, padding: int) -> Array:
    """Add every column onto the pixels that `im2col` took it from: the way back, for gradients.

    Formula: `dx[n,c,p·stride+r,q·stride+s] += columns[(c,r,s), (n,p,q)]`, dx padded; the padding is cut off at the end.

    Args:
        columns: (C·R·S, N·P·Q), ordered as those of `im2col`.
        x_shape: (N, C, H, W), the shape of the images.
        kernel: (R, S), rows and columns of the window.
        stride: Pixels from one window to the next.
        padding: Rows and columns of zeros that were put on each side of the images.

    Returns:
        dx, (N, C, H, W), in the format of columns.

    >>> columns = np.array([[1, 2], [10, 20]])          # two windows of two pixels: 1 10 and 2 20
    >>> col2im(columns, (1, 1, 1, 3), kernel=(1, 2), stride=1, padding=0)   # they share the pixel in the middle
    array([[[[ 1, 12, 20]]]])
    """
    N, C, H, W = x_shape
    R, S = kernel
    P, Q = output_size(H, R, stride, padding), output_size(W, S, stride, padding)
    columns = columns.reshape(C, R, S, N, P, Q)
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=columns.dtype)
    for p in range(P):
        for q in range(Q):
            top, left = p * stride, q * stride
            windows = columns[:, :, :, :, p, q].transpose(3, 0, 1, 2)  # (C,R,S,N) -> (N,C,R,S)
            padded[:, :, top : top + R, left : left + S] += windows  # += : neighbouring windows overlap
    return padded[:, :, padding : padding + H, padding : padding + W]


def conv2d_from_columns(columns: Array, weight: Array, bias: Array, out_shape: tuple[int, ...]) -> Array:
    """Convolution of images that `im2col` has written as columns: filters as rows, times columns.

    Formula: `y[k,(n,p,q)] = bias[k] + Σ_{c,r,s} weight[k,(c,r,s)]·columns[(c,r,s),(n,p,q)]`, then n before k.

    Args:
        columns: (C·R·S, N·P·Q), the windows.
        weight: (K, C, R, S), K filters.
        bias: (K,), one number per filter.
        out_shape: (N, K, P, Q), the shape of the result.

    Returns:
        y, (N, K, P, Q), in the format of columns.

    >>> columns = np.array([[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]])
    >>> weight = np.array([[[[1.0, 0.0], [0.0, 10.0]]]])
    >>> conv2d_from_columns(columns, weight, np.array([0.5]), (1, 1, 1, 2))   # 1 + 10·5 + 0.5, 2 + 10·6 + 0.5
    array([[[[51.5, 62.5]]]])
    """
    N, K, P, Q = out_shape
    y = weight.reshape(K, -1) @ columns + bias[:, None]  # (K, CRS) @ (CRS, NPQ) -> (K, NPQ)
    return y.reshape(K, N, P, Q).transpose(1, 0, 2, 3)  # (K,N,P,Q) -> (N,K,P,Q)


def conv2d_forward_im2col(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    """The same as `conv2d_forward`, as one matrix product; faster by the speed of a matrix product.

    >>> x = np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    >>> conv2d_forward_im2col(x, np.array([[[[1.0, 10.0]]]]), np.array([0.5]), stride=1, padding=0)
    array([[[[21.5, 32.5],
             [54.5, 65.5]]]])
    """
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    P, Q = output_size(H, R, stride, padding), output_size(W, S, stride, padding)
    columns = im2col(x, (R, S), stride, padding)
    return conv2d_from_columns(columns, weight, bias, (N, K, P, Q))
