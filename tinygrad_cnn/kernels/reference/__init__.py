"""The textbook: every kernel as short as it can be read, on any array library; the oracle of all fast versions.

- `graph`: topological order, unbroadcast, index_add
- `activations`: relu, sigmoid, tanh, softmax, log_softmax
- `linear`: the fully connected layer
- `conv`: pad, convolution by taps, by loops and by im2col
- `pool`: max and average pooling
- `norm`: batch normalisation
- `dropout`: the counter-based mask
- `loss`: cross-entropy
"""

from tinygrad_cnn.kernels.reference import activations, conv, dropout, graph, linear, loss, norm, pool

__all__ = ["activations", "conv", "dropout", "graph", "linear", "loss", "norm", "pool"]
