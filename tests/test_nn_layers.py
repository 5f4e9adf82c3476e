"""Each layer: shapes of its parameters, values by hand, messages, and everything against PyTorch."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.random import Generator


# ---- by hand
def test_linear_by_hand():
    layer = nn.Linear(3, 2)
    layer.load_state_dict({"weight": [[1, 2, 3], [4, 5, 6]], "bias": [10, 20]})
    assert layer(tcnn.tensor([[1.0, 0.0, -1.0]])).tolist() == [[8.0, 18.0]]
    assert layer(tcnn.ones(5, 4, 3)).shape == (5, 4, 2)


def test_conv_by_hand():
    layer = nn.Conv2d(1, 1, (1, 2), stride=(1, 2), bias=False)
    layer.load_state_dict({"weight": [[[[1.0, 10.0]]]]})
    assert layer(tcnn.tensor([[[[1.0, 2.0, 3.0, 4.0]]]])).tolist() == [[[[21.0, 43.0]]]]


def test_pools_by_hand():
    x = tcnn.arange(1, 16, dtype="float32").reshape(1, 1, 3, 5)
    assert nn.MaxPool2d((1, 2))(x).tolist() == [[[[2.0, 4.0], [7.0, 9.0], [12.0, 14.0]]]]
    assert nn.MaxPool2d(2, ceil_mode=True)(x).tolist() == [[[[7.0, 9.0, 10.0], [12.0, 14.0, 15.0]]]]
    assert nn.AvgPool2d(2)(x).tolist() == [[[[4.0, 6.0]]]]
    assert nn.AvgPool2d((2, 1), stride=(1, 3))(x).tolist() == [[[[3.5, 6.5], [8.5, 11.5]]]]
    y, index = nn.MaxPool2d(2, return_indices=True)(x)
    assert (y.tolist(), index.tolist()) == ([[[[7.0, 9.0]]]], [[[[6, 8]]]])


def test_circular_padding_by_hand():
    layer = nn.Conv2d(1, 1, (1, 3), padding=(0, 3), padding_mode="circular", bias=False)
    layer.load_state_dict({"weight": [[[[1.0, 0.0, 0.0]]]]})
    assert layer(tcnn.tensor([[[[1.0, 2.0, 3.0]]]])).tolist() == [[[[1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]]]]


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.Conv2d(2, 4, 3, bias=False), "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), bias=False)"),
        (
            nn.Conv2d(2, 4, (3, 2), 2, 1, groups=2, dilation=(1, 2), padding_mode="circular"),
            "Conv2d(2, 4, kernel_size=(3, 2), stride=(2, 2), padding=(1, 1), dilation=(1, 2), groups=2, "
            "padding_mode=circular)",
        ),
        (nn.Conv2d(2, 4, 3, padding="same"), "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=same)"),
        (nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
        (nn.AvgPool2d((2, 3), 1), "AvgPool2d(kernel_size=(2, 3), stride=1, padding=0)"),
        (nn.MaxUnpool1d(2, 3), "MaxUnpool1d(kernel_size=(2,), stride=(3,), padding=(0,))"),
        (nn.MaxUnpool2d(2), "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))"),
        (nn.FeatureLPPool(2, 4), "FeatureLPPool(norm_type=2, channels_per_group=4, stride=None, dim=-3)"),
        (nn.GlobalAvgPool2d(), "GlobalAvgPool2d(keepdim=False)"),
        (nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
        (nn.Dropout(), "Dropout(p=0.5, inplace=False)"),
        (nn.ReLU(), "ReLU()"),
        (nn.LeakyReLU(), "LeakyReLU(negative_slope=0.01)"),
        (nn.Softmax(1), "Softmax(dim=1)"),
        (nn.LogSoftmax(), "LogSoftmax(dim=None)"),
        (nn.CrossEntropyLoss(label_smoothing=1.0), "CrossEntropyLoss()"),
    ],
)
def test_texts(layer, text):
    assert repr(layer) == text


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (nn.Linear(3, 2), {"weight": (2, 3), "bias": (2,)}),
        (nn.Linear(3, 2, bias=False), {"weight": (2, 3)}),
        (nn.Conv2d(4, 6, (3, 2), groups=2), {"weight": (6, 2, 3, 2), "bias": (6,)}),
        (nn.Conv2d(4, 6, 5, bias=False), {"weight": (6, 4, 5, 5)}),
        (
            nn.BatchNorm1d(3),
            {"weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,), "num_batches_tracked": ()},
        ),
        (nn.BatchNorm2d(3, affine=False, track_running_stats=False), {}),
        (
            nn.BatchNorm2d(3, bias=False),
            {"weight": (3,), "running_mean": (3,), "running_var": (3,), "num_batches_tracked": ()},
        ),
        (nn.MaxPool2d(2), {}),
        (nn.CrossEntropyLoss([1.0, 2.0]), {"weight": (2,)}),
        (nn.BCEWithLogitsLoss(pos_weight=tcnn.ones(3)), {"pos_weight": (3,)}),
    ],
    ids=repr,
)
def test_names_and_shapes(layer, shapes):
    assert {name: t.shape for name, t in layer.state_dict().items()} == shapes
    assert "num_batches_tracked" not in shapes or layer.num_batches_tracked.dtype == "int64"


def test_the_default_dtype_is_float32_and_can_be_chosen():
    for make in (
        lambda **k: nn.Linear(3, 2, **k),
        lambda **k: nn.Conv2d(3, 2, 2, **k),
        lambda **k: nn.BatchNorm2d(2, **k),
    ):
        assert {p.dtype.name for p in make().parameters()} == {"float32"}
        assert {p.dtype.name for p in make(dtype="float64", device="cpu").parameters()} == {"float64"}
    assert nn.BatchNorm1d(2, dtype=tcnn.float16).running_var.dtype == "float16"


def test_batch_norm_running_means_by_hand():
    layer = nn.BatchNorm1d(1, momentum=0.5, eps=0.0)
    layer(tcnn.tensor([[1.0], [3.0]]))  # mean 2, unbiased variance 2
    assert (layer.running_mean.item(), layer.running_var.item()) == (1.0, 1.5)
    layer(tcnn.tensor([[5.0], [7.0]]))  # mean 6
    assert (layer.running_mean.item(), layer.running_var.item()) == (3.5, 1.75)
    assert layer.num_batches_tracked.item() == 2
    y = layer.eval()(tcnn.tensor([[3.5]]))
    assert y.item() == 0.0
    assert layer.num_batches_tracked.item() == 2
    layer.reset_running_stats()
    assert (layer.running_mean.item(), layer.running_var.item(), layer.num_batches_tracked.item()) == (0, 1, 0)


def test_batch_norm_cumulative_mean():
    layer = nn.BatchNorm1d(1, momentum=None)
    for batch in ([1.0, 3.0], [5.0, 7.0], [0.0, 2.0]):
        layer(tcnn.tensor(batch).reshape(2, 1))
    assert layer.running_mean.item() == pytest.approx((2 + 6 + 1) / 3)


def test_a_batch_that_is_refused_does_not_count():
    layer = nn.BatchNorm1d(3)
    for bad in (tcnn.ones(1, 3), tcnn.ones(4, 2)):
        with pytest.raises(ValueError, match=r"BatchNorm1d|batch_norm"):
            layer(bad)
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_mean.tolist() == [0.0] * 3


def test_batch_norm_without_running_means_uses_the_batch_in_eval():
    layer = nn.BatchNorm1d(1, track_running_stats=False, eps=0.0).eval()
    assert layer(tcnn.tensor([[1.0], [3.0]])).tolist() == [[-1.0], [1.0]]


def test_dropout_draws_from_its_generator():
    layer = nn.Dropout(0.3, generator=Generator(5))
    first = layer(tcnn.ones(50, 20)).numpy()
    assert set(np.unique(first.round(5))) == {0.0, np.float32(1 / 0.7).round(5)}
    assert abs((first == 0).mean() - 0.3) < 0.05
    assert (first != layer(tcnn.ones(50, 20)).numpy()).any()
    again = nn.Dropout(0.3, generator=Generator(5))
    assert (again(tcnn.ones(50, 20)).numpy() == first).all()
    assert (layer.eval()(tcnn.ones(4)).numpy() == 1).all()


def test_a_generator_makes_layers_reproducible():
    def build(seed):
        g = Generator(seed)
        return nn.Sequential(nn.Conv2d(2, 3, 2, generator=g), nn.Linear(4, 3, generator=g))

    a, b, c = build(1), build(1), build(2)
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), b.parameters()))
    assert all((p.numpy() != q.numpy()).any() for p, q in zip(a.parameters(), c.parameters()))
    tcnn.manual_seed(3)
    one = nn.Linear(4, 3)
    tcnn.manual_seed(3)
    two = nn.Linear(4, 3)
    assert (one.weight.numpy() == two.weight.numpy()).all()
    a[0].reset_parameters(Generator(1))
    assert (a[0].weight.numpy() == b[0].weight.numpy()).all()


def test_inplace_is_accepted_and_changes_no_input():
    inplace = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.SiLU, nn.Hardtanh, nn.ReLU6, nn.Dropout, nn.Dropout1d)
    for layer in (kind(inplace=True) for kind in inplace):
        x = tcnn.tensor([[-1.0, 2.0]])
        layer(x)
        assert x.tolist() == [[-1.0, 2.0]]
        assert "inplace=True" in repr(layer)


def test_class_weights_move_with_the_module():
    loss = nn.CrossEntropyLoss([1.0, 2.0, 3.0]).double()
    assert loss.weight.dtype == "float64"


def test_functional_is_the_same_under_both_names():
    from tinygrad_cnn import functional

    assert {"conv2d", "linear", "cross_entropy"} <= set(functional.__all__)
    assert all(getattr(F, name) is getattr(functional, name) for name in functional.__all__)
    assert nn.functional is F


def test_functional_offers_what_its_files_define():
    """A function that is added to a file and forgotten in the package's list is found here."""
    from tinygrad_cnn import functional

    topics = {m.name for m in pkgutil.iter_modules(functional.__path__)} - {"arguments"}
    defined = []
    for topic in topics:
        module = importlib.import_module(f"tinygrad_cnn.functional.{topic}")
        own = [n for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__]
        defined += [name for name in own if not name.startswith("_")]
        assert f"| `{topic}` |" in functional.__doc__
    assert sorted(defined) == sorted(functional.__all__)
    assert all(name in functional.__doc__ for name in functional.__all__)
    assert all(inspect.isfunction(getattr(functional, name)) for name in functional.__all__)


