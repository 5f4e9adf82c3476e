"""Fast NumPy: the batch in blocks that stay in the cache, split over threads; the same numbers as the reference.

A kernel that cannot take its arguments (float16, mixed formats, …) returns NotImplemented, and the reference does it.

- `blocks`: how much work fits into the cache, and when a thread pays
- `conv`: im2col
- `linear`, `pool`, `norm`, `activations`, `dropout`: as in `reference`
"""

from tinygrad_cnn.kernels.cpu import activations, conv, dropout, linear, norm, pool

__all__ = ["activations", "conv", "dropout", "linear", "norm", "pool"]
