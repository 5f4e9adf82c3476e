"""Models by name, for the command line and for checkpoints."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.models.alexnet import AlexNet
from tinygrad_cnn.models.convnetjs import ConvNetJS
from tinygrad_cnn.models.googlenet import GoogLeNet
from tinygrad_cnn.models.lenet import LeNet5
from tinygrad_cnn.models.vgg import VGG

_MODELS: dict[str, Callable[..., nn.Module]] = {
    "lenet5": LeNet5,
    "convnetjs": ConvNetJS,
    "alexnet": AlexNet,
    "vgg11": partial(VGG, 11),
    "vgg13": partial(VGG, 13),
    "vgg16": partial(VGG, 16),
    "vgg19": partial(VGG, 19),
    "googlenet": GoogLeNet,
}


def list_models() -> tuple[str, ...]:
    """The names `create` knows.

    >>> list_models()
    ('lenet5', 'convnetjs', 'alexnet', 'vgg11', 'vgg13', 'vgg16', 'vgg19', 'googlenet')
    """
    return tuple(_MODELS)


def variants(name: str) -> tuple[str, ...]:
    """The forms a model comes in, its option `variant`; the first is the default. Empty if there is only one.

    Raises:
        ValueError: If there is no such model.

    >>> variants("lenet5")
    ('modern', '1998', 'caffe', 'nielsen')
    """
    found: tuple[str, ...] = getattr(_found(name), "variants", ())
    return found


def options(name: str) -> tuple[str, ...]:
    """The names of what `create` takes for a model.

    Raises:
        ValueError: If there is no such model.

    >>> options("convnetjs")
    ('num_classes', 'in_channels', 'image_size', 'generator')
    """
    return tuple(inspect.signature(_found(name)).parameters)


def create(name: str, **options: Any) -> nn.Module:
    """Make a model by its name.

    All models take `num_classes`, `in_channels`, `image_size` and `generator`; for the others see their classes.

    Args:
        name: One of `list_models()`; upper and lower case, hyphens and underscores do not matter.
        **options: What the model's class takes.

    Raises:
        ValueError: If there is no such model.
        TypeError: If it has no such option.

    >>> create("LeNet-5", in_channels=3, image_size=32).input_shape
    (3, 32, 32)
    """
    model = _found(name)
    known = list(inspect.signature(model).parameters)
    for option in options:
        if option not in known:
            raise TypeError(f"{name} has no option {option!r}{_meant(option, known)}; it has {', '.join(known)}")
    return model(**options)


def _found(name: str) -> Callable[..., nn.Module]:
    model = _MODELS.get(name.lower().replace("-", "").replace("_", ""))
    if model is None:
        names = list_models()
        raise ValueError(f"there is no model {name!r}{_meant(name, names)}; there is {', '.join(names)}")
    return model


def _meant(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
