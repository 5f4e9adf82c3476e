"""Transfer learning: keep what a network has learned, give it a new last layer, train on with care."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.models.paths import is_below, module_at, unknown
from tinygrad_cnn.random import Generator


def freeze(model: nn.Module, *names: str) -> tuple[str, ...]:
    """Stop parts of a network from learning: neither their weights nor their statistics change any more.

    The parameters get `requires_grad=False` and lose their gradient, so that an optimizer made before leaves them
    alone, momentum and weight decay included. Batch norms in these parts use the statistics they have and do not
    take in new ones, also after `model.train()`: they count as part of what was learned (PyTorch leaves this to
    you). Dropout has learned nothing and goes on.

    Not part of `state_dict`: after loading weights into a new model, freeze again.

    Args:
        model: The network.
        *names: Modules or parameters by name, each with all below it; the whole network if none is given.

    Returns:
        The names of the parameters that are frozen now.

    Raises:
        ValueError: If the network has no part of such a name.
        TypeError: If a part is not given by its name.

    Source: Yosinski, Clune, Bengio & Lipson 2014, "How transferable are features in deep neural networks?".

    >>> from tinygrad_cnn import models
    >>> model = models.LeNet5()
    >>> models.freeze(model, "features.conv1", "classifier.fc1.bias")
    ('features.conv1.weight', 'features.conv1.bias', 'classifier.fc1.bias')
    >>> model.num_parameters(trainable_only=True)   # 61,706 − 156 − 120
    61430
    """
    return _set("freeze", model, names, learning=False)


def unfreeze(model: nn.Module, *names: str) -> tuple[str, ...]:
    """Let parts of a network learn again: the opposite of `freeze`.

    Args:
        model: The network.
        *names: Modules or parameters by name, each with all below it; the whole network if none is given.

    Returns:
        The names of the parameters that learn now.

    Raises:
        ValueError: If the network has no part of such a name.
        TypeError: If a part is not given by its name.

    >>> from tinygrad_cnn import models
    >>> model = models.LeNet5()
    >>> _ = models.freeze(model)
    >>> models.unfreeze(model, "classifier.fc3")
    ('classifier.fc3.weight', 'classifier.fc3.bias')
    """
    return _set("unfreeze", model, names, learning=True)


def _set(operation: str, model: nn.Module, names: tuple[str, ...], learning: bool) -> tuple[str, ...]:
    modules = dict(model.named_modules(remove_duplicate=False))
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name in names:
        if not isinstance(name, str) or (name not in modules and name not in parameters):
            raise unknown(operation, model, name, [*modules, *parameters])
    prefixes = names or ("",)
    for path, module in modules.items():
        if getattr(module, "running_mean", None) is not None and any(is_below(path, p) for p in prefixes):
            _keep_statistics(module, not learning, model.training)
    changed = {path: p for path, p in parameters.items() if any(is_below(path, prefix) for prefix in prefixes)}
    for parameter in changed.values():
        parameter.requires_grad_(learning)
        if not learning:
            parameter.grad = None
    return tuple(changed)


def _keep_statistics(module: nn.Module, keep: bool, training: bool) -> None:
    """Hold a batch norm in evaluation mode, or no longer."""
    hooks = module._forward_pre_hooks
    held = [number for number, hook in hooks.items() if hook is _evaluate]
    if keep and not held:
        module.register_forward_pre_hook(_evaluate)
        module.training = False
    elif held and not keep:
        del hooks[held[0]]
        module.training = training


def _evaluate(module: nn.Module, args: Any) -> None:
    # before each forward, because model.train() and fit switch all modules back
    module.training = False


def replace_head(
    model: nn.Module, num_classes: int, *, name: str | None = None, generator: Generator | None = None
) -> str:
    """Replace a network's last fully connected layer by a new, untrained one for other classes; in place.

    The new layer has the old one's inputs, device and dtype, a bias if it had one, and learns even if the old one
    was frozen. Make the optimizer after this: one made before holds the old layer's parameters. Auxiliary heads, as
    GoogLeNet's `aux1.fc2`, keep their classes unless they are replaced by name, too.

    Args:
        model: The network.
        num_classes: How many outputs the new layer has.
        name: Which layer; by default the last one with weights, which must be an `nn.Linear`.
        generator: Draws the new weights; the default generator if None.

    Returns:
        The layer's name.

    Raises:
        ValueError: If the network has no such layer, or it is no `nn.Linear`.

    Source: Donahue et al. 2014, "DeCAF: a deep convolutional activation feature for generic visual recognition".

    >>> from tinygrad_cnn import models
    >>> model = models.LeNet5()
    >>> models.replace_head(model, 5)
    'classifier.fc3'
    >>> model.classifier.fc3
    Linear(in_features=84, out_features=5, bias=True)
    """
    if name is None:
        with_weights = [
            path
            for path, module in model.named_modules()
            if any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))
        ]
        if not with_weights:
            raise ValueError(f"replace_head: {type(model).__name__} has no layer with weights")
        name, how = with_weights[-1], "its last layer with weights"
    else:
        how = "the layer named"
    old = module_at("replace_head", model, name)
    if not isinstance(old, nn.Linear) or not name:
        linear = [path for path, module in model.named_modules() if path and isinstance(module, nn.Linear)]
        raise ValueError(
            f"replace_head: {how}, {name or 'the model itself'!r}, is a {type(old).__name__}, and only an nn.Linear "
            f"inside a model can be replaced; choose one with name=… ({', '.join(linear) or 'there is none'}), or put "
            "your own layer in its place"
        )
    new = nn.Linear(
        old.in_features,
        num_classes,
        bias=old.bias is not None,
        device=old.weight.device,
        dtype=old.weight.dtype,
        generator=generator,
    ).train(old.training)
    path, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(path), attribute, new)
    return name


def parameter_groups(model: nn.Module, lr: float, lrs: Mapping[str, float]) -> list[dict[str, Any]]:
    """An optimizer's parameter groups for fine-tuning: parts of a network with learning rates of their own.

    What was learned on much data should move less than a new layer. Frozen parameters are in their groups, too:
    they do not move until they are unfrozen.

    Args:
        model: The network.
        lr: The learning rate of all that is not named.
        lrs: Name of a module or parameter → the learning rate of all below it; the longest name that fits counts.

    Returns:
        One `{"name": …, "params": […], "lr": …}` for each name; what is left has the name "".

    Raises:
        ValueError: If the network has no part of such a name, or no parameters are left for it.

    Source: Girshick, Donahue, Darrell & Malik 2014, "Rich feature hierarchies for accurate object detection and
    semantic segmentation", section 2.3 (a tenth of the rate of the first training).

    >>> from tinygrad_cnn import models, optim
    >>> model = models.LeNet5()
    >>> groups = models.parameter_groups(model, 0.01, {"features": 0.001, "features.conv1": 0.0})
    >>> [(group["name"], len(group["params"]), group["lr"]) for group in groups]
    [('features', 2, 0.001), ('features.conv1', 2, 0.0), ('', 6, 0.01)]
    >>> optimizer = optim.SGD(groups, lr=0.01)
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    parameters = dict(model.named_parameters())
    for name in lrs:
        if not isinstance(name, str) or (name not in modules and name not in parameters):
            raise unknown("parameter_groups", model, name, [*modules, *parameters])
    groups: dict[str, dict[str, Any]] = {
        name: {"name": name, "params": [], "lr": rate} for name, rate in {**lrs, "": lrs.get("", lr)}.items()
    }
    for path, parameter in parameters.items():
        nearest = max((name for name in groups if is_below(path, name)), key=len)
        groups[nearest]["params"].append(parameter)
    for name, group in groups.items():
        if name and not group["params"]:
            raise ValueError(
                f"parameter_groups: no parameters are left for {name!r}: it has none, or longer names have taken them "
                "all; leave it out"
            )
    return [group for group in groups.values() if group["params"]]
