"""The functions users call: `F.conv2d(x, weight, bias, stride=1, padding=0)`. Public as `tinygrad_cnn.nn.functional`.

Images are (N, C, H, W); a single image (C, H, W) is taken as a batch of one. What has a PyTorch name has PyTorch's
arguments and defaults.

| file | functions |
|---|---|
| `conv` | conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d |
| `pool` | max_pool1d, max_pool2d, max_pool3d, avg_pool1d, avg_pool2d, avg_pool3d, lp_pool1d, lp_pool2d, lp_pool3d |
| | adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, feature_lp_pool |
| | adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d, max_unpool1d, max_unpool2d, max_unpool3d |
| `activation` | relu, leaky_relu, prelu, elu, selu, gelu, silu, hardtanh, relu6 |
| | sigmoid, logsigmoid, tanh, softplus, softmax, log_softmax |
| `norm` | batch_norm, instance_norm, group_norm, layer_norm, local_response_norm |
| `dropout` | dropout, dropout1d, dropout2d, dropout3d |
| `linear` | linear, matmul |
| `loss` | cross_entropy, nll_loss, mse_loss, binary_cross_entropy_with_logits |
| `encoding` | one_hot |
| `upsample` | interpolate |
| `shape` | flatten, pad, cat, stack |
| `elementwise` | where, maximum, minimum |
| `order` | sort, topk |
"""

from tinygrad_cnn.functional.activation import (
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from tinygrad_cnn.functional.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from tinygrad_cnn.functional.dropout import dropout, dropout1d, dropout2d, dropout3d
from tinygrad_cnn.functional.elementwise import maximum, minimum, where
from tinygrad_cnn.functional.encoding import one_hot
from tinygrad_cnn.functional.linear import linear, matmul
from tinygrad_cnn.functional.loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from tinygrad_cnn.functional.norm import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm
from tinygrad_cnn.functional.order import sort, topk
from tinygrad_cnn.functional.pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    feature_lp_pool,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from tinygrad_cnn.functional.shape import cat, flatten, pad, stack
from tinygrad_cnn.functional.upsample import interpolate

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "cat",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "feature_lp_pool",
    "flatten",
    "gelu",
    "group_norm",
    "hardtanh",
    "instance_norm",
    "interpolate",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "matmul",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "maximum",
    "minimum",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "sort",
    "stack",
    "tanh",
    "topk",
    "where",
]
