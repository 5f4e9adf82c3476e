"""The table of a network: the lectures' numbers, computed or measured, and how it is written."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import functional as F
from tinygrad_cnn import models, nn
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
        ([nn.Conv2d(3, 4, 3)], (1, 8, 8), r"0 \(Conv2d\) wants 3 channels, it gets \(1, 8, 8\)"),
        ([nn.ReLU(), nn.Conv2d(1, 4, 9)], (1, 5, 5), r"1 \(Conv2d\) on \(1, 5, 5\): window"),
        ([nn.Conv2d(1, 4, 3)], (2, 1, 8, 8), r"wants images \(C, H, W\).*no batch axis"),
        ([nn.Linear(4, 2)], (1, 2, 2), "wants 4 features.*put nn.Flatten"),
        ([nn.Linear(4, 2)], (5,), "wants 4 features.*change in_features"),
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
    assert lines[-1] == "61,706 parameters (247 kB), 416,520 multiply-adds and 61.5 kB of outputs for one sample"
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [120, 80, 60, 30])
def test_a_narrow_terminal_gets_fewer_columns(width):
    text = summary(models.create("lenet5")).to_text(width)
    assert ("connections" in text) == (width == 120)
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width
    assert "6 × (1·5·5 + 1)" in text
    assert "parameters" in text


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
