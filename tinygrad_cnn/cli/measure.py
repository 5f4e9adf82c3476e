"""`evaluate` and `predict`: what a trained network is worth, and what it says about a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.cli import runs
from tinygrad_cnn.cli.console import chosen, console, fail, say


def evaluate(run: Path, data_name: str | None, data_dir: Path | None, device: str) -> None:
    """Prints loss, accuracy and the most frequent mistakes on the test images.

    Args:
        run: The run directory.
        data_name: Another data set than the run's own; its images must have the same shape.
        data_dir: The folder of the data.
        device: Where to compute.
    """
    from rich.table import Table

    from tinygrad_cnn import data, training
    from tinygrad_cnn.cli.train import TEST_BATCH, load_data

    model, config = runs.trained_model(run, device)
    name = chosen("--data", data_name or config["data"], data.available())
    split = load_data(name, data_dir)
    _require_fitting(run, config, split)
    result = training.evaluate(model, data.DataLoader(split.test, batch_size=TEST_BATCH, device=device), confusion=True)
    counts: Any = result.confusion
    right = int(np.trace(counts))
    say(f"{run} on the {result.samples:,} test images of {name}, {result.seconds:.1f} s")
    say(
        f"accuracy {result['accuracy']:.2%} ({right:,} of {result.samples:,} right), loss {result.loss:.4f}",
        style="bold",
    )
    mistakes = [(int(counts[i, j]), i, j) for i, j in np.argwhere(counts) if i != j]
    if not mistakes:
        return
    say()
    table = Table(title="most frequent mistakes", box=None, title_justify="left", title_style="bold", pad_edge=False)
    for heading, justify in (("images", "right"), ("is", "left"), ("taken for", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for count, i, j in sorted(mistakes, key=lambda mistake: (-mistake[0], mistake[1:]))[:5]:
        table.add_row(f"{count:,}", split.classes[i], split.classes[j])
    console().print(table)


def _require_fitting(run: Path, config: dict[str, Any], split: Any) -> None:
    C, H, W = split.info.image_shape
    options = config["options"]
    wanted = (options["in_channels"], *options["image_size"])
    if wanted != (C, H, W):
        sizes = ["×".join(map(str, shape)) for shape in (wanted, (C, H, W))]
        fail(f"{run} was trained on {config['data']} images of {sizes[0]}; those of {split.info.name} are {sizes[1]}")
    if options["num_classes"] != len(split.classes):
        fail(f"{run} tells {options['num_classes']} classes apart; {split.info.name} has {len(split.classes)}")


def predict(pictures: Sequence[Path], run: Path | None, device: str, most: int = 3) -> None:
    """Prints what the network takes each picture for, with the probabilities as bars.

    Args:
        pictures: Picture files.
        run: The run directory; the newest one if absent.
        device: Where to compute.
        most: How many classes are shown.
    """
    from tinygrad_cnn import functional as F
    from tinygrad_cnn import no_grad, tensor
    from tinygrad_cnn.cli.images import read_picture
    from tinygrad_cnn.data import catalogue

    if run is None:
        run = runs.newest_run()
    model, config = runs.trained_model(run, device)
    info = catalogue.ALL[config["data"]]
    say(f"{run}: {config['model']}, trained on {info.title}")
    for path in pictures:
        if not path.is_file():
            fail(f"there is no picture {path}")
        image, done = read_picture(path, info)
        with no_grad():
            probabilities = F.softmax(model(tensor(image[None], device=device)), dim=1).numpy()[0]
        best = np.argsort(-probabilities, kind="stable")
        say()
        say(f"{path}: {info.classes[best[0]]}", style="bold")
        width = max(len(info.classes[i]) for i in best[:most])
        for i in best[:most]:
            bar = "█" * round(30 * float(probabilities[i])) or "▏"
            say(f"  {info.classes[i]:<{width}}  {probabilities[i]:6.1%}  {bar}")
        if done:
            say(f"  the picture was {', '.join(done)}", style="dim")
