"""The program: its commands, their options and help."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tinygrad_cnn import models
from tinygrad_cnn.cli import blas, recipes
from tinygrad_cnn.cli.console import Debug, command, complain, prepare, say
from tinygrad_cnn.cli.exercise import exercise
from tinygrad_cnn.cli.tutorial import tutorial

MODELS = f"The network: {', '.join(models.list_models())}."


def _either(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _variants() -> str:
    """`lenet5: modern, 1998; alexnet: …`."""
    forms = {name: models.variants(name) for name in models.list_models()}
    return "; ".join(f"{name}: {', '.join(those)}" for name, those in forms.items() if those)


def _rates() -> str:
    return ", ".join(f"{lr:g} for {name}" for name, (lr, _) in recipes.OPTIMIZERS.items())


BY_RECIPE = "the recipe's"

app = typer.Typer(
    name="tinygrad-cnn",
    help="Train convolutional networks and see how they work.",
    epilog="Start with: tinygrad-cnn train lenet5",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(tutorial)
app.add_typer(exercise)

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder with the data files, or to download them to. Without it: TINYGRAD_CNN_DATA, else a cache folder.",
        show_default=False,
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        help=f"Which form of the network: {_variants()}.", metavar="NAME", show_default="the recipe's, else the first"
    ),
]
Width = Annotated[
    float | None,
    typer.Option(
        help="So many times as many channels in every layer: 0.5 for half of them. "
        f"For {_either(name for name in models.list_models() if 'width' in models.options(name))}.",
        metavar="NUMBER",
        show_default="1",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where to compute: cpu, or cuda for an NVIDIA GPU.")
]


def _version(value: bool) -> None:
    if value:
        from tinygrad_cnn.about import __version__

        say(f"tinygrad-cnn {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Train convolutional networks and see how they work."""
    if context.invoked_subcommand is None:
        say(context.get_help())


