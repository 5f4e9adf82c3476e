"""Settings that train LeNet-5 well on each data set; options on the command line replace them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_cnn.data.transforms import Transform

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
        shift: Random shifts, in pixels, against learning places by heart; 0 for none.
        flip: Whether images are mirrored at random; not for digits, whose mirror images are no digits.
    """

    epochs: int
    batch_size: int
    shift: int = 0
    flip: bool = False


RECIPES = {
    "digits": Recipe(epochs=20, batch_size=32, shift=2),
    "mnist": Recipe(epochs=3, batch_size=64),
    "fashion-mnist": Recipe(epochs=10, batch_size=64, flip=True),
    "cifar10": Recipe(epochs=20, batch_size=64, shift=4, flip=True),
    "cifar100": Recipe(epochs=20, batch_size=64, shift=4, flip=True),
}


def augmentation(shift: int, flip: bool, info: Any) -> Transform | None:
    """Random changes of the normalised training images: shifted with background at the edge, mirrored."""
    from tinygrad_cnn.data import transforms

    steps: list[Transform] = []
    if shift:
        mean, std = info.mean, info.std
        black = -mean[0] / std[0] if len(mean) == 1 else 0.0  # a normalised 0; for colours, the mean colour
        steps.append(transforms.RandomCrop(info.image_shape[1:], padding=shift, fill=black))
    if flip:
        steps.append(transforms.RandomHorizontalFlip())
    return transforms.Compose(steps) if steps else None


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
