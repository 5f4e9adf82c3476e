"""LeNet-5: the network of 1998, and what has been called by its name since."""

from __future__ import annotations

from tinygrad_cnn import nn, random
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.models import lenet1998
from tinygrad_cnn.models.base import ImageModel, ImageSize, drawing_from, images_of, one_variant
from tinygrad_cnn.models.stacks import Stack

_STACKS = {
    "modern": Stack(filters=((6, 2), (16, 0)), hidden=(120, 84)),
    "caffe": Stack(filters=((20, 2), (50, 2)), hidden=(500,)),
    "nielsen": Stack(filters=((20, 0),), hidden=(100,), activation=nn.Sigmoid),
}


class LeNet5(ImageModel):
    """A small convolutional network for small images: two convolutions with pooling, and fully connected layers.

    `"modern"`, with ReLU and maximum pooling:

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

    `"1998"`, exactly the paper's; every layer up to f6 is followed by `1.7159·tanh(2x/3)`:

    | layer | output for 1×28×28 or 1×32×32 | parameters | connections |
    |---|---|---|---|
    | input: in the middle of 32×32, levels −0.1 and 1.175 | 1×32×32 | | |
    | c1: 6 filters 5×5 | 6×28×28 | 156 | 122,304 |
    | s2: trainable subsampling 2×2 | 6×14×14 | 12 | 5,880 |
    | c3: 16 filters 5×5, each sees some of the 6 maps | 16×10×10 | 60·5·5 + 16 = 1,516 | 151,600 |
    | s4: trainable subsampling 2×2 | 16×5×5 | 32 | 2,000 |
    | c5: 120 filters 5×5 | 120×1×1 | 48,120 | 48,120 |
    | f6 | 84 | 10,164 | 10,164 |
    | rbf: distances from the bitmaps of the ten digits | 10 | (840 fixed) | (840) |
    | together | | 60,000 | 340,068 |

    Its scores are minus the distances, so the largest one is the class, as in every other network, and its loss is
    `nn.MAPLoss`. Weights begin in ±2.4/fan_in. The paper trains image by image with a step size for each weight,
    `ηₖ = η/(μ + hₖₖ)`: hₖₖ is the running mean of the second derivative of the loss with respect to that weight, in
    the Gauss-Newton approximation (squared slopes carried back, off-diagonal terms dropped), measured on 500 images
    before each of 20 epochs; μ = 0.02; η falls from 0.0005 to 0.00001 (section III.A and appendix C: stochastic
    diagonal Levenberg-Marquardt). This package does without second derivatives: Adam, whose step sizes also differ
    from weight to weight (by the root of the mean squared gradient), takes its place.

    `"caffe"`, the other "LeNet-5" of many lectures: 20 filters 5×5 and 50 filters 5×5, both with padding 2, ReLU and
    maximum pooling 2×2; then 2450 → 500 → 10: 520 + 25,050 + 1,225,500 + 5,010 = 1,256,080 parameters.

    `"nielsen"`, the first convolutional network of Nielsen's book: 20 filters 5×5, sigmoid, maximum pooling 2×2, 2880
    → 100, sigmoid → 10: 520 + 288,100 + 1,010 = 289,630 parameters.

    Names in `state_dict()`: `features.conv1.weight`, …, `classifier.fc3.bias`; in `"1998"` the paper's, such as
    `features.c3.weight`. Two `Sequential`s with named layers, as in PyTorch's own AlexNet and VGG.

    Args:
        variant: `"modern"`, `"1998"`, `"caffe"` or `"nielsen"`.
        num_classes: Outputs; no softmax behind them, the loss brings its own. At most 10 in `"1998"`.
        in_channels: C of the images: 1 grey, 3 colour.
        image_size: H and W of the images in pixels, one number for squares; 28 by default. `"1998"` takes all images
            up to 32.
        generator: Source of the first weights (PyTorch's rule, but for `"1998"`); the default generator if absent.

    Attributes:
        input_shape: (C, H, W) of the images.
        criterion: The loss: `nn.MAPLoss` for `"1998"`, else `nn.CrossEntropyLoss`.

    Raises:
        ValueError: If there is no such variant, or too many classes for its bitmaps.
        ShapeError: If the images are too small, or too large for `"1998"`.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    sections II.B, III.A and III.C; `"modern"` has the activations and the pooling of later years; `"caffe"`: Jia et
    al. 2014, "Caffe" (there without padding); `"nielsen"`: Nielsen 2015, "Neural networks and deep learning",
    chapter 6.

    >>> import tinygrad_cnn as tcnn
    >>> LeNet5().num_parameters(), LeNet5("1998").num_parameters()
    (61706, 60000)
    >>> LeNet5("1998")(tcnn.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    variants = ("modern", "1998", "caffe", "nielsen")

    def __init__(
        self,
        variant: str = "modern",
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: ImageSize = 28,
        generator: random.Generator | None = None,
    ) -> None:
        one_variant("LeNet5", variant, self.variants)
        images = images_of(in_channels, image_size)
        with drawing_from(generator):
            if variant == "1998":
                lenet1998.check_size(*images[1:])
                features, classifier = lenet1998.layers(in_channels, num_classes)
                loss = nn.MAPLoss(lenet1998.RUBBISH)
                super().__init__(images, features, lambda F: nn.Sequential(classifier), criterion=loss, any_size=True)
            else:
                stack = _STACKS[variant]
                super().__init__(images, stack.features(in_channels), stack.classifier(num_classes))
        self.variant = variant

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes: (N, C, H, W) images → (N, num_classes)."""
        outputs = super().forward(x)
        return -outputs if self.variant == "1998" else outputs  # the nearest bitmap has the largest score
