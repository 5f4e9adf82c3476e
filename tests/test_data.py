"""Sets of samples, splitting them, and the named data sets from files that the tests write."""

import copy
import dataclasses
import gzip
import hashlib
import io
import logging
import pickle
import re
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_cnn as tcnn
from tinygrad_cnn import data
from tinygrad_cnn.about import install
from tinygrad_cnn.data import (
    ConcatDataset,
    DataError,
    Dataset,
    ImageDataset,
    Subset,
    TensorDataset,
    catalogue,
    cifar,
    datasets,
    random_split,
    stratified_split,
    transforms,
)
from tinygrad_cnn.random import Generator
from tinygrad_cnn.shapes import ShapeError


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="NOT CHECKED AGAINST PYTORCH: pip install torch==2.13.0")


# Sets in memory


def test_tensor_dataset_gives_rows_of_what_it_was_given():
    images = tcnn.Tensor(np.arange(12.0).reshape(3, 2, 2))
    labels = np.array([5, 6, 7])
    pairs = TensorDataset(images, labels)
    image, label = pairs[-1]
    assert isinstance(image, tcnn.Tensor)
    assert image.tolist() == [[8, 9], [10, 11]]
    assert label == 7
    batch = pairs.get_batch(np.array([2, 0]))
    assert [type(part) for part in batch] == [np.ndarray, np.ndarray]
    assert batch[1].tolist() == [7, 5]
    assert len(pairs) == 3
    assert repr(pairs) == "TensorDataset((3, 2, 2) float64, (3,) int64)"


@pytest.mark.parametrize(
    ("tensors", "error", "reason"),
    [
        ([np.zeros((3, 2)), np.zeros(4)], ShapeError, r"same first size .*\(3, 2\), \(4,\)"),
        ([np.zeros(3), np.float32(1)], ShapeError, "same first size"),
        ([], ValueError, "at least one"),
    ],
)
def test_tensor_dataset_refuses_unequal_sizes(tensors, error, reason):
    with pytest.raises(error, match=reason):
        TensorDataset(*tensors)


@pytest.mark.parametrize(
    "dataset",
    [
        TensorDataset(np.arange(4)),
        ImageDataset(np.zeros((4, 2, 2)), [0, 1, 2, 3]),
        Subset(range(9), [1, 2, 3, 4]),
        ConcatDataset([[1], [2, 3, 4]]),
    ],
)
def test_index_outside_or_not_whole_is_refused(dataset):
    assert repr(dataset[-1]) == repr(dataset[3])
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"there is no sample {index}, there are 4"):
            dataset[index]
    for index in (1.0, True, [0, 1]):
        with pytest.raises(TypeError, match="must be a whole number"):
            dataset[index]


def test_image_dataset_transforms_on_the_way_out_and_keeps_the_images():
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    pictures = ImageDataset(images, tcnn.Tensor(np.arange(5)), transforms.ToTensor(), classes="abcde")
    assert pictures.data is images
    assert pictures.classes == ("a", "b", "c", "d", "e")
    image, label = pictures[3]
    np.testing.assert_array_equal(image, images[3].transpose(2, 0, 1) / np.float32(255))
    assert type(label) is int
    assert pictures.targets.dtype == np.int64
    assert repr(pictures) == "ImageDataset(5 images (6, 7, 3) uint8, 5 classes)"
    assert len(list(pictures)) == 5


@pytest.mark.parametrize(
    ("images", "labels", "error"),
    [
        (np.zeros((3, 2, 2)), [1, 2], ShapeError),
        (np.zeros((2, 2)), [1, 2], ShapeError),
        (np.zeros((2, 2, 2)), [[1], [2]], ShapeError),
        (np.zeros((2, 2, 2)), [0.5, 1.0], TypeError),
    ],
)
def test_image_dataset_checks_images_and_labels(images, labels, error):
    with pytest.raises(error, match="ImageDataset: "):
        ImageDataset(images, labels)