@app.command(
    "train",
    epilog="""Examples:

tinygrad-cnn train lenet5

tinygrad-cnn train lenet5 --data mnist --epochs 10

tinygrad-cnn train lenet5 --variant 1998 --data mnist

tinygrad-cnn train alexnet --width 0.5 --data cifar10 --dashboard --open

tinygrad-cnn train --resume runs/lenet5-digits-20260131-120000""",
)
@command
def train(
    model: Annotated[str | None, typer.Argument(help=MODELS, metavar="MODEL", show_default=recipes.MODEL)] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="What to learn: digits, which needs no download, mnist, fashion-mnist, cifar10 or cifar100.",
            metavar="NAME",
            show_default=recipes.DATA,
        ),
    ] = None,
    data_dir: DataDir = None,
    variant: Variant = None,
    width: Width = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="NUMBER", help="How often to walk through all training images.", show_default=BY_RECIPE
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="Images in one step of learning.", show_default=BY_RECIPE),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Largest learning rate: how far a step goes. The recipe's schedule lowers it.",
            metavar="NUMBER",
            show_default=f"{BY_RECIPE}; with another optimizer {_rates()}",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            help=f"How the weights are changed: {_either(recipes.OPTIMIZERS)}.",
            metavar="NAME",
            show_default=BY_RECIPE,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Start of all random numbers: the same seed gives the same network.",
            show_default="0",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Where to compute: cpu, or cuda for an NVIDIA GPU.", metavar="DEVICE", show_default="cpu"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The run directory to make; without it one in runs/ named after model, data and time.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with this run directory, exactly where it was stopped.", metavar="RUN_DIR", show_default=False
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Draw curves, classes and filters in the terminal.")] = False,
    dashboard: Annotated[
        bool,
        typer.Option("--dashboard", help="Show the training on a page in the browser, for this machine only."),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="NUMBER", help="Where --dashboard's page is.", show_default="a free one"
        ),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open --dashboard's page in the browser.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write a log for TensorBoard into the run directory.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Train a network and keep what came out: weights, curves, pictures.

    For each network and data set there is a recipe, the settings that train it well: tinygrad-cnn recipes shows them.
    Options replace them one by one.

    Ctrl-C stops after the current step; nothing is lost, and --resume goes on.
    """
    from tinygrad_cnn.cli.train import train
    from tinygrad_cnn.cli.watch import Watch

    given = {
        "data": data,
        "variant": variant,
        "width": width,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "optimizer": optimizer,
        "seed": seed,
    }
    train(model, given, data_dir, device, out, resume, Watch(live, dashboard, port, open_browser, tensorboard))


@app.command("evaluate")
@command
def evaluate(
    run: Annotated[Path, typer.Argument(help="The run directory that train has made.", metavar="RUN_DIR")],
    data: Annotated[
        str | None, typer.Option(help="Test images of another data set.", metavar="NAME", show_default="the run's own")
    ] = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
    debug: Debug = False,
) -> None:
    """Measure a trained network on the test images it has never learned from."""
    from tinygrad_cnn.cli.measure import evaluate

    evaluate(run, data, data_dir, device)


@app.command("predict", epilog="Example: tinygrad-cnn predict my_digit.png")
@command
def predict(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures in any size, grey or colour.", metavar="IMAGE")],
    run: Annotated[
        Path | None,
        typer.Option(
            help="The run directory of the network.",
            metavar="RUN_DIR",
            show_default="the picture's own, else the newest in runs/",
        ),
    ] = None,
    device: Device = "cpu",
    debug: Debug = False,
) -> None:
    """Ask a trained network what it sees in your own pictures.

    A digit should be alone in its picture. Pictures with a light background are inverted.
    """
    from tinygrad_cnn.cli.measure import predict

    predict(pictures, run, device)


@app.command("summary", epilog="Example: tinygrad-cnn summary lenet5 --variant 1998 --input-shape 1x32x32")
@command
def summary(
    model: Annotated[str, typer.Argument(help=MODELS, metavar="MODEL")],
    variant: Variant = None,
    width: Width = None,
    input_shape: Annotated[
        str | None,
        typer.Option(help="Channels, rows, columns of one image.", metavar="CxHxW", show_default="the network's own"),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            help="Levels of names that get rows of their own; 1 for a row per module.", min=0, show_default="all"
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(help="How to write the table: text, markdown, html or json.", metavar="NAME")
    ] = "text",
    debug: Debug = False,
) -> None:
    """Print a network's layers: output sizes, weights, parameters, multiply-adds, receptive field."""
    from tinygrad_cnn.cli.describe import summary

    summary(model, variant, width, input_shape, depth, format)


@app.command(
    "graph",
    epilog="""Examples:

tinygrad-cnn graph lenet5 --out lenet5.png --level module

tinygrad-cnn graph lenet5 --replay backprop.html --open

tinygrad-cnn graph lenet5 --step""",
)
@command
def graph(
    model: Annotated[str, typer.Argument(help=MODELS, metavar="MODEL")],
    variant: Variant = None,
    width: Width = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write: .svg, .png, .pdf or .dot.", metavar="FILE", show_default="<model>.svg"),
    ] = None,
    level: Annotated[
        str,
        typer.Option(
            help="op: a box for every operation and parameter; module: for every layer, or module at --depth.",
            metavar="NAME",
        ),
    ] = "op",
    depth: Annotated[
        int | None,
        typer.Option(
            help="Levels of modules that get boxes: 1 for the largest blocks. It implies --level module.",
            min=1,
            metavar="NUMBER",
            show_default="all",
        ),
    ] = None,
    formulas: Annotated[bool, typer.Option("--formulas", help="Write into each box how its gradient flows.")] = False,
    input_shape: Annotated[
        str | None,
        typer.Option(help="Channels, rows, columns of one image.", metavar="CxHxW", show_default="the network's own"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Images in the step.")] = 1,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Page to write, .html: the step, forward and backward, event by event.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    step: Annotated[
        bool, typer.Option("--step", help="Go back through the network here in the terminal, a node at a time.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Show what was written in the browser.")] = False,
    debug: Debug = False,
) -> None:
    """Draw the computation graph of one training step, replay it, or step through it: what backpropagation does.

    The step is a real one, on a fresh network; on handwritten digits, if scikit-learn is there and the network takes
    images of their size, else on random ones.
    """
    from tinygrad_cnn.cli.backprop import Wanted, graph

    wanted = Wanted(out, level, depth, formulas, replay, step, open_browser)
    graph(model, variant, width, input_shape, batch_size, wanted)


