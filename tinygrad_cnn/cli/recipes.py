"""Settings that train LeNet-5 well on each data set; options on the command line replace them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MODEL = "lenet5"
DATA = "digits"
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
OPTIMIZER = "adam"  # on the digits fewer mistakes than SGD after as many epochs, 2.7 against 3.4 of 359
# the largest learning rate of the one-cycle schedule
LEARNING_RATES = {"sgd": 0.05, "adam": 0.003, "adamw": 0.003, "rmsprop": 0.001}
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4


@dataclass(frozen=True)
class Recipe:
    """How a data set is trained.

    Attributes:
        epochs: Walks through the training images.
        batch_size: Images in a step.
        augment: Whether training images are shifted at random, and mirrored where that is harmless, so that the
            network cannot learn places by heart.
    """

    epochs: int
    batch_size: int
    augment: bool = True


RECIPES = {
    "digits": Recipe(epochs=20, batch_size=32),
    "mnist": Recipe(epochs=3, batch_size=64, augment=False),
    "fashion-mnist": Recipe(epochs=10, batch_size=64),
    "cifar10": Recipe(epochs=20, batch_size=64),
    "cifar100": Recipe(epochs=20, batch_size=64),
}


def optimizer(name: str, parameters: Any, lr: float) -> Any:
    """The optimizer by name, with momentum 0.9 for SGD and PyTorch's settings for the others."""
    from tinygrad_cnn import optim

    if name == "sgd":
        return optim.SGD(parameters, lr=lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    return {"adam": optim.Adam, "adamw": optim.AdamW, "rmsprop": optim.RMSprop}[name](parameters, lr=lr)


def schedule(name: str, of: Any, lr: float, steps: int) -> Any:
    """Up to the learning rate in the first third of the training, then down to almost nothing."""
    from tinygrad_cnn.optim.lr_scheduler import OneCycleLR

    return OneCycleLR(of, max_lr=lr, total_steps=steps, cycle_momentum=name != "rmsprop")
