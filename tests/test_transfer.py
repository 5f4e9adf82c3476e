"""Transfer learning: freezing, new heads, features of inner layers, nearest neighbours, ensembles."""

import copy
import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, models, nn, optim, tables, training
from tinygrad_cnn.checks import gradcheck
from tinygrad_cnn.models import feature_space
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import ShapeError

ROOT = Path(__file__).parents[1]


def small():
    """Two convolutions with batch norms, dropout, two fully connected layers, for 1×7×5 images."""
    return nn.Sequential(
        {
            "features": nn.Sequential(
                {"conv": nn.Conv2d(1, 3, 3), "bn": nn.BatchNorm2d(3), "act": nn.ReLU(), "drop": nn.Dropout(0.5)}
            ),
            "features2": nn.Sequential(nn.Conv2d(3, 2, (2, 1)), nn.BatchNorm2d(2)),
            "flat": nn.Flatten(),
            "fc1": nn.Linear(2 * 4 * 3, 6),
            "fc2": nn.Linear(6, 4),
        }
    )


@pytest.fixture
def x(rng):
    return tcnn.Tensor(rng.normal(size=(9, 1, 7, 5)).astype("float32"))


@pytest.fixture
def y():
    return tcnn.Tensor(np.arange(9) % 4)


def state(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def moved(before, model):
    return [name for name, tensor in model.state_dict().items() if not np.array_equal(before[name], tensor.numpy())]


# freezing


def test_freezing_goes_by_path_not_by_letters():
    model = small()
    names = models.freeze(model, "features")
    assert names == ("features.conv.weight", "features.conv.bias", "features.bn.weight", "features.bn.bias")
    assert tuple(name for name, p in model.named_parameters() if not p.requires_grad) == names
    assert models.freeze(model, "fc1.bias", "fc2") == ("fc1.bias", "fc2.weight", "fc2.bias")
    assert model.fc1.weight.requires_grad
    assert models.unfreeze(model, "features.conv", "fc2.bias") == (
        "features.conv.weight",
        "features.conv.bias",
        "fc2.bias",
    )
    assert models.freeze(model) == tuple(name for name, _ in model.named_parameters())
    assert model.num_parameters(trainable_only=True) == 0
    models.unfreeze(model)
    assert all(p.requires_grad for p in model.parameters())


def test_what_is_frozen_does_not_move_and_everything_else_does(x, y):
    model = small()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    training.train_step(model, x, y, optimizer)  # now there are gradients and momentum
    names = models.freeze(model, "features", "fc1.weight")
    assert all(model.get_parameter(name).grad is None for name in names)
    before = state(model)
    optimizer.step()  # without zero_grad: the gradients of what is frozen are gone
    model.train()
    training.fit(model, [(x, y)] * 2, optimizer, epochs=2)
    kept = [name for name in before if name.startswith("features.") or name == "fc1.weight"]
    assert len(kept) == 8  # five of them the batch norm's
    assert moved(before, model) == [name for name in before if name not in kept]


def test_frozen_batch_norms_use_their_statistics_and_dropout_goes_on(x):
    model = small()
    model(x)
    models.freeze(model, "features")
    wanted = F.batch_norm(
        model.features.conv(x),
        model.features.bn.running_mean,
        model.features.bn.running_var,
        model.features.bn.weight,
        model.features.bn.bias,
    )
    model.train()
    before = state(model)
    y = model.features.bn(model.features.conv(x))
    np.testing.assert_allclose(y.numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)
    dropped = model.features(x).numpy() == 0
    assert dropped.mean() > (wanted.numpy() <= 0).mean() + 0.1
    copied = copy.deepcopy(model).train()
    copied(x)
    assert moved(before, copied) == [f"features2.1.{n}" for n in ("running_mean", "running_var", "num_batches_tracked")]


def test_batch_norms_learn_again_after_unfreezing_once(x):
    model = small()
    models.freeze(model)
    models.freeze(model, "features")  # a second time
    models.unfreeze(model, "features")
    before = state(model)
    assert model.features.bn.training
    assert not model.features2[1].training
    model(x)
    assert moved(before, model) == [f"features.bn.{n}" for n in ("running_mean", "running_var", "num_batches_tracked")]
    models.unfreeze(model.eval())
    assert not model.features.bn.training  # as the model


def test_an_optimizer_made_before_unfreezing_takes_up_the_rest(x, y):
    model = small()
    models.freeze(model, "features", "features2", "fc1")
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    before = state(model)
    training.train_step(model, x, y, optimizer)
    assert moved(before, model) == ["fc2.weight", "fc2.bias"]
    models.unfreeze(model, "fc1")
    training.train_step(model, x, y, optimizer)
    assert moved(before, model) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]


