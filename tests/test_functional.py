"""The layers and losses: against PyTorch, against measured slopes, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from test_ops import CASES as OPS

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from conftest import OURS, flat, run_ours
from tinygrad_cnn import DtypeError, Function, ShapeError, nn, ops
from tinygrad_cnn.random import Generator


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def distinct(*shape, seed=0):
    n = int(np.prod(shape))
    return (np.random.default_rng([seed, *shape]).permutation(n) - n / 2 + 0.25).reshape(shape) * 0.1


def positive(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(0.3, 2.0, size=shape)


def conv(x, w, b=None, **settings):
    arrays = [normal(*x), normal(*w, seed=1)] + ([] if b is None else [normal(b, seed=2)])
    return (lambda m, x, w, b=None: m.F.conv2d(x, w, b, **settings)), arrays


X, W = (2, 3, 7, 5), (4, 3, 3, 2)
CONV = {
    "plain": conv(X, W, 4),
    "no bias": conv(X, W),
    "stride": conv(X, W, 4, stride=2),
    "stride per axis": conv(X, W, 4, stride=(3, 2)),
    "padding": conv(X, W, 4, padding=1),
    "padding per axis": conv(X, W, 4, padding=(2, 1)),
    "padding larger than the kernel": conv(X, W, 4, padding=5),
    "dilation": conv(X, W, 4, dilation=2),
    "dilation per axis": conv(X, W, 4, dilation=(3, 4), padding=(1, 2)),
    "everything": conv(X, W, 4, stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
    "valid": conv(X, W, 4, padding="valid", stride=2),
    "same": conv(X, (4, 3, 3, 5), 4, padding="same"),
    "same, even kernels": conv(X, (4, 3, 4, 2), 4, padding="same"),
    "same, even dilated": conv(X, (4, 3, 2, 3), None, padding="same", dilation=(3, 2)),
    "1×1": conv(X, (4, 3, 1, 1), 4),
    "1×1 strided": conv(X, (4, 3, 1, 1), None, stride=(2, 3)),
    "kernel as large as the image": conv(X, (4, 3, 7, 5), 4),
    "groups": conv((2, 4, 5, 4), (6, 2, 3, 2), 6, groups=2),
    "depthwise": conv((2, 3, 5, 4), (6, 1, 3, 2), 6, groups=3, padding=1),
    "groups and the rest": conv((1, 4, 6, 5), (4, 2, 2, 2), 4, groups=2, stride=2, padding=(1, 0), dilation=(2, 1)),
    "1×1 groups": conv((2, 4, 3, 3), (4, 2, 1, 1), None, groups=2),
    "one image": conv((3, 7, 5), W, 4, padding=1),
    "one image same": conv((1, 4, 5), (2, 1, 2, 2), None, padding="same"),
    "no images": conv((0, 3, 7, 5), W, 4),
    "one pixel": conv((1, 1, 1, 1), (1, 1, 1, 1), 1),
    "transposed images": (
        lambda m, x, w: m.F.conv2d(x.transpose(2, 3), w, padding=1),
        [normal(*X), normal(4, 3, 2, 3)],
    ),
    "channels last": (lambda m, x, w: m.F.conv2d(x.permute(0, 3, 1, 2), w), [normal(2, 6, 5, 3), normal(*W)]),
    "expanded images": (lambda m, x, w: m.F.conv2d(x.expand(3, 3, 4, 5), w), [normal(1, 3, 1, 5), normal(*W)]),
    "every second pixel": (lambda m, x, w: m.F.conv2d(x[:, :, ::2, ::2], w), [normal(2, 3, 7, 6), normal(*W)]),
    "transposed filters": (lambda m, x, w: m.F.conv2d(x, w.transpose(0, 1)), [normal(*X), normal(3, 4, 3, 2)]),
    "filters from images": (lambda m, x: m.F.conv2d(x, x[:, :, :2, :2]), [normal(2, 3, 4, 3)]),
    "gradient from an expanded sum": (lambda m, x, w: m.F.conv2d(x, w).sum((2, 3)), [normal(*X), normal(*W)]),
    "filters alone": (lambda m, w: m.F.conv2d(m.ones(1, 3, 5, 4, dtype=w.dtype), w), [normal(*W)]),
}


def slide(name, x, w, b=None, **settings):
    arrays = [normal(*x), normal(*w, seed=1)] + ([] if b is None else [normal(b, seed=2)])
    return (lambda m, x, w, b=None: getattr(m.F, name)(x, w, b, **settings)), arrays


# lines and volumes, and the way back: stride and padding, dilation and groups, same, one sample, no samples
LINE, VOLUME, SMALL = (2, 3, 8), (2, 2, 5, 4, 3), (2, 4, 3, 4)
CONV |= {
    "1d": slide("conv1d", LINE, (4, 3, 3), 4),
    "1d, stride and padding": slide("conv1d", LINE, (4, 3, 4), 4, stride=2, padding=3),
    "1d, everything": slide("conv1d", (2, 4, 9), (6, 2, 3), 6, stride=2, padding=2, dilation=3, groups=2),
    "1d, same": slide("conv1d", LINE, (4, 3, 4), None, padding="same", dilation=2),
    "1d, valid": slide("conv1d", LINE, (4, 3, 3), 4, padding="valid", stride=(3,)),
    "1d, one line": slide("conv1d", (3, 8), (4, 3, 3), 4, padding=1),
    "1d, no lines": slide("conv1d", (0, 3, 8), (4, 3, 3), 4),
    "3d": slide("conv3d", VOLUME, (3, 2, 2, 3, 1), 3),
    "3d, stride and padding": slide("conv3d", VOLUME, (3, 2, 3, 2, 2), 3, stride=(2, 1, 2), padding=(1, 0, 1)),
    "3d, everything": slide(
        "conv3d", (1, 4, 5, 4, 3), (4, 2, 2, 2, 2), 4, stride=2, padding=(2, 1, 1), dilation=(1, 2, 1), groups=2
    ),
    "3d, same": slide("conv3d", (1, 2, 3, 4, 2), (2, 2, 2, 3, 1), 2, padding="same"),
    "3d, one volume": slide("conv3d", (2, 3, 4, 3), (3, 2, 2, 1, 2), 3),
    "3d, no volumes": slide("conv3d", (0, 2, 3, 4, 3), (3, 2, 2, 1, 2), 3),
    "transposed": slide("conv_transpose2d", SMALL, (4, 3, 3, 2), 3),
    "transposed, stride": slide("conv_transpose2d", SMALL, (4, 3, 3, 2), None, stride=(2, 3)),
    "transposed, padding": slide("conv_transpose2d", SMALL, (4, 3, 3, 2), 3, stride=2, padding=(2, 1)),
    "transposed, one pixel more": slide(
        "conv_transpose2d", SMALL, (4, 3, 3, 2), 3, stride=(2, 3), padding=1, output_padding=(1, 2)
    ),
    "transposed, more than a step": slide(
        "conv_transpose2d", SMALL, (4, 2, 2, 3), 2, stride=(2, 1), dilation=3, output_padding=(2, 2), padding=(0, 1)
    ),
    "transposed, groups": slide("conv_transpose2d", SMALL, (4, 3, 2, 3), 6, stride=2, groups=2, output_padding=1),
    "transposed, gaps": slide("conv_transpose2d", SMALL, (4, 3, 1, 2), 3, stride=(3, 4)),
    "transposed, padding cuts inputs off": slide("conv_transpose2d", (1, 4, 5, 6), (4, 2, 1, 2), 2, padding=(2, 1)),
    "transposed, one image": slide("conv_transpose2d", (4, 3, 2), (4, 3, 3, 2), 3, stride=2),
    "transposed, no images": slide("conv_transpose2d", (0, 4, 3, 2), (4, 3, 3, 2), 3, stride=2),
    "transposed filters alone": (
        lambda m, w: m.F.conv_transpose2d(m.ones(1, 4, 2, 3, dtype=w.dtype), w, stride=2), [normal(4, 3, 3, 2)],
    ),
    "transposed 1d": slide(
        "conv_transpose1d", (2, 4, 5), (4, 2, 3), 4, stride=3, padding=2, output_padding=1, groups=2, dilation=2
    ),
    "transposed 1d, one line": slide("conv_transpose1d", (4, 5), (4, 2, 3), 2),
    "transposed 3d": slide(
        "conv_transpose3d", (1, 4, 2, 3, 2), (4, 2, 2, 3, 1), 4, stride=(2, 1, 3), padding=(1, 1, 0),
        output_padding=(1, 0, 2), groups=2, dilation=(1, 2, 1),
    ),
    "transposed 3d, one volume": slide("conv_transpose3d", (2, 2, 3, 2), (2, 3, 2, 1, 2), 3, stride=2),
    "there and back": (
        lambda m, x, w: m.F.conv_transpose2d(m.F.conv2d(x, w, stride=2), w, stride=2), [normal(*X), normal(*W)],
    ),
}  # fmt: skip


def resize(*shape, **settings):
    return (lambda m, x: m.F.interpolate(x, **settings)), [normal(*shape)]


PICTURE = (2, 3, 4, 5)
UPSAMPLE = {
    "nearest": resize(*PICTURE, scale_factor=2),
    "nearest 1.7": resize(*PICTURE, scale_factor=1.7),
    "nearest smaller": resize(1, 2, 7, 6, scale_factor=(0.7, 0.4)),
    "nearest size": resize(*PICTURE, size=(7, 3)),
    "nearest one size": resize(*PICTURE, size=9),
    "nearest 1d": resize(2, 3, 6, scale_factor=2.3),
    "nearest 3d": resize(1, 2, 3, 2, 4, scale_factor=(2, 3, 0.5)),
    "nearest 1.7, recomputed": resize(2, 3, 6, scale_factor=1.7, recompute_scale_factor=True),
    "linear": resize(2, 3, 6, scale_factor=1.7, mode="linear"),
    "linear, aligned": resize(2, 3, 6, scale_factor=1.7, mode="linear", align_corners=True),
    "linear smaller": resize(2, 3, 9, size=4, mode="linear", align_corners=False),
    "linear of the same size": resize(2, 3, 6, scale_factor=1.1, mode="linear"),
    "bilinear": resize(*PICTURE, scale_factor=2, mode="bilinear"),
    "bilinear 1.7": resize(*PICTURE, scale_factor=1.7, mode="bilinear", align_corners=False),
    "bilinear 1.7, recomputed": resize(
        *PICTURE, scale_factor=1.7, mode="bilinear", align_corners=False, recompute_scale_factor=True
    ),
    "bilinear, aligned": resize(*PICTURE, size=(7, 3), mode="bilinear", align_corners=True),
    "bilinear smaller": resize(1, 2, 7, 6, scale_factor=(0.7, 0.4), mode="bilinear"),
    "bilinear to one pixel": resize(*PICTURE, size=1, mode="bilinear", align_corners=True),
    "bilinear from one pixel": resize(1, 2, 1, 3, size=(3, 1), mode="bilinear"),
    "bilinear, transposed": (
        lambda m, x: m.F.interpolate(x.transpose(2, 3), scale_factor=1.5, mode="bilinear"), [normal(*PICTURE)],
    ),
    "trilinear": resize(1, 2, 3, 2, 4, scale_factor=(1.7, 2, 0.6), mode="trilinear"),
    "trilinear, aligned": resize(1, 2, 3, 2, 4, size=(2, 5, 6), mode="trilinear", align_corners=True),
}  # fmt: skip


def feature_pool(m, x, p, group, stride=None, dim=-3):
    """PyTorch has no pooling over features: there it is written with unfold."""
    if hasattr(m.F, "feature_lp_pool"):
        return m.F.feature_lp_pool(x, p, group, stride, dim)
    return x.unfold(dim, group, stride or group).pow(p).sum(-1).pow(1 / p)


def unpool(m, x, kernel, stride=None, padding=0, sizes=None):
    """Max pooling and back, with the gradient through both."""
    rank = x.ndim - 2 if x.ndim > 3 else 1
    y, places = getattr(m.F, f"max_pool{rank}d")(x, kernel, stride, padding, return_indices=True)
    return getattr(m.F, f"max_unpool{rank}d")(y * 3, places, kernel, stride, padding, sizes)


POOL = {
    "max": (lambda m, x: m.F.max_pool2d(x, 2), [distinct(2, 3, 6, 4)]),
    "max, ragged": (lambda m, x: m.F.max_pool2d(x, 2), [distinct(2, 1, 7, 5)]),
    "max, overlapping": (lambda m, x: m.F.max_pool2d(x, 3, 1), [distinct(2, 2, 5, 4)]),
    "max, kernel per axis": (lambda m, x: m.F.max_pool2d(x, (3, 2), (1, 2)), [distinct(1, 2, 5, 6)]),
    "max, padding": (lambda m, x: m.F.max_pool2d(x, 3, 2, 1), [distinct(2, 2, 5, 6)]),
    "max, padding of negatives": (lambda m, x: m.F.max_pool2d(x - 100, 3, 2, (1, 0)), [distinct(1, 2, 5, 6)]),
    "max, dilation": (lambda m, x: m.F.max_pool2d(x, 2, 1, 0, 2), [distinct(1, 2, 5, 6)]),
    "max, ceil": (lambda m, x: m.F.max_pool2d(x, 2, ceil_mode=True), [distinct(2, 1, 5, 7)]),
    "max, ceil and padding": (lambda m, x: m.F.max_pool2d(x, 3, 2, 1, ceil_mode=True), [distinct(1, 2, 6, 7)]),
    "max, ceil drops a window in the padding": (
        lambda m, x: m.F.max_pool2d(x, 2, 3, 1, ceil_mode=True), [distinct(1, 1, 5, 6)],
    ),
    "max, ceil, stride beyond": (lambda m, x: m.F.max_pool2d(x, 1, 3, ceil_mode=True), [distinct(1, 1, 5, 6)]),
    "max with indices": (
        lambda m, x: m.F.max_pool2d(x, 3, 2, 1, ceil_mode=True, return_indices=True), [distinct(2, 3, 6, 7)],
    ),
    "max with indices, dilated": (
        lambda m, x: m.F.max_pool2d(x, 2, 1, 1, 3, return_indices=True), [distinct(1, 2, 6, 7)],
    ),
    "max, one image": (lambda m, x: m.F.max_pool2d(x, 2, return_indices=True), [distinct(2, 4, 5)]),
    "max, no images": (lambda m, x: m.F.max_pool2d(x, 2), [np.zeros((0, 2, 4, 4))]),
    "max, large window": (lambda m, x: m.F.max_pool2d(x, (17, 16), return_indices=True), [distinct(1, 1, 18, 17)]),
    "max, transposed": (lambda m, x: m.F.max_pool2d(x.transpose(2, 3), (2, 1)), [distinct(2, 2, 4, 5)]),
    "avg": (lambda m, x: m.F.avg_pool2d(x, 2), [normal(2, 3, 6, 4)]),
    "avg, overlapping": (lambda m, x: m.F.avg_pool2d(x, (3, 2), 1), [normal(2, 2, 5, 4)]),
    "avg, padding counts": (lambda m, x: m.F.avg_pool2d(x, 3, 2, 1), [normal(2, 2, 5, 6)]),
    "avg, padding does not count": (
        lambda m, x: m.F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), [normal(2, 2, 5, 6)],
    ),
    "avg, ceil": (lambda m, x: m.F.avg_pool2d(x, 2, 2, 0, True), [normal(2, 1, 5, 7)]),
    "avg, ceil, padding counts": (lambda m, x: m.F.avg_pool2d(x, 3, 2, 1, True), [normal(1, 2, 6, 7)]),
    "avg, ceil, padding does not": (lambda m, x: m.F.avg_pool2d(x, 3, 2, 1, True, False), [normal(1, 2, 6, 7)]),
    "avg, ceil drops a window": (lambda m, x: m.F.avg_pool2d(x, 2, 3, 1, True), [normal(1, 1, 5, 6)]),
    "avg, divisor": (lambda m, x: m.F.avg_pool2d(x, 2, 1, 1, divisor_override=3), [normal(1, 2, 4, 5)]),
    "avg, one image": (lambda m, x: m.F.avg_pool2d(x, 2), [normal(2, 4, 5)]),
    "avg, expanded": (lambda m, x: m.F.avg_pool2d(x.expand(2, 3, 4, 5), 2), [normal(1, 3, 4, 1)]),
    "avg, ceil, larger than the image": (lambda m, x: m.F.avg_pool2d(x, 5, 3, ceil_mode=True), [normal(1, 2, 4, 3)]),
    "max, ceil, larger than the image": (lambda m, x: m.F.max_pool2d(x, 5, 3, ceil_mode=True), [distinct(1, 2, 4, 3)]),
    "max 1d": (lambda m, x: m.F.max_pool1d(x, 3, 2, 1), [distinct(2, 3, 7)]),
    "max 1d with indices": (lambda m, x: m.F.max_pool1d(x, 2, 3, 1, 2, True, True), [distinct(2, 3, 8)]),
    "max 1d, one line": (lambda m, x: m.F.max_pool1d(x, (2,), return_indices=True), [distinct(3, 7)]),
    "max 3d": (lambda m, x: m.F.max_pool3d(x, 2, (2, 1, 2), (1, 0, 1)), [distinct(2, 2, 3, 4, 3)]),
    "max 3d with indices": (
        lambda m, x: m.F.max_pool3d(x, (2, 2, 1), 2, 0, (1, 2, 1), True, True), [distinct(1, 2, 4, 5, 3)],
    ),
    "max 3d, one volume": (lambda m, x: m.F.max_pool3d(x, (1, 2, 2), return_indices=True), [distinct(2, 3, 4, 5)]),
    "avg 1d": (lambda m, x: m.F.avg_pool1d(x, 3, 2, 1, True), [normal(2, 3, 8)]),
    "avg 1d, padding does not count": (lambda m, x: m.F.avg_pool1d(x, 3, 2, 1, False, False), [normal(2, 7)]),
    "avg 3d": (lambda m, x: m.F.avg_pool3d(x, 2, (1, 2, 2), 1, True, False), [normal(1, 2, 2, 4, 3)]),
    "avg 3d, divisor": (
        lambda m, x: m.F.avg_pool3d(x, (1, 2, 3), 1, (0, 1, 1), divisor_override=-5), [normal(2, 2, 3, 4)],
    ),
    "avg, the whole image": (lambda m, x: m.F.avg_pool2d(x, (5, 3)), [normal(2, 3, 5, 3)]),
    "lp": (lambda m, x: m.F.lp_pool2d(x, 2, 2), [normal(2, 3, 6, 5)]),
    "lp, overlapping": (lambda m, x: m.F.lp_pool2d(x, 2, (3, 2), 1), [normal(2, 2, 5, 4)]),
    "lp, ceil": (lambda m, x: m.F.lp_pool2d(x, 2, 3, 2, True), [normal(1, 2, 6, 4)]),
    "lp of 1": (lambda m, x: m.F.lp_pool2d(x, 1, 2), [positive(1, 2, 4, 5)]),
    "lp of 3": (lambda m, x: m.F.lp_pool2d(x, 3, 2, ceil_mode=True), [positive(1, 2, 5, 5)]),
    "lp of 4": (lambda m, x: m.F.lp_pool2d(x, 4, 2, 1), [normal(1, 2, 4, 5)]),
    "lp of 1.5": (lambda m, x: m.F.lp_pool2d(x, 1.5, 2), [positive(1, 2, 4, 5)]),
    "lp of a half": (lambda m, x: m.F.lp_pool2d(x, 0.5, 2), [positive(1, 2, 4, 5)]),
    "lp of −2": (lambda m, x: m.F.lp_pool2d(x, -2, 2, ceil_mode=True), [positive(1, 2, 3, 5)]),
    "lp of ∞": (lambda m, x: m.F.lp_pool2d(x, float("inf"), 2), [distinct(1, 2, 4, 5)]),
    "lp of −∞": (lambda m, x: m.F.lp_pool2d(x, float("-inf"), 2, 1), [distinct(1, 2, 4, 5)]),
    "lp, one image": (lambda m, x: m.F.lp_pool2d(x, 2, 2), [normal(2, 4, 5)]),
    "lp, no images": (lambda m, x: m.F.lp_pool2d(x, 2, 2), [np.zeros((0, 2, 4, 4))]),
    "lp, the whole image": (lambda m, x: m.F.lp_pool2d(x, 2, (5, 3)), [normal(2, 3, 5, 3)]),
    "lp, transposed": (lambda m, x: m.F.lp_pool2d(x.transpose(2, 3), 2, (2, 1)), [normal(2, 2, 4, 5)]),
    "lp 1d": (lambda m, x: m.F.lp_pool1d(x, 2, 3, 2, True), [normal(2, 3, 8)]),
    "lp 1d of ∞": (lambda m, x: m.F.lp_pool1d(x, float("inf"), 3), [distinct(2, 8)]),
    "lp 3d": (lambda m, x: m.F.lp_pool3d(x, 2, 2, (1, 2, 1)), [normal(1, 2, 3, 4, 3)]),
    "features": (lambda m, x: feature_pool(m, x, 2, 2), [normal(2, 5, 2, 3)]),
    "features, overlapping": (lambda m, x: feature_pool(m, x, 2, 3, 1), [normal(2, 5, 2, 3)]),
    "features of 3": (lambda m, x: feature_pool(m, x, 3, 2), [positive(4, 2, 3)]),
    "features of vectors": (lambda m, x: feature_pool(m, x, 2, 3, 2, -1), [normal(2, 7)]),
    "features of lines": (lambda m, x: feature_pool(m, x, 2, 2, None, 1), [normal(2, 4, 3)]),
    "adaptive max": (lambda m, x: m.F.adaptive_max_pool2d(x, (3, 2), True), [distinct(2, 2, 6, 4)]),
    "adaptive max, uneven": (lambda m, x: m.F.adaptive_max_pool2d(x, (3, 4), True), [distinct(2, 2, 5, 7)]),
    "adaptive max, one axis uneven": (lambda m, x: m.F.adaptive_max_pool2d(x, (2, 3), True), [distinct(2, 6, 7)]),
    "adaptive max, more": (lambda m, x: m.F.adaptive_max_pool2d(x, (None, 7), True), [distinct(2, 3, 5)]),
    "adaptive max 1d": (lambda m, x: m.F.adaptive_max_pool1d(x, 3, True), [distinct(2, 3, 8)]),
    "adaptive max 3d": (lambda m, x: m.F.adaptive_max_pool3d(x, (2, None, 3), True), [distinct(1, 2, 3, 2, 5)]),
    "adaptive avg": (lambda m, x: m.F.adaptive_avg_pool2d(x, 2), [normal(2, 3, 4, 6)]),
    "adaptive avg, uneven": (lambda m, x: m.F.adaptive_avg_pool2d(x, (3, 4)), [normal(2, 2, 5, 7)]),
    "adaptive avg, one axis uneven": (lambda m, x: m.F.adaptive_avg_pool2d(x, (None, 3)), [normal(2, 4, 5)]),
    "adaptive avg, even and overlapping": (lambda m, x: m.F.adaptive_avg_pool2d(x, 3), [normal(2, 1, 7, 7)]),
    "adaptive avg, more": (lambda m, x: m.F.adaptive_avg_pool2d(x, (7, 1)), [normal(1, 2, 3, 4)]),
    "adaptive avg, no images": (lambda m, x: m.F.adaptive_avg_pool2d(x, (3, 1)), [np.zeros((0, 2, 4, 5))]),
    "adaptive avg 1d": (lambda m, x: m.F.adaptive_avg_pool1d(x, 3), [normal(2, 3, 8)]),
    "adaptive avg 3d": (lambda m, x: m.F.adaptive_avg_pool3d(x, (2, None, 3)), [normal(1, 2, 3, 2, 5)]),
    "global max": (lambda m, x: m.F.adaptive_max_pool2d(x, 1, True), [distinct(2, 3, 5, 4)]),
    "unpool": (lambda m, x: unpool(m, x, 2), [distinct(2, 2, 4, 6)]),
    "unpool, padding": (lambda m, x: unpool(m, x, 3, 3, 1, (2, 2, 7, 5)), [distinct(2, 2, 7, 5)]),
    "unpool, apart": (lambda m, x: unpool(m, x, (1, 2), (2, 3), 0, (5, 6)), [distinct(1, 2, 5, 6)]),
    "unpool 1d": (lambda m, x: unpool(m, x, 2, 2, 0, (7,)), [distinct(2, 3, 7)]),
    "unpool 3d": (lambda m, x: unpool(m, x, 2), [distinct(1, 2, 2, 4, 2)]),
    "unpool, one image": (
        lambda m, x, i: m.F.max_unpool2d(x, i, 2), [normal(2, 1, 2), np.array([[[1, 4]], [[5, 6]]])],
    ),
}  # fmt: skip


def norm(x, *rest, training=True, **settings):
    """Batch norm with running statistics, which come back among the results."""

    def case(m, x, *parameters):
        weight, bias = (*parameters, None, None)[:2]
        C = x.shape[1]
        mean = m.linspace(-1, 1, C, dtype=x.dtype)
        var = m.linspace(0.5, 2, C, dtype=x.dtype)
        y = m.F.batch_norm(x, mean, var, weight, bias, training, **settings)
        return y, mean, var

    return case, [normal(*x) * 2 + 1, *rest]


NORM = {
    "1d": norm((5, 3), positive(3), normal(3)),
    "1d with positions": norm((4, 3, 5), positive(3), normal(3)),
    "2d": norm((3, 4, 3, 2), positive(4), normal(4)),
    "2d without weight": norm((3, 4, 3, 2)),
    "weight alone": norm((4, 3, 2, 2), positive(3)),
    "momentum": norm((3, 2, 3, 2), positive(2), normal(2), momentum=0.7, eps=1e-3),
    "momentum 0": norm((3, 2, 3, 2), momentum=0.0),
    "momentum 1": norm((3, 2, 3, 2), momentum=1.0),
    "one image": norm((1, 2, 3, 2), positive(2), normal(2)),
    "eval 1d": norm((5, 3), positive(3), normal(3), training=False),
    "eval 2d": norm((3, 4, 3, 2), positive(4), normal(4), training=False, eps=1e-2),
    "eval without weight": norm((3, 4, 3, 2), training=False),
    "eval one": norm((1, 4), positive(4), normal(4), training=False),
    "without running statistics": (lambda m, x: m.F.batch_norm(x, None, None, training=True), [normal(4, 3)]),
    "bias alone": (lambda m, x, b: m.F.batch_norm(x, None, None, None, b, training=True), [normal(4, 3), normal(3)]),
    "transposed": (lambda m, x: m.F.batch_norm(x.transpose(0, 1), None, None, training=True), [normal(4, 3, 2)]),
}


def instance(x, *parameters, use=True, **settings):
    """Instance norm with running statistics, which come back among the results."""

    def case(m, x, *parameters):
        C = x.shape[1]
        mean, var = m.linspace(-1, 1, C, dtype=x.dtype), m.linspace(0.5, 2, C, dtype=x.dtype)
        weight, bias = (*parameters, None, None)[:2]
        return m.F.instance_norm(x, mean, var, weight, bias, use, **settings), mean, var

    return case, [normal(*x) * 2 + 1, *parameters]


def response(*shape, **settings):
    return (lambda m, x: m.F.local_response_norm(x, **settings)), [normal(*shape)]


STRONG = {"alpha": 0.7, "beta": 0.6, "k": 1.5}
NORM |= {
    "3d": norm((3, 2, 3, 2, 2), positive(2), normal(2)),
    "no samples": (lambda m, x: m.F.batch_norm(x, None, None, training=True), [normal(0, 3, 2)]),
    "instance": instance((3, 4, 5), positive(4), normal(4)),
    "instance 2d": instance((2, 3, 4, 3), momentum=0.4, eps=1e-2),
    "instance 3d": instance((2, 3, 2, 3, 2), positive(3), normal(3)),
    "instance with running statistics": instance((2, 3, 4, 3), positive(3), normal(3), use=False),
    "instance alone": (lambda m, x, w: m.F.instance_norm(x, weight=w), [normal(3, 2, 4), positive(2)]),
    "group": (lambda m, x, w, b: m.F.group_norm(x, 2, w, b), [normal(3, 6, 4, 2) + 3, positive(6), normal(6)]),
    "group of all": (lambda m, x: m.F.group_norm(x, 1, eps=1e-2), [normal(3, 4, 5)]),
    "groups of one": (lambda m, x, w: m.F.group_norm(x, 3, w), [normal(2, 3, 5), positive(3)]),
    "group vectors": (lambda m, x, w: m.F.group_norm(x, 2, w), [normal(4, 6), positive(6)]),
    "group no samples": (lambda m, x: m.F.group_norm(x, 2), [normal(0, 4, 3)]),
    "layer": (lambda m, x, w, b: m.F.layer_norm(x, (5,), w, b), [normal(3, 4, 5) + 3, positive(5), normal(5)]),
    "layer of three": (lambda m, x, w: m.F.layer_norm(x, (3, 2, 4), w), [normal(2, 3, 2, 4), positive(3, 2, 4)]),
    "layer of all": (lambda m, x, b: m.F.layer_norm(x, (3, 4), bias=b, eps=1e-2), [normal(3, 4), normal(3, 4, seed=1)]),
    "layer transposed": (lambda m, x: m.F.layer_norm(x.transpose(0, 2), [3, 2]), [normal(2, 3, 4)]),
    "layer no samples": (lambda m, x, w: m.F.layer_norm(x, (3,), w), [normal(0, 3), positive(3)]),
    "local response": response(2, 7, 3, 4, size=5, **STRONG),
    "local response even": response(2, 5, 3, 2, size=4, **STRONG),
    "local response of two": response(1, 3, 4, size=2, alpha=2.0, k=0.5),
    "local response of one": response(2, 3, 4, size=1, alpha=2.0),
    "local response beyond": response(2, 3, 2, 2, size=11, **STRONG),
    "local response 3d": response(1, 4, 2, 3, 2, size=3, alpha=2.0),
    "local response defaults": response(2, 6, 3, 3, size=5),
    "local response no samples": response(0, 4, 3, size=3),
}  # fmt: skip

ACTIVATION = {
    "prelu": (lambda m, x, w: m.F.prelu(x, w), [normal(3, 4), normal(1)]),
    "prelu channels": (lambda m, x, w: m.F.prelu(x, w), [normal(3, 4, 2, 5), normal(4)]),
    "prelu vectors": (lambda m, x, w: m.F.prelu(x, w), [normal(3, 4), normal(4)]),
    "prelu 0-d": (lambda m, x, w: m.F.prelu(x, w), [np.array(-2.0), normal(1)]),
    "elu": (lambda m, x: m.F.elu(x) + m.F.elu(x, 0.3), [normal(3, 4)]),
    "elu negative": (lambda m, x: m.F.elu(x, alpha=-0.7), [normal(3, 4)]),
    "selu": (lambda m, x: m.F.selu(x), [normal(3, 4)]),
    "gelu": (lambda m, x: m.F.gelu(x), [normal(3, 4) * 3]),
    "gelu tanh": (lambda m, x: m.F.gelu(x, approximate="tanh"), [normal(3, 4) * 3]),
    "silu": (lambda m, x: m.F.silu(x), [normal(3, 4) * 3]),
    "hardtanh": (lambda m, x: m.F.hardtanh(x) + m.F.hardtanh(x, -0.3, 2.0), [normal(3, 4) * 2]),
    "relu6": (lambda m, x: m.F.relu6(x), [normal(3, 4) * 8]),
    "softplus": (lambda m, x: m.F.softplus(x, 0.5, 3.0), [normal(3, 4) * 9]),
    "logsigmoid": (lambda m, x: m.F.logsigmoid(x), [normal(3, 4) * 9]),
    "inplace": (lambda m, x: m.F.elu(x * 1, inplace=True) + m.F.selu(x * 2, True) + m.F.silu(x * 3, True)
                + m.F.hardtanh(x * 4, inplace=True) + m.F.relu6(x * 5, True), [normal(3, 4)]),
    "transposed": (lambda m, x: m.F.gelu(x.T) + m.F.silu(x[:, ::2]).sum(), [normal(3, 4)]),
    "nothing": (lambda m, x, w: m.F.gelu(x) + m.F.elu(x) + m.F.prelu(x, w), [normal(0, 4), normal(4)]),
}  # fmt: skip

TARGET = np.array([2, 0, 3, 1, 2])
PLANES = np.random.default_rng(5).integers(0, 4, (2, 3, 2))
CLASS_WEIGHT = np.array([0.5, 2.0, 1.0, 0.25])


def detached(case):
    """Targets and class weights are plain numbers: their gradient is not PyTorch's business either."""

    def plain(m, x, *rest):
        return case(m, x, *(r.detach() for r in rest))

    plain.only_first = True
    return plain


