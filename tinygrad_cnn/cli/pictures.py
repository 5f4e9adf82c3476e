"""What a finished training leaves in its run directory: figures, the graph of a step, a page that shows them all."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.cli import runs
from tinygrad_cnn.cli.console import say

if TYPE_CHECKING:
    from tinygrad_cnn.cli.train import Batches
    from tinygrad_cnn.data import DataLoader, DataSplit
    from tinygrad_cnn.nn import Module
    from tinygrad_cnn.training import History

PAGE, REPLAY = "report.html", "replay.html"
FEW = 2  # images in the step that is replayed: every one of their numbers fits into the page


@dataclass
class Verdicts:
    """What a network said about the test images.

    Attributes:
        predicted: (N,) the classes it took them for.
        actual: (N,) the classes they are.
        wrong_images: Those it took for something else.
    """

    predicted: np.ndarray
    actual: np.ndarray
    wrong_images: np.ndarray

    @property
    def right(self) -> int:
        """How many images were recognised."""
        return int((self.predicted == self.actual).sum())

    @property
    def accuracy(self) -> float:
        """The share of images that were recognised."""
        return self.right / len(self.actual)


def leave(
    run: Path,
    config: dict[str, Any],
    model: Module,
    split: DataSplit,
    batches: Batches,
    history: History,
    verdicts: Verdicts,
) -> dict[str, Path]:
    """Makes all pictures and the page; returns what each is → where it lies.

    Without matplotlib or Graphviz it says so and leaves the rest: the training is not lost with its pictures.
    """
    from tinygrad_cnn import training

    predicted, actual = verdicts.predicted, verdicts.actual
    wrong = predicted != actual
    classes = split.classes
    confusion = training.confusion_matrix(predicted, actual, len(classes))
    title = f"{runs.called(config)} on {config['data']}"
    figures: dict[str, Path] = {}
    try:
        from tinygrad_cnn.viz import plot

        drawn = {
            "learning curves": plot.learning_curves(history, title=title, validation=batches.watched),
            "confusion matrix": plot.confusion_matrix(confusion, classes),
            "filters": plot.filters(model, title=f"filters of the first convolution, {title}"),
        }
        if wrong.any():
            drawn["misclassified"] = plot.misclassified(
                verdicts.wrong_images,
                actual[wrong],
                predicted[wrong],
                classes,
                total=len(wrong),
            )
        for what, figure in drawn.items():
            figures[what] = run / f"{what.replace(' ', '_')}.png"
            figure.savefig(figures[what])
        figures.update(example(run, split))
    except ImportError as error:
        say(f"no figures: {error}", style="yellow")
    graph, replay = one_step(run, model, batches.train)
    figures["graph of a step"] = graph
    left = {
        "report": page(
            run, config, history, figures, f"{title}: test accuracy {verdicts.accuracy:.2%}", batches.watched, replay
        ),
        **figures,
    }
    if replay is not None:
        left["replay of a step"] = replay
    left["history"] = run / runs.HISTORY
    left["settings"] = run / runs.CONFIG
    left["checkpoints"] = run / runs.CHECKPOINTS
    return left


def example(run: Path, split: DataSplit) -> dict[str, Path]:
    """A test image as a picture file, for a first `predict`; what it shows → where it lies."""
    from PIL import Image

    x, label = split.test[0]
    pixels = np.moveaxis(np.asarray(x), 0, -1) * split.info.std + split.info.mean  # (C,H,W) -> (H,W,C), 0 … 1
    pixels = (pixels * 255).round().clip(0, 255).astype(np.uint8)
    path = run / runs.EXAMPLE
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
    return {f"example, class {split.classes[int(label)]}": path}


def judged(model: Module, loader: DataLoader) -> Verdicts:
    """What the network says about every image."""
    from tinygrad_cnn import no_grad

    predicted, actual, wrong = [], [], []
    model.eval()
    with no_grad():
        for x, y in loader:
            predicted.append(model(x).numpy().argmax(axis=1))
            actual.append(y.numpy())
            wrong.append(x.numpy()[predicted[-1] != actual[-1]])
    return Verdicts(np.concatenate(predicted), np.concatenate(actual), np.concatenate(wrong))


def one_step(run: Path, model: Module, loader: DataLoader) -> tuple[Path, Path | None]:
    """The graph of one more training step, on a few images, and the page that replays it if Graphviz is there."""
    from tinygrad_cnn import training, viz

    model.train()
    x, y = next(iter(loader))
    with viz.record(model) as tape:
        loss = training.loss_of(model)(model(x[:FEW]), y[:FEW])
        loss.backward()
    model.zero_grad()
    graph = tape.graph()
    path = graph.save(run / "graph.svg")
    return path, graph.save(run / REPLAY) if path.suffix == ".svg" else None


def page(
    run: Path,
    config: dict[str, Any],
    history: History,
    figures: dict[str, Path],
    title: str,
    watched: str,
    replay: Path | None = None,
) -> Path:
    """One HTML file beside the pictures that shows them with the settings and the numbers of every epoch.

    Args:
        run: The run directory.
        config: The run's settings.
        history: The numbers.
        figures: What is shown → where it lies.
        title: The headline.
        watched: What the `val_` numbers were measured on, `"test"` or `"validation"` images.
        replay: The page that replays a step, beside this one.
    """
    names = [name for name in history.names if name != "epoch"]
    head = "".join(
        f"<th>{html.escape(name.replace('val_', f'{watched} ').replace('_', ' '))}</th>" for name in ["epoch", *names]
    )
    rows = "\n".join(
        f"<tr><td>{record['epoch']}</td>{''.join(f'<td>{_number(record.get(name))}</td>' for name in names)}</tr>"
        for record in history
    )
    shown = "\n".join(
        f'<h2>{html.escape(what)}</h2>\n<img src="{path.name}" alt="{html.escape(what)}">'
        for what, path in figures.items()
        if path.suffix in (".png", ".svg") and path.name != runs.EXAMPLE
    )
    title = html.escape(title)
    watch = (
        f'<p><a href="{replay.name}">Watch one training step go through the network and back</a></p>' if replay else ""
    )
    path = run / PAGE
    path.write_text(
        f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
img {{ max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: 0.15rem 0.8rem; text-align: right; border-bottom: 1px solid #ddd; }}
pre {{ background: #f5f5f5; padding: 1rem; overflow-x: auto; }}
</style>
<h1>{title}</h1>
{watch}
{shown}
<h2>epochs</h2>
<p>{about_numbers(config["augment"], watched)}</p>
<table>
<tr>{head}</tr>
{rows}
</table>
<h2>settings</h2>
<pre>{html.escape(json.dumps(config, indent=2))}</pre>
</html>
""",
        encoding="utf-8",
    )
    return path


def about_numbers(augment: Sequence[str], watched: str) -> str:
    """How to read the epochs' table: what the images are for, and why the measured ones come off better at first."""
    changed = "are changed at random (" + ", ".join(augment) + ") and " if augment else ""
    role = (
        "In this run nothing was chosen by looking at the test images; they were only measured after each epoch. "
        if watched == "test"
        else "The validation images are training images that the network did not learn from: when their accuracy "
        "stalled, the learning rate fell. The test images were looked at once, at the end. "
    )
    return (
        f"{role}At first the {watched} accuracy is above the training accuracy, since the training images {changed}are "
        "measured during the epoch, while the network is still learning."
    )


def _number(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, int | float) else ""
