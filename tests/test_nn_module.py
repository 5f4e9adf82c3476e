"""Module: what is found by name, modes, hooks, moving, showing; and the messages when something is wrong."""

import copy
import gc
import weakref

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, (3, 2))
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(3 * 3 * 6, 4))
        self.scale = nn.Parameter([2.0])
        self.note = "plain"

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).relu()) * self.scale


NAMES = ["scale", "conv.weight", "conv.bias", "norm.weight", "norm.bias", "head.1.weight", "head.1.bias"]
BUFFERS = ["norm.running_mean", "norm.running_var", "norm.num_batches_tracked"]


# ---- errors
def test_an_error_names_the_layer():
    net, x = Net(), tcnn.zeros(1, 2, 9, 9)
    wanted = r"layer head.1 \(Linear\): linear: weight \(4, 54\) wants F=54 .* has 168; flatten"
    with pytest.raises(tcnn.ShapeError, match=f"^{wanted}"):
        net(x)
    with pytest.raises(tcnn.ShapeError, match=r"^layer 0.head.1 \(Linear\): linear: "):
        nn.Sequential(net)(x)
    with pytest.raises(tcnn.ShapeError, match=r"^linear: "):
        net.head[1](x)
    with pytest.raises(tcnn.DtypeError, match=r"^layer conv \(Conv2d\): conv2d: x is float64"):
        net(x.double())
    assert net(tcnn.zeros(1, 2, 5, 7)).shape == (1, 4)

    class Pooling(nn.Module):
        def forward(self, x):
            return nn.functional.max_pool2d(x, 4)  # no layer: the module itself is named

    with pytest.raises(tcnn.ShapeError, match=r"^max_pool2d: "):
        Pooling()(x[..., :3])
    with pytest.raises(tcnn.ShapeError, match=r"^layer 0 \(Pooling\): max_pool2d: "):
        nn.Sequential(Pooling())(x[..., :3])


@pytest.mark.parametrize(("name", "meant"), [("Conv2D", "Conv2d"), ("MaxPooling2D", "MaxPool2d"), ("Relu", "ReLU")])
def test_other_spellings_of_a_layer(name, meant):
    with pytest.raises(AttributeError, match=f"nn has no {name}; did you mean nn.{meant}.*tinygrad_cnn.keras"):
        getattr(nn, name)
    assert not hasattr(nn, "_nothing")
    with pytest.raises(AttributeError, match=r"nn has no Dense; Keras' names"):
        nn.Dense  # noqa: B018


# ---- names
def test_parameters_are_found_in_order():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [p for _, p in net.named_parameters()] == list(net.parameters())
    assert [name for name, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert [name for name, _ in net.named_buffers()] == BUFFERS
    assert list(net.buffers(recurse=False)) == []


def test_modules_and_children():
    net = Net()
    assert [name for name, _ in net.named_modules()] == ["", "conv", "norm", "head", "head.0", "head.1"]
    assert next(net.modules()) is net
    assert [name for name, _ in net.named_children()] == ["conv", "norm", "head"]
    assert list(net.children())[2] is net.head


def test_what_is_shared_is_listed_once_and_saved_twice():
    net = nn.Module()
    net.a = net.b = nn.Linear(3, 2)
    net.c = nn.Linear(3, 2)
    net.c.weight = net.a.weight
    assert [name for name, _ in net.named_parameters()] == ["a.weight", "a.bias", "c.bias"]
    assert [name for name, _ in net.named_modules()] == ["", "a", "c"]
    assert len(list(net.children())) == 2
    doubled = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert doubled == ["a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias"]
    assert list(net.state_dict()) == doubled
    assert net.num_parameters() == 6 + 2 + 2


def test_shared_buffers_are_listed_once():
    net = nn.ModuleList([nn.NLLLoss(w) for w in [tcnn.ones(3)] * 2])
    assert [name for name, _ in net.named_buffers()] == ["0.weight"]
    assert len(list(net.buffers())) == 1
    assert list(net.buffers(recurse=False)) == []


def test_a_name_can_change_what_it_holds():
    net = nn.Module()
    net.x = 3
    net.x = nn.Parameter([1.0])
    assert [n for n, _ in net.named_parameters()] == ["x"]
    net.x = nn.Linear(1, 1)
    assert [n for n, _ in net.named_parameters()] == ["x.weight", "x.bias"]
    net.x = None
    assert net.x is None
    assert list(net.parameters()) == []
    del net.x
    assert not hasattr(net, "x")
    net.x = 5
    assert net.x == 5


def test_replacing_keeps_the_place():
    net = Net()
    net.conv = nn.Conv2d(2, 3, 1)
    assert [name for name, _ in net.named_children()] == ["conv", "norm", "head"]


def test_none_keeps_a_name_for_a_parameter():
    layer = nn.Linear(3, 2, bias=False)
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]
    layer.bias = nn.Parameter([1.0, 2.0])
    assert list(layer.state_dict()) == ["weight", "bias"]
    layer.bias = None
    assert [n for n, _ in layer.named_parameters()] == ["weight"]


