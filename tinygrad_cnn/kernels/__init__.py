"""How operations are computed.

- `table`: name → implementation per array library, and `use(...)` to put in one's own
- `reference`: the textbook, readable on one screen each, for any array library
- `optimizers`: the update rules of the optimizers
- `cpu`: fast NumPy, file by file as the reference
- `cuda`: fast CuPy, likewise
- `threads`: the batch split over cores

Every kernel is an attribute: `kernels.conv2d_forward(x, weight, bias, window)`.
"""

from tinygrad_cnn.kernels import cpu, cuda, optimizers, reference, threads
from tinygrad_cnn.kernels.table import Kernel, KernelError, any_overridden, get, kernel, names, overridden, use

__all__ = [
    "Kernel",
    "KernelError",
    "any_overridden",
    "cpu",
    "cuda",
    "get",
    "kernel",
    "names",
    "optimizers",
    "overridden",
    "reference",
    "threads",
    "use",
]


def __getattr__(name: str) -> Kernel:
    try:
        globals()[name] = found = get(name)  # the next time it is an attribute like any other
    except KernelError as error:
        raise AttributeError(str(error)) from None
    return found