# ---- messages
@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Linear(0, 3), ValueError, "Linear: in_features=0 must be at least 1"),
        (lambda: nn.Linear(3, 2.5), TypeError, "Linear: out_features=2.5 must be a whole number"),
        (lambda: nn.Linear(True, 2), TypeError, "in_features=True must be a whole number"),
        (lambda: nn.Conv2d(4, 6, 3, groups=3), ValueError, "groups=3 does not divide in_channels=4.*must divide 2"),
        (lambda: nn.Conv2d(4, 6, 3, groups=4), ValueError, "groups=4 does not divide out_channels=6"),
        (lambda: nn.Conv2d(4, 6, 0), ValueError, "Conv2d: kernel_size=0 must be at least 1"),
        (lambda: nn.Conv2d(4, 6, (3, 3, 3)), ValueError, r"kernel_size=\(3, 3, 3\) must be one whole number, or two"),
        (lambda: nn.Conv2d(4, 6, 3, stride=0), ValueError, "stride=0"),
        (lambda: nn.Conv2d(4, 6, 3, padding=-1), ValueError, "padding=-1 must be at least 0"),
        (lambda: nn.Conv2d(4, 6, 3, padding="full"), ValueError, 'must be "valid", "same"'),
        (lambda: nn.Conv2d(4, 6, 3, stride=2, padding="same"), ValueError, "needs stride 1"),
        (
            lambda: nn.Conv2d(4, 6, 3, padding_mode="mirror"),
            ValueError,
            "padding_mode='mirror' must be one of \"zeros\"",
        ),
        (lambda: nn.MaxPool2d(2, padding=2), ValueError, "padding=2 must be at most half of kernel_size=2"),
        (lambda: nn.AvgPool2d((2, 0)), ValueError, "AvgPool2d: kernel_size=0"),
        (lambda: nn.AvgPool2d(2, divisor_override=0), ValueError, "AvgPool2d: divisor_override=0: nothing can be"),
        (lambda: nn.MaxPool1d((2, 2)), ValueError, r"MaxPool1d: kernel_size=\(2, 2\) must be one whole number"),
        (lambda: nn.LPPool3d(2, (2, 2)), ValueError, "LPPool3d: kernel_size=.* or three: .slices, rows, columns."),
        (lambda: nn.MaxUnpool2d(2, 0), ValueError, "MaxUnpool2d: stride=0 must be at least 1"),
        (lambda: nn.AdaptiveAvgPool2d(0), ValueError, "AdaptiveAvgPool2d: output_size=0 must be .* or 2 of them"),
        (lambda: nn.AdaptiveMaxPool1d((2, 2)), ValueError, r"AdaptiveMaxPool1d: output_size=\(2, 2\) must be .* None$"),
        (lambda: nn.Conv2d(1, 1, 3, padding="sam"), ValueError, "^Conv2d: padding='sam' must be"),
        (lambda: nn.Subsampling2d(6, 2)(tcnn.ones(1, 3, 4, 4)), ValueError, "Subsampling2d: x .* must have channels=6"),
        (lambda: nn.FeatureLPPool(2, 0), ValueError, "FeatureLPPool: channels_per_group=0 must be at least 1"),
        (
            lambda: nn.MaxPool2d(3).output_shape((6, 2, 8)),
            ValueError,
            r"MaxPool2d on \(6, 2, 8\): .* 3 pixels .* into 2",
        ),
        (lambda: nn.LPPool1d(2, 3).output_shape((4, 6, 8)), ValueError, r"one sample is \(C, L\), without the batch"),
        (
            lambda: nn.FeatureLPPool(2, 9).output_shape((6, 2, 8)),
            ValueError,
            r"FeatureLPPool: \(6, 2, 8\) has 6 channels, fewer than a group of .*=9; use",
        ),
        (lambda: nn.BatchNorm2d(0), ValueError, "BatchNorm2d: num_features=0"),
        (
            lambda: nn.BatchNorm2d(3)(tcnn.ones(2, 3)),
            ValueError,
            r"BatchNorm2d: x has shape \(2, 3\), it must be \(N, C, H, W\)",
        ),
        (lambda: nn.BatchNorm1d(3)(tcnn.ones(2, 3, 4, 5)), ValueError, r"it must be \(N, C\) or \(N, C, L\)"),
        (lambda: nn.BatchNorm2d(3)(tcnn.ones(2, 4, 5, 6)), ValueError, "axis 1 must be num_features=3; make the layer"),
        (
            lambda: nn.Conv2d(2, 2, 5, padding=4, padding_mode="reflect")(tcnn.ones(1, 2, 4, 9)),
            ValueError,
            "pad: mode='reflect' can repeat at most 3 of the 4 entries of dimension 2",
        ),
        (lambda: nn.Conv1d(4, 6, (3, 3)), ValueError, r"Conv1d: kernel_size=\(3, 3\) must be one whole number$"),
        (lambda: nn.Conv3d(4, 6, (3, 3)), ValueError, r"Conv3d: kernel_size=\(3, 3\) must be one .* or three"),
        (lambda: nn.ConvTranspose2d(4, 6, 3, padding="same"), TypeError, "ConvTranspose2d: padding='same' must be"),
        (lambda: nn.ConvTranspose2d(4, 6, 3, groups=4), ValueError, "groups=4 does not divide out_channels=6"),
        (lambda: nn.ConvTranspose1d(4, 6, 3, output_padding=-1), ValueError, "output_padding=-1 must be at least 0"),
        (
            lambda: nn.ConvTranspose1d(4, 6, 3, padding_mode="circular"),
            ValueError,
            "ConvTranspose1d: padding_mode='circular' must be one of \"zeros\"",
        ),
        (
            lambda: nn.ConvTranspose1d(4, 6, 3, stride=2)(tcnn.ones(1, 4, 5), output_size=(13,)),
            ValueError,
            r"ConvTranspose1d: output_size=\(13,\) cannot be reached from x \(1, 4, 5\).*between \(11,\) and \(12,\)",
        ),
        (
            lambda: nn.ZeroPad2d((1, 2)),
            ValueError,
            r"ZeroPad2d: padding=\(1, 2\) must be .* 4: \(left, right, top, bottom",
        ),
        (lambda: nn.ReflectionPad1d(1.5), ValueError, "ReflectionPad1d: padding=1.5 must be one whole number, or 2"),
        (lambda: nn.Upsample()(tcnn.ones(1, 1, 2)), ValueError, "give size=… or scale_factor=…"),
        (lambda: nn.Dropout(1.5), ValueError, "Dropout: p=1.5 must be a probability"),
        (lambda: nn.Softmax()(tcnn.ones(2, 3)), ValueError, r"write Softmax\(dim=1\)"),
        (lambda: nn.LogSoftmax()(tcnn.ones(2, 3)), ValueError, r"write LogSoftmax\(dim=1\)"),
        (
            lambda: nn.MSELoss(reduction="avg"),
            ValueError,
            'MSELoss: reduction=\'avg\' must be one of "none", "mean", "sum"',
        ),
        (lambda: nn.CrossEntropyLoss(label_smoothing=2), ValueError, "label_smoothing=2"),
        (lambda: nn.Conv2d(3, 6, 3)(tcnn.ones(2, 1, 7, 6)), ValueError, "C=3|3 .*channels"),
        (lambda: nn.Linear(9, 4)(tcnn.ones(2, 1, 3, 3)), ValueError, "flatten"),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()


