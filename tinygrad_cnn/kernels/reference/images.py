"""Pictures as a network wants them."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.table import kernel

Array = Any


@kernel("gather_images")
def gather_images(images: Array, indices: Array, mean: Array, std: Array) -> Array:
    """`y[n,c,h,w] = (images[indices[n],h,w,c]/255 − mean[c])/std[c]`: some of the pictures (N, H, W, C), of bytes."""
    maps = namespace(images).moveaxis(images[indices], -1, 1).astype(mean.dtype) / 255
    return (maps - mean.reshape(-1, 1, 1)) / std.reshape(-1, 1, 1)
