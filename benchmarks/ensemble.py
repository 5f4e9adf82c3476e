"""An ensemble: LeNet-5 several times with different first weights; each alone against their average opinion.

python -m benchmarks.ensemble [--data digits|mnist] [--data-dir DIR] [--members N] [--images N] [--epochs N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from tinygrad_cnn import data, models, optim, training
from tinygrad_cnn.random import Generator


def trained(split: data.DataSplit, seed: int, images: int, epochs: int) -> models.LeNet5:
    """A network of its own: first weights, and the order of the images, by the seed."""
    few = data.Subset(split.train, Generator(0).permutation(len(split.train))[:images])
    loader = data.DataLoader(few, batch_size=64, shuffle=True, generator=Generator(seed))
    model = models.LeNet5(generator=Generator(seed))
    optimizer = optim.Adam(model.parameters(), lr=0.002)
    training.fit(model, loader, optimizer, epochs=epochs, metrics=(), generator=Generator(seed))
    return model


def compare(split: data.DataSplit, members: int, images: int, epochs: int) -> tuple[list[float], list[float]]:
    """Percent of the test images that are right: each network alone, and the ensembles of the first 1, 2, …."""
    networks = [trained(split, seed, images, epochs) for seed in range(members)]
    test = data.DataLoader(split.test, batch_size=250)
    alone = [100 * training.evaluate(model, test)["accuracy"] for model in networks]
    together = [100 * training.evaluate(models.Ensemble(networks[:k]), test)["accuracy"] for k in range(1, members + 1)]
    return alone, together


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", choices=("digits", "mnist"), default="digits")
    parser.add_argument("--data-dir", type=Path, help="where the files are; by default the cache folder")
    parser.add_argument("--members", type=int, default=7)
    parser.add_argument("--images", type=int, default=6000, help="training images, the same for all")
    parser.add_argument("--epochs", type=int, default=5)
    given = parser.parse_args()
    started = time.perf_counter()
    alone, together = compare(data.load(given.data, given.data_dir), max(1, given.members), given.images, given.epochs)
    spread = f" ± {statistics.stdev(alone):.2f}" if len(alone) > 1 else ""
    print("| networks | test accuracy, % |\n|---|---|")
    print(f"| one, mean of {len(alone)} | {statistics.mean(alone):.2f}{spread} |\n| the best one | {max(alone):.2f} |")
    for k, accuracy in enumerate(together[1:], 2):
        print(f"| ensemble of {k} | {accuracy:.2f} |")
    print(
        f"\n{given.data}, {given.images} training images, {given.epochs} epochs, {time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
