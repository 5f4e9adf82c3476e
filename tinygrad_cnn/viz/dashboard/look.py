"""What a network looks like at this moment: filters, activations, predictions, sizes of weights and gradients.

Looking changes nothing: the network runs in evaluation mode, without a graph and with random numbers of its own.
Pictures are arrays of uint8, (H, W) in grey or (H, W, 3) in colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn import nn, observe
from tinygrad_cnn.autograd import Tensor, no_grad
from tinygrad_cnn.training.histograms import thinned
from tinygrad_cnn.viz import inputs
from tinygrad_cnn.viz.tiles import tiled

MAPS = 16  # feature maps of a layer that are shown
LAYERS = 24  # layers
SIDE = 32  # pixels of a feature map
UNITS = 256  # numbers of a fully connected layer
SAMPLE = 2**16  # numbers of a parameter that its size is estimated from
UNCHANGED = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)  # in evaluation mode


@contextmanager
def unnoticed(model: nn.Module) -> Iterator[None]:
    """Inside the block the model can be run without a graph, and without a recording of the training seeing it."""
    seen_by = observe.observer.set(None)
    try:
        with inputs.undisturbed(model), no_grad():
            yield
    finally:
        observe.observer.reset(seen_by)


def are_images(x: Any) -> bool:
    """Whether a tensor or array holds images that can be shown: (N, 1, H, W) or (N, 3, H, W)."""
    return x.ndim == 4 and x.shape[1] in (1, 3) and 0 not in x.shape


def pixels(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Numbers as brightness, the lowest black and the highest white.

    >>> pixels(np.array([[-1.0, 0.0, 1.0]])).tolist()
    [[0, 128, 255]]
    """
    values = np.nan_to_num(values.astype(np.float64))
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    return np.rint((values - low) / (high - low or 1.0) * 255).clip(0, 255).astype(np.uint8)


