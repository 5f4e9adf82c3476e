"""How large an image must be, and what to say if it is not."""

from __future__ import annotations

from collections.abc import Mapping

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.walk import output_shape
from tinygrad_cnn.shapes import Shape, ShapeError, strict_sizes

Images = tuple[int, int, int]


def shape_behind(model: type[nn.Module], modules: Mapping[str, nn.Module], images: Images) -> Shape:
    """The (C, P, Q) behind a chain of modules.

    Args:
        model: Its class, for the message.
        modules: Name → module, in order.
        images: (C, H, W) of the image.

    Raises:
        ShapeError: If a layer cannot take what the one before it gives, as where the image is too small.

    >>> from tinygrad_cnn import nn
    >>> features = nn.Sequential({"conv": nn.Conv2d(1, 6, kernel_size=5), "pool": nn.MaxPool2d(2)})
    >>> shape_behind(nn.Sequential, {"features": features}, (1, 28, 28))
    (6, 12, 12)
    """
    shape: Shape = images
    try:
        with strict_sizes(False):  # that is a question for who computes; here only for what cannot be
            for name, module in modules.items():
                shape = output_shape(module, shape, name)
    except ShapeError as error:
        _, H, W = images
        advice = f"Enlarge them first (data.transforms.Resize or Pad){getattr(model, 'for_small_images', '')}"
        raise ShapeError(f"{model.__name__}: images of {H}×{W} are too small: {error}. {advice}") from None
    return shape


def check_images(model: nn.Module, x: Tensor, images: Images, any_size: bool = False) -> None:
    """Refuse images of another shape than the model was made for.

    Args:
        model: The network.
        x: (N, C, H, W) images.
        images: (C, H, W) it was made for.
        any_size: It takes all sizes that its layers can take.

    Raises:
        ShapeError: With the way to make the two agree.
    """
    if x.shape[1:] == images:
        return
    name, (C, H, W) = type(model).__name__, images
    if any_size and x.ndim == 4 and x.shape[1] == C:
        shape_behind(type(model), {"": model}, x.shape[1:])  # type: ignore[arg-type]
        return
    if x.shape == images:
        advice = "add a batch of one with x[None]"
    elif x.ndim == 4 and x.shape[1] == C:
        advice = f"resize them (data.transforms.Resize(({H}, {W}))), or make the model with image_size={x.shape[2:]}"
    else:
        advice = f"images are (N, C, H, W); in_channels={C} and image_size={(H, W)} are given when the model is made"
    raise ShapeError(f"{name}: made for images (N, {C}, {H}, {W}), x is {x.shape}; {advice}")
