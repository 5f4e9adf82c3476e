"""Networks, ready to train.

| file | what it holds |
|---|---|
| `lenet.py` | `LeNet5` |
| `registry.py` | `create("lenet5", …)`, `available()` |
| `sizes.py` | how large the image is behind a stack of layers |
"""

from tinygrad_cnn.models.lenet import LeNet5
from tinygrad_cnn.models.registry import available, create

__all__ = ["LeNet5", "available", "create"]
