"""VGG: depth from 3×3 filters alone."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn import nn, random
from tinygrad_cnn.models.base import ImageModel, ImageSize, drawing_from, images_of, widened
from tinygrad_cnn.nn import init

# filters of each convolution; "M" is pooling
_PLANS = {
    11: "64 M 128 M 256 256 M 512 512 M 512 512 M",
    13: "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    16: "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    19: "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


class VGG(ImageModel):
    """Blocks of 3×3 convolutions (stride 1, padding 1) with ReLU, a maximum pooling 2×2 behind each.

    Two 3×3 filters see 5×5 pixels, three 7×7, with fewer weights and more non-linearities than one large filter.
    The number counts layers with weights: VGG-16 has 13 convolutions and 3 fully connected layers, 138,357,544
    parameters for 224×224 images and 1000 classes; 11, 13 and 19 have 132,863,336, 133,047,848 and 143,667,240.

    The names in `state_dict()` are PyTorch's, `features.0.weight` … `classifier.6.bias`, so that its published weights
    can be loaded. Images may have any size from 32×32 on. `image_size` only decides how large the map between
    features and classifier is, which is what most parameters hang on: an image of 32×32 leaves 1×1 (VGG-16: 33,638,218
    parameters with 10 classes), one of 224×224 leaves 7×7, the largest it gets.

    Args:
        depth: 11, 13, 16 or 19.
        batch_norm: Batch normalisation behind each convolution.
        num_classes: Outputs.
        in_channels: C of the images.
        image_size: H and W of the images in pixels, one number for squares.
        width: So many times as many channels and features in each layer, rounded to multiples of 8.
        dropout: Probability of a feature to be dropped in training.
        generator: Source of the first weights; the default generator if absent.

    Attributes:
        input_shape: (C, H, W) of the images.

    Raises:
        ValueError: If there is no such depth.
        ShapeError: If the images are too small.

    Source: Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", table 1
    (A, B, D and E). First weights: He, Zhang, Ren & Sun 2015 for convolutions, Gaussian with standard deviation 0.01
    for the others, biases 0, as PyTorch does.

    >>> model = VGG(11, num_classes=10, image_size=32, width=0.125)
    >>> model.num_parameters()
    445626
    """

    def __init__(
        self,
        depth: int,
        batch_norm: bool = False,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: ImageSize = 224,
        width: float = 1.0,
        dropout: float = 0.5,
        generator: random.Generator | None = None,
    ) -> None:
        if depth not in _PLANS:
            raise ValueError(f"VGG: there is no depth {depth!r}; there is {', '.join(map(str, _PLANS))}")
        images = images_of(in_channels, image_size)
        pooled = tuple(min(7, max(1, size // 32)) for size in images[1:])
        hidden = widened(4096, width)

        def classifier(F: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(F, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, num_classes),
            )

        with init.skipped():
            features = _features(_PLANS[depth], in_channels, batch_norm, width)
            super().__init__(images, features, classifier, avgpool=nn.AdaptiveAvgPool2d(pooled))
        with drawing_from(generator):
            self.apply(_initialise)
        self.depth = depth


def _features(plan: str, C: int, batch_norm: bool, width: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for item in plan.split():
        if item == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        K = widened(int(item), width)
        layers += [nn.Conv2d(C, K, 3, padding=1), *([nn.BatchNorm2d(K)] if batch_norm else []), nn.ReLU()]
        C = K
    return layers


def _initialise(layer: Any) -> None:
    if isinstance(layer, nn.Conv2d):
        init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(layer, nn.Linear):
        init.normal_(layer.weight, std=0.01)
    elif isinstance(layer, nn.BatchNorm2d):
        layer.reset_parameters()
