"""Every kind of picture the package makes, in one folder with an index.html.

python examples/gallery.py [FOLDER] [--epochs 6]

A LeNet-5 learns scikit-learn's handwritten digits first, so that the pictures show a real network; then each function
is called as a reader of its docstring would. It needs `pip install "tinygrad-cnn[demo]"`, and half a minute.
"""

from __future__ import annotations

import argparse
import html
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, nn, optim, random, training, viz
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.viz import plot


class Gallery:
    """A folder of pictures, and the list of what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown: list[tuple[str, str, str]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, call: str, save: Callable[[Path], object]) -> None:
        """Writes a picture; `call` is the line of Python that makes it."""
        path = self.folder / name
        save(path)
        section = name.partition("_")[0]
        self.shown.append((section, path.name, call))
        print(f"{path.name:44}{path.stat().st_size / 1000:9,.0f} kB   {call}")

    def index(self) -> Path:
        """The page that shows them all."""
        parts = []
        for section in dict.fromkeys(section for section, *_ in self.shown):
            parts.append(f"<h2>{html.escape(section)}</h2>")
            for name, call in [(name, call) for where, name, call in self.shown if where == section]:
                title = html.escape(name.rpartition(".")[0].replace("_", " "))
                shown = f'<img src="{name}" alt="{title}">'
                if name.endswith(".html"):
                    shown = f"open {name}"
                elif name.endswith(".txt"):
                    shown = f"<pre>{html.escape((self.folder / name).read_text(encoding='utf-8'))}</pre>"
                parts.append(f'<figure><a href="{name}">{shown}</a><figcaption>{title}<br>')
                parts.append(f"<code>{html.escape(call)}</code></figcaption></figure>")
        path = self.folder / "index.html"
        path.write_text(PAGE.format(parts="\n".join(parts)), encoding="utf-8")
        return path


PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tinygrad_cnn: all pictures</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
figure {{ margin: 0 0 2.5rem; }}
img {{ max-width: 100%; max-height: 80vh; border: 1px solid #ddd; }}
pre {{ overflow-x: auto; }}
figure a:has(pre) {{ color: inherit; text-decoration: none; }}
code {{ overflow-wrap: anywhere; }}
</style>
<h1>All pictures</h1>
{parts}
</html>
"""


def graphs(gallery: Gallery, model: nn.Module, image: tcnn.Tensor, label: tcnn.Tensor) -> None:
    """Backpropagation: graphs, replays, why a gradient is what it is."""
    x, y, z = (tcnn.tensor(value, requires_grad=True) for value in (-2.0, 5.0, -4.0))
    names = {"x": x, "y": y, "z": z}
    with viz.record(names) as small:
        f = (x + y) * z
        f.backward()
    numbers = viz.graph(f, params=names, formulas=True)
    gallery.add("graph_three_numbers.png", "viz.graph(f, params={'x': x, …}, formulas=True)", numbers.save)
    gallery.add("graph_replay_of_three_numbers.html", "tape.to_html(path)", small.to_html)
    step = viz.graph((x + y) * z, params=names)
    step.step()
    marked = step.to_svg(step.step())
    gallery.add("graph_one_step.svg", "graph.step()", lambda path: path.write_text(marked, encoding="utf-8"))

    with viz.record() as tape:
        loss = F.cross_entropy(model(image), label)
        loss.backward()
    gallery.add("graph_lenet5_operations.png", "viz.graph(loss, cost=True)", viz.graph(loss, cost=True).save)
    layers = viz.graph(loss, level="module", formulas=True)
    gallery.add("graph_lenet5_layers.svg", "viz.graph(loss, level='module', formulas=True)", layers.save)
    blocks = viz.graph(loss, level="module", depth=1)
    gallery.add("graph_lenet5_blocks.png", "viz.graph(loss, level='module', depth=1)", blocks.save)
    gallery.add("graph_lenet5_block_opened.svg", "blocks.open('features')", blocks.open("features").save)
    gallery.add("graph_lenet5_replay.html", "tape.to_html(path)", tape.to_html)
    many = (image * 1).sum() + sum((w * w).sum() for w in model.parameters()) * 1e-3
    for _ in range(10_000):
        many = many * 0.999
    gallery.add("graph_ten_thousand_operations.svg", "viz.graph(many)", viz.graph(many, params=model).save)
    answer = str(viz.why(model.features.conv1.weight, (0, 0, 2, 2), limit=5))
    gallery.add(
        "graph_why.txt",
        "viz.why(weight, (0, 0, 2, 2), limit=5)",
        lambda path: path.write_text(answer, encoding="utf-8"),
    )
    model.zero_grad()