def test_buffers():
    net = nn.Module()
    net.register_buffer("seen", tcnn.zeros(2))
    net.register_buffer("scratch", tcnn.ones(2), persistent=False)
    net.register_buffer("later", None)
    assert [n for n, _ in net.named_buffers()] == ["seen", "scratch"]
    assert list(net.state_dict()) == ["seen"]
    assert list(net.parameters()) == []
    net.later = tcnn.ones(3)
    assert list(net.state_dict()) == ["seen", "later"]
    net.seen = net.seen + 1
    assert net.state_dict()["seen"].tolist() == [1.0, 1.0]
    del net.scratch
    net.register_buffer("scratch", tcnn.ones(2))
    assert "scratch" in net.state_dict()


def test_a_buffer_that_becomes_a_parameter_is_saved():
    net = nn.Module()
    net.register_buffer("x", tcnn.ones(2), persistent=False)
    net.x = nn.Parameter([1.0])
    assert list(net.state_dict()) == ["x"]


def test_finding_by_dotted_name():
    net = Net()
    assert net.get_submodule("head.1") is net.head[1]
    assert net.get_submodule("") is net
    assert net.get_parameter("head.1.bias") is net.head[1].bias
    assert net.get_parameter("scale") is net.scale
    assert net.get_buffer("norm.running_var") is net.norm.running_var
    with pytest.raises(AttributeError, match="Net has no submodule 'tail'; it has conv, norm, head"):
        net.get_submodule("tail.1")
    with pytest.raises(AttributeError, match="head has no submodule '7'; it has 0, 1"):
        net.get_submodule("head.7")
    with pytest.raises(AttributeError, match="conv has no parameter 'gain'; it has weight, bias"):
        net.get_parameter("conv.gain")
    with pytest.raises(AttributeError, match="norm has no buffer 'weight'; it has running_mean"):
        net.get_buffer("norm.weight")


def test_dir_completes_names():
    assert {"conv", "scale", "forward", "note"} <= set(dir(Net()))


# ---- what is refused
def test_forgetting_super_init_is_explained():
    class Forgot(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

    class ForgotPlain(nn.Module):
        def __init__(self):
            self.size = 3

        def forward(self, x):
            return x

    with pytest.raises(AttributeError, match=r"Forgot.__init__ did not call super\(\).__init__\(\) first"):
        Forgot()
    for use in (lambda m: m(1), lambda m: list(m.parameters()), lambda m: m.train(), lambda m: repr(m)):
        with pytest.raises(AttributeError, match=r"write super\(\).__init__\(\) as the first line of ForgotPlain"):
            use(ForgotPlain())


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda m: setattr(m, "scale", 3.0), TypeError, r"Net.scale is a Parameter; float cannot take its place"),
        (lambda m: setattr(m, "scale", tcnn.ones(1)), TypeError, "Tensor cannot take its place"),
        (lambda m: setattr(m, "conv", "none"), TypeError, "Net.conv is a Module; str cannot take its place"),
        (lambda m: setattr(m.norm, "running_mean", [1]), TypeError, "running_mean is a Tensor; list"),
        (lambda m: setattr(m, "forward", nn.ReLU()), KeyError, "attribute 'forward' exists already"),
        (lambda m: setattr(m, "float", nn.Parameter([1.0])), KeyError, "attribute 'float' exists already"),
        (lambda m: setattr(m, "itself", m), ValueError, r"Net.itself would contain itself"),
        (lambda m: setattr(m.head, "parent", m), ValueError, "would contain itself"),
        (lambda m: m.register_parameter("w", tcnn.ones(1)), TypeError, r"write nn.Parameter\(...\)"),
        (lambda m: m.register_parameter("a.b", None), KeyError, "without a dot"),
        (lambda m: m.register_parameter("note", None), KeyError, "'note' exists already"),
        (lambda m: m.register_parameter("conv", nn.Parameter([1.0])), KeyError, "'conv' exists already"),
        (lambda m: m.register_buffer("b", np.ones(2)), TypeError, "must be a Tensor or None, not ndarray"),
        (lambda m: m.register_buffer("", None), KeyError, "non-empty"),
        (lambda m: m.add_module("r", nn.ReLU), TypeError, r"not the class ReLU; write ReLU\(...\)"),
        (lambda m: m.add_module("r", 3), TypeError, "must be a Module or None, not int"),
        (lambda m: m.missing, AttributeError, "'Net' object has no attribute 'missing'"),
        (lambda m: delattr(m, "missing"), AttributeError, "missing"),
        (lambda m: m.train("yes"), ValueError, "mode must be True or False"),
        (lambda m: m.register_forward_hook(None), TypeError, "a hook must be a function"),
        (lambda m: m.to("int32"), TypeError, "dtype must be a floating one, not int32"),
        (lambda m: m.to("nonsense"), tcnn.DeviceError, "nonsense"),
        (lambda m: nn.Module()(1), NotImplementedError, r"Module has no forward\(self, x\)"),
    ],
)
def test_bad_use(act, error, text):
    net = Net()
    names = list(net.state_dict())
    with pytest.raises(error, match=text):
        act(net)
    assert list(net.state_dict()) == names


