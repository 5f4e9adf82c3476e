"""The small networks as data: filters and hidden layers as numbers, layers made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinygrad_cnn import nn


@dataclass(frozen=True)
class Stack:
    """5×5 convolutions, each with an activation and maximum pooling 2×2, then fully connected layers.

    Attributes:
        filters: (K, padding) of each convolution.
        hidden: Outputs of each fully connected layer but the last.
        activation: Behind each of them, but for the last layer.
    """

    filters: tuple[tuple[int, int], ...]
    hidden: tuple[int, ...] = ()
    activation: type[nn.Module] = nn.ReLU

    def features(self, in_channels: int) -> dict[str, nn.Module]:
        """`conv1, relu1, pool1, conv2, …`."""
        layers: dict[str, nn.Module] = {}
        for i, (K, padding) in enumerate(self.filters, start=1):
            layers[f"conv{i}"] = nn.Conv2d(in_channels, K, kernel_size=5, padding=padding)
            layers[self._activation(i)] = self.activation()
            layers[f"pool{i}"] = nn.MaxPool2d(2)
            in_channels = K
        return layers

    def classifier(self, num_classes: int) -> Callable[[int], nn.Sequential]:
        """`fc1, relu3, fc2, …` for a number of inputs; the activations are counted on from those of `features`."""

        def made(F: int) -> nn.Sequential:
            layers: dict[str, nn.Module] = {}
            for i, D in enumerate(self.hidden, start=1):
                layers[f"fc{i}"] = nn.Linear(F, D)
                layers[self._activation(len(self.filters) + i)] = self.activation()
                F = D
            layers[f"fc{len(self.hidden) + 1}"] = nn.Linear(F, num_classes)
            return nn.Sequential(layers)

        return made

    def _activation(self, i: int) -> str:
        return f"{self.activation.__name__.lower()}{i}"
