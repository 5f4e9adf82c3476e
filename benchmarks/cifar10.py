"""The training of the scaled AlexNet on CIFAR-10, for RESULTS.md: figures and curves out of a run directory.

tinygrad-cnn train alexnet --data cifar10 --out runs/alexnet-cifar10
python -m benchmarks.cifar10 runs/alexnet-cifar10 [--data-dir DIR]

Writes `results/cifar10.json` and `results/cifar10.png`, and RESULTS.md anew. The test images are asked once, of the
finished network.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from benchmarks import machine, topics
from benchmarks.tables import number, table

WANTED = 0.78
COMMANDS = "`tinygrad-cnn train alexnet --data cifar10 --out RUN`, then `python -m benchmarks.cifar10 RUN`"
NAME = "cifar10"


def figures(run: Path, data_dir: Path | None = None) -> dict[str, Any]:
    """What a run directory says, and the accuracy on the test images."""
    from tinygrad_cnn import __version__, data, get_num_threads, training
    from tinygrad_cnn.cli import runs
    from tinygrad_cnn.cli.train import TEST_BATCH

    model, config = runs.trained_model(run, "cpu")
    history = training.History.load(run / runs.HISTORY)
    folder = data_dir or (Path(config["data_dir"]) if config.get("data_dir") else None)
    split = data.load(config["data"], folder)
    tested = training.evaluate(model, data.DataLoader(split.test, batch_size=TEST_BATCH))
    return {
        "network": runs.called(config),
        "data": config["data"],
        "machine": machine.describe(),
        "versions": {"tinygrad_cnn": __version__},
        "threads": get_num_threads(),
        "config": {name: value for name, value in config.items() if name != "data_dir"},
        "epochs": history.as_dict()["epochs"],
        "test_accuracy": tested["accuracy"],
        "test_loss": tested.loss,
        "test_images": tested.samples,
        "date": topics.now(),
    }


def curves(run: Path, file: Path) -> None:
    """The learning curves as a picture."""
    from tinygrad_cnn import training
    from tinygrad_cnn.cli import runs
    from tinygrad_cnn.viz import plot

    config = runs.saved_run(run).config
    history = training.History.load(run / runs.HISTORY)
    watched = "validation" if config["schedule"] == "plateau" else "test"
    file.parent.mkdir(parents=True, exist_ok=True)
    title = f"{runs.called(config)} on {config['data']}"
    plot.learning_curves(history, title=title, validation=watched).savefig(file, dpi=100)


def section(run: dict[str, Any] | None) -> str:
    """The section of RESULTS.md."""
    heading = "## Training the scaled AlexNet on CIFAR-10\n"
    if run is None:
        return f"{heading}\nNot measured yet: {COMMANDS}.\n"
    epochs = run["epochs"]
    seconds = [epoch["seconds"] for epoch in epochs]
    speeds = [epoch["images_per_second"] for epoch in epochs]
    where = f"{run['date'][:10]}: {machine.line(run['machine'])}; {run['threads']} threads"
    verdict = "reached" if run["test_accuracy"] >= WANTED else "not reached"
    accuracy = f"{run['test_accuracy']:.2%} ({WANTED:.0%} wanted: {verdict})"
    lines = [
        heading,
        f"{run['network']} on {run['data']}, {where}.\n",
        f"- accuracy on the {run['test_images']:,} test images: {accuracy}",
        f"- {len(epochs)} epochs in {sum(seconds) / 60:.1f} minutes, {number(statistics.median(seconds))} s an epoch "
        f"(median), {number(statistics.median(speeds))} images a second in training\n",
        f"![learning curves](results/{NAME}.png)\n",
        table(
            ["epoch", "learning rate", "loss", "accuracy", "held-out loss", "held-out accuracy", "seconds"],
            [
                [
                    str(e["epoch"]),
                    f"{e['lr']:g}",
                    *(f"{e[k]:.4f}" if k in e else "–" for k in _SHOWN),
                    number(e["seconds"]),
                ]
                for e in epochs
            ],
        ),
    ]
    return "\n".join(lines)


_SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy")


def main() -> None:
    from benchmarks import report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory of `tinygrad-cnn train`")
    parser.add_argument("--data-dir", type=Path, help="where the images are; by default where the run found them")
    given = parser.parse_args()
    topics.save(figures(given.run, given.data_dir), topics.path(NAME))
    curves(given.run, topics.RESULTS / f"{NAME}.png")
    report.write()


if __name__ == "__main__":
    main()
