"""Kernels for a GPU: what becomes of one element, in a few lines of CUDA C, which CuPy compiles at their first use.

A kernel that cannot take its arguments (half precision, mixed formats, volumes) returns NotImplemented, and the
readable one does it, on CuPy's arrays as well.

- `each`: how a few lines become a kernel
- `layout`: images with the channels outermost
- `conv`: im2col, one product of matrices, col2im; `linear`
- `pool`, `norm`, `activations`, `dropout`, `loss`, `images`, `optimizers`: as in `reference`
"""

from tinygrad_cnn.kernels.cuda import activations, conv, dropout, images, linear, loss, norm, optimizers, pool

__all__ = ["activations", "conv", "dropout", "images", "linear", "loss", "norm", "optimizers", "pool"]
