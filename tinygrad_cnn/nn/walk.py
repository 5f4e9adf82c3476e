"""The shape behind a network, from the sizes of its layers: nothing is computed.

A layer that changes shapes has a method `output_shape(shape)`. A module that calls others says in
`walk_shapes(shape, call)` what its `forward` does to shapes, line by line; `call("conv1", shape)` stands for
`self.conv1(x)`: it gives the shape behind the child `conv1`. Whoever calls `walk_shapes` may do more in `call`, say
write a line of a table. Shapes are those of one sample, without the batch axis.

    def forward(self, x):                            def walk_shapes(self, shape, call):
        x = self.features(x)                             shape = call("features", shape)
        x = x.flatten(1)                                 shape = (math.prod(shape),)
        return self.classifier(x)                        return call("classifier", shape)
"""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_cnn.nn.container import Sequential
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.tree import join
from tinygrad_cnn.shapes import Shape, ShapeError

Call = Callable[[str, Shape], Shape]


class UnknownShapeError(TypeError):
    """A module with a forward of its own that says nowhere what it does to shapes."""


def tells_shapes(module: Module) -> bool:
    """Whether its class says what becomes of shapes; a heir whose forward is its own must say so itself."""
    for kind in type(module).__mro__:
        if "walk_shapes" in vars(kind) or "output_shape" in vars(kind):
            return True
        if "forward" in vars(kind) and not kind.__module__.startswith("tinygrad_cnn."):
            return False
    return True


def output_shape(module: Module, shape: Shape, path: str = "") -> Shape:
    """The shape of a module's output for one sample.

    A layer of this package without `walk_shapes` and `output_shape` changes no shape, as an activation.

    Args:
        module: The layer or network.
        shape: (C, H, W) of one image or (F,) of one vector.
        path: The module's dotted name, for messages.

    Raises:
        ShapeError: If a layer cannot take what the one before it gives; the message names it.
        UnknownShapeError: If a module has a forward of its own and does not say what becomes of shapes.

    >>> from tinygrad_cnn import nn
    >>> output_shape(nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)), (1, 28, 28))
    (6, 14, 14)
    """

    def call(child: str, inner: Shape) -> Shape:
        return output_shape(module.get_submodule(child), inner, join(path, child))

    if not tells_shapes(module):
        raise UnknownShapeError(
            f"layer {path or '(the only one)'} ({type(module).__name__}) has a forward of its own: to know its shapes "
            "without running it, give it walk_shapes(self, shape, call), or output_shape(self, shape); see nn.walk"
        )
    result: Shape = shape
    if isinstance(module, Sequential):
        for name in module._modules:
            result = call(name, result)
    elif hasattr(module, "walk_shapes"):
        result = module.walk_shapes(shape, call)
    elif hasattr(module, "output_shape"):
        try:
            result = module.output_shape(shape)
        except ShapeError as error:
            what = str(error).partition(": ")[2]  # without the layer's name, which is coming
            place = f"layer {path or '(the only one)'} ({type(module).__name__}) gets {'×'.join(map(str, shape))}"
            raise ShapeError(f"{place}: {what}") from None
    return result
