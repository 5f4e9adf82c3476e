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

    Args:
        root: The last node of the graph; `parents` of a node are those it was computed from.

    Returns:
        The nodes, each once, `root` first. Where several orders do, any of them.

    Source: Cormen, Leiserson, Rivest & Stein 2009, "Introduction to algorithms", section 22.4.

    >>> class Node:
    ...     def __init__(self, name, *parents):
    ...         self.name, self.parents = name, parents
    >>> x = Node("x")
    >>> square = Node("square", x, x)
    >>> y = Node("y", x, square)   # x + x²: the turn of x comes after both that use it
    >>> [node.name for node in toposort(y)]
    ['y', 'square', 'x']
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

    Args:
        dy: The gradient of a result, in the shape that broadcasting made: axes may have been added on the left, and
            axes of size 1 may have been repeated.
        shape: Of the array that was broadcast.

    Returns:
        The gradient of that array, of this shape, in the format of dy.

    Source: NumPy user guide, "Broadcasting", general broadcasting rules.

    >>> import numpy as np
    >>> dy = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    >>> unbroadcast(dy, (3,)).tolist()   # each number was used in both rows
    [11.0, 22.0, 33.0]
    >>> unbroadcast(dy, (2, 1)).tolist()   # each number was used in three columns
    [[6.0], [60.0]]
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