# ---- against PyTorch
@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")


IMAGE, LINE, VOLUME = (4, 6, 9, 7), (3, 6, 9), (2, 4, 5, 4, 6)
FORWARD = [
    ("Linear", (7, 5), {}, (4, 3, 7)),
    ("Linear", (7, 5, False), {}, (4, 7)),
    ("Conv2d", (6, 4, (3, 2)), {}, IMAGE),
    ("Conv2d", (6, 4, 3, 2, 1), {}, IMAGE),
    ("Conv2d", (6, 4, (3, 2), (2, 1), (1, 0), (1, 2)), {"groups": 2}, IMAGE),
    ("Conv2d", (6, 12, 3), {"groups": 6, "bias": False}, IMAGE),
    ("Conv2d", (6, 4, (4, 3)), {"padding": "same", "dilation": (1, 2)}, IMAGE),
    ("Conv2d", (6, 4, 3), {"padding": "valid"}, IMAGE),
    ("Conv2d", (6, 4, (3, 2)), {}, IMAGE[1:]),
    ("Conv1d", (6, 4, 3), {}, LINE),
    ("Conv1d", (6, 4, 3, 2, 1, 2, 2, False), {}, LINE),
    ("Conv1d", (6, 4, 4), {"padding": "same"}, LINE[1:]),
    ("Conv3d", (4, 6, (3, 1, 2)), {}, VOLUME),
    ("Conv3d", (4, 6, 2, (2, 1, 2), 1), {"groups": 2, "dilation": (1, 2, 1)}, VOLUME),
    ("Conv3d", (4, 3, 3), {"padding": "same", "bias": False}, VOLUME[1:]),
    ("ConvTranspose1d", (6, 4, 3, 2, 1, 1, 2), {}, LINE),
    ("ConvTranspose1d", (6, 4, 3), {"bias": False, "dilation": 2}, LINE[1:]),
    ("ConvTranspose2d", (6, 4, (3, 2)), {}, IMAGE),
    ("ConvTranspose2d", (6, 4, (3, 2), (2, 3), (1, 0), (1, 2), 2, True, (1, 2)), {}, IMAGE),
    ("ConvTranspose2d", (6, 4, 2), {"dilation": 3, "output_padding": (2, 1)}, IMAGE[1:]),
    ("ConvTranspose3d", (4, 6, (2, 3, 1), (1, 2, 3), 1, (0, 1, 2), 2), {}, VOLUME),
    ("ConstantPad1d", ((1, 2), 3.5), {}, LINE),
    ("ConstantPad2d", ((1, 2, -3, 1), -1.5), {}, IMAGE),
    ("ConstantPad3d", (1, 2), {}, VOLUME),
    ("ZeroPad1d", (2,), {}, LINE),
    ("ZeroPad2d", ((1, 2, 0, 3),), {}, IMAGE),
    ("ZeroPad3d", ((1, 2, 0, 3, 1, 1),), {}, VOLUME),
    *[
        (f"{kind}Pad{rank}d", (padding,), {}, shape)
        for kind in ("Reflection", "Replication", "Circular")
        for rank, padding, shape in ((1, (2, 1), LINE), (2, (1, 2, 0, 3), IMAGE), (2, 2, IMAGE[1:]), (3, 1, VOLUME))
    ],
    ("Upsample", (), {"scale_factor": 2}, IMAGE),
    ("Upsample", ((5, 10),), {}, IMAGE),
    ("Upsample", (None, 1.7, "linear", True), {}, LINE),
    ("Upsample", (), {"scale_factor": (1.7, 2), "mode": "bilinear", "recompute_scale_factor": True}, IMAGE),
    ("Upsample", (7,), {"mode": "trilinear", "align_corners": False}, VOLUME),
    ("UpsamplingNearest2d", (), {"scale_factor": 3}, IMAGE),
    ("UpsamplingBilinear2d", ((5, 10),), {}, IMAGE),
    ("MaxPool2d", (2,), {}, IMAGE),
    ("MaxPool2d", ((3, 2), (2, 1), (1, 0)), {}, IMAGE),
    ("MaxPool2d", (3, 2, 1), {"ceil_mode": True, "dilation": (1, 2)}, IMAGE),
    ("AvgPool2d", (2,), {}, IMAGE),
    ("AvgPool2d", ((3, 2), 2, (1, 1)), {"count_include_pad": False, "ceil_mode": True}, IMAGE),
    ("AvgPool2d", (2,), {"divisor_override": 3}, IMAGE),
    ("MaxPool1d", (3, 2, 1), {"ceil_mode": True}, (4, 6, 8)),
    ("MaxPool3d", ((2, 1, 2), 2), {}, (2, 3, 4, 5, 3)),
    ("AvgPool1d", (2, 1), {"count_include_pad": False, "padding": 1}, (6, 8)),
    ("AvgPool1d", (2,), {}, (4, 6, 8)),
    ("AvgPool3d", ((1, 2, 2),), {"divisor_override": 3}, (2, 3, 4, 5, 3)),
    ("LPPool1d", (2, 3), {"stride": 2, "ceil_mode": True}, (4, 6, 8)),
    ("LPPool2d", (2, (3, 2)), {}, IMAGE),
    ("LPPool3d", (4, 2, 1), {}, (2, 3, 4, 5, 3)),
    ("AdaptiveMaxPool1d", (3,), {}, (4, 6, 8)),
    ("AdaptiveMaxPool2d", ((None, 3),), {}, IMAGE),
    ("AdaptiveMaxPool3d", (2,), {}, (2, 3, 4, 5, 3)),
    ("AdaptiveAvgPool1d", (3,), {}, (4, 6, 8)),
    ("AdaptiveAvgPool2d", ((3, None),), {}, IMAGE),
    ("AdaptiveAvgPool2d", (1,), {}, (6, 9, 7)),
    ("AdaptiveAvgPool3d", ((1, 2, 3),), {}, (2, 3, 4, 5, 3)),
    ("BatchNorm1d", (6,), {}, (5, 6)),
    ("BatchNorm1d", (6,), {"momentum": None, "eps": 1e-3}, (5, 6, 4)),
    ("BatchNorm2d", (6,), {"momentum": 0.3}, IMAGE),
    ("BatchNorm2d", (6,), {"affine": False}, IMAGE),
    ("BatchNorm2d", (6,), {"bias": False}, IMAGE),
    ("BatchNorm2d", (6,), {"track_running_stats": False}, IMAGE),
    ("BatchNorm2d", (6,), {"affine": False, "track_running_stats": False, "momentum": None}, IMAGE),
    ("BatchNorm3d", (6,), {"momentum": None}, (2, 6, 3, 2, 4)),
    ("InstanceNorm1d", (6,), {}, (5, 6, 4)),
    ("InstanceNorm1d", (6,), {"affine": True, "track_running_stats": True}, (6, 4)),
    ("InstanceNorm2d", (6, 1e-3, 0.3, True, True), {}, IMAGE),
    ("InstanceNorm2d", (6,), {"track_running_stats": True, "momentum": None}, IMAGE),
    ("InstanceNorm3d", (6,), {"affine": True, "bias": False}, (2, 6, 3, 2, 4)),
    ("GroupNorm", (3, 6), {}, IMAGE),
    ("GroupNorm", (2, 6, 1e-2), {"bias": False}, (4, 6)),
    ("GroupNorm", (6, 6), {"affine": False}, IMAGE),
    ("LayerNorm", (7,), {}, IMAGE),
    ("LayerNorm", ([9, 7],), {"eps": 1e-2, "bias": False}, IMAGE),
    ("LayerNorm", ((6, 9, 7),), {"elementwise_affine": False}, IMAGE),
    ("LocalResponseNorm", (5,), {}, IMAGE),
    ("LocalResponseNorm", (4, 0.5, 0.6, 2), {}, IMAGE),
    ("Flatten", (), {}, IMAGE),
    ("Flatten", (2, 3), {}, IMAGE),
    ("Identity", (3,), {"what": "ever"}, IMAGE),
    ("ReLU", (), {}, IMAGE),
    ("LeakyReLU", (), {}, IMAGE),
    ("LeakyReLU", (0.3,), {}, IMAGE),
    ("PReLU", (), {}, IMAGE),
    ("PReLU", (6, 0.1), {}, IMAGE),
    ("ELU", (0.7,), {}, IMAGE),
    ("SELU", (), {}, IMAGE),
    ("GELU", (), {}, IMAGE),
    ("GELU", ("tanh",), {}, IMAGE),
    ("SiLU", (), {}, IMAGE),
    ("Hardtanh", (-0.5, 2), {}, IMAGE),
    ("ReLU6", (), {}, IMAGE),
    ("Softplus", (2, 1.5), {}, IMAGE),
    ("LogSigmoid", (), {}, IMAGE),
    ("Softmax2d", (), {}, IMAGE),
    ("Sigmoid", (), {}, IMAGE),
    ("Tanh", (), {}, IMAGE),
    ("Softmax", (1,), {}, IMAGE),
    ("LogSoftmax", (), {"dim": -1}, IMAGE),
    ("Dropout", (0.0,), {}, IMAGE),
    ("Dropout1d", (0.0,), {"inplace": True}, (4, 6, 9)),
    ("Dropout2d", (1.0,), {}, IMAGE),
    ("Dropout3d", (0.0,), {}, (6, 2, 3, 4)),
]
ids = [f"{name}-{i}" for i, (name, *_) in enumerate(FORWARD)]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize(("name", "args", "options", "shape"), FORWARD, ids=ids)
def test_same_values_gradients_text_and_state_as_pytorch(torch, name, args, options, shape):
    ours = getattr(nn, name)(*args, **options).double()
    theirs = getattr(torch.nn, name)(*args, **options).double()
    assert repr(ours) == repr(theirs)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(len(repr(args)))
    for mode in (True, True, False):
        x = rng.normal(size=shape)
        p, q = tcnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours.train(mode)(p), theirs.train(mode)(q)
        np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-12)
        dy = rng.normal(size=y.shape)
        ours.zero_grad()
        theirs.zero_grad()
        y.backward(dy)
        z.backward(torch.from_numpy(dy))
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-8, atol=1e-11)
        for a, b in zip(ours.parameters(), theirs.parameters()):
            np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-8, atol=1e-10)
        for key, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-10, err_msg=key)


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(2, 1, 0), "same"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_padding_modes_as_pytorch(torch, mode, padding, rank):
    name, stride = f"Conv{rank}d", 1 if padding == "same" else (2, 1, 1)[:rank]
    options = {"padding": padding if padding == "same" else padding[:rank], "stride": stride, "padding_mode": mode}
    ours = getattr(nn, name)(2, 3, (4, 3, 2)[:rank], **options, dtype="float64")
    theirs = getattr(torch.nn, name)(2, 3, (4, 3, 2)[:rank], **options, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    shape = (2, 2, 6, 5, 4)[: rank + 2]
    x = np.random.default_rng(0).normal(size=shape)
    p, q = tcnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(p), theirs(q)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10)
    assert ours.output_shape(shape[1:]) == y.shape[1:]
    dy = np.random.default_rng(1).normal(size=y.shape)
    y.backward(dy)
    z.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy(), rtol=1e-10)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(10, 9), (12, 12), (4, 4, 11, 10)])
