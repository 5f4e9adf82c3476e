"""What a checkpoint holds, and giving it to models: all or nothing."""

import json

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import TinygradCnnWarning, nn, optim
from tinygrad_cnn import random as rnd
from tinygrad_cnn.training import Callback, History, checkpoint, load_weights, save_weights
from tinygrad_cnn.training.checkpoint import CheckpointError


def net(width=5, seed=0, bias=True):
    with rnd.use_generator(rnd.Generator(seed)):
        return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 3, bias=bias))


def trained(seed=0, lr=0.1):
    """A model, its optimizer with momentum, and a schedule, after two steps."""
    model = net(seed=seed)
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for step in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(
            model(tcnn.Tensor(rnd.Generator(step).normal((6, 4)), dtype="float32")), tcnn.arange(6) % 3
        ).backward()
        optimizer.step()
    scheduler.step()
    return model, optimizer, scheduler


def bits(tree):
    if isinstance(tree, dict):
        return {key: bits(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [bits(value) for value in tree]
    if hasattr(tree, "numpy"):
        tree = tree.numpy()
    return (tree.dtype.name, tree.shape, tree.tobytes()) if isinstance(tree, np.ndarray) else tree


def states(*things):
    return [bits(thing.state_dict()) for thing in things]


class Counter(Callback):
    def __init__(self, count=0):
        self.count = count

    def state_dict(self):
        return {"count": self.count, "array": np.full(2, self.count)}

    def load_state_dict(self, state):
        self.count = state["count"]
        assert state["array"].tolist() == [self.count] * 2


def test_everything_comes_back_bitwise_in_fresh_objects(tmp_path):
    model, optimizer, scheduler = trained()
    generator = rnd.Generator(5)
    generator.take()
    history = History([{"epoch": 1, "loss": float("nan"), "lr": 0.1}])
    config = {"model": "lenet5", "options": {"num_classes": 10}, "weights": np.ones(2, np.float16), 3: (1, 2)}
    path = checkpoint.save(
        tmp_path,
        model,
        optimizer=optimizer,
        scheduler=scheduler,
        generator=generator,
        history=history,
        callbacks=[Callback(), Counter(7), Counter(8)],
        progress={"epoch": 2, "lr": float("inf")},
        config=config,
    )
    assert path == tmp_path / "checkpoint-000001"
    assert sorted(p.name for p in path.iterdir()) == [
        "MANIFEST.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]

    found = checkpoint.load(tmp_path)
    assert found.path == path
    assert found.history == history
    assert found.progress == {"epoch": 2, "lr": float("inf")}
    assert bits(found.config) == bits(config)
    assert set(found.versions) == {"tinygrad_cnn", "python", "numpy", "platform"}
    assert found.kinds["model"] == "Sequential"

    fresh, fresh_optimizer, fresh_scheduler = trained(seed=9, lr=0.7)
    fresh_generator, counters = rnd.Generator(6), [Counter(), Counter()]
    assert states(fresh, fresh_optimizer) != states(model, optimizer)
    found.restore(
        fresh,
        fresh_optimizer,
        fresh_scheduler,
        fresh_generator,
        callbacks=[counters[0], Callback(), counters[1]],
    )
    assert states(fresh, fresh_optimizer, fresh_scheduler, fresh_generator) == states(
        model, optimizer, scheduler, generator
    )
    assert [c.count for c in counters] == [7, 8]


def test_state_json_is_strict_and_readable(tmp_path):
    model, optimizer, _ = trained()
    checkpoint.save(tmp_path, model, optimizer=optimizer, progress={"lr": float("nan")}, config={"name": "ŷ \udc80"})

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    content = json.loads((tmp_path / "checkpoint-000001" / "state.json").read_text(), parse_constant=refuse)
    assert content["progress"] == {"lr": {"$float": "nan"}}
    assert content["kinds"] == {"optimizer": "SGD", "model": "Sequential"}
    assert checkpoint.load(tmp_path).config == {"name": "ŷ \udc80"}


def test_there_is_no_pickle_in_it_and_none_is_read():
    import ast
    import importlib.util
    import pathlib

    package = pathlib.Path(importlib.util.find_spec("tinygrad_cnn.training").origin).parent
    names = set()
    for path in package.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
    assert "json" in names
    assert not names & {"pickle", "shelve", "marshal", "dill", "joblib", "allow_pickle", "eval_"}


def test_a_model_on_its_own_is_enough(tmp_path):
    model = net()
    checkpoint.save(tmp_path, model)
    fresh = net(seed=1)
    checkpoint.load(tmp_path).restore(fresh)
    assert states(fresh) == states(model)
    with pytest.raises(CheckpointError, match=r"has no optimizer state, but a SGD wants one"):
        checkpoint.load(tmp_path).restore(fresh, optim.SGD(fresh.parameters(), lr=0.1))


def test_a_checkpoint_of_another_model_lists_the_differences_and_changes_nothing(tmp_path):
    model, optimizer, _ = trained()
    checkpoint.save(tmp_path, model, optimizer=optimizer)
    other = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3, bias=False), nn.Linear(3, 2)).to(
        "float64"
    )
    other_optimizer = optim.SGD(other.parameters(), lr=0.3)
    before = states(other, other_optimizer)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(tmp_path).restore(other, other_optimizer)
    text = str(caught.value)
    for line in (
        "2.bias: only in the checkpoint",
        "3.weight: only in the model",
        "0.weight: (5, 4) float32 in the checkpoint, (6, 4) float64 in the model",
        "1.running_mean: (5,) float32 in the checkpoint, (6,) float64 in the model",
    ):
        assert line in text
    assert "num_batches_tracked" not in text
    assert "Nothing was loaded" in text
    assert states(other, other_optimizer) == before


def test_when_the_last_part_does_not_fit_the_first_ones_are_put_back(tmp_path):
    model, optimizer, scheduler = trained()
    checkpoint.save(tmp_path, model, optimizer=optimizer, scheduler=scheduler, generator=rnd.Generator(1))
    fresh, fresh_optimizer, fresh_scheduler = trained(seed=3)

    class Stubborn(rnd.Generator):
        def load_state_dict(self, state):
            if state["seed"] == 1:
                raise ValueError("not this one")
            super().load_state_dict(state)

    Stubborn.__name__ = "Generator"
    generator = Stubborn(2)
    before = states(fresh, fresh_optimizer, fresh_scheduler, generator)
    with pytest.raises(CheckpointError, match=r"its generator state does not fit .* nothing was loaded. not this one"):
        checkpoint.load(tmp_path).restore(fresh, fresh_optimizer, fresh_scheduler, generator)
    assert states(fresh, fresh_optimizer, fresh_scheduler, generator) == before


def test_parameter_groups_that_do_not_fit_change_nothing(tmp_path):
    model, optimizer, _ = trained()
    checkpoint.save(tmp_path, model, optimizer=optimizer)
    fresh = net(seed=4)
    halves = optim.SGD([{"params": list(fresh[0].parameters())}, {"params": list(fresh[2].parameters())}], lr=0.1)
    before = states(fresh, halves)
    with pytest.raises(CheckpointError, match=r"its optimizer state does not fit this SGD; nothing was loaded"):
        checkpoint.load(tmp_path).restore(fresh, halves)
    assert states(fresh, halves) == before


def test_what_cannot_be_stored_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(TypeError, match=r"config/path: a PosixPath|config/path: a WindowsPath"):
        checkpoint.save(tmp_path, net(), config={"path": tmp_path})
    assert list(tmp_path.iterdir()) == []


def test_damage_falls_back_to_the_one_before_and_names_the_file(tmp_path):
    for width in (3, 4, 5):
        checkpoint.save(tmp_path, net(width), config=width, keep=9)
    first, second, third = checkpoint.checkpoints(tmp_path)
    assert checkpoint.load(tmp_path).config == 5
    (third / "state.json").write_bytes((third / "state.json").read_bytes()[:-5])
    with pytest.warns(TinygradCnnWarning, match=r"using \S*checkpoint-000002 .*\n.*checkpoint-000003\S*state.json has"):
        assert checkpoint.load(tmp_path).config == 4
    (second / "MANIFEST.json").unlink()
    with pytest.warns(
        TinygradCnnWarning, match=r"checkpoint-000001 (.*\n)+.*checkpoint-000002\S*MANIFEST.json is missing"
    ):
        assert checkpoint.load(tmp_path).config == 3
    (first / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(tmp_path)
    assert "every checkpoint is damaged" in str(caught.value)
    for place in ("000003", "000002", "000001"):
        assert f"checkpoint-{place}" in str(caught.value)
    with pytest.raises(CheckpointError, match=r"model\.safetensors has 0 bytes"):
        checkpoint.load(first)  # asked for by name: no other one is taken


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"])
def test_no_flipped_bit_or_truncation_is_loaded(tmp_path, name):
    model, optimizer, scheduler = trained()
    path = checkpoint.save(tmp_path, model, optimizer=optimizer, scheduler=scheduler)
    content = (path / name).read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, 8 * len(content), 50).tolist():
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << (position % 8)
        for damaged in (bytes(flipped), content[: position // 8]):
            (path / name).write_bytes(damaged)
            with pytest.raises(CheckpointError, match=name):
                checkpoint.load(path)
    (path / name).write_bytes(content)
    checkpoint.load(path)


def test_whole_files_with_other_content_are_refused(tmp_path):
    from tinygrad_cnn.training import storage

    for files in (
        {},
        {"state.json": b"{}"},
        {"state.json": b"NaN", "optimizer.safetensors": b"", "model.safetensors": b""},
    ):
        path = storage.write(tmp_path, files)
        with pytest.raises(CheckpointError, match="is not a checkpoint of this package"):
            checkpoint.load(path)


def test_no_checkpoint_at_all(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(CheckpointError, match="holds no checkpoint"):
            checkpoint.load(path)


def test_weights_in_one_file(tmp_path):
    model, path = net(), tmp_path / "new" / "weights.safetensors"
    save_weights(model, path)
    fresh = net(seed=2)
    load_weights(fresh, path)
    assert states(fresh) == states(model)

    from safetensors.numpy import load_file

    assert bits(load_file(path)) == states(model)[0]
    with pytest.raises(RuntimeError, match=r"2\.bias"):
        load_weights(net(bias=False), path)


def test_damaged_weights_are_never_loaded(tmp_path):
    model, path = net(), tmp_path / "weights.safetensors"
    save_weights(model, path)
    content = path.read_bytes()
    fresh = net(seed=2)
    before = states(fresh)
    good, refused = tmp_path / "good.safetensors", 0
    save_weights(fresh, good)
    places = range(0, len(content), 7)
    for position in places:
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        for damaged in (bytes(flipped), content[:position]):
            path.write_bytes(damaged)
            message = ""
            try:
                load_weights(fresh, path)
            except (CheckpointError, RuntimeError) as error:
                message = str(error)
            if message:
                assert "weights.safetensors" in message or "does not fit" in message
                assert states(fresh) == before
                refused += 1
            else:  # the word "sha256" itself was hit: all numbers are right
                assert states(fresh) == states(model)
                load_weights(fresh, good)
    assert refused >= 2 * len(places) - 3
    with pytest.raises(CheckpointError, match="cannot read"):
        load_weights(fresh, tmp_path / "absent")


def test_weights_of_other_programs_have_no_checksum_and_load(tmp_path):
    from safetensors.numpy import save_file

    model, path = net(), tmp_path / "theirs.safetensors"
    save_file({name: value.numpy().copy() for name, value in model.state_dict().items()}, path)
    fresh = net(seed=2)
    load_weights(fresh, path)
    assert states(fresh) == states(model)


def test_weights_that_cannot_be_written_leave_the_old_file(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"save_weights: cannot write"):
        save_weights(net(), tmp_path / "file" / "weights.safetensors")
