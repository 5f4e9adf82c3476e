"""Fast NumPy: the batch in blocks that stay in the cache, split over threads; the same numbers as the reference.

A kernel that cannot take its arguments (float16, mixed formats, …) returns NotImplemented, and the reference does it.

- `blocks`: how much work fits into the cache, and when a thread pays
- `layout`: images with the batch innermost
- `scratch`: work space that is used again; `spares`: the memory of large gradients, likewise
- `conv`: which way a convolution goes: `tiles` (their geometry in `grid`), `winograd` or `im2col`
- `fused`: convolution, ReLU and pooling in one pass
- `elementwise`: functions of each element, walking along the memory as it lies
- `pool` and `pool_sums`: pooling by maxima and by sums; `phases` sorts the columns of their images by stride
- `norm` and `local_response`: normalisation by statistics of rows and of neighbouring channels
- `linear`, `activations`, `dropout`, `loss`, `optimizers`, `upsample`: as in `reference`
"""

from tinygrad_cnn.kernels.cpu import (
    activations,
    conv,
    dropout,
    fused,
    linear,
    local_response,
    loss,
    norm,
    optimizers,
    pool,
    pool_sums,
    upsample,
)

__all__ = [
    "activations",
    "conv",
    "dropout",
    "fused",
    "linear",
    "local_response",
    "loss",
    "norm",
    "optimizers",
    "pool",
    "pool_sums",
    "upsample",
]
