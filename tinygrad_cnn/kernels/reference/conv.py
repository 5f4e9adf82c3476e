"""Convolution as a sum over kernel taps; by loops and by im2col it is in `tinygrad_cnn/textbook/conv.py`.

Shapes: x (N, C, H, W), weight (K, C/groups, R, S), y (N, K, P, Q). `window.taps(P, Q)` names each kernel tap and the
pixels of the padded image it meets. It is written once for lines, images and volumes: HW, RS and PQ are tuples of one,
two or three sizes.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.reference.padding import pad, unpad
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Window

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
