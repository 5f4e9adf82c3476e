"""Sets of samples: what one is, sets in memory, and parts of a set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn import backends, random
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.data import transforms
from tinygrad_cnn.shapes import ShapeError


class Dataset:
    """A set of samples: subclass it and define `__len__` and `__getitem__`.

    `dataset[i]` is one sample, usually `(image, label)`. What it draws from `random.default_generator()` is
    reproducible inside a `DataLoader`, which gives every sample a random stream of its own.

    A set that can fetch many samples at once also defines `get_batch`, and the loader then calls that.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return np.float32(index), index**2
    >>> Squares()[3]
    (np.float32(3.0), 9)
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # a class that says anew what one sample is must not inherit a faster way to fetch other samples
        if "__getitem__" in vars(cls) and "get_batch" not in vars(cls):
            cls.get_batch = Dataset.get_batch  # type: ignore[method-assign]

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def __getitem__(self, index: int) -> Any:
        """One sample."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])

    def get_batch(self, indices: np.ndarray, rngs: Sequence[random.Generator] | None = None) -> Any:
        """The samples at `indices` as a tuple of arrays with N = len(indices) rows.

        Must equal, bit by bit, `self[i]` for each index stacked. `rngs` are the samples' random streams.

        Returns:
            A tuple of arrays, or `NotImplemented` if samples can only be fetched one by one.
        """
        return NotImplemented


def _position(index: Any, count: int, name: str) -> int:
    if isinstance(index, (bool, np.bool_)) or not isinstance(index, (int, np.integer)):
        raise TypeError(f"{name}: the index must be a whole number, not {index!r}; for several use Subset")
    if not -count <= index < count:
        raise IndexError(f"{name}: there is no sample {index}, there are {count} (0 to {count - 1})")
    return int(index) % count


class TensorDataset(Dataset):
    """Tensors or arrays of equal first size: sample i is the tuple of their rows i; slices give several rows.

    Args:
        *tensors: (N, …) each, tensors or arrays.

    Raises:
        ShapeError: If their first sizes differ or one has no axes.

    >>> pairs = TensorDataset(np.array([[1.0], [2.0]]), np.array([0, 1]))
    >>> len(pairs), pairs[1]
    (2, (array([2.]), np.int64(1)))
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ValueError("TensorDataset: give at least one tensor or array")
        self.tensors = tuple(t if isinstance(t, Tensor) or backends.is_array(t) else np.asarray(t) for t in tensors)
        shapes = [tuple(t.shape) for t in self.tensors]
        if any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
            raise ShapeError(
                f"TensorDataset: all must have the same first size N (one row per sample), the shapes are {shapes}"
            )

    def __repr__(self) -> str:
        return f"TensorDataset({', '.join(f'{tuple(t.shape)} {t.dtype}' for t in self.tensors)})"

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The plain arrays."""
        return tuple(t.data if isinstance(t, Tensor) else t for t in self.tensors)

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        row = index if isinstance(index, slice) else _position(index, len(self), "TensorDataset")
        return tuple(t[row] for t in self.tensors)

    def get_batch(self, indices: np.ndarray, rngs: Sequence[random.Generator] | None = None) -> Any:
        """The rows at `indices` of every array, copied."""
        return tuple(_rows(array, indices) for array in self.arrays)


def _rows(array: Any, indices: np.ndarray) -> Any:
    backend = backends.backend_of(array)
    with backend.activate():
        return array[backend.asarray(indices)]


class ImageDataset(Dataset):
    """Images and labels in memory, with a transform that each image passes on its way out.

    The images stay as they are, for instance uint8; only the images of a batch are converted and normalised.

    Args:
        images: (N, H, W) or (N, H, W, C) uint8 pictures, or (N, C, H, W) floats.
        labels: (N,) whole numbers.
        transform: A `transforms.Transform`, which also gets the sample's random stream, or any function of
            one image.
        classes: The names of the labels 0, 1, ….

    Attributes:
        data: The images.
        targets: The labels, int64.

    Raises:
        ShapeError: If there are not as many labels as images.

    >>> pictures = ImageDataset(np.full((2, 4, 4), 255, np.uint8), [7, 1], transform=transforms.ToTensor())
    >>> image, label = pictures[0]
    >>> image.shape, float(image.max()), label
    ((1, 4, 4), 1.0, 7)
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        transform: Callable[..., Any] | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.data = transforms.as_array(images)
        self.targets = transforms.as_array(labels)
        if self.data.ndim < 3 or self.targets.shape != self.data.shape[:1]:
            raise ShapeError(
                f"{type(self).__name__}: images must be (N, H, W), (N, H, W, C) or (N, C, H, W) and labels "
                f"(N,); they are {self.data.shape} and {self.targets.shape}"
            )
        if self.targets.dtype.kind not in "iu":
            raise TypeError(f"{type(self).__name__}: labels must be whole numbers, not {self.targets.dtype}")
        self.targets = self.targets.astype(np.int64)
        self.transform = transform
        self.classes = tuple(classes) if classes is not None else None

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes is not None else ""
        return f"{type(self).__name__}({len(self)} images {self.data.shape[1:]} {self.data.dtype}{classes})"

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        row = _position(index, len(self), type(self).__name__)
        return transforms.apply(self.transform, self.data[row]), int(self.targets[row])

    def get_batch(self, indices: np.ndarray, rngs: Sequence[random.Generator] | None = None) -> Any:
        """The images at `indices`, transformed together, and their labels."""
        return transforms.apply_batch(self.transform, self.data[indices], rngs), self.targets[indices]


class Subset(Dataset):
    """Some samples of a dataset, in the order of `indices`.

    Args:
        dataset: The whole set.
        indices: Whole numbers from 0 to len(dataset) − 1; repetitions are allowed.

    Raises:
        IndexError: If an index is outside the set.

    >>> Subset([10, 11, 12, 13], [3, 0])[0]
    13
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)
        outside = self.indices[(self.indices < 0) | (self.indices >= len(dataset))]
        if outside.size:
            raise IndexError(f"Subset: index {outside[0]} is outside a dataset of {len(dataset)} samples")

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {self.dataset!r})"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[_position(index, len(self), "Subset")])]

    def get_batch(self, indices: np.ndarray, rngs: Sequence[random.Generator] | None = None) -> Any:
        """What the whole set's `get_batch` gives for these samples, if it has one."""
        fetch = getattr(self.dataset, "get_batch", None)
        return NotImplemented if fetch is None else fetch(self.indices[indices], rngs)


class ConcatDataset(Dataset):
    """Datasets one after the other; also `first + second`.

    Args:
        datasets: At least one.

    >>> ConcatDataset([[1, 2], [3]])[2]
    3
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: give at least one dataset")
        self.cumulative_sizes = np.cumsum([len(d) for d in self.datasets]).tolist()

    def __len__(self) -> int:
        return int(self.cumulative_sizes[-1])

    def __getitem__(self, index: int) -> Any:
        row = _position(index, len(self), "ConcatDataset")
        which = int(np.searchsorted(self.cumulative_sizes, row, side="right"))
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][row - before]
