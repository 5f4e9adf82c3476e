"""The binary version of CIFAR-10 and CIFAR-100: fixed-length records of label bytes and 3,072 pixel bytes.

The pixels are 1,024 red, then 1,024 green, then 1,024 blue bytes, each plane row by row. CIFAR-100 has two
label bytes, the superclass and the class.
Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images", and the data set's home
    page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinygrad_cnn.data.files import malformed

PIXELS = 3 * 32 * 32
LARGEST = 50_000 * (2 + PIXELS)  # the longest file of either archive: the training records of CIFAR-100


def parse_records(content: bytes, path: Path | str, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of one binary file.

    Args:
        content: The file's bytes.
        path: Its name, for messages.
        classes: For each label byte of a record, how many classes it can name.

    Returns:
        images: (N, 32, 32, 3) uint8, red green blue last, a read-only view of the content.
        labels: (N, len(classes)) int64.

    Raises:
        DataError: If the length is not a whole number of records or a label is out of range.

    >>> images, labels = parse_records(bytes([3]) + bytes(3072), "one.bin", classes=[10])
    >>> images.shape, labels.tolist()
    ((1, 32, 32, 3), [[3]])
    """
    size = len(classes) + PIXELS
    count, rest = divmod(len(content), size)
    if rest or not count:
        reason = f"the file ends inside a record: {len(content):,} bytes are not a multiple of {size:,}"
        raise malformed(path, count * size, reason if content else "the file is empty")
    records = np.frombuffer(content, np.uint8).reshape(count, size)
    for column, limit in enumerate(classes):
        wrong = np.flatnonzero(records[:, column] >= limit)
        if wrong.size:
            row = int(wrong[0])
            label = int(records[row, column])
            raise malformed(path, row * size + column, f"label {label} of record {row} must be 0 to {limit - 1}")
    images = records[:, len(classes) :].reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)  # (N,C,H,W) -> (N,H,W,C)
    return images, records[:, : len(classes)].astype(np.int64)
