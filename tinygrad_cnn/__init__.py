"""tinygrad_cnn: understand convolutional networks by reading, and running, all of one.

    import tinygrad_cnn as tcnn
    from tinygrad_cnn import nn, optim
    import tinygrad_cnn.nn.functional as F

`docs/architecture.md` shows the rooms of the package; `autograd.py` is the place to begin reading.
This project is not affiliated with tinygrad.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinygrad_cnn import autograd, backends, checks, creation, dtypes, functional, kernels, random, shapes
from tinygrad_cnn.about import TinygradCnnWarning, __version__
from tinygrad_cnn.autograd import (
    Tensor,
    apply,
    enable_grad,
    explain_grad,
    from_numpy,
    grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
    tensor,
)
from tinygrad_cnn.backends import DeviceError, get_default_device, set_default_device
from tinygrad_cnn.checks import GradcheckError, gradcheck
from tinygrad_cnn.creation import (
    arange,
    empty,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    zeros,
    zeros_like,
)
from tinygrad_cnn.dtypes import (
    DtypeError,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from tinygrad_cnn.function import Function, GraphError
from tinygrad_cnn.functional import (
    cat,
    flatten,
    log_softmax,
    matmul,
    maximum,
    minimum,
    relu,
    sigmoid,
    softmax,
    sort,
    stack,
    tanh,
    topk,
    where,
)
from tinygrad_cnn.kernels.threads import get_num_threads, respect_quota, set_num_threads
from tinygrad_cnn.random import Generator, default_generator, manual_seed
from tinygrad_cnn.shapes import ShapeError

if TYPE_CHECKING:
    from tinygrad_cnn import data, models, nn, optim, tables, training, viz

__all__ = [
    "DeviceError",
    "DtypeError",
    "Function",
    "Generator",
    "GradcheckError",
    "GraphError",
    "ShapeError",
    "Tensor",
    "TinygradCnnWarning",
    "__version__",
    "apply",
    "arange",
    "autograd",
    "backends",
    "bool_",
    "cat",
    "checks",
    "creation",
    "data",
    "default_generator",
    "dtypes",
    "empty",
    "enable_grad",
    "explain_grad",
    "eye",
    "flatten",
    "float16",
    "float32",
    "float64",
    "from_numpy",
    "full",
    "full_like",
    "functional",
    "get_default_device",
    "get_num_threads",
    "grad",
    "gradcheck",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "kernels",
    "linspace",
    "log_softmax",
    "manual_seed",
    "matmul",
    "maximum",
    "minimum",
    "models",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "optim",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "random",
    "randperm",
    "relu",
    "set_default_device",
    "set_grad_enabled",
    "set_num_threads",
    "shapes",
    "sigmoid",
    "softmax",
    "sort",
    "stack",
    "tables",
    "tanh",
    "tensor",
    "topk",
    "training",
    "uint8",
    "viz",
    "where",
    "zeros",
    "zeros_like",
]

respect_quota()

# rooms that are opened when they are first used, so that `import tinygrad_cnn` stays quick
_LAZY = ("data", "models", "nn", "optim", "tables", "training", "viz")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"tinygrad_cnn.{name}")
    raise AttributeError(f"module 'tinygrad_cnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