def test_subset_and_concatenation():
    letters = ConcatDataset([["a", "b"], ["c"], ["d", "e"]])
    assert list(letters) == list("abcde")
    assert letters.cumulative_sizes == [2, 3, 5]
    assert list(Subset(letters, [4, 0, 4])) == ["e", "a", "e"]
    nested = Subset(Subset(TensorDataset(np.arange(10)), [9, 8, 7]), [2, 0])
    assert [part.tolist() for part in nested.get_batch(np.array([1, 0]))] == [[9, 7]]
    assert Subset([1, 2], [0]).get_batch(np.array([0])) is NotImplemented
    assert list(TensorDataset(np.array([1])) + TensorDataset(np.array([2]))) == [(1,), (2,)]
    with pytest.raises(IndexError, match="index 5 is outside a dataset of 5"):
        Subset(letters, [0, 5])
    with pytest.raises(IndexError, match="index -1"):
        Subset(letters, [-1])
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])


def test_unfinished_dataset_says_what_it_lacks():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define __len__"):
        len(Empty())
    with pytest.raises(NotImplementedError, match="Empty must define __getitem__"):
        Empty()[0]


def test_subclass_with_other_samples_does_not_inherit_the_batches():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return (2 * super().__getitem__(index)[0],)

    class Renamed(TensorDataset):
        pass

    assert Doubled(np.arange(3)).get_batch(np.array([1])) is NotImplemented
    assert Renamed(np.arange(3)).get_batch(np.array([1]))[0].tolist() == [1]


# Splits


@settings(deadline=None)
@given(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 2**40))
def test_random_split_into_fractions_covers_everything_once(count, weights, seed):
    fractions = [weight / sum(weights) for weight in weights]
    parts = random_split(range(count), fractions, Generator(seed))
    assert sorted(i for part in parts for i in part) == list(range(count))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * count) <= len(parts)


def test_random_split_is_random_and_reproducible():
    def split(seed):
        return [list(part) for part in random_split(range(100), [60, 40], Generator(seed))]

    assert split(1) == split(1)
    assert split(1) != split(2)
    with tcnn.random.use_generator(Generator(1)):
        assert [list(part) for part in random_split(range(100), [60, 40])] == split(1)


@pytest.mark.parametrize("lengths", [[5, 6], [0.5, 0.4], [11, -1], [0.5, 0.6], [9.5, 0.5]])
def test_random_split_refuses_lengths_that_do_not_add_up(lengths):
    with pytest.raises(ValueError, match="random_split: lengths"):
        random_split(range(10), lengths)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Length of split")
@settings(deadline=None)
@given(st.integers(1, 50), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_random_split_has_pytorchs_sizes(torch, count, weights):
    fractions = [weight / sum(weights) for weight in weights]
    if sum(fractions) > 1:  # PyTorch refuses these for the last bit
        return
    theirs = torch.utils.data.random_split(range(count), fractions)
    assert [len(part) for part in random_split(range(count), fractions)] == [len(part) for part in theirs]


@settings(deadline=None)
@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=6),
    st.floats(0.1, 0.9),
    st.integers(0, 9),
)
def test_stratified_split_gives_every_class_its_share(counts, fraction, seed):
    labels = np.repeat(np.arange(len(counts)) * 3, counts)
    labels = labels[Generator(seed).permutation(len(labels))]
    try:
        train, test = stratified_split(labels, fraction, seed)
    except ValueError as error:
        count = int(re.search(r"has (\d+) samples", str(error))[1])
        assert min(count * fraction, count * (1 - fraction)) < 1  # only a share below one sample is refused
        return
    assert len(test) == round(fraction * len(labels))
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(labels)))
    for label, count in zip(np.arange(len(counts)) * 3, counts, strict=True):
        assert abs((labels[test] == label).sum() - fraction * count) < 1
    again, other = stratified_split(labels, fraction, seed), stratified_split(labels, fraction, seed + 1)
    np.testing.assert_array_equal(test, again[1])
    assert len(labels) < 40 or not np.array_equal(test, other[1])


