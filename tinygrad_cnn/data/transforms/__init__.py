"""What happens to an image between the data set and the network.

A transform is called as `t(image, rng)` with one image, or as `t.batch(images, rngs)` with N images in one
array and their N random streams. Both give the same bits: the built-in transforms define only `batch`, and
one image is a batch of one. A transform without randomness ignores `rng`; a random one draws from it, and
from the default generator where none is given. Any function of one image is a transform too, but gets no
`rng`: to be random, subclass `Transform`.

Layouts, as in torchvision: before `ToTensor`, pictures are uint8 (H, W) or (H, W, C) arrays or PIL images;
after it, float (C, H, W) arrays. Resizing, padding, cropping and flipping work on both and tell them apart by
the dtype.
"""

from tinygrad_cnn.data.transforms.base import BatchTransform, Compose, Transform, apply, apply_batch, as_array
from tinygrad_cnn.data.transforms.colour import PCAColor
from tinygrad_cnn.data.transforms.convert import Normalize, ToTensor
from tinygrad_cnn.data.transforms.geometry import Pad, RandomCrop, RandomHorizontalFlip, Resize

__all__ = [
    "BatchTransform",
    "Compose",
    "Normalize",
    "PCAColor",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Resize",
    "ToTensor",
    "Transform",
    "apply",
    "apply_batch",
    "as_array",
]
