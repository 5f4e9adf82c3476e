"""AlexNet: the network of 2012 in four forms."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_cnn import nn, random
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.models.base import ImageModel, ImageSize, drawing_from, images_of, one_variant, widened
from tinygrad_cnn.nn import init
from tinygrad_cnn.shapes import ShapeError, Window

# the paper's biases of 1, which let the ReLUs learn from the start
_POSITIVE = ("features.conv2", "features.conv4", "features.conv5", "classifier.fc6", "classifier.fc7")


class AlexNet(ImageModel):
    """Five convolutions and three fully connected layers, with ReLU and dropout.

    `"paper"`, as published, for 227×227 images (the paper says 224, but (224 − 11)/4 + 1 = 54.25 is no size):

    | layer | output | parameters |
    |---|---|---|
    | conv1: 96 filters 11×11, stride 4; ReLU | 96×55×55 | 34,944 |
    | norm1: local response normalisation; pool1: maximum of 3×3, stride 2 | 96×27×27 | |
    | conv2: 256 filters 5×5, padding 2, 2 groups; ReLU | 256×27×27 | 307,456 |
    | norm2; pool2 | 256×13×13 | |
    | conv3: 384 filters 3×3, padding 1; ReLU | 384×13×13 | 885,120 |
    | conv4: 384 filters 3×3, padding 1, 2 groups; ReLU | 384×13×13 | 663,936 |
    | conv5: 256 filters 3×3, padding 1, 2 groups; ReLU; pool5 | 256×6×6 | 442,624 |
    | fc6; ReLU; dropout | 4096 | 37,752,832 |
    | fc7; ReLU; dropout | 4096 | 16,781,312 |
    | fc8 | 1000 | 4,097,000 |
    | together | | 60,965,224 |

    The two groups are the halves of the filters on the paper's two GPUs; only conv3 and the fully connected layers see
    both. The first weights are the paper's: Gaussian with standard deviation 0.01, biases 1 in conv2, conv4, conv5,
    fc6 and fc7, else 0.

    `"single-tower"`: without groups, and pooling before normalisation, as lectures show it: 62,378,344 parameters.

    `"torchvision"`: PyTorch's, after Krizhevsky's second paper: 64, 192, 384, 256, 256 filters, the first with padding
    2, no normalisation, images of any size from 63×63 on. 61,100,840 parameters under PyTorch's names
    (`features.0.weight` … `classifier.6.bias`), so that its published weights can be loaded.

    `"cifar"`: the same idea for small images, which trains on a CPU: 64 filters 5×5, 192 filters 5×5, then 3×3, with
    1024 instead of 4096 features. 5,871,434 parameters. The first weights are He's.

    Args:
        variant: `"torchvision"`, `"paper"`, `"single-tower"` or `"cifar"`.
        num_classes: Outputs; 1000 by default, 10 in `"cifar"`.
        in_channels: C of the images.
        image_size: H and W of the images in pixels, one number for squares; by default 227 in `"paper"` and
            `"single-tower"`, 224 in `"torchvision"`, 32 in `"cifar"`.
        width: So many times as many channels and features in each layer, rounded to multiples of 8.
        dropout: Probability of a feature to be dropped in training.
        generator: Source of the first weights; the default generator if absent.

    Attributes:
        input_shape: (C, H, W) of the images.

    Raises:
        ValueError: If there is no such variant.
        ShapeError: If the images are too small, or conv1 does not fit on them (`"paper"`, `"single-tower"`).

    Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    sections 3 and 5; `"torchvision"`: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural
    networks".

    >>> model = AlexNet("cifar", width=0.25)
    >>> model.features.conv2, model.num_parameters()
    (Conv2d(16, 48, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2)), 370394)
    """

    variants = ("torchvision", "paper", "single-tower", "cifar")
    for_small_images = ", or take variant='cifar', which is made for 32×32"

    def __init__(
        self,
        variant: str = "torchvision",
        num_classes: int | None = None,
        in_channels: int = 3,
        image_size: ImageSize | None = None,
        width: float = 1.0,
        dropout: float = 0.5,
        generator: random.Generator | None = None,
    ) -> None:
        one_variant("AlexNet", variant, self.variants)
        size = {"torchvision": 224, "cifar": 32}.get(variant, 227) if image_size is None else image_size
        images = images_of(in_channels, size)
        if variant in ("paper", "single-tower"):
            _check_first_layer(images[1:])
        classes = (10 if variant == "cifar" else 1000) if num_classes is None else num_classes

        def w(channels: int) -> int:
            return widened(channels, width)

        if variant == "torchvision":
            with drawing_from(generator):
                head = _torchvision_classifier(w(4096), classes, dropout)
                super().__init__(images, _torchvision(in_channels, w), head, avgpool=nn.AdaptiveAvgPool2d((6, 6)))
        else:
            with init.skipped():
                head = _classifier(w(1024 if variant == "cifar" else 4096), classes, dropout)
                super().__init__(images, _named(variant, in_channels, w), head)
            with drawing_from(generator):
                self.apply(_he if variant == "cifar" else _gaussian)
                for name in () if variant == "cifar" else _POSITIVE:
                    init.ones_(self.get_parameter(f"{name}.bias"))
        self.variant = variant

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes: (N, C, H, W) images → (N, num_classes)."""
        if self.variant in ("paper", "single-tower") and x.ndim == 4:
            _check_first_layer(x.shape[2:])
        return super().forward(x)


