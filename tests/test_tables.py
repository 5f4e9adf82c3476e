"""The table of a network: the lectures' numbers, computed or measured, and how it is written."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

import tinygrad_cnn as tcnn
from tinygrad_cnn import functional as F
from tinygrad_cnn import models, nn
from tinygrad_cnn.nn.utils import skip_init
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.tables import memory_text, summary


class Around(nn.Module):
    """Calls another module, so that the table has to be measured."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def by_name(table):
    return {row.name: row for row in table.rows}


def alexnet_start():
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2),
        nn.BatchNorm2d(256),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(256 * 13 * 13, 10, bias=False),
        nn.LogSoftmax(dim=1),
    )


def test_lenet5_is_the_lectures_table():
    table = summary(models.create("lenet5"))
    rows = by_name(table)
    assert table.parameters == 61_706
    assert table.multiply_adds == 117_600 + 240_000 + 48_000 + 10_080 + 840
    conv1, conv2, fc1 = rows["features.conv1"], rows["features.conv2"], rows["classifier.fc1"]
    assert (conv1.output, conv1.weights, conv1.parameters) == ((6, 28, 28), "6 × (1·5·5 + 1)", 156)
    assert conv1.connections == 122_304
    assert (conv2.output, conv2.weights, conv2.parameters) == ((16, 10, 10), "16 × (6·5·5 + 1)", 2_416)
    assert (fc1.output, fc1.weights, fc1.parameters) == ((120,), "120 × (400 + 1)", 48_120)
    fields = {name.split(".")[-1]: str(row.field) for name, row in rows.items()}
    assert [fields[n] for n in ("input", "conv1", "pool1", "conv2", "pool2", "fc1")] == [
        "1",
        "5",
        "6",
        "14",
        "16",
        "all",
    ]
    assert conv1.memory == 4 * 6 * 28 * 28


def test_one_layer_of_the_lecture():
    table = summary(nn.Conv2d(3, 10, 5, padding=2), (3, 32, 32))
    (_, row) = table.rows
    assert (row.output, row.parameters, row.multiply_adds) == ((10, 32, 32), 760, 768_000)


def test_receptive_fields_of_stacked_convolutions():
    layers = [nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, (3, 1), dilation=2)]
    fields = [str(row.field) for row in summary(nn.Sequential(*layers), (1, 32, 32)).rows]
    assert fields == ["1", "3", "5", "9", "17×9"]  # each K − 1 counts the strides before it


def test_alexnets_first_layers():
    table = summary(alexnet_start(), (3, 227, 227))
    rows = table.rows
    assert [row.output for row in rows[1:6]] == [
        (96, 55, 55),
        (96, 55, 55),
        (96, 27, 27),
        (256, 27, 27),
        (256, 27, 27),
    ]
    assert (rows[1].parameters, rows[1].multiply_adds) == (34_944, 105_415_200)
    assert (rows[4].weights, rows[4].parameters) == ("256 × (48·5·5 + 1)", 307_456)
    assert (rows[5].weights, rows[5].parameters) == ("256 + 256", 512)
    assert rows[6].output == (256, 13, 13)
    assert rows[9].weights == "10 × 43264"


def test_computed_and_measured_agree():
    computed = summary(alexnet_start(), (3, 227, 227))
    measured = summary(Around(alexnet_start()), (3, 227, 227))
    assert [row.__dict__ | {"name": ""} for row in computed.rows] == [
        row.__dict__ | {"name": ""} for row in measured.rows
    ]
    assert [f"inner.{row.name}" for row in computed.rows[1:]] == [row.name for row in measured.rows[1:]]
    assert computed.totals == measured.totals


def test_a_chain_of_layers_is_not_run():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten())

    def never(module, args):
        raise AssertionError("the network was run")

    for module in model.modules():
        module.register_forward_pre_hook(never)
    assert [row.name for row in summary(model, (1, 5, 5)).rows] == ["input", "0.0", "0.1", "1"]


