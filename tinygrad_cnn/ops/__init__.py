"""The operations: forward and backward next to each other, on plain arrays.

- `elementwise`: add, mul, exp, … with broadcasting
- `activation`: relu, sigmoid, gelu, …
- `reduce`: sum, mean, max, var, softmax, …
- `shape`: reshape, permute, cat, indexing, … which move numbers and change none
- `plain`: comparisons, logic, floor, …: no gradient, or 0
- `linear`: matmul and the fully connected layer
- `conv`, `pool`, `upsample`, `norm`, `dropout`, `loss`: the layers
"""

from tinygrad_cnn.ops.activation import *
from tinygrad_cnn.ops.conv import *
from tinygrad_cnn.ops.dropout import *
from tinygrad_cnn.ops.elementwise import *
from tinygrad_cnn.ops.linear import *
from tinygrad_cnn.ops.loss import *
from tinygrad_cnn.ops.norm import *
from tinygrad_cnn.ops.plain import *
from tinygrad_cnn.ops.pool import *
from tinygrad_cnn.ops.reduce import *
from tinygrad_cnn.ops.shape import *
from tinygrad_cnn.ops.upsample import *
