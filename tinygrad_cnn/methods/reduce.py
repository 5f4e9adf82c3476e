"""Many numbers to one: sums, means, spreads and norms; and softmax, whose sum is 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from tinygrad_cnn import dtypes, ops
from tinygrad_cnn.methods.dims import Alias, Dims, numpy_names
from tinygrad_cnn.shapes import Ints, normalise_dims

if TYPE_CHECKING:
    from tinygrad_cnn.autograd import Tensor


class Reductions(Dims):
    """Over all dimensions, or over `dim`."""

    __slots__ = ()

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, **alias: Unpack[Alias]) -> Tensor:
        """The sum, over all dimensions or over `dim`; of whole numbers and bools an int64."""
        return self.to(dtype=dtype)._reduce(ops.Sum, dim, keepdim, alias)

    def mean(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, **alias: Unpack[Alias]) -> Tensor:
        """The mean, over all dimensions or over `dim`."""
        x = self.to(dtype=dtype)
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
        x: Any = self.to(dtype=dtype)
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

    def prod(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """The product, over all dimensions or over `dim`."""
        return self._reduce(ops.Prod, dim, keepdim, alias)

    def any(self, dim: Ints | None = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """True where any element (along `dim`) is not 0."""
        return self._logical("any", dim, keepdim, alias)

    def all(self, dim: Ints | None = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """True where all elements (along `dim`) are not 0."""
        return self._logical("all", dim, keepdim, alias)

    def _logical(self, name: str, dim: Any, keepdim: bool, alias: Alias) -> Tensor:
        dim, keepdim = numpy_names(dim, keepdim, alias)
        dims = normalise_dims(name, dim, self.ndim)
        return self._apply(ops.Plain(name, lambda x: getattr(x, name)(axis=dims, keepdims=keepdim)), self)

    def logsumexp(self, dim: Any = None, keepdim: bool = False, **alias: Unpack[Alias]) -> Tensor:
        """`log Σ eˣ` over `dim`, without overflow."""
        (x,) = self._operands("logsumexp", self, floating=True)
        return x._reduce(ops.LogSumExp, dim, keepdim, alias)

    def softmax(self, dim: int, dtype: Any = None) -> Tensor:
        """Probabilities along `dim`: `eˣ / Σ eˣ`."""
        (x,) = self._operands("softmax", self.to(dtype=dtype), floating=True)
        return x._along(ops.Softmax, dim)

    def log_softmax(self, dim: int, dtype: Any = None) -> Tensor:
        """The logarithm of `softmax(dim)`."""
        (x,) = self._operands("log_softmax", self.to(dtype=dtype), floating=True)
        return x._along(ops.LogSoftmax, dim)


def _where_not_0(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """`function(x)`; where x is 0, the result and the gradient are 0."""
    zero = x == 0
    return function(x.masked_fill(zero, 1)).masked_fill(zero, 0)
