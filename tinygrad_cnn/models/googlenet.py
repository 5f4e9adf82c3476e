"""GoogLeNet: Inception modules, and heads in the middle that help to train it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_cnn import functional as F
from tinygrad_cnn import nn, random
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.models.base import ImageSize, drawing_from, images_of, one_variant, widened
from tinygrad_cnn.models.sizes import check_images, shape_behind
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.walk import Call
from tinygrad_cnn.shapes import Shape

# channels: 1×1; 1×1 before 3×3, 3×3; 1×1 before 5×5, 5×5; 1×1 behind the pooling
_INCEPTIONS = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
# behind which module an auxiliary head stands
_HEADS = {"inception4a": "aux1", "inception4d": "aux2"}


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet returns in training: (N, num_classes) scores of the network and of its auxiliary heads."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class AuxiliaryLoss(nn.Module):
    """Cross-entropy of a network's scores, plus a part of that of its auxiliary heads, if it is training.

    Formula: `loss = CE(logits) + weight·Σ CE(aux_logits)`.

    Args:
        weight: How much a head counts.

    Source: Szegedy et al. 2015, "Going deeper with convolutions", section 5.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import models
    >>> even, target = tcnn.tensor([[0.0, 0.0]]), tcnn.tensor([0])
    >>> outputs = models.GoogLeNetOutputs(even, even, even)
    >>> round(AuxiliaryLoss()(outputs, target).item(), 4)   # (1 + 0.3 + 0.3)·log 2
    1.109
    """

    def __init__(self, weight: float = 0.3) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, outputs: Tensor | GoogLeNetOutputs, target: Tensor) -> Tensor:
        """Scores, or `GoogLeNetOutputs`, and class numbers (N,) → a number."""
        if isinstance(outputs, Tensor):
            return F.cross_entropy(outputs, target)
        logits, *heads = outputs
        loss = F.cross_entropy(logits, target)
        for head in heads:
            if head is not None:
                loss = loss + self.weight * F.cross_entropy(head, target)
        return loss

    def extra_repr(self) -> str:
        """The weight of a head."""
        return f"weight={self.weight}"


class Inception(nn.Module):
    """Four ways through a layer side by side, their maps one behind the other: 1×1, 3×3 and 5×5 filters, and pooling.

    Formula: `y = concatenate over channels (1×1(x), 3×3(1×1(x)), 5×5(1×1(x)), 1×1(maximum of 3×3(x)))`. The 1×1 filters
    before the large ones reduce the channels: 5×5 filters on all of them would cost most of the multiplications.

    Args:
        in_channels: C.
        ch1x1: Filters of the first way.
        ch3x3red: 1×1 filters before the 3×3.
        ch3x3: 3×3 filters.
        ch5x5red: 1×1 filters before the 5×5.
        ch5x5: 5×5 filters.
        pool_proj: 1×1 filters behind the pooling.
        kernel: Size of the large filters: the paper's 5, or 3 as in PyTorch's weights.
        batch_norm: Batch normalisation behind each convolution, which then has no bias.

    Source: Szegedy et al. 2015, "Going deeper with convolutions", figure 2b.

    >>> import tinygrad_cnn as tcnn
    >>> Inception(192, 64, 96, 128, 16, 32, 32)(tcnn.zeros(1, 192, 7, 9)).shape   # 64 + 128 + 32 + 32
    (1, 256, 7, 9)
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        *,
        kernel: int = 5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()

        def unit(C: int, K: int, R: int = 1) -> nn.Sequential:
            return _convolution(C, K, R, batch_norm=batch_norm)

        self.branch1 = unit(in_channels, ch1x1)
        self.branch2 = nn.Sequential(unit(in_channels, ch3x3red), unit(ch3x3red, ch3x3, 3))
        self.branch3 = nn.Sequential(unit(in_channels, ch5x5red), unit(ch5x5red, ch5x5, kernel))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), unit(in_channels, pool_proj))
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + pool_proj

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, the filters of all ways, H, W)."""
        return F.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)

    def walk_shapes(self, shape: Shape, call: Call) -> Shape:
        """What `forward` does to the shape of one sample; see `nn.walk`."""
        ways = [call(f"branch{i}", shape) for i in (1, 2, 3, 4)]
        return sum(C for C, *_ in ways), *ways[0][1:]


class GoogLeNet(nn.Module):
    """22 layers with weights, nine Inception modules, and only 7 million parameters.

    | layer | output for 3×224×224 |
    |---|---|
    | conv1: 64 filters 7×7, stride 2; maxpool1: 3×3, stride 2 | 64×56×56 |
    | conv2: 64 filters 1×1; conv3: 192 filters 3×3; maxpool2 | 192×28×28 |
    | inception3a, 3b; maxpool3 | 480×14×14 |
    | inception4a to 4e, the heads aux1 and aux2 behind 4a and 4d; maxpool4 | 832×7×7 |
    | inception5a, 5b | 1024×7×7 |
    | avgpool: mean over each map; dropout; fc | num_classes |

    The mean over each map takes the place of the large fully connected layers. In training the two heads classify
    from the middle of the network, so that the first layers get a gradient that has not come all the way; in evaluation
    they do nothing.

    `"torchvision"`: PyTorch's, with batch normalisation, 3×3 filters where the paper has 5×5, and PyTorch's names, so
    that its published weights can be loaded (they want images scaled to −1 … 1, its `transform_input=True`).
    13,004,888 parameters, 6,624,904 without heads.

    `"paper"`: with 5×5 filters, local response normalisation behind maxpool1 and conv3, no batch normalisation.
    6,998,552 parameters without heads, 13,378,280 with them.

    `"cifar"`: for 32×32 images: with half the channels, 3×3 filters with stride 1 in conv1, and no maxpool2; 5×5
    filters and batch normalisation. 2,604,350 parameters, 1,510,954 without heads.

    Args:
        variant: `"torchvision"`, `"paper"` or `"cifar"`.
        num_classes: Outputs; 1000 by default, 10 in `"cifar"`.
        in_channels: C of the images.
        image_size: H and W of the images in pixels, one number for squares; by default 224, 32 in `"cifar"`. Others are
            taken, too, where the layers can.
        aux_logits: Whether there are auxiliary heads.
        width: So many times as many channels in each layer, rounded to multiples of 8.
        dropout: Probability of a feature to be dropped before the last layer: by default 0.2, 0.4 in `"paper"`.
        dropout_aux: Likewise in the heads.
        generator: Source of the first weights; the default generator if absent.

    Attributes:
        input_shape: (C, H, W) of the images.
        criterion: The loss, `AuxiliaryLoss`: it takes what the network returns in training and in evaluation.

    Raises:
        ValueError: If there is no such variant.
        ShapeError: If the images are too small.

    Source: Szegedy et al. 2015, "Going deeper with convolutions", table 1 and section 5.

    >>> import tinygrad_cnn as tcnn
    >>> model = GoogLeNet("cifar", width=0.25)
    >>> [scores.shape for scores in model(tcnn.zeros(2, 3, 32, 32))], model.eval()(tcnn.zeros(2, 3, 32, 32)).shape
    ([(2, 10), (2, 10), (2, 10)], (2, 10))
    """

    variants = ("torchvision", "paper", "cifar")
    for_small_images = ", or take variant='cifar', which is made for 32×32"

    def __init__(
        self,
        variant: str = "torchvision",
        num_classes: int | None = None,
        in_channels: int = 3,
        image_size: ImageSize | None = None,
        aux_logits: bool = True,
        width: float = 1.0,
        dropout: float | None = None,
        dropout_aux: float = 0.7,
        generator: random.Generator | None = None,
    ) -> None:
        super().__init__()
        one_variant("GoogLeNet", variant, self.variants)
        small, paper = variant == "cifar", variant == "paper"
        size = (32 if small else 224) if image_size is None else image_size
        classes = (10 if small else 1000) if num_classes is None else num_classes
        if dropout is None:
            dropout = 0.4 if paper else 0.2
        self.variant, self.input_shape, self.aux_logits = variant, images_of(in_channels, size), aux_logits
        with init.skipped():
            heads = self._add_trunk(in_channels, width / 2 if small else width)
            C = self.inception5b.out_channels
            for name, channels in heads.items() if aux_logits else ():
                pool = nn.AvgPool2d(5, 3) if paper else nn.AdaptiveAvgPool2d(4)
                K, D = (widened(n, width / 2 if small else width) for n in (128, 1024))
                self.add_module(name, _head(channels, K, D, classes, pool, dropout_aux, batch_norm=not paper))
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.flatten = nn.Flatten()
            self.dropout = nn.Dropout(dropout)
            self.fc = nn.Linear(C, classes)
        self.criterion = AuxiliaryLoss()
        shape_behind(type(self), {"": self}, self.input_shape)
        with drawing_from(generator):
            self.apply(_as_torchvision if variant == "torchvision" else _he)

    def _add_trunk(self, C: int, width: float) -> dict[str, int]:
        """Everything up to inception5b; returns the channels that each auxiliary head sees."""
        small, paper = self.variant == "cifar", self.variant == "paper"
        options: dict[str, Any] = {"batch_norm": not paper}
        A, B = widened(64, width), widened(192, width)
        self.conv1 = _convolution(C, A, 3, **options) if small else _convolution(C, A, 7, stride=2, **options)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        if paper:
            self.norm1 = _norm()
        self.conv2 = _convolution(A, A, 1, **options)
        self.conv3 = _convolution(A, B, 3, **options)
        if paper:
            self.norm2 = _norm()
        if not small:
            self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        heads, C = {}, B
        kernel = 3 if self.variant == "torchvision" else 5
        for name, plan in _INCEPTIONS.items():
            ways = [widened(channels, width) for channels in plan]
            self.add_module(name, Inception(C, *ways, kernel=kernel, **options))
            C = self.get_submodule(name).out_channels
            if name in _HEADS:
                heads[_HEADS[name]] = C
            if name == "inception3b":
                self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
            if name == "inception4e":
                self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True) if not paper else nn.MaxPool2d(3, 2, ceil_mode=True)
        return heads

    def _trunk(self) -> list[str]:
        """The layers in order, without heads."""
        return [name for name in self._modules if name not in ("aux1", "aux2", "criterion")]

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """(N, C, H, W) images → (N, num_classes) scores; in training `GoogLeNetOutputs`, if there are heads."""
        check_images(self, x, self.input_shape, any_size=True)
        heads: dict[str, Tensor] = {}
        for name in self._trunk():
            x = getattr(self, name)(x)
            if name in _HEADS and self.aux_logits and self.training:
                heads[_HEADS[name]] = getattr(self, _HEADS[name])(x)
        return GoogLeNetOutputs(x, heads["aux2"], heads["aux1"]) if heads else x

    def walk_shapes(self, shape: Shape, call: Call) -> Shape:
        """What `forward` does to the shape of one sample in training; see `nn.walk`."""
        for name in self._trunk():
            shape = call(name, shape)
            if name in _HEADS and self.aux_logits:
                call(_HEADS[name], shape)
        return shape


def _convolution(C: int, K: int, R: int, stride: int = 1, batch_norm: bool = False) -> nn.Sequential:
    """A convolution with R×R filters that keeps the size (but for the stride), batch norm if wanted, ReLU."""
    conv = nn.Conv2d(C, K, R, stride, padding=R // 2, bias=not batch_norm)
    norm = {"bn": nn.BatchNorm2d(K, eps=0.001)} if batch_norm else {}
    return nn.Sequential({"conv": conv, **norm, "relu": nn.ReLU()})


def _head(C: int, K: int, D: int, classes: int, pool: nn.Module, dropout: float, batch_norm: bool) -> nn.Sequential:
    """An auxiliary head: 4×4 means, 1×1 filters, two fully connected layers."""
    return nn.Sequential(
        {
            "pool": pool,
            "conv": _convolution(C, K, 1, batch_norm=batch_norm),
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(K * 16, D),
            "relu": nn.ReLU(),
            "dropout": nn.Dropout(dropout),
            "fc2": nn.Linear(D, classes),
        }
    )


def _norm() -> nn.Module:
    """Local response normalisation as in AlexNet, but with k = 1, Caffe's choice; the paper gives no numbers."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


def _as_torchvision(layer: Any) -> None:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        init.normal_(layer.weight, std=0.01)
        init.bias_like_(layer.bias, layer.weight)
    elif isinstance(layer, nn.BatchNorm2d):
        layer.reset_parameters()


def _he(layer: Any) -> None:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        init.kaiming_normal_(layer.weight, nonlinearity="relu")
    elif isinstance(layer, nn.BatchNorm2d):
        layer.reset_parameters()
