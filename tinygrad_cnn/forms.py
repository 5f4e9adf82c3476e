"""The methods of a tensor as functions: `tcnn.exp(x)` is `x.exp()`; and questions about tensors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeGuard, TypeVar

import numpy as np

from tinygrad_cnn import backends
from tinygrad_cnn.autograd import Tensor, from_numpy

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _form(method: Callable[Concatenate[Tensor, Arguments], Result]) -> Callable[Concatenate[Any, Arguments], Result]:
    """A method as a function, whose first argument may be anything a tensor can be made of."""

    def function(input: Any, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return method(as_tensor(input), *args, **kwargs)

    form: Any = functools.update_wrapper(function, method)
    signature = inspect.signature(method)
    _, *others = signature.parameters.values()
    first = inspect.Parameter("input", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    form.__signature__ = signature.replace(parameters=[first, *others])
    form.__module__, form.__qualname__ = __name__, method.__name__
    return form


def is_tensor(obj: object) -> TypeGuard[Tensor]:
    """Whether this is a tensor."""
    return isinstance(obj, Tensor)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor; the very same one, or one that shares an array's memory, where nothing has to change.

    >>> x = Tensor([1.0, 2.0])
    >>> as_tensor(x) is x
    True
    """
    if backends.is_array(data) and not isinstance(data, np.generic):
        data = from_numpy(data)
    return Tensor._as_tensor(data, device, dtype).to(dtype=dtype, device=device)


def equal(input: Any, other: Any) -> Any:
    """Whether two tensors have one shape and the same numbers.

    >>> equal(Tensor([1.0, 2.0]), Tensor([1.0, 2.0])), equal(Tensor([1.0]), Tensor([1.0, 1.0]))
    (True, False)
    """
    x, y = as_tensor(input), as_tensor(other)
    return x.shape == y.shape and (x == y).all().item()


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Whether `|x − y| ≤ atol + rtol·|y|` everywhere; infinities must be the same, NaN is close to nothing.

    >>> allclose(Tensor([1.0]), Tensor([1.000001])), allclose(Tensor([1.0]), Tensor([1.1]))
    (True, False)
    """
    x, y = as_tensor(input).detach().double(), as_tensor(other).detach().double()
    near = y.isfinite() & ((x - y).abs() <= atol + rtol * y.abs())
    close = (x == y) | near
    return (close | (x.isnan() & y.isnan()) if equal_nan else close).all().item()


abs = _form(Tensor.abs)
add = _form(Tensor.add)
all = _form(Tensor.all)
amax = _form(Tensor.amax)
amin = _form(Tensor.amin)
any = _form(Tensor.any)
argmax = _form(Tensor.argmax)
argmin = _form(Tensor.argmin)
argsort = _form(Tensor.argsort)
broadcast_to = _form(Tensor.broadcast_to)
ceil = _form(Tensor.ceil)
chunk = _form(Tensor.chunk)
clamp = _form(Tensor.clamp)
clip = _form(Tensor.clip)
clone = _form(Tensor.clone)
cos = _form(Tensor.cos)
div = _form(Tensor.div)
dot = _form(Tensor.dot)
eq = _form(Tensor.eq)
exp = _form(Tensor.exp)
flip = _form(Tensor.flip)
floor = _form(Tensor.floor)
gather = _form(Tensor.gather)
ge = _form(Tensor.ge)
gt = _form(Tensor.gt)
is_floating_point = _form(Tensor.is_floating_point)
isfinite = _form(Tensor.isfinite)
isinf = _form(Tensor.isinf)
isnan = _form(Tensor.isnan)
le = _form(Tensor.le)
log = _form(Tensor.log)
logsumexp = _form(Tensor.logsumexp)
lt = _form(Tensor.lt)
masked_fill = _form(Tensor.masked_fill)
max = _form(Tensor.max)
mean = _form(Tensor.mean)
min = _form(Tensor.min)
mm = _form(Tensor.mm)
mul = _form(Tensor.mul)
ne = _form(Tensor.ne)
neg = _form(Tensor.neg)
norm = _form(Tensor.norm)
numel = _form(Tensor.numel)
permute = _form(Tensor.permute)
pow = _form(Tensor.pow)
prod = _form(Tensor.prod)
reshape = _form(Tensor.reshape)
round = _form(Tensor.round)
sign = _form(Tensor.sign)
sin = _form(Tensor.sin)
split = _form(Tensor.split)
sqrt = _form(Tensor.sqrt)
square = _form(Tensor.square)
squeeze = _form(Tensor.squeeze)
std = _form(Tensor.std)
sub = _form(Tensor.sub)
sum = _form(Tensor.sum)
transpose = _form(Tensor.transpose)
unbind = _form(Tensor.unbind)
unsqueeze = _form(Tensor.unsqueeze)
var = _form(Tensor.var)