@pytest.mark.parametrize(
    ("labels", "fraction", "reason"),
    [
        ([0, 0, 1], 0.5, r"class 1 has 1 samples and would give [01]"),
        ([0, 1], 0.0, "between 0 and 1"),
        ([0, 1], 1.5, "between 0 and 1"),
        ([], 0.5, "N > 0"),
        ([[0, 1]], 0.5, r"\(N,\)"),
    ],
)
def test_stratified_split_refuses_what_it_cannot_split(labels, fraction, reason):
    with pytest.raises(ValueError, match=reason):
        stratified_split(labels, fraction)


# The digits


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn")
    return data.load("digits")


def test_digits_are_the_1797_real_ones_split_by_class(digits):
    train, test, classes, info = digits
    assert (len(train), len(test)) == info.sizes == (1438, 359)
    assert classes == tuple("0123456789")
    assert train.data.shape == (1438, *info.image_shape)
    assert train.data.dtype == np.float32
    for half in (train, test):
        shares = np.bincount(half.targets) / len(half)
        np.testing.assert_allclose(shares, 0.1, atol=0.005)
    both = np.concatenate([train.data, test.data]).reshape(1797, -1)
    from sklearn.datasets import load_digits

    raw = load_digits()
    assert len(np.unique(both, axis=0)) == len(np.unique(raw.data, axis=0))
    first = data.stratified_split(raw.target, 0.2, 0)[0][0]
    enlarged = transforms.Resize((28, 28)).batch((raw.images[first] / 16).astype(np.float32)[None, None])
    np.testing.assert_array_equal(train.data[0], enlarged[0])


def test_digits_mean_and_deviation_in_the_catalogue_are_those_of_the_training_set(digits):
    values = digits.train.data.astype(np.float64)
    assert digits.info.mean == (round(values.mean(), 4),)
    assert digits.info.std == (round(values.std(), 4),)
    batch, _ = digits.train.get_batch(np.arange(1438))
    assert batch.dtype == np.float32
    assert abs(batch.mean()) < 1e-3
    assert abs(batch.std() - 1) < 1e-3


def test_digits_class_gives_the_same_halves_without_normalising(digits):
    for train, half in ((True, digits.train), (False, digits.test)):
        one = datasets.Digits(train=train)
        assert one.transform is None
        np.testing.assert_array_equal(one.data, half.data)
        np.testing.assert_array_equal(one.targets, half.targets)
        assert one.train is train


def test_augmented_digits_move_and_the_test_set_does_not(digits):
    augmented = data.load("digits", augment=True)
    assert repr(augmented.test.transform) == repr(digits.test.transform)
    rngs = [Generator(0, stream=(0, i)) for i in range(50)]
    moved, _ = augmented.train.get_batch(np.arange(50), rngs)
    still, _ = digits.train.get_batch(np.arange(50))
    same = (moved == still).all(axis=(1, 2, 3)).sum()
    assert 0 < same < 15  # 1 of 25 shifts is none
    shifts = [np.roll(still, (y, x), (2, 3)) for y in range(-2, 3) for x in range(-2, 3)]
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert np.all(np.any([(moved[inner] == s[inner]).all(axis=(1, 2, 3)) for s in shifts], axis=0))


def test_augmentation_is_what_was_asked_for(digits):
    steps = repr(data.load("digits", augment=("shift", "mirror", "colour")).train.transform)
    assert steps.index("RandomCrop") < steps.index("Flip") < steps.index("PCAColor") < steps.index("Normalize")
    colour = data.load("digits", augment=["colour"]).train.transform.transforms[0]
    np.testing.assert_allclose(colour.eigenvalues, digits.train.data.var(), rtol=1e-5)
    assert repr(data.load("digits", augment=()).train.transform) == repr(digits.train.transform)
    assert repr(data.load("digits", augment=True).train.transform) == repr(
        data.load("digits", augment=["shift"]).train.transform
    )
    with pytest.raises(ValueError, match="there is no 'flip'; choose of shift, mirror, colour"):
        data.load("digits", augment=["flip"])


