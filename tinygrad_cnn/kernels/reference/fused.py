"""Operations in a row as one kernel: the single kernels, one after the other.

`nn.Sequential` takes these where nobody looks at what lies between (see `ops/row.py`). They go through the table
again, so that each part is computed the fast way; `cpu/fused.py` saves the passes over memory between the parts.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.table import get, kernel
from tinygrad_cnn.shapes import Window

Array = Any

#: In place of the number of a winning tap: ReLU lets nothing through here.
NO_WINNER = 255
#: The numbers of the taps that won (None where no gradient is wanted), and what a fast kernel leaves for its backward,
#: since it had to compute it anyway.
Pooled = tuple[Any, Any]


@kernel("conv2d_relu_forward")
def conv_relu_forward(x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    """`y = max(x ⋆ weight + bias, 0)`."""
    return get("relu_forward")(get("conv2d_forward")(x, weight, bias, window, groups))[0]


@kernel("conv2d_relu_backward")
def conv_relu_backward(
    dy: Array, y: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array, ...]:
    """The convolution's gradients, for dy where y is positive."""
    return get("conv2d_backward")(get("relu_backward")(dy, y > 0), x, weight, window, groups, needs=needs)


@kernel("conv2d_relu_max_pool2d_forward")
def conv_relu_max_pool_forward(
    x: Array, weight: Array, bias: Array | None, pool: Window, window: Window, groups: int = 1, needs: Any = None
) -> tuple[Array, Pooled]:
    """The largest of each pooling window of `max(x ⋆ weight + bias, 0)`, and what the gradients need (None: all)."""
    between = get("conv2d_relu_forward")(x, weight, bias, window, groups)
    y, winner = get("max_pool2d_forward")(between, pool)
    return y, (namespace(y).where(y > 0, winner, NO_WINNER).astype("uint8"), None)


@kernel("conv2d_relu_max_pool2d_backward")
def conv_relu_max_pool_backward(
    dy: Array, kept: Pooled, x: Array, weight: Array, pool: Window, window: Window, groups: int = 1, *, needs: Any
) -> tuple[Array, ...]:
    """Each gradient goes to the output that won, if it was positive, and from there on as in a convolution."""
    xp = namespace(dy)
    winner, _ = kept
    positive = winner != NO_WINNER
    between = (len(x), len(weight), *window.outs(x.shape[2:]))
    through_relu = get("relu_backward")(dy, positive)
    dbetween = get("max_pool2d_backward")(through_relu, xp.where(positive, winner, 0), between, pool)
    return get("conv2d_backward")(dbetween, x, weight, window, groups, needs=needs)


@kernel("linear_relu_forward")
def linear_relu_forward(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """`y = max(x·weightᵀ + bias, 0)`."""
    return get("relu_forward")(get("linear_forward")(x, weight, bias))[0]


@kernel("linear_relu_backward")
def linear_relu_backward(dy: Array, y: Array, x: Array, weight: Array, needs: Any) -> tuple[Array, ...]:
    """The layer's gradients, for dy where y is positive."""
    return get("linear_backward")(get("relu_backward")(dy, y > 0), x, weight, needs)