class Branches(nn.Module):
    """Two branches, functions between the layers, a parameter of its own and a layer it never uses."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 1)
        self.b = nn.Conv2d(3, 4, 3, padding=1)
        self.c = nn.Conv2d(8, 2, 3, stride=2)
        self.norm = nn.BatchNorm2d(2)
        self.scale = nn.Parameter([2.0])
        self.head = nn.Linear(2 * 7 * 7, 10)
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        x = tcnn.cat([F.relu(self.a(x)), F.relu(self.b(x))], dim=1)
        x = self.norm(self.c(x)) * self.scale
        return self.head(x.flatten(1))


def test_a_forward_of_ones_own_is_measured():
    table = summary(Branches(), (3, 16, 16))
    rows = by_name(table)
    assert [row.name for row in table.rows] == ["input", "a", "b", "c", "norm", "head", "(model)"]
    assert [str(rows[name].field) for name in "abc"] == ["1", "3", "5"]  # cat sees as far as its widest input
    assert str(rows["head"].field) == "all"
    assert (rows["(model)"].parameters, rows["(model)"].multiply_adds) == (1, None)
    assert table.parameters == sum(row.parameters for row in table.rows) + 12
    assert any("unused.weight: 9 parameters" in note for note in table.notes)
    assert any("(model)" in note and "not counted" in note for note in table.notes)
    assert "?" in str(table)


def test_measuring_leaves_the_model_as_it_was():
    model = Branches()
    model.norm.eval()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    summary(model, (3, 16, 16))
    assert [module.training for module in model.modules()] == modes
    for name, tensor in model.state_dict().items():
        assert (tensor.numpy() == before[name]).all()
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_hooks_are_removed_after_an_error_too():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            raise RuntimeError("broken")

    model = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        summary(model, (2,))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_matrix_products_see_everything_and_unknown_operations_nothing_certain():
    class Own(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.conv, self.after, self.function = nn.Conv2d(1, 2, 3), nn.Identity(), function

        def forward(self, x):
            return self.after(self.function(self.conv(x)))

    def field(function):
        return by_name(summary(Own(function), (1, 6, 6)))["after"].field

    assert str(field(lambda x: x.flatten(1) @ tcnn.ones(32, 3))) == "all"
    assert str(field(lambda x: x + 1)) == "3"
    assert str(field(lambda x: x.permute(0, 2, 3, 1))) == "3"
    assert str(field(lambda x: F.max_pool2d(x, 2))) == "4"
    assert field(lambda x: x.mean(dim=(2, 3))) is None
    assert field(lambda x: x.detach()) is None


def test_works_under_no_grad_but_without_fields():
    with tcnn.no_grad():
        table = summary(models.create("lenet5"))
    assert table.parameters == 61_706


def test_a_shared_layer_is_counted_once():
    layer = nn.Linear(3, 3)
    table = summary(nn.Sequential(layer, nn.ReLU(), layer), (3,))
    assert table.parameters == 12
    assert [(row.name, row.parameters) for row in table.rows] == [("input", 0), ("0", 12), ("1", 0), ("2", 0)]
    assert table.rows[3].weights == "3 × (3 + 1) (shared)"
    assert table.multiply_adds == 18


def test_vectors_and_dtypes():
    table = summary(nn.Sequential(nn.Linear(5, 4).double(), nn.Tanh()), (7, 5))
    assert [row.output for row in table.rows] == [(7, 5), (7, 4), (7, 4)]
    assert table.rows[1].multiply_adds == 7 * 4 * 5
    assert table.rows[1].memory == 8 * 28
    assert summary(nn.Sequential(nn.ReLU()), (3,)).parameters == 0


def test_flatten_of_some_axes():
    table = summary(nn.Sequential(nn.Flatten(2, 3), nn.Flatten(0)), (2, 3, 4))
    assert [row.output for row in table.rows[1:2]] == [(2, 12)]


@pytest.mark.parametrize("shape", [None, (), (0, 3, 3), (1.5, 2), ("3",)])
def test_the_input_shape_must_be_known(shape):
    with pytest.raises(ValueError, match=r"input_shape=\(C, H, W\)"):
        summary(nn.Sequential(nn.Conv2d(1, 1, 1)), shape)


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([nn.Conv2d(3, 4, 3)], (1, 8, 8), r"layer 0 \(Conv2d\) gets 1×8×8: it wants 3 channels"),
        (
            [nn.ReLU(), nn.Conv2d(1, 4, 9)],
            (1, 5, 5),
            r"layer 1 \(Conv2d\) gets 1×5×5: .*\(5 − 9\)/1 \+ 1 = −3, which must be at least 1",
        ),
        ([nn.Conv2d(1, 4, 3)], (2, 1, 8, 8), r"layer 0 \(Conv2d\) gets 2×1×8×8: .*without the batch axis"),
        ([nn.Conv2d(3, 4, 3)], (8, 9, 3), r"wants 3 channels, .* has 8; channels come first here, \(3, 8, 9\)"),
        ([nn.Linear(4, 2)], (1, 2, 2), r"wants 4 features in the last axis .*; put nn.Flatten\(\) before it$"),
        ([nn.Linear(4, 2)], (1, 2, 3), "put nn.Flatten.* before it, and make it with in_features=6"),
        ([nn.Linear(4, 2)], (5,), r"wants 4 features in the last axis of \(5,\); make it with in_features=5"),
    ],
)
def test_layers_that_do_not_fit_are_named(layers, shape, message):
    with pytest.raises(ShapeError, match=message):
        summary(nn.Sequential(*layers), shape)


def test_text_is_aligned_and_has_the_totals():
    text = str(summary(models.create("lenet5")))
    lines = text.splitlines()
    assert lines[0] == "LeNet5"
    heading = lines[2]
    conv2 = next(line for line in lines if line.startswith("features.conv2"))
    assert conv2.index("16 × (6·5·5 + 1)") == heading.index("weights")
    assert conv2[: heading.index("parameters") + len("parameters")].endswith("2,416")
    assert lines[-1] == (
        "61,706 parameters (247 kB), 423,038 connections, 416,520 multiply-adds and 61.5 kB of outputs for one sample"
    )
    assert all(line == line.rstrip() for line in lines)


def test_print_fills_the_terminal_and_shows_everything_elsewhere(monkeypatch):
    table = summary(models.create("lenet5"))
    assert str(table) == table.to_text()
    assert "connections" in str(table).splitlines()[2]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert str(table) == table.to_text(80) != table.to_text()


@pytest.mark.parametrize("width", [140, 100, 80, 60, 30])
def test_a_narrow_terminal_gets_fewer_columns(width):
    text = summary(models.create("lenet5")).to_text(width)
    heading = text.splitlines()[2]
    assert ("connections" in heading) == (width == 140)
    assert ("memory" in heading) == (width == 140)
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width
    assert "6 × (1·5·5 + 1)" in text  # never cut short
    assert "parameters" in text


def test_the_columns_of_a_lecture():
    table = summary(models.LeNet5("1998"))
    columns = ["layer", "output", "connections", "parameters"]
    lines = table.to_text(30, columns).splitlines()
    assert lines[2].split() == columns
    assert next(line.split() for line in lines if ".c1" in line) == ["features.c1", "6×28×28", "122,304", "156"]
    assert "| features.c1 | 6×28×28 | 122,304 | 156 |" in table.to_markdown(columns)
    assert [th.text for th in ElementTree.fromstring(f"<p>{table.to_html(columns)}</p>").iter("th")] == columns
    for show in (table.to_text, table.to_markdown, table.to_html, table.to_rich):
        with pytest.raises(ValueError, match=r"there is no column 'params'; there is layer, type, .*parameters"):
            show(columns=["layer", "params"])


def test_rich_prints_the_table_as_wide_as_the_terminal():
    out = io.StringIO()
    Console(file=out, width=80).print(summary(models.create("lenet5")))
    assert "16 × (6·5·5 + 1)" in out.getvalue()
    assert "memory" not in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_markdown_is_a_table():
    lines = summary(models.create("lenet5")).to_markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "| features.conv1 | Conv2d | 6×28×28 | 6 × (1·5·5 + 1) | 156 |" in "\n".join(lines)
    assert len(table) == 2 + len(summary(models.create("lenet5")).rows)


def test_html_is_well_formed_and_escaped():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module("<b>&", nn.Linear(2, 2))

        def forward(self, x):
            return self._modules["<b>&"](x)

    table = summary(Odd(), (2,))
    root = ElementTree.fromstring(f"<div>{table.to_html()}</div>")
    assert "<b>&" in [cell.text for cell in root.iter("td")]
    assert len(list(root.iter("tr"))) == 1 + len(table.rows)
    assert table._repr_html_() == table.to_html()


def test_bytes_are_readable():
    assert [memory_text(n) for n in (0, 999, 1000, 18_816, 999_950, 1_500_000, 243_860_896, 3_000_000_000)] == [
        "0 B", "999 B", "1.0 kB", "18.8 kB", "1.0 MB", "1.5 MB", "244 MB", "3.0 GB",
    ]  # fmt: skip


# ---- the networks of the lectures
def test_lenet5_of_1998_has_the_papers_parameters_and_connections():
    table = summary(models.LeNet5("1998"))
    counts = {row.kind: [] for row in table.rows}
    for row in table.rows:
        counts[row.kind].append((row.parameters, row.connections))
    assert counts["Conv2d"] == [(156, 122_304), (48_120, 48_120)]  # C1, C5
    assert counts["Subsampling2d"] == [(12, 5_880), (32, 2_000)]  # S2, S4
    assert counts["ConnectionConv2d"] == [(1_516, 151_600)]  # C3
    assert counts["Linear"] == [(10_164, 10_164)]  # F6
    assert counts["EuclideanRBF"] == [(0, 840)]
    assert (table.parameters, table.connections) == (60_000, 340_908)
    assert table.rows[-1].output == (10,)


def never(module, args):
    raise AssertionError("the network was run")


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.LeNet5("1998"),
        lambda: models.AlexNet("paper", width=0.1),
        lambda: models.AlexNet("cifar", width=0.25),
        lambda: models.GoogLeNet("paper", width=0.1),
        lambda: models.GoogLeNet("cifar", width=0.25),
        lambda: models.ConvNetJS(),
    ],
)
def test_computed_from_shapes_as_seen_in_a_forward_pass(make):
    """Every network of the package: nothing is run, and each layer's row is what a forward pass would have shown."""
    model = make()
    for module in model.modules():
        module.register_forward_pre_hook(never)
    computed = summary(model)
    for module in model.modules():
        module._forward_pre_hooks.clear()
    seen = {row.name: row for row in summary(Around(model), model.input_shape).rows}
    for row in computed.rows[1:]:
        if not row.name.startswith("aux"):  # auxiliary heads rest in evaluation
            other = seen[f"inner.{row.name}"]
            assert (row.output, row.parameters, row.multiply_adds, row.connections, row.memory) == (
                (other.output, other.parameters, other.multiply_adds, other.connections, other.memory)
            )