def _check_first_layer(sizes: tuple[int, ...]) -> None:
    for size in sizes:
        try:
            Window(11, stride=4).out(size, exact=True, operation="AlexNet: features.conv1")
        except ShapeError as error:
            text = str(error).partition(";")[0] + (" (the paper's 224 is a slip)" if size == 224 else "")
            raise ShapeError(
                f"{text}; use 227×227 images (data.transforms.Resize), or padding 2, which variant='torchvision' has; "
                "small images: variant='cifar'"
            ) from None


def _norm() -> nn.Module:
    """Local response normalisation with the paper's numbers: k = 2, n = 5, α = 10⁻⁴, β = 0.75.

    PyTorch divides alpha by the number of channels in the window, the paper does not.
    """
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def _named(variant: str, C: int, w: Callable[[int], int]) -> dict[str, nn.Module]:
    """The features of every variant but PyTorch's."""
    small, groups = variant == "cifar", 2 if variant == "paper" else 1
    A, B, D, E, G = map(w, (64, 192, 384, 256, 256) if small else (96, 256, 384, 384, 256))

    def smaller(i: int) -> dict[str, nn.Module]:
        pair = {f"norm{i}": _norm(), f"pool{i}": nn.MaxPool2d(3, 2)}
        return dict(reversed(pair.items())) if variant == "single-tower" else pair

    return {
        "conv1": nn.Conv2d(C, A, 5, padding=2) if small else nn.Conv2d(C, A, 11, stride=4),
        "relu1": nn.ReLU(),
        **smaller(1),
        "conv2": nn.Conv2d(A, B, 5, padding=2, groups=groups),
        "relu2": nn.ReLU(),
        **smaller(2),
        "conv3": nn.Conv2d(B, D, 3, padding=1),
        "relu3": nn.ReLU(),
        "conv4": nn.Conv2d(D, E, 3, padding=1, groups=groups),
        "relu4": nn.ReLU(),
        "conv5": nn.Conv2d(E, G, 3, padding=1, groups=groups),
        "relu5": nn.ReLU(),
        "pool5": nn.MaxPool2d(3, 2),
    }


def _torchvision(C: int, w: Callable[[int], int]) -> list[nn.Module]:
    return [
        nn.Conv2d(C, w(64), 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(w(64), w(192), 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(w(192), w(384), 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(w(384), w(256), 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(w(256), w(256), 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
    ]


def _classifier(hidden: int, num_classes: int, dropout: float) -> Callable[[int], nn.Sequential]:
    """Dropout on the outputs of the two hidden layers, as the paper says."""
    return lambda F: nn.Sequential(
        {
            "fc6": nn.Linear(F, hidden),
            "relu6": nn.ReLU(),
            "dropout6": nn.Dropout(dropout),
            "fc7": nn.Linear(hidden, hidden),
            "relu7": nn.ReLU(),
            "dropout7": nn.Dropout(dropout),
            "fc8": nn.Linear(hidden, num_classes),
        }
    )


def _torchvision_classifier(hidden: int, num_classes: int, dropout: float) -> Callable[[int], nn.Sequential]:
    """Dropout on the inputs of the two hidden layers."""
    return lambda F: nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(F, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, num_classes),
    )


def _gaussian(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        init.normal_(layer.weight, std=0.01)


def _he(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        init.kaiming_normal_(layer.weight, nonlinearity="relu")
