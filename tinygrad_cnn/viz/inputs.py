"""Looking at a network without touching it: its images, its parts by name, and a block that leaves no trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tinygrad_cnn import nn, random
from tinygrad_cnn.autograd import Tensor, enable_grad
from tinygrad_cnn.models.paths import module_at
from tinygrad_cnn.nn.utils import evaluating
from tinygrad_cnn.shapes import ShapeError


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, with a graph, and random numbers that nobody else misses; afterwards all is as before."""
    with evaluating(model), enable_grad(), random.use_generator(random.Generator()):
        yield


def images(operation: str, model: nn.Module, x: Any) -> Tensor:
    """A copy of x (N, C, H, W), or of one image (C, H, W), with the device and number format of the model.

    Raises:
        ShapeError: If x has another number of axes, or no image.
    """
    parameter = next(iter(model.parameters()), None)
    dtype, device = (parameter.dtype, parameter.device) if parameter is not None else (None, None)
    batch = Tensor(x.detach() if isinstance(x, Tensor) else x, dtype=dtype, device=device)
    batch = batch if batch.ndim != 3 else batch[None]
    if batch.ndim != 4 or not batch.shape[0]:
        raise ShapeError(
            f"{operation}: x must be images (N, C, H, W), at least one, or one image (C, H, W), not {batch.shape}"
        )
    return batch


def path_of(operation: str, model: nn.Module, layer: Any) -> str:
    """The name of a part of the model, which may be given itself.

    Raises:
        ValueError: If the model has no such part; the message lists what it has.
    """
    if isinstance(layer, nn.Module):
        own = [name for name, module in model.named_modules() if module is layer]
        layer = own[0] if own else f"a {type(layer).__name__} of another network"
    module_at(operation, model, layer)
    return str(layer)


@contextmanager
def last_output(modules: Iterable[nn.Module]) -> Iterator[list[Any]]:
    """A list that holds, after the model was called, the output of the last call of these modules."""
    last: list[Any] = []

    def keep(module: nn.Module, args: Any, output: Any) -> Any:
        last[:] = [output]
        return output.clone() if isinstance(output, Tensor) else output  # what follows may change it in place

    with ExitStack() as hooks:
        for module in modules:
            hooks.enter_context(module.register_forward_hook(keep))
        yield last