def test_a_plain_list_of_layers_is_warned_of():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(2, 2), nn.Linear(2, 2)]

    with pytest.warns(
        tcnn.TinygradCnnWarning, match=r"Hidden.layers is a plain list: its 2 Linear\(s\).*nn.ModuleList"
    ) as seen:
        Hidden()
    assert seen[0].filename == __file__


def test_a_plain_dict_of_layers_is_warned_of():
    net = nn.Module()
    with pytest.warns(tcnn.TinygradCnnWarning, match=r"plain dict: its 1 ReLU\(s\).*nn\.ModuleDict"):
        net.branches = {"a": nn.ReLU(), "b": 3}


def test_a_list_of_known_layers_is_fine():
    net = Net()
    net.known = [net.conv, net.head[1]]
    assert net.known[0] is net.conv


# ---- modes
def test_train_and_eval_reach_everything():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    net.head.eval()
    assert net.training
    assert not net.head[1].training


def test_apply_visits_children_first():
    seen = []
    net = Net()
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Conv2d", "BatchNorm2d", "Flatten", "Linear", "Sequential", "Net"]


def test_zero_grad_and_freezing():
    net = Net()
    net(tcnn.ones(2, 2, 5, 7)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.conv.requires_grad_(False)
    assert net.num_parameters(trainable_only=True) == net.num_parameters() - 3 * (2 * 3 * 2 + 1)
    assert not net.requires_grad_(False)(tcnn.ones(2, 2, 5, 7)).requires_grad
    net.requires_grad_()
    assert all(p.requires_grad for p in net.parameters())


# ---- hooks
def test_forward_hooks_see_and_replace():
    layer = nn.Linear(2, 1)
    seen = []
    pre = layer.register_forward_pre_hook(lambda m, args: (args[0] * 0,))
    post = layer.register_forward_hook(lambda m, args, y: seen.append((m, args[0].tolist(), y.shape)))
    y = layer(tcnn.ones(3, 2))
    assert y.tolist() == [layer.bias.tolist()] * 3
    assert seen == [(layer, [[0.0, 0.0]] * 3, (3, 1))]
    pre.remove()
    pre.remove()
    with layer.register_forward_hook(lambda m, args, y: y * 0 + 7):
        assert layer(tcnn.ones(1, 2)).tolist() == [[7.0]]
    post.remove()
    assert layer(tcnn.ones(1, 2)).tolist() != [[7.0]]
    assert len(seen) == 2


def test_a_pre_hook_may_return_one_argument_and_a_hook_may_remove_itself():
    layer = nn.Identity()
    handles = [layer.register_forward_pre_hook(lambda m, args: args[0] + 1)]
    handles.append(layer.register_forward_hook(lambda m, args, y: handles[1].remove()))
    assert layer(1) == 2
    assert layer(1) == 2


def test_keyword_arguments_reach_forward():
    class Add(nn.Module):
        def forward(self, x, *, y=0):
            return x + y

    assert Add()(1, y=2) == 3


# ---- moving
def test_to_keeps_the_parameter_objects_and_whole_numbers():
    net = Net()
    before = list(net.parameters())
    net(tcnn.ones(2, 2, 5, 7)).sum().backward()
    assert net.to("float64") is net
    assert all(a is b for a, b in zip(before, net.parameters()))
    assert {p.dtype.name for p in net.parameters()} == {"float64"}
    assert {p.grad.dtype.name for p in net.parameters()} == {"float64"}
    assert net.norm.running_mean.dtype == "float64"
    assert net.norm.num_batches_tracked.dtype == "int64"
    assert net.norm.num_batches_tracked.item() == 1
    out = net(tcnn.ones(2, 2, 5, 7, dtype="float64"))
    assert out.dtype == "float64"
    out.sum().backward()


@pytest.mark.parametrize(
    ("move", "dtype"),
    [
        (lambda m: m.half(), "float16"),
        (lambda m: m.double(), "float64"),
        (lambda m: m.double().float(), "float32"),
        (lambda m: m.to(tcnn.zeros(1, dtype="float64")), "float64"),
        (lambda m: m.to("cpu", "float64"), "float64"),
        (lambda m: m.to(np.float64), "float64"),
        (lambda m: m.to(tcnn.zeros(1).backend, "float64"), "float64"),
        (lambda m: m.to(device="cpu", dtype=np.dtype("float16")), "float16"),
        (lambda m: m.cpu(), "float32"),
        (lambda m: m.to(), "float32"),
    ],
)
def test_ways_to_move(move, dtype):
    net = move(Net())
    assert {t.dtype.name for t in net.parameters()} == {dtype}
    assert {t.device for t in net.state_dict().values()} == {"cpu"}


def test_shared_parameters_stay_shared():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net.double()
    assert net[0].weight is net[1].weight


def test_a_buffer_that_somebody_else_holds_stays_as_it_is():
    weights = tcnn.tensor([1.0, 2.0])
    loss = nn.CrossEntropyLoss(weights)
    net = nn.ModuleList([loss, nn.NLLLoss(weights)])
    net.double()
    assert (weights.dtype, loss.weight.dtype) == (np.float32, np.float64)
    assert net[1].weight is loss.weight
    assert not loss.weight.requires_grad
    kept = loss.weight
    assert net.double()[0].weight is kept


def test_an_optimizer_made_before_goes_on_after_the_move():
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.parameters(), lr=1.0)
    net.double()
    net(tcnn.ones(1, 2, dtype="float64")).sum().backward()
    before = net.weight.numpy().copy()
    optimizer.step()
    np.testing.assert_allclose(net.weight.numpy(), before - 1)


