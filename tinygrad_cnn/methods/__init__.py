"""The methods and operators of a tensor, by topic: mostly one line each, an operation applied.

- `arithmetic`: + − * / // % ** @, add, mul, pow, matmul, …
- `compare`: == < & ~, isnan, …, which have no gradient
- `elementwise`: exp, log, tanh, relu, clamp, maximum, where, …
- `reduce`: sum, mean, var, norm, any, softmax, …
- `order`: max, argmax, sort, topk, …
- `shape`: reshape, permute, expand, split, new_zeros, …
- `indexing`: `x[index]`, gather, iteration
- `formats`: float, int, … as number formats
- `base`, `dims`: what they share
"""

from tinygrad_cnn.methods.arithmetic import Arithmetic
from tinygrad_cnn.methods.compare import Comparisons
from tinygrad_cnn.methods.elementwise import Elementwise
from tinygrad_cnn.methods.formats import Formats
from tinygrad_cnn.methods.indexing import Indexing
from tinygrad_cnn.methods.order import Extremes, Order
from tinygrad_cnn.methods.reduce import Reductions
from tinygrad_cnn.methods.shape import Shapes

__all__ = ["Extremes", "TensorMethods"]


class TensorMethods(Arithmetic, Comparisons, Elementwise, Reductions, Order, Shapes, Indexing, Formats):
    """Everything a tensor can compute; `Tensor` adds the data and the graph."""

    __slots__ = ()