def shrunk(values: np.ndarray, side: int) -> np.ndarray:
    """(…, H, W) with at most `side` rows and columns: each the average of a block.

    >>> shrunk(np.array([[1.0, 3.0, 5.0, 7.0]]), 2).tolist()
    [[2.0, 6.0]]
    """
    *front, H, W = values.shape
    k = -(-max(H, W) // side)
    if k <= 1:
        return values
    h, w = min(k, H), min(k, W)
    P, Q = H // h, W // w
    blocks = values[..., : P * h, : Q * w].reshape(*front, P, h, Q, w)
    return blocks.mean(axis=(-3, -1))


def picture(image: np.ndarray, side: int = 96) -> np.ndarray:
    """An image (C, H, W) with one or three channels as a picture, stretched to its full range of brightness."""
    shown = pixels(shrunk(image.astype(np.float64), side))
    return shown[0] if len(shown) == 1 else np.ascontiguousarray(np.moveaxis(shown, 0, -1))


def filters(model: nn.Module, limit: int = 32) -> list[np.ndarray]:
    """The first convolution's filters as pictures of one scale, grey being 0; [] if there is none.

    With three input channels they are in colour; with more than one otherwise, only the first channel is shown.
    """
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 4 and 0 not in weight.shape:
            w = weight.backend.to_numpy(weight.data[:limit]).astype(np.float64)
            w = w if w.shape[1] == 3 else w[:, :1]
            most = float(np.abs(w).max())
            shown = pixels(w, -most, most)
            return [f[0] if len(f) == 1 else np.ascontiguousarray(np.moveaxis(f, 0, -1)) for f in shown]
    return []


def mosaic(tiles: list[np.ndarray], columns: int | None = None) -> np.ndarray | None:
    """Pictures of one size side by side, a pixel of black between them; None if there are none."""
    if not tiles:
        return None
    return tiled(np.stack(tiles), columns or math.ceil(math.sqrt(len(tiles))), blank=0).astype(np.uint8)


def enlarged(image: np.ndarray | None, side: int = 256) -> np.ndarray | None:
    """A picture with each pixel repeated until it is about so large, for viewers that would blur it.

    >>> enlarged(np.array([[0, 255]], np.uint8), 4).tolist()
    [[0, 0, 255, 255], [0, 0, 255, 255]]
    """
    if image is None:
        return None
    k = max(side // max(image.shape[:2]), 1)
    return image.repeat(k, axis=0).repeat(k, axis=1)


@dataclass
class Layer:
    """What a layer makes of one image.

    Attributes:
        name: The layer's dotted name; its class if the network is that one layer.
        kind: Its class.
        shape: Of its output, without N.
        low: The smallest number in it, shown black.
        high: The largest, shown white.
        tiles: The first feature maps; of a fully connected layer one picture with a pixel a number.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    low: float
    high: float
    tiles: list[np.ndarray]


@dataclass
class Seen:
    """What the network says about some images.

    Attributes:
        scores: (N, C) its outputs as shares that add up to 1 (softmax); None if it does not return (N, C).
        layers: What its layers make of one of the images, in the order of the calls.
        skipped: How many layers were left out, for there are too many.
    """

    scores: np.ndarray | None
    layers: list[Layer]
    skipped: int = 0


def run(model: nn.Module, images: np.ndarray, index: int = 0) -> Seen:
    """Run a network on images (N, C, H, W) and look at all its layers, with the eyes on image number `index`."""
    seen: list[tuple[str, nn.Module, Tensor, tuple[int, ...]]] = []
    N = len(images)

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim in (2, 4) and output.shape[0] == N and 0 not in output.shape:
                # few numbers, copied at once: what follows may change the output in place
                part = output[index][: MAPS if output.ndim == 4 else UNITS]
                seen.append((name, module, part.clone(), output.shape[1:]))

        return hook

    with unnoticed(model), ExitStack() as hooks:
        for name, module in model.named_modules():
            if next(module.children(), None) is None and not isinstance(module, UNCHANGED):
                hooks.enter_context(module.register_forward_hook(note(name)))
        outputs = model(inputs.images("Dashboard", model, images))
    scores = outputs[0] if isinstance(outputs, tuple) else outputs
    usable = isinstance(scores, Tensor) and scores.ndim == 2 and scores.shape[0] == N and scores.shape[1] > 1
    chosen = np.linspace(0, len(seen) - 1, min(len(seen), LAYERS)).astype(int).tolist()
    layers = [_layer(*seen[i]) for i in chosen]
    return Seen(softmax(scores.numpy()) if usable else None, layers, len(seen) - len(layers))


def _layer(name: str, module: nn.Module, part: Tensor, shape: tuple[int, ...]) -> Layer:
    values = part.numpy().astype(np.float64)
    low, high = float(values.min()), float(values.max())
    kind = type(module).__name__
    if values.ndim == 3:
        tiles = list(pixels(shrunk(values, SIDE), low, high))
    else:  # as few rows of at most SIDE numbers as there must be, of one length if that is possible
        rows = -(-len(values) // SIDE)
        rows = next((more for more in range(rows, 2 * rows + 1) if len(values) % more == 0), rows)
        width = -(-len(values) // rows)
        padded = np.full(rows * width, low)
        padded[: len(values)] = values
        tiles = [pixels(padded.reshape(rows, width), low, high)]
    return Layer(name or kind, kind, shape, low, high, tiles)


def softmax(scores: np.ndarray) -> np.ndarray:
    """(N, C) scores as shares that add up to 1.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    scores = np.nan_to_num(scores.astype(np.float64))
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@dataclass
class Size:
    """How large the numbers of a parameter are: the square root of the mean of their squares.

    Attributes:
        name: The parameter's dotted name.
        weight: Of its values.
        gradient: Of its gradient; None if it has none.
    """

    name: str
    weight: float
    gradient: float | None


def sizes(model: nn.Module) -> list[Size]:
    """How large weights and gradients are, per parameter with two axes or more."""
    return [
        Size(name, _rms(p.data), None if p.grad is None else _rms(p.grad))
        for name, p in model.named_parameters()
        if p.ndim > 1
    ]


def _rms(array: Any) -> float:
    values = thinned(array, SAMPLE)
    return float(np.sqrt(np.mean(values * values))) if values.size else 0.0