def test_held_out_images_are_training_images_as_they_are(digits):
    split = data.load("digits", augment=True)
    rest, held = split.hold_out(0.1)
    assert (len(rest), len(held)) == (1294, 144)
    counts = np.bincount(held.targets, minlength=10)
    assert counts.min() >= 13
    assert counts.max() <= 15
    assert repr(held.transform) == repr(digits.test.transform)
    assert repr(rest.dataset.transform) == repr(split.train.transform)
    others = np.setdiff1d(np.arange(1438), rest.indices)
    np.testing.assert_array_equal(held.data, split.train.data[others])
    np.testing.assert_array_equal(held.targets, split.train.targets[others])
    np.testing.assert_array_equal(split.hold_out(0.1)[0].indices, rest.indices)
    assert not np.array_equal(split.hold_out(0.1, seed=1)[0].indices, rest.indices)
    with pytest.raises(ValueError, match="between 0 and 1"):
        split.hold_out(1.0)


def test_digits_without_scikit_learn_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=re.escape(install("demo"))):
        data.load("digits")


def test_scikit_learn_is_imported_only_for_the_digits():
    code = "import sys, tinygrad_cnn.data; sys.exit(any(m in sys.modules for m in ('sklearn', 'PIL', 'cupy')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# MNIST and Fashion-MNIST


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist_files(count=30, seed=0):
    rng = np.random.default_rng(seed)
    return {
        f"{half}-{kind}-ubyte": idx(rng.integers(0, limit, shape, dtype=np.uint8))
        for half, n in (("train", count), ("t10k", count // 3))
        for kind, limit, shape in (("images-idx3", 256, (n, 28, 28)), ("labels-idx1", 10, (n,)))
    }


def write(folder, contents, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / (name + ".gz" * compress)).write_bytes(gzip.compress(content) if compress else content)
    return folder


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("name", "folder"), [(n, f) for n in ("mnist", "fashion-mnist") for f in catalogue.ALL[n].folders]
)
def test_mnist_is_read_from_each_customary_folder(tmp_path, name, folder, compress):
    contents = mnist_files()
    write(tmp_path / folder, contents, compress)
    train, test, classes, info = data.load(name, tmp_path, download=False)
    assert (len(train), len(test), len(classes)) == (30, 10, 10)
    assert train.data.dtype == np.uint8
    assert idx(train.data) == contents["train-images-idx3-ubyte"]
    assert idx(test.data) == contents["t10k-images-idx3-ubyte"]
    assert idx(test.targets.astype(np.uint8)) == contents["t10k-labels-idx1-ubyte"]
    image, label = train[4]
    mean, std = np.float32(info.mean), np.float32(info.std)
    np.testing.assert_array_equal(image, (train.data[4][None] / np.float32(255) - mean) / std)
    assert label == train.targets[4]


def test_mnist_class_reads_one_half_with_the_dotted_names_and_no_transform(tmp_path):
    contents = {k.replace("-idx", ".idx"): v for k, v in mnist_files().items() if k.startswith("t10k")}
    write(tmp_path, contents)
    half = datasets.MNIST(tmp_path, train=False)
    assert idx(half.data) == contents["t10k-images.idx3-ubyte"]
    assert half[0][0].dtype == np.uint8
    assert repr(half) == "MNIST(10 images (28, 28) uint8, 10 classes)"
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        datasets.MNIST(tmp_path, train=True)


def test_files_that_differ_from_the_published_ones_are_used_and_reported(tmp_path, caplog):
    write(tmp_path, mnist_files())
    with caplog.at_level(logging.WARNING, "tinygrad_cnn.data"):
        data.load("mnist", tmp_path)
    assert caplog.text.count("is not the published file") == 4
    for name, content in mnist_files().items():
        sha256 = hashlib.sha256(content).hexdigest()
        assert f"{tmp_path / name} is not the published file (SHA-256 {sha256}); it is used as it is" in caplog.text
    assert "30 training images, published 60000" in caplog.text


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("train-labels-idx1-ubyte", idx(np.zeros(29, np.uint8)), "byte 4: 29 labels for 30 images"),
        ("train-labels-idx1-ubyte", idx(np.r_[np.zeros(29), 10].astype(np.uint8)), "byte 37: label 10 must be 0 to 9"),
        ("train-labels-idx1-ubyte", idx(np.zeros((30, 1), np.uint8)), r"labels must be \(N,\) uint8"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((10, 28, 27), np.uint8)), r"byte 0: images must be \(N, 28, 28\)"),
        ("t10k-images-idx3-ubyte", b"\0\0\x08\x03", "byte 4: the file ends here"),
    ],
)
def test_malformed_mnist_names_file_byte_and_reason(tmp_path, file, content, reason):
    write(tmp_path, mnist_files() | {file: content})
    with pytest.raises(DataError, match=rf"{file}: .*{reason}|{file}: {reason}"):
        data.load("mnist", tmp_path)


