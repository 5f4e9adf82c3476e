"""LeNet-5: two convolutions with pooling, three fully connected layers."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from tinygrad_cnn import nn, random
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.models.sizes import check_images, output_shape

VARIANTS = ("modern",)


class LeNet5(nn.Module):
    """A small convolutional network for small images; in its modern form with ReLU and max pooling.

    | layer | output for 1×28×28 | parameters |
    |---|---|---|
    | conv1: 6 filters 5×5, padding 2; ReLU | 6×28×28 | 6·(1·5·5 + 1) = 156 |
    | pool1: maximum of 2×2 | 6×14×14 | |
    | conv2: 16 filters 5×5; ReLU | 16×10×10 | 16·(6·5·5 + 1) = 2,416 |
    | pool2: maximum of 2×2 | 16×5×5 | |
    | flatten | 400 | |
    | fc1; ReLU | 120 | 120·(400 + 1) = 48,120 |
    | fc2; ReLU | 84 | 84·(120 + 1) = 10,164 |
    | fc3 | 10 | 10·(84 + 1) = 850 |
    | together | | 61,706 |

    Names in `state_dict()`: `features.conv1.weight`, `features.conv1.bias`, `features.conv2.…`,
    `classifier.fc1.…` to `classifier.fc3.…`. Two `Sequential`s with named layers, as in PyTorch's own AlexNet
    and VGG.

    Args:
        variant: `"modern"`.
        num_classes: Outputs; no softmax behind them, `cross_entropy` brings its own.
        in_channels: C of the images: 1 grey, 3 colour.
        image_size: H and W of the images in pixels, one number for squares.
        generator: Source of the first weights (PyTorch's rule); the default generator if absent.

    Attributes:
        input_shape: (C, H, W) of the images.

    Raises:
        ValueError: If there is no such variant.
        ShapeError: If the images are too small.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II; with the activations and the pooling of later years.

    >>> import tinygrad_cnn as tcnn
    >>> model = LeNet5()
    >>> model.num_parameters()
    61706
    >>> model(tcnn.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(
        self,
        variant: str = "modern",
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: int | tuple[int, int] = 28,
        generator: random.Generator | None = None,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"LeNet5: there is no variant {variant!r}; there is {', '.join(map(repr, VARIANTS))}")
        H, W = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.variant = variant
        self.input_shape = (in_channels, H, W)
        with random.use_generator(generator) if generator is not None else nullcontext():
            features: dict[str, Any] = {
                "conv1": nn.Conv2d(in_channels, 6, kernel_size=5, padding=2),
                "relu1": nn.ReLU(),
                "pool1": nn.MaxPool2d(2),
                "conv2": nn.Conv2d(6, 16, kernel_size=5),
                "relu2": nn.ReLU(),
                "pool2": nn.MaxPool2d(2),
            }
            C, P, Q = output_shape("LeNet5", features, self.input_shape)
            self.features = nn.Sequential(features)
            self.classifier = nn.Sequential(
                {
                    "fc1": nn.Linear(C * P * Q, 120),
                    "relu3": nn.ReLU(),
                    "fc2": nn.Linear(120, 84),
                    "relu4": nn.ReLU(),
                    "fc3": nn.Linear(84, num_classes),
                }
            )

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes: (N, C, H, W) images -> (N, num_classes)."""
        check_images("LeNet5", x, self.input_shape)
        x = self.features(x)  # (N, 1, 28, 28) -> (N, 16, 5, 5)
        x = x.flatten(1)  # -> (N, 400)
        return self.classifier(x)  # -> (N, 10)
