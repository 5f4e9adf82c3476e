"""Sequential, ModuleList, ModuleDict."""

from collections import OrderedDict

import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn


def layers(n=4):
    return [nn.Linear(i + 1, i + 2) for i in range(n)]


def sizes(modules):
    return [m.in_features for m in modules]


@pytest.fixture(params=[lambda ms: nn.Sequential(*ms), nn.ModuleList], ids=["Sequential", "ModuleList"])
def numbered(request):
    return request.param


def test_index_slice_and_iterate(numbered):
    made = layers()
    box = numbered(made)
    assert len(box) == 4
    assert list(box) == made
    assert box[0] is made[0]
    assert box[-1] is made[3]
    part = box[1:3]
    assert type(part) is type(box)
    assert list(part) == made[1:3]
    assert list(box[::-2]) == [made[3], made[1]]
    with pytest.raises(IndexError, match=r"index 4 is out of range; it has 4"):
        box[4]
    with pytest.raises(IndexError):
        box[-5]


def test_changing(numbered):
    box = numbered(layers(2))
    assert box.append(nn.Linear(9, 1)) is box
    box.extend([nn.Linear(8, 1)])
    box.insert(1, nn.Linear(7, 1))
    box.insert(-1, nn.Linear(6, 1))
    box.insert(len(box), nn.Linear(5, 1))
    assert sizes(box) == [1, 7, 2, 9, 6, 8, 5]
    assert [n for n, _ in box.named_children()] == list("0123456")
    assert box.pop(1).in_features == 7
    assert box.pop().in_features == 5
    del box[0]
    del box[-2:]
    box[0] = nn.Linear(4, 1)
    box += [nn.Linear(3, 1)]
    assert sizes(box) == [4, 9, 3]
    assert [n for n, _ in box.named_children()] == list("012")
    assert [n for n, _ in box.named_parameters()][-1] == "2.bias"
    assert sizes(box + numbered(layers(1))) == [4, 9, 3, 1]


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda b: b.append(nn.ReLU), TypeError, r"not the class ReLU; write ReLU\(...\)"),
        (lambda b: b.insert(0, 3), TypeError, "not int"),
        (lambda b: b.insert(9, nn.ReLU()), IndexError, "out of range"),
        (lambda b: b.append(b), ValueError, "would contain itself"),
        (lambda b: b.__setitem__(7, nn.ReLU()), IndexError, "out of range"),
    ],
)
def test_bad_changes_leave_it_alone(numbered, act, error, text):
    box = numbered(layers())
    before = list(box.named_children())
    with pytest.raises(error, match=text):
        act(box)
    assert list(box.named_children()) == before


def test_sequential_calls_in_order_and_takes_names():
    net = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), act=nn.ReLU(), last=nn.Linear(3, 1)))
    assert [n for n, _ in net.named_children()] == ["first", "act", "last"]
    assert net.first is net[0]
    x = tcnn.randn(5, 2)
    assert (net(x).numpy() == net.last(net.act(net.first(x))).numpy()).all()
    assert [n for n, _ in net[1:].named_children()] == ["act", "last"]
    net.append(nn.Tanh())
    net.insert(1, nn.Sigmoid())
    assert [n for n, _ in net.named_children()] == ["first", "1", "act", "last", "4"]
    del net[0]
    assert [n for n, _ in net.named_children()] == ["0", "act", "last", "3"]
    assert nn.Sequential()(3) == 3


def test_lists_and_dicts_cannot_be_called():
    with pytest.raises(NotImplementedError, match=r"for layer in self\.layers"):
        nn.ModuleList([nn.ReLU()])(1)
    with pytest.raises(NotImplementedError, match=r"self.branches\[name\]"):
        nn.ModuleDict()(1)


def test_module_list_repr_folds_equal_layers():
    box = nn.ModuleList([nn.ReLU(), *[nn.Sequential(nn.Linear(2, 2))] * 2, nn.ReLU()])
    assert repr(box) == (
        "ModuleList(\n"
        "  (0): ReLU()\n"
        "  (1-2): 2 x Sequential(\n"
        "    (0): Linear(in_features=2, out_features=2, bias=True)\n"
        "  )\n"
        "  (3): ReLU()\n"
        ")"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"


def test_module_dict():
    a, b, c = layers(3)
    box = nn.ModuleDict({"a": a, "b": b})
    box["c"] = c
    assert list(box) == list(box.keys()) == ["a", "b", "c"]
    assert list(box.values()) == [a, b, c]
    assert dict(box.items())["b"] is b
    assert "b" in box
    assert len(box) == 3
    assert box.pop("b") is b
    del box["a"]
    box.update([("d", a)])
    assert [n for n, _ in box.named_parameters()] == ["c.weight", "c.bias", "d.weight", "d.bias"]
    with pytest.raises(KeyError, match="ModuleDict has no module 'z'; it has c, d"):
        box["z"]
    with pytest.raises(KeyError, match="'keys' exists already"):
        box["keys"] = a
    with pytest.raises(TypeError, match="not the class ReLU"):
        box["r"] = nn.ReLU
    box.clear()
    assert list(box.parameters()) == []


@pytest.mark.torch
def test_same_text_as_pytorch():
    torch = pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")

    def build(lib):
        class Net(lib.Module):
            def __init__(self):
                super().__init__()
                self.features = lib.Sequential(
                    lib.Conv2d(1, 6, 5, padding=2), lib.BatchNorm2d(6), lib.ReLU(True), lib.MaxPool2d(2)
                )
                self.many = lib.ModuleList([lib.Linear(3, 3), lib.Linear(3, 3), lib.Tanh()])
                self.named = lib.ModuleDict({"a": lib.Sigmoid(), "b": lib.Sequential()})
                self.loss = lib.CrossEntropyLoss()

        return Net()

    assert repr(build(nn)) == repr(build(torch.nn))


def test_a_name_is_no_index():
    model = nn.Sequential({"conv1": nn.Conv2d(1, 2, 3)})
    with pytest.raises(
        TypeError, match=r"index 'conv1' must be a whole number or a slice; a layer by its name is model"
    ):
        model["conv1"]
    assert model.get_submodule("conv1") is model.conv1 is model[0]
