"""Modules that hold modules in order, by number or by name."""

from __future__ import annotations

import itertools
import operator
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self, overload

from tinygrad_cnn.nn.module import Module, _bracketed, _indented
from tinygrad_cnn.nn.row import at_once


class _Numbered(Module):
    """What Sequential and ModuleList share: the tables' keys are "0", "1", … or, in a Sequential, given names."""

    def _key(self, index: int) -> str:
        names = list(self._modules)
        try:
            return names[operator.index(index)]
        except IndexError:
            raise IndexError(f"{type(self).__name__}: index {index} is out of range; it has {len(self)}") from None
        except TypeError:
            raise TypeError(
                f"{type(self).__name__}: index {index!r} must be a whole number or a slice; "
                "a layer by its name is model.conv1, or model.get_submodule('conv1')"
            ) from None

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())  # type: ignore[arg-type]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        for key in list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]:
            del self._modules[key]
        self._arrange(list(self._modules.items()))

    def _arrange(self, pairs: list[tuple[str, Any]]) -> None:
        """Put the modules in this order; what is numbered is numbered anew, given names stay."""
        self._modules.clear()
        self._modules.update({str(i) if key.isdigit() else key: module for i, (key, module) in enumerate(pairs)})

    def append(self, module: Module) -> Self:
        """Add a module behind the last one."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules behind the last one."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before the one at `index`; those behind get the next number."""
        if not -len(self) <= index <= len(self):
            raise IndexError(f"{type(self).__name__}: index {index} is out of range; it has {len(self)}")
        place = index + len(self) if index < 0 else index
        self.append(module)
        pairs = list(self._modules.items())
        pairs.insert(place, pairs.pop())
        self._arrange(pairs)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take a module out and return it."""
        module = self._modules[self._key(index)]
        del self[index]
        return module  # type: ignore[return-value]

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)


class Sequential(_Numbered):
    """Modules that are called one after the other.

    Formula: `y = fₙ(… f₂(f₁(x)))`.

    Args:
        *args: The modules, or one dict of name → module.

    Raises:
        TypeError: If one is no Module, such as a class without its brackets.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.ReLU())
    >>> net(tcnn.tensor([[[1.0], [-2.0]]])).tolist()
    [[1.0, 0.0]]
    >>> net
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): ReLU()
    )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = len(args) == 1 and isinstance(args[0], Mapping)
        for name, module in args[0].items() if named else enumerate(args):
            self.add_module(str(name), module)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Any:
        """One module, or a Sequential of several that shares them."""
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._key(index)]

    def __add__(self, other: Sequential) -> Sequential:
        return type(self)(*self, *other)

    def forward(self, x: Any) -> Any:
        """Each module's output is the next one's input; some are computed at once, see `nn.row`."""
        modules: list[Module] = list(self)
        while modules:
            x, done = at_once(modules, x)
            if not done:
                x, done = modules[0](x), 1
            del modules[:done]
        return x


class ModuleList(_Numbered):
    """A list of modules whose parameters are found; a plain list would hide them.

    Args:
        modules: The modules.

    Raises:
        TypeError: If one is no Module.

    >>> from tinygrad_cnn import nn
    >>> nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()])
    ModuleList(
      (0-1): 2 x Linear(in_features=2, out_features=2, bias=True)
      (2): ReLU()
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules if modules is not None else ())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...
    def __getitem__(self, index: int | slice) -> Any:
        """One module, or a ModuleList of several that shares them."""
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._key(index)]

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def forward(self, *args: Any) -> Any:
        """A list has no order of calls."""
        raise NotImplementedError(
            "ModuleList cannot be called, it only holds modules; write `for layer in self.layers: x = layer(x)`, "
            "or use Sequential"
        )

    def __repr__(self) -> str:
        groups = [(text, len(list(same))) for text, same in itertools.groupby(map(repr, self))]
        lines, first = [], 0
        for text, count in groups:
            label = f"({first}): " if count == 1 else f"({first}-{first + count - 1}): {count} x "
            lines.append(label + _indented(text))
            first += count
        return _bracketed(type(self).__name__, [], lines)


class ModuleDict(Module):
    """A dict of modules whose parameters are found.

    Args:
        modules: Name → module, or pairs.

    Raises:
        TypeError: If one is no Module.
        KeyError: If a name has a dot in it or is an attribute of Module.

    >>> from tinygrad_cnn import nn
    >>> branches = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
    >>> branches["tanh"], list(branches)
    (Tanh(), ['relu', 'tanh'])
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        self.update(modules if modules is not None else {})

    def __getitem__(self, key: str) -> Module:
        if key not in self._modules:
            raise KeyError(f"ModuleDict has no module {key!r}; it has {', '.join(self._modules) or 'none'}")
        return self._modules[key]  # type: ignore[return-value]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> ItemsView[str, Any]:
        """Pairs of name and module."""
        return self._modules.items()

    def values(self) -> ValuesView[Any]:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace modules."""
        for key, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[key] = module

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def forward(self, *args: Any) -> Any:
        """A dict has no order of calls."""
        raise NotImplementedError("ModuleDict cannot be called, it only holds modules; call self.branches[name](x)")
