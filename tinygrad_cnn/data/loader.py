"""Batches from a dataset: their order, prefetching threads, reproducible randomness, resuming."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import contextvars
import itertools
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn import backends, random
from tinygrad_cnn.data import transforms
from tinygrad_cnn.data.collate import collate_arrays, to_tensors
from tinygrad_cnn.data.resident import Resident, resident, whole

_AHEAD = 2  # batches in work per thread


@dataclass
class _Pass:
    """One walk through the dataset: its random streams and how many batches were handed out."""

    seed: int
    epoch: int
    position: int
    done: bool = False


class DataLoader:
    """Walk through a dataset in batches: `for images, labels in loader`.

    Every walk is an epoch with an order of its own, the permutation drawn from (seed, epoch). Sample `index`
    gets the random stream (seed, epoch, index) for its augmentation. So the batches depend neither on the
    number of threads nor on which of the loader's walks were finished.

    Args:
        dataset: Anything with `len(dataset)` and `dataset[i]`; a `Dataset` with `get_batch` is asked for
            whole batches.
        batch_size: Samples per batch; the last one may be smaller.
        shuffle: Draw a new order in every epoch.
        generator: The seed is drawn from it once, here; the default generator if absent.
        drop_last: Leave out a last batch that is smaller.
        num_workers: Threads that prepare batches ahead; 0 prepares each when it is asked for. At most twice
            as many batches as threads are in work.
        collate_fn: Makes the batch from the list of its samples, instead of `default_collate`; arrays in
            what it returns become tensors.
        transform: Applied to each image (the first part of a sample) after the dataset's own.
        device: Where the batches' tensors are made. Pictures of bytes that are only scaled and normalised are copied
            to a GPU once, for the first batch (again where the set's `data`, `targets` or `transform` is another
            then, not where it was changed in place).
        sampler: The indices of the samples in their order, asked anew for every walk, instead of `shuffle`. To
            resume within an epoch it must give the same order again.
        pin_memory: Accepted for PyTorch's sake, without effect.
        persistent_workers: Accepted for PyTorch's sake, without effect: threads start at once.
        worker_init_fn: Refused: threads need no preparation, since every sample has its own random stream.

    Raises:
        DeviceError: If the device cannot be used.
        IndexError: If the sampler gives an index that is outside the dataset.
        ValueError: If the sizes make no batch: batch_size < 1, an empty dataset, or drop_last with fewer
            samples.

    >>> from tinygrad_cnn.data import TensorDataset
    >>> pairs = TensorDataset(np.arange(5.0), np.arange(5))
    >>> [labels.tolist() for _, labels in DataLoader(pairs, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        generator: random.Generator | None = None,
        drop_last: bool = False,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        transform: Callable[..., Any] | None = None,
        device: Any = None,
        sampler: Any = None,
        pin_memory: bool = False,
        persistent_workers: bool = False,
        worker_init_fn: None = None,
    ) -> None:
        if worker_init_fn is not None:
            raise ValueError(
                "DataLoader: worker_init_fn has nothing to do here: workers are threads, and every sample has a random "
                "stream of its own; draw from random.default_generator() in the dataset, and leave it out"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle both say in which order; give one of them")
        for name, value, least in (("batch_size", batch_size, 1), ("num_workers", num_workers, 0)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"DataLoader: {name}={value!r} must be a whole number of at least {least}")
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        self.sampler = sampler
        self.drop_last = bool(drop_last)
        self.num_workers = int(num_workers)
        self.collate_fn = collate_fn
        self.transform = transform
        self.device = None if device is None else backends.get(device)
        self._resident: Resident | None = None
        self._copied: tuple[Any, ...] = ()  # what is there
        if not len(dataset):
            raise ValueError("DataLoader: the dataset is empty")
        samples = len(dataset if sampler is None else sampler)
        if not samples:
            raise ValueError("DataLoader: the sampler is empty")
        if not len(self):
            raise ValueError(
                f"DataLoader: drop_last leaves nothing of {samples} samples in batches of {batch_size}; "
                "make batch_size smaller"
            )
        if generator is None:
            generator = random.default_generator()
        if not isinstance(generator, random.Generator):
            raise TypeError(f"DataLoader: generator={generator!r} must be a random.Generator, as Generator(seed)")
        self.seed = int(generator.integers(0, 2**63 - 1))
        self._next = _Pass(self.seed, epoch=0, position=0)
        self._latest: _Pass | None = None

    def __len__(self) -> int:
        """Batches per epoch."""
        samples = self.dataset if self.sampler is None else self.sampler
        full, rest = divmod(len(samples), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __repr__(self) -> str:
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}, num_workers={self.num_workers}, seed={self.seed}: {len(self)} "
            "batches)"
        )

    @property
    def epoch(self) -> int:
        """The epoch of the latest unfinished walk, else of the next one; the first is 0."""
        return self._state().epoch

    @property
    def position(self) -> int:
        """Batches handed out so far in this epoch; what was prepared ahead does not count."""
        return self._state().position

    def _state(self) -> _Pass:
        return self._next if self._latest is None or self._latest.done else self._latest

    def set_epoch(self, epoch: int) -> None:
        """Let the next walk be this epoch from its start."""
        if epoch < 0:
            raise ValueError(f"DataLoader.set_epoch: epoch={epoch} must not be negative")
        self._next, self._latest = _Pass(self.seed, epoch, 0), None

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, in plain numbers: seed, epoch, batches handed out, what they refer to."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "position": self.position,
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next walk go on where `state_dict` was taken, in the middle of an epoch too.

        Raises:
            ValueError: If the state belongs to a loader with other batches.
        """
        for name, here in (
            ("samples", len(self.dataset)),
            ("batch_size", self.batch_size),
            ("shuffle", self.shuffle),
        ):
            if state.get(name, here) != here:
                raise ValueError(
                    f"DataLoader.load_state_dict: the state has {name}={state[name]}, this loader {here}: "
                    "its position means other samples here. Make the loader as it was"
                )
        seed, epoch, position = int(state["seed"]), int(state["epoch"]), int(state["position"])
        if epoch < 0 or not 0 <= position <= len(self):
            raise ValueError(
                f"DataLoader.load_state_dict: epoch {epoch}, position {position}: there is no such place in "
                f"epochs of {len(self)} batches"
            )
        self.seed = seed
        self._next, self._latest = _Pass(seed, epoch, position), None

    def __iter__(self) -> Iterator[Any]:
        """The batches of one epoch; close the iterator to end it early together with its threads."""
        run = self._next
        self._next, self._latest = _Pass(self.seed, run.epoch + 1, 0), run
        return self._batches(run)

    def _batches(self, run: _Pass) -> Iterator[Any]:
        order = self._order(run)
        batches = (
            order[start : start + self.batch_size]
            for start in range(run.position * self.batch_size, len(self) * self.batch_size, self.batch_size)
        )
        load = self._loading(run)
        loaded = (
            _prefetch(load, batches, min(self.num_workers, len(self) - run.position))
            if self.num_workers
            else (load(indices) for indices in batches)
        )
        with contextlib.closing(loaded):
            for batch in loaded:
                run.position += 1
                yield to_tensors(batch, self.device)
        run.done = True

    def _order(self, run: _Pass) -> np.ndarray:
        count = len(self.dataset)
        if self.sampler is None:
            return (
                random.Generator(run.seed, stream=(run.epoch,)).permutation(count) if self.shuffle else np.arange(count)
            )
        order = np.asarray([int(index) for index in self.sampler], dtype=np.int64)
        outside = order[(order < 0) | (order >= count)]
        if outside.size:
            raise IndexError(f"DataLoader: the sampler gave {outside[0]}; the dataset has samples 0 to {count - 1}")
        return order

    def _on_device(self) -> Resident | None:
        """The pictures on the GPU, if they can be there; copied again only where the data set has others now."""
        if self.device in (None, backends.CPU) or self.transform is not None or self.collate_fn is not None:
            return None
        source, rows = whole(self.dataset)
        wanted = (*(getattr(source, name, None) for name in ("data", "targets", "transform")), rows is None)
        if len(self._copied) != len(wanted) or any(a is not b for a, b in zip(self._copied, wanted)):
            self._copied, self._resident = wanted, resident(self.dataset, self.device)
        return self._resident

    def _loading(self, run: _Pass) -> Callable[[np.ndarray], Any]:
        on_device = self._on_device()

        def load(indices: np.ndarray) -> Any:
            if self.collate_fn is not None:
                return self.collate_fn(self._samples(run, indices))
            if on_device is not None:
                return on_device.get_batch(indices)
            fetch = getattr(self.dataset, "get_batch", None)
            if fetch is None:
                return collate_arrays(self._samples(run, indices), indices)
            rngs = _Streams(run, indices)
            try:
                batch = fetch(indices, rngs)
                if batch is not NotImplemented:
                    images, *others = batch
                    return (transforms.apply_batch(self.transform, images, rngs), *others)
            except Exception:
                # once more one by one, so that the error names the sample if it is one alone
                collate_arrays(self._samples(run, indices), indices)
                raise
            return collate_arrays(self._samples(run, indices), indices)

        return load

    def _samples(self, run: _Pass, indices: np.ndarray) -> list[Any]:
        samples = []
        for index, rng in zip(indices.tolist(), _Streams(run, indices), strict=True):
            try:
                # whatever the dataset draws without being handed an rng comes from the sample's stream, too
                with random.use_generator(rng):
                    sample = self.dataset[index]
                    if self.transform is not None:
                        if isinstance(sample, tuple):
                            sample = (transforms.apply(self.transform, sample[0], rng), *sample[1:])
                        else:
                            sample = transforms.apply(self.transform, sample, rng)
            except Exception as error:
                error.add_note(f"DataLoader: while loading sample {index} (epoch {run.epoch})")
                raise
            samples.append(sample)
        return samples


class _Streams(collections.abc.Sequence):
    """The random streams of a batch's samples, made when one is asked for: most batches need none."""

    def __init__(self, run: _Pass, indices: np.ndarray) -> None:
        self._run, self._indices = run, indices
        self._made: list[random.Generator] | None = None

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i: Any) -> Any:
        if self._made is None:
            run = self._run
            self._made = [random.Generator(run.seed, stream=(run.epoch, index)) for index in self._indices.tolist()]
        return self._made[i]


