"""Batches: order, threads, errors, randomness that ignores the number of threads, and resuming anywhere."""

import gc
import itertools
import json
import threading
import time

import numpy as np
import pytest
import standin
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_cnn as tcnn
from tinygrad_cnn.data import DataLoader, Dataset, ImageDataset, Subset, TensorDataset, default_collate, transforms
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import ShapeError

AUGMENT = transforms.Compose([transforms.RandomCrop(6, padding=2), transforms.RandomHorizontalFlip()])


class Pictures(Dataset):
    """The slow kind: samples one by one, without get_batch; its own noise comes from the default generator."""

    def __init__(self, count=20, noisy=False):
        self.images = np.random.default_rng(0).normal(size=(count, 1, 6, 6)).astype(np.float32)
        self.noisy = noisy

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        noise = tcnn.random.default_generator().normal() if self.noisy else 0
        return self.images[index] + np.float32(noise), index


def in_memory(count=20):
    return ImageDataset(Pictures(count).images, np.arange(count))


def loader(dataset=None, batch_size=3, seed=0, **options):
    return DataLoader(in_memory() if dataset is None else dataset, batch_size, generator=Generator(seed), **options)


def drain(batches):
    """Images and labels of all batches, as lists of arrays."""
    return [(images.numpy(), labels.numpy()) for images, labels in batches]


