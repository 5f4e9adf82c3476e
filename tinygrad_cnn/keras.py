"""Keras' names for the layers of this package, for readers of lectures that use Keras.

    from tinygrad_cnn.keras import Conv2D, Dense, Flatten, MaxPooling2D, Sequential

    model = Sequential([
        Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
        MaxPooling2D((2, 2)),
        Flatten(),
        Dense(10),
    ])
    model.summary()

As in Keras are the names, the order and the defaults of arguments, the first values (Glorot's uniform distribution,
biases 0), the sizes with `padding="same"`, and that the number of input channels is found out: from the `input_shape=`
of the first layer, or on the first call.

As everywhere in this package images are (N, C, H, W); only `input_shape=(H, W, C)` is given in Keras' order. `Flatten`
therefore puts the numbers in the order (C, H, W). Inside are the layers of `tinygrad_cnn.nn`, so that `optim`,
`training.fit` and `tables.summary` take these models as any others. Losses here want scores: where a lecture ends with
`Dense(10, activation="softmax")`, write `Dense(10)`, and `nn.CrossEntropyLoss` adds the softmax.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tinygrad_cnn import functional as F
from tinygrad_cnn import nn, tables
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.arguments import one_of, pair, whole
from tinygrad_cnn.nn.walk import Call, output_shape
from tinygrad_cnn.shapes import Shape, ShapeError, Window

__all__ = [
    "Activation",
    "AveragePooling2D",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "Input",
    "MaxPooling2D",
    "Sequential",
]

Modules = dict[str, nn.Module]

# Keras' name → ours
_ACTIVATIONS = {
    "relu": "ReLU",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softmax": "Softmax",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "swish": "SiLU",
    "softplus": "Softplus",
}


class Layer(nn.Module):
    """What the functions below return: a layer that is made as soon as the shape of its input is known.

    Args:
        kind: Keras' name for it.
        make: From the shape of one input, (C, H, W) or (F,), to the layers of `nn` that do it, by name.
        input_shape: (H, W, C) of one image or (F,) of one vector; None: found out on the first call.

    Attributes:
        input_shape: (C, H, W) or (F,), if it is known.
    """

    def __init__(self, kind: str, make: Callable[[Shape], Modules], input_shape: Iterable[int] | None = None) -> None:
        super().__init__()
        self.kind = kind
        self.input_shape = None if input_shape is None else _channels_first(kind, tuple(input_shape))
        self._make: Callable[[Shape], Modules] | None = make

    @property
    def built(self) -> bool:
        """Whether the layers are made."""
        return self._make is None

    def build(self, shape: Shape, device: Any = None) -> None:
        """Make the layers for inputs of this shape, (C, H, W) or (F,), if there are none yet."""
        if self._make is not None:
            self.input_shape = tuple(shape) if self.input_shape is None else self.input_shape
            for name, module in self._make(self.input_shape).items():
                self.add_module(name, module)
            self._make = None
            self.to(device=device).train(self.training)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) or (N, F) → what the layers inside make of it."""
        self.build(x.shape[1:], x.backend)
        for layer in self.children():
            x = layer(x)
        return x

    def walk_shapes(self, shape: Shape, call: Call) -> Shape:
        """What `forward` does to the shape of one sample; see `nn.walk`."""
        self.build(shape)
        for name in self._modules:
            shape = call(name, shape)
        return shape

    def _get_name(self) -> str:
        return self.kind

    def __repr__(self) -> str:
        return super().__repr__() if self.built else f"{self.kind}(not built yet)"


