"""Networks, ready to train.

| file | what it holds |
|---|---|
| `lenet.py`, `lenet1998.py`, `bitmaps.py` | `LeNet5`; what only that of 1998 has |
| `alexnet.py` | `AlexNet` |
| `vgg.py` | `VGG` |
| `googlenet.py` | `GoogLeNet`, `Inception`, `AuxiliaryLoss` |
| `convnetjs.py` | `ConvNetJS` |
| `registry.py` | `create("lenet5", …)`, `list_models()`, `variants("lenet5")` |
| `base.py`, `stacks.py`, `sizes.py` | what they share: `ImageModel`; small networks as numbers; which images fit |
| `transfer.py` | `freeze`, `unfreeze`, `replace_head`, `parameter_groups` |
| `feature_space.py` | `features` of inner layers, `nearest_neighbours` |
| `ensemble.py` | `Ensemble` |
| `paths.py` | parts of a network by name |
"""

from tinygrad_cnn.models.alexnet import AlexNet
from tinygrad_cnn.models.base import ImageModel
from tinygrad_cnn.models.convnetjs import ConvNetJS
from tinygrad_cnn.models.ensemble import Ensemble
from tinygrad_cnn.models.feature_space import Neighbours, features, nearest_neighbours
from tinygrad_cnn.models.googlenet import AuxiliaryLoss, GoogLeNet, GoogLeNetOutputs, Inception
from tinygrad_cnn.models.lenet import LeNet5
from tinygrad_cnn.models.registry import create, list_models, options, variants
from tinygrad_cnn.models.transfer import freeze, parameter_groups, replace_head, unfreeze
from tinygrad_cnn.models.vgg import VGG

__all__ = [
    "VGG",
    "AlexNet",
    "AuxiliaryLoss",
    "ConvNetJS",
    "Ensemble",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "ImageModel",
    "Inception",
    "LeNet5",
    "Neighbours",
    "create",
    "features",
    "freeze",
    "list_models",
    "nearest_neighbours",
    "options",
    "parameter_groups",
    "replace_head",
    "unfreeze",
    "variants",
]
