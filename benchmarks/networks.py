"""The networks that are measured, as lists of layers that JSON can hold: read off this package's own models.

So that every side builds the same: a layer is its name in the model, its class, and the arguments that are not the
defaults.
"""

from __future__ import annotations

import functools
import inspect
import math
from typing import Any

from tinygrad_cnn import models, nn
from tinygrad_cnn.nn.walk import output_shape

Layer = tuple[str, str, dict[str, Any]]

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "LeNet-5 modern": ("lenet5", {"variant": "modern"}),
    "LeNet-5 caffe": ("lenet5", {"variant": "caffe"}),
    "AlexNet cifar": ("alexnet", {"variant": "cifar"}),
    "AlexNet paper": ("alexnet", {"variant": "paper"}),
}
_NOT_SIZES = ("bias", "device", "dtype", "generator")


@functools.cache
def network(name: str) -> dict[str, Any]:
    """A network of `MODELS`: its layers, the shape of its images, its classes."""
    kind, options = MODELS[name]
    with nn.init.skipped():
        model = models.create(kind, **options)
    layers = [*named(model.features, "features"), ("flatten", "Flatten", {}), *named(model.classifier, "classifier")]
    classes = next(options["out_features"] for _, kind, options in reversed(layers) if kind == "Linear")
    return {
        "network": name,
        "model": [kind, options],
        "input": list(model.input_shape),
        "classes": classes,
        "layers": [list(layer) for layer in layers],
    }


def named(stack: nn.Module, prefix: str) -> list[Layer]:
    """The layers of a `Sequential`."""
    return [(f"{prefix}.{name}", type(layer).__name__, arguments(layer)) for name, layer in stack.named_children()]


def arguments(layer: nn.Module) -> dict[str, Any]:
    """The arguments a layer was made with, but for defaults.

    >>> arguments(nn.Conv2d(1, 6, 5, padding=2))
    {'in_channels': 1, 'out_channels': 6, 'kernel_size': 5, 'padding': 2}
    """
    found = {}
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        value = getattr(layer, name, parameter.default)
        if isinstance(value, tuple) and len(set(value)) == 1:
            value = value[0]
        if name not in _NOT_SIZES and value != parameter.default:
            found[name] = value
    return found


def shapes(layers: list[Layer], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shape of one sample in front of each layer, and behind the last."""
    found = [tuple(shape)]
    for _, kind, options in layers:
        with nn.init.skipped():
            layer = getattr(nn, kind)(**options)
        found.append((math.prod(found[-1]),) if kind == "Flatten" else output_shape(layer, found[-1]))
    return found