def Conv2D(
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    *,
    dilation_rate: Any = (1, 1),
    groups: int = 1,
    activation: str | None = None,
    use_bias: bool = True,
    input_shape: Iterable[int] | None = None,
) -> Layer:
    """A convolution, and the activation behind it: `nn.Conv2d`.

    Args:
        filters: K.
        kernel_size: (R, S) rows and columns of a filter; one number for a square.
        strides: Steps of the filter, in pixels.
        padding: `"valid"` (none), or `"same"`: ⌈H/stride⌉ rows of output; if the padding is odd, one more is behind.
        dilation_rate: Distance of neighbouring filter taps, in pixels.
        groups: Parts the channels are split into.
        activation: `"relu"`, `"sigmoid"`, `"tanh"`, `"softmax"`, …; None for none.
        use_bias: Whether to add a bias to each filter.
        input_shape: (H, W, C) of one image, in the first layer.

    Raises:
        ShapeError: If a size cannot be.
        ValueError: If padding or activation is none of Keras' names.

    Source: first values: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks", equation 16.

    >>> import tinygrad_cnn as tcnn
    >>> layer = Conv2D(6, 5, strides=2, padding="same", activation="relu")
    >>> layer(tcnn.zeros(1, 3, 28, 28)).shape, layer.num_parameters()   # ⌈28/2⌉; 6·(3·5·5 + 1)
    ((1, 6, 14, 14), 456)
    """
    kernel, steps = pair("Conv2D", "kernel_size", kernel_size), pair("Conv2D", "strides", strides)
    window = Window(kernel, steps, dilation=pair("Conv2D", "dilation_rate", dilation_rate))
    same, squash = _is_same("Conv2D", padding), _activation("Conv2D", activation)
    whole("Conv2D", "filters", filters)

    def make(shape: Shape) -> Modules:
        C, _, _ = _image("Conv2D", shape)
        padded = same and max(steps) > 1  # else the package's own "same" is Keras'
        padding = "same" if same and not padded else 0
        conv = nn.Conv2d(C, filters, kernel, steps, padding, window.dilation, groups, use_bias)
        return {**({"pad": SamePad(window)} if padded else {}), "conv": _first_values(conv), **squash()}

    return Layer("Conv2D", make, input_shape)


def MaxPooling2D(pool_size: Any = (2, 2), strides: Any = None, padding: str = "valid") -> Layer:
    """The largest value of each window: `nn.MaxPool2d`.

    Args:
        pool_size: (R, S) rows and columns of the window; one number for a square.
        strides: Steps of the window, in pixels; the window's size if None.
        padding: `"valid"` (none: what is left over at the border is dropped), or `"same"`: ⌈H/stride⌉ rows of output.

    >>> import tinygrad_cnn as tcnn
    >>> x = tcnn.zeros(1, 3, 7, 7)
    >>> MaxPooling2D()(x).shape, MaxPooling2D(padding="same")(x).shape
    ((1, 3, 3, 3), (1, 3, 4, 4))
    """
    window, same = _pool("MaxPooling2D", pool_size, strides, padding)

    def make(shape: Shape) -> Modules:
        _image("MaxPooling2D", shape)
        pool = nn.MaxPool2d(window.kernel, window.stride)
        return {"pad": SamePad(window, -math.inf), "pool": pool} if same else {"pool": pool}

    return Layer("MaxPooling2D", make)


def AveragePooling2D(pool_size: Any = (2, 2), strides: Any = None, padding: str = "valid") -> Layer:
    """The mean of each window: `nn.AvgPool2d`. Arguments as `MaxPooling2D`; padding does not count in the mean.

    >>> import tinygrad_cnn as tcnn
    >>> AveragePooling2D((1, 2), padding="same")(tcnn.tensor([[[[1.0, 3.0, 7.0]]]])).tolist()   # (1 + 3)/2, 7/1
    [[[[2.0, 7.0]]]]
    """
    window, same = _pool("AveragePooling2D", pool_size, strides, padding)

    def make(shape: Shape) -> Modules:
        _image("AveragePooling2D", shape)
        return {"pool": SameAvgPool2d(window) if same else nn.AvgPool2d(window.kernel, window.stride)}

    return Layer("AveragePooling2D", make)


def GlobalAveragePooling2D() -> Layer:
    """The mean of each map, (N, C, H, W) → (N, C): `nn.AdaptiveAvgPool2d(1)` and `nn.Flatten`.

    >>> import tinygrad_cnn as tcnn
    >>> GlobalAveragePooling2D()(tcnn.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).tolist()
    [[3.0]]
    """
    return Layer("GlobalAveragePooling2D", lambda shape: {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()})