def test_receptive_fields_through_branches():
    rows = by_name(summary(models.GoogLeNet("paper", width=0.1)))
    assert rows["conv1.conv"].field.size == (7, 7)
    # 7×7 stride 2, pool 3 stride 2, 1×1, 3×3, pool 3 stride 2; then the branches
    assert [rows[f"inception3a.branch{i}"].field.size[0] for i in ("1.conv", "2.0.conv", "2.1.conv", "3.1.conv")] == (
        [27, 27, 43, 59]
    )
    assert rows["inception3b.branch1.conv"].field.size == (59, 59)  # behind the widest branch of 3a
    assert rows["inception3b.branch1.conv"].field.step == (8, 8)
    assert str(rows["fc"].field) == "all"


def test_strides_multiply():
    rows = by_name(summary(models.AlexNet("paper", width=0.1)))
    last = [row for row in rows.values() if row.kind == "MaxPool2d"][-1]
    assert (last.field.size, last.field.step) == ((195, 195), (32, 32))


# ---- tables of large networks, a row a block
def test_googlenets_table_as_the_paper_prints_it():
    # Szegedy et al. 2015, table 1, column "ops"; slip: its 54 M for 5a
    operations = {"3a": 128, "3b": 304, "4a": 73, "4b": 88, "4c": 100, "4d": 119, "4e": 170, "5a": 51, "5b": 71}
    model = skip_init(models.GoogLeNet, "paper", aux_logits=False)
    table, whole = summary(model, depth=1), summary(model)
    rows = by_name(table)
    assert list(rows) == ["input", *(name for name in model._modules if name != "criterion")]
    for name, millions in operations.items():
        row = rows[f"inception{name}"]
        assert (row.kind, row.weights) == ("Inception", "6 layers")
        assert row.multiply_adds == pytest.approx(millions * 1e6, rel=0.01)
    row, parts = rows["inception4b"], [row for row in whole.rows if row.name.startswith("inception4b.")]
    assert (row.output, row.field.size, row.field.step) == ((512, 14, 14), (235, 235), (16, 16))
    assert max(part.field.size for part in parts) == row.field.size
    assert rows["conv1"].weights == "64 × (3·7·7 + 1)"
    assert rows["maxpool1"] == by_name(whole)["maxpool1"]
    for name in ("parameters", "multiply_adds", "connections", "memory"):
        assert getattr(row, name) == sum(getattr(part, name) for part in parts)
        assert getattr(table, name) == getattr(whole, name)


