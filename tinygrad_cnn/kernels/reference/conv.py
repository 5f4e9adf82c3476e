"""Convolution three ways: a sum over kernel taps (the oracle), seven loops (the definition), im2col (one product).

Shapes: x (N, C, H, W), weight (K, C/groups, R, S), y (N, K, P, Q). `window.taps(P, Q)` names each kernel tap and the
pixels of the padded image it meets. The sum over taps is written once for lines, images and volumes: HW, RS and PQ are
tuples of one, two or three sizes.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.reference.padding import pad, unpad
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape, Window

Array = Any


@kernel("conv1d_forward")
@kernel("conv2d_forward")
@kernel("conv3d_forward")
def conv_forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """`y[n,k,p,q] = bias[k] + Σ_{c,r,s} x[n,c,p·stride+r,q·stride+s]·weight[k,c,r,s]`: a sum over kernel taps.

    For each of the R·S taps, the pixels it meets are a strided slice of the padded image, and the tap adds its
    (K, C) matrix times these pixels to every output. With groups, each group of filters sees its own channels.
    """
    xp = namespace(x)
    N, C, *HW = x.shape
    K = len(weight)
    PQ = window.outs(HW)
    wide = accumulator(x.dtype)
    padded = _grouped(pad(x, window.pads), groups).astype(wide, copy=False)
    y = xp.zeros((N, groups, K // groups, math.prod(PQ)), dtype=wide)
    for matrix, (_, pixels) in zip(_matrices(weight, groups, wide), window.taps(*PQ)):  # pixels: (rows, columns)
        seen = padded[(..., *pixels)].reshape(N, groups, C // groups, y.shape[3])
        y += matrix @ seen  # (g,K,C) @ (N,g,C,PQ) -> (N,g,K,PQ)
    y = y.reshape(N, K, *PQ)
    if bias is not None:
        y += bias.reshape(K, *[1] * len(PQ))
    return y.astype(x.dtype, copy=False)


@kernel("conv1d_backward")
@kernel("conv2d_backward")
@kernel("conv3d_backward")
def conv_backward(
    dy: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array, ...]:
    """Each tap hands `dy·weight` back to the pixels it met, and meets them again for its own gradient."""
    xp = namespace(dy)
    N, C, *HW = x.shape
    K, PQ = len(weight), dy.shape[2:]
    wide = accumulator(x.dtype)
    matrices = _matrices(weight, groups, wide)
    dy = dy.reshape(N, groups, K // groups, math.prod(PQ)).astype(wide, copy=False)
    dx = dweight = dbias = None
    if needs.x:
        dx = _grouped(pad(xp.zeros(x.shape, dtype=wide), window.pads), groups)
        for matrix, (_, pixels) in zip(matrices, window.taps(*PQ)):
            share = matrix.swapaxes(1, 2) @ dy  # (g,C,K) @ (N,g,K,PQ)
            dx[(..., *pixels)] += share.reshape(N, groups, C // groups, *PQ)  # += : neighbouring windows overlap
        dx = unpad(dx.reshape(N, C, *dx.shape[3:]), window.pads).astype(x.dtype)
    if needs.weight:
        padded = _grouped(pad(x, window.pads), groups).astype(wide, copy=False)
        dmatrices = xp.zeros_like(matrices)
        for dmatrix, (_, pixels) in zip(dmatrices, window.taps(*PQ)):
            seen = padded[(..., *pixels)].reshape(N, groups, C // groups, dy.shape[3])
            dmatrix += (dy @ seen.swapaxes(2, 3)).sum(axis=0)  # (N,g,K,PQ) @ (N,g,PQ,C)
        dweight = xp.moveaxis(dmatrices, 0, -1).reshape(weight.shape).astype(weight.dtype)
    if needs.bias:
        dbias = dy.sum(axis=(0, 3)).reshape(K).astype(x.dtype)
    return dx, dweight, dbias


def _grouped(x: Array, groups: int) -> Array:
    N, C, *HW = x.shape
    return x.reshape(N, groups, C // groups, *HW)


def _matrices(weight: Array, groups: int, dtype: Any) -> Array:
    """A (K, C) matrix for each tap and group: (K, C/g, R, S) -> (RS, g, K/g, C/g), each in one piece of memory."""
    K, Cg, *RS = weight.shape
    taps_last = weight.reshape(groups, K // groups, Cg, math.prod(RS))
    return namespace(weight).moveaxis(taps_last, -1, 0).astype(dtype).copy()


@kernel("conv2d_forward_loops")
def conv2d_forward_loops(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """The definition, one output number at a time: seven nested loops that hide nothing."""
    xp = namespace(x)
    N, C, H, W = x.shape
    K, Cg, R, S = weight.shape
    P, Q = window.out(H, W)
    padded = pad(x, window.pads)
    y = xp.zeros((N, K, P, Q), dtype=x.dtype)
    for n, k, p, q in itertools.product(range(N), range(K), range(P), range(Q)):
        first = k // (K // groups) * Cg  # the first channel this filter's group sees
        total = bias[k] if bias is not None else 0
        for c, r, s in itertools.product(range(Cg), range(R), range(S)):
            row = p * window.stride[0] + r * window.dilation[0]
            column = q * window.stride[1] + s * window.dilation[1]
            total = total + padded[n, first + c, row, column] * weight[k, c, r, s]
        y[n, k, p, q] = total
    return y


@kernel("im2col")
def im2col(x: Array, window: Window) -> Array:
    """Every window of x as a column: (N, C, H, W) → (C·R·S, N·P·Q), so that convolution is one matrix product."""
    xp = namespace(x)
    N, C, H, W = x.shape
    R, S = window.kernel
    P, Q = window.out(H, W)
    padded = pad(x, window.pads)
    columns = xp.empty((C, R, S, N, P, Q), dtype=x.dtype)
    for (r, s), (rows, cols) in window.taps(P, Q):
        columns[:, r, s] = padded[:, :, rows, cols].swapaxes(0, 1)  # (N,C,P,Q) -> (C,N,P,Q)
    return columns.reshape(C * R * S, N * P * Q)


@kernel("col2im")
def col2im(columns: Array, shape: Shape, window: Window) -> Array:
    """The way back of `im2col`: add every column onto the pixels it came from."""
    xp = namespace(columns)
    N, C, H, W = shape
    R, S = window.kernel
    P, Q = window.out(H, W)
    columns = columns.reshape(C, R, S, N, P, Q)
    (top, bottom), (left, right) = window.pads
    padded = xp.zeros((N, C, top + H + bottom, left + W + right), dtype=columns.dtype)
    for (r, s), (rows, cols) in window.taps(P, Q):
        padded[:, :, rows, cols] += columns[:, r, s].swapaxes(0, 1)  # (C,N,P,Q) -> (N,C,P,Q)
    return unpad(padded, window.pads)


@kernel("conv2d_forward_im2col")
def conv2d_forward_im2col(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """Convolution as one matrix product per group: `(K, C·R·S) @ (C·R·S, N·P·Q)`."""
    xp = namespace(x)
    N, C, H, W = x.shape
    K, Cg, R, S = weight.shape
    P, Q = window.out(H, W)
    columns = im2col(x, window).reshape(groups, Cg * R * S, N * P * Q)
    y = xp.matmul(weight.reshape(groups, K // groups, Cg * R * S), columns)
    y = y.reshape(K, N, P, Q).swapaxes(0, 1)  # (K,N,P,Q) -> (N,K,P,Q)
    return y if bias is None else y + bias[:, None, None]
