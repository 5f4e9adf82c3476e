"""The data sets by name: scikit-learn's digits, MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

`load("mnist")` gives training and test set, ready for a `DataLoader`; the classes give one of them, with
PyTorch's (torchvision's) arguments. Files are read from an existing folder, or downloaded once into a cache.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinygrad_cnn.about import install
from tinygrad_cnn.data import catalogue, cifar, files, transforms
from tinygrad_cnn.data.catalogue import DataInfo
from tinygrad_cnn.data.dataset import ImageDataset, Subset
from tinygrad_cnn.data.download import Progress, obtain
from tinygrad_cnn.data.files import DataError
from tinygrad_cnn.data.idx import parse_idx
from tinygrad_cnn.data.split import stratified_split

_Arrays = tuple[np.ndarray, np.ndarray]


#: What can be done to training images at random, anew in every epoch, so that the network cannot learn them by heart.
AUGMENTATIONS = ("shift", "mirror", "colour")


class DataSplit(NamedTuple):
    """A data set as it is used: `train, test, classes, info = load(name)`."""

    train: ImageDataset
    test: ImageDataset
    classes: tuple[str, ...]
    info: DataInfo

    def hold_out(self, fraction: float = 0.1, seed: int = 0) -> tuple[Subset, ImageDataset]:
        """The training images without some, and those, as they are: to decide on while the test images stay unseen.

        Args:
            fraction: The share that is held out, the same of every class.
            seed: Fixes which images.

        Returns:
            What is left to learn from, with the training set's augmentation; and the validation set, without.

        Raises:
            ValueError: If the fraction is not between 0 and 1, or too small for one image of each class.
        """
        rest, held = stratified_split(self.train.targets, fraction, seed)
        images, labels = self.train.data[held], self.train.targets[held]
        return Subset(self.train, rest), ImageDataset(images, labels, self.test.transform, self.classes)


class _NamedDataset(ImageDataset):
    """One half, training or test, of a data set in the catalogue."""

    info: ClassVar[DataInfo]
    train: bool

    @classmethod
    def _read(cls, halves: Sequence[bool], **where: Any) -> list[_Arrays]:
        """Images and labels of the training half (True) and the test half (False), in the order asked for."""
        raise NotImplementedError

    @classmethod
    def _both(cls, augment: bool | Sequence[str], **where: Any) -> list[_NamedDataset]:
        """Training and test set, normalised, from reading the files once."""
        pair = []
        for train, arrays in zip((True, False), cls._read((True, False), **where), strict=True):
            dataset = cls.__new__(cls)
            dataset._fill(train, arrays, cls._pipeline(augment if train else (), arrays[0]))
            pair.append(dataset)
        return pair

    @classmethod
    def _pipeline(cls, augment: bool | Sequence[str], images: np.ndarray) -> transforms.Transform:
        info, steps = cls.info, list[transforms.Transform]()
        if isinstance(augment, bool):
            augment = ("shift", *["mirror"] * info.mirror) if augment else ()
        for word in augment:
            if word not in AUGMENTATIONS:
                raise ValueError(f"augment: there is no {word!r}; choose of {', '.join(AUGMENTATIONS)}")
        if "shift" in augment:  # before normalising: what is shifted in is black
            steps.append(transforms.RandomCrop(info.image_shape[1:], padding=info.shift))
        if "mirror" in augment:
            steps.append(transforms.RandomHorizontalFlip())
        if images.dtype == np.uint8:
            steps.append(transforms.ToTensor())
        if "colour" in augment:
            steps.append(transforms.PCAColor.fit(images))
        return transforms.Compose([*steps, transforms.Normalize(info.mean, info.std)])

    def _fill(self, train: bool, arrays: _Arrays, transform: Callable[..., Any] | None) -> None:
        ImageDataset.__init__(self, *arrays, transform=transform, classes=self.info.classes)
        self.train = train
        expected = self.info.sizes[0 if train else 1]
        if len(self) != expected:
            half = "training" if train else "test"
            files.logger.warning("%s: %d %s images, published %d", self.info.title, len(self), half, expected)


class Digits(_NamedDataset):
    """1,797 real handwritten digits that come with scikit-learn: no download.

    The 8×8 images with values 0 … 16 are enlarged to 28×28 (bilinear) and scaled to 0 … 1. A stratified fifth
    with a fixed seed is the test set, so that everybody has the same 1,438 and 359 digits.

    Args:
        train: The training set, else the test set.
        transform: What each (1, 28, 28) float32 image passes.

    Raises:
        DataError: If scikit-learn is not installed.

    Source: Alpaydin & Kaynak 1998, UCI Machine Learning Repository (CC BY 4.0).
    """

    info = catalogue.DIGITS

    def __init__(self, train: bool = True, transform: Callable[..., Any] | None = None) -> None:
        self._fill(train, self._read([train])[0], transform)

    @classmethod
    def _read(cls, halves: Sequence[bool], **where: Any) -> list[_Arrays]:
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise DataError(
                f"the digits come with scikit-learn, which cannot be imported ({error}); install it with "
                f"{install('demo')}"
            ) from error
        digits = load_digits()
        images = (digits.images / 16).astype(np.float32)[:, None]
        images = transforms.Resize((28, 28)).batch(images)
        train, test = stratified_split(digits.target, test_fraction=0.2, seed=0)
        return [(images[part], digits.target[part]) for part in (train if half else test for half in halves)]


class _FileDataset(_NamedDataset):
    """A data set in files, found or downloaded.

    Args:
        root: The folder to look in, and to download to; the cache folder if absent.
        train: The training set, else the test set.
        transform: What each image passes: `transforms.ToTensor()` to begin with.
        download: Download what is not there.
        mirrors: Addresses to download from, instead of the catalogue's.
        progress: Called during a download as `progress(name, received_bytes, total_bytes_or_None)`.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[..., Any] | None = None,
        download: bool = False,
        *,
        mirrors: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        where = {"root": root, "download": download, "mirrors": mirrors, "progress": progress}
        self._fill(train, self._read([train], **where)[0], transform)

    @classmethod
    def _compare(cls, content: bytes, name: str, place: Path | str) -> None:
        """Say so where the file `name` is not as published; it may be another data set's with the same name."""
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 == cls.info.published[name]:
            return
        for other in catalogue.ALL.values():
            if other.published.get(name) == sha256:
                raise DataError(
                    f"{place} belongs to {other.title}, not to {cls.info.title}: put each into a folder of its "
                    f"own, {other.folders[0]}/ and {cls.info.folders[0]}/"
                )
        files.logger.warning("%s is not the published file (SHA-256 %s); it is used as it is", place, sha256)