def test_a_device_that_is_not_there():
    with pytest.raises(RuntimeError, match='no device "tpu"'):
        Net().to(device="tpu")


# ---- copies and memory
def test_deepcopy_is_independent():
    net = Net()
    twin = copy.deepcopy(net)
    assert [n for n, _ in twin.named_parameters()] == NAMES
    assert type(twin.scale) is nn.Parameter
    twin.scale.data[...] = 7
    twin.eval()
    assert net.scale.item() == 2.0
    assert net.training
    x = tcnn.randn(2, 2, 5, 7)
    assert not np.shares_memory(twin.conv.weight.numpy(), net.conv.weight.numpy())
    net.scale.data[...] = 7
    assert (net.eval()(x).numpy() == twin(x).numpy()).all()


def test_deepcopy_keeps_sharing_and_drops_gradients():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net(tcnn.ones(1, 2)).sum().backward()
    net[0].weight.requires_grad_(True)
    net[1].bias.requires_grad_(False)
    twin = copy.deepcopy(net)
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight.grad is None
    assert [p.requires_grad for p in twin.parameters()] == [True, True, False]


def test_activations_and_modules_go_at_once():
    gc.disable()
    try:
        net = Net()
        x = tcnn.randn(2, 2, 5, 7)
        loss = net(x).sum()
        activation = weakref.ref(loss)
        loss.backward()
        net.register_forward_hook(lambda m, args, y: None)
        gone = weakref.ref(net)
        del loss
        assert activation() is None
        del net
        assert gone() is None
    finally:
        gc.enable()


# ---- showing
def test_repr_is_nested():
    assert repr(Net()) == (
        "Net(\n"
        "  (conv): Conv2d(2, 3, kernel_size=(3, 2), stride=(1, 1))\n"
        "  (norm): BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)\n"
        "  (head): Sequential(\n"
        "    (0): Flatten(start_dim=1, end_dim=-1)\n"
        "    (1): Linear(in_features=54, out_features=4, bias=True)\n"
        "  )\n"
        ")"
    )


def test_repr_with_extra_lines_and_a_missing_child():
    class Odd(nn.Module):
        def extra_repr(self):
            return "one\ntwo"

    odd = Odd()
    assert repr(odd) == "Odd(\n  one\n  two\n)"
    odd.child = nn.ReLU()
    odd.child = None
    assert repr(odd) == "Odd(\n  one\n  two\n  (child): None\n)"
    assert repr(nn.Module()) == "Module()"


def test_parameter_repr():
    assert repr(nn.Parameter([1.0])).startswith("Parameter containing:\ntensor([1.]")
    assert type(nn.Parameter([1.0]) * 2) is tcnn.Tensor
    array = np.ones(2, "float64")
    p = nn.Parameter(array, requires_grad=False)
    array[0] = 5
    assert (p.tolist(), p.dtype, p.requires_grad) == ([1.0, 1.0], np.float64, False)