def Dense(
    units: int, activation: str | None = None, use_bias: bool = True, *, input_shape: Iterable[int] | None = None
) -> Layer:
    """A fully connected layer, and the activation behind it: `nn.Linear`.

    Args:
        units: D, length of an output vector.
        activation: As in `Conv2D`.
        use_bias: Whether to add a bias.
        input_shape: (F,) of one vector, in the first layer.

    Raises:
        ShapeError: If its input is no vector.

    >>> Sequential([Dense(10, input_shape=(84,))]).count_params()   # 10·(84 + 1)
    850
    """
    squash = _activation("Dense", activation)
    whole("Dense", "units", units)

    def make(shape: Shape) -> Modules:
        if len(shape) != 1:
            raise ShapeError(
                f"Dense: its input is {shape}, it must be a vector (F,); put Flatten() or GlobalAveragePooling2D() "
                f"before it, or take Conv2D({units}, 1) for a Dense at every pixel"
            )
        return {"linear": _first_values(nn.Linear(*shape, units, use_bias)), **squash()}

    return Layer("Dense", make, input_shape)


def Flatten(*, input_shape: Iterable[int] | None = None) -> Layer:
    """Maps as one vector, (N, C, H, W) → (N, C·H·W): `nn.Flatten`.

    >>> import tinygrad_cnn as tcnn
    >>> Flatten()(tcnn.zeros(1, 64, 5, 5)).shape
    (1, 1600)
    """
    return Layer("Flatten", lambda shape: {"flatten": nn.Flatten()}, input_shape)


def Dropout(rate: float) -> Layer:
    """In training, set each number to zero with probability `rate`: `nn.Dropout`.

    Raises:
        ValueError: If the rate is no probability, 0 to 1.

    >>> import tinygrad_cnn as tcnn
    >>> sorted(set(Dropout(0.5)(tcnn.ones(1, 100))[0].tolist()))
    [0.0, 2.0]
    """
    dropout = nn.Dropout(rate)
    return Layer("Dropout", lambda shape: {"dropout": dropout})


def Activation(activation: str) -> Layer:
    """An activation as a layer of its own, `"relu"` and so on; names as in `Conv2D`.

    >>> import tinygrad_cnn as tcnn
    >>> Activation("relu")(tcnn.tensor([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """
    squash = _activation("Activation", activation)
    return Layer("Activation", lambda shape: squash())


def BatchNormalization(*, momentum: float = 0.99, epsilon: float = 1e-3) -> Layer:
    """Batch normalisation: `nn.BatchNorm2d` of maps, `nn.BatchNorm1d` of vectors.

    The running variance is the mean of unbiased ones, as in PyTorch; Keras takes biased ones.

    Args:
        momentum: How much of the running means *stays* with each batch: 1 minus PyTorch's.
        epsilon: Added to the variance, so that the root is never zero.

    >>> Sequential([Input((32, 32, 3)), BatchNormalization()]).count_params()   # 3·(γ, β, mean, variance)
    12
    """

    def make(shape: Shape) -> Modules:
        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return {"norm": kind(shape[0], epsilon, round(1 - momentum, 12))}

    return Layer("BatchNormalization", make)


def Input(shape: Iterable[int]) -> Layer:
    """The shape of one input, (H, W, C) or (F,), as the first item of a `Sequential`.

    >>> Sequential([Input((28, 28, 1)), Flatten(), Dense(10)]).count_params()   # 10·(784 + 1)
    7850
    """
    return Layer("Input", lambda shape: {}, shape)


# Keras' methods that this package has elsewhere
_INSTEAD = {
    "compile": "there is nothing to compile: give loss and optimizer to training.fit",
    "fit": "use training.fit(model, train_loader, optimizer, epochs=…), with optimizer = optim.SGD(model.parameters(), "
    'lr=…); its loss, cross-entropy, wants scores: leave out the last activation="softmax"',
    "evaluate": "use training.evaluate(model, loader)",
    "predict": "call the model: model.eval()(x)",
}