def same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(a, b)
        for left, right in zip(first, second, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def prefetching():
    """The loaders' threads that are alive."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("DataLoader")]


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


# Batches


def test_batches_are_float32_images_and_int64_labels():
    images, labels = next(iter(loader(batch_size=8)))
    assert isinstance(images, tcnn.Tensor)
    assert (images.shape, images.dtype) == ((8, 1, 6, 6), np.float32)
    assert (labels.tolist(), labels.dtype) == ([*range(8)], np.int64)
    assert not images.requires_grad
    images.fill_(0)
    assert (Pictures().images != 0).all()


@pytest.mark.parametrize("num_workers", [0, 3])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("count", [1, 5, 6, 7])
def test_every_sample_comes_once_and_len_is_right(count, drop_last, num_workers):
    if drop_last and count < 3:
        return
    batches = loader(in_memory(count), shuffle=True, drop_last=drop_last, num_workers=num_workers)
    sizes = [len(labels) for _, labels in drain(batches)]
    assert len(sizes) == len(batches)
    assert sizes == [3] * (count // 3) + [count % 3] * (count % 3 > 0 and not drop_last)
    labels = np.concatenate([labels for _, labels in drain(batches)])
    assert len(np.unique(labels)) == len(labels) == sum(sizes)


def test_each_epoch_has_its_own_order_that_only_the_seed_decides():
    orders = [np.concatenate([labels for _, labels in drain(batches)]) for batches in [loader(shuffle=True)] * 3]
    assert all(sorted(order) == [*range(20)] for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    again = loader(shuffle=True)
    again.set_epoch(2)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in drain(again)]), orders[2])
    other = np.concatenate([labels for _, labels in drain(loader(shuffle=True, seed=1))])
    assert not np.array_equal(other, orders[0])


def test_default_generator_gives_the_seed_once():
    with tcnn.random.use_generator(Generator(4)) as generator:
        first, second = DataLoader(in_memory(), 4, shuffle=True), DataLoader(in_memory(), 4, shuffle=True)
        assert generator.offset == 2
        drain(first)
        assert generator.offset == 2
    assert first.seed != second.seed
    with tcnn.random.use_generator(Generator(4)):
        assert DataLoader(in_memory(), 4).seed == first.seed
    with pytest.raises(TypeError, match=r"generator=0 must be a random\.Generator"):
        DataLoader(in_memory(), generator=0)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, None])
def test_batch_size_and_workers_must_be_whole_numbers(value):
    with pytest.raises(ValueError, match=f"batch_size={value!r} must be a whole number of at least 1"):
        DataLoader(in_memory(), value)
    if value != 0:
        with pytest.raises(ValueError, match=f"num_workers={value!r} must be a whole number of at least 0"):
            DataLoader(in_memory(), num_workers=value)


def test_loaders_without_batches_are_refused():
    with pytest.raises(ValueError, match="the dataset is empty"):
        DataLoader([])
    with pytest.raises(ValueError, match="drop_last leaves nothing of 20 samples in batches of 21"):
        loader(batch_size=21, drop_last=True)


def test_device_is_checked_at_once_and_used():
    (images, labels) = next(iter(loader(device="cpu")))
    assert images.device == labels.device == "cpu"
    with pytest.raises(tcnn.DeviceError):
        loader(device="abacus")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_tensors_on_a_device_stay_there_and_others_are_moved(num_workers):
    with standin.registered():
        for device in ("standin:0", "standin:1"):
            rows = TensorDataset(
                tcnn.Tensor(np.arange(12.0).reshape(6, 2), device=device), tcnn.Tensor(np.arange(6), device=device)
            )
            for dataset, target in ((rows, None), (rows + rows, None), (rows, "cpu"), (in_memory(6), device)):
                batches = loader(dataset, batch_size=4, num_workers=num_workers, device=target)
                for images, labels in batches:
                    assert images.device == labels.device == (target or device)
                    assert len(images.tolist()) == len(labels.tolist())
                assert images.tolist()[-1] == (dataset[-1][0].tolist())


# Equal batches, however they are made


@pytest.mark.parametrize("num_workers", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", ["one by one", "whole batches", "subset", "augmented dataset", "noisy"])
def test_number_of_workers_and_the_fast_path_change_nothing(kind, num_workers):
    slow, fast = Pictures(), in_memory()
    if kind == "noisy":
        slow = fast = Pictures(noisy=True)
    elif kind == "subset":
        slow, fast = Subset(slow, [5, 3, 8, 19, 0, 2, 11]), Subset(fast, [5, 3, 8, 19, 0, 2, 11])
    options = {"shuffle": True, "transform": AUGMENT}
    if kind == "augmented dataset":
        slow = fast = ImageDataset(fast.data, fast.targets, AUGMENT)
        options["transform"] = transforms.RandomHorizontalFlip()
    reference, tried = (
        loader(slow, **options),
        loader(slow if kind == "one by one" else fast, num_workers=num_workers, **options),
    )
    epochs = [drain(reference) for _ in range(3)]
    assert same(epochs[0], drain(tried))
    assert same(epochs[1], drain(tried))
    assert not same(epochs[1], epochs[2])
    assert (loader(slow if kind == "one by one" else fast).dataset.get_batch(np.array([0])) is NotImplemented) == (
        kind in ("one by one", "noisy")
    )


def test_augmentation_of_a_sample_depends_on_seed_epoch_and_index_only():
    dataset = in_memory()
    seen = {}
    for batch_size, shuffle in ((3, True), (7, False)):
        for images, labels in drain(loader(dataset, batch_size, shuffle=shuffle, transform=AUGMENT)):
            for image, label in zip(images, labels, strict=True):
                first = seen.setdefault(label, image)
                np.testing.assert_array_equal(first, image)
    batches = loader(dataset, transform=AUGMENT)
    drain(batches)
    changed = sum(
        not np.array_equal(seen[label], image)
        for images, labels in drain(batches)
        for image, label in zip(images, labels, strict=True)
    )
    assert changed > 12
    for label, image in seen.items():
        np.testing.assert_array_equal(AUGMENT(dataset.data[label], Generator(batches.seed, stream=(0, label))), image)


def test_order_and_augmentation_draw_from_different_streams():
    seed = loader().seed
    draws = [Generator(seed, stream=stream).integers(0, 2**62) for stream in ((0,), (0, 0), (1,), (0, 1), (1, 0), ())]
    assert len(set(draws)) == 6


def test_function_as_transform_gets_the_image_only():
    batches = loader(Pictures(4), transform=lambda image: image * 0 + 1)
    assert all((images == 1).all() for images, _ in drain(batches))
    alone = DataLoader([1.0, 2.0], 2, transform=lambda value: value * 10)
    assert next(iter(alone)).tolist() == [10, 20]


@pytest.mark.torch
@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.booleans())
def test_lengths_and_default_batches_are_pytorchs(count, batch_size, drop_last):
    torch = pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")
    if drop_last and count < batch_size:
        return
    samples = [(np.full((2, 2), i, np.float32), i, i / 2, {"name": str(i), "on": i % 2 == 0}) for i in range(count)]
    ours = DataLoader(samples, batch_size, drop_last=drop_last)
    theirs = torch.utils.data.DataLoader(samples, batch_size, drop_last=drop_last)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        for a, b in ((mine[0], other[0]), (mine[1], other[1]), (mine[2], other[2]), (mine[3]["on"], other[3]["on"])):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
            assert a.numpy().dtype == b.numpy().dtype
        assert mine[3]["name"] == other[3]["name"]


# Collating


def test_collate_keeps_dtypes_and_structure():
    samples = [(np.float16([1, 2]), tcnn.Tensor([3.0]), True, 4, "a", [np.int32(i), (i,)]) for i in range(2)]
    halves, tensors, flags, numbers, names, nested = default_collate(samples)
    assert [part.dtype.name for part in (halves, tensors, flags, numbers)] == ["float16", "float32", "bool", "int64"]
    assert names == ["a", "a"]
    assert nested[0].tolist() == nested[1][0].tolist() == [0, 1]
    assert default_collate([1, 2.5]).dtype == np.float64
    assert default_collate([True, 2]).dtype == np.int64


def test_images_of_different_shapes_are_named():
    images = [np.zeros((1, 4, 4)), np.zeros((1, 4, 4)), np.zeros((3, 4, 4)), np.zeros((1, 4, 4))]
    for num_workers in (0, 2):
        batches = DataLoader([(image, 0) for image in images], 2, num_workers=num_workers)
        with pytest.raises(ShapeError, match=r"\(3, 4, 4\) of sample 2; \(1, 4, 4\) of sample 3.*Resize"):
            drain(batches)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([object(), object()], r"cannot stack builtins\.object"),
        ([(1, 2), (1,)], r"the same number of parts, these have \[2, 1\]"),
    ],
)
def test_samples_that_cannot_be_collated(samples, reason):
    with pytest.raises(TypeError, match=reason):
        default_collate(samples)


def test_pil_images_are_told_about_to_tensor():
    Image = pytest.importorskip("PIL.Image")
    with pytest.raises(TypeError, match=r"add transforms\.ToTensor"):
        default_collate([Image.new("L", (2, 2))])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_collate_fn_gets_the_samples_of_a_batch(num_workers):
    def collate(samples):
        return {"images": np.stack([image for image, _ in samples]), "count": len(samples)}

    batches = list(loader(num_workers=num_workers, collate_fn=collate, transform=lambda image: image * 0))
    assert [batch["count"] for batch in batches] == [3] * 6 + [2]
    assert isinstance(batches[0]["images"], tcnn.Tensor)
    assert not batches[0]["images"].numpy().any()
    assert next(iter(loader(collate_fn=lambda samples: [label for _, label in samples]))) == [0, 1, 2]


# Errors and threads


class Broken(Pictures):
    def __getitem__(self, index):
        if index == 7:
            raise KeyError("no such picture")
        return super().__getitem__(index)


@pytest.mark.parametrize("num_workers", [0, 1, 4])
def test_error_of_a_sample_is_raised_where_its_batch_would_come_with_its_index(num_workers):
    batches = iter(loader(Broken(), num_workers=num_workers))
    assert [next(batches)[1].tolist() for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(KeyError, match="no such picture") as raised:
        next(batches)
    assert raised.value.__notes__ == ["DataLoader: while loading sample 7 (epoch 0)"]
    assert prefetching() == []
    with pytest.raises(StopIteration):
        next(batches)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_error_on_the_fast_path_names_the_sample_too(num_workers):
    def careful(image):
        if image[0, 0, 0] == Pictures().images[7, 0, 0, 0]:
            raise ValueError("a bad pixel")
        return image

    dataset = in_memory()
    dataset.transform = careful
    with pytest.raises(ValueError, match="a bad pixel") as raised:
        drain(loader(dataset, num_workers=num_workers))
    assert raised.value.__notes__ == ["DataLoader: while loading sample 7 (epoch 0)"]

    class OnlyTogether(ImageDataset):
        def get_batch(self, indices, rngs=None):
            raise ValueError("not this batch")

    with pytest.raises(ValueError, match="not this batch"):
        drain(loader(OnlyTogether(dataset.data, dataset.targets), num_workers=num_workers))


class Counted(Pictures):
    """Remembers the samples begun."""

    def __init__(self, count=40):
        super().__init__(count)
        self.begun = []

    def __getitem__(self, index):
        self.begun.append(index)
        return super().__getitem__(index)


def test_threads_work_ahead_but_not_further_than_twice_their_number():
    dataset = Counted()
    batches = iter(loader(dataset, batch_size=1, num_workers=3))
    next(batches)
    until(lambda: len(dataset.begun) == 7)
    time.sleep(0.05)
    assert len(dataset.begun) == 7  # one handed out, six ahead
    next(batches)
    until(lambda: len(dataset.begun) == 8)
    assert len(prefetching()) == 3
    batches.close()
    assert prefetching() == []


def test_threads_are_daemons_and_no_more_than_batches():
    dataset = Counted(4)
    batches = iter(loader(dataset, num_workers=8))
    next(batches)
    assert len(prefetching()) == 2
    assert all(thread.daemon for thread in prefetching())
    assert len(list(batches)) == 1
    assert prefetching() == []


def test_iterator_that_is_dropped_or_left_by_break_ends_its_threads():
    for _ in loader(num_workers=2):
        assert len(prefetching()) == 2
        break
    gc.collect()
    until(lambda: not prefetching())
    batches = iter(loader(num_workers=2))
    next(batches)
    del batches
    gc.collect()
    until(lambda: not prefetching())


def test_closing_neither_waits_for_a_sample_that_hangs_nor_begins_another():
    permits, begun = threading.Semaphore(1), []

    class Hangs(Pictures):
        def __getitem__(self, index):
            begun.append(index)
            assert permits.acquire(timeout=120)
            return super().__getitem__(index)

    batches = iter(loader(Hangs(), batch_size=1, num_workers=1))
    next(batches)
    until(lambda: begun == [0, 1])
    batches.close()
    assert prefetching()  # the sample hangs still: nobody has waited for it
    permits.release(10)
    until(lambda: not prefetching())
    assert begun == [0, 1]


def test_threads_work_at_the_same_time():
    barrier = threading.Barrier(3, timeout=20)

    class Together(Pictures):
        def __getitem__(self, index):
            barrier.wait()
            return super().__getitem__(index)

    assert len(drain(loader(Together(9), batch_size=1, num_workers=3))) == 9


def test_two_walks_at_once_are_two_epochs_and_do_not_disturb_each_other():
    for num_workers in (0, 2):
        apart = loader(shuffle=True, transform=AUGMENT)
        wanted = [drain(apart), drain(apart)]
        both = loader(shuffle=True, transform=AUGMENT, num_workers=num_workers)
        pairs = list(zip(both, both, strict=True))
        assert same(wanted[0], drain(first for first, _ in pairs))
        assert same(wanted[1], drain(second for _, second in pairs))


def test_worker_threads_run_in_the_context_of_their_caller():
    seen = []

    class Looks(Pictures):
        def __getitem__(self, index):
            seen.append(tcnn.is_grad_enabled())
            return super().__getitem__(index)

    with tcnn.no_grad():
        drain(loader(Looks(4), num_workers=2))
    assert seen == [False] * 4


# Resuming


def states(batches, count):
    """The batches of some epochs, and the state after each (and before the first)."""
    seen, found = [], [batches.state_dict()]
    for _ in range(count):
        for batch in batches:
            seen.append(drain([batch])[0])
            found.append(batches.state_dict())
    return seen, found


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("dataset", [Pictures(), in_memory()], ids=["one by one", "whole batches"])
def test_resuming_goes_on_with_exactly_the_next_batch(dataset, num_workers):
    options = {"shuffle": True, "transform": AUGMENT, "num_workers": num_workers}
    seen, found = states(loader(dataset, batch_size=6, **options), 3)
    assert len(seen) == 12
    for after, state in enumerate(found):
        fresh = loader(dataset, batch_size=6, seed=99, **options)
        fresh.load_state_dict(json.loads(json.dumps(state)))
        assert fresh.state_dict() == state
        rest = [batch for epoch in range(4) for batch in drain(fresh)][: 12 - after]
        assert same(rest, seen[after:])
    assert prefetching() == []


def test_position_counts_what_was_handed_out_not_what_was_prepared():
    dataset = Counted()
    batches = loader(dataset, batch_size=2, num_workers=4)
    walk = iter(batches)
    assert (batches.epoch, batches.position) == (0, 0)
    next(walk)
    until(lambda: len(dataset.begun) == 18)
    assert (batches.epoch, batches.position) == (0, 1)
    next(walk)
    assert batches.state_dict() == {
        "seed": batches.seed,
        "epoch": 0,
        "position": 2,
        "samples": 40,
        "batch_size": 2,
        "shuffle": False,
    }
    assert len(list(walk)) == 18
    assert (batches.epoch, batches.position) == (1, 0)


def test_state_after_the_last_batch_is_the_end_of_the_epoch_until_the_walk_ends():
    batches = loader()
    walk = iter(batches)
    for _ in range(len(batches)):
        next(walk)
    end = batches.state_dict()
    assert (end["epoch"], end["position"]) == (0, 7)
    assert next(walk, None) is None
    assert (batches.epoch, batches.position) == (1, 0)
    batches.load_state_dict(end)
    assert list(batches) == []
    assert len(list(batches)) == 7
    assert batches.epoch == 2


def test_walk_begun_anew_is_the_next_epoch():
    batches = loader(shuffle=True)
    next(iter(batches))
    wanted = loader(shuffle=True)
    wanted.set_epoch(1)
    assert same(drain(batches), drain(wanted))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"samples": 21}, "samples=21, this loader 20"),
        ({"batch_size": 4}, "batch_size=4, this loader 3"),
        ({"shuffle": True}, "shuffle=True, this loader False"),
        ({"position": 8}, "epoch 0, position 8: there is no such place"),
        ({"position": -1}, "no such place"),
        ({"epoch": -1}, "no such place"),
    ],
)
def test_state_of_another_loader_is_refused(change, reason):
    batches = loader()
    with pytest.raises(ValueError, match=reason):
        batches.load_state_dict(batches.state_dict() | change)
    assert batches.state_dict() == loader().state_dict()
    with pytest.raises(ValueError, match="must not be negative"):
        batches.set_epoch(-1)


def test_repr_shows_what_matters():
    text = repr(loader(TensorDataset(np.arange(4)), batch_size=2, shuffle=True))
    assert text.startswith("DataLoader(TensorDataset((4,) int64), batch_size=2, shuffle=True, ")
    assert text.endswith(": 2 batches)")


def test_training_loop_of_the_readme_works():
    batches = loader(shuffle=True, num_workers=2, transform=AUGMENT)
    total = sum(float(images.sum().item()) for images, _ in itertools.islice(batches, 3))
    assert np.isfinite(total)