def publish(info, contents, **changes):
    """The data set as if these were its published files."""
    content = {name.split("/")[-1]: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    published = tuple(
        dataclasses.replace(file, content={name: content[name.split("/")[-1]] for name in file.content}, sha256="")
        for file in info.files
    )
    return dataclasses.replace(info, files=published, **changes)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("wanted", "theirs", "reason"),
    [
        ("fashion-mnist", "mnist", "belongs to MNIST handwritten digits, not to Fashion-MNIST pictures of clothes"),
        ("mnist", "fashion-mnist", "belongs to Fashion-MNIST pictures of clothes, not to MNIST handwritten digits"),
    ],
)
def test_mnist_and_fashion_mnist_are_not_taken_for_each_other(tmp_path, monkeypatch, wanted, theirs, reason, compress):
    write(tmp_path, mnist_files(), compress)
    monkeypatch.setitem(catalogue.ALL, theirs, publish(catalogue.ALL[theirs], mnist_files()))
    name = "train-images-idx3-ubyte" + ".gz" * compress
    with pytest.raises(DataError, match=f"{name} {reason}: put each into a folder of its own, {theirs}/ and {wanted}/"):
        data.load(wanted, tmp_path)


@pytest.fixture
def small_mnist(monkeypatch, tmp_path):
    """MNIST whose published files are small ones that a file:// mirror has."""
    contents = mnist_files()
    mirror = write(tmp_path / "mirror", contents, compress=True)
    info = publish(catalogue.MNIST, contents, mirrors=(mirror.as_uri(),), sizes=(30, 10))
    monkeypatch.setattr(datasets.MNIST, "info", info)
    monkeypatch.setenv("TINYGRAD_CNN_DATA", str(tmp_path / "cache"))
    return mirror


def test_download_goes_to_the_cache_once(tmp_path, small_mnist, caplog):
    steps = []
    with caplog.at_level(logging.WARNING, "tinygrad_cnn.data"):
        first = data.load("mnist", progress=lambda *step: steps.append(step[0]))
    assert caplog.text == ""
    assert sorted(set(steps)) == sorted(f.name for f in datasets.MNIST.info.files)
    assert sorted(p.name for p in (tmp_path / "cache" / "mnist").iterdir()) == sorted(set(steps))
    for path in small_mnist.iterdir():
        path.unlink()
    again = data.load("mnist", download=False)
    np.testing.assert_array_equal(first.train.data, again.train.data)


def test_download_fetches_only_what_is_missing_and_into_data_dir(tmp_path, small_mnist):
    target = tmp_path / "course" / "mnist"
    target.mkdir(parents=True)
    (small_mnist / "train-images-idx3-ubyte.gz").rename(target / "train-images-idx3-ubyte.gz")
    data.load("mnist", tmp_path / "course")
    assert len(list(target.iterdir())) == 4
    assert not (tmp_path / "cache").exists()


def test_offline_message_says_what_was_tried_and_what_to_do(tmp_path, small_mnist):
    dead = ["http://127.0.0.1:1/a/", (tmp_path / "nowhere").as_uri()]
    with pytest.raises(DataError) as raised:
        data.load("mnist", mirrors=dead)
    message = str(raised.value)
    for part in (
        "MNIST handwritten digits: train-images-idx3-ubyte.gz could not be downloaded",
        "http://127.0.0.1:1/a/train-images-idx3-ubyte.gz: cannot be reached",
        f"{dead[1]}/train-images-idx3-ubyte.gz: cannot be reached",
        f"copy to {tmp_path / 'cache' / 'mnist'}",
        "t10k-labels-idx1-ubyte.gz",
        "--data-dir",
        "--data digits",
    ):
        assert part in message