class MNIST(_FileDataset):
    """70,000 handwritten digits, 28×28 grey: 60,000 to train with, 10,000 to test with.

    `data` is (N, 28, 28) uint8. The folder may hold the four IDX files, plain or compressed, directly or in
    `mnist/` or `MNIST/raw/`.

    Raises:
        DataError: If the files are missing, cannot be downloaded or are malformed.

    Source: LeCun, Bottou, Bengio & Haffner 1998 (CC BY-SA 3.0).
    """

    info = catalogue.MNIST

    @classmethod
    def _read(cls, halves: Sequence[bool], **where: Any) -> list[_Arrays]:
        wanted = [file for half in halves for file in cls.info.files[0 if half else 2 :][:2]]
        names = [file.name.removesuffix(".gz") for file in wanted]
        spellings = [(name, name.replace("-idx", ".idx")) for name in names]
        paths = obtain(cls.info, [[(a, f"{a}.gz", b, f"{b}.gz") for a, b in spellings]], wanted, **where)
        contents = [files.read_content(path) for path in paths]
        for content, name, path in zip(contents, names, paths, strict=True):
            cls._compare(content, name, path)
        pairs = [*zip(contents, paths, strict=True)]
        return [cls._parse(*pairs[i], *pairs[i + 1]) for i in range(0, len(pairs), 2)]

    @classmethod
    def _parse(cls, images_content: bytes, images_path: Path, labels_content: bytes, labels_path: Path) -> _Arrays:
        images, labels = parse_idx(images_content, images_path), parse_idx(labels_content, labels_path)
        _, H, W = cls.info.image_shape
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (H, W):
            reason = f"images must be (N, {H}, {W}) uint8, these are {images.shape} {images.dtype}"
            raise files.malformed(images_path, 0, reason)
        if labels.dtype != np.uint8 or labels.ndim != 1:
            raise files.malformed(labels_path, 0, f"labels must be (N,) uint8, these are {labels.shape} {labels.dtype}")
        if len(images) != len(labels):
            raise files.malformed(labels_path, 4, f"{len(labels):,} labels for {len(images):,} images in {images_path}")
        wrong = np.flatnonzero(labels >= len(cls.info.classes))
        if wrong.size:
            label, limit = labels[wrong[0]], len(cls.info.classes) - 1
            raise files.malformed(labels_path, 8 + int(wrong[0]), f"label {label} must be 0 to {limit}")
        return images, labels


class FashionMNIST(MNIST):
    """70,000 pictures of clothes, in MNIST's format: 28×28 grey, 60,000 and 10,000.

    `data` is (N, 28, 28) uint8. The folder may hold the four IDX files, plain or compressed, directly or in
    `fashion-mnist/`, `FashionMNIST/raw/` or `data/fashion/`.

    Raises:
        DataError: If the files are missing, cannot be downloaded or are malformed.

    Source: Xiao, Rasul & Vollgraf 2017 (MIT).
    """

    info = catalogue.FASHION_MNIST