@app.command(
    "animate",
    epilog="""Examples:

tinygrad-cnn animate

tinygrad-cnn animate --out slide.gif --direction backward --milliseconds 3000

tinygrad-cnn animate --kind max_pool --size 6x8 --kernel-size 3 --stride 2""",
)
@command
def animate(
    out: Annotated[
        Path, typer.Option(help="File to write: .html, a page, or .gif, for slides.", metavar="FILE")
    ] = Path("conv.html"),
    kind: Annotated[str, typer.Option(help="The layer: conv, max_pool, avg_pool or lp_pool.", metavar="NAME")] = "conv",
    size: Annotated[
        str | None,
        typer.Option(
            help="Rows and columns of the image; one number for a line.", metavar="HxW", show_default="the lectures'"
        ),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="Channels of the image.", metavar="NUMBER", show_default="the lectures'")
    ] = None,
    filters: Annotated[
        int | None, typer.Option(help="Filters of a convolution.", metavar="NUMBER", show_default="the lectures'")
    ] = None,
    kernel_size: Annotated[
        str | None, typer.Option(help="Rows and columns of the window.", metavar="RxS", show_default="the lectures'")
    ] = None,
    stride: Annotated[
        str | None, typer.Option(help="Steps of the window.", metavar="NUMBER", show_default="the layer's")
    ] = None,
    padding: Annotated[
        str | None,
        typer.Option(
            help="Pixels added around the image; for conv also same or valid.", metavar="NUMBER", show_default="0"
        ),
    ] = None,
    dilation: Annotated[
        str | None,
        typer.Option(help="Distance of the window's pixels, of conv and max_pool.", metavar="NUMBER", show_default="1"),
    ] = None,
    direction: Annotated[
        str, typer.Option(help="forward or backward: what a GIF shows; a page has both.", metavar="NAME")
    ] = "forward",
    milliseconds: Annotated[
        int, typer.Option(min=50, metavar="NUMBER", help="How long a GIF shows each frame.")
    ] = 1500,
    debug: Debug = False,
) -> None:
    """Show a convolution or pooling at work: the window moves, the products are written out, forward and backward.

    Without options it is the lectures' worked 7x7x3 example.
    """
    from tinygrad_cnn.cli.animate import animate

    options: dict[str, str | int | None] = {
        "size": size,
        "channels": channels,
        "filters": filters,
        "kernel_size": kernel_size,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
    }
    animate(out, kind, direction, milliseconds, options)


@app.command("recipes")
@command
def recipes_(debug: Debug = False) -> None:
    """Show how each network is trained on each data set: epochs, optimizer, learning rate, augmentation."""
    from tinygrad_cnn.cli.describe import recipes

    recipes()


@app.command("doctor")
@command
def doctor(debug: Debug = False) -> None:
    """Show versions, libraries, threads and GPU of this machine, and what is missing."""
    from tinygrad_cnn.cli.doctor import doctor

    doctor()


def main() -> None:
    """Runs the program with the arguments of the command line."""
    try:
        prepare()
        blas.prepare()
        app()
    except KeyboardInterrupt:  # before a command has begun, which sees to it itself
        complain("stopped by Ctrl-C")
        sys.exit(130)
