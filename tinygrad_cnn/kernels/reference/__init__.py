"""The textbook: every kernel as short as it can be read, on any array library; the oracle of all fast versions.

- `graph`: topological order, unbroadcast, index_add
- `activations`: relu, leaky_relu, hardtanh, elu, sigmoid, silu, softplus, tanh, gelu, softmax, log_softmax
- `linear`: the fully connected layer
- `padding`: a border of one value or of the image's own pixels
- `conv`: convolution as a sum over the kernel's taps
- `pool`: max, average and Lp pooling, and the way back of max pooling
- `norm`: batch and local response normalisation
- `upsample`: nearest pixels and blends of neighbours
- `dropout`: the counter-based mask
- `loss`: cross-entropy, and what it wants of each class
- `images`: a batch of pictures as the network's inputs
- `fused`: operations in a row
"""

from tinygrad_cnn.kernels.reference import (
    activations,
    conv,
    dropout,
    fused,
    graph,
    images,
    linear,
    loss,
    norm,
    padding,
    pool,
    upsample,
)

__all__ = [
    "activations",
    "conv",
    "dropout",
    "fused",
    "graph",
    "images",
    "linear",
    "loss",
    "norm",
    "padding",
    "pool",
    "upsample",
]
