"""What happens to one element, in a few lines of CUDA C; CuPy makes a kernel of it, for all elements at once.

A GPU starts a thread for every element, thousands at a time, in no order. So a kernel says only what becomes of one of
them, from the arrays it reads to those it writes:

    Each("T dy, bool mask", "T dx", "dx = mask ? dy : T(0)", name="relu_backward")

`T` is whatever number format the first array has. Arrays of other shapes are repeated as in NumPy. Within the lines,
`i` is the number of the element; an array that is `raw` is indexed by them, `x[j]`, in C's order of the indices. One
kernel instead of a chain of `xp` functions: each of these would start a kernel of its own (some microseconds) and go
through the memory once more (the rest of the time).

`Sum` is the same for what is added up along some axes. The plain version of each kernel is the one in `reference/`,
with which the tests compare it; without a GPU they compile these lines for the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.backends import namespace

Array = Any


class Each:
    """A kernel with a thread for each element.

    Args:
        reads: What it reads, as CUDA C's parameters: `"T x, raw T weight, int32 H"`.
        writes: What it writes; made anew in C's order where the call does not give it.
        body: What becomes of an element.
        name: Of the kernel, as a profiler shows it.
        helpers: Functions the body calls.
    """

    #: All there are, for the tests.
    made: list[Each] = []  # noqa: RUF012  # it is meant to be shared

    def __init__(self, reads: str, writes: str, body: str, *, name: str, helpers: str = "") -> None:
        self.reads, self.writes, self.body, self.name, self.helpers = reads, writes, body, name, helpers
        self._compiled: dict[Any, Any] = {}
        self.made.append(self)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.reads} -> {self.writes}>"

    def __call__(self, *arguments: Any, size: int | None = None) -> Any:
        """The arrays it writes.

        Args:
            *arguments: Arrays and numbers it reads, then the arrays to write into, if there are some already.
            size: How many elements there are, where only `raw` arrays are read.
        """
        compiled = self._for(arguments)
        return compiled(*arguments) if size is None else compiled(*arguments, size=size)

    def _for(self, arguments: tuple[Any, ...]) -> Any:
        """The kernel for the array library of the first array."""
        xp = next(namespace(a) for a in arguments if not isinstance(a, (int, float, np.generic)))
        if xp not in self._compiled:
            self._compiled[xp] = self._compile(xp)
        return self._compiled[xp]

    def _compile(self, xp: Any) -> Any:
        return xp.ElementwiseKernel(self.reads, self.writes, self.body, self.name, preamble=self.helpers)


class Sum(Each):
    """A kernel that adds up, along some axes: `Sum("T x, T mean", "T y", "(x - mean) * (x - mean)", name=…)`.

    The body is one expression, of one element; what is read is repeated to one shape first.
    """

    def __call__(self, *arguments: Any, axis: tuple[int, ...]) -> Any:  # type: ignore[override]
        """The sums, the axes staying with size 1."""
        return self._for(arguments)(*arguments, axis=axis, keepdims=True)

    def _compile(self, xp: Any) -> Any:
        total = self.writes.split()[-1]
        return xp.ReductionKernel(
            self.reads, self.writes, self.body, "a + b", f"{total} = a", "0", self.name, preamble=self.helpers
        )


def taken(*arrays: Array | None) -> bool:
    """Whether our kernels take these arrays: all float32, or all float64, and few enough to be counted by an int.

    The readable kernels do the rest: half precision, which has to be added up in a wider format, and mixed formats.
    """
    formats = {a.dtype for a in arrays if a is not None}
    return (
        len(formats) == 1
        and formats.pop() in ("float32", "float64")
        and all(a.size < 2**31 for a in arrays if a is not None)
    )
