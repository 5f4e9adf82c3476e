"""Pictures that lie on the GPU as they were read, a byte for a number; a batch of them is one kernel.

Otherwise every batch would be picked and normalised on the CPU and copied, four times as many bytes, while the GPU
waits: a step of LeNet-5 there is shorter than that. CIFAR-10's 50,000 pictures are 154 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import Backend
from tinygrad_cnn.data.dataset import ImageDataset, Subset
from tinygrad_cnn.data.transforms import Compose, Normalize, ToTensor

#: What share of the free memory they may take.
MOST = 0.25


class Resident:
    """The pictures of a data set, on a device.

    Args:
        images: (N, H, W, C), bytes.
        labels: (N,).
        mean, std: What is subtracted, and what divided by, for each channel.
        backend: The device.
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, mean: np.ndarray, std: np.ndarray, backend: Backend
    ) -> None:
        self.backend = backend
        self.images, self.labels = backend.asarray(np.ascontiguousarray(images)), backend.asarray(labels)
        self.mean, self.std = backend.asarray(mean), backend.asarray(std)

    def get_batch(self, indices: np.ndarray) -> tuple[Any, Any]:
        """The same numbers as the data set's `get_batch`, on the device."""
        with self.backend.activate():
            where = self.backend.asarray(np.asarray(indices, np.int64))
            return kernels.gather_images(self.images, where, self.mean, self.std), self.labels[where]


def resident(dataset: Any, backend: Backend) -> Resident | None:
    """The pictures of a data set, or of a part of one, on the device; None if they must go through the CPU.

    They must where there is another transform than `ToTensor` and `Normalize` (an augmentation draws its numbers on the
    CPU), where the set fetches its samples in a way of its own, and where they take too much of the memory.
    """
    dataset, rows = whole(dataset)
    if not isinstance(dataset, ImageDataset) or type(dataset).get_batch is not ImageDataset.get_batch:
        return None
    channels = dataset.data.shape[3] if dataset.data.ndim == 4 else 1
    match [(type(step), step) for step in _chain(dataset.transform)]:  # a subclass may do something else
        case [(kind, _)] if kind is ToTensor:
            mean, std = (0.0,), (1.0,)
        case [(kind, _), (other, normalize)] if kind is ToTensor and other is Normalize:
            mean, std = normalize.mean, normalize.std
        case _:
            return None
    fits = channels <= 4 and all(len(numbers) in (1, channels) for numbers in (mean, std))
    size = dataset.data.nbytes if rows is None else dataset.data[:1].nbytes * len(rows)
    if dataset.data.dtype != np.uint8 or not fits or size > MOST * backend.memory().get("free", size / MOST):
        return None
    images, labels = (dataset.data, dataset.targets) if rows is None else (dataset.data[rows], dataset.targets[rows])
    means, stds = (np.broadcast_to(np.array(numbers, np.float32), channels) for numbers in (mean, std))
    return Resident(images[..., None] if images.ndim == 3 else images, labels, means, stds, backend)


def whole(dataset: Any) -> tuple[Any, np.ndarray | None]:
    """The set of which this is a part, perhaps of a part, and the rows of that it has; None: all."""
    rows = None
    while type(dataset) is Subset:
        rows = dataset.indices if rows is None else dataset.indices[rows]
        dataset = dataset.dataset
    return dataset, rows


def _chain(transform: Callable[..., Any] | None) -> list[Any]:
    """The transforms one after the other."""
    if type(transform) is Compose:
        return [step for part in transform.transforms for step in _chain(part)]
    return [] if transform is None else [transform]
