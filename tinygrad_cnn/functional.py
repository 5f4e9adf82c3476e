"""The functions users call: `F.conv2d(x, weight, bias, stride=1, padding=0)`. Public as `tinygrad_cnn.nn.functional`.

Images are (N, C, H, W); a single image (C, H, W) is taken as a batch of one. What has a PyTorch name has PyTorch's
arguments and defaults.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from tinygrad_cnn import dtypes, ops
from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.autograd import Tensor, apply, no_grad
from tinygrad_cnn.dtypes import DtypeError
from tinygrad_cnn.methods import Extremes
from tinygrad_cnn.random import Generator, default_generator
from tinygrad_cnn.shapes import Ints, ShapeError, Window, one_dim, window

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "cat",
    "conv2d",
    "cross_entropy",
    "dropout",
    "flatten",
    "leaky_relu",
    "linear",
    "log_softmax",
    "matmul",
    "max_pool2d",
    "maximum",
    "minimum",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "sort",
    "stack",
    "tanh",
    "topk",
    "where",
]


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


def _same_format(operation: str, **tensors: Tensor | None) -> None:
    """PyTorch's rule: layers do not mix number formats silently."""
    given = {name: t for name, t in tensors.items() if t is not None}
    (first, x), *rest = given.items()
    for name, tensor in rest:
        if tensor.dtype != x.dtype:
            remedy = f".to({tensor.dtype.name!r})"
            if dtypes.is_floating(x.dtype):
                remedy += f", or the model with model.to({x.dtype.name!r})"
            elif x.dtype == dtypes.uint8:
                remedy += ", pictures with x.float() / 255"
            raise DtypeError(
                f"{operation}: {first} is {x.dtype}, {name} is {tensor.dtype}; convert {first} with {remedy}"
            )


def _batched(function: Any, x: Tensor, *rest: Any) -> Any:
    """A layer for images on one image: as a batch of one, and back."""
    if x.ndim != 3:
        return function(x, *rest)
    result = function(x.unsqueeze(0), *rest)
    return tuple(r.squeeze(0) for r in result) if isinstance(result, tuple) else result.squeeze(0)


