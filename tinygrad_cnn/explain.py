"""Why a gradient is missing, in words."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import dtypes, kernels
from tinygrad_cnn.function import Function


def explain_grad(tensor: Any, loss: Any = None) -> str:
    """Why `tensor.grad` is None, in words.

    Args:
        tensor: The tensor without a gradient.
        loss: What backward was called on; with it, the place where the path is cut can be named.

    >>> import tinygrad_cnn as tcnn
    >>> w = tcnn.tensor(1.0, requires_grad=True)
    >>> explain_grad(w * 2)
    'this tensor is not a leaf but the result of mul; only leaves keep their gradient: call retain_grad() on it ...'
    """
    if tensor.grad is not None:
        return "it has a gradient"
    if tensor._node is None:
        if tensor._origin is not None:
            how, where, _ = tensor._origin
            return f"this tensor has no graph: it was computed from the result of {how} ({where})"
        if not dtypes.is_floating(tensor.dtype):
            return f"this tensor holds {tensor.dtype} numbers, which have no gradient; convert with .float()"
        return (
            "this tensor does not require a gradient, and nothing it was computed from does; "
            "make the leaves with requires_grad=True"
        )
    if tensor.grad_fn is not None and not tensor._node.retains_grad:
        return (
            f"this tensor is not a leaf but the result of {tensor._name}; only leaves keep their gradient: "
            "call retain_grad() on it before backward, or use grad(loss, tensor)"
        )
    if loss is None:
        return "backward was not called on anything computed from this tensor, or the path to it was cut: pass the loss"
    if loss._node is None:
        return f"the loss has no graph: {explain_grad(loss)}"
    order = kernels.toposort(loss._node)
    if tensor._node in order:
        return "this tensor is part of the loss's graph; backward was not called yet"
    cuts = [(node, i, o) for node in order if isinstance(node, Function) for i, o in (node.origins or {}).items()]
    for node, index, origin in cuts:
        source = origin.source()
        if source is not None and tensor._node in kernels.toposort(source):
            return (
                f"there is no path from the loss to this tensor: it is cut where {node.name} takes "
                f"{node.input_name(index)} from {origin.how} ({origin.where})"
            )
    places = "".join(f"; {n.name} takes {n.input_name(i)} from {o.how} ({o.where})" for n, i, o in cuts)
    return (
        "there is no path from the loss to this tensor: nothing in the loss was computed from it, or it went through "
        f".data, .numpy() or .item(), where the graph is lost{places}"
    )
