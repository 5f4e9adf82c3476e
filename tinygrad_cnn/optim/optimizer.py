"""What all optimizers share: parameter groups, the loop over parameters, saving and loading."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tinygrad_cnn.autograd import Tensor, enable_grad
from tinygrad_cnn.backends import Backend, backend_of, located
from tinygrad_cnn.nn import Parameter
from tinygrad_cnn.nn.parameter import zero_gradients
from tinygrad_cnn.optim import saving

Group = dict[str, Any]


class Optimizer:
    """Base class: walks the parameters in order and calls `update` for each one that has a gradient.

    A subclass gives its options' defaults, names the arrays it remembers (`state_arrays`), and writes `update`.

    Args:
        params: An iterable of tensors, such as `model.parameters()`, or of groups:
            `[{"params": [...], "lr": 0.1}, {"params": [...]}]`. Options a group does not give come from `defaults`.
        defaults: Option → value.

    Attributes:
        param_groups: One dict a group: `"params"` and its options. Changing an option there takes effect at the
            next step; this is what learning-rate schedulers do.
        state: Parameter → what the optimizer remembers about it (plain arrays and numbers).

    Raises:
        TypeError, ValueError: If there is no parameter, one is given twice, or one is no trainable leaf.

    >>> from tinygrad_cnn import nn, optim
    >>> w = nn.Parameter([1.0, 2.0])
    >>> optimizer = optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward()          # the gradient is 2·w
    >>> optimizer.step()
    >>> w.tolist()
    [0.0, 0.0]
    """

    #: Names of the arrays in a parameter's state; each has the parameter's shape and dtype.
    state_arrays: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Tensor] | Iterable[Group], defaults: dict[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[Group] = []
        self._step_count = 0
        self.check(self.defaults)
        if isinstance(params, Tensor):
            raise TypeError(f"{self.name}: params must be a list of tensors, not one Tensor; write [tensor]")
        if isinstance(params, dict):
            raise TypeError(f"{self.name}: params must be a list of groups, not one dict; write [group]")
        if hasattr(params, "parameters"):
            raise TypeError(f"{self.name}: params must be tensors, not a whole model; write model.parameters()")
        given: list[Any] = list(params)
        if not given:
            raise ValueError(
                f"{self.name}: there are no parameters to optimize; an iterator such as model.parameters() can be "
                "used only once, and a model's layers must be attributes or in an nn.ModuleList"
            )
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def name(self) -> str:
        """The class's name, for messages."""
        return type(self).__name__

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError if a group's options make no sense; called for every new group."""

    def update(self, w: Any, dw: Any, state: dict[str, Any], group: Group) -> None:
        """Change one parameter's array in place.

        Args:
            w: The parameter's array, writable.
            dw: Its gradient; not to be changed.
            state: What the optimizer remembers about this parameter; empty at first.
            group: The options of its group.
        """
        raise NotImplementedError(f"{self.name} does not say how to update a parameter; write its update()")

    def add_param_group(self, param_group: Group) -> None:
        """Optimize further parameters, say those of layers that were frozen until now.

        Args:
            param_group: `"params"` (a tensor or several) and options that differ from the defaults.

        Raises:
            TypeError, ValueError: As the class.
        """
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f'{self.name}: a group is a dict with "params", not {param_group!r}')
        params = param_group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{self.name}: a set has no fixed order, which the saved state needs; use a list")
        params = [params] if isinstance(params, Tensor) else list(params)
        seen = dict.fromkeys(self.parameters())
        for i, p in enumerate(params):
            self._check_parameter(f"parameter {i} of group {len(self.param_groups)}", p)
            if p in seen:
                raise ValueError(f"{self.name}: parameter {i} (shape {p.shape}) is given twice; leave one out")
            seen[p] = None
        group = {**self.defaults, **param_group, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def _check_parameter(self, place: str, p: Any) -> None:
        if isinstance(p, tuple):
            raise TypeError(f"{self.name}: {place} is a tuple; pass model.parameters(), not named_parameters()")
        if not isinstance(p, Tensor):
            raise TypeError(f"{self.name}: {place} must be a Tensor, not {type(p).__name__}")
        if not p.is_leaf:
            raise ValueError(
                f"{self.name}: {place} (shape {p.shape}) is the result of an operation, not a leaf; optimize the "
                "tensors it was computed from, or p.detach().requires_grad_()"
            )
        # a Parameter that wants no gradient was frozen on purpose, a plain tensor more likely by mistake
        if not p.requires_grad and not isinstance(p, Parameter):
            raise ValueError(f"{self.name}: {place} (shape {p.shape}) has requires_grad=False; p.requires_grad_()")

    def parameters(self) -> Iterator[Tensor]:
        """All parameters, in the order that numbers them in `state_dict`."""
        for group in self.param_groups:
            yield from group["params"]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; call it before every backward pass, since gradients add up.

        Args:
            set_to_none: Drop the arrays; otherwise fill them with zeros. The memory of those above 32 MB waits for the
                next gradients of the same parameters; to give it back at once, set `p.grad = None` instead.
        """
        zero_gradients(self.parameters(), set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient.

        Args:
            closure: Computes the loss and its gradients anew; called before the step, for algorithms that want it.

        Returns:
            What the closure returns, or None.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        writer = f"{self.name}.step"
        active: Backend | None = None
        with contextlib.ExitStack() as block:  # one for all: most parameters are small
            for group in self.param_groups:
                for p in group["params"]:
                    dw = p.grad
                    if dw is None:
                        continue
                    if (backend := backend_of(dw)) is not active:
                        block.enter_context(backend.activate())
                        active = backend
                    w = p._unlock(writer, block)
                    self.update(w, -dw if group.get("maximize") else dw, self._state_of(p, w, backend), group)
        self._step_count += 1
        return loss

    def _state_of(self, p: Tensor, w: Any, backend: Backend) -> dict[str, Any]:
        """This parameter's state, on its device and in its dtype: it follows `model.to(...)`."""
        state = self.state.get(p)
        if state is None:
            state = self.state[p] = {}
        for key, value in state.items():
            where = located(value)
            if where is not None and (where is not backend or value.dtype != w.dtype):
                state[key] = backend.asarray(value, dtype=w.dtype)
        return state

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue exactly here, as plain values and NumPy arrays (copies).

        Returns:
            `{"state": {parameter number: {name: value}}, "param_groups": [options with "params" as numbers]}`.
        """
        return saving.pack(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, bit by bit; a failed load changes nothing.

        Numbers of parameters may also be strings, as JSON makes them.

        Raises:
            ValueError: If groups, options or shapes are not those of this optimizer; lists every difference.
        """
        saving.unpack(self, state_dict)

    def __repr__(self) -> str:
        lines = [f"{self.name} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def require(name: str, options: dict[str, Any], **rules: tuple[Callable[[Any], bool], str]) -> None:
    """Raise an error that names the first option that breaks its rule.

    Args:
        name: The optimizer, for the message.
        options: Option → value.
        **rules: Option → (test, the rule in words).

    Raises:
        TypeError: If an option is not a number.
        ValueError: If a number breaks its rule.

    >>> require("SGD", {"lr": -1}, lr=(lambda x: x >= 0, "at least 0"))
    Traceback (most recent call last):
    ValueError: SGD: lr=-1 must be at least 0
    """
    for key, (test, rule) in rules.items():
        value = options[key]
        for number in value if isinstance(value, (tuple, list)) else (value,):
            try:
                float(number)
                fine = not isinstance(number, (str, bool, Tensor))
            except (TypeError, ValueError):
                fine = False
            if not fine:
                raise TypeError(f"{name}: {key} must be a number, not {type(number).__name__}")
        if not test(value):
            raise ValueError(f"{name}: {key}={value} must be {rule}")