# Layers


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The fully connected layer.

    Formula: `y = x·weightᵀ + bias`.

    Args:
        input: x, (…, F) inputs.
        weight: (D, F), one row per output.
        bias: (D,).

    Returns:
        (…, D).

    Raises:
        ShapeError: If the sizes F or D do not agree.
        DtypeError: If the number formats differ.

    >>> linear(Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), Tensor([10.0]))
    tensor([[21.]])
    """
    x = _as_tensor(input)
    _same_format("linear", x=x, weight=weight, bias=bias)
    return apply(ops.Linear(), x, weight, *([] if bias is None else [bias]))


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Slide K filters over images: cross-correlation, what deep learning calls convolution.

    Formula: `y[n,k,p,q] = bias[k] + Σ_{c,r,s} x[n, c, p·stride + r·dilation, q·stride + s·dilation]·weight[k,c,r,s]`
    with x padded by zeros; with groups, filter k sees only the channels of its own group.

    Args:
        input: x, (N, C, H, W) images.
        weight: (K, C/groups, R, S) filters.
        bias: (K,), one number per filter.
        stride: Steps of the window, in pixels.
        padding: Zeros on each side, in pixels; or "same" (output as large as the input) or "valid" (none).
        dilation: Distance of kernel taps, in pixels.
        groups: Groups the channels are cut into.

    Returns:
        (N, K, P, Q) with `P = ⌊(H + 2·padding − dilation·(R − 1) − 1)/stride⌋ + 1`.

    Raises:
        ShapeError: If the sizes do not agree, or the kernel is larger than the padded image.
        DtypeError: If the number formats differ.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.A.

    >>> image = Tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> conv2d(image, Tensor([[[[1.0, 0.0], [0.0, 1.0]]]]))  # 1·1 + 4·1
    tensor([[[[5.]]]])
    """
    x = _as_tensor(input)
    _same_format("conv2d", x=x, weight=weight, bias=bias)
    operation = ops.Conv2d(
        _pair(stride), padding if isinstance(padding, str) else _pair(padding), _pair(dilation), groups
    )
    return _batched(lambda images: apply(operation, images, weight, *([] if bias is None else [bias])), x)


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest pixel of each window.

    Args:
        input: x, (N, C, H, W) images.
        kernel_size: Rows and columns of the window.
        stride: Steps of the window, in pixels; None means the kernel size.
        padding: Pixels on each side that never win, at most half the kernel.
        dilation: Distance of the window's taps, in pixels.
        ceil_mode: Round the output size up, so that no pixel is left out.
        return_indices: Also return where each maximum stands in its H·W plane.

    Returns:
        (N, C, P, Q), and the int64 indices if asked for.

    Raises:
        ShapeError: If the window does not fit.

    >>> x = Tensor([[[[1.0, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]]])
    >>> max_pool2d(x, 2).tolist()
    [[[[6.0, 8.0], [3.0, 4.0]]]]
    """
    w = _pool_window(kernel_size, stride, padding, dilation, ceil_mode)
    x = _as_tensor(input)
    y, taps = _batched(lambda images: apply(ops.MaxPool2d(w), images), x)
    return (y, _plane_index(taps, w, x.shape[-1])) if return_indices else y


def _plane_index(taps: Tensor, w: Window, columns: int) -> Tensor:
    """The place r·W + q of each maximum, from the number of the tap that held it."""
    P, Q = taps.shape[-2:]
    xp = taps.backend.xp
    with taps.backend.activate():
        tap = taps.data.astype("int64")
        row = xp.arange(P).reshape(P, 1) * w.stride[0] - w.pads[0][0] + tap // w.kernel[1] * w.dilation[0]
        column = xp.arange(Q) * w.stride[1] - w.pads[1][0] + tap % w.kernel[1] * w.dilation[1]
        return Tensor(row * columns + column)


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Args:
        input: x, (N, C, H, W) images.
        kernel_size: Rows and columns of the window.
        stride: Steps of the window, in pixels; None means the kernel size.
        padding: Zeros on each side, in pixels, at most half the kernel.
        ceil_mode: Round the output size up, so that no pixel is left out.
        count_include_pad: Divide by all pixels of the window, not only by those of the image.
        divisor_override: Divide by this instead.

    Returns:
        (N, C, P, Q).

    Raises:
        ShapeError: If the window does not fit.

    >>> avg_pool2d(Tensor([[[[1.0, 2.0], [3.0, 6.0]]]]), 2)
    tensor([[[[3.]]]])
    """
    x = _as_tensor(input)
    x._needs_float("avg_pool2d")
    w = _pool_window(kernel_size, stride, padding, 1, ceil_mode)
    return _batched(lambda images: apply(ops.AvgPool2d(w, count_include_pad, divisor_override), images), x)


def _pair(value: Ints) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _pool_window(kernel: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool) -> Window:
    kernel = _pair(kernel)
    return window(kernel, kernel if stride is None else _pair(stride), _pair(padding), _pair(dilation), ceil_mode)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel with mean 0 and variance 1, then scaled and shifted.

    Formula: `y = weight·(x − mean)/√(var + eps) + bias`. In training, mean and (biased) variance are the batch's, and
    `running = (1 − momentum)·running + momentum·batch` (with the unbiased variance); else they are the running ones.

    Args:
        input: x, (N, C) or (N, C, …).
        running_mean: (C,), changed in place in training.
        running_var: (C,), changed in place in training.
        weight: (C,).
        bias: (C,).
        training: Use, and remember, the statistics of this batch.
        momentum: How much of the batch's statistics enters the running ones.
        eps: Added to the variance, against division by zero.

    Raises:
        ShapeError: If the sizes do not agree, or there is only one value per channel to take statistics of.

    Source: Ioffe & Szegedy 2015, "Batch normalization", algorithms 1 and 2.

    >>> batch_norm(Tensor([[1.0], [3.0]]), training=True, eps=0.0).tolist()
    [[-1.0], [1.0]]
    """
    x = _as_tensor(input)
    per_channel = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, t in per_channel.items():
        if t is not None and (x.ndim < 2 or t.shape != x.shape[1:2]):
            raise ShapeError(
                f"batch_norm: {name} {t.shape} wants one entry per channel of x {x.shape}, (N, C) or (N, C, …)"
            )
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training it needs running_mean and running_var")
        return _normalise(x, running_mean, running_var, weight, bias, eps)
    m = x.numel() // x.shape[1] if x.ndim > 1 and x.shape[1] else 0
    if m == 1:
        raise ShapeError(
            f"batch_norm: x {x.shape} has one value per channel, whose variance is 0; use more samples, or model.eval()"
        )
    if weight is None and bias is not None:
        weight = Tensor([1.0], dtype=bias.dtype, device=x.backend).expand(bias.shape)
    y, mean, var = apply(ops.BatchNorm(eps), x, *[t for t in (weight, bias) if t is not None])
    for running, batch, correction in ((running_mean, mean, 1.0), (running_var, var, m / max(m - 1, 1))):
        if running is not None:
            with running.writing("batch_norm") as array:
                array *= 1 - momentum
                array += (momentum * (batch.data * correction)).astype(array.dtype, copy=False)
    return y


def _normalise(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Batch norm with fixed statistics is a scale and a shift per channel."""
    scale = (var + eps) ** -0.5 if weight is None else weight * (var + eps) ** -0.5
    shift = -mean * scale if bias is None else bias - mean * scale
    per_channel = (-1,) + (1,) * (x.ndim - 2)
    return (x * scale.reshape(per_channel) + shift.reshape(per_channel)).to(x.dtype)


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Set each element to 0 with probability p, and multiply the others by 1/(1 − p); only in training.

    Args:
        input: x, of any shape.
        p: Probability of an element to be dropped, 0 to 1.
        training: If false, x comes back unchanged.
        inplace: Accepted for PyTorch's sake; the input is never overwritten.
        generator: Source of the random numbers; None is the default generator.

    Raises:
        ValueError: If p is not between 0 and 1.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    >>> dropout(Tensor([1.0, 2.0]), p=0.5, training=False)
    tensor([1., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p={p} is a probability; it must lie between 0 and 1")
    x = _as_tensor(input)
    if not training or p == 0:
        return x
    x._needs_float("dropout")
    return apply(ops.Dropout(float(p), *(generator or default_generator()).take()), x)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim … end_dim as one."""
    return _as_tensor(input).flatten(start_dim, end_dim)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """Add entries around the last dimensions.

    Args:
        input: x, of any shape.
        pad: (before, behind) of the last dimension, then of the one before it, and so on; negative numbers cut off.
        mode: "constant".
        value: What is added.

    Raises:
        ShapeError: If there are more pairs than dimensions.

    >>> pad(Tensor([[1.0]]), (1, 0))
    tensor([[0., 1.]])
    """
    x = _as_tensor(input)
    if mode != "constant":
        raise ValueError(f'pad: mode {mode!r} is not known; the mode is "constant"')
    if len(pad) % 2 or len(pad) // 2 > x.ndim:
        raise ShapeError(f"pad: {tuple(pad)} must be pairs (before, behind), at most {x.ndim} of them for {x.shape}")
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)][::-1]
    if any(min(pair) < 0 for pair in pairs):  # a negative pad crops
        first = x.ndim - len(pairs)
        for axis, (before, behind) in enumerate(pairs, start=first):
            if x.shape[axis] + min(before, 0) + min(behind, 0) < 0:
                raise ShapeError(f"pad: {tuple(pad)} cuts off more than dimension {axis} of {x.shape} has")
        crop = [slice(max(-b, 0), n - max(-e, 0)) for (b, e), n in zip(pairs, x.shape[first:])]
        x = x[(slice(None),) * first + tuple(crop)]
    return apply(ops.Pad(tuple((max(b, 0), max(e, 0)) for b, e in pairs), value), x)


def one_hot(labels: Tensor, num_classes: int = -1) -> Tensor:
    """A vector for each class number, with 1 at its place and 0 elsewhere, int64.

    Raises:
        ValueError: For a class number that does not exist.

    >>> one_hot(Tensor([0, 2]), 3).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    labels = _as_tensor(labels)
    if dtypes.is_floating(labels.dtype):
        raise DtypeError(f"one_hot: class numbers must be whole numbers, not {labels.dtype}")
    if num_classes < 0:
        if not labels.numel():
            raise ValueError("one_hot: no labels to count the classes by; give num_classes")
        num_classes = int(labels.max()) + 1
    if labels.backend.checks_values and labels.numel():
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= num_classes:
            raise ValueError(f"one_hot: class numbers {low}..{high} must lie in 0..{num_classes - 1}")
    with labels.backend.activate():
        classes = Tensor(labels.backend.xp.arange(num_classes))
    return (labels.unsqueeze(-1) == classes).long()


# Activations


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`; `inplace` is accepted for PyTorch's sake, the input is never overwritten.

    >>> relu(Tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _as_tensor(input).relu()


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Keep what is positive, multiply the rest by `negative_slope`; `inplace` as in `relu`.

    >>> leaky_relu(Tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5,  2. ])
    """
    return apply(ops.LeakyReLU(float(negative_slope)), _as_tensor(input))


def sigmoid(input: Tensor) -> Tensor:
    """`1/(1 + e⁻ˣ)`."""
    return _as_tensor(input).sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return _as_tensor(input).tanh()


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + e^(beta·x))/beta`, without overflow; x itself where `beta·x` is above the threshold.

    >>> softplus(Tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.    ])
    """
    x = _as_tensor(input)
    x._needs_float("softplus")
    scaled = x if beta == 1 else x * beta
    y = apply(ops.Softplus(), scaled)
    return x.where(scaled > threshold, y if beta == 1 else y / beta)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Probabilities along `dim`: `eˣ / Σ eˣ`; computed in another format if `dtype` names one.

    >>> softmax(Tensor([0.0, 0.0]), dim=0)
    tensor([0.5, 0.5])
    """
    return _as_tensor(input).softmax(dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax(x, dim)`, computed without overflow."""
    return _as_tensor(input).log_softmax(dim, dtype)


# Losses


def _reduced(operation: str, loss: Tensor, reduction: str, divisor: Tensor | None = None) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        if divisor is None:
            return loss.mean()
        total = loss.sum()
        with no_grad():  # nothing counts: NaN like 0/0, but with a gradient of zeros
            empty = divisor == 0
            one = empty.to(total.dtype)  # 1 if nothing counts, else 0; made on the device, without a copy from the host
            excess = where(empty, total / divisor, one)
        return total / (divisor + one) + excess
    raise ValueError(f'{operation}: reduction={reduction!r} must be "mean", "sum" or "none"')


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss of a classifier: how surprised it is by the right classes.

    Formula: `lossₙ = −Σ_c q[n,c]·log softmax(logits)[n,c]` where q is 1 for the right class, or `1 − ε` plus `ε/C` for
    every class with label smoothing ε, times the class's weight. The mean divides by the sum of the right classes'
    weights.

    Args:
        input: (N, C) or (N, C, …) scores; (C,) for a single sample.
        target: (N, …) class numbers 0 … C − 1; or (N, C, …) probabilities.
        weight: (C,), a factor per class.
        ignore_index: A class number whose samples count nothing.
        reduction: "mean", "sum" or "none"; the mean over no sample is NaN, with a gradient of zeros.
        label_smoothing: ε, from 0 to 1.

    Raises:
        ShapeError: If the sizes do not agree.
        IndexError: For a class number that does not exist.

    Source: Szegedy et al. 2016, "Rethinking the Inception architecture", section 7 (label smoothing).

    >>> cross_entropy(Tensor([[0.0, 0.0]]), Tensor([1])).item()  # log 2
    0.6931471824645996
    """
    logits, target = _as_tensor(input), _as_tensor(target)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing} must lie between 0 and 1")
    if dtypes.is_floating(target.dtype):
        return _soft_cross_entropy(logits, target, weight, reduction, label_smoothing)
    operation = ops.CrossEntropy(ignore_index, label_smoothing)
    return _class_loss(operation, logits, target, weight, ignore_index, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood, `lossₙ = −weight·input[n, targetₙ]`: cross-entropy after log_softmax.

    Args:
        input: (N, C) or (N, C, …), for instance from `log_softmax(x, dim=1)`.
        target: (N, …) class numbers.
        weight: (C,), a factor per class.
        ignore_index: A class number whose samples count nothing.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: If the sizes do not agree.
        IndexError: For a class number that does not exist.

    >>> nll_loss(Tensor([[-1.0, -2.0]]), Tensor([1]))
    tensor(2.)
    """
    target = _as_tensor(target)
    operation = ops.NLLLoss(ignore_index)
    return _class_loss(operation, _as_tensor(input), target, weight, ignore_index, reduction)


def _class_loss(
    operation: Any, scores: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    if dtypes.is_floating(target.dtype) or target.dtype == dtypes.bool_:
        raise DtypeError(
            f"{operation.name}: target is {target.dtype}; class numbers must be whole numbers: use .long()"
        )
    if scores.ndim == 1:
        losses = apply(operation, scores.unsqueeze(0), target.reshape(1), *([] if weight is None else [weight]))
        losses = losses.reshape(())
    else:
        losses = apply(operation, scores, target, *([] if weight is None else [weight]))
    divisor = None
    counted = target != ignore_index
    if reduction == "mean" and not (weight is None and target.backend.checks_values and bool(counted.all())):
        with no_grad():  # the mean is over what counts: not the ignored ones, the others with their weight
            each = counted if weight is None else weight[(target * counted).long()] * counted
            divisor = each.sum().to(losses.dtype)
    return _reduced(operation.name, losses, reduction, divisor)


def _soft_cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    """Targets that are probabilities: the formula, written with tensors."""
    if target.shape != logits.shape:
        raise ShapeError(
            f"cross_entropy: probabilities {target.shape} must have the logits' shape {logits.shape}; "
            "class numbers must be whole numbers: use .long()"
        )
    dim = 1 if logits.ndim > 1 else 0
    q = target * (1 - label_smoothing) + label_smoothing / logits.shape[dim] if label_smoothing else target
    if weight is not None:
        q = q * weight.reshape((-1,) + (1,) * (logits.ndim - 1 - dim))
    return _reduced("cross_entropy", -(q * logits.log_softmax(dim)).sum(dim), reduction)


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The mean squared error, `mean((x − target)²)`.

    >>> mse_loss(Tensor([1.0, 3.0]), Tensor([1.0, 1.0]))
    tensor(2.)
    """
    x, target = _as_tensor(input), _as_tensor(target)
    errors = x - target
    if x.shape != target.shape:
        warnings.warn(
            f"mse_loss: x {x.shape} and target {target.shape} differ and are broadcast to {errors.shape}, which is "
            "rarely meant; reshape one of them",
            TinygradCnnWarning,
            stacklevel=2,
        )
    return _reduced("mse_loss", errors**2, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The loss of yes/no questions, `−t·log σ(x) − (1 − t)·log(1 − σ(x))`, computed without overflow.

    Args:
        input: Scores of any shape.
        target: Answers of the same shape, 0 to 1.
        weight: A factor per element, broadcast.
        reduction: "mean", "sum" or "none".
        pos_weight: A factor for the yes-part, broadcast.

    Raises:
        ShapeError: If the shapes differ.

    >>> binary_cross_entropy_with_logits(Tensor([0.0]), Tensor([1.0])).item()  # log 2
    0.6931471824645996
    """
    logits, target = _as_tensor(input), _as_tensor(target)
    if target.shape != logits.shape:
        raise ShapeError(
            f"binary_cross_entropy_with_logits: target {target.shape} and logits {logits.shape} must be equal"
        )
    # −log σ(x) is softplus(−x), −log(1 − σ(x)) is softplus(x)
    yes = target if pos_weight is None else target * pos_weight
    loss = yes * apply(ops.Softplus(), -logits) + (1 - target) * apply(ops.Softplus(), logits)
    return _reduced("binary_cross_entropy_with_logits", loss if weight is None else loss * weight, reduction)


# Several tensors


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors one after the other along `dim`.

    >>> cat([Tensor([1, 2]), Tensor([3])])
    tensor([1, 2, 3])
    """
    operands = _several("cat", tensors)
    if not operands[0].ndim:
        raise ShapeError("cat: 0-d tensors have no dimension to join along; use stack")
    return apply(ops.Cat(one_dim("cat", dim if axis is None else axis, operands[0].ndim)), *operands)


def stack(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors of one shape as entries of a new dimension.

    >>> stack([Tensor([1, 2]), Tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    operands = _several("stack", tensors)
    return apply(ops.Stack(one_dim("stack", dim if axis is None else axis, operands[0].ndim + 1)), *operands)


def _several(operation: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not len(tensors):
        raise ShapeError(f"{operation}: give a list of at least one tensor")
    return Tensor._operands(operation, *(_as_tensor(t) for t in tensors))


def where(condition: Any, input: Any, other: Any) -> Tensor:
    """Take from `input` where the condition holds, else from `other`, element by element.

    >>> where(Tensor([True, False]), 1.0, 2.0)
    tensor([1., 2.])
    """
    condition = _as_tensor(condition)
    first, second = Tensor._given("where", input, other)
    return first.where(condition, second)


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, element by element; equals share the gradient."""
    return _as_tensor(input).maximum(other)


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, element by element; equals share the gradient."""
    return _as_tensor(input).minimum(other)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product `input @ other`."""
    return input @ other


def sort(input: Tensor, dim: int = -1, descending: bool = False) -> Extremes:
    """The numbers along `dim` in order, and where each stood."""
    return _as_tensor(input).sort(dim, descending)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extremes:
    """The k largest (or smallest) numbers along `dim`, always in order, and where they stood."""
    return _as_tensor(input).topk(k, dim, largest)