def _losses():
    cases = {}
    for reduction in ("mean", "sum", "none"):
        for name in ("cross_entropy", "nll_loss"):
            call = lambda m, x, t, w=None, name=name, r=reduction, **k: getattr(m.F, name)(x, t, w, reduction=r, **k)  # noqa: E731
            cases[f"{name} {reduction}"] = (call, [normal(5, 4), TARGET])
            cases[f"{name} {reduction} weight"] = (detached(call), [normal(5, 4), TARGET, CLASS_WEIGHT])
            cases[f"{name} {reduction} planes"] = (detached(call), [normal(2, 4, 3, 2), PLANES, CLASS_WEIGHT])
            cases[f"{name} {reduction} ignore"] = (
                lambda m, x, t, call=call: call(m, x, t, ignore_index=2),
                [normal(5, 4), TARGET],
            )
            cases[f"{name} {reduction} ignore −100 and weight"] = (
                detached(call),
                [normal(5, 4), np.array([2, -100, 3, -100, 0]), CLASS_WEIGHT],
            )
            cases[f"{name} {reduction} one sample"] = (call, [normal(4), np.array(2)])
        smooth = {
            "smooth": ({"label_smoothing": 0.2}, [TARGET]),
            "smooth weight": ({"label_smoothing": 0.2}, [TARGET, CLASS_WEIGHT]),
            "smooth all": ({"label_smoothing": 1.0}, [TARGET]),
            "smooth ignore weight": ({"label_smoothing": 0.1, "ignore_index": 3}, [TARGET, CLASS_WEIGHT]),
            "probabilities": ({}, [positive(5, 4) / 4]),
            "probabilities smooth weight": ({"label_smoothing": 0.3}, [positive(5, 4) / 4, CLASS_WEIGHT]),
        }
        for name, (settings, arrays) in smooth.items():
            cases[f"cross_entropy {reduction} {name}"] = (
                detached(lambda m, x, *rest, k=settings, r=reduction: m.F.cross_entropy(x, *rest, reduction=r, **k)),
                [normal(5, 4), *arrays],
            )
        cases[f"probabilities planes {reduction}"] = (
            detached(lambda m, x, t, r=reduction: m.F.cross_entropy(x, t, reduction=r)),
            [normal(2, 4, 3), positive(2, 4, 3)],
        )
        cases[f"probabilities one sample {reduction}"] = (
            detached(lambda m, x, t, r=reduction: m.F.cross_entropy(x, t, reduction=r)),
            [normal(4), positive(4)],
        )
        cases[f"mse {reduction}"] = (
            lambda m, x, t, r=reduction: m.F.mse_loss(x, t, reduction=r),
            [normal(3, 2), normal(3, 2, seed=1)],
        )
        cases[f"bce {reduction}"] = (
            detached(lambda m, x, t, r=reduction: m.F.binary_cross_entropy_with_logits(x, t, reduction=r)),
            [normal(3, 2) * 3, np.array([[0.0, 1], [1, 0.3], [0.5, 0]])],
        )
        cases[f"bce weights {reduction}"] = (
            detached(
                lambda m, x, t, w, p, r=reduction: m.F.binary_cross_entropy_with_logits(
                    x, t, w, reduction=r, pos_weight=p
                )
            ),
            [normal(3, 2), np.array([[0.0, 1], [1, 0.3], [0.5, 0]]), positive(3, 1), positive(2)],
        )
    cases["gradient into probabilities"] = (lambda m, x, t: m.F.cross_entropy(x, t), [normal(5, 4), positive(5, 4)])
    cases["everything ignored but one"] = (
        lambda m, x, t: m.F.cross_entropy(x, t),
        [normal(3, 4), np.array([-100, 1, -100])],
    )
    return cases


