"""The methods and operators of a tensor: one line each, an operation applied.

Reductions take `dim`/`keepdim` as in PyTorch, and also `axis`/`keepdims` as in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypedDict, TypeVar, Unpack

import numpy as np

from tinygrad_cnn import dtypes, ops
from tinygrad_cnn.backends import is_array, namespace, owner
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.function import Function
from tinygrad_cnn.shapes import Ints, Shape, ShapeError, broadcast_shapes, normalise_dims, one_dim

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor

Self = TypeVar("Self", bound="TensorMethods")
Same = TypeVar("Same", bound="Formats")


class Alias(TypedDict, total=False):
    """NumPy's names for `dim` and `keepdim`."""

    axis: Any
    keepdims: bool


class Extremes(NamedTuple):
    """What `max(dim)`, `min(dim)`, `sort` and `topk` return: the values, and where they stood."""

    values: Any
    indices: Any


def _numpy_names(dim: Any, keepdim: bool, alias: Alias) -> tuple[Any, bool]:
    unknown = set(alias) - {"axis", "keepdims"}
    if unknown:
        raise TypeError(f"unknown argument {unknown.pop()!r}; the names are dim, keepdim, axis and keepdims")
    return alias.get("axis", dim), alias.get("keepdims", keepdim)


class Formats:
    """The methods that are called like Python's types; in a class of their own, where they hide no annotation."""

    __slots__ = ()

    if TYPE_CHECKING:

        def to(self: Same, *args: Any, **kwargs: Any) -> Same: ...

    def float(self: Same) -> Same:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self: Same) -> Same:
        """As float64."""
        return self.to(dtypes.float64)

    def half(self: Same) -> Same:
        """As float16."""
        return self.to(dtypes.float16)

    def int(self: Same) -> Same:
        """As int32."""
        return self.to(dtypes.int32)

    def long(self: Same) -> Same:
        """As int64."""
        return self.to(dtypes.int64)

    def bool(self: Same) -> Same:
        """As bool: what is not 0 is True."""
        return self.to(dtypes.bool_)

    def type(self: Same, dtype: Any) -> Same:
        """In another number format: `to`."""
        return self.to(dtype=dtype)


