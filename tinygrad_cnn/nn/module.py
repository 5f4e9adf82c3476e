"""The base class of layers and networks: calling, hooks, train and eval, moving, saving."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from tinygrad_cnn import backends
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.cuda import OutOfMemoryError
from tinygrad_cnn.dtypes import DtypeError, as_dtype, is_floating
from tinygrad_cnn.nn import saving
from tinygrad_cnn.nn.parameter import Parameter, zero_gradients
from tinygrad_cnn.nn.tree import ModuleTree, join
from tinygrad_cnn.observe import Scope, scope
from tinygrad_cnn.shapes import ShapeError

_numbers = itertools.count()


class Hook:
    """What `register_forward_hook` returns: `remove()` takes the hook away, as does the end of a `with` block."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = hooks
        self.id = next(_numbers)

    def remove(self) -> None:
        """Take the hook away; doing it twice is fine."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Module(ModuleTree):
    """A layer or a network: parameters, and the function `forward` that uses them.

    Write a subclass: make the layers in `__init__` after `super().__init__()`, use them in `forward`, and call the
    module itself, not `forward`, so that hooks run and errors about sizes name the layer.

    Attributes:
        training: True after `train()`, the state at the start; False after `eval()`. Dropout and batch normalisation
            look at it.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(tcnn.tensor([3.0, 4.0])).tolist()
    [6.0, 8.0]
    >>> [name for name, _ in Scale().named_parameters()]
    ['factor']
    """

    training: bool
    _forward_hooks: dict[int, Callable[..., Any]]
    _forward_pre_hooks: dict[int, Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        self.training = True
        self._forward_hooks = {}
        self._forward_pre_hooks = {}

    # ---- calling
    def _forward_missing(self, *args: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x); write what it computes there")

    #: What the module computes; a subclass writes it.
    forward: Callable[..., Any] = _forward_missing

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_pre_hooks:
            for pre_hook in tuple(self._forward_pre_hooks.values()):
                changed = pre_hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        inside = scope.set(Scope(self, scope.get()))
        try:
            result = self.forward(*args, **kwargs)
        except (ShapeError, DtypeError, OutOfMemoryError) as error:
            _name_layer(error, self, args)
            raise
        finally:
            scope.reset(inside)
        if self._forward_hooks:
            for hook in tuple(self._forward_hooks.values()):
                changed = hook(self, args, result)
                if changed is not None:
                    result = changed
        return result

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Hook:
        """Call `hook(module, args)` before every forward; what it returns, if anything, replaces the arguments.

        Returns:
            A handle with `remove()`.
        """
        return _add(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> Hook:
        """Call `hook(module, args, output)` after every forward; what it returns, if anything, replaces the output.

        Returns:
            A handle with `remove()`.
        """
        return _add(self._forward_hooks, hook)

    # ---- modes
    def train(self, mode: bool = True) -> Self:
        """Training mode for this module and all below: dropout drops, batch norm uses the batch.

        Raises:
            ValueError: If mode is not True or False.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be True or False, not {mode!r}; to train a model call fit(...)")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode for this module and all below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or unfreeze all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients.

        Args:
            set_to_none: Drop the arrays; otherwise fill them with zeros.
        """
        zero_gradients(self.parameters(), set_to_none)

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with every module, those below first, say to initialise them.

        >>> from tinygrad_cnn import nn
        >>> net = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).apply(
        ...     lambda m: nn.init.zeros_(m.bias) if isinstance(m, nn.Linear) else None
        ... )
        >>> net[0].bias.tolist()
        [0.0, 0.0]
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def num_parameters(self, trainable_only: bool = False) -> int:
        """How many numbers the parameters hold, a shared one counted once.

        >>> from tinygrad_cnn import nn
        >>> nn.Linear(3, 2).num_parameters()   # 3·2 weights + 2 biases
        8
        """
        return sum(math.prod(p.shape) for p in self.parameters() if p.requires_grad or not trainable_only)

    # ---- moving
    def to(self, *args: Any, device: Any = None, dtype: Any = None) -> Self:
        """Move all parameters and buffers to a device, and change the floating ones to a dtype; in place.

        The Parameter objects stay the same, so an optimizer made before goes on working.

        Args:
            *args: A device (`"cuda"`), a dtype (`"float64"`), both, or a tensor to be like.
            device: The device by name.
            dtype: The dtype by name.

        Raises:
            DtypeError: If the dtype is not a floating one.
            DeviceError: If there is no such device.

        >>> from tinygrad_cnn import nn
        >>> nn.Linear(3, 2).to("float64").weight.dtype
        dtype('float64')
        """
        for arg in args:
            if isinstance(arg, Tensor):
                device, dtype = arg.backend, arg.dtype
            elif backends.is_device(arg):
                device = arg
            elif arg is not None:
                dtype = arg
        backend = None if device is None else backends.get(device)
        wanted = None if dtype is None else as_dtype(dtype)
        if wanted is not None and not is_floating(wanted):
            raise DtypeError(f"{type(self).__name__}.to: dtype must be a floating one, not {wanted}")
        moved: dict[Tensor, Tensor] = {}
        for module in self.modules():
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is None:
                    continue
                target = backend or tensor.backend
                number = wanted if wanted is not None and is_floating(tensor.dtype) else tensor.dtype
                if (target, number) == (tensor.backend, tensor.dtype):
                    continue
                if name in module._parameters:
                    tensor._replace(target.asarray(tensor.data, dtype=number))  # takes the gradient along
                else:  # a new tensor: the old one may be somebody else's, too
                    if tensor not in moved:
                        moved[tensor] = tensor.detach().to(device=target, dtype=number)
                    module._buffers[name] = moved[tensor]
        return self

    def half(self) -> Self:
        """Floating parameters and buffers as float16."""
        return self.to(dtype="float16")

    def float(self) -> Self:
        """Floating parameters and buffers as float32."""
        return self.to(dtype="float32")

    def double(self) -> Self:
        """Floating parameters and buffers as float64."""
        return self.to(dtype="float64")

    def cpu(self) -> Self:
        """Everything to the CPU."""
        return self.to(device="cpu")

    def cuda(self, device: int | str | None = None) -> Self:
        """Everything to a GPU; a number chooses which."""
        return self.to(device="cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    # ---- saving
    def _saved_tensors(self, prefix: str) -> Iterator[tuple[str, Parameter | Tensor]]:
        """Name → tensor of all that is saved; a shared one under each of its names."""
        for path, module in self.named_modules(prefix=prefix, remove_duplicate=False):
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None and name not in module._transient:
                    yield join(path, name), tensor

    def state_dict(self, *, prefix: str = "") -> dict[str, Tensor]:
        """Name → tensor of all parameters and persistent buffers, PyTorch's names and layouts.

        The tensors are detached but share the module's memory, so they change as it is trained;
        `copy.deepcopy(model.state_dict())` keeps the present values.

        Args:
            prefix: Put before every name.
        """
        return {name: tensor.detach() for name, tensor in self._saved_tensors(prefix.removesuffix("."))}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> saving.IncompatibleKeys:
        """Copy saved values into this module; if anything does not fit, nothing is changed.

        Args:
            state_dict: Name → tensor, array or numbers; they take this module's device and dtype.
            strict: Also refuse names that are missing or unexpected. Shapes must always agree.

        Returns:
            `(missing_keys, unexpected_keys)`.

        Raises:
            RuntimeError: Lists every name that is missing or unexpected and every shape that conflicts.
        """
        return saving.load(self, state_dict, strict)

    # ---- showing
    def extra_repr(self) -> str:
        """The arguments shown in the module's line; a subclass writes it."""
        return ""

    def _get_name(self) -> str:
        """What it is called in `print(model)` and in tables, its class; PyTorch has this method, too."""
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr().splitlines()
        children = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        return _bracketed(self._get_name(), extra, children)


def _name_layer(error: Exception, caller: Module, args: tuple[Any, ...]) -> None:
    """Put into the message which layer it was, by its path below the module that was called.

    The error comes by the layer first, then by each module around it. Where memory was full, its input is told.
    """
    full = isinstance(error, OutOfMemoryError) and args and hasattr(args[0], "shape")
    beside = f", whose input is {tuple(args[0].shape)}" if full else ""
    layer, message = error.__dict__.setdefault("layer", (caller, f"{beside}: {error}"))
    path = next((path for path, module in caller.named_modules() if module is layer), "")
    if path:
        error.args = (f"layer {path} ({layer._get_name()}){message}",)


def _add(hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> Hook:
    if not callable(hook):
        raise TypeError(f"a hook must be a function, not {type(hook).__name__}")
    handle = Hook(hooks)
    hooks[handle.id] = hook
    return handle


def _bracketed(name: str, extra: list[str], children: list[str]) -> str:
    """`Name(extra)` on one line, or one line for each part."""
    if not children and len(extra) <= 1:
        return f"{name}({''.join(extra)})"
    return "\n  ".join([f"{name}(", *extra, *children]) + "\n)"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
