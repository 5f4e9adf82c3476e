"""Optimizers: how a gradient becomes a step.

| file | what it holds |
|---|---|
| `optimizer.py` | `Optimizer`: parameter groups, the loop of `step`, saving and loading |
| `sgd.py` | `SGD` with momentum, Nesterov, weight decay |
| `adam.py` | `Adam`, `AdamW` |
| `rmsprop.py` | `RMSprop` |
| `lr_scheduler/` | how the learning rate changes over a training |

The rules themselves, a few lines of arithmetic each, are the kernels of `tinygrad_cnn/kernels/optimizers.py`.
"""

from tinygrad_cnn.optim import lr_scheduler
from tinygrad_cnn.optim.adam import Adam, AdamW
from tinygrad_cnn.optim.optimizer import Optimizer
from tinygrad_cnn.optim.rmsprop import RMSprop
from tinygrad_cnn.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
