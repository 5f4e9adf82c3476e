"""How the learning rate changes over a training: call `scheduler.step()` after the optimizer's steps.

| file | what it holds |
|---|---|
| `base.py` | `LRScheduler`: counts epochs, writes `lr` into the optimizer's groups, saves and loads |
| `decay.py` | `StepLR`, `MultiStepLR`, `CosineAnnealingLR` |
| `plateau.py` | `ReduceLROnPlateau`: looks at a measured value |
| `one_cycle.py` | `OneCycleLR`: up, then down, once; momentum the other way round |
"""

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.lr_scheduler.decay import CosineAnnealingLR, MultiStepLR, StepLR
from tinygrad_cnn.optim.lr_scheduler.one_cycle import OneCycleLR
from tinygrad_cnn.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = ["CosineAnnealingLR", "LRScheduler", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "StepLR"]