class CIFAR10(_FileDataset):
    """60,000 colour photographs of 10 kinds of things, 32×32: 50,000 and 10,000.

    `data` is (N, 32, 32, 3) uint8. The folder may hold the binary version's `.bin` files or its `.tar.gz`,
    directly or in `cifar10/` or `cifar-10-batches-bin/`. The archive is read as it is, nothing is unpacked.

    Raises:
        DataError: If the files are missing, cannot be downloaded or are malformed.

    Source: Krizhevsky 2009.
    """

    info = catalogue.CIFAR10
    _label_classes: ClassVar[tuple[int, ...]] = (10,)  # one entry per label byte; the last one is the class

    @classmethod
    def _read(cls, halves: Sequence[bool], **where: Any) -> list[_Arrays]:
        inside = [*cls.info.published]
        parts = {True: inside[:-1], False: inside[-1:]}  # the last file has the test images
        names = [name for half in halves for name in parts[half]]
        unpacked = [name.split("/")[-1] for name in names]
        archive = cls.info.files[0].name
        layouts: list[list[tuple[str, ...]]] = [
            [(name,) for name in unpacked],
            [(archive, archive.removesuffix(".gz"))],
        ]
        paths = obtain(cls.info, layouts, cls.info.files, **where)
        if [path.name for path in paths] == unpacked:
            contents = {name: files.read_content(path) for name, path in zip(names, paths, strict=True)}
            places = [str(path) for path in paths]
        else:
            contents = files.read_archive(paths[0], names, cifar.LARGEST)
            places = [f"{paths[0]}: {name}" for name in names]
        arrays = {}
        for name, place in zip(names, places, strict=True):
            cls._compare(contents[name], name, place)
            arrays[name] = cls._parse(contents[name], place)
        halves_arrays = []
        for half in halves:
            images, labels = zip(*(arrays[name] for name in parts[half]), strict=True)
            halves_arrays.append((np.concatenate(images), np.concatenate(labels)))
        return halves_arrays

    @classmethod
    def _parse(cls, content: bytes, place: str) -> _Arrays:
        images, labels = cifar.parse_records(content, place, cls._label_classes)
        return images, labels[:, -1]


class CIFAR100(CIFAR10):
    """60,000 colour photographs of 100 kinds of things, 32×32: 50,000 and 10,000.

    `data` is (N, 32, 32, 3) uint8. The folder may hold the binary version's `.bin` files or its `.tar.gz`,
    directly or in `cifar100/` or `cifar-100-binary/`.

    Raises:
        DataError: If the files are missing, cannot be downloaded or are malformed.

    Source: Krizhevsky 2009.
    """

    info = catalogue.CIFAR100
    _label_classes = (20, 100)


_CLASSES: dict[str, type[_NamedDataset]] = {c.info.name: c for c in (Digits, MNIST, FashionMNIST, CIFAR10, CIFAR100)}


def available() -> tuple[str, ...]:
    """The names `load` knows.

    >>> available()
    ('digits', 'mnist', 'fashion-mnist', 'cifar10', 'cifar100')
    """
    return tuple(_CLASSES)


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
    *,
    augment: bool | Sequence[str] = False,
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> DataSplit:
    """A data set by name, split into training and test set, normalised and ready for a `DataLoader`.

    Args:
        name: One of `available()`.
        data_dir: The folder its files are in, or are downloaded to; the cache folder if absent.
        download: Download what is not there.
        augment: What is done to training images at random, anew in every epoch, of `"shift"` (by up to `info.shift`
            pixels), `"mirror"` (half of the time) and `"colour"` (`transforms.PCAColor`, fitted to the training
            images). True is shifting, and mirroring where `info.mirror` says that this is harmless.
        mirrors: Addresses to download from, instead of the usual ones.
        progress: Called during a download as `progress(name, received_bytes, total_bytes_or_None)`.

    Returns:
        `DataSplit(train, test, classes, info)`. A sample is a (C, H, W) float32 image with mean 0 and
        standard deviation 1 over the training set, and its label.

    Raises:
        ValueError: If there is no data set or augmentation of this name.
        DataError: If the files are missing, cannot be downloaded or are malformed.
    """
    known = {key.replace("-", ""): key for key in _CLASSES}
    key = known.get(str(name).lower().replace("-", "").replace("_", ""))
    if key is None:
        near = difflib.get_close_matches(str(name).lower(), _CLASSES, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise ValueError(f"there is no data set {name!r}{hint} Choose one of {', '.join(_CLASSES)}")
    chosen = _CLASSES[key]
    train, test = chosen._both(augment, root=data_dir, download=download, mirrors=mirrors, progress=progress)
    return DataSplit(train, test, chosen.info.classes, chosen.info)