def test_without_download_the_message_names_the_folders(tmp_path, small_mnist):
    with pytest.raises(DataError, match=r"download=True") as raised:
        data.load("mnist", tmp_path, download=False)
    assert str(tmp_path / "MNIST/raw") in str(raised.value)
    assert "--data digits" in str(raised.value)
    for bad in (tmp_path / "none", small_mnist / "train-images-idx3-ubyte.gz"):
        with pytest.raises(DataError, match="is not a folder that exists"):
            data.load("mnist", bad, download=False)


def test_corrupted_mirror_leaves_no_file(tmp_path, small_mnist):
    (small_mnist / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(10, np.uint8))))
    with pytest.raises(DataError, match=r"\.gz: wrong content: t10k-labels-idx1-ubyte has SHA-256"):
        data.load("mnist")
    assert "t10k-labels-idx1-ubyte.gz" not in [p.name for p in (tmp_path / "cache" / "mnist").iterdir()]


# CIFAR


def cifar_files(count=4, label_bytes=1):
    rng = np.random.default_rng(0)
    names = (
        [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
        if label_bytes == 1
        else ["train.bin", "test.bin"]
    )
    contents = {}
    for name in names:
        labels = rng.integers(0, 10, (count, label_bytes), dtype=np.uint8)
        contents[name] = np.hstack([labels, rng.integers(0, 256, (count, 3072), dtype=np.uint8)]).tobytes()
    return contents


def expected(content, label_bytes):
    records = np.frombuffer(content, np.uint8).reshape(-1, 3072 + label_bytes)
    return records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, label_bytes - 1]


def pack(path, inner, contents, level=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=level) as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"{inner}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


CIFARS = [
    ("cifar10", 1, "cifar-10-batches-bin", "cifar-10-binary.tar.gz"),
    ("cifar100", 2, "cifar-100-binary", "cifar-100-binary.tar.gz"),
]


def check_cifar(split, contents, label_bytes):
    *train_files, test_file = contents.values()
    images, labels = expected(b"".join(train_files), label_bytes)
    np.testing.assert_array_equal(split.train.data, images)
    np.testing.assert_array_equal(split.train.targets, labels)
    images, labels = expected(test_file, label_bytes)
    np.testing.assert_array_equal(split.test.data, images)
    np.testing.assert_array_equal(split.test.targets, labels)
    image, _ = split.train[1]
    assert image.shape == (3, 32, 32)
    mean, std = (np.float32(v).reshape(3, 1, 1) for v in (split.info.mean, split.info.std))
    np.testing.assert_array_equal(image, (split.train.data[1].transpose(2, 0, 1) / np.float32(255) - mean) / std)


def test_the_colours_of_photographs_are_shifted_before_normalising(tmp_path):
    contents = cifar_files(40)
    write(tmp_path, {name.split("/")[-1]: content for name, content in contents.items()})
    plain, bright = (data.load("cifar10", tmp_path, augment=words) for words in ([], ["colour"]))
    assert bright.train.transform.transforms[1].eigenvalues.shape == (3,)

    def streams():
        return [Generator(0, stream=(i,)) for i in range(3)]

    images, shifted = (split.train.get_batch(np.arange(3), streams())[0] for split in (plain, bright))
    spread = (shifted - images) * np.float32(plain.info.std).reshape(3, 1, 1)
    colour = bright.train.transform.transforms[1]
    wanted = [colour.eigenvectors @ (rng.normal(3, std=0.1) * colour.eigenvalues) for rng in streams()]
    np.testing.assert_allclose(spread, np.reshape(wanted, (3, 3, 1, 1)) + np.zeros((32, 32)), atol=1e-5)
    np.testing.assert_array_equal(bright.test.get_batch(np.arange(3))[0], plain.test.get_batch(np.arange(3))[0])