@pytest.mark.parametrize("function", [models.freeze, models.unfreeze])
def test_an_unknown_part_is_refused_before_anything_is_frozen(function):
    model = small()
    with pytest.raises(
        ValueError, match=rf"{function.__name__}: Sequential has no 'feature' \(did you mean 'features'"
    ):
        function(model, "fc1", "feature")
    assert model.fc1.weight.requires_grad
    for wrong, kind in [(model.features, "Sequential"), (["features"], "list")]:  # as in other packages
        with pytest.raises(TypeError, match=rf"given by their names, such as 'features', one by one; not as {kind}"):
            models.freeze(model, wrong)
        with pytest.raises(TypeError, match=r"given by their names"):
            models.features(model, tcnn.zeros(1), wrong)
    with pytest.raises(ValueError, match=r"no 'weight'.*; it has features, features.conv, .*, fc2.weight, fc2.bias$"):
        function(model, "weight")


# new heads


def test_the_last_linear_layer_is_replaced():
    model = small()
    old = model.fc2
    models.freeze(model)
    assert models.replace_head(model, 7, generator=Generator(3)) == "fc2"
    assert list(model.state_dict()) == list(small().state_dict())
    assert model.fc2.weight.shape == (7, 6)
    assert model.fc2 is not old
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["fc2.weight", "fc2.bias"]
    assert model.fc2.weight.tolist() == nn.Linear(6, 7, generator=Generator(3)).weight.tolist()
    assert model(tcnn.zeros(2, 1, 7, 5)).shape == (2, 7)


def test_the_new_head_is_like_the_old_one():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5, bias=False)).double().eval()
    assert models.replace_head(model, 2) == "2"
    assert repr(model[2]) == "Linear(in_features=4, out_features=2, bias=False)"
    assert model[2].weight.dtype == np.float64
    assert not model[2].training
    assert models.replace_head(model, 4, name="0") == "0"
    assert model(tcnn.zeros(1, 3, dtype="float64")).shape == (1, 2)


def test_heads_of_the_models():
    assert models.replace_head(models.LeNet5("caffe"), 3) == "classifier.fc2"
    model = models.GoogLeNet("cifar", width=0.125)
    for name in ("aux1.fc2", "aux2.fc2", "fc"):
        assert models.replace_head(model, 12, name=name) == name
    assert [scores.shape for scores in model(tcnn.zeros(2, 3, 32, 32))] == [(2, 12)] * 3


def test_what_is_no_linear_head_is_refused():
    with pytest.raises(
        ValueError, match=r"last layer with weights, 'classifier.rbf', is a EuclideanRBF.*classifier.f6"
    ):
        models.replace_head(models.LeNet5("1998"), 5)
    with pytest.raises(ValueError, match=r"'1', is a BatchNorm1d, and only an nn.Linear .*name=… \(0\)"):
        models.replace_head(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, affine=False)), 5)
    with pytest.raises(ValueError, match=r"'the model itself', is a Linear, and only"):
        models.replace_head(nn.Linear(2, 3), 5)
    with pytest.raises(ValueError, match=r"replace_head: ReLU has no layer with weights"):
        models.replace_head(nn.ReLU(), 5)
    with pytest.raises(ValueError, match=r"no 'fc3' \(did you mean 'fc\d'\?\)"):
        models.replace_head(small(), 5, name="fc3")
    with pytest.raises(ShapeError, match=r"out_features"):
        models.replace_head(small(), 0)


# parameter groups