def animations(gallery: Gallery, model: nn.Module, image: tcnn.Tensor) -> None:
    """Layers at work."""
    lecture, back = viz.animate(), viz.animate(direction="backward")
    gallery.add("layer_convolution.html", "viz.animate().to_html(path)", lecture.to_html)
    gallery.add("layer_convolution.gif", "viz.animate().to_gif(path)", lecture.to_gif)
    gallery.add("layer_convolution_backward.gif", "viz.animate(direction='backward').to_gif(path)", back.to_gif)
    numbers = tcnn.tensor(np.random.default_rng(0).integers(0, 10, (1, 1, 6, 6)).astype("float32"))
    pool = viz.animate(nn.MaxPool2d(2), numbers)
    gallery.add("layer_max_pool.gif", "viz.animate(nn.MaxPool2d(2), x)", pool.to_gif)
    first = viz.animate(model.features.conv1, image, rows=(8, 22), columns=(8, 22))
    gallery.add("layer_of_a_trained_network.html", "viz.animate(model.features.conv1, image)", first.to_html)


def figures(gallery: Gallery, model: nn.Module, digits: data.DataSplit, runs: dict[str, training.History],
            recorded: training.LayerHistograms) -> None:  # fmt: skip
    """Figures of a network and its training."""
    images, labels = map(tcnn.tensor, digits.test.get_batch(range(len(digits.test))))
    with tcnn.no_grad():
        scores = model.eval()(images)
    predicted = scores.numpy().argmax(axis=1)
    confusion = training.confusion_matrix(predicted, labels.numpy(), 10)
    some = images[:4]

    def add(name: str, call: str, figure: object) -> None:
        gallery.add(f"plot_{name}.png", f"plot.{call}", figure.savefig)  # type: ignore[attr-defined]

    add("learning_curves", "learning_curves({'learning rate 0.1': …, …}, lr=True)", plot.learning_curves(runs, lr=True))
    add("confusion_matrix", "confusion_matrix(matrix)", plot.confusion_matrix(confusion))
    add("misclassified", "misclassified(images, labels, scores)", plot.misclassified(images, labels, scores))
    add("filters", "filters(model)", plot.filters(model))
    add("filters_of_conv2", "filters(model.features.conv2)", plot.filters(model.features.conv2))
    for layer in ("features.conv1", "features.pool2"):
        name = f"feature_maps_{layer.replace('.', '_')}"
        add(name, f"feature_maps(model, image, '{layer}')", plot.feature_maps(model, images[:1], layer))
    add("histograms", "histograms(recorded)", plot.histograms(recorded))
    add("saliency", "saliency(model, images)", plot.saliency(model, some))
    add("grad_cam", "grad_cam(model, images)", plot.grad_cam(model, some))
    add("occlusion", "occlusion(model, images)", plot.occlusion(model, some))
    known = digits.train.get_batch(range(500))
    near = plot.neighbours(model, digits.test.get_batch(range(5)), known, "classifier.fc2")
    add("neighbours", "neighbours(model, query, database, 'classifier.fc2')", near)
    layers = ["features.conv1", "features.conv2", "features.pool2"]
    field = plot.receptive_field(model, layers, x=images[:1])
    add("receptive_field", "receptive_field(model, [layers], x=image)", field)
    effective = plot.receptive_field(model, "features.pool2", x=images[:1], effective=True)
    add("receptive_field_effective", "receptive_field(model, layer, x=image, effective=True)", effective)
    points, classes = data.toys.moons(300, noise=0.15, generator=random.Generator(0))
    toy = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    training.fit(toy, [(points, classes)], optim.Adam(toy.parameters(), lr=0.05), epochs=150)
    add("decision_boundary", "decision_boundary(model, points, labels)", plot.decision_boundary(toy, points, classes))


def main() -> None:
    """Trains, draws, and says where to look."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, nargs="?", default=Path("gallery"))
    arguments.add_argument("--epochs", type=int, default=6)
    given = arguments.parse_args()
    gallery = Gallery(given.folder)
    digits = data.load("digits")
    recorded = training.LayerHistograms(every=20)
    runs = {}
    for lr in (0.1, 0.02):  # the second network is the one that is drawn
        tcnn.manual_seed(0)
        model = models.LeNet5()
        runs[f"learning rate {lr}"] = training.fit(
            model,
            data.DataLoader(digits.train, batch_size=32, shuffle=True),
            optim.SGD(model.parameters(), lr=lr, momentum=0.9),
            epochs=given.epochs,
            val_loader=data.DataLoader(digits.test, batch_size=250),
            callbacks=[recorded] if lr == 0.02 else [],
        )
    image, label = map(tcnn.tensor, digits.test.get_batch([0]))
    graphs(gallery, model, image, label)
    animations(gallery, model, image)
    figures(gallery, model, digits, runs, recorded)
    print(f"\n{len(gallery.shown)} pictures: open {gallery.index()}")


if __name__ == "__main__":
    main()