CASES = {
    f"{group}: {name}": case
    for group, cases in {
        "conv": CONV,
        "upsample": UPSAMPLE,
        "pool": POOL,
        "norm": NORM,
        "activation": ACTIVATION,
        "loss": _losses(),
    }.items()
    for name, case in cases.items()
}
every_case = pytest.mark.parametrize(("case", "arrays"), CASES.values(), ids=CASES.keys())


def in_format(arrays, dtype):
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


@every_case
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_against_torch(against_torch, case, arrays, dtype):
    against_torch(case, *in_format(arrays, dtype))


HALF = [
    "conv: everything", "conv: groups", "conv: 1d, everything", "conv: 3d", "conv: transposed, padding",
    "conv: transposed 3d", "upsample: nearest 1.7", "upsample: bilinear",
    "pool: max, padding", "pool: avg, padding counts",
    "pool: max 3d", "pool: avg 1d", "pool: lp, ceil", "pool: lp of 3", "pool: adaptive avg, uneven", "pool: features",
    "norm: 2d", "norm: eval 2d",
    "norm: instance", "norm: group", "norm: layer", "activation: prelu channels",
    "activation: elu", "activation: selu", "activation: gelu", "activation: gelu tanh", "activation: silu",
    "activation: hardtanh", "activation: softplus", "activation: logsigmoid",
    "loss: cross_entropy mean weight", "loss: bce mean",
]  # fmt: skip