def test_groups_hold_every_parameter_once_at_the_rate_of_its_longest_name():
    model = small()
    models.freeze(model, "features2")
    groups = models.parameter_groups(model, 0.5, {"features": 0.1, "fc2.bias": 0.3, "features.conv": 0.2})
    names = {p: name for name, p in model.named_parameters()}
    assert [(g["name"], g["lr"], [names[p] for p in g["params"]]) for g in groups] == [
        ("features", 0.1, ["features.bn.weight", "features.bn.bias"]),
        ("fc2.bias", 0.3, ["fc2.bias"]),
        ("features.conv", 0.2, ["features.conv.weight", "features.conv.bias"]),
        ("", 0.5, [n for n in names.values() if n.startswith("features2.") or n in ("fc1.weight", "fc1.bias")]
         + ["fc2.weight"]),
    ]  # fmt: skip


def test_each_group_takes_steps_of_its_own_length(x, y):
    model = small()
    before = state(model)
    optimizer = optim.SGD(models.parameter_groups(model, 0.5, {"features": 0.05, "fc1": 0.0}), lr=9.0)
    training.train_step(model, x, y, optimizer)
    rates = {"features": 0.05, "features2": 0.5, "fc1": 0.0, "fc2": 0.5}
    for name, p in model.named_parameters():
        step = rates[name.partition(".")[0]] * p.grad
        np.testing.assert_allclose(p.numpy(), before[name] - step, rtol=1e-5, atol=1e-7, err_msg=name)
    assert optim.SGD(models.parameter_groups(model, 0.5, {"features": 0.05, "fc1": 0.0})).state_dict()


def test_groups_without_rest_and_without_parameters():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    assert [g["name"] for g in models.parameter_groups(model, 0.5, {"0": 0.1})] == ["0"]
    assert [(g["name"], g["lr"]) for g in models.parameter_groups(model, 0.5, {"": 0.1})] == [("", 0.1)]
    with pytest.raises(ValueError, match=r"no parameters are left for '1'"):
        models.parameter_groups(model, 0.5, {"1": 0.1})
    with pytest.raises(ValueError, match=r"no parameters are left for '0'"):
        models.parameter_groups(model, 0.5, {"0": 0.1, "0.weight": 0.2, "0.bias": 0.2})
    with pytest.raises(ValueError, match=r"parameter_groups: Sequential has no '2'"):
        models.parameter_groups(model, 0.5, {"2": 0.1})


# features


def test_features_are_what_the_parts_give_by_hand(x):
    model = small()
    model(x)  # so that the running means are not those of the beginning
    before = state(model)
    found = models.features(model, x, "fc1", "features", "features.act", "")
    assert moved(before, model) == []
    model.eval()
    maps = model.features(x)
    hidden = model.fc1(model.flat(model.features2(maps)))
    assert list(found) == ["fc1", "features", "features.act", ""]
    np.testing.assert_array_equal(found["features"].numpy(), maps.numpy())
    np.testing.assert_array_equal(found["features.act"].numpy(), maps.numpy())  # dropout does nothing here
    np.testing.assert_array_equal(found["fc1"].numpy(), hidden.numpy())
    np.testing.assert_array_equal(found[""].numpy(), model(x).numpy())
    assert not any(output.requires_grad for output in found.values())


def test_features_of_a_loader_are_those_of_all_its_batches(x):
    model = small()
    whole = models.features(model, x, "fc1")
    samples = data.TensorDataset(x, tcnn.arange(9))
    for loader in (data.DataLoader(samples, 4), [x[:4], x[4:]], iter([(x[:8],), (x[8:],)])):
        np.testing.assert_allclose(models.features(model, loader, "fc1").numpy(), whole.numpy(), rtol=1e-5, atol=1e-6)


def test_modes_come_back_and_hooks_go_also_after_errors(x):
    model = small()
    model.features2.eval()
    modes = [module.training for module in model.modules()]
    assert True in modes
    assert False in modes
    models.features(model, x, "fc1")
    with pytest.raises(ShapeError):
        models.features(model, x[:, :, :4], "fc1", "features")
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert model(x).requires_grad


