"""The IDX file format, in which MNIST and Fashion-MNIST come.

A file is `0 0 type rank`, then `rank` sizes as big-endian 32-bit numbers, then the numbers row by row.
Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits", section "FILE FORMATS".
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tinygrad_cnn.data.files import malformed, read_content

# the third byte of the file → how one number is stored, most significant byte first
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path | str) -> np.ndarray:
    """The array in an IDX file, plain or compressed with gzip.

    Args:
        path: The file.

    Returns:
        A read-only array in the file's shape and number type, in the machine's byte order.

    Raises:
        DataError: If the file is not IDX, too short or too long, with the byte offset.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))  # bytes, 1 axis, 3 of them: 5 0 4
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    return parse_idx(read_content(path), path)


def parse_idx(content: bytes, path: Path | str) -> np.ndarray:
    """The array in the content of an IDX file; `path` is for messages. Raises as `read_idx`."""
    if len(content) < 4:
        raise malformed(path, len(content), f"the file ends here, before the 4 bytes of its IDX header{_gist(content)}")
    kind, rank = content[2], content[3]
    if content[:2] != b"\0\0" or kind not in _TYPES:
        raise malformed(path, 0, f"{content[:4].hex(' ')} is no IDX header (0 0 type rank){_gist(content)}")
    start = 4 + 4 * rank
    if len(content) < start:
        raise malformed(path, len(content), f"the file ends here, before the {rank} sizes of its header")
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    dtype = np.dtype(_TYPES[kind])
    end = start + math.prod(shape) * dtype.itemsize
    if len(content) < end:
        raise malformed(path, len(content), f"the file ends here; its header promises shape {shape}, {end:,} bytes")
    if len(content) > end:
        extra = len(content) - end
        raise malformed(path, end, f"{extra:,} more bytes than the shape {shape} of its header needs")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array if dtype.isnative else _locked(array.astype(dtype.newbyteorder("=")))


def _locked(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _gist(content: bytes) -> str:
    return "; it is a web page, not data" if content.lstrip().startswith(b"<") else ""
