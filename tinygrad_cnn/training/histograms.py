"""How activations, gradients and weights are distributed, layer by layer: in one batch, or again and again in `fit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn import backends, nn, random
from tinygrad_cnn.autograd import Tensor, enable_grad, grad, is_grad_enabled
from tinygrad_cnn.nn.utils import evaluating
from tinygrad_cnn.storage import host
from tinygrad_cnn.training.callbacks import Callback, Run
from tinygrad_cnn.training.loop import LossFn, loss_of

KINDS = ("activations", "gradients", "weights", "weight_gradients")
_MOST = 2**20  # numbers that are counted; of more, an evenly spaced part


class Histogram(NamedTuple):
    """How often which values occur in one array.

    Attributes:
        step: The training step, from 1.
        layer: The layer's name; its second call in a pass is `"name (2)"`.
        kind: `"activations"` (a layer's output y), `"gradients"` (∂L/∂y), `"weights"` (w) or `"weight_gradients"`
            (∂L/∂w).
        counts: (bins,) how many of the finite values other than 0 lie in each bin. Bins are equally wide, from
            `low` to `high`; for the two kinds of gradients they are bins of log₁₀|value|, since sizes matter there.
        low: Where the first bin begins.
        high: Where the last bin ends.
        zeros: Share of values that are 0.
        dead: Share of units (feature maps, neurons) that are 0 for the whole batch, as a ReLU that died; for
            activations only.
        rms: √(mean of squares), the size of a typical value.
    """

    step: int
    layer: str
    kind: str
    counts: np.ndarray
    low: float
    high: float
    zeros: float
    dead: float
    rms: float

    @property
    def logarithmic(self) -> bool:
        """Whether the bins are of log₁₀|value|."""
        return self.kind.endswith("gradients")


def histogram(values: Any, kind: str = "activations", *, step: int = 0, layer: str = "", bins: int = 40) -> Histogram:
    """Count the values of one array.

    Args:
        values: A plain array or tensor, on any device, of any number format; its axis 1 counts units, axis 0 samples.
        kind: One of `KINDS`.
        step: The training step.
        layer: The layer's name.
        bins: How many bins, at least 1.

    >>> h = histogram(np.array([[0.0, 1.0], [0.0, 3.0], [0.0, 0.0]]), bins=2)
    >>> h.counts.tolist(), (h.low, h.high), round(h.zeros, 2), h.dead   # the first of two units is always 0
    ([1, 1], (1.0, 3.0), 0.67, 0.5)
    >>> histogram(np.array([0.01, -0.01, 1.0]), "gradients", bins=2).counts.tolist()   # 10⁻² twice, 10⁰ once
    [2, 1]
    """
    array = host(values)
    dead = 0.0
    if kind == "activations" and array.ndim > 1 and array.size:
        dead = float((array == 0).all(axis=(0, *range(2, array.ndim))).mean())
    flat = array.reshape(-1)
    flat = flat[:: -(-flat.size // _MOST) | 1].astype(np.float64)  # an odd step, so as not to see every second column
    flat = flat[np.isfinite(flat)]
    seen = flat[flat != 0]
    rms = float(np.sqrt((flat * flat).mean())) if flat.size else 0.0
    zeros = 1 - seen.size / flat.size if flat.size else 0.0
    if kind.endswith("gradients"):
        seen = np.log10(np.abs(seen))
    counts, edges = np.histogram(seen, bins)
    return Histogram(step, layer, kind, counts, float(edges[0]), float(edges[-1]), zeros, dead, rms)


def thinned(array: Any, most: int) -> np.ndarray:
    """At most so many numbers of an array of any device, evenly spaced: flat, on the host, as float64."""
    backend = backends.backend_of(array)
    with backend.activate():
        some = array.reshape(-1)[:: -(-array.size // most) or 1]
    return backend.to_numpy(some).astype(np.float64)


def layer_histograms(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    loss_fn: LossFn | None = None,
    *,
    layers: Sequence[str] | None = None,
    bins: int = 40,
) -> list[Histogram]:
    """The distributions of activations, gradients and weights for one batch, without training.

    In evaluation mode: nothing is dropped, and batch norms use their statistics. Gradients go to no `.grad`.

    Args:
        model: The network.
        x: (N, …) a batch.
        y: (N) its targets.
        loss_fn: (ŷ, y) → one number; the model's own if None, see `loss_of`.
        layers: Which modules, by name; all without parts if None.
        bins: How many bins.

    Raises:
        ValueError: If the model has no such module.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn
    >>> relu = nn.Sequential({"relu": nn.ReLU()})
    >>> x, y = tcnn.tensor([[-1.0, 2.0], [-3.0, 1.0]]), tcnn.tensor([[0.0, 0.0], [0.0, 0.0]])
    >>> activations, gradients = layer_histograms(relu, x, y, nn.functional.mse_loss)
    >>> activations.dead, activations.zeros, gradients.rms   # ∂L/∂y = y/2: 0, 1, 0, 1/2
    (0.5, 0.5, 0.5590169943749475)
    """
    found: list[Histogram] = []

    def add(kind: str, layer: str, values: Any) -> None:
        found.append(histogram(values, kind, layer=layer, bins=bins))

    parameter = next(iter(model.parameters()), None)
    if parameter is not None:
        x, y = x.to(parameter.device), y.to(parameter.device)
    x = x.detach().clone().requires_grad_()  # so that the walk back passes all layers, frozen ones, too
    with (
        evaluating(model),
        enable_grad(),
        random.use_generator(random.Generator()),
        _listening(model, layers, add) as called,
    ):
        loss = loss_of(model, loss_fn)(model(x), y)
        weights = _weights(model, called)
        learning = {name: w for name, w in weights.items() if w.requires_grad}
        _, *dweights = grad(loss, [x, *learning.values()], allow_unused=True)
    for name, w in weights.items():
        add("weights", name, w)
    for name, dweight in zip(learning, dweights):
        if dweight is not None:
            add("weight_gradients", name, dweight)
    return found


class LayerHistograms(Callback):
    """While `fit` runs, count how activations, gradients and weights are distributed in each layer.

    `viz.plot.histograms` draws them. Training gives the same bits with it as without; steps that are not recorded
    cost nothing. Weights are those after the step, gradients those it was made with (clipped, if they are).

    Args:
        every: Record the steps 1, 1 + every, 1 + 2·every, …
        bins: How many bins.
        layers: Which modules, by name; all without parts if None.

    Attributes:
        histograms: What was recorded, a list of `Histogram`.

    Raises:
        ValueError: If every or bins is no whole number from 1 on, or the model has no such module.

    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
    figures 2 to 7.
    """

    def __init__(self, every: int = 100, bins: int = 40, layers: Sequence[str] | None = None) -> None:
        for name, value in (("every", every), ("bins", bins)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"LayerHistograms: {name}={value!r} must be a whole number from 1 on")
        self.every, self.bins, self.layers = every, bins, layers
        self.histograms: list[Histogram] = []
        self._hooks = ExitStack()
        self._called: Collection[str] | None = None  # in a step that is recorded: the layers that were called

    def on_train_begin(self, run: Run) -> None:
        self.histograms = []
        _chosen(run.model, self.layers)  # a wrong name is told now, not when the first step is over

    def on_epoch_begin(self, run: Run) -> None:
        self._listen_if_due(run)

    def on_batch_end(self, run: Run) -> None:
        if self._called is not None:
            for name, w in _weights(run.model, self._called).items():
                self._add(run.step, "weights", name, w)
                if w.grad is not None:
                    self._add(run.step, "weight_gradients", name, w.grad)
        self._listen_if_due(run)

    def on_train_end(self, run: Run) -> None:
        self._hooks.close()

    def _listen_if_due(self, run: Run) -> None:
        """Hooks are there in the steps that are recorded only."""
        self._hooks.close()
        self._called = None
        if run.step % self.every == 0:

            def heard(kind: str, layer: str, values: Any) -> None:
                if run.model.training:  # not in the validation behind an epoch's last step
                    self._add(run.step + 1, kind, layer, values)

            self._called = self._hooks.enter_context(_listening(run.model, self.layers, heard))

    def _add(self, step: int, kind: str, layer: str, values: Any) -> None:
        self.histograms.append(histogram(values, kind, step=step, layer=layer, bins=self.bins))

    def state_dict(self) -> dict[str, Any]:
        columns: dict[str, Any] = {name: [getattr(h, name) for h in self.histograms] for name in Histogram._fields}
        columns["counts"] = np.array(columns["counts"])  # one array, not thousands
        return columns

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.histograms = [Histogram(*row) for row in zip(*(state[name] for name in Histogram._fields))]


@contextmanager
def _listening(
    model: nn.Module, layers: Sequence[str] | None, add: Callable[[str, str, Any], None]
) -> Iterator[Collection[str]]:
    """Inside the block, `add(kind, layer, array)` gets the outputs of layers, and their gradients as they arrive.

    The value is the names of those that were called.
    """
    calls: Counter[str] = Counter()
    with ExitStack() as hooks:

        def listener(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                if not isinstance(output, Tensor) or output.ndim < 2 or not is_grad_enabled():
                    return  # a loss, say
                calls[name] += 1
                layer = name if calls[name] == 1 else f"{name} ({calls[name]})"
                add("activations", layer, output)
                if output.requires_grad:
                    handle = output.register_hook(lambda dy: add("gradients", layer, dy))
                    hooks.callback(handle.remove)  # a module may hand out its parameter, which stays

            return hook

        for name, module in _chosen(model, layers).items():
            hooks.enter_context(module.register_forward_hook(listener(name)))
        yield calls.keys()


def _chosen(model: nn.Module, layers: Sequence[str] | None) -> dict[str, nn.Module]:
    modules = dict(model.named_modules())
    if layers is None:
        return {name: module for name, module in modules.items() if not any(True for _ in module.children())}
    for name in layers:
        if name not in modules:
            listed = ", ".join(filter(None, modules))
            raise ValueError(f"histograms: {type(model).__name__} has no {name!r}; it has {listed}")
    return {name: modules[name] for name in layers}


def _weights(model: nn.Module, called: Collection[str]) -> dict[str, Tensor]:
    """The weights of these layers; biases are too few for a histogram."""
    own = {name: [p for p in model.get_submodule(name).parameters(recurse=False) if p.ndim > 1] for name in called}
    return {name: weights[0] for name, weights in own.items() if weights}
