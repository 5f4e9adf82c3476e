"""Settings that train each network well on each data set; options on the command line replace them one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODEL = "lenet5"
DATA = "digits"
MOMENTUM = 0.9
HELD_OUT = 0.1  # of the training images, for the plateau schedule to look at
LENET_1998 = (2, 5, 8, 12)  # the passes after which the paper lowers the learning rate


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on a data set.

    Attributes:
        epochs: Walks through the training images.
        batch_size: Images in a step.
        optimizer: How the weights are changed, one of `OPTIMIZERS`.
        lr: Its learning rate, the largest of the schedule.
        weight_decay: The part of a weight that is added to its gradient.
        schedule: How the learning rate changes, one of `SCHEDULES`.
        augment: What is done to training images at random, of `data.datasets.AUGMENTATIONS`; what would change what the
            images of a data set show is left out, see `augmentations`.
        options: Of the network, unless the command line says otherwise.
    """

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    weight_decay: float
    schedule: str
    augment: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


SCHEDULES = {
    "one-cycle": "up to the learning rate in the first third of the training, then down to almost nothing",
    "plateau": "a tenth of it when the accuracy on a tenth of the training images, held out, has stalled",
    "halving": f"half of it after {', '.join(map(str, LENET_1998))} epochs, as in 1998",
}

# the learning rate and the weight decay of an optimizer that is not the recipe's
OPTIMIZERS = {"sgd": (0.05, 5e-4), "adam": (0.003, 0.0), "adamw": (0.003, 0.01), "rmsprop": (0.001, 0.0)}

_SHIFT = ("shift",)
_MIRROR = ("shift", "mirror")
_COLOUR = ("shift", "mirror", "colour")
_SMALL = {"variant": "cifar"}
_NORM = {"batch_norm": True}
ANY = "any other"  # data set

# On the digits Adam makes fewer mistakes than SGD after as many epochs, 2.7 against 3.4 of 359.
RECIPES = {
    # network, data set:         epochs, batch, optimizer, learning rate, weight decay, schedule, augmentation, options
    ("lenet5", "digits"):        Recipe(20, 32, "adam", 0.003, 0.0, "one-cycle", _SHIFT),
    ("lenet5", "mnist"):         Recipe(3, 64, "adam", 0.003, 0.0, "one-cycle"),
    ("lenet5", "fashion-mnist"): Recipe(10, 64, "adam", 0.003, 0.0, "one-cycle", _MIRROR),
    ("lenet5", ANY):             Recipe(20, 64, "adam", 0.003, 0.0, "one-cycle", _MIRROR),
    ("lenet5 1998", "digits"):   Recipe(20, 8, "adam", 0.003, 0.0, "halving", _SHIFT),
    ("lenet5 1998", ANY):        Recipe(20, 16, "adam", 0.001, 0.0, "halving"),
    ("convnetjs", ANY):          Recipe(20, 64, "adam", 0.003, 0.0, "one-cycle", _MIRROR),
    ("alexnet", ANY):            Recipe(12, 64, "sgd", 0.01, 5e-4, "plateau", _COLOUR, _SMALL),
    ("vgg", ANY):                Recipe(20, 64, "sgd", 0.02, 5e-4, "plateau", _COLOUR, _NORM),
    ("googlenet", ANY):          Recipe(20, 64, "sgd", 0.02, 5e-4, "plateau", _COLOUR, _SMALL),
}  # fmt: skip


def recipe(model: str, variant: str | None, data: str) -> Recipe:
    """The recipe for a network and a data set: that of its variant, else that of the network (`vgg` for `vgg11`).

    >>> recipe("lenet5", None, "mnist").epochs, recipe("lenet5", "1998", "mnist").epochs
    (3, 20)
    """
    names = [f"{model} {variant}", model, model.rstrip("0123456789")]
    return next(RECIPES[key] for name in names for key in ((name, data), (name, ANY)) if key in RECIPES)


def augmentations(wanted: tuple[str, ...], info: Any) -> list[str]:
    """Those that leave what the images show as it is: no mirrored digits, no change of colour without colours."""
    harmless = {"shift": True, "mirror": info.mirror, "colour": info.image_shape[0] == 3}
    return [name for name in wanted if harmless[name]]


def optimizer(config: Mapping[str, Any], parameters: Any) -> Any:
    """The optimizer of a run, with momentum 0.9 for SGD and PyTorch's settings for the others."""
    from tinygrad_cnn import optim

    kinds = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW, "rmsprop": optim.RMSprop}
    more = {"momentum": MOMENTUM} if config["optimizer"] == "sgd" else {}
    return kinds[config["optimizer"]](parameters, lr=config["lr"], weight_decay=config["weight_decay"], **more)


def schedule(config: Mapping[str, Any], of: Any, steps: int) -> Any:
    """The schedule of a run.

    Args:
        config: The run's settings.
        of: Its optimizer.
        steps: Batches of an epoch.
    """
    from tinygrad_cnn.optim.lr_scheduler import MultiStepLR, OneCycleLR, ReduceLROnPlateau

    if config["schedule"] == "plateau":
        # impatient, for trainings of minutes rather than days: the first epoch that is no better counts
        return ReduceLROnPlateau(of, mode="max", factor=0.1, patience=0, threshold=0.0)
    if config["schedule"] == "halving":
        return MultiStepLR(of, LENET_1998, gamma=0.5)
    cycle_momentum = config["optimizer"] != "rmsprop"
    return OneCycleLR(of, max_lr=config["lr"], total_steps=config["epochs"] * steps, cycle_momentum=cycle_momentum)


def settings(base: Recipe, info: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """How a network is trained: what was given, and the recipe for the rest.

    Args:
        base: The recipe.
        info: The data set's facts, a `DataInfo`.
        given: Any of epochs, batch_size, lr and optimizer. With another optimizer than the recipe's come its own
            learning rate and weight decay.
    """
    name = given.get("optimizer", base.optimizer)
    lr, weight_decay = (base.lr, base.weight_decay) if name == base.optimizer else OPTIMIZERS[name]
    return {
        "epochs": given.get("epochs", base.epochs),
        "batch_size": given.get("batch_size", base.batch_size),
        "optimizer": name,
        "lr": given.get("lr", lr),
        "weight_decay": weight_decay,
        "schedule": base.schedule,
        "augment": augmentations(base.augment, info),
    }
