"""How operations are computed.

- `table`: name → implementation per array library, and `use(...)` to put in one's own
- `reference`: the textbook, readable on one screen each, for any array library
- `optimizers`: the update rules of the optimizers
- `cpu`: fast NumPy, file by file as the reference
- `threads`: the batch split over cores

Every kernel is an attribute: `kernels.conv2d_forward(x, weight, bias, window)`.
"""

from tinygrad_cnn.kernels import cpu, optimizers, reference, threads
from tinygrad_cnn.kernels.table import Kernel, KernelError, get, kernel, names, overridden, use

__all__ = [
    "Kernel",
    "KernelError",
    "cpu",
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
        return get(name)
    except KernelError as error:
        raise AttributeError(str(error)) from None