class TensorMethods(Formats):
    """Everything a tensor can compute; `Tensor` adds the data and the graph."""

    __slots__ = ()
    __array_ufunc__: ClassVar[None] = None  # so that `array * tensor` is ours, not NumPy's

    if TYPE_CHECKING:
        shape: Shape
        ndim: int
        dtype: np.dtype
        size: Any
        data: Any
        _data: Any

        @staticmethod
        def _apply(operation: Function, *inputs: Any) -> Any: ...
        @staticmethod
        def _operands(operation: str, *values: Any, floating: bool = False, number: bool = True) -> list[Any]: ...
        def _as_tensor(self, value: Any) -> Any: ...

    # ---- arithmetic

    def _binary(self, operation: Function, x: Any, y: Any, *, floating: bool = False, number: bool = True) -> Any:
        operands = self._operands(operation.name, x, y, floating=floating, number=number)
        return NotImplemented if operands is NotImplemented else self._apply(operation, *operands)

    @classmethod
    def _given(cls, operation: str, *values: Any) -> Any:
        """Tensors in their common format, for functions: only operators may leave the answer to the other side."""
        operands = cls._operands(operation, *values, number=False)
        if operands is NotImplemented:
            kinds = " and ".join(type(value).__name__ for value in values)
            raise TypeError(f"{operation}: takes tensors, arrays and numbers, not {kinds}")
        return operands

    def __add__(self, other: Any) -> Tensor:
        return self._binary(ops.Add(), self, other)

    def __radd__(self, other: Any) -> Tensor:
        return self._binary(ops.Add(), other, self)

    def __sub__(self, other: Any) -> Tensor:
        return self._sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return self._sub(other, self)

    def _sub(self, x: Any, y: Any) -> Any:
        if dtypes.bool_ in (getattr(x, "dtype", None), getattr(y, "dtype", None)):
            raise DtypeError(
                "sub: bools have no difference; ~mask inverts a mask, a ^ b is true where two masks differ, "
                "mask.long() and mask.float() make numbers of it"
            )
        return self._binary(ops.Sub(), x, y)

    def __mul__(self, other: Any) -> Tensor:
        return self._binary(ops.Mul(), self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return self._binary(ops.Mul(), other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return self._binary(ops.Div(), self, other, floating=True)

    def __rtruediv__(self, other: Any) -> Tensor:
        return self._binary(ops.Div(), other, self, floating=True)

    def __pow__(self, other: Any) -> Tensor:
        other = other.item() if isinstance(other, np.generic) else other
        if isinstance(other, (int, float)) and not isinstance(other, bool):
            return self._apply(ops.PowNumber(other), self._operands("pow", self, other)[0])
        return self._binary(ops.Pow(), self, other, number=False)

    def __rpow__(self, other: Any) -> Tensor:
        return self._binary(ops.Pow(), other, self, number=False)

    def __matmul__(self, other: Any) -> Tensor:
        return self._matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return self._matmul(other, self)

    def _matmul(self, x: Any, y: Any) -> Any:
        operands = self._operands("matmul", x, y, number=False)
        if operands is NotImplemented:
            return NotImplemented
        for value in (x, y):  # PyTorch's rule: a matrix product does not mix formats silently
            dtype = getattr(value, "dtype", None)
            if dtype is not None and dtype != operands[0].dtype:
                raise DtypeError(
                    f"matmul: x is {getattr(x, 'dtype', type(x))}, y is {getattr(y, 'dtype', type(y))}; "
                    f"convert one of them, for instance with .to({operands[0].dtype.name!r})"
                )
        return self._apply(ops.MatMul(), *operands)

    def __floordiv__(self, other: Any) -> Tensor:
        return self._divided(ops.FloorDivide(), self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return self._divided(ops.FloorDivide(), other, self)

    def __mod__(self, other: Any) -> Tensor:
        return self._divided(ops.Remainder(), self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return self._divided(ops.Remainder(), other, self)

    def _divided(self, operation: Function, x: Any, y: Any) -> Any:
        if _is_bool(x) and _is_bool(y):
            raise DtypeError(f"{operation.name}: two bools cannot be divided; make numbers of them with .long()")
        return self._binary(operation, x, y, number=False)

    def __neg__(self) -> Tensor:
        if _is_bool(self):
            raise DtypeError("neg: bools have no sign; ~mask inverts a mask, -mask.long() makes numbers of it")
        return self._apply(ops.Neg(), self)

    def __pos__(self: Self) -> Self:
        return self

    def __abs__(self) -> Tensor:
        return self.abs()

    def add(self, other: Any, *, alpha: float = 1) -> Tensor:
        """`x + alpha·other`."""
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Tensor:
        """`x − alpha·other`."""
        return self - (other if alpha == 1 else other * alpha)

    def mul(self, other: Any) -> Tensor:
        """`x·other`."""
        return self * other

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """`x/other`; with `rounding_mode="floor"` the next whole number below, `x // other`."""
        if rounding_mode not in (None, "floor"):
            raise ValueError(f'div: rounding_mode={rounding_mode!r} must be None or "floor"')
        return self / other if rounding_mode is None else self // other

    def neg(self) -> Tensor:
        """`−x`."""
        return -self

    def matmul(self, other: Any) -> Tensor:
        """The matrix product `x @ other`."""
        return self @ other

    def mm(self, other: Any) -> Tensor:
        """The product of two matrices."""
        return self._product("mm", other, 2)

    def dot(self, other: Any) -> Tensor:
        """The scalar product of two vectors."""
        return self._product("dot", other, 1)

    def _product(self, operation: str, other: Any, ndim: int) -> Tensor:
        shapes = self.shape, self._as_tensor(other).shape
        if any(len(shape) != ndim for shape in shapes):
            raise ShapeError(f"{operation}: both must have {ndim} dimension(s), not {shapes}; matmul takes any")
        return self @ other

    # ---- comparisons and logic: results without a gradient

    def _plain(self, name: str, x: Any, y: Any, compute: Callable[[Any, Any], Any]) -> Any:
        operands = self._operands(name, x, y)
        return NotImplemented if operands is NotImplemented else self._apply(Plain(name, compute), *operands)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._plain("eq", self, other, lambda x, y: x == y)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._plain("ne", self, other, lambda x, y: x != y)

    def __lt__(self, other: Any) -> Tensor:
        return self._plain("lt", self, other, lambda x, y: x < y)

    def __le__(self, other: Any) -> Tensor:
        return self._plain("le", self, other, lambda x, y: x <= y)

    def __gt__(self, other: Any) -> Tensor:
        return self._plain("gt", self, other, lambda x, y: x > y)

    def __ge__(self, other: Any) -> Tensor:
        return self._plain("ge", self, other, lambda x, y: x >= y)

    def eq(self, other: Any) -> Tensor:
        """`x == other`."""
        return self == other

    def ne(self, other: Any) -> Tensor:
        """`x != other`."""
        return self != other

    def lt(self, other: Any) -> Tensor:
        """`x < other`."""
        return self < other

    def le(self, other: Any) -> Tensor:
        """`x <= other`."""
        return self <= other

    def gt(self, other: Any) -> Tensor:
        """`x > other`."""
        return self > other

    def ge(self, other: Any) -> Tensor:
        """`x >= other`."""
        return self >= other

    def __and__(self, other: Any) -> Tensor:
        return self._plain("&", self, other, lambda x, y: x & y)

    def __or__(self, other: Any) -> Tensor:
        return self._plain("|", self, other, lambda x, y: x | y)

    def __xor__(self, other: Any) -> Tensor:
        return self._plain("^", self, other, lambda x, y: x ^ y)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        return self._apply(Plain("~", lambda x: ~x), self)

    def __hash__(self) -> int:
        return id(self)

    def isnan(self) -> Tensor:
        """True where an element is not a number."""
        return self._apply(Plain("isnan", lambda x: x != x), self)

    def isinf(self) -> Tensor:
        """True where an element is ∞ or −∞."""
        return self._apply(Plain("isinf", lambda x: (x == math.inf) | (x == -math.inf)), self)

    def isfinite(self) -> Tensor:
        """True where an element is neither infinite nor NaN."""
        return self._apply(Plain("isfinite", lambda x: namespace(x).isfinite(x)), self)

    def any(self, dim: Ints | None = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """True where any element (along `dim`) is not 0."""
        dim, keepdim = _numpy_names(dim, keepdim, alias)
        dims = normalise_dims("any", dim, self.ndim)
        return self._apply(Plain("any", lambda x: x.any(axis=dims, keepdims=keepdim)), self)

    def all(self, dim: Ints | None = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """True where all elements (along `dim`) are not 0."""
        dim, keepdim = _numpy_names(dim, keepdim, alias)
        dims = normalise_dims("all", dim, self.ndim)
        return self._apply(Plain("all", lambda x: x.all(axis=dims, keepdims=keepdim)), self)

    def sign(self) -> Tensor:
        """−1, 0 or 1."""
        return self._apply(Flat("sign", lambda x: x if x.dtype == dtypes.bool_ else namespace(x).sign(x)), self)

    def floor(self) -> Tensor:
        """The next whole number below."""
        return self._apply(Flat("floor", lambda x: namespace(x).floor(x)), self)

    def ceil(self) -> Tensor:
        """The next whole number above."""
        return self._apply(Flat("ceil", lambda x: namespace(x).ceil(x)), self)

    def round(self) -> Tensor:
        """The nearest whole number, halves to the even one."""
        return self._apply(Flat("round", lambda x: namespace(x).round(x)), self)

    # ---- functions of each element

    def _floating(self, operation: Function) -> Tensor:
        """Apply to floats; whole numbers become float32 first."""
        return self._apply(operation, *self._operands(operation.name, self, floating=True))

    def exp(self) -> Tensor:
        """`eˣ`."""
        return self._floating(ops.Exp())

    def log(self) -> Tensor:
        """The natural logarithm."""
        return self._floating(ops.Log())

    def sqrt(self) -> Tensor:
        """The square root."""
        return self._floating(ops.Sqrt())

    def sin(self) -> Tensor:
        """The sine, of radians."""
        return self._floating(ops.Sin())

    def cos(self) -> Tensor:
        """The cosine, of radians."""
        return self._floating(ops.Cos())

    def tanh(self) -> Tensor:
        """The hyperbolic tangent, between −1 and 1."""
        return self._floating(ops.Tanh())

    def sigmoid(self) -> Tensor:
        """`1/(1 + e⁻ˣ)`, between 0 and 1."""
        return self._floating(ops.Sigmoid())

    def abs(self) -> Tensor:
        """The absolute value."""
        return self._apply(ops.Abs(), self)

    def relu(self) -> Tensor:
        """`max(x, 0)`."""
        if _is_bool(self):
            raise DtypeError("relu: takes numbers, not bools; convert with .float()")
        return self._apply(ops.ReLU(), self)

    def square(self) -> Tensor:
        """`x²`."""
        return self**2

    def pow(self, exponent: Any) -> Tensor:
        """`x` to the power of a number or of a tensor."""
        return self**exponent

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element held between `min` and `max`, numbers or tensors; where they cross, `max` wins."""
        if min is None and max is None:
            raise ValueError("clamp: give min, max or both")
        low, high = (v.item() if isinstance(v, np.generic) else v for v in (min, max))
        if all(isinstance(v, (int, float)) for v in (low, high) if v is not None):
            x, *_ = self._operands("clamp", self, *(v for v in (low, high) if v is not None))
            return self._apply(ops.Clamp(low, high), x)
        self._given("clamp", self, *(v for v in (low, high) if v is not None))  # refuses what is no number
        held: Any = self if low is None else self.where(~(self < low), low)  # a NaN stays
        return held if high is None else held.where(~(held > high), high)

    clip = clamp

    def maximum(self, other: Any) -> Tensor:
        """The larger of two, element by element; equals share the gradient."""
        return self._apply(ops.Maximum(), *self._given("maximum", self, other))

    def minimum(self, other: Any) -> Tensor:
        """The smaller of two, element by element; equals share the gradient."""
        return self._apply(ops.Minimum(), *self._given("minimum", self, other))

    def where(self, condition: Any, other: Any) -> Tensor:
        """This tensor where the condition holds, else `other`."""
        x, other = self._given("where", self, other)
        return self._apply(ops.Where(), self._as_tensor(condition).to(dtypes.bool_), x, other)

    def masked_fill(self, mask: Any, value: float) -> Tensor:
        """`value` where the mask is true, else this tensor."""
        return self.where(~self._as_tensor(mask).to(dtypes.bool_), value).to(self.dtype)

    # ---- reductions

    def _reduce(self, kind: Any, dim: Any, keepdim: bool, alias: Alias, *settings: Any) -> Any:
        dim, keepdim = _numpy_names(dim, keepdim, alias)
        everything = isinstance(dim, (tuple, list)) and not dim  # PyTorch: none means all
        dims = normalise_dims(kind.name, None if everything else dim, self.ndim)
        return self._apply(kind(dims, keepdim, *settings), self)

    def _needs_float(self, operation: str) -> None:
        if not dtypes.is_floating(self.dtype):
            raise DtypeError(f"{operation}: needs floating-point numbers, not {self.dtype}; convert with .float()")

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, **alias: Unpack[Alias]) -> Tensor:
        """The sum, over all dimensions or over `dim`; of whole numbers and bools an int64."""
        x = self if dtype is None else self.to(dtypes.as_dtype(dtype))
        return x._reduce(ops.Sum, dim, keepdim, alias)

    def mean(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, **alias: Unpack[Alias]) -> Tensor:
        """The mean, over all dimensions or over `dim`."""
        x = self if dtype is None else self.to(dtypes.as_dtype(dtype))
        x._needs_float("mean")
        return x._reduce(ops.Mean, dim, keepdim, alias)

    def var(
        self,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float = 1,
        **alias: Unpack[Alias],
    ) -> Tensor:
        """The variance; `correction=1` (or `unbiased=True`) divides by n − 1, 0 (`unbiased=False`) by n."""
        return self._spread(ops.Var, dim, unbiased, keepdim, correction, alias)

    def std(
        self,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float = 1,
        **alias: Unpack[Alias],
    ) -> Tensor:
        """The standard deviation, `√var`."""
        return self._spread(ops.Std, dim, unbiased, keepdim, correction, alias)

    def _spread(
        self, kind: Any, dim: Any, unbiased: bool | None, keepdim: bool, correction: float, alias: Alias
    ) -> Tensor:
        self._needs_float(kind.name)
        if isinstance(dim, bool):  # x.var(False)
            dim, unbiased = None, dim
        if unbiased is not None and correction != 1:
            raise TypeError(f"{kind.name}: give unbiased or correction, not both")
        return self._reduce(kind, dim, keepdim, alias, correction if unbiased is None else int(unbiased))

    def norm(
        self, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None, **alias: Unpack[Alias]
    ) -> Tensor:
        """The length `(Σ |x|ᵖ)^(1/p)`, over all dimensions or over `dim`; its gradient at 0 is taken as 0."""
        x = self if dtype is None else self.to(dtypes.as_dtype(dtype))
        x._needs_float("norm")
        size, p = x.to(dtypes.accumulator(x.dtype)).abs(), 2 if p == "fro" else float(p)
        if math.isinf(p):
            return size._reduce(ops.Amax if p > 0 else ops.Amin, dim, keepdim, alias).to(x.dtype)
        if p == 0:
            return (size != 0).sum(dim, keepdim, **alias).to(x.dtype)
        if p == 1:
            return size.sum(dim, keepdim, **alias).to(x.dtype)
        powers = size**2 if p == 2 else _where_not_0(size, lambda positive: positive**p)
        total = powers.sum(dim, keepdim, **alias)
        return _where_not_0(total, lambda positive: positive ** (1 / p)).to(x.dtype)

    def amax(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """The largest number over one or several dimensions; equals share the gradient."""
        return self._reduce(ops.Amax, dim, keepdim, alias)

    def amin(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """The smallest number over one or several dimensions; equals share the gradient."""
        return self._reduce(ops.Amin, dim, keepdim, alias)

    def max(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Any:
        """The largest number; along `dim` also where it stands: `(values, indices)`. A tensor as `dim`: `maximum`."""
        return self._extremum(ops.Amax, True, dim, keepdim, alias)

    def min(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Any:
        """The smallest number; along `dim` also where it stands: `(values, indices)`. A tensor as `dim`: `minimum`."""
        return self._extremum(ops.Amin, False, dim, keepdim, alias)

    def _extremum(self, total: Any, largest: bool, dim: Any, keepdim: bool, alias: Alias) -> Any:
        if isinstance(dim, TensorMethods):
            return self.maximum(dim) if largest else self.minimum(dim)
        dim, keepdim = _numpy_names(dim, keepdim, alias)
        if dim is None:
            return self._reduce(total, None, keepdim, {})
        return Extremes(*self._along(ops.Extremum, dim, keepdim, largest))

    def _along(self, kind: Any, dim: int, *settings: Any) -> Any:
        name = kind.name if isinstance(kind.name, str) else "max/min"
        if not isinstance(dim, (int, np.integer)):
            raise TypeError(f"{name}: dim={dim!r} must be one whole number (amax and amin take several)")
        dims = normalise_dims(name, dim, self.ndim)
        return self._apply(kind(dims[0], *settings), self) if dims else self._scalar_along(kind, *settings)

    def _scalar_along(self, kind: Any, *settings: Any) -> Any:
        results = self.reshape(1)._along(kind, 0, *settings)
        return tuple(r.reshape(()) for r in results) if isinstance(results, tuple) else results.reshape(())

    def prod(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """The product, over all dimensions or over `dim`."""
        return self._reduce(ops.Prod, dim, keepdim, alias)

    def logsumexp(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """`log Σ eˣ` over `dim`, without overflow."""
        (x,) = self._operands("logsumexp", self, floating=True)
        return x._reduce(ops.LogSumExp, dim, keepdim, alias)

    def softmax(self, dim: int, dtype: Any = None) -> Tensor:
        """Probabilities along `dim`: `eˣ / Σ eˣ`."""
        x = self if dtype is None else self.to(dtypes.as_dtype(dtype))
        (x,) = self._operands("softmax", x, floating=True)
        return x._along(ops.Softmax, dim)

    def log_softmax(self, dim: int, dtype: Any = None) -> Tensor:
        """The logarithm of `softmax(dim)`."""
        x = self if dtype is None else self.to(dtypes.as_dtype(dtype))
        (x,) = self._operands("log_softmax", x, floating=True)
        return x._along(ops.LogSoftmax, dim)

    def argmax(self, dim: int | None = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """Where the largest number stands: its index along `dim`, or in the flattened tensor."""
        return self._arg("argmax", dim, keepdim, alias)

    def argmin(self, dim: int | None = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """Where the smallest number stands: its index along `dim`, or in the flattened tensor."""
        return self._arg("argmin", dim, keepdim, alias)

    def _arg(self, name: str, dim: Any, keepdim: bool, alias: Alias) -> Tensor:
        dim, keepdim = _numpy_names(dim, keepdim, alias)
        dims = normalise_dims(name, dim, self.ndim)
        if not math.prod(self.shape[axis] for axis in dims):
            raise ShapeError(f"{name}: dimensions {dims} of a tensor of shape {self.shape} hold no numbers")
        return self._apply(Plain(name, lambda x: getattr(x, name)(axis=dim, keepdims=keepdim)), self)

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Extremes:
        """The numbers along `dim` in order, and where each stood; equals keep their order."""
        return Extremes(*self._along(ops.Sort, dim, descending))

    def argsort(self, dim: int = -1, descending: bool = False) -> Tensor:
        """Where the numbers along `dim` stand in order."""
        return self.sort(dim, descending).indices

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extremes:
        """The k largest (or smallest) numbers along `dim`, always in order, and where they stood."""
        values, indices = self.sort(dim, descending=largest)
        size = self.shape[dim] if self.ndim else 1
        if not 0 <= k <= size:
            raise ShapeError(f"topk: k={k} of {size} numbers along dimension {dim} of shape {self.shape}")
        first = (*(slice(None),) * (dim % max(self.ndim, 1)), slice(k)) if self.ndim else ()
        return Extremes(values[first], indices[first])

    # ---- shape

    def reshape(self, *shape: Any) -> Tensor:
        """The same numbers in the same order, in another shape; one size may be −1: what is left."""
        return self._apply(ops.Reshape(_resolve("reshape", self.shape, _sizes(shape))), self)

    def view(self, *shape: Any) -> Tensor:
        """`reshape` that never copies: the result shares this tensor's memory."""
        result = self.reshape(*shape)
        if math.prod(self.shape) and owner(result._data) is not owner(self._data):
            raise ShapeError(
                f"view: {self.shape} cannot become {result.shape} without copying, since the numbers do not lie "
                "in order; use reshape(...), which copies where it must"
            )
        return result

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Dimensions start_dim … end_dim as one: `x.flatten(1)` makes (N, C, H, W) into (N, C·H·W)."""
        if not self.ndim:
            return self.reshape(1)
        (start,) = normalise_dims("flatten", start_dim, self.ndim)
        (end,) = normalise_dims("flatten", end_dim, self.ndim)
        if start > end:
            raise ShapeError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
        middle = math.prod(self.shape[start : end + 1])
        return self.reshape(self.shape[:start] + (middle,) + self.shape[end + 1 :])

    def permute(self, *order: Any) -> Tensor:
        """The dimensions in another order."""
        dims = normalise_dims("permute", _sizes(order), self.ndim)
        if len(dims) != self.ndim:
            raise ShapeError(f"permute: {_sizes(order)} must name each of the {self.ndim} dimensions of {self.shape}")
        return self._apply(ops.Permute(dims), self)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Two dimensions exchanged."""
        order = list(range(self.ndim))
        (a,), (b,) = (normalise_dims("transpose", d, self.ndim) or (0,) for d in (dim0, dim1))
        if order:
            order[a], order[b] = order[b], order[a]
        return self._apply(ops.Permute(tuple(order)), self)

    def t(self) -> Tensor:
        """A matrix with rows and columns exchanged."""
        if self.ndim > 2:
            raise ShapeError(f"t: {self.shape} has more than 2 dimensions; use transpose(dim0, dim1)")
        return self.T

    @property
    def T(self) -> Tensor:
        """All dimensions in reverse order."""
        return self._apply(ops.Permute(tuple(range(self.ndim))[::-1]), self)

    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged: each matrix of a stack transposed."""
        return self.transpose(-2, -1)

    def squeeze(self, dim: Ints | None = None) -> Tensor:
        """Without the dimensions of size 1 (among `dim`)."""
        dims = normalise_dims("squeeze", dim, self.ndim)
        return self.reshape(tuple(n for axis, n in enumerate(self.shape) if n != 1 or axis not in dims))

    def unsqueeze(self, dim: int) -> Tensor:
        """With a new dimension of size 1 at place `dim`."""
        (place,) = normalise_dims("unsqueeze", dim, self.ndim + 1)
        return self.reshape(self.shape[:place] + (1,) + self.shape[place:])

    def expand(self, *sizes: Any) -> Tensor:
        """Repeated along new leading dimensions, or along dimensions of size 1, without copying; −1 keeps a size."""
        wanted = _sizes(sizes)
        new = len(wanted) - self.ndim
        if new < 0:
            raise ShapeError(f"expand: {wanted} has fewer dimensions than the tensor's shape {self.shape}")
        target = tuple(self.shape[i - new] if n == -1 and i >= new else n for i, n in enumerate(wanted))
        if any(a not in (1, b) for a, b in zip(self.shape, target[new:])) or min(target, default=0) < 0:
            raise ShapeError(f"expand: only dimensions of size 1 can grow; {self.shape} cannot become {wanted}")
        return self._apply(ops.Expand(target), self)

    def expand_as(self, other: Tensor) -> Tensor:
        """`expand` to the shape of another tensor."""
        return self.expand(other.shape)

    def view_as(self, other: Tensor) -> Tensor:
        """`view` in the shape of another tensor."""
        return self.view(other.shape)

    def repeat(self, *times: Any) -> Tensor:
        """Copies next to each other, so many along each dimension; further ones in front make new dimensions."""
        counts = _sizes(times)
        if len(counts) < self.ndim or min(counts, default=0) < 0:
            raise ShapeError(f"repeat: {counts} must give a count for each dimension of {self.shape}, and none below 0")
        sizes = (1,) * (len(counts) - self.ndim) + self.shape
        pairs = [n for count, size in zip(counts, sizes) for n in (count, size)]
        apart = self.reshape([n for size in sizes for n in (1, size)]).expand(pairs)
        return apart.reshape([count * size for count, size in zip(counts, sizes)]).clone()

    def broadcast_to(self, *sizes: Any) -> Tensor:
        """`expand`."""
        return self.expand(*sizes)

    def flip(self, *dims: Any) -> Tensor:
        """In reverse order along some dimensions."""
        return self._apply(ops.Flip(normalise_dims("flip", _sizes(dims), self.ndim)), self)

    def split(self, split_size: int | list[int] | tuple[int, ...], dim: int = 0) -> tuple[Tensor, ...]:
        """In pieces along `dim`: of one size (the last may be smaller), or of the sizes listed."""
        axis = one_dim("split", dim, self.ndim)
        n = self.shape[axis]
        if isinstance(split_size, int):
            if split_size < 1:
                raise ShapeError(f"split: the size of a piece must be at least 1, not {split_size}")
            sizes = [min(split_size, n - start) for start in range(0, n, split_size)] or [0]
        else:
            sizes = list(split_size)
            if sum(sizes) != n or min(sizes, default=0) < 0:
                raise ShapeError(f"split: sizes {sizes} must add up to {n}, dimension {axis} of {self.shape}")
        ends = np.cumsum(sizes).tolist()
        return tuple(self[(slice(None),) * axis + (slice(end - size, end),)] for size, end in zip(sizes, ends))

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """In at most `chunks` pieces along `dim`, all but the last of one size."""
        if chunks < 1:
            raise ShapeError(f"chunk: the number of pieces must be at least 1, not {chunks}")
        axis = one_dim("chunk", dim, self.ndim)
        return self.split(max(1, -(-self.shape[axis] // chunks)), dim)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """One tensor for each entry along `dim`."""
        axis = one_dim("unbind", dim, self.ndim)
        return tuple(self[(slice(None),) * axis + (i,)] for i in range(self.shape[axis]))

    # ---- like this one

    def new_zeros(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        """Zeros in this tensor's format and on its device, unless said otherwise."""
        return self._new(0, size, dtype, device, requires_grad)

    def new_ones(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        """Ones in this tensor's format and on its device, unless said otherwise."""
        return self._new(1, size, dtype, device, requires_grad)

    def _new(self, value: int, size: tuple[Any, ...], dtype: Any, device: Any, requires_grad: bool) -> Any:
        array = np.full(_sizes(size), value, self.dtype if dtype is None else dtypes.as_dtype(dtype))
        return self._as_tensor(array).to(device=device).requires_grad_(requires_grad)

    def nelement(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    def is_floating_point(self) -> bool:
        """Whether the number format is one that can carry gradients."""
        return dtypes.is_floating(self.dtype)

    # ---- indexing

    def __getitem__(self, index: Any) -> Tensor:
        result: Any = self
        for stage in self._index(index):
            result = self._apply(ops.Index(stage), result)
        return result

    def _index(self, index: Any) -> tuple[tuple[Any, ...], ...]:
        """An index, with tensors, arrays and lists as arrays of this tensor's library, in one stage or two.

        In PyTorch, `x[1, :, picks]` is `x[1][:, picks]`. NumPy would take the 1 for a picking array, and move the
        picked dimension to the front. So whole numbers and slices come first, picks second.
        """
        parts = tuple(self._index_part(part) for part in (index if isinstance(index, tuple) else (index,)))
        if not any(map(is_array, parts)) or not any(map(_is_number, parts)):
            return (parts,)
        first: list[Any] = []
        second: list[Any] = []
        for part in parts:
            if is_array(part):
                first += [slice(None)] * (part.ndim if part.dtype == dtypes.bool_ else 1)
                second.append(part)
            else:
                first.append(part)
                if not _is_number(part):
                    second.append(Ellipsis if part is Ellipsis else slice(None))
        return tuple(first), tuple(second)

    def _index_part(self, part: Any) -> Any:
        if isinstance(part, (int, slice, np.integer)) or part is None or part is Ellipsis:
            return part
        picks = self._as_tensor(part)
        if picks.dtype == dtypes.uint8:
            raise DtypeError("index: uint8 numbers could be places or a mask; say which with .long() or .bool()")
        if not picks.ndim and picks.dtype.kind == "i":
            return picks.item()
        if dtypes.is_floating(picks.dtype) and math.prod(picks.shape):
            raise DtypeError(
                f"index: picks with {picks.dtype} numbers; an index is whole numbers or bools: use .long()"
            )
        picks = picks.long() if dtypes.is_floating(picks.dtype) else picks  # [] is float
        return (picks.clone() if picks is part else picks)._data  # backward must find it as it is now

    def gather(self, dim: int, index: Any) -> Tensor:
        """One entry along `dim` for each entry of `index`: `y[i,j] = x[index[i,j], j]` for dim 0."""
        picks = self._as_tensor(index)
        if dtypes.is_floating(picks.dtype):
            raise DtypeError(f"gather: index is {picks.dtype}; it must be whole numbers: use .long()")
        if not self.ndim:
            return self.reshape(1).gather(dim, picks.reshape(-1)).reshape(picks.shape)
        return self._apply(ops.Gather(one_dim("gather", dim, self.ndim)), self, picks)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("a 0-d tensor cannot be iterated over; its number is .item()")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:
        found = self == value
        if not isinstance(found, TensorMethods):
            raise TypeError(f"in: a {type(value).__name__} is no number that a tensor could hold")
        return bool(found.any())


class Plain(Function):
    """A computation without a gradient, such as a comparison."""

    differentiable = False

    def __init__(self, name: str, compute: Callable[..., Any]) -> None:
        self.name = name
        self.compute = compute

    def check_shapes(self, shapes: tuple[Shape | None, ...]) -> dict[str, int]:
        """Two tensors must be broadcastable."""
        given = [shape for shape in shapes if shape is not None]
        if len(given) == 2:
            broadcast_shapes(self.name, given[0], given[1])
        return {}

    def check(self, *arrays: Any) -> None:
        """Floats have no bits to combine."""
        if self.name in ("&", "|", "^", "~") and any(getattr(a, "dtype", dtypes.bool_).kind == "f" for a in arrays):
            raise DtypeError(
                f"{self.name}: takes bools and whole numbers, not floats; compare first, as in (x > 0) {self.name} …, "
                "or convert with .bool()"
            )

    def forward(self, *arrays: Any) -> Any:
        """The result."""
        return self.compute(*arrays)


class Flat(Plain):
    """A function of steps: its derivative is 0."""

    differentiable = True

    def forward(self, *arrays: Any) -> Any:
        """The result, in the format of x: before NumPy 2.1, floor made floats of whole numbers."""
        return self.compute(*arrays).astype(arrays[0].dtype, copy=False)

    def backward(self, dy: Any) -> Any:
        """Nothing changes with x."""
        return namespace(dy).zeros_like(dy)


def _is_number(part: Any) -> bool:
    return isinstance(part, (int, np.integer)) and not isinstance(part, bool)


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_)) or getattr(value, "dtype", None) == dtypes.bool_


def _where_not_0(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """`function(x)`; where x is 0, the result and the gradient are 0."""
    zero = x == 0
    return function(x.masked_fill(zero, 1)).masked_fill(zero, 0)


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    flat = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer)) else sizes
    return tuple(int(n) for n in flat)


def _resolve(operation: str, shape: Shape, wanted: Shape) -> Shape:
    """A wanted shape with its −1 replaced by what is left.

    >>> _resolve("reshape", (2, 6), (3, -1))
    (3, 4)
    """
    total, known = math.prod(shape), math.prod(n for n in wanted if n != -1)
    result = wanted
    if wanted.count(-1) == 1 and known and total % known == 0:
        result = tuple(total // known if n == -1 else n for n in wanted)
    if math.prod(result) != total or min(result, default=0) < 0:
        raise ShapeError(f"{operation}: {shape} holds {total} numbers, which do not fit into shape {wanted}")
    return result