@pytest.mark.parametrize(("name", "label_bytes", "inner", "archive"), CIFARS)
def test_cifar_is_read_from_extracted_files_and_from_the_archive(tmp_path, name, label_bytes, inner, archive):
    contents = cifar_files(label_bytes=label_bytes)
    for folder in catalogue.ALL[name].folders:
        base = tmp_path / f"base-{folder.replace('/', '-')}"
        write(base / folder, contents)
        check_cifar(data.load(name, base, download=False), contents, label_bytes)
    packed = tmp_path / "packed"
    pack(packed / archive, inner, contents)
    check_cifar(data.load(name, packed, download=False), contents, label_bytes)
    one = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name](packed, train=False)
    np.testing.assert_array_equal(one.data, expected([*contents.values()][-1], label_bytes)[0])
    # and downloaded, as the file whose content is published
    first = f"{inner}/{next(iter(contents))}"
    published = catalogue.ALL[name].published[first]
    with pytest.raises(DataError, match=f"wrong content: {first} has SHA-256 [0-9a-f]{{64}}, published {published}"):
        data.load(name, tmp_path / "new", mirrors=[packed.as_uri()])
    assert list((tmp_path / "new").rglob("*.gz")) == []


def small_cifar(monkeypatch, name, contents):
    """CIFAR as if these small files were the published ones."""
    sizes = (4 * (len(contents) - 1), 4)
    dataset = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    monkeypatch.setattr(dataset, "info", publish(catalogue.ALL[name], contents, sizes=sizes))


@pytest.mark.parametrize(("name", "label_bytes", "inner", "archive"), CIFARS)
@pytest.mark.parametrize("level", [1, 9])
def test_cifar_is_downloaded_however_the_mirror_packed_it(
    tmp_path, monkeypatch, caplog, name, label_bytes, inner, archive, level
):
    contents = cifar_files(label_bytes=label_bytes)
    small_cifar(monkeypatch, name, contents)
    pack(tmp_path / "mirror" / archive, inner, dict(reversed(contents.items())), level)
    with caplog.at_level(logging.WARNING, "tinygrad_cnn.data"):
        split = data.load(name, tmp_path / "new", mirrors=[(tmp_path / "mirror").as_uri()])
    check_cifar(split, contents, label_bytes)
    assert caplog.text == ""


@pytest.mark.parametrize(("name", "label_bytes", "inner", "archive"), CIFARS)
def test_download_of_an_altered_cifar_names_the_file(tmp_path, monkeypatch, name, label_bytes, inner, archive):
    contents = cifar_files(label_bytes=label_bytes)
    small_cifar(monkeypatch, name, contents)
    last = [*contents][-1]
    altered = contents | {last: contents[last][:-1] + bytes([contents[last][-1] ^ 1])}
    without = {file: content for file, content in contents.items() if file != last}
    for changed, reason in ((altered, "has SHA-256 [0-9a-f]{64}, published [0-9a-f]{64}"), (without, "is missing")):
        pack(tmp_path / "mirror" / archive, inner, changed)
        with pytest.raises(DataError, match=rf"{archive}: wrong content: {inner}/{last} {reason}\n"):
            data.load(name, tmp_path / "new", mirrors=[(tmp_path / "mirror").as_uri()])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("name", "label_bytes", "inner", "archive"), CIFARS)
def test_altered_cifar_is_used_and_reported(tmp_path, monkeypatch, caplog, name, label_bytes, inner, archive, packed):
    contents = cifar_files(label_bytes=label_bytes)
    small_cifar(monkeypatch, name, contents)
    first = next(iter(contents))
    altered = contents | {first: contents[first][:-1] + bytes([contents[first][-1] ^ 1])}
    for folder, these in (("same", contents), ("other", altered)):
        if packed:
            pack(tmp_path / folder / archive, inner, these)
        else:
            write(tmp_path / folder, these)
    with caplog.at_level(logging.WARNING, "tinygrad_cnn.data"):
        data.load(name, tmp_path / "same")
    assert caplog.text == ""
    with caplog.at_level(logging.WARNING, "tinygrad_cnn.data"):
        check_cifar(data.load(name, tmp_path / "other"), altered, label_bytes)
    place = f"{tmp_path / 'other' / archive}: {inner}/{first}" if packed else str(tmp_path / "other" / first)
    sha256 = hashlib.sha256(altered[first]).hexdigest()
    assert [record.getMessage() for record in caplog.records] == [
        f"{place} is not the published file (SHA-256 {sha256}); it is used as it is"
    ]


