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
        dataset: Whose.
        rows: Which of them are meant by 0, 1, 2, …; None: all.
        mean, std: What is subtracted, and what divided by, for each channel.
        backend: The device.
    """

    def __init__(
        self, dataset: ImageDataset, rows: np.ndarray | None, mean: np.ndarray, std: np.ndarray, backend: Backend
    ) -> None:
        self.rows, self.backend = rows, backend
        images = dataset.data[..., None] if dataset.data.ndim == 3 else dataset.data
        self.images, self.labels = backend.asarray(np.ascontiguousarray(images)), backend.asarray(dataset.targets)
        self.mean, self.std = backend.asarray(mean), backend.asarray(std)

    def get_batch(self, indices: np.ndarray) -> tuple[Any, Any]:
        """The same numbers as the data set's `get_batch`, on the device."""
        chosen = np.asarray(indices, np.int64) if self.rows is None else self.rows[indices]
        with self.backend.activate():
            where = self.backend.asarray(chosen)
            return kernels.gather_images(self.images, where, self.mean, self.std), self.labels[where]


def resident(dataset: Any, backend: Backend) -> Resident | None:
    """The pictures of a data set, or of a part of one, on the device; None if they must go through the CPU.

    They must where there is another transform than `ToTensor` and `Normalize` (an augmentation draws its numbers on the
    CPU), where the set fetches its samples in a way of its own, and where they take too much of the memory.
    """
    rows = None
    while type(dataset) is Subset:
        rows = dataset.indices if rows is None else dataset.indices[rows]
        dataset = dataset.dataset
    if not isinstance(dataset, ImageDataset) or type(dataset).get_batch is not ImageDataset.get_batch:
        return None
    channels = dataset.data.shape[3] if dataset.data.ndim == 4 else 1
    match _chain(dataset.transform):
        case [ToTensor()]:
            mean, std = (0.0,), (1.0,)
        case [ToTensor(), Normalize(mean=mean, std=std)]:
            pass
        case _:
            return None
    fits = channels <= 4 and all(len(numbers) in (1, channels) for numbers in (mean, std))
    free = backend.memory().get("free", dataset.data.nbytes / MOST)
    if dataset.data.dtype != np.uint8 or not fits or dataset.data.nbytes > MOST * free:
        return None
    means, stds = (np.broadcast_to(np.array(numbers, np.float32), channels) for numbers in (mean, std))
    return Resident(dataset, rows, means, stds, backend)


def _chain(transform: Callable[..., Any] | None) -> list[Any]:
    """The transforms one after the other."""
    if isinstance(transform, Compose):
        return [step for part in transform.transforms for step in _chain(part)]
    return [] if transform is None else [transform]
