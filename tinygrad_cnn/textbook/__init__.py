"""Every layer as a lecture writes it on the board: plain NumPy, images, one number for stride and padding.

The kernels (`tinygrad_cnn.kernels`) do the same for any number of axes, groups, half precision and GPUs, and the
framework computes with them; these functions are there to be read first. They are the solutions of the exercises
(`tinygrad_cnn.exercises`), and the tests put them in the kernels' place and compare every number.

| file | what it holds |
|---|---|
| `activation.py` | ReLU, sigmoid, tanh and softmax, forward and backward |
| `graph.py` | the way back through a graph |
| `linear.py` | the fully connected layer, forward and backward |
| `loss.py` | softmax with cross-entropy, forward and backward |
| `optimizer.py` | a step of SGD with momentum, and one of Adam |
| `conv.py` | convolution by loops and by im2col, and its way back |
| `pool.py` | maximum, average and L2 pooling, forward and backward |
| `norm.py` | batch normalisation and local response normalisation, forward and backward |
| `dropout.py` | dropout, forward and backward |
"""

from tinygrad_cnn.textbook import activation, conv, dropout, graph, linear, loss, norm, optimizer, pool

__all__ = ["activation", "conv", "dropout", "graph", "linear", "loss", "norm", "optimizer", "pool"]