def test_depth_counts_the_levels_of_names():
    model = models.LeNet5()
    whole = summary(model)
    assert summary(model, depth=2) == summary(model, depth=9) == whole
    features, classifier = summary(model, depth=1).rows[1:]
    assert (features.name, features.kind, features.output) == ("features", "Sequential", (16, 5, 5))
    assert (features.weights, features.parameters) == ("6 × (1·5·5 + 1) + 16 × (6·5·5 + 1)", 156 + 2_416)
    assert (str(features.field), features.field.step, str(classifier.field)) == ("16", (4, 4), "all")
    assert (classifier.weights, classifier.parameters) == ("3 layers", 48_120 + 10_164 + 850)
    (_, all_in_one) = summary(model, depth=0).rows
    assert (all_in_one.name, all_in_one.kind, all_in_one.parameters) == ("(model)", "LeNet5", 61_706)
    assert summary(model, depth=0).totals == whole.totals
    with pytest.raises(ShapeError, match="summary: depth=-1 must be at least 0"):
        summary(model, depth=-1)


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_blocks_are_measured_as_they_are_computed(depth):
    model = models.GoogLeNet("cifar", width=0.25, aux_logits=False)
    computed, measured = summary(model, depth=depth), summary(Around(model), model.input_shape, depth=depth + 1)
    if depth:
        assert [f"inner.{row.name}" for row in computed.rows[1:]] == [row.name for row in measured.rows[1:]]
    for row, other in zip(computed.rows, measured.rows, strict=True):
        for name in ("kind", "output", "weights", "parameters", "multiply_adds", "connections", "memory"):
            assert getattr(row, name) == getattr(other, name)
        assert str(row.field) == str(other.field)