class Twisted(nn.Module):
    """A shared layer, a forgotten one, one with two outputs, and a result that is changed in place."""

    def __init__(self):
        super().__init__()
        self.shared, self.forgotten, self.first, self.last = nn.ReLU(), nn.ReLU(), nn.Linear(2, 2), nn.Identity()

    def forward(self, x):
        x = self.first(x)
        x += 1.0
        return self.last((self.shared(self.shared(x)), x))


def test_a_result_that_is_changed_later_was_copied():
    model, x = Twisted(), tcnn.ones(3, 2)
    np.testing.assert_array_equal(models.features(model, x, "first").numpy(), model.first(x).numpy())


def test_wrong_requests_for_features_are_refused(x):
    model = Twisted()
    with pytest.raises(ValueError, match=r"'shared' was called 2 times in one forward pass"):
        models.features(model, tcnn.ones(3, 2), "shared")
    with pytest.raises(ValueError, match=r"'forgotten' was not called"):
        models.features(model, tcnn.ones(3, 2), "first", "forgotten")
    with pytest.raises(TypeError, match=r"'last' returns tuple, not a tensor"):
        models.features(model, tcnn.ones(3, 2), "last")
    model = small()
    with pytest.raises(ValueError, match=r"no 'fc' \(did you mean 'fc\d'\?\); it has features, .*, fc1, fc2$"):
        models.features(model, x, "fc")
    with pytest.raises(ValueError, match=r"name at least one module"):
        models.features(model, x)
    with pytest.raises(ValueError, match=r"this loader shuffles"):
        models.features(model, data.DataLoader(data.TensorDataset(x), 4, shuffle=True), "fc1")
    with pytest.raises(ValueError, match=r"gave no batches"):
        models.features(model, [], "fc1")
    with pytest.raises(TypeError, match=r"not ndarray of ndarray; make a tensor"):
        models.features(model, x.numpy(), "fc1")
    long = nn.Sequential(*[nn.ReLU() for _ in range(50)])
    with pytest.raises(ValueError, match=r"has no 'x'; it has 0, 1, .*, 39, and 10 more: model.named_modules\(\)"):
        models.features(long, x, "x")


# nearest neighbours


def one_by_one(query, database, k, metric):
    """The definition, a pair at a time."""
    distances, indices = [], []
    for q in query:
        row = []
        for i, x in enumerate(database):
            if metric == "euclidean":
                row.append((np.sqrt(((x - q) ** 2).sum()), i))
            else:
                lengths = [np.sqrt((v * v).sum()) or 1.0 for v in (q, x)]
                row.append((max(0.0, 1 - (x / lengths[1] * (q / lengths[0])).sum()), i))
        row.sort()
        distances.append([d for d, _ in row[:k]])
        indices.append([i for _, i in row[:k]])
    return np.array(distances), np.array(indices)


@pytest.mark.parametrize("metric", feature_space.METRICS)
@pytest.mark.parametrize("block", [7, 30, 2**21])
@pytest.mark.parametrize("k", [1, 3, 13])
def test_neighbours_are_those_of_the_definition(rng, monkeypatch, metric, block, k):
    monkeypatch.setattr(feature_space, "_BLOCK", block)
    query, database = rng.normal(size=(11, 5)), rng.normal(size=(13, 5))
    found = models.nearest_neighbours(query, tcnn.Tensor(database), k, metric)
    distances, indices = one_by_one(query, database, k, metric)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-12, atol=1e-15)
    assert found.distances.dtype == np.float64
    assert found.indices.dtype == np.int64


@pytest.mark.parametrize("metric", feature_space.METRICS)
@pytest.mark.parametrize("offset", [0, 10**8])
def test_equals_come_in_the_order_of_their_indices(rng, metric, offset):
    """Whole numbers, many equal rows; far from zero the squares cancel, and a matrix product would mix them up."""
    database = rng.integers(-1, 2, size=(400, 3)).astype(float)[:, [0, 1, 2, 0, 1, 2, 0]] + offset
    query = np.concatenate([database[:9], np.zeros((1, 7))])
    found = models.nearest_neighbours(query, database, 50, metric)
    distances, indices = one_by_one(query, database, 50, metric)
    np.testing.assert_array_equal(found.distances, distances)
    np.testing.assert_array_equal(found.indices, indices)
    for row, places in zip(found.distances, found.indices):
        assert all(i < j for i, j, a, b in zip(places, places[1:], row, row[1:]) if a == b)


