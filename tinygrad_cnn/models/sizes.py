"""How large an image is behind a stack of layers."""

from __future__ import annotations

from collections.abc import Mapping

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.shapes import ShapeError, Window


def output_shape(model: str, layers: Mapping[str, nn.Module], shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The (C, H, W) behind convolutions, poolings and layers that change no size.

    Args:
        model: Its name, for the message.
        layers: Name → layer, in order.
        shape: (C, H, W) of the image.

    Raises:
        ShapeError: If the image is too small for one of them.

    >>> from tinygrad_cnn import nn
    >>> layers = {"conv": nn.Conv2d(1, 6, kernel_size=5), "relu": nn.ReLU(), "pool": nn.MaxPool2d(2)}
    >>> output_shape("example", layers, (1, 28, 28))
    (6, 12, 12)
    """
    C, H, W = shape
    for name, layer in layers.items():
        if not isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            continue
        dilation = getattr(layer, "dilation", 1)
        window = Window(layer.kernel_size, layer.stride, layer.padding, dilation, getattr(layer, "ceil_mode", False))
        try:
            H, W = window.out(H, W)
        except ShapeError as error:
            raise ShapeError(
                f"{model}: images of {shape[1]}×{shape[2]} are too small: layer {name} gets {H}×{W} pixels ({error}); "
                f"enlarge them first (data.transforms.Resize or Pad)"
            ) from None
        C = getattr(layer, "out_channels", C)
    return C, H, W


def check_images(model: str, x: Tensor, shape: tuple[int, int, int]) -> None:
    """Refuse images of another shape than the model was made for.

    Args:
        model: Its name, for the message.
        x: (N, C, H, W) images.
        shape: (C, H, W) it was made for.

    Raises:
        ShapeError: With the way to make the two agree.
    """
    if x.shape[1:] == shape:
        return
    C, H, W = shape
    if x.shape == shape:
        advice = "add a batch of one with x[None]"
    elif x.ndim == 4 and x.shape[1] == C:
        advice = f"resize them (data.transforms.Resize(({H}, {W}))), or make the model with image_size={x.shape[2:]}"
    else:
        advice = f"images are (N, C, H, W); in_channels={C} and image_size={(H, W)} are given when the model is made"
    raise ShapeError(f"{model}: made for images (N, {C}, {H}, {W}), x is {x.shape}; {advice}")
