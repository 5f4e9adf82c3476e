"""What the networks share: images in, scores of classes out."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tinygrad_cnn import nn, random
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.models.sizes import check_images, shape_behind
from tinygrad_cnn.nn.arguments import pair
from tinygrad_cnn.nn.walk import Call
from tinygrad_cnn.shapes import Shape

ImageSize = int | tuple[int, int]


class ImageModel(nn.Module):
    """Features of images, as one vector, to a classifier: the plan of LeNet, AlexNet and VGG.

    Args:
        input_shape: (C, H, W) of the images.
        features: Convolutions and poolings, by name or numbered.
        classifier: From the number of features to the layers that make scores of them.
        avgpool: Stands between the two, so that images may have any size (`AdaptiveAvgPool2d`).
        criterion: The loss that belongs to the network; cross-entropy by default.
        any_size: Whether other images than those of `input_shape` are taken, where the layers can; by default if
            there is an avgpool.

    Attributes:
        input_shape: (C, H, W) of the images the network was made for.
        criterion: The loss: (outputs, class numbers) → a number. `training.fit` uses it unless it is given another.

    Raises:
        ShapeError: If the images are too small.

    >>> from tinygrad_cnn import nn
    >>> small = ImageModel((1, 8, 8), {"conv": nn.Conv2d(1, 4, 3), "pool": nn.MaxPool2d(2)}, lambda F: nn.Sequential(
    ...     nn.Linear(F, 10)
    ... ))
    >>> small.classifier[0]   # 4 maps of 3×3
    Linear(in_features=36, out_features=10, bias=True)
    """

    features: nn.Module
    classifier: nn.Module
    criterion: nn.Module

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        features: dict[str, nn.Module] | list[nn.Module],
        classifier: Callable[[int], nn.Sequential],
        avgpool: nn.Module | None = None,
        criterion: nn.Module | None = None,
        any_size: bool = False,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.any_size = any_size or avgpool is not None
        self.features = nn.Sequential(features) if isinstance(features, dict) else nn.Sequential(*features)
        if avgpool is not None:
            self.avgpool = avgpool
        before = dict(self.named_children())
        self.classifier = classifier(math.prod(shape_behind(type(self), before, input_shape)))
        self.criterion = nn.CrossEntropyLoss() if criterion is None else criterion

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes: (N, C, H, W) images → (N, num_classes)."""
        check_images(self, x, self.input_shape, self.any_size)
        x = self.features(x)
        if "avgpool" in self._modules:
            x = self.avgpool(x)
        return self.classifier(x.flatten(1))  # (N, C, P, Q) -> (N, C·P·Q) -> (N, num_classes)

    def walk_shapes(self, shape: Shape, call: Call) -> Shape:
        """What `forward` does to the shape of one sample; see `nn.walk`."""
        shape = call("features", shape)
        if "avgpool" in self._modules:
            shape = call("avgpool", shape)
        return call("classifier", (math.prod(shape),))


def drawing_from(generator: random.Generator | None) -> AbstractContextManager[Any]:
    """Inside the block weights are drawn from this generator; from the default one if None."""
    return nullcontext() if generator is None else random.use_generator(generator)


def one_variant(model: str, variant: str, variants: tuple[str, ...]) -> str:
    """The variant, if there is such a one.

    Raises:
        ValueError: If there is not.

    >>> one_variant("LeNet5", "1997", ("1998", "modern"))
    Traceback (most recent call last):
    ValueError: LeNet5: there is no variant '1997' (did you mean '1998'?); there is '1998', 'modern'
    """
    if variant not in variants:
        near = difflib.get_close_matches(str(variant), variants, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        classes = f"; for {variant} classes write num_classes={variant}" if isinstance(variant, int) else ""
        raise ValueError(
            f"{model}: there is no variant {variant!r}{meant}; there is {', '.join(map(repr, variants))}{classes}"
        )
    return variant


def images_of(in_channels: int, image_size: ImageSize) -> tuple[int, int, int]:
    """(C, H, W) of images, whose size is one number for squares.

    Raises:
        TypeError, ShapeError: If the size is neither one nor two positive whole numbers.

    >>> images_of(3, 32)
    (3, 32, 32)
    """
    return in_channels, *pair("images", "image_size", image_size)


def widened(channels: int, width: float) -> int:
    """So many times as many channels, a multiple of 8, as processors like it, and at least 8.

    Raises:
        ValueError: If that is none, or less.

    >>> widened(384, 1.0), widened(96, 0.5), widened(192, 0.3), widened(16, 0.1)
    (384, 48, 56, 8)
    """
    if not width > 0:
        raise ValueError(f"width={width} must be greater than 0: so many times as many channels in each layer")
    return channels if width == 1 else max(8, round(channels * width / 8) * 8)
