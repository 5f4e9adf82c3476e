"""`evaluate` and `predict`: what a trained network is worth, and what it says about a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.cli import runs
from tinygrad_cnn.cli.console import chosen, fail, program, quoted, say

if TYPE_CHECKING:
    from tinygrad_cnn.data import DataInfo


def evaluate(run: Path, data_name: str | None, data_dir: Path | None, device: str) -> None:
    """Prints loss, accuracy and the most frequent mistakes on the test images.

    Args:
        run: The run directory.
        data_name: Another data set than the run's own; its images must have the same shape.
        data_dir: The folder of the data.
        device: Where to compute.
    """
    from tinygrad_cnn import data, training
    from tinygrad_cnn.cli.train import TEST_BATCH, load_data

    model, config = runs.trained_model(run, device)
    name = chosen("--data", config["data"] if data_name is None else data_name, data.available())
    _require_fitting(run, config, data.catalogue.ALL[name])
    split = load_data(name, data_dir or _same_folder(name, config))
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
    say("Most frequent mistakes:", style="bold")
    for count, i, j in sorted(mistakes, key=lambda mistake: (-mistake[0], mistake[1:]))[:5]:
        say(f"  {count:5,} × {split.classes[i]} taken for {split.classes[j]}")


def _same_folder(name: str, config: dict[str, Any]) -> Path | None:
    """The folder the run's own data came from, unless other data are asked for."""
    return Path(config["data_dir"]) if config.get("data_dir") and name == config["data"] else None


def _require_fitting(run: Path, config: dict[str, Any], info: DataInfo) -> None:
    """Refuses data whose images or classes are not those the network was made for."""
    options = config["options"]
    wanted = (options["in_channels"], *options["image_size"])
    if wanted != info.image_shape:
        sizes = ["×".join(map(str, shape)) for shape in (wanted, info.image_shape)]
        fail(f"{run} was trained on {config['data']} images of {sizes[0]}; those of {info.name} are {sizes[1]}")
    if options["num_classes"] != len(info.classes):
        fail(f"{run} tells {options['num_classes']} classes apart; {info.name} has {len(info.classes)}")


def _require_pictures(pictures: Sequence[Path], run: Path) -> None:
    """Refuses the first path that is no file, before anything is said about the others."""
    for path in pictures:
        if path.is_dir():
            fail(f"{path} is a folder; name the pictures in it")
        if not path.exists():
            example = run / runs.EXAMPLE
            ready = f", or take {quoted(example)}" if example.is_file() else ""
            fail(f"there is no picture {path}; any picture will do, draw one with a paint program{ready}")


def predict(pictures: Sequence[Path], run: Path | None, device: str, most: int = 3) -> None:
    """Prints what the network takes each picture for, with the probabilities as bars.

    Args:
        pictures: Picture files.
        run: The run directory; if absent that of the first picture if it lies in one, else the newest.
        device: Where to compute.
        most: How many classes are shown.
    """
    from tinygrad_cnn import functional as F
    from tinygrad_cnn import no_grad, tensor
    from tinygrad_cnn.cli.images import read_picture
    from tinygrad_cnn.data import catalogue

    if run is None:
        run = runs.run_of(pictures[0]) or runs.newest_run()
    model, config = runs.trained_model(run, device)
    _require_pictures(pictures, run)
    info = catalogue.ALL[config["data"]]
    say(f"{run}: {runs.called(config)}, trained on {info.name}")
    for path in pictures:
        image, done = read_picture(path, info)
        if image is None:
            say()
            say(f"{path}: nothing to see, the picture has almost no contrast", style="bold")
            continue
        with no_grad():
            probabilities = F.softmax(model(tensor(image[None], device=device)), dim=1).numpy()[0]
        best = np.argsort(-probabilities, kind="stable")
        say()
        say(f"{path}: {info.classes[best[0]]}", style="bold")
        width = max(len(info.classes[i]) for i in best[:most])
        for i in best[:most]:
            bar = "█" * round(30 * float(probabilities[i]))
            say(f"  {info.classes[i]:<{width}}  {probabilities[i]:6.1%}  {bar}".rstrip())
        for change in done:
            say(f"  the picture was {change}", style="dim")
    if config["data"] == "digits":
        say()
        say("This network has seen 1,438 digits by a few writers; one trained on MNIST reads other hands much better:")
        say(f"  {program()} train {runs.form(config)} --data mnist")