def test_cifar_archive_with_a_file_longer_than_any_real_one_is_not_read(tmp_path, monkeypatch):
    pack(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", cifar_files())
    monkeypatch.setattr(cifar, "LARGEST", 4 * 3073 - 1)
    with pytest.raises(DataError, match="must have at most 12,291 bytes, not 12,292"):
        data.load("cifar10", tmp_path)


def test_malformed_cifar_names_the_file_inside_the_archive(tmp_path):
    contents = cifar_files()
    contents["data_batch_3.bin"] = contents["data_batch_3.bin"][:-1]
    pack(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", contents)
    with pytest.raises(DataError, match=r"tar\.gz: cifar-10-batches-bin/data_batch_3\.bin: byte 9,219"):
        data.load("cifar10", tmp_path)
    write(tmp_path, contents)
    with pytest.raises(DataError, match=r"data_batch_3\.bin: byte 9,219"):
        data.load("cifar10", tmp_path)


# Names and facts


@pytest.mark.parametrize("spelling", ["fashion-mnist", "Fashion_MNIST", "FashionMNIST"])
def test_names_are_known_in_other_spellings(tmp_path, spelling):
    write(tmp_path, mnist_files())
    assert data.load(spelling, tmp_path).info.name == "fashion-mnist"


@pytest.mark.parametrize(("name", "hint"), [("minst", 'did you mean "mnist"'), ("imagenet!", "Choose one of digits")])
def test_unknown_name_lists_the_known_ones(name, hint):
    with pytest.raises(ValueError, match=hint):
        data.load(name)


def test_the_catalogue_is_consistent():
    assert data.available() == tuple(catalogue.ALL)
    for name, info in catalogue.ALL.items():
        assert info.name == name
        assert len(info.mean) == len(info.std) == info.image_shape[0]
        assert len(set(info.classes)) == len(info.classes)
        for file in info.files:
            assert file.content
            assert bool(file.sha256) == file.name.endswith(".tar.gz")
            for digest in (*file.content.values(), *filter(None, [file.sha256])):
                assert re.fullmatch("[0-9a-f]{64}", digest)
        for same in (copy.deepcopy(info), pickle.loads(pickle.dumps(info))):
            assert same == info
            assert hash(same) == hash(info)
        for mirror in info.mirrors:
            assert re.fullmatch(r"https?://[^ ]+/", mirror)
    assert [len(catalogue.ALL[name].classes) for name in data.available()] == [10, 10, 10, 10, 100]
    assert [len(catalogue.ALL[name].published) for name in data.available()] == [0, 4, 4, 6, 2]
    digests = [digest for info in catalogue.ALL.values() for digest in info.published.values()]
    assert len(set(digests)) == len(digests)


def test_the_data_page_shows_the_catalogue():
    page = Path(__file__).parent.parent / "docs" / "data.md"
    if not page.exists():
        pytest.skip("installed without docs/")
    text = page.read_text(encoding="utf-8")
    rows = {
        cells[0].strip("`"): cells
        for cells in (
            [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"
        )
        if len(cells) == 6
    }
    assert list(rows) == list(catalogue.ALL)
    for name, info in catalogue.ALL.items():
        _, title, shape, sizes, license_, source = rows[name]
        assert title == info.title
        assert shape == "×".join(map(str, info.image_shape))
        assert sizes == " / ".join(f"{size:,}" for size in info.sizes)
        assert license_ == info.license
        assert source == f"<{info.source}>"
        citing = next(line for line in text.splitlines() if line.startswith("- `") and f"`{name}`" in line)
        assert citing.split(": ", 1)[1] == info.citation
        folders = [f"`{folder}/`" if folder else "itself" for folder in info.folders]
        if info.files:
            assert f"| {', '.join(folders)} |" in text
