"""The network of the ConvNetJS CIFAR-10 demo."""

from __future__ import annotations

from tinygrad_cnn import random
from tinygrad_cnn.models.base import ImageModel, ImageSize, drawing_from, images_of
from tinygrad_cnn.models.stacks import Stack

_STACK = Stack(filters=((16, 2), (20, 2), (20, 2)))


class ConvNetJS(ImageModel):
    """The small network that trains live in the browser on CIFAR-10.

    | layer | output for 3×32×32 | parameters |
    |---|---|---|
    | conv1: 16 filters 5×5, padding 2; ReLU | 16×32×32 | 16·(3·5·5 + 1) = 1,216 |
    | pool1: maximum of 2×2 | 16×16×16 | |
    | conv2: 20 filters 5×5, padding 2; ReLU | 20×16×16 | 20·(16·5·5 + 1) = 8,020 |
    | pool2: maximum of 2×2 | 20×8×8 | |
    | conv3: 20 filters 5×5, padding 2; ReLU | 20×8×8 | 20·(20·5·5 + 1) = 10,020 |
    | pool3: maximum of 2×2 | 20×4×4 | |
    | flatten | 320 | |
    | fc1 | 10 | 10·(320 + 1) = 3,210 |
    | together | | 22,466 |

    Args:
        num_classes: Outputs.
        in_channels: C of the images.
        image_size: H and W of the images in pixels, one number for squares.
        generator: Source of the first weights; the default generator if absent.

    Raises:
        ShapeError: If the images are too small.

    Source: Karpathy 2014, "ConvNetJS CIFAR-10 demo".

    >>> ConvNetJS().num_parameters()
    22466
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: ImageSize = 32,
        generator: random.Generator | None = None,
    ) -> None:
        with drawing_from(generator):
            images = images_of(in_channels, image_size)
            super().__init__(images, _STACK.features(in_channels), _STACK.classifier(num_classes))