@pytest.mark.parametrize("name", HALF)
def test_half_precision_against_torch(against_torch, name):
    case, arrays = CASES[name]
    against_torch(case, *in_format(arrays, "float16"), rtol=2e-2, atol=2e-2)


@every_case
def test_slopes(case, arrays):
    wanted = [a.dtype.kind == "f" and not (i and hasattr(case, "only_first")) for i, a in enumerate(arrays)]
    inputs = [tcnn.Tensor(a, requires_grad=want) for a, want in zip(arrays, wanted)]
    outputs = flat(case(OURS, *inputs))
    if outputs[0].requires_grad and outputs[0].numel() and max(a.size for a in arrays) < 250:
        assert tcnn.gradcheck(lambda *tensors: flat(case(OURS, *tensors))[0], inputs)


@every_case
def test_gradients_keep_the_format_and_inputs_stay(case, arrays):
    tensors, _, _, grads = run_ours(case, in_format(arrays, "float16"))
    for tensor, gradient in zip([t for t in tensors if t.requires_grad], grads, strict=True):
        assert gradient is None or (gradient.dtype, gradient.shape) == (np.float16, tensor.shape)


def test_every_operation_has_a_case():
    """An operation that is added without a comparison is found here."""
    compared = set()
    for case, arrays in [*CASES.values(), *OPS.values()]:
        stack = [o.node for o in run_ours(case, in_format(arrays, "float32"))[1]]
        while stack:
            node = stack.pop()
            if node is not None:
                compared.add(type(node).__name__)
                stack.extend(node.parents)
    kinds = {kind for kind in vars(ops).values() if isinstance(kind, type) and issubclass(kind, Function)}
    bases = {base for kind in kinds for base in kind.__mro__[1:]} - {ops.reduce.Amax, ops.reduce.Var}
    elsewhere = {"Dropout", "Transfer"}  # dropout below; a transfer needs a second device
    assert {kind.__name__ for kind in kinds - bases} - compared == elsewhere


