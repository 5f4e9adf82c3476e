"""Convolution three ways: a sum over kernel taps (the oracle), seven loops (the definition), im2col (one product).

Shapes: x (N, C, H, W), weight (K, C/groups, R, S), y (N, K, P, Q). `window.taps(P, Q)` names each kernel tap and the
pixels of the padded image it meets.
"""

from __future__ import annotations

import itertools
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape, Window

Array = Any


@kernel("pad_forward")
def pad(x: Array, pads: tuple[tuple[int, int], ...], value: float = 0) -> Array:
    """Add `pads` (before, behind) pixels of `value` around the last axes of x."""
    if not any(map(any, pads)):
        return x
    xp = namespace(x)
    inner = x.shape[-len(pads) :]
    shape = x.shape[: -len(pads)] + tuple(n + before + behind for n, (before, behind) in zip(inner, pads))
    padded = xp.full(shape, value, dtype=x.dtype)
    padded[(..., *(slice(before, before + n) for n, (before, _) in zip(inner, pads)))] = x
    return padded


@kernel("unpad")
def unpad(x: Array, pads: tuple[tuple[int, int], ...]) -> Array:
    """Cut `pads` pixels off the last axes of x: the way back of `pad`."""
    sizes = x.shape[-len(pads) :]
    return x[(..., *(slice(before, n - behind) for n, (before, behind) in zip(sizes, pads)))]


@kernel("conv2d_forward")
def conv2d_forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """`y[n,k,p,q] = bias[k] + Σ_{c,r,s} x[n,c,p·stride+r,q·stride+s]·weight[k,c,r,s]`: a sum over kernel taps.

    For each of the R·S taps, the pixels it meets are a strided slice of the padded image, and the tap adds its
    (K, C) matrix times these pixels to every output. With groups, each group of filters sees its own channels.
    """
    xp = namespace(x)
    N, C, H, W = x.shape
    K, Cg, R, S = weight.shape
    P, Q = window.out(H, W)
    wide = accumulator(x.dtype)
    padded = pad(x, window.pads).reshape(N, groups, Cg, *_padded(window, H, W)).astype(wide, copy=False)
    filters = weight.reshape(groups, K // groups, Cg, R, S).astype(wide, copy=False)
    y = xp.zeros((N, groups, K // groups, P, Q), dtype=wide)
    for (r, s), (rows, columns) in window.taps(P, Q):
        y += xp.einsum("ngcpq,gkc->ngkpq", padded[..., rows, columns], filters[..., r, s])
    y = y.reshape(N, K, P, Q)
    if bias is not None:
        y += bias[:, None, None]
    return y.astype(x.dtype, copy=False)


@kernel("conv2d_backward")
def conv2d_backward(
    dy: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array, ...]:
    """Each tap hands `dy·weight` back to the pixels it met, and meets them again for its own gradient."""
    xp = namespace(x)
    N, C, H, W = x.shape
    K, Cg, R, S = weight.shape
    P, Q = dy.shape[2:]
    wide = accumulator(x.dtype)
    padded = pad(x, window.pads).reshape(N, groups, Cg, *_padded(window, H, W)).astype(wide, copy=False)
    filters = weight.reshape(groups, K // groups, Cg, R, S).astype(wide, copy=False)
    grouped = dy.reshape(N, groups, K // groups, P, Q).astype(wide, copy=False)
    dpadded: Array = xp.zeros_like(padded) if needs.x else None
    dweight: Array = xp.zeros_like(filters) if needs.weight else None
    for (r, s), (rows, columns) in window.taps(P, Q):
        if needs.x:  # += : neighbouring windows overlap
            dpadded[..., rows, columns] += xp.einsum("ngkpq,gkc->ngcpq", grouped, filters[..., r, s])
        if needs.weight:
            dweight[..., r, s] = xp.einsum("ngkpq,ngcpq->gkc", grouped, padded[..., rows, columns])
    dx = unpad(dpadded.reshape(N, C, *_padded(window, H, W)), window.pads).astype(x.dtype) if needs.x else None
    dweight = dweight.reshape(weight.shape).astype(weight.dtype) if needs.weight else None
    dbias = dy.sum(axis=(0, 2, 3)) if needs.bias else None
    return dx, dweight, dbias


def _padded(window: Window, H: int, W: int) -> Shape:
    return tuple(n + before + behind for n, (before, behind) in zip((H, W), window.pads))


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
    padded = xp.zeros((N, C, *_padded(window, H, W)), dtype=columns.dtype)
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