def test_blocks_share_layers_and_have_parameters_of_their_own():
    layer = nn.Linear(3, 3)
    shared = summary(nn.Sequential(nn.Sequential(layer, nn.ReLU()), nn.Sequential(layer)), (3,), depth=1)
    assert [(row.parameters, row.multiply_adds) for row in shared.rows[1:]] == [(12, 9), (0, 9)]
    assert shared.rows[2].weights == "3 × (3 + 1) (shared)"
    own = summary(Around(Branches()), (3, 16, 16), depth=1)
    (_, block) = own.rows
    assert (block.name, block.kind) == ("inner", "Branches")
    inside = summary(Branches(), (3, 16, 16)).rows
    assert block.parameters == own.parameters - 12 == sum(row.parameters for row in inside)
    assert any("inner.unused.weight: 9 parameters" in note for note in own.notes)
    assert any("inner (Branches)" in note and "not counted" in note for note in own.notes)


def test_layers_of_other_dimensions():
    layers = nn.Sequential(nn.Conv1d(2, 3, 5, stride=2, padding=1), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(12, 1))
    table = summary(layers, (2, 19))
    assert [row.output for row in table.rows] == [(2, 19), (3, 9), (3, 4), (12,), (1,)]
    assert (table.rows[1].weights, table.rows[1].multiply_adds) == ("3 × (2·5 + 1)", 27 * 10)
    assert [str(row.field) for row in table.rows[:3]] == ["1", "5", "7"]
    volume = summary(nn.Conv3d(1, 2, (1, 2, 3)), (1, 4, 5, 6)).rows[1]
    assert (volume.output, str(volume.field)) == ((2, 4, 4, 4), "1×2×3")


