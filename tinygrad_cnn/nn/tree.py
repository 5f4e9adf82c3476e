"""The tree of names below a module: parameters, buffers and submodules, found by assigning them to attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.nn.arguments import warn
from tinygrad_cnn.nn.parameter import Parameter

if TYPE_CHECKING:
    from tinygrad_cnn.nn.module import Module

_TABLES = ("_parameters", "_buffers", "_modules")


class ModuleTree:
    """Attributes that are parameters, buffers or modules are kept in ordered tables, everything else as usual."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _transient: dict[str, None]

    def __init__(self) -> None:
        for table in (*_TABLES, "_transient"):
            object.__setattr__(self, table, {})

    def _not_initialised(self) -> AttributeError:
        name = type(self).__name__
        return AttributeError(
            f"{name}.__init__ did not call super().__init__() first; write super().__init__() as the first line of "
            f"{name}.__init__, before any layer is assigned"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, (Parameter, ModuleTree)):
            if "_parameters" not in own:
                raise self._not_initialised()
            table = "_parameters" if isinstance(value, Parameter) else "_modules"
            self._check_name(name, value, table, replacing=True)
            for other in (own, own["_transient"], *(own[t] for t in _TABLES if t != table)):
                other.pop(name, None)
            own[table][name] = value
            return
        for table, kind in (("_parameters", Parameter), ("_modules", ModuleTree), ("_buffers", Tensor)):
            if name in own.get(table, ()):
                if value is not None and not isinstance(value, kind):
                    what = "Module" if kind is ModuleTree else kind.__name__
                    raise TypeError(
                        f"{type(self).__name__}.{name} is a {what}; {type(value).__name__} cannot take its place. "
                        f"Assign a {what} or None, write into it under no_grad(), or `del` it first"
                    )
                own[table][name] = value
                return
        if isinstance(value, (list, tuple, dict)) and "_modules" in own:
            self._warn_of_hidden(name, value)
        object.__setattr__(self, name, value)

    def _warn_of_hidden(self, name: str, box: Any) -> None:
        """A plain list hides its layers from `parameters()`: they would silently never be trained."""
        layers = [v for v in (box.values() if isinstance(box, dict) else box) if isinstance(v, (ModuleTree, Parameter))]
        if layers:
            known = dict.fromkeys([*self.modules(), *self.parameters()])
            hidden = [layer for layer in layers if layer not in known]
            if hidden:
                warn(
                    f"{type(self).__name__}.{name} is a plain {type(box).__name__}: its {len(hidden)} "
                    f"{type(hidden[0]).__name__}(s) are not found by parameters() and will not be trained; use "
                    f"{'nn.ModuleDict' if isinstance(box, dict) else 'nn.ModuleList'} (or register_parameter)",
                    stacklevel=3,
                )

    def __getattr__(self, name: str) -> Any:
        # only called for names that are no ordinary attributes
        own = self.__dict__
        for table in _TABLES:
            if name in own.get(table, ()):
                return own[table][name]
        if name in (*_TABLES, "_transient", "training", "_forward_hooks", "_forward_pre_hooks"):
            raise self._not_initialised()
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for table in _TABLES:
            if name in self.__dict__.get(table, ()):
                del self.__dict__[table][name]
                self._transient.pop(name, None)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [n for table in _TABLES for n in self.__dict__.get(table, ())]
        return sorted({*object.__dir__(self), *(n for n in names if n.isidentifier())})

    # ---- registering
    def _check_name(self, name: Any, value: Any, table: str, replacing: bool = False) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{type(self).__name__}: name {name!r} must be a non-empty string without a dot")
        taken = hasattr(type(self) if replacing else self, name)
        if taken and name not in self.__dict__[table]:
            raise KeyError(f"{type(self).__name__}: attribute '{name}' exists already; choose another name")
        if isinstance(value, ModuleTree) and any(m is self for m in value.modules()):
            raise ValueError(f"{type(self).__name__}.{name} would contain itself; pass it as an argument instead")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name; None keeps the name for a parameter that is left out, such as a bias.

        Raises:
            KeyError: If the name is taken or has a dot in it.
            TypeError: If it is no Parameter.
        """
        self._check_name(name, param, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"{type(self).__name__}: parameter '{name}' must be an nn.Parameter or None, not "
                f"{type(param).__name__}; write nn.Parameter(...)"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module but is not trained, such as a running mean.

        Args:
            name: Its attribute.
            tensor: The tensor, or None to keep the name.
            persistent: Whether it is part of `state_dict`.

        Raises:
            KeyError: If the name is taken or has a dot in it.
            TypeError: If it is no tensor.
        """
        self._check_name(name, tensor, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"{type(self).__name__}: buffer '{name}' must be a Tensor or None, not {type(tensor).__name__}; "
                "write tcnn.tensor(...)"
            )
        self._buffers[name] = tensor
        self._transient.pop(name, None)
        if not persistent:
            self._transient[name] = None

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name, which may also be a number, as in a Sequential.

        Raises:
            KeyError: If the name is taken or has a dot in it.
            TypeError: If it is no Module.
        """
        self._check_name(name, module, "_modules")
        if module is not None and not isinstance(module, ModuleTree):
            remedy = f"; write {module.__name__}(...)" if isinstance(module, type) else ""
            raise TypeError(
                f"{type(self).__name__}: submodule '{name}' must be a Module or None, not "
                f"{'the class ' + module.__name__ if isinstance(module, type) else type(module).__name__}{remedy}"
            )
        self._modules[name] = module

    register_module = add_module

    # ---- walking
    def named_modules(
        self, memo: dict[Module, None] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with dotted names; one that is used twice is listed once.

        Args:
            memo: Modules to leave out.
            prefix: Put before every name.
            remove_duplicate: List a shared module once, under its first name.
        """
        memo = {} if memo is None else memo
        if remove_duplicate and self in memo:
            return
        memo[self] = None  # type: ignore[index]
        yield prefix, self  # type: ignore[misc]
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names; one that is used twice is listed once."""
        seen: dict[Module, None] = {}
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen[module] = None
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below."""
        for _, module in self.named_children():
            yield module

    def _named_members(self, table: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[Any]:
        seen: dict[Any, None] = {}
        pairs = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in pairs:
            for name, member in getattr(module, table).items():
                if member is not None and not (remove_duplicate and member in seen):
                    seen[member] = None
                    yield join(path, name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names; a shared one is listed once, under its first name.

        Args:
            prefix: Put before every name.
            recurse: Also those of the modules below.
            remove_duplicate: List a shared parameter once.
        """
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, for an optimizer."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names; arguments as `named_parameters`."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # ---- finding
    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; "" is this one.

        Raises:
            AttributeError: If there is none; the message lists what there is.
        """
        module: Any = self
        for i, name in enumerate(target.split(".") if target else []):
            below = module._modules.get(name)
            if below is None:
                place = ".".join(target.split(".")[:i]) or type(self).__name__
                raise AttributeError(f"{place} has no submodule '{name}'; it has {_listed(module._modules)}")
            module = below
        found: Module = module
        return found

    def _get_member(self, target: str, table: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        member = getattr(module, table).get(name)
        if member is None:
            place = path or type(self).__name__
            raise AttributeError(f"{place} has no {what} '{name}'; it has {_listed(getattr(module, table))}")
        return member

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name, such as "features.0.weight".

        Raises:
            AttributeError: If there is none.
        """
        found: Parameter = self._get_member(target, "_parameters", "parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name.

        Raises:
            AttributeError: If there is none.
        """
        found: Tensor = self._get_member(target, "_buffers", "buffer")
        return found


def join(prefix: str, name: str) -> str:
    """The dotted name of what is called `name` below `prefix`.

    >>> join("", "features"), join("features", "conv1")
    ('features', 'features.conv1')
    """
    return f"{prefix}.{name}" if prefix else name


def _listed(table: dict[str, Any]) -> str:
    return ", ".join(name for name, value in table.items() if value is not None) or "none"