def _prefetch(load: Callable[[Any], Any], jobs: Iterator[Any], num_workers: int) -> Generator[Any, None, None]:
    """`load(job)` for each job, in order, computed ahead by threads that end with the iterator."""
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    # each thread gets the caller's context: default device, default generator, kernel overrides
    threads = [
        threading.Thread(
            target=contextvars.copy_context().run, args=(_work, load, tasks), name=f"DataLoader-{i}", daemon=True
        )
        for i in range(num_workers)
    ]
    pending: collections.deque[concurrent.futures.Future[Any]] = collections.deque()

    def submit(jobs: Iterator[Any]) -> None:
        for job in jobs:
            pending.append(concurrent.futures.Future())
            tasks.put((pending[-1], job))

    try:
        for thread in threads:
            thread.start()
        submit(itertools.islice(jobs, _AHEAD * num_workers))
        while pending:
            future = pending.popleft()
            while not future.done():
                concurrent.futures.wait([future], timeout=0.5)  # not forever: Windows would not notice Ctrl-C
            batch = future.result()
            del future
            submit(itertools.islice(jobs, 1))
            yield batch
            del batch
    finally:
        for future in pending:
            future.cancel()
        for _ in threads:
            tasks.put(None)
        for thread in threads:
            # a thread that hangs in a sample must not hang its user; it ends by itself with that sample
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(timeout=1.0)


def _work(load: Callable[[Any], Any], tasks: queue.SimpleQueue[Any]) -> None:
    while (task := tasks.get()) is not None:
        future, job = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(load(job))
            except BaseException as error:  # the consumer raises it where the batch would have come
                future.set_exception(error)
        del task, future  # hold no batch while waiting for the next task
