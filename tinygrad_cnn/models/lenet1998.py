"""What LeNet-5 (1998) has and no network after it: its input, its connection table and its output."""

from __future__ import annotations

from tinygrad_cnn import functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.models.bitmaps import digit_bitmaps
from tinygrad_cnn.nn.walk import Call
from tinygrad_cnn.shapes import Shape, ShapeError

BACKGROUND, FOREGROUND = -0.1, 1.175
SIZE = 32

#: The distance of rubbish, j in `nn.MAPLoss`; the paper does not tell it. Measured with one seed and Adam: on MNIST, 8
#: epochs, j = 5 gives 99.0 %, 20 gives 98.9 %; on scikit-learn's digits, 10 epochs, 10 gives 97.8 %, 60 gives 95.0 %.
RUBBISH = 5.0

# Table I of the paper: a row for each of the 6 maps of S2, a column for each of the 16 maps of C3
_TABLE = """
    X...XXX..XXXX.XX
    XX...XXX..XXXX.X
    XXX...XXX..X.XXX
    .XXX..XXXX..X.XX
    ..XXX..XXXX.XX.X
    ...XXX..XXXX.XXX
"""


def connection_table() -> list[list[int]]:
    """Which maps of S2 each of the 16 maps of C3 sees: (16, 6) of 0 and 1, 60 ones.

    The first six see three neighbouring maps, the next six four neighbours, three see four others, the last one all.
    That keeps the number of weights down, and maps that see different things must learn different features.

    Source: LeCun, Bottou, Bengio & Haffner 1998, table I.

    >>> connection_table()[0], sum(map(sum, connection_table()))
    ([1, 1, 1, 0, 0, 0], 60)
    """
    rows = [[int(mark == "X") for mark in line.strip()] for line in _TABLE.strip().splitlines()]
    return [list(column) for column in zip(*rows)]


class InputPlane(nn.Module):
    """Images in the middle of a 32×32 plane, with the paper's levels: background −0.1, foreground 1.175.

    Formula: `y = −0.1 + 1.275·(x − min x)/(max x − min x)`, each image by itself; around it −0.1. So it does not
    matter how the images were scaled before (0 … 1, 0 … 255, mean 0 and standard deviation 1), and what is put around
    them is background. The 28×28 images of MNIST get two pixels on each side.

    Args:
        size: Rows and columns of the plane.

    Raises:
        ShapeError: If the images are larger than the plane.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    section II.B ("this makes the mean input roughly 0, and the variance roughly 1, which accelerates learning").

    >>> import tinygrad_cnn as tcnn
    >>> [[round(y, 3) for y in row] for row in InputPlane(2)(tcnn.tensor([[[[0.0], [255.0]]]])).tolist()[0][0]]
    [[-0.1, -0.1], [1.175, -0.1]]
    """

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, size, size)."""
        H, W = x.shape[2:]
        check_size(H, W, self.size)
        low = x.amin((1, 2, 3), keepdim=True)
        span = x.amax((1, 2, 3), keepdim=True) - low
        ink = (x - low) / (span + (span == 0))  # an empty image is background
        sides = [side for size in (W, H) for side in _sides(self.size - size)]
        return F.pad(BACKGROUND + (FOREGROUND - BACKGROUND) * ink, sides, value=BACKGROUND)

    def walk_shapes(self, shape: Shape, call: Call) -> Shape:
        """What `forward` does to the shape of one sample; see `nn.walk`."""
        return shape[0], self.size, self.size

    def extra_repr(self) -> str:
        """The size and the levels."""
        return f"{self.size}, background={BACKGROUND}, foreground={FOREGROUND}"


def check_size(H: int, W: int, size: int = SIZE) -> None:
    """Refuse images that are larger than the input plane.

    Raises:
        ShapeError: With the remedy.
    """
    if max(H, W) > size:
        raise ShapeError(
            f"LeNet5: images of {H}×{W} are larger than the {size}×{size} input plane of variant '1998'; shrink them "
            f"first (data.transforms.Resize(({size}, {size})))"
        )


def _sides(room: int) -> tuple[int, int]:
    return room // 2, room - room // 2


def layers(in_channels: int, num_classes: int) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    """Features and classifier of the paper, layer by layer; each weighted sum is squashed, up to F6."""
    if num_classes > 10:
        raise ValueError(
            f"LeNet5: variant '1998' has bitmaps of ten digits, so num_classes={num_classes} must be at most 10; take "
            "variant='modern'"
        )
    features: dict[str, nn.Module] = {
        "input": InputPlane(),
        "c1": nn.Conv2d(in_channels, 6, kernel_size=5),
        "squash1": nn.ScaledTanh(),
        "s2": nn.Subsampling2d(6, 2),
        "squash2": nn.ScaledTanh(),
        "c3": nn.ConnectionConv2d(connection_table(), kernel_size=5),
        "squash3": nn.ScaledTanh(),
        "s4": nn.Subsampling2d(16, 2),
        "squash4": nn.ScaledTanh(),
        "c5": nn.Conv2d(16, 120, kernel_size=5),
        "squash5": nn.ScaledTanh(),
    }
    classifier: dict[str, nn.Module] = {
        "f6": nn.Linear(120, 84),
        "squash6": nn.ScaledTanh(),
        "rbf": nn.EuclideanRBF(84, num_classes, centers=digit_bitmaps()[:num_classes]),
    }
    for layer in (features["c1"], features["c5"], classifier["f6"]):
        _draw(layer)
    return features, classifier


def _draw(layer: nn.Module) -> None:
    """The paper's first values, ±2.4/fan_in; the layers of this paper alone draw theirs so themselves."""
    bound = 2.4 / nn.init.fans(layer.weight.shape)[0]
    for values in (layer.weight, layer.bias):
        nn.init.uniform_(values, -bound, bound)
