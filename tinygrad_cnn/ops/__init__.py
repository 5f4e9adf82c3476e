"""The operations: forward and backward next to each other, on plain arrays.

- `elementwise`: add, mul, exp, relu, … with broadcasting
- `reduce`: sum, mean, max, var, softmax, …
- `shape`: reshape, permute, cat, indexing, … which move numbers and change none
- `linear`: matmul and the fully connected layer
- `conv`, `pool`, `norm`, `dropout`, `loss`: the layers
"""

from tinygrad_cnn.ops.conv import Conv2d
from tinygrad_cnn.ops.dropout import Dropout
from tinygrad_cnn.ops.elementwise import (
    Abs,
    Add,
    Cast,
    Clamp,
    Cos,
    Div,
    Exp,
    LeakyReLU,
    Log,
    Maximum,
    Minimum,
    Mul,
    Neg,
    Pow,
    PowNumber,
    ReLU,
    Remainder,
    Sigmoid,
    Sin,
    Softplus,
    Sqrt,
    Sub,
    Tanh,
    Transfer,
    Where,
)
from tinygrad_cnn.ops.linear import Linear, MatMul
from tinygrad_cnn.ops.loss import CrossEntropy, NLLLoss
from tinygrad_cnn.ops.norm import BatchNorm
from tinygrad_cnn.ops.pool import AvgPool2d, MaxPool2d
from tinygrad_cnn.ops.reduce import Amax, Amin, Extremum, LogSoftmax, LogSumExp, Mean, Prod, Softmax, Sum, Var
from tinygrad_cnn.ops.shape import Cat, Expand, Flip, Gather, Index, Pad, Permute, Reshape, Sort, Stack

__all__ = [
    "Abs",
    "Add",
    "Amax",
    "Amin",
    "AvgPool2d",
    "BatchNorm",
    "Cast",
    "Cat",
    "Clamp",
    "Conv2d",
    "Cos",
    "CrossEntropy",
    "Div",
    "Dropout",
    "Exp",
    "Expand",
    "Extremum",
    "Flip",
    "Gather",
    "Index",
    "LeakyReLU",
    "Linear",
    "Log",
    "LogSoftmax",
    "LogSumExp",
    "MatMul",
    "MaxPool2d",
    "Maximum",
    "Mean",
    "Minimum",
    "Mul",
    "NLLLoss",
    "Neg",
    "Pad",
    "Permute",
    "Pow",
    "PowNumber",
    "Prod",
    "ReLU",
    "Remainder",
    "Reshape",
    "Sigmoid",
    "Sin",
    "Softmax",
    "Softplus",
    "Sort",
    "Sqrt",
    "Stack",
    "Sub",
    "Sum",
    "Tanh",
    "Transfer",
    "Var",
    "Where",
]
