"""Transfer learning: LeNet-5 learns the digits 0 to 4, then 5 to 9 from 10 images each; compared with starting anew.

python -m benchmarks.transfer [--data digits|mnist] [--data-dir DIR] [--seeds N]

Each seed draws the first weights, the order of the images of 0 to 4 and the 50 images of 5 to 9 anew. All ways of
learning see these 50 images equally often, and are asked for all test images of 5 to 9.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import data, models, nn, optim, training
from tinygrad_cnn.random import Generator

SHOTS = 10
OLD, NEW = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)
SCRATCH, FROZEN, TUNED = (
    "from scratch",
    "convolutions frozen, new classifier",
    "convolutions fine-tuned, new classifier",
)


def part(dataset: data.ImageDataset, digits: tuple[int, ...], limit: int | None, draw: Generator) -> data.TensorDataset:
    """Images of some digits, at most `limit` of each, with the labels 0, 1, …."""
    chosen = []
    for digit in digits:
        places = np.flatnonzero(dataset.targets == digit)
        chosen.append(places[draw.permutation(len(places))[:limit]])
    images, labels = dataset.get_batch(np.concatenate(chosen))
    return data.TensorDataset(images, labels - digits[0])


def learn(model: nn.Module, samples: data.TensorDataset, optimizer: Any, epochs: int, batch: int, seed: int) -> None:
    loader = data.DataLoader(samples, batch, shuffle=True, generator=Generator(seed))
    training.fit(model, loader, optimizer, epochs=epochs, metrics=(), generator=Generator(seed))


def score(model: nn.Module, samples: data.TensorDataset) -> float:
    return 100 * training.evaluate(model, data.DataLoader(samples, 250))["accuracy"]


def pretrained(split: data.DataSplit, seed: int, steps: int = 480) -> models.LeNet5:
    """LeNet-5 that knows 0 to 4."""
    samples = part(split.train, OLD, None, Generator(seed))
    model = models.LeNet5(num_classes=len(OLD), generator=Generator(seed))
    optimizer = optim.Adam(model.parameters(), lr=0.004)
    learn(model, samples, optimizer, epochs=max(1, round(steps * 64 / len(samples))), batch=64, seed=seed)
    return model


def compare(split: data.DataSplit, seed: int, teacher: models.LeNet5, epochs: int = 40) -> dict[str, float]:
    """Percent of the test images of 5 to 9 that are right, for each way of learning them."""
    few = part(split.train, NEW, SHOTS, Generator(1000 + seed))
    test = part(split.test, NEW, None, Generator(0))

    def learned(model: nn.Module, parameters: Any, lr: float = 0.001) -> float:
        learn(model, few, optim.Adam(parameters, lr=lr), epochs, batch=10, seed=seed)
        return score(model, test)

    def new() -> models.LeNet5:
        return models.LeNet5(num_classes=len(NEW), generator=Generator(2000 + seed))

    results = {}
    model = new()
    results[SCRATCH] = learned(model, model.parameters())

    model = new()
    model.features.load_state_dict(teacher.features.state_dict())
    models.freeze(model, "features")
    results[FROZEN] = learned(model, model.parameters())

    model = new()
    model.features.load_state_dict(teacher.features.state_dict())
    results[TUNED] = learned(model, models.parameter_groups(model, 0.001, {"features": 0.0001}))

    model = copy.deepcopy(teacher)
    models.freeze(model)
    head = models.replace_head(model, len(NEW), generator=Generator(2000 + seed))
    results["all frozen, new last layer"] = learned(model, model.get_submodule(head).parameters(), lr=0.005)
    return results | retrieved(teacher, few, test)


def retrieved(teacher: models.LeNet5, few: data.TensorDataset, test: data.TensorDataset) -> dict[str, float]:
    """Nothing is learned: each test image gets the label of the most similar of the few."""
    results = {}
    for layer in ("", "features", "classifier.fc2"):
        asked, known = (
            models.features(teacher, data.DataLoader(samples, 250), layer).flatten(1)
            if layer
            else samples.arrays[0].reshape(len(samples), -1)
            for samples in (test, few)
        )
        nearest = models.nearest_neighbours(asked, known, k=1, metric="cosine").indices[:, 0]
        right = few.arrays[1][nearest] == test.arrays[1]
        results[f"nearest neighbour, {layer or 'pixels'}"] = 100 * float(right.mean())
    return results


def table(runs: list[dict[str, float]]) -> str:
    """Mean ± standard deviation over the seeds, and of the difference to starting anew, as Markdown."""
    lines = ["| way of learning | test accuracy, % | gain, points |", "|---|---|---|"]
    for name in runs[0]:
        gains = [run[name] - run[SCRATCH] for run in runs]
        gain = "" if name == SCRATCH else spread(gains, "+")
        lines.append(f"| {name} | {spread([run[name] for run in runs])} | {gain} |")
    return "\n".join(lines)


def spread(values: list[float], sign: str = "") -> str:
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.1f}{deviation}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", choices=("digits", "mnist"), default="digits")
    parser.add_argument("--data-dir", type=Path, help="where the files are; by default the cache folder")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    started = time.perf_counter()
    split = data.load(given.data, given.data_dir)
    runs = [compare(split, seed, pretrained(split, seed)) for seed in range(given.seeds)]
    print(table(runs))
    print(f"\n{given.data}, {given.seeds} seeds, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