@pytest.mark.parametrize("batch", [True, False])
def test_transposed_convolutions_reach_a_size_as_pytorch(torch, size, batch):
    ours = nn.ConvTranspose2d(6, 4, 3, stride=(3, 4), padding=1, dtype="float64")
    theirs = torch.nn.ConvTranspose2d(6, 4, 3, stride=(3, 4), padding=1, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).normal(size=(4, 6, 4, 3)[not batch :])
    size = size if batch else size[-2:]
    y, z = ours(tcnn.tensor(x), output_size=size), theirs(torch.from_numpy(x), output_size=size)
    assert y.shape[-2:] == size[-2:]
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10)


LOSSES = [
    ("CrossEntropyLoss", {"reduction": "sum"}, "classes"),
    ("CrossEntropyLoss", {"weight": [0.5, 2.0, 1.0], "ignore_index": 1, "label_smoothing": 0.2}, "classes"),
    ("NLLLoss", {}, "classes"),
    ("NLLLoss", {"weight": [0.5, 2.0, 1.0], "ignore_index": 2, "reduction": "none"}, "classes"),
    ("MSELoss", {}, "values"),
    ("MSELoss", {"reduction": "none"}, "values"),
    ("BCEWithLogitsLoss", {}, "values"),
    ("BCEWithLogitsLoss", {"weight": [0.5, 2.0, 1.0], "pos_weight": [3.0, 1.0, 2.0], "reduction": "sum"}, "values"),
]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options", "kind"), LOSSES, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(LOSSES)])
def test_losses_as_pytorch(torch, name, options, kind):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(7, 3))
    target = rng.integers(0, 3, size=7) if kind == "classes" else rng.uniform(size=(7, 3))
    tensors = {k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in options.items()}
    ours, theirs = getattr(nn, name)(**options).double(), getattr(torch.nn, name)(**tensors)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    p, q = tcnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(p, tcnn.tensor(target)), theirs(q, torch.from_numpy(target))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12)
    dy = rng.normal(size=y.shape)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-10, atol=1e-14)


