"""Every layer of the networks, forward and backward, at their batch sizes; and some others that are known to be slow.

A layer's input is what the layers before it made of a batch, lying in memory as they left it, and the gradient that
comes back lies like the output; so no layer is charged with an order of numbers that it never meets. The first layer
computes no gradient of its input. Layers that are the same but for their name are measured once.

The last column is a bound: what PyTorch takes against our matrix products alone, as if nothing were copied or added
around them, and no thread waited for another. They are OpenBLAS's work: where the last column is below 1, this package
can be faster than PyTorch only with other products.
"""

from __future__ import annotations

from benchmarks import figures, networks
from benchmarks.figures import Result
from benchmarks.harness import Plan
from benchmarks.sides.task import Case
from benchmarks.tables import number, table
from benchmarks.topics import Topic

BATCHES = {"LeNet-5 modern": 64, "LeNet-5 caffe": 64, "AlexNet cifar": 64, "AlexNet paper": 16}
QUICK = ("LeNet-5 modern",)
OTHERS = "other layers"
PRODUCTS = ("Conv2d", "Linear")  # layers that multiply matrices
SLOW: tuple[networks.Layer, ...] = (
    ("depthwise", "Conv2d", {"in_channels": 64, "out_channels": 64, "kernel_size": 3, "padding": 1, "groups": 64}),
    ("batch norm", "BatchNorm2d", {"num_features": 64}),
    ("group norm", "GroupNorm", {"num_groups": 8, "num_channels": 64}),
    ("average pool", "AvgPool2d", {"kernel_size": 2}),
    ("leaky relu", "LeakyReLU", {}),
    ("gelu", "GELU", {}),
    ("hardtanh", "Hardtanh", {}),
    ("interpolate, nearest", "Upsample", {"scale_factor": 2}),
    ("interpolate, bilinear", "Upsample", {"scale_factor": 2, "mode": "bilinear"}),
)
SLOW_INPUT, SLOW_BATCH = (64, 16, 16), 32


def of_network(name: str) -> list[Case]:
    """The layers of a network."""
    network = networks.network(name)
    layers = network["layers"]
    found: dict[str, Case] = {}
    for i, (shape, (layer, op, options)) in enumerate(zip(networks.shapes(layers, network["input"]), layers)):
        same = repr((op, options, shape))
        if op == "Flatten" or same in found:
            continue
        found[same] = {
            "name": f"{name}, {layer}",
            "kind": "layer",
            "network": name,
            "of_network": True,
            "layer": layer,
            "op": op,
            "shape": list(shape),
            "wants_dx": i > 0,
            "batch": BATCHES[name],
            "input": network["input"],
            "layers": layers[: i + 1],
        }
    return list(found.values())


def others() -> list[Case]:
    """Layers that are in none of the networks."""
    return [
        {
            "name": f"{OTHERS}, {name}",
            "kind": "layer",
            "network": OTHERS,
            "of_network": False,
            "layer": name,
            "op": op,
            "shape": list(SLOW_INPUT),
            "wants_dx": True,
            "batch": SLOW_BATCH,
            "input": list(SLOW_INPUT),
            "layers": [[name, op, options]],
        }
        for name, op, options in SLOW
    ]


def groups(quick: bool) -> list[list[Case]]:
    """The cases; those of one network share a process."""
    return [*(of_network(name) for name in (QUICK if quick else BATCHES)), others()]


def labels(case: Case) -> dict[str, str]:
    """The first columns of the table."""
    options = ", ".join(
        f"{name}={value}" for name, value in case["layers"][-1][2].items() if not name.startswith(("in_", "num_f"))
    )
    shape = "×".join(map(str, (case["batch"], *case["shape"])))
    return {"layer": case["name"], "": f"{case['op']}({options})", "x": shape}


def layer_table(result: Result) -> str:
    """A line a layer: forward and backward of both, and what one is against the other."""
    ours, other = figures.fastest_ours(result), "pytorch"
    lines = []
    for case in result["cases"]:
        cells = list(labels(case).values())
        for side, which in ((ours, "median"), (other, "best")):
            for part in ("forward", "backward"):
                found = figures.figures(case, side, part)
                cells.append(number(1e3 * found[which]) if found else "–")
        ratios = [figures.times_faster(case, ours, other, part) for part in ("forward", "backward", "all")]
        ratios.append(figures.times_faster(case, "products", other, "all") if case["op"] in PRODUCTS else None)
        cells += [number(ratio) if ratio else "–" for ratio in ratios]
        lines.append(cells)
    heads = ["layer", "", "x", "ours forward, ms", "backward, ms", "PyTorch forward, ms", "backward, ms"]
    heads += ["PyTorch ÷ ours, forward", "backward", "both", "PyTorch ÷ our products alone"]
    return table(heads, lines, left=3) + normalisation(result, ours)


def normalisation(result: Result, ours: str) -> str:
    """What local response normalisation takes, which should be no more than the pooling behind it."""
    said = []
    for case in result["cases"]:
        behind = case["name"].replace("norm", "pool")
        pool = next((other for other in result["cases"] if other["name"] == behind and behind != case["name"]), None)
        figure = figures.figures(case, ours, "all")
        against = pool and figures.figures(pool, ours, "all")
        if figure and against and case["op"] == "LocalResponseNorm":
            said.append(f"{number(figure['median'] / against['median'])} ({case['name']})")
    return f"\nLocal response normalisation ÷ max pooling of the same array, ours: {', '.join(said)}.\n" if said else ""


TOPIC = Topic(
    "layers",
    "Layers",
    __doc__,
    groups,
    sides=("ours", "ours-avx512", "products", "pytorch"),
    labels=labels,
    plan=Plan(seconds=0.1, warm=0.1),
    quick=Plan(rounds=1, blocks=1, calls=3, seconds=0.02, longest=0.5, warm=0.02, patience=60),
    table=layer_table,
)