class Sequential(nn.Sequential):
    """Layers that are called one after the other, with Keras' names: `conv2d`, `max_pooling2d`, `conv2d_1`, ….

    Args:
        layers: Those of this module, or of `nn`.

    Attributes:
        input_shape: (C, H, W) or (F,) of one input, if it is known.

    Raises:
        ShapeError: If a layer cannot take what the one before it gives.

    >>> model = Sequential([Conv2D(20, 5, activation="relu", input_shape=(28, 28, 1)), MaxPooling2D()])
    >>> model.add(Flatten())
    >>> model.add(Dense(10))
    >>> model.count_params()   # 20·(1·5·5 + 1) + 10·(20·12·12 + 1)
    29330
    """

    def __init__(self, layers: Iterable[nn.Module] | Modules = ()) -> None:
        super().__init__()
        self.input_shape: Shape | None = None
        for layer in layers.values() if isinstance(layers, dict) else layers:
            self.add(layer)

    def add(self, layer: nn.Module) -> None:
        """Put a layer behind the last one; it is made at once if the shape of the input is known."""
        kind = layer.kind if isinstance(layer, Layer) else type(layer).__name__
        if not len(self) and self.input_shape is None:
            self.input_shape = getattr(layer, "input_shape", None)
        if kind == "Input":
            return
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
        count = sum(re.sub(r"_\d+$", "", other) == name for other in self._modules)
        name = f"{name}_{count}" if count else name
        if self.input_shape is not None:  # before it is added: a layer that does not fit is not
            output_shape(layer, output_shape(self, self.input_shape), name)
        self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Each layer's output is the next one's input."""
        shape = x.shape[1:]
        if len(shape) == 3 and shape != self.input_shape:
            H, W, C = shape  # if they are in Keras' order
            if self.input_shape == (C, H, W) or (self.input_shape is None and C in (1, 3) and min(H, W) > 3):
                raise ShapeError(
                    f"keras.Sequential: images {x.shape} look like (N, H, W, C); here they are (N, C, H, W): turn them "
                    "with x.permute(0, 3, 1, 2)"
                )
        y = super().forward(x)
        self.input_shape = shape if self.input_shape is None else self.input_shape
        return y

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """As every module's; there are none before the layers are made.

        Raises:
            ValueError: If the shape of the input is not known yet.
        """
        if any(isinstance(layer, Layer) and not layer.built for layer in self):
            raise ValueError(
                "keras.Sequential: its layers are not made yet, because the shape of the input is not known; give the "
                "first one input_shape=(H, W, C), or call model(x) once"
            )
        return super().named_parameters(*args, **kwargs)

    def summary(self) -> None:
        """Print a table with one row for each layer; `tables.summary` also tells the activations apart.

        Raises:
            ValueError: If the shape of the input is not known yet.
        """
        count = self.count_params()
        print(tables.summary(self, depth=1))
        if count != self.num_parameters():
            print(
                f"Keras would count {count:,}: with the means and variances of batch normalisation, which are measured "
                "and not learned"
            )

    def count_params(self) -> int:
        """How many numbers the layers hold: parameters, and the running means and variances of batch normalisation."""
        means = [buffer for buffer in self.buffers() if buffer.is_floating_point()]
        return sum(math.prod(values.shape) for values in [*self.parameters(), *means])

    def __getattr__(self, name: str) -> Any:
        if name in _INSTEAD:
            raise AttributeError(f"keras.Sequential has no {name}(): {_INSTEAD[name]}")
        return super().__getattr__(name)


class SamePad(nn.Module):
    """Pads images so that a window behind it has ⌈size/stride⌉ outputs: TensorFlow's "same".

    Formula: `padding = max((⌈size/stride⌉ − 1)·stride + span − size, 0)`, of it `⌊padding/2⌋` before, the rest behind.

    Args:
        window: The window, with two axes and without padding.
        value: What is added: 0, or −∞ before a maximum.

    Source: TensorFlow's documentation, `tf.nn`, "Notes on padding".

    >>> import tinygrad_cnn as tcnn
    >>> SamePad(Window((1, 3), 2))(tcnn.ones(1, 1, 1, 4)).tolist()   # 2 outputs: 1·2 + 3 = 5 columns
    [[[[1.0, 1.0, 1.0, 1.0, 0.0]]]]
    """

    def __init__(self, window: Window, value: float = 0.0) -> None:
        super().__init__()
        self.window = window
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H + …, W + …)."""
        rows, columns = same_pads(self.window, *x.shape[2:])
        return F.pad(x, [*columns, *rows], value=self.value)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C, H + …, W + …)."""
        C, *sizes = shape
        return (C, *(n + before + behind for n, (before, behind) in zip(sizes, same_pads(self.window, *sizes))))

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.window.kernel}, stride={self.window.stride}"


def same_pads(window: Window, *sizes: int) -> list[tuple[int, int]]:
    """Pixels that TensorFlow's "same" adds (before, behind), for rows and columns of these sizes; see `SamePad`.

    >>> same_pads(Window((3, 2), 2), 28, 7)   # 13·2 + 3 − 28, 3·2 + 2 − 7
    [(0, 1), (0, 1)]
    """
    axes = zip(sizes, window.spans, window.stride)
    missing = [max((math.ceil(n / stride) - 1) * stride + span - n, 0) for n, span, stride in axes]
    return [(m // 2, m - m // 2) for m in missing]


class SameAvgPool2d(nn.AvgPool2d):
    """The mean of those pixels of each window that lie in the image, with TensorFlow's "same" around it.

    >>> import tinygrad_cnn as tcnn
    >>> SameAvgPool2d(Window((1, 2), (1, 2)))(tcnn.tensor([[[[1.0, 3.0, 7.0]]]])).tolist()   # (1 + 3)/2, 7/1
    [[[[2.0, 7.0]]]]
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window.kernel, window.stride)
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, ⌈H/stride⌉, ⌈W/stride⌉)."""
        pad = SamePad(self.window)
        share = super().forward(pad(x.new_ones(1, 1, *x.shape[2:])))  # of the window's pixels
        return super().forward(pad(x)) / share

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) of one sample, without the batch axis → (C, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return (shape[0], *(math.ceil(n / stride) for n, stride in zip(shape[1:], self.window.stride)))


def _channels_first(kind: str, shape: tuple[int, ...]) -> Shape:
    if len(shape) not in (1, 3) or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ShapeError(
            f"{kind}: input_shape={shape} must be (H, W, C), rows, columns and channels of one image, or (F,), without "
            "the batch; a grey image has one channel, (28, 28, 1)"
        )
    return (shape[-1], *shape[:-1])


def _image(kind: str, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ShapeError(
            f"{kind}: its input is {shape}, it must be an image (C, H, W); is there a Flatten() before it?"
        )
    return shape


def _is_same(kind: str, padding: str) -> bool:
    return one_of(kind, "padding", padding, ("valid", "same")) == "same"


def _pool(kind: str, pool_size: Any, strides: Any, padding: str) -> tuple[Window, bool]:
    kernel = pair(kind, "pool_size", pool_size)
    return Window(kernel, kernel if strides is None else pair(kind, "strides", strides)), _is_same(kind, padding)


def _activation(kind: str, name: str | None) -> Callable[[], Modules]:
    """Makes what stands behind a layer: an activation by its name, or nothing."""
    if name is None or one_of(kind, "activation", name, (*_ACTIVATIONS, "linear")) == "linear":
        return dict
    options = {"dim": 1} if name == "softmax" else {}
    return lambda: {name: getattr(nn, _ACTIVATIONS[name])(**options)}


def _first_values(layer: Any) -> Any:
    """Keras' first values: Glorot's uniform distribution, biases 0."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
