"""tinygrad_cnn: understand convolutional networks by reading, and running, all of one.

    import tinygrad_cnn as tcnn
    from tinygrad_cnn import nn, optim
    import tinygrad_cnn.nn.functional as F

`docs/architecture.md` shows the rooms of the package; `autograd.py` is the place to begin reading.
This project is not affiliated with tinygrad.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinygrad_cnn import autograd, backends, checks, creation, cuda, dtypes, forms, functional, kernels, random, shapes
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
from tinygrad_cnn.forms import (
    add,
    allclose,
    amax,
    amin,
    argmax,
    argmin,
    argsort,
    as_tensor,
    broadcast_to,
    ceil,
    chunk,
    clamp,
    clip,
    clone,
    cos,
    div,
    dot,
    eq,
    equal,
    exp,
    flip,
    floor,
    gather,
    ge,
    gt,
    is_floating_point,
    is_tensor,
    isfinite,
    isinf,
    isnan,
    le,
    log,
    logsumexp,
    lt,
    masked_fill,
    mean,
    mm,
    mul,
    ne,
    neg,
    norm,
    numel,
    permute,
    prod,
    reshape,
    sign,
    sin,
    split,
    sqrt,
    square,
    squeeze,
    std,
    sub,
    transpose,
    unbind,
    unsqueeze,
    var,
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
from tinygrad_cnn.kernels.threads import get_num_threads, set_num_threads
from tinygrad_cnn.random import Generator, default_generator, manual_seed
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.sizes import output_size, receptive_field, same_padding, strict_sizes

if TYPE_CHECKING:
    from tinygrad_cnn import data, keras, models, nn, optim, tables, training, viz

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
    "add",
    "allclose",
    "amax",
    "amin",
    "apply",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "as_tensor",
    "autograd",
    "backends",
    "bool_",
    "broadcast_to",
    "cat",
    "ceil",
    "checks",
    "chunk",
    "clamp",
    "clip",
    "clone",
    "cos",
    "creation",
    "cuda",
    "data",
    "default_generator",
    "device",
    "div",
    "dot",
    "double",
    "dtypes",
    "empty",
    "enable_grad",
    "eq",
    "equal",
    "exp",
    "explain_grad",
    "eye",
    "flatten",
    "flip",
    "float16",
    "float32",
    "float64",
    "floor",
    "forms",
    "from_numpy",
    "full",
    "full_like",
    "functional",
    "gather",
    "ge",
    "get_default_device",
    "get_num_threads",
    "grad",
    "gradcheck",
    "gt",
    "half",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_floating_point",
    "is_grad_enabled",
    "is_tensor",
    "isfinite",
    "isinf",
    "isnan",
    "keras",
    "kernels",
    "le",
    "linspace",
    "log",
    "log_softmax",
    "logsumexp",
    "long",
    "lt",
    "manual_seed",
    "masked_fill",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "mm",
    "models",
    "mul",
    "ne",
    "neg",
    "nn",
    "no_grad",
    "norm",
    "numel",
    "ones",
    "ones_like",
    "optim",
    "output_size",
    "permute",
    "prod",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "random",
    "randperm",
    "receptive_field",
    "relu",
    "reshape",
    "same_padding",
    "set_default_device",
    "set_grad_enabled",
    "set_num_threads",
    "shapes",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "strict_sizes",
    "sub",
    "tables",
    "tanh",
    "tensor",
    "topk",
    "training",
    "transpose",
    "uint8",
    "unbind",
    "unsqueeze",
    "var",
    "viz",
    "where",
    "zeros",
    "zeros_like",
]

# PyTorch's names that are Python's, too; `from tinygrad_cnn import *` leaves Python's alone
double, half, long = float64, float16, int64
float, int, bool = float32, int32, bool_
abs, all, any, max, min, pow, round, sum = (
    forms.abs, forms.all, forms.any, forms.max, forms.min, forms.pow, forms.round, forms.sum,
)  # fmt: skip


def device(name: str) -> str:
    """The full name of a device, checked: `"cpu"`, `"cuda:0"`.

    Raises:
        DeviceError: If there is no such device or it cannot be used.

    >>> device("cpu")
    'cpu'
    """
    return backends.get(name).name


# rooms that are opened when they are first used, so that `import tinygrad_cnn` stays quick
_LAZY = ("data", "exercises", "keras", "models", "nn", "optim", "tables", "training", "viz")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"tinygrad_cnn.{name}")
    raise AttributeError(f"module 'tinygrad_cnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
