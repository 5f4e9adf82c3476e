"""Layers, and the containers that make networks of them.

| file | what it holds |
|---|---|
| `parameter.py` | `Parameter`: a tensor that is trained |
| `tree.py` | `ModuleTree`: how a module finds its parameters, buffers and submodules by name |
| `module.py` | `Module`: calling, hooks, train/eval, moving, saving |
| `saving.py` | `load_state_dict`: what fits, what is missing, what conflicts |
| `container.py` | `Sequential`, `ModuleList`, `ModuleDict` |
| `linear.py` | `Linear`, `Flatten`, `Identity` |
| `conv.py` | `Conv1d`, `Conv2d`, `Conv3d`, `ConvTranspose1d`, `ConvTranspose2d`, `ConvTranspose3d` |
| `padding.py` | `ZeroPad2d`, `ConstantPad2d`, `ReflectionPad2d`, `ReplicationPad2d`, `CircularPad2d`; also 1d, 3d |
| `upsample.py` | `Upsample`, `UpsamplingNearest2d`, `UpsamplingBilinear2d` |
| `pool.py` | `MaxPool1d`, `MaxPool2d`, `MaxPool3d`; so, too, `AvgPool…`, `LPPool…`, `MaxUnpool…`, `AdaptiveMaxPool…`, |
| | `AdaptiveAvgPool…`; `FeatureLPPool` over channels; `GlobalMaxPool2d`, `GlobalAvgPool2d` |
| `norm.py` | `BatchNorm1d` to `3d`, `InstanceNorm1d` to `3d`, `GroupNorm`, `LayerNorm`, `LocalResponseNorm` |
| `activation.py` | `ReLU`, `LeakyReLU`, `PReLU`, `ELU`, `SELU`, `GELU`, `SiLU`, `Hardtanh`, `ReLU6`, |
| | `Softplus`, `Sigmoid`, `LogSigmoid`, `Tanh`, `Softmax`, `Softmax2d`, `LogSoftmax` |
| `dropout.py` | `Dropout`, `Dropout1d` to `3d` |
| `loss.py` | `CrossEntropyLoss`, `NLLLoss`, `MSELoss`, `BCEWithLogitsLoss` |
| `subsampling.py` | LeNet-5's own: `Subsampling2d` |
| `connection.py` | `ConnectionConv2d`: each filter sees some channels |
| `scaled_tanh.py` | `ScaledTanh` |
| `rbf.py` | `EuclideanRBF`, and its loss `MAPLoss` |
| `walk.py` | `output_shape`: the shape behind a module, without computing |
| `init.py` | first values of parameters |
| `utils.py` | gradient clipping, parameters as one vector, evaluation mode for a while, no first values |
| `functional.py` | the functions behind the layers: `import tinygrad_cnn.nn.functional as F` |
| `arguments.py` | checks of layers' arguments |

A layer holds parameters and calls a function; the arithmetic is in `tinygrad_cnn/ops` and the kernels.
"""

import difflib
from typing import TYPE_CHECKING, NoReturn

from tinygrad_cnn.nn import functional, init, utils
from tinygrad_cnn.nn.activation import (
    ELU,
    GELU,
    SELU,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmax2d,
    Softplus,
    Tanh,
)
from tinygrad_cnn.nn.connection import ConnectionConv2d
from tinygrad_cnn.nn.container import ModuleDict, ModuleList, Sequential
from tinygrad_cnn.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinygrad_cnn.nn.dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from tinygrad_cnn.nn.linear import Flatten, Identity, Linear
from tinygrad_cnn.nn.loss import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, NLLLoss
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    LocalResponseNorm,
)
from tinygrad_cnn.nn.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    FeatureLPPool,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    LPPool1d,
    LPPool2d,
    LPPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
)
from tinygrad_cnn.nn.rbf import EuclideanRBF, MAPLoss
from tinygrad_cnn.nn.scaled_tanh import ScaledTanh
from tinygrad_cnn.nn.subsampling import Subsampling2d
from tinygrad_cnn.nn.upsample import Upsample, UpsamplingBilinear2d, UpsamplingNearest2d

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConnectionConv2d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "EuclideanRBF",
    "FeatureLPPool",
    "Flatten",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "GroupNorm",
    "Hardtanh",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSigmoid",
    "LogSoftmax",
    "MAPLoss",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ScaledTanh",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softplus",
    "Subsampling2d",
    "Tanh",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "functional",
    "init",
    "utils",
]


if not TYPE_CHECKING:  # else type checkers would take any name for one

    def __getattr__(name: str) -> NoReturn:
        lower = {known.lower(): known for known in __all__}
        near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.8)
        meant = f"did you mean nn.{lower[near[0]]}? " if near else ""
        raise AttributeError(f"nn has no {name}; {meant}Keras' names of layers are in tinygrad_cnn.keras")
