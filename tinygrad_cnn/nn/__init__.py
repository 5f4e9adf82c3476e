"""Layers, and the containers that make networks of them.

| file | what it holds |
|---|---|
| `parameter.py` | `Parameter`: a tensor that is trained |
| `tree.py` | `ModuleTree`: how a module finds its parameters, buffers and submodules by name |
| `module.py` | `Module`: calling, hooks, train/eval, moving, saving |
| `saving.py` | `load_state_dict`: what fits, what is missing, what conflicts |
| `container.py` | `Sequential`, `ModuleList`, `ModuleDict` |
| `linear.py` | `Linear`, `Flatten`, `Identity` |
| `conv.py` | `Conv2d` |
| `pool.py` | `MaxPool2d`, `AvgPool2d` |
| `norm.py` | `BatchNorm1d`, `BatchNorm2d` |
| `activation.py` | `ReLU`, `LeakyReLU`, `Sigmoid`, `Tanh`, `Softmax`, `LogSoftmax` |
| `dropout.py` | `Dropout` |
| `loss.py` | `CrossEntropyLoss`, `NLLLoss`, `MSELoss`, `BCEWithLogitsLoss` |
| `init.py` | first values of parameters |
| `utils.py` | gradient clipping, parameters as one vector |
| `functional.py` | the functions behind the layers: `import tinygrad_cnn.nn.functional as F` |
| `arguments.py` | checks of layers' arguments |

A layer holds parameters and calls a function; the arithmetic is in `tinygrad_cnn/ops` and the kernels.
"""

from tinygrad_cnn.nn import functional, init, utils
from tinygrad_cnn.nn.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from tinygrad_cnn.nn.container import ModuleDict, ModuleList, Sequential
from tinygrad_cnn.nn.conv import Conv2d
from tinygrad_cnn.nn.dropout import Dropout
from tinygrad_cnn.nn.linear import Flatten, Identity, Linear
from tinygrad_cnn.nn.loss import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, NLLLoss
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.norm import BatchNorm1d, BatchNorm2d
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.pool import AvgPool2d, MaxPool2d

__all__ = [
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "functional",
    "init",
    "utils",
]
