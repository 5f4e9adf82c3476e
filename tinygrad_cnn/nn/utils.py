"""Helpers around modules: small gradients, parameters as one vector, evaluation mode for a while, no first values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from tinygrad_cnn import functional as F
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.dtypes import accumulator
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.module import Module

M = TypeVar("M", bound=Module)


def _list(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor, so that together they are no longer than `max_norm`; in place.

    Formula: `dw = dw · min(1, max_norm / (norm + 10⁻⁶))`, `norm` being that of all gradients as one vector.

    Args:
        parameters: Tensors; those without a gradient do not count.
        max_norm: The largest length.
        norm_type: p of the p-norm; `math.inf` takes the largest absolute value.
        error_if_nonfinite: Raise an error instead of scaling by a norm that is infinite or not a number.

    Returns:
        The norm before clipping, a 0-d tensor.

    Raises:
        RuntimeError: If the norm is not finite and `error_if_nonfinite`; nothing was changed.

    Source: Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1.

    >>> import numpy as np
    >>> from tinygrad_cnn import nn
    >>> w = nn.Parameter([0.0, 0.0])
    >>> w.grad = np.array([3.0, 4.0], dtype="float32")
    >>> nn.utils.clip_grad_norm_([w], max_norm=1.0).item()
    5.0
    >>> [round(dw, 4) for dw in w.grad.tolist()]
    [0.6, 0.8]
    """
    having = [p for p in _list(parameters) if p.grad is not None]
    if not having:
        return Tensor(0.0)
    first = having[0].backend
    norms = []
    for p in having:
        with p.backend.activate():
            norms.append(_norm(p.backend.xp, p.grad, norm_type))
    with first.activate():
        norm = _norm(first.xp, first.xp.stack([first.asarray(n) for n in norms]), norm_type)
        # a factor of 1 multiplies as well: looking at it would wait for the device
        factor = first.xp.minimum(max_norm / (norm + 1e-6), 1.0)
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise RuntimeError(
            f"clip_grad_norm_: the gradients' norm of order {norm_type} is {float(norm)}, so it cannot be clipped; "
            "look for overflow, or scale anyway with error_if_nonfinite=False"
        )
    for p in having:
        gradient: Any = p.grad  # `p.grad *= …` would assign, and so copy
        with p.backend.activate():
            gradient *= p.backend.asarray(factor, dtype=gradient.dtype)
    with first.activate():
        return Tensor(norm, device=first)


def _norm(xp: Any, array: Any, p: float) -> Any:
    size = abs(array).astype(accumulator(array.dtype), copy=False)  # squares above 65,504 overflow float16
    if p == math.inf:
        return size.max() if size.size else size.sum()
    if p == 2:
        return xp.sqrt((size * size).sum())
    return (size**p).sum() ** (1 / p)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each number in all gradients to ±`clip_value`; in place.

    Args:
        parameters: Tensors; those without a gradient do not count.
        clip_value: The limit, at least 0.

    Raises:
        ValueError: If the limit is negative.

    >>> import numpy as np
    >>> from tinygrad_cnn import nn
    >>> w = nn.Parameter([0.0, 0.0])
    >>> w.grad = np.array([3.0, -0.5], dtype="float32")
    >>> nn.utils.clip_grad_value_([w], 1.0)
    >>> w.grad.tolist()
    [1.0, -0.5]
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value={clip_value} must be at least 0")
    for p in _list(parameters):
        if p.grad is not None:
            with p.backend.activate():
                p.grad[...] = p.backend.xp.clip(p.grad, -clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters behind each other as one vector.

    >>> from tinygrad_cnn import nn
    >>> nn.utils.parameters_to_vector([nn.Parameter([[1.0, 2.0]]), nn.Parameter([3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    return F.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write a vector's numbers back into the parameters.

    Args:
        vec: As many numbers as the parameters hold.
        parameters: Tensors, in the order of `parameters_to_vector`.

    Raises:
        ValueError: If the vector is shorter or longer; nothing was changed.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> w = nn.Parameter([[0.0, 0.0]])
    >>> nn.utils.vector_to_parameters(tcnn.tensor([1.0, 2.0]), [w])
    >>> w.tolist()
    [[1.0, 2.0]]
    """
    targets = list(parameters)
    sizes = [math.prod(p.shape) for p in targets]
    if vec.shape != (sum(sizes),):
        raise ValueError(f"vector_to_parameters: the vector must have shape ({sum(sizes)},), not {vec.shape}")
    ends = np.cumsum(sizes)
    for p, size, end in zip(targets, sizes, ends):
        with p.backend.activate(), p.writing("vector_to_parameters") as array:
            array[...] = p.backend.asarray(vec.data[end - size : end], dtype=p.dtype).reshape(p.shape)


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """The model in evaluation mode inside the block; afterwards each module has the mode it had before.

    >>> from tinygrad_cnn import nn
    >>> layer = nn.Dropout(0.5)
    >>> with nn.utils.evaluating(layer):
    ...     layer.training
    False
    >>> layer.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def skip_init(module_cls: Callable[..., M], *args: Any, **kwargs: Any) -> M:
    """Make a module without drawing its first values: the quick way where others are loaded into it.

    Until then its parameters are zeros, which the system gives memory to only when they are written: the 138 million
    of VGG-16 are there at once.

    Args:
        module_cls: The class, or a function that makes the module, such as `models.create`.
        *args: What it takes.
        **kwargs: Likewise.

    >>> from tinygrad_cnn import nn
    >>> nn.utils.skip_init(nn.Linear, 2, 1).weight.tolist()
    [[0.0, 0.0]]
    """
    with init.skipped():
        return module_cls(*args, **kwargs)
