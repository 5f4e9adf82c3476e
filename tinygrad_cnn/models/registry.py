"""Models by name, for the command line and for checkpoints."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.models.lenet import LeNet5

_MODELS: dict[str, Callable[..., nn.Module]] = {
    "lenet5": LeNet5,
}


def available() -> tuple[str, ...]:
    """The names `create` knows.

    >>> available()
    ('lenet5',)
    """
    return tuple(_MODELS)


def create(name: str, **options: Any) -> nn.Module:
    """Make a model by its name.

    Args:
        name: One of `available()`; upper and lower case, hyphens and underscores do not matter.
        **options: What the model's class takes.

    Raises:
        ValueError: If there is no such model.
        TypeError: If it has no such option.

    >>> create("LeNet-5", in_channels=3, image_size=32).input_shape
    (3, 32, 32)
    """
    model = _MODELS.get(name.lower().replace("-", "").replace("_", ""))
    if model is None:
        raise ValueError(f"there is no model {name!r}{_meant(name, available())}; there is {', '.join(available())}")
    known = list(inspect.signature(model).parameters)
    for option in options:
        if option not in known:
            raise TypeError(f"{name} has no option {option!r}{_meant(option, known)}; it has {', '.join(known)}")
    return model(**options)


def _meant(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
