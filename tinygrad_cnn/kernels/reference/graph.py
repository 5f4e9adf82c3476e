"""Kernels of the backward pass itself: the order of the nodes, and the way back of broadcasting and indexing."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.table import kernel
from tinygrad_cnn.shapes import Shape

Array = Any


@kernel("toposort")
def toposort(root: Any) -> list[Any]:
    """Nodes from which `root` was computed, each after all nodes that use it: the order of the backward pass.

    A depth-first walk with a stack of its own, since Python's recursion ends at about 1,000 operations.
    """
    order: list[Any] = []
    entered: set[int] = set()
    stack: list[tuple[Any, bool]] = [(root, False)]
    while stack:
        node, finished = stack.pop()
        if finished:  # everything before this node is in the list
            order.append(node)
        elif id(node) not in entered:
            entered.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents if parent is not None)
    return order[::-1]


@kernel("unbroadcast")
def unbroadcast(dy: Array, shape: Shape) -> Array:
    """Sum dy over the axes along which an array of this shape was repeated: broadcasting's way back.

    >>> import numpy as np
    >>> unbroadcast(np.ones((2, 3)), (3,)).tolist()
    [2.0, 2.0, 2.0]
    """
    added = dy.ndim - len(shape)
    repeated = tuple(added + i for i, size in enumerate(shape) if size == 1 and dy.shape[added + i] != 1)
    if added or repeated:
        dy = dy.sum(axis=tuple(range(added)) + repeated, keepdims=True)
    return dy.reshape(shape)


@kernel("index_add")
def index_add(dy: Array, index: Any, shape: Shape) -> Array:
    """Zeros of this shape with dy added at `index`; where an index is repeated, the gradients add up."""
    xp = namespace(dy)
    dx = xp.zeros(shape, dtype=dy.dtype)
    xp.add.at(dx, index, dy)
    return dx
