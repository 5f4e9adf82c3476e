"""The functions users call: `F.conv2d(x, weight, bias, stride=1, padding=0)`. Public as `tinygrad_cnn.nn.functional`.

Images are (N, C, H, W); a single image (C, H, W) is taken as a batch of one. What has a PyTorch name has PyTorch's
arguments and defaults.

| file | functions |
|---|---|
| `conv` | conv2d |
| `pool` | max_pool2d, avg_pool2d |
| `activation` | relu, leaky_relu, sigmoid, tanh, softplus, softmax, log_softmax |
| `norm` | batch_norm |
| `dropout` | dropout |
| `linear` | linear, matmul |
| `loss` | cross_entropy, nll_loss, mse_loss, binary_cross_entropy_with_logits |
| `encoding` | one_hot |
| `shape` | flatten, pad, cat, stack |
| `elementwise` | where, maximum, minimum |
| `order` | sort, topk |
"""

from tinygrad_cnn.functional.activation import leaky_relu, log_softmax, relu, sigmoid, softmax, softplus, tanh
from tinygrad_cnn.functional.conv import conv2d
from tinygrad_cnn.functional.dropout import dropout
from tinygrad_cnn.functional.elementwise import maximum, minimum, where
from tinygrad_cnn.functional.encoding import one_hot
from tinygrad_cnn.functional.linear import linear, matmul
from tinygrad_cnn.functional.loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from tinygrad_cnn.functional.norm import batch_norm
from tinygrad_cnn.functional.order import sort, topk
from tinygrad_cnn.functional.pool import avg_pool2d, max_pool2d
from tinygrad_cnn.functional.shape import cat, flatten, pad, stack

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "cat",
    "conv2d",
    "cross_entropy",
    "dropout",
    "flatten",
    "leaky_relu",
    "linear",
    "log_softmax",
    "matmul",
    "max_pool2d",
    "maximum",
    "minimum",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "sort",
    "stack",
    "tanh",
    "topk",
    "where",
]