def test_neighbours_of_other_formats():
    near = models.nearest_neighbours(np.array([[200]], "uint8"), [[100], [210], [0]], k=2)
    assert near.distances.tolist() == [[10.0, 100.0]]
    zero = models.nearest_neighbours([[1.0, 0.0]], [[0.0, 0.0], [0.0, 2.0], [-3.0, 0.0]], k=3, metric="cosine")
    assert (zero.distances.tolist(), zero.indices.tolist()) == ([[1.0, 1.0, 2.0]], [[0, 1, 2]])
    half = models.nearest_neighbours(tcnn.Tensor(np.full((1, 2), 3e4, "float16")), np.zeros((1, 2), "float16"), k=1)
    assert half.distances[0, 0] == pytest.approx(3e4 * 2**0.5, rel=1e-3)  # its square is no float16
    assert models.nearest_neighbours(np.zeros((0, 2)), np.zeros((3, 2)), k=2).indices.shape == (0, 2)


def test_memory_does_not_grow_with_the_pairs(rng):
    query, database = rng.normal(size=(3000, 8)), rng.normal(size=(4000, 8))
    tracemalloc.start()
    try:
        models.nearest_neighbours(query, database, k=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 80 * 2**20  # 3000·4000 numbers are 92 MiB, times 8 features 732 MiB


def test_wrong_searches_are_refused():
    near = models.nearest_neighbours
    with pytest.raises(ShapeError, match=r"query \(n, d\) = \(1, 2\) and database \(m, d\) = \(4, 3\).*the same d"):
        near(np.zeros((1, 2)), np.zeros((4, 3)))
    with pytest.raises(ShapeError, match=r"query must be one vector a row, \(n, d\), not \(2,\); .*v\[None\]"):
        near(np.zeros(2), np.zeros((4, 2)))
    with pytest.raises(
        ShapeError, match=r"database must be one vector a row, \(n, d\), not \(4, 2, 3, 3\); flatten\(1\)"
    ):
        near(np.zeros((1, 2)), np.zeros((4, 2, 3, 3)))
    for k in (0, 5, True, 2.0):
        with pytest.raises(ValueError, match=rf"k={k} must be 1 to m=4"):
            near(np.zeros((1, 2)), np.zeros((4, 2)), k=k)
    with pytest.raises(ValueError, match=r"no metric 'manhattan'; there is 'euclidean', 'cosine'"):
        near(np.zeros((1, 2)), np.zeros((4, 2)), k=1, metric="manhattan")
    with pytest.raises(ValueError, match=r"database holds NaN or infinity"):
        near(np.zeros((1, 2)), [[0.0, np.nan]], k=1)


# ensembles


def test_an_ensemble_averages_probabilities(rng):
    members = [nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double() for _ in range(3)]
    ensemble = models.Ensemble(members)
    x = tcnn.Tensor(10 * rng.normal(size=(5, 4)))
    y = ensemble(x)
    wanted = np.mean([F.softmax(member(x), 1).numpy() for member in members], axis=0)
    np.testing.assert_allclose(np.exp(y.numpy()), wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(y.numpy(), np.log(wanted), rtol=1e-12, atol=1e-12)
    targets = tcnn.Tensor(np.array([0, 2, 1, 1, 0]))
    assert F.cross_entropy(y, targets).item() == pytest.approx(F.nll_loss(y, targets).item(), abs=1e-12)
    again = models.Ensemble([ensemble])(x)  # log-probabilities count as scores
    np.testing.assert_allclose(again.numpy(), y.numpy(), rtol=0, atol=1e-12)


def test_gradients_flow_to_all_members(rng):
    members = [nn.Linear(4, 3).double() for _ in range(3)]
    ensemble = models.Ensemble(members)
    names = [name for name, _ in ensemble.named_parameters()]
    assert names == [f"members.{i}.{name}" for i in range(3) for name in ("weight", "bias")]
    x = tcnn.Tensor(rng.normal(size=(2, 4)), requires_grad=True)
    assert gradcheck(lambda x, *_: ensemble(x), (x, *ensemble.parameters()))


class Says(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output


def test_certain_members_do_not_overflow():
    ensemble = models.Ensemble([Says(tcnn.tensor([[3e4, -3e4, 0.0]])), Says(tcnn.tensor([[-3e4, 3e4, 0.0]]))])
    np.testing.assert_allclose(ensemble(None).numpy(), [[-np.log(2), -np.log(2), -30000.0]], rtol=1e-6)


def test_an_ensemble_is_evaluated_as_any_model():
    x, y = tcnn.zeros(4, 2), tcnn.Tensor(np.array([0, 0, 1, 1]))
    right, wrong = [[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]], [[0.0, 3.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    ensemble = models.Ensemble([Says(tcnn.tensor(right)), Says(tcnn.tensor(wrong)), Says(tcnn.tensor(right))])
    assert training.evaluate(models.Ensemble([ensemble.members[1]]), [(x, y)])["accuracy"] == 0.75
    assert training.evaluate(ensemble, [(x, y)])["accuracy"] == 1.0
    lenets = models.Ensemble([models.LeNet5(), models.LeNet5()])
    lenets.members[0].eval()
    training.evaluate(lenets, [(tcnn.zeros(2, 1, 28, 28), tcnn.tensor([1, 2]))])
    assert [member.training for member in lenets.members] == [False, True]
    assert tables.summary(lenets, (1, 28, 28)).parameters == 2 * 61706


def test_members_that_do_not_fit_are_refused():
    two, three = Says(tcnn.zeros(4, 2)), Says(tcnn.zeros(4, 3))
    with pytest.raises(ShapeError, match=r"member 1 \(Says\) gives \(4, 3\), member 0 \(4, 2\); all must give"):
        models.Ensemble([two, three])(None)
    with pytest.raises(ShapeError, match=r"member 0 \(Says\) gives \(4,\)"):
        models.Ensemble([Says(tcnn.zeros(4))])(None)
    with pytest.raises(TypeError, match=r"member 1 \(Says\) returns tuple, not scores"):
        models.Ensemble([two, Says((tcnn.zeros(4, 2), None))])(None)
    with pytest.raises(ValueError, match=r"there are no members"):
        models.Ensemble([])
    with pytest.raises(TypeError, match=r"members must be a list of networks, not one Sequential"):
        models.Ensemble(nn.Sequential(two))
    with pytest.raises(TypeError, match="Says"):
        models.Ensemble([two, Says])


# together


@pytest.fixture
def benchmarks(monkeypatch):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    monkeypatch.syspath_prepend(str(ROOT))
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    from benchmarks import ensemble, transfer

    return transfer, ensemble


def test_what_0_to_4_taught_helps_with_5_to_9(benchmarks):
    """Shorter than the benchmark: three walks through the 50 images, so that starting anew has got less far."""
    transfer, _ = benchmarks
    split = data.load("digits")
    runs = [transfer.compare(split, seed, transfer.pretrained(split, seed, steps=40), epochs=3) for seed in range(3)]
    mean = {name: sum(run[name] for run in runs) / len(runs) for name in runs[0]}
    assert mean[transfer.FROZEN] > mean[transfer.SCRATCH] + 5
    assert mean[transfer.TUNED] > mean[transfer.SCRATCH] + 5
    assert mean["nearest neighbour, features"] > 85
    assert len(transfer.table(runs).splitlines()) == 2 + len(mean)


def test_several_networks_err_less_than_one(benchmarks):
    _, ensemble = benchmarks
    alone, together = ensemble.compare(data.load("digits"), members=3, images=300, epochs=2)
    assert together[0] == alone[0]
    assert together[-1] > sum(alone) / len(alone)


def test_the_pages_examples_run():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    page = ROOT / "docs" / "transfer.md"
    if not page.exists():
        pytest.skip("installed without docs/")
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["accuracy"] > 0.8
    assert names["vote"]["accuracy"] > 0.8
