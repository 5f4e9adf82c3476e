"""A tensor that is trained."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tinygrad_cnn.autograd import ALONE, Tensor
from tinygrad_cnn.kernels.cpu import spares


class Parameter(Tensor):
    """A tensor that a module lists among its parameters as soon as it is one of its attributes.

    Args:
        data: Its first values: a tensor, an array or numbers; they are copied.
        requires_grad: False freezes it.
        dtype: Number format; the data's by default, float32 for Python numbers.
        device: Where it lives.

    >>> from tinygrad_cnn import nn
    >>> nn.Parameter([1.0, 2.0]).requires_grad
    True
    """

    def __init__(self, data: Any, requires_grad: bool = True, *, dtype: Any = None, device: Any = None) -> None:
        super().__init__(data, dtype=dtype, device=device, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A parameter of its own with the same values; the gradient stays behind, as in PyTorch."""
        copied: Parameter = super().__deepcopy__(memo)
        copied.grad = None
        return copied


def zeros(*shape: int, dtype: Any = None, device: Any = None) -> Parameter:
    """A parameter of this shape, to be filled by `nn.init`; float32 by default."""
    parameter = Parameter([], dtype="float32" if dtype is None else dtype, device=device)
    with parameter.backend.activate():
        # not copied from an array of zeros: what nobody fills (`utils.skip_init`) takes no memory from the system
        parameter._replace(parameter.backend.xp.zeros(shape, dtype=parameter.dtype))
    return parameter


def zero_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Drop the gradients of all these, or fill them with zeros."""
    for parameter in parameters:
        if set_to_none:
            gradient, parameter.grad = parameter.grad, None
            if sys.getrefcount(gradient) == ALONE:  # nobody will look at it again
                spares.leave(parameter.data, gradient)
        elif parameter.grad is not None:
            with parameter.backend.activate():
                parameter.grad[...] = 0