GEOMETRY = [case for case in FORWARD if any(word in case[0] for word in ("Conv", "Pad", "Upsampl"))]


@pytest.mark.parametrize(
    ("name", "args", "options", "shape"), GEOMETRY, ids=[f"{case[0]}-{i}" for i, case in enumerate(GEOMETRY)]
)
def test_shapes_are_known_without_running(name, args, options, shape):
    layer = getattr(nn, name)(*args, **options)
    sample = shape if len(shape) == {"1": 2, "2": 3, "3": 4}.get(name[-2], len(shape) - 1) else shape[1:]
    assert layer.output_shape(sample) == layer(tcnn.zeros(2, *sample)).shape[1:]


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (nn.Conv2d(3, 6, 3), (1, 8, 8), r"Conv2d: it wants 3 channels, \(1, 8, 8\) has 1; make it with in_channels=1"),
        (nn.Conv2d(3, 6, 3), (2, 3, 8, 8), r"Conv2d: one sample is \(C, H, W\), without the batch axis; got"),
        (
            nn.Conv2d(3, 6, 5, padding=1),
            (3, 2, 8),
            r"Conv2d: x \(3, 2, 8\), kernel .* 5 .* 2 and 1 \+ 1 of padding: .*; use",
        ),
        (nn.Conv1d(3, 6, 5, padding=4, padding_mode="reflect"), (3, 4), "Conv1d: mode='reflect' .* at most 3 of the 4"),
        (nn.ConvTranspose2d(3, 6, 3), (1, 8, 8), "ConvTranspose2d: it wants 3 channels"),
        (nn.ConvTranspose1d(3, 6, 3, padding=2), (3, 1), "ConvTranspose1d: .* = -1 pixels would be left"),
        (nn.ConvTranspose1d(3, 6, 3, output_padding=1), (3, 4), "ConvTranspose1d: .*output_padding 1 must be"),
        (nn.ReflectionPad2d(3), (1, 3, 4), r"ReflectionPad2d: .* at most 2 of the 3 entries of dimension 1"),
        (nn.ZeroPad2d(1), (3, 4), r"ZeroPad2d: one sample is \(C, H, W\)"),
        (nn.Upsample(5, mode="bilinear"), (3, 4), "Upsample: mode='bilinear' does not fit 1 axes"),
        (nn.UpsamplingNearest2d(scale_factor=0.1), (3, 4, 4), r"UpsamplingNearest2d: .* would become \(0, 0\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_shapes_that_cannot_be(layer, shape, text):
    with pytest.raises(tcnn.ShapeError, match=text):
        layer.output_shape(shape)


# what PyTorch does not have
OUR_OWN = (
    "ConnectionConv2d",
    "EuclideanRBF",
    "FeatureLPPool",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "MAPLoss",
    "ScaledTanh",
    "Subsampling2d",
)


@pytest.mark.torch
@pytest.mark.parametrize("name", nn.__all__)
def test_signatures_are_pytorchs(torch, name):
    """Same names in the same order with the same defaults; deprecated and torch-only arguments may be absent."""
    ours = getattr(nn, name)
    if not inspect.isclass(ours) or name == "Parameter" or name in OUR_OWN:
        return
    absent = {"size_average", "reduce", "min_value", "max_value", "args", "kwargs"}
    mine = {n: p.default for n, p in inspect.signature(ours).parameters.items() if n not in {"generator", *absent}}
    theirs = {n: p.default for n, p in inspect.signature(getattr(torch.nn, name)).parameters.items() if n not in absent}
    assert mine == theirs
