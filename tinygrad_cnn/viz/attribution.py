"""What in an image made a network decide as it did, as numbers; `plot` draws them.

All three look at a network without changing it: modes, hooks, gradients and random numbers are as before.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Tensor, grad, no_grad
from tinygrad_cnn.shapes import Ints, ShapeError, Window
from tinygrad_cnn.storage import host
from tinygrad_cnn.viz.inputs import images, last_output, path_of, undisturbed

_BATCH = 64  # covered images that go through the network at once


class Attribution(NamedTuple):
    """For each of N images how much each place counts, for which class, and how likely the network finds that one.

    Attributes:
        maps: (N, H, W) or, of places farther apart, (N, P, Q).
        classes: (N,) the class that was asked about.
        probabilities: (N,) its softmax probability.
    """

    maps: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray


def saliency_map(model: nn.Module, x: Any, y: int | Sequence[int] | None = None) -> Attribution:
    """How strongly a class's score reacts to each pixel.

    Formula: `m[h,w] = max_c |∂s_y/∂x[c,h,w]|`, s being the scores the network returns, before the softmax.

    Args:
        model: The network, in any mode; evaluated in evaluation mode.
        x: (N, C, H, W) images, or one image (C, H, W).
        y: The class, or (N,) classes; what the network predicts if None.

    Returns:
        Maps (N, H, W), classes, probabilities.

    Raises:
        ShapeError: If x are no images or the network does not return scores (N, K).
        ValueError: If there is no such class.

    Source: Simonyan, Vedaldi & Zisserman 2014, "Deep inside convolutional networks: visualising image classification
    models and saliency maps", section 3.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    >>> _ = net.load_state_dict({"1.weight": [[1.0, -3.0], [0.0, 0.0]]})   # s₀ = x₀ − 3·x₁, s₁ = 0
    >>> saliency_map(net, tcnn.ones(1, 1, 2), y=0).maps.tolist()
    [[[1.0, 3.0]]]
    """
    with undisturbed(model):
        x = images("saliency", model, x).requires_grad_()
        scores = _scores("saliency", model, x)
        classes, start, probabilities = _asked("saliency", scores, y)
        (dx,) = grad(scores, x, start)
    assert dx is not None
    return Attribution(np.abs(dx.numpy()).max(axis=1), classes, probabilities)


def grad_cam_map(model: nn.Module, x: Any, layer: Any = None, y: int | Sequence[int] | None = None) -> Attribution:
    """Where the feature maps that speak for a class are active.

    Formula: `m[p,q] = max(0, Σ_k α_k·A[k,p,q])` with `α_k = mean_{p,q} ∂s_y/∂A[k,p,q]`, A being the layer's output.

    Args:
        model: The network, in any mode; evaluated in evaluation mode.
        x: (N, C, H, W) images, or one image (C, H, W).
        layer: The name of the layer, or the layer itself; the last convolution that is called if None.
        y: The class, or (N,) classes; what the network predicts if None.

    Returns:
        Maps (N, P, Q), classes, probabilities.

    Raises:
        ShapeError: If x are no images, the network does not return scores (N, K), or the layer no maps (N, K, P, Q).
        ValueError: If there is no such class or layer, or the layer is not called.

    Source: Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization",
    equations 1 and 2.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(2, 2, bias=False))
    >>> _ = net.load_state_dict({"0.weight": [[[[2.0]]]], "2.weight": [[1.0, 3.0], [0.0, 0.0]]})
    >>> grad_cam_map(net, tcnn.tensor([[[5.0, -5.0]]]), y=0).maps.tolist()   # A = (10, −10), α = (1 + 3)/2
    [[[20.0, 0.0]]]
    """
    if layer is None:
        chosen: list[nn.Module] = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
        what = "a convolution (nn.Conv2d)"
    else:
        path = path_of("grad_cam", model, layer)
        chosen, what = [model.get_submodule(path)], repr(path)
    with undisturbed(model):
        with last_output(chosen) as last:
            scores = _scores("grad_cam", model, images("grad_cam", model, x).requires_grad_())
        if not last:
            raise ValueError(f"grad_cam: the network did not call {what} in evaluation mode; name a layer it calls")
        (A,) = last
        if not isinstance(A, Tensor) or A.ndim != 4:
            returned = A.shape if isinstance(A, Tensor) else type(A).__name__
            raise ShapeError(
                f"grad_cam: {what} returns {returned}, not feature maps (N, K, P, Q); name an earlier layer"
            )
        classes, start, probabilities = _asked("grad_cam", scores, y)
        (dA,) = grad(scores, A, start)
    assert dA is not None
    alpha = dA.numpy().mean(axis=(2, 3), keepdims=True)
    return Attribution(np.maximum((alpha * A.numpy()).sum(axis=1), 0), classes, probabilities)


def occlusion_map(
    model: nn.Module,
    x: Any,
    y: int | Sequence[int] | None = None,
    size: Ints | None = None,
    stride: Ints | None = None,
    fill: float | None = None,
) -> Attribution:
    """How much less likely a class becomes when a part of the image is covered.

    Formula: `m[p,q] = P(y | x) − P(y | x with the square at (p·stride, q·stride) covered)`.

    Args:
        model: The network, in any mode; evaluated in evaluation mode.
        x: (N, C, H, W) images, or one image (C, H, W).
        y: The class, or (N,) classes; what the network predicts if None.
        size: Rows, or (rows, columns), of the square in pixels; about a quarter of the image if None.
        stride: Pixels from one square to the next; about a quarter of its size if None.
        fill: The value that covers; each channel's mean in the image if None.

    Returns:
        Maps (N, P, Q), classes, probabilities.

    Raises:
        ShapeError: If x are no images, the network does not return scores (N, K), or the square is larger than the
            image.
        ValueError: If there is no such class.

    Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2.

    >>> import math
    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    >>> _ = net.load_state_dict({"1.weight": [[1.0, 0.0], [0.0, 0.0]]})   # P₀ = exp(x₀)/(exp(x₀) + 1)
    >>> found = occlusion_map(net, tcnn.tensor([[[math.log(3), 5.0]]]), y=0, size=1, stride=1, fill=0.0)
    >>> [round(v, 3) for v in found.maps.reshape(-1).tolist()]   # 3/4 − 1/2, and the other pixel does not matter
    [0.25, 0.0]
    """
    with undisturbed(model), no_grad():
        batch = images("occlusion", model, x)
        (H, W), like = batch.shape[2:], batch
        window = occlusion_window((H, W), size, stride)
        P, Q = window.outs((H, W), operation="occlusion")
        classes, _, probabilities = _asked("occlusion", _scores("occlusion", model, batch), y)
        pixels = batch.numpy()
        cover = pixels.mean(axis=(2, 3), keepdims=True) if fill is None else np.full_like(pixels[:, :, :1, :1], fill)
        maps = np.empty((len(pixels), P, Q))
        places = list(itertools.product(range(P), range(Q)))
        for n, begin in itertools.product(range(len(pixels)), range(0, len(places), _BATCH)):
            part = places[begin : begin + _BATCH]
            covered = np.repeat(pixels[n : n + 1], len(part), axis=0)
            for image, place in zip(covered, part):
                (top, left), (rows, columns) = (p * s for p, s in zip(place, window.stride)), window.kernel
                image[:, top : top + rows, left : left + columns] = cover[n]
            y_hat = _scores("occlusion", model, Tensor(covered, device=like.backend))
            _, _, without = _asked("occlusion", y_hat, int(classes[n]))
            maps[n].flat[begin : begin + len(part)] = probabilities[n] - without
    return Attribution(maps, classes, probabilities)


def occlusion_window(image: tuple[int, int], size: Ints | None = None, stride: Ints | None = None) -> Window:
    """The square of `occlusion_map` as it slides over an image (H, W).

    >>> window = occlusion_window((28, 28))
    >>> window.kernel, window.stride, window.out(28, 28)
    ((7, 7), (1, 1), (22, 22))
    """
    if size is None:
        size = tuple(max(1, round(pixels / 4)) for pixels in image)
    if stride is None:
        stride = tuple(max(1, rows // 4) for rows in (size if isinstance(size, (tuple, list)) else (size,) * 2))
    return Window(size if isinstance(size, (tuple, list)) else (size, size), stride)


def _scores(operation: str, model: nn.Module, x: Tensor) -> Tensor:
    """What the network says of each class, (N, K); of several outputs the first."""
    scores = model(x)
    scores = scores[0] if isinstance(scores, tuple) else scores
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        returned = scores.shape if isinstance(scores, Tensor) else type(scores).__name__
        raise ShapeError(f"{operation}: the network must return scores (N, K), one a class, not {returned}")
    return scores


def _asked(operation: str, scores: Tensor, y: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) the classes asked about, (N, K) the gradient of their scores, (N,) their probabilities."""
    s = scores.numpy().astype(np.float64)
    N, K = s.shape
    classes = s.argmax(axis=1) if y is None else host(y)
    classes = np.broadcast_to(classes, (N,)) if classes.ndim == 0 else classes  # one for all
    if classes.shape != (N,):
        raise ShapeError(f"{operation}: y must be one class, or one for each of the {N} images, not {classes.shape}")
    if classes.dtype.kind not in "iu" or (classes < 0).any() or (classes >= K).any():
        raise ValueError(f"{operation}: y={y!r}: classes are whole numbers from 0 to {K - 1}; the network has {K}")
    e = np.exp(s - s.max(axis=1, keepdims=True))
    rows = np.arange(N)
    return np.array(classes), np.eye(K)[classes], (e / e.sum(axis=1, keepdims=True))[rows, classes]