# ---- pools: ties, infinities, NaN


@pytest.mark.parametrize(
    "plane",
    [
        [[1.0, 1, 2, 2], [1, 1, 2, 2], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[-np.inf, -np.inf, 1, 2], [-np.inf, -np.inf, 3, 4], [-np.inf, 0, np.inf, 1], [5, 6, 7, 8]],
        [[np.nan, 1, 2, 3], [4, 5, 6, np.nan], [1, 1, np.inf, np.nan], [1, 1, 1, np.nan]],
    ],
    ids=["ties", "infinite", "NaN"],
)
@pytest.mark.parametrize("settings", [(2,), (3, 1, 1), (2, 1, 1, 2), (3, 2, 1, 1, True)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_winner_is_torchs(against_torch, plane, settings, dtype):
    x = np.array([[plane, np.rot90(plane).tolist()]], dtype)
    against_torch(lambda m, x: m.F.max_pool2d(x, *settings, return_indices=True), x)


@pytest.mark.parametrize("settings", [(2,), (2, 1)], ids=["apart", "overlapping"])
def test_an_infinite_gradient_stays_where_it_belongs(settings):
    x = tcnn.tensor([[[[4.0, 0.0], [0.0, 0.0]]]], requires_grad=True)
    F.max_pool2d(x, *settings).backward([[[[np.inf]]]])
    assert x.grad.tolist() == [[[[np.inf, 0.0], [0.0, 0.0]]]]


def test_whole_numbers_can_be_max_pooled():
    x = tcnn.tensor(np.arange(16).reshape(1, 1, 4, 4))
    y = F.max_pool2d(x, 2, padding=1)
    assert (y.dtype, y.tolist()) == (tcnn.int64, [[[[0, 2, 3], [8, 10, 11], [12, 14, 15]]]])


# ---- dropout


def test_dropout_keeps_the_mean_and_drops_the_share():
    x = tcnn.ones(200, 300, dtype="float64")
    y = F.dropout(x, 0.3).numpy()
    assert set(np.unique(y).round(9)) == {0.0, round(1 / 0.7, 9)}
    assert abs((y == 0).mean() - 0.3) < 0.01
    assert abs(y.mean() - 1) < 0.01
    assert abs(np.corrcoef(y[0], y[1])[0, 1]) < 0.2


def test_dropout_draws_the_same_mask_in_backward():
    x = tcnn.ones(50, 7, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.backward(np.full((50, 7), 3.0), retain_graph=True)
    np.testing.assert_array_equal(x.grad, 3 * y.numpy())
    F.dropout(x, 0.5)  # other draws in between change nothing
    x.zero_grad()
    y.backward(np.full((50, 7), 3.0))
    np.testing.assert_array_equal(x.grad, 3 * y.numpy())


def test_dropout_is_reproducible_and_new_each_time():
    x = tcnn.ones(40)
    first, second = F.dropout(x, generator=Generator(3)), F.dropout(x, generator=Generator(3))
    assert first.tolist() == second.tolist()
    g = Generator(3)
    assert F.dropout(x, generator=g).tolist() != F.dropout(x, generator=g).tolist()
    assert g.offset == 2
    tcnn.manual_seed(5)
    a = F.dropout(x).tolist()
    tcnn.manual_seed(5)
    assert F.dropout(x).tolist() == a


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dropout_at_the_ends(dtype):
    x = tcnn.Tensor([1.0, 2.0, 3.0], dtype=dtype, requires_grad=True)
    assert F.dropout(x, 0.0).tolist() == [1.0, 2.0, 3.0]
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert (y.tolist(), y.dtype, x.grad.tolist()) == ([0.0] * 3, dtype, [0.0] * 3)
    assert F.dropout(x, 0.9, training=False) is x
    assert F.dropout(tcnn.zeros(0, 3), 0.5).shape == (0, 3)
    for p in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            F.dropout(x, p)


def test_dropout_on_views():
    x = tcnn.randn(6, 4)
    seed = Generator(9)
    plain = F.dropout(x.T.contiguous(), generator=Generator(9))
    assert F.dropout(x.T, generator=seed).tolist() == plain.tolist()


# ---- by hand


def test_batch_norm_by_hand():
    x = tcnn.tensor([[1.0, 10.0], [3.0, 30.0]])
    mean, var = tcnn.zeros(2), tcnn.ones(2)
    y = F.batch_norm(x, mean, var, training=True, momentum=0.1, eps=0.0)
    assert y.tolist() == [[-1.0, -1.0], [1.0, 1.0]]
    np.testing.assert_allclose(mean.numpy(), [0.2, 2.0], rtol=1e-6)
    np.testing.assert_allclose(var.numpy(), [0.9 + 0.1 * 2, 0.9 + 0.1 * 200], rtol=1e-6)  # unbiased


def test_linear_and_conv_by_hand():
    assert F.linear(tcnn.tensor([1.0, 2.0]), tcnn.tensor([[3.0, 4.0]]), tcnn.tensor([0.5])).tolist() == [11.5]
    x = tcnn.tensor(np.arange(9.0).reshape(1, 1, 3, 3))
    w = tcnn.tensor([[[[1.0, -1.0]]]], dtype="float64")
    assert F.conv2d(x, w).tolist() == [[[[-1.0, -1.0]] * 3]]


def test_one_hot_as_torch(torch):
    labels = np.array([[0, 2], [1, 0]])
    for classes in (-1, 3, 5):
        ours, theirs = (
            F.one_hot(tcnn.tensor(labels), classes),
            torch.nn.functional.one_hot(torch.tensor(labels), classes),
        )
        assert ours.tolist() == theirs.tolist()
        assert ours.dtype == tcnn.int64


def test_losses_take_small_integer_targets():
    x = tcnn.randn(3, 4)
    for dtype in ("uint8", "int8", "int32", "int64"):
        t = tcnn.tensor([1, 3, 0], dtype=dtype)
        assert F.cross_entropy(x, t, weight=tcnn.tensor(CLASS_WEIGHT, dtype="float32")).shape == ()


def test_everything_ignored_is_not_a_number():
    with np.errstate(invalid="ignore"):
        assert F.cross_entropy(tcnn.randn(2, 3), tcnn.tensor([-100, -100])).isnan().item()
    assert F.cross_entropy(tcnn.randn(2, 3), tcnn.tensor([-100, -100]), reduction="sum").item() == 0


# ---- mistakes

Z = tcnn.zeros


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: F.conv2d(Z(2, 1, 7, 6), Z(4, 3, 3, 3)), r"conv2d: weight \(4, 3, 3, 3\) wants C=3.*, x .* has 1"),
        (lambda: F.conv2d(Z(7, 6), Z(4, 3, 3, 3)), r"conv2d: x must have 4 dimensions \(N, C, H, W\).*x\[None\]"),
        (lambda: F.conv2d(Z(2, 3, 7, 6), Z(4, 3, 3, 3), Z(5)), r"conv2d: bias \(5,\) wants K=5"),
        (
            lambda: F.conv2d(Z(2, 3, 2, 2), Z(4, 3, 3, 3)),
            r"conv2d: x .*kernel \(3, 3\): a kernel spanning 3 pixels does not fit into 2: \(2 − 3\)/1 \+ 1 = 0,",
        ),
        (lambda: F.conv1d(Z(2, 1, 7), Z(4, 3, 3)), r"conv1d: weight \(4, 3, 3\) wants C=3.*, x .* has 1"),
        (lambda: F.conv1d(Z(2, 3, 7, 6), Z(4, 3, 3)), r"conv1d: x must have 3 dimensions \(N, C, L\).*x\[None\]"),
        (lambda: F.conv1d(Z(3, 4), Z(4, 3, 3), padding=1, dilation=4), "conv1d: .*spanning 9 pixels .* into 4 and 1"),
        (lambda: F.conv1d(Z(3, 4), Z(4, 3, 3, 1)), r"conv1d: weight must have 3 dimensions \(K, C/groups, S\)"),
        (lambda: F.conv3d(Z(2, 3, 7), Z(4, 3, 3, 3, 3)), r"conv3d: x must have 5 dimensions \(N, C, Z, H, W\)"),
        (lambda: F.conv3d(Z(2, 3, 2, 4, 4), Z(4, 3, 3, 3, 3)), "conv3d: x .*spanning 3 pixels does not fit into 2"),
        (lambda: F.conv_transpose2d(Z(2, 3, 4, 4), Z(4, 3, 3, 3)), r"conv_transpose2d: weight .* wants C=4 .* has 3"),
        (lambda: F.conv_transpose2d(Z(2, 4, 4, 4), Z(4, 3, 3, 3), Z(4)), r"conv_transpose2d: bias \(4,\) wants K=4"),
        (lambda: F.conv_transpose2d(Z(2, 4, 4), Z(3, 4, 3, 3), groups=2), r"conv_transpose2d: .* wants C=3"),
        (lambda: F.conv_transpose2d(Z(3, 4, 4), Z(3, 4, 3, 3), groups=2), "3 input and 8 output channels .* groups=2"),
        (
            lambda: F.conv_transpose1d(Z(3, 4), Z(3, 4, 3), stride=2, output_padding=2),
            "conv_transpose1d: x .*output_padding 2 must be .* less than stride 2 or dilation 1",
        ),
        (lambda: F.conv_transpose1d(Z(3, 4), Z(3, 4, 3), output_padding=-1), "output_padding -1 must be at least 0"),
        (
            lambda: F.conv_transpose1d(Z(3, 1), Z(3, 4, 3), padding=2),
            r"conv_transpose1d: x .*: \(1 − 1\)·1 − 2 − 2 \+ 3 \+ 0 = -1 pixels would be left; use less padding",
        ),
        (lambda: F.conv_transpose2d(Z(3, 4, 4), Z(3, 4, 3, 3), padding="same"), "padding='same' must be whole numbers"),
        (lambda: F.interpolate(Z(2, 3, 4), 5, mode="bilinear"), r"interpolate: mode='bilinear' does not fit 1 axes"),
        (lambda: F.interpolate(Z(3, 4), 5), "interpolate: mode='nearest' does not fit 0 axes"),
        (lambda: F.interpolate(Z(2, 3, 4), 5, mode="bicubic"), "mode='bicubic' is not known; the modes are nearest"),
        (lambda: F.interpolate(Z(2, 3, 4)), "give size=… or scale_factor=…, one of the two"),
        (lambda: F.interpolate(Z(2, 3, 4), 5, 2.0), "one of the two"),
        (lambda: F.interpolate(Z(2, 3, 4, 4), (5,)), r"\(5,\) must be one number, or 2"),
        (lambda: F.interpolate(Z(2, 3, 4), scale_factor=0.2), r"sizes \(4,\) would become \(0,\)"),
        (lambda: F.interpolate(Z(2, 3, 4), 5, align_corners=True), "align_corners is for the linear modes"),
        (lambda: F.interpolate(Z(2, 3, 4).long(), 5, mode="linear"), r"interpolate: needs floating-point.*\.float\(\)"),
        (lambda: F.conv2d(Z(2, 3, 7, 6), Z(4, 3, 3, 3), stride=0), "stride=.*at least 1"),
        (lambda: F.conv2d(Z(2, 3, 7, 6), Z(4, 3, 3, 3), padding=-1), "padding=.*at least 0"),
        (lambda: F.conv2d(Z(2, 3, 7, 6), Z(4, 3, 3, 3), padding="full"), '"valid", "same"'),
        (lambda: F.conv2d(Z(2, 3, 7, 6), Z(4, 3, 3, 3), padding="same", stride=2), "needs stride 1"),
        (lambda: F.conv2d(Z(2, 3, 7, 6), Z(4, 3, 3, 3), stride=(1, 2, 3)), r"conv2d: stride=\(1, 2, 3\) .* 2, one for"),
        (lambda: F.conv2d(Z(2, 4, 7, 6), Z(3, 2, 3, 3), groups=2), "cannot be cut into groups=2"),
        (lambda: F.conv2d(Z(2, 4, 7, 6), Z(4, 4, 3, 3), groups=2), "conv2d: weight .* wants C=8 = 4·2 groups"),
        (lambda: F.max_pool2d(Z(2, 3), 2), "max_pool2d: x must have 4 dimensions"),
        (lambda: F.max_pool2d(Z(1, 1, 4, 4), 2, padding=2), "padding 2 is more than half of the kernel"),
        (lambda: F.max_pool1d(Z(1, 1, 4), 2, padding=2, dilation=3), "padding 2 is more than half of the kernel"),
        (lambda: F.avg_pool2d(Z(1, 1, 1, 4), 2), "kernel spanning 2 pixels does not fit"),
        (lambda: F.max_pool1d(Z(2, 3, 4, 5), 2), r"max_pool1d: x .* 3 dimensions \(N, C, L\), it has 4.*x\[None\]"),
        (lambda: F.max_pool3d(Z(2, 3, 4), 2), r"max_pool3d: x must have 5 dimensions \(N, C, Z, H, W\)"),
        (lambda: F.max_pool2d(Z(1, 1, 4, 4), (1, 2, 3)), r"max_pool2d: kernel_size=\(1, 2, 3\) .*, or 2"),
        (lambda: F.avg_pool2d(Z(1, 1, 4, 4), 2, divisor_override=0), "avg_pool2d: divisor_override=0: nothing can be"),
        (lambda: F.avg_pool3d(Z(1, 4, 4, 4), 2, divisor_override=0), "avg_pool3d: divisor_override=0"),
        (lambda: F.lp_pool2d(Z(1, 1, 4, 4), 0, 2), "lp_pool2d: norm_type=0: there is no root of this degree; 2 gives"),
        (lambda: F.lp_pool1d(Z(1, 1, 4), float("nan"), 2), "lp_pool1d: norm_type=nan"),
        (lambda: F.lp_pool1d(Z(1, 1, 4), 2, 5), "lp_pool1d: x .* kernel spanning 5 pixels does not fit into 4"),
        (lambda: F.lp_pool2d(Z(1, 1, 4, 4).long(), 2, 2), r"lp_pool2d: needs floating-point numbers.*\.float\(\)"),
        (lambda: F.feature_lp_pool(Z(1, 3, 4, 4), 2, 4), r"feature_lp_pool: x .* has 3 channels .* fewer than .*=4"),
        (lambda: F.feature_lp_pool(Z(3), 2, 2), "feature_lp_pool: there is no dimension -3 in a tensor with 1"),
        (lambda: F.feature_lp_pool(Z(3, 4, 4), float("inf"), 2), "feature_lp_pool: norm_type=inf must be finite"),
        (lambda: F.feature_lp_pool(Z(3, 4, 4), 2, 2, 0), "stride=.* must be at least 1"),
        (lambda: F.adaptive_avg_pool2d(Z(1, 1, 4, 4), (2, 2, 2)), r"adaptive_avg_pool2d: output_size=\(2, 2, 2\)"),
        (lambda: F.adaptive_max_pool1d(Z(1, 1, 4), 0), "adaptive_max_pool1d: output_size=0 must be .* at least 1"),
        (lambda: F.adaptive_avg_pool2d(Z(1, 1, 0, 4), 2), r"adaptive_avg_pool2d: x \(1, 1, 0, 4\) .* not 0"),
        (lambda: F.adaptive_max_pool3d(Z(1, 1, 4), 2), r"adaptive_max_pool3d: x \(1, 1, 4\) must be"),
        (lambda: F.max_unpool2d(Z(1, 1, 2, 2), Z(1, 1, 2, 3).long(), 2), r"x \(1, 1, 2, 2\) and indices .* be equal"),
        (lambda: F.max_unpool1d(Z(1, 2), Z(1, 2), 2), r"max_unpool1d: indices are float32.*\.long\(\)"),
        (lambda: F.max_unpool2d(Z(1, 2), Z(1, 2).long(), 2), "max_unpool2d: .* with 3 or 4 dimensions"),
        (lambda: F.max_unpool1d(Z(1, 2), tcnn.tensor([[0, 4]]), 2), r"indices 0\.\.4 must lie in 0\.\.3, .* of 4"),
        (lambda: F.max_unpool2d(Z(1, 1, 2), tcnn.tensor([[[-1, 4]]]), 2), r"-1\.\.4 must lie in 0\.\.7, .* of 2×4"),
        (
            lambda: F.max_unpool1d(Z(1, 2), tcnn.tensor([[0, 2]]), 2, output_size=(6,)),
            r"output_size=\(6,\) does not belong to x \(1, 2\): .* less than a stride \(2,\) away from \(4,\)",
        ),
        (lambda: F.linear(Z(2, 5), Z(4, 3)), r"linear: weight \(4, 3\) wants F=3.*x \(2, 5\) has 5; flatten x"),
        (lambda: F.linear(Z(2, 3), Z(4, 3), Z(3)), r"linear: bias \(3,\) wants D=3"),
        (lambda: F.batch_norm(Z(1, 3), training=True), "one value per channel"),
        (lambda: F.batch_norm(Z(3), training=True), "batch_norm: x must have at least 2 dimensions"),
        (lambda: F.batch_norm(Z(2, 3)), "needs running_mean and running_var"),
        (lambda: F.batch_norm(Z(2, 3), Z(4), Z(4)), r"batch_norm: running_mean \(4,\).*x \(2, 3\)"),
        (lambda: F.batch_norm(Z(2, 3), Z(1), Z(1)), r"batch_norm: running_mean \(1,\)"),
        (lambda: F.batch_norm(Z(2, 1), Z(4), Z(4)), r"batch_norm: running_mean \(4,\)"),
        (lambda: F.batch_norm(Z(2, 3), Z(3), Z(4), training=True), r"batch_norm: running_var \(4,\)"),
        (lambda: F.batch_norm(Z(2, 3), Z(3), Z(3), Z(2)), r"batch_norm: weight \(2,\)"),
        (lambda: F.batch_norm(Z(2, 3), None, None, Z(2), training=True), r"batch_norm: .*weight \(2,\)"),
        (lambda: F.batch_norm(Z(3), Z(3), Z(3)), r"batch_norm: running_mean \(3,\).* x \(3,\)"),
        (lambda: F.cross_entropy(Z(2, 3), tcnn.tensor([0, 3])), r"target 3 at position \(1,\).*C=3.*0\.\.2"),
        (lambda: F.cross_entropy(Z(2, 3), tcnn.tensor([-1, 0])), r"target -1 at position \(0,\)"),
        (lambda: F.cross_entropy(Z(2, 3), tcnn.tensor([0, 1, 2])), r"target.*\(2,\).*it has shape \(3,\)"),
        (lambda: F.cross_entropy(Z(2, 3), tcnn.tensor([[0], [1]])), r"it has shape \(2, 1\)"),
        (lambda: F.cross_entropy(Z(2, 3), tcnn.tensor([0.0, 1.0])), r"must have the logits' shape.*\.long\(\)"),
        (lambda: F.cross_entropy(Z(2, 3), tcnn.tensor([0, 1]), Z(2)), r"weight \(2,\) wants one entry per class.*3"),
        (lambda: F.cross_entropy(Z(2, 3), tcnn.tensor([0, 1]), reduction="avg"), 'reduction=\'avg\' must be "mean"'),
        (lambda: F.cross_entropy(Z(2, 3), tcnn.tensor([0, 1]), label_smoothing=2), "label_smoothing=2 must lie"),
        (lambda: F.nll_loss(Z(2, 3), tcnn.tensor([True, False])), r"nll_loss: target is bool.*\.long\(\)"),
        (lambda: F.binary_cross_entropy_with_logits(Z(2, 3), Z(2)), r"target \(2,\) and logits \(2, 3\) must be equal"),
        (lambda: F.one_hot(tcnn.tensor([0, 3]), 3), r"class numbers 0\.\.3 must lie in 0\.\.2"),
        (lambda: F.one_hot(tcnn.tensor([0.0])), "whole numbers, not float32"),
        (lambda: F.pad(Z(2, 3), (1, 2, 3)), r"pad: \(1, 2, 3\) must be pairs"),
        (lambda: F.pad(Z(2, 3), 1), r"pad: 1 must be pairs \(before, behind\), \(1, 1\)"),
        (lambda: nn.Flatten(3, 2).output_shape((2, 5, 5)), "Flatten: start_dim 3 lies behind end_dim 2"),
        (lambda: F.pad(Z(3), (1, 1, 1, 1)), "at most 1 of them"),
        (lambda: F.pad(Z(3), (-2, -2)), "cuts off more than dimension 0"),
        (lambda: F.pad(Z(3), (1, 1), mode="mirror"), "mode 'mirror' is not known; the modes are constant, reflect"),
        (lambda: F.pad(Z(3), (1, 1), mode="reflect"), r"mode='reflect' pads the .* behind \(C,\) .*has 1 dim"),
        (lambda: F.pad(Z(1, 2, 3, 4), (1, 1), mode="circular"), r"\(1, 1\) is for 1, and x \(1, 2, 3, 4\) has 4"),
        (lambda: F.pad(Z(2, 3), (1, 3), mode="reflect"), "repeat at most 2 of the 3 entries of dimension 1 .*, not 3"),
        (lambda: F.pad(Z(2, 3), (1, 4), mode="circular"), "repeat at most 3 of the 3 entries"),
        (lambda: F.pad(Z(2, 3), (-1, 3), mode="circular"), "repeat at most 2 of the 3 entries"),
        (lambda: F.pad(Z(2, 0), (0, 1), mode="replicate"), "repeat at most 0 of the 0 entries"),
        (lambda: F.pad(Z(2, 3), (1, 1), "reflect", 2.0), 'value=2.0 is for mode="constant"'),
    ],
)  # fmt: skip
def test_mistakes_are_explained(wrong, message):
    with pytest.raises((ValueError, IndexError, TypeError), match=message):
        wrong()


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x, w: F.conv2d(x, w),
        lambda x, w: F.conv2d(x, w.float(), Z(2, dtype="float64")),
    ],
)
def test_formats_are_not_mixed(mixed):
    with pytest.raises(DtypeError, match=r"conv2d: x is float32, (weight|bias) is float64; convert x with \.to"):
        mixed(Z(1, 1, 3, 3), Z(2, 1, 2, 2, dtype="float64"))


def test_errors_are_of_the_documented_kind():
    with pytest.raises(ShapeError):
        F.conv2d(Z(2, 1, 7, 6), Z(4, 3, 3, 3))
    with pytest.raises(IndexError):
        F.cross_entropy(Z(2, 3), tcnn.tensor([0, 3]))


def test_a_loss_of_two_shapes_warns_as_torch_does():
    with pytest.warns(tcnn.TinygradCnnWarning, match=r"mse_loss: x \(4, 1\) and target \(4,\).*\(4, 4\)"):
        F.mse_loss(Z(4, 1), Z(4))


def test_average_pools_of_whole_numbers_are_refused():
    with pytest.raises(DtypeError, match=r"avg_pool2d.*int64.*\.float\(\)"):
        F.avg_pool2d(tcnn.tensor(np.arange(4).reshape(1, 1, 2, 2)), 2)


def test_dropout_of_whole_numbers_is_refused():
    with pytest.raises(DtypeError, match=r"dropout.*int64.*\.float\(\)"):
        F.dropout(tcnn.arange(4))