def test_transposed_convolution_and_global_pooling():
    table = summary(
        nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.AdaptiveAvgPool2d(1), nn.GroupNorm(2, 6)),
        (4, 5, 6),
    )
    up, pool, norm = table.rows[1:]
    assert (up.output, up.weights, up.parameters) == ((6, 11, 13), "6 × (2·3·3 + 1)", 114)
    assert up.multiply_adds == 4 * 5 * 6 * 3 * 9  # each input value meets the taps of its group's three filters
    assert up.field is None
    padded = summary(
        nn.Sequential(nn.ZeroPad2d(2), nn.Conv2d(1, 1, 3), nn.UpsamplingNearest2d(scale_factor=2)), (1, 8, 9)
    )
    assert [str(row.field) for row in padded.rows] == ["1", "1", "3", "None"]
    assert (pool.output, norm.output, norm.parameters) == ((6, 1, 1), (6, 1, 1), 12)
    whole = summary(nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1)), (1, 8, 9)).rows[-1]
    assert whole.field.size == (8, 9)
    flat = summary(nn.Sequential(nn.Conv2d(1, 1, 3), nn.GlobalMaxPool2d(), nn.Linear(1, 2)), (1, 8, 9)).rows
    assert [(row.output, str(row.field)) for row in flat[2:]] == [((1,), "8×9"), ((2,), "all")]


def test_a_table_as_plain_data():
    table = summary(models.LeNet5("1998"))
    plain = json.loads(json.dumps(table.to_dict()))
    assert (plain["parameters"], plain["connections"]) == (60_000, 340_908)
    c3 = next(row for row in plain["rows"] if row["kind"] == "ConnectionConv2d")
    assert (c3["output"], c3["receptive_field"], c3["stride_product"]) == ([16, 10, 10], [14, 14], [2, 2])
    assert plain["rows"][-1]["receptive_field"] == "all"
    assert np.sum([row["memory"] for row in plain["rows"]]) == plain["memory"] == table.memory


def test_a_heir_with_a_forward_of_its_own_is_measured():
    class Padded(nn.Conv2d):
        def forward(self, x):
            return super().forward(F.pad(x, (1, 1, 1, 1)))

    class Twice(nn.Sequential):
        def forward(self, x):
            return super().forward(super().forward(x))

    assert summary(Padded(1, 2, 3), (1, 8, 8)).rows[1].output == (2, 8, 8)
    assert [row.output for row in summary(Twice(nn.Conv2d(1, 1, 3)), (1, 8, 8)).rows[1:]] == [(1, 6, 6), (1, 4, 4)]


def test_a_module_of_ones_own_that_tells_its_shapes_is_not_run():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            raise AssertionError("the network was run")

        def walk_shapes(self, shape, call):
            call("conv", shape)
            return tuple(shape)

    rows = summary(nn.Sequential(Residual(), nn.Conv2d(2, 1, 3)), (2, 8, 8)).rows
    assert [(row.name, row.output, str(row.field)) for row in rows[1:]] == [
        ("0.conv", (2, 8, 8), "3"),
        ("1", (1, 6, 6), "5"),
    ]


def test_shapes_that_nobody_tells_are_an_error_of_the_walk():
    class Own(nn.Module):
        def forward(self, x):
            return x

    with pytest.raises(nn.walk.UnknownShapeError, match=r"layer 1 \(Own\) has a forward of its own.*walk_shapes"):
        nn.walk.output_shape(nn.Sequential(nn.ReLU(), Own()), (1, 2, 2))
    assert [row.name for row in summary(nn.Sequential(nn.ReLU(), Own()), (1, 2, 2)).rows] == ["input", "0", "1"]
