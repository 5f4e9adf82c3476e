"""First values of parameters. Each function fills a tensor in place and returns it.

The numbers are drawn with NumPy in float64 and copied, so they are the same on every device and, rounded, in every
dtype. `generator` is the default generator if None.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.arguments import one_of
from tinygrad_cnn.random import Generator, default_generator
from tinygrad_cnn.shapes import ShapeError

T = TypeVar("T", bound=Tensor)

_GAINS = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By which factor weights must be larger, so that signals keep their size through a non-linearity.

    Formula: 1 for linear, conv2d and sigmoid, 5/3 for tanh, √2 for relu, `√(2/(1 + param²))` for leaky_relu, 3/4
    for selu.

    Args:
        nonlinearity: One of these names.
        param: The negative slope of leaky_relu, 0.01 if None.

    Raises:
        ValueError: If the name is unknown.

    Source: He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", equations 10 and 15.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return math.sqrt(2 / (1 + slope**2))
    return _GAINS[one_of("calculate_gain", "nonlinearity", nonlinearity, (*_GAINS, "leaky_relu"))]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs feed one output of a weight of this shape, and how many outputs one input feeds.

    Formula: for (K, C, R, S) they are `C·R·S` and `K·R·S`.

    Raises:
        ShapeError: If there are fewer than two axes.

    >>> fans((6, 3, 5, 5))
    (75, 150)
    """
    if len(shape) < 2:
        raise ShapeError(
            f"init: a tensor of shape {shape} has no inputs and outputs to count; Xavier and Kaiming are for weights "
            "with at least 2 axes, use zeros_ or uniform_ here"
        )
    K, C, *kernel = shape
    return C * math.prod(kernel), K * math.prod(kernel)


_skips: ContextVar[bool] = ContextVar("skips", default=False)


@contextlib.contextmanager
def skipped() -> Iterator[None]:
    """Inside the block the functions below do nothing: for parameters that get other values at once.

    >>> import tinygrad_cnn as tcnn
    >>> with skipped():
    ...     ones_(tcnn.zeros(2)).tolist()
    [0.0, 0.0]
    """
    token = _skips.set(True)
    try:
        yield
    finally:
        _skips.reset(token)


def _fill(tensor: T, who: str, draw: Callable[[], Any]) -> T:
    if _skips.get():
        return tensor
    values = draw()
    with tensor.backend.activate(), tensor.writing(f"init.{who}") as array:
        array[...] = tensor.backend.asarray(values, dtype=tensor.dtype)
    return tensor


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> T:
    """Fill with numbers drawn evenly from [a, b).

    Raises:
        ValueError: If a is larger than b.

    >>> import tinygrad_cnn as tcnn
    >>> x = uniform_(tcnn.zeros(2, 3), 5.0, 6.0)
    >>> bool((x.numpy() >= 5).all() and (x.numpy() <= 6).all())
    True
    """
    if a > b:
        raise ValueError(f"uniform_: the lower bound a={a} is above the upper bound b={b}")
    return _fill(tensor, "uniform_", lambda: (generator or default_generator()).uniform(tensor.shape, a, b))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> T:
    """Fill with Gaussian numbers.

    Raises:
        ValueError: If the standard deviation is negative.

    >>> import tinygrad_cnn as tcnn
    >>> normal_(tcnn.zeros(2), mean=3.0, std=0.0).tolist()
    [3.0, 3.0]
    """
    if std < 0:
        raise ValueError(f"normal_: std={std} must be at least 0")
    return _fill(tensor, "normal_", lambda: (generator or default_generator()).normal(tensor.shape, mean, std))


def constant_(tensor: T, val: float) -> T:
    """Fill with one number.

    >>> import tinygrad_cnn as tcnn
    >>> constant_(tcnn.zeros(2), 7.0).tolist()
    [7.0, 7.0]
    """
    return _fill(tensor, "constant_", lambda: val)


def zeros_(tensor: T) -> T:
    """Fill with zeros.

    >>> import tinygrad_cnn as tcnn
    >>> zeros_(tcnn.ones(2)).tolist()
    [0.0, 0.0]
    """
    return _fill(tensor, "zeros_", lambda: 0)


def ones_(tensor: T) -> T:
    """Fill with ones.

    >>> import tinygrad_cnn as tcnn
    >>> ones_(tcnn.zeros(2)).tolist()
    [1.0, 1.0]
    """
    return _fill(tensor, "ones_", lambda: 1)


def xavier_uniform_(tensor: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    """Fill with numbers from ±bound, so that signals keep their size forwards and backwards.

    Formula: `bound = gain·√(6 / (fan_in + fan_out))`.

    Raises:
        ShapeError: If the tensor has fewer than two axes.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
    equation 16.

    >>> import tinygrad_cnn as tcnn
    >>> bool((abs(xavier_uniform_(tcnn.zeros(2, 4)).numpy()) <= 1).all())   # √(6/(4 + 2)) = 1
    True
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor.shape)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    """Fill with Gaussian numbers, so that signals keep their size forwards and backwards.

    Formula: `std = gain·√(2 / (fan_in + fan_out))`.

    Raises:
        ShapeError: If the tensor has fewer than two axes.

    Source: Glorot & Bengio 2010, equation 12.

    >>> import tinygrad_cnn as tcnn
    >>> xavier_normal_(tcnn.ones(1, 2), gain=0.0).tolist()
    [[0.0, 0.0]]
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor.shape))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    one_of("kaiming", "mode", mode, ("fan_in", "fan_out"))
    fan = fans(tensor.shape)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: T,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> T:
    """Fill with numbers from ±bound, so that signals keep their size through rectifiers.

    Formula: `bound = gain·√(3 / fan)`. Layers use `a = √5`, which makes it `1/√fan_in`.

    Args:
        tensor: (D, F) or (K, C, R, S).
        a: Negative slope of the rectifier.
        mode: `"fan_in"` keeps the size forwards, `"fan_out"` backwards.
        nonlinearity: See `calculate_gain`.
        generator: Draws the numbers.

    Raises:
        ShapeError: If the tensor has fewer than two axes.
        ValueError: If mode or nonlinearity is unknown.

    Source: He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", equation 14.

    >>> import tinygrad_cnn as tcnn
    >>> bool((abs(kaiming_uniform_(tcnn.zeros(9, 6)).numpy()) <= 1).all())   # √2·√(3/6) = 1
    True
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: T,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> T:
    """Fill with Gaussian numbers, so that signals keep their size through rectifiers.

    Formula: `std = gain / √fan`.

    Args:
        tensor: (D, F) or (K, C, R, S).
        a: Negative slope of the rectifier.
        mode: `"fan_in"` keeps the size forwards, `"fan_out"` backwards.
        nonlinearity: See `calculate_gain`.
        generator: Draws the numbers.

    Raises:
        ShapeError: If the tensor has fewer than two axes.
        ValueError: If mode or nonlinearity is unknown.

    Source: He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", equation 10.

    >>> import tinygrad_cnn as tcnn
    >>> kaiming_normal_(tcnn.zeros(2, 3)).shape
    (2, 3)
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def bias_like_(bias: T | None, weight: Tensor, generator: Generator | None = None) -> T | None:
    """Fill a layer's bias, if it has one, with numbers from ±1/√fan_in of its weight.

    >>> import tinygrad_cnn as tcnn
    >>> bool((abs(bias_like_(tcnn.zeros(2), tcnn.zeros(2, 4)).numpy()) <= 0.5).all())
    True
    """
    if bias is None:
        return None
    bound = 1 / math.sqrt(fans(weight.shape)[0])
    return uniform_(bias, -bound, bound, generator)
