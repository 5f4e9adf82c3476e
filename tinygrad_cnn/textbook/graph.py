"""The way back through a graph; the order of its nodes and broadcasting's way back are `kernels/reference/graph.py`."""

from __future__ import annotations

from typing import Any

Array = Any


def backward(root: Any, dy: Array) -> None:
    """Put into `grad` of every node the gradient of the root with respect to it, times dy.

    Formula: `root.grad = dy`, and for every other node the sum of what all its users send it, `node.grad = Σ share`. A
    node's turn to send comes when its own gradient is complete: after all nodes that use it.

    Args:
        root: The last node of the graph. A node has `parents`, those it was computed from (a node may be there twice);
            `backward(dy)`, which returns a tuple, one gradient for each parent; and `grad`, None before the call.
        dy: The gradient of the root, a number or an array.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors".

    >>> class Node:
    ...     def __init__(self, *parents, backward=lambda dy: ()):
    ...         self.parents, self.backward, self.grad = parents, backward, None
    >>> x = Node()
    >>> y = Node(x, x, backward=lambda dy: (2 * dy, 3 * dy))   # y = 2x + 3x
    >>> backward(y, 10.0)
    >>> x.grad
    50.0
    """
    missing: dict[Any, int] = {}  # how many shares of its gradient a node still waits for
    found = [root]
    for node in found:  # the list grows while it is walked
        for parent in node.parents:
            if parent not in missing:
                found.append(parent)
            missing[parent] = missing.get(parent, 0) + 1
    root.grad = dy
    ready = [root]
    while ready:
        node = ready.pop()
        for parent, share in zip(node.parents, node.backward(node.grad)):
            parent.grad = share if parent.grad is None else parent.grad + share
            missing[parent] -= 1
            if missing[parent] == 0:
                ready.append(parent)
