"""Pictures that lie on the GPU: the same batches, bit by bit, and nothing but the numbers of the samples is copied."""

import cuda_on_cpu
import numpy as np
import pytest
import standin

from tinygrad_cnn import backends
from tinygrad_cnn.data import DataLoader, ImageDataset, Subset
from tinygrad_cnn.data.resident import resident
from tinygrad_cnn.data.transforms import Compose, Normalize, RandomCrop, ToTensor
from tinygrad_cnn.random import Generator

DEVICE = "standin:1"
KERNELS = [
    ("reference",),
    pytest.param(
        ("cuda", "reference"), marks=pytest.mark.skipif(not cuda_on_cpu.COMPILER, reason="there is no g++ or clang++")
    ),
]


@pytest.fixture(autouse=True, params=KERNELS)
def _registered(request):
    with standin.registered(*request.param):
        yield


def pictures(*sizes, transform, count=23):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, *sizes), dtype=np.uint8)
    return ImageDataset(images, draw.integers(0, 10, count), transform)


def batches(dataset, device, **options):
    loader = DataLoader(dataset, batch_size=5, shuffle=True, generator=Generator(3), device=device, **options)
    return [batch for _ in range(2) for batch in loader]


USUAL = {
    "grey": pictures(7, 5, transform=ToTensor()),
    "normalised": pictures(7, 5, transform=Compose([ToTensor(), Normalize(0.3, 0.7)])),
    "colour": pictures(
        6, 4, 3, transform=Compose([Compose([ToTensor()]), Normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])])
    ),
    "one mean for all": pictures(6, 4, 3, transform=Compose([ToTensor(), Normalize(0.5, [0.4, 0.5, 0.6])])),
}
USUAL["a part of a part"] = Subset(Subset(USUAL["colour"], [20, 3, 4, 5, 6, 7, 22, 1]), [7, 0, 0, 6, 2])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", USUAL)
def test_the_same_batches_bit_by_bit(name, workers):
    expected = batches(USUAL[name], None)
    with standin.counting() as waits:
        got = batches(USUAL[name], DEVICE, num_workers=workers)
        assert waits == []
        loaded = [place for place in standin.uploads if "resident.py" in place]
    assert len(loaded) == 4 + len(got), loaded  # pictures, labels, mean and std, once; then the numbers of the samples
    assert len(got) == len(expected) >= 2
    for (images, labels), (same, same_labels) in zip(got, expected, strict=True):
        assert images.device == labels.device == DEVICE
        np.testing.assert_array_equal(images.numpy(), same.numpy(), strict=True)
        np.testing.assert_array_equal(labels.numpy(), same_labels.numpy(), strict=True)


class Flipped(ImageDataset):
    """Says itself what a sample is."""

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image[..., ::-1].copy(), label


class Inverted(ToTensor):
    def batch(self, images, rngs=None):
        return 1 - super().batch(images, rngs)


class Backwards(Compose):
    def batch(self, images, rngs=None):
        return super().batch(images[..., ::-1], rngs)


class Small(backends.Backend):
    """A device with little memory left."""

    def memory(self):
        return {"free": 2000}


def test_what_must_go_through_the_cpu():
    usual = USUAL["normalised"]
    backend = backends.get(DEVICE)
    assert resident(usual, backend) is not None
    assert resident(usual, Small()) is None
    assert len(resident(Subset(usual, [3, 4]), Small()).images) == 2
    floats = ImageDataset(usual.data.astype(np.float32), usual.targets, ToTensor())
    for other in (
        [(np.zeros(3), 1)],
        floats,
        Flipped(usual.data, usual.targets, usual.transform),
        pictures(7, 5, transform=None),
        pictures(7, 5, transform=Inverted()),
        pictures(7, 5, transform=Backwards([ToTensor()])),
        pictures(7, 5, transform=Compose([RandomCrop(4), ToTensor()])),
        pictures(7, 5, transform=Compose([ToTensor(), RandomCrop(4)])),
        pictures(7, 5, transform=Compose([ToTensor(), Normalize([0.1, 0.2], 1)])),
        pictures(3, 7, 5, transform=ToTensor()),
    ):
        assert resident(other, backend) is None


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        (pictures(7, 5, transform=Compose([ToTensor(), RandomCrop(4)])), {}),
        (USUAL["grey"], {"transform": Normalize(0.5, 0.5)}),
        (USUAL["grey"], {"collate_fn": lambda samples: np.stack([image for image, _ in samples])}),
        (Flipped(USUAL["grey"].data, USUAL["grey"].targets, ToTensor()), {}),
    ],
)
def test_those_come_as_before(dataset, options):
    for got, expected in zip(batches(dataset, DEVICE, **options), batches(dataset, None, **options), strict=True):
        got, expected = (batch if isinstance(batch, tuple) else (batch,) for batch in (got, expected))
        for a, b in zip(got, expected, strict=True):
            assert a.device == DEVICE
            np.testing.assert_array_equal(a.numpy(), b.numpy(), strict=True)


def test_what_is_changed_later_counts():
    dataset = pictures(7, 5, transform=ToTensor())
    loader, twin = (DataLoader(dataset, batch_size=9, device=device) for device in (DEVICE, None))
    for change in (
        lambda: None,
        lambda: setattr(dataset, "transform", Compose([ToTensor(), Normalize(0.1, 0.2)])),
        lambda: setattr(dataset, "data", dataset.data[:, ::-1].copy()),
        lambda: setattr(dataset, "targets", dataset.targets[::-1].copy()),
        lambda: setattr(loader, "transform", Normalize(0.5, 1)) or setattr(twin, "transform", Normalize(0.5, 1)),
    ):
        change()
        for (images, labels), (same, same_labels) in zip(loader, twin, strict=True):
            np.testing.assert_array_equal(images.numpy(), same.numpy())
            np.testing.assert_array_equal(labels.numpy(), same_labels.numpy())


def test_a_mistake_is_told_as_before():
    wrong = pictures(7, 5, transform=Compose([ToTensor(), Normalize([0.1, 0.2], 1)]))
    with pytest.raises(ValueError, match=r"2 mean\(s\) and 1 std\(s\) do not fit"):
        next(iter(DataLoader(wrong, device=DEVICE)))
