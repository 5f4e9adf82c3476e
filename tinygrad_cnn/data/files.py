"""Where data files lie, how they are read, and whether they are the published ones."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import logging
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger("tinygrad_cnn.data")


class DataError(RuntimeError):
    """Data that are missing, cannot be downloaded or are not what they claim to be."""


def malformed(path: Path | str, offset: int, reason: str) -> DataError:
    """The error of a file whose content breaks its format, at a byte offset of the decompressed content."""
    return DataError(f"{path}: byte {offset:,}: {reason}")


def cache_dir() -> Path:
    """The folder that downloaded data sets are kept in.

    It is the environment variable `TINYGRAD_CNN_DATA`, else the platform's cache folder of this user.

    >>> import os, unittest.mock
    >>> with unittest.mock.patch.dict(os.environ, TINYGRAD_CNN_DATA="course-data"):
    ...     print(cache_dir())
    course-data
    """
    chosen = os.environ.get("TINYGRAD_CNN_DATA")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tinygrad_cnn"


@dataclass(frozen=True)
class RemoteFile:
    """A published file and the one checksum we know of it.

    Args:
        name: The file's name on every mirror.
        sha256: Of the decompressed content, which stays the same however a mirror compressed it.
        md5: Of the file as it is, where its authors publish only that.
    """

    name: str
    sha256: str = ""
    md5: str = ""

    def problem(self, path: Path) -> str | None:
        """Why the file at `path` is not this one; None if it is."""
        if self.md5:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if found != self.md5:
                return f"wrong content: MD5 {found}, published {self.md5}{_looks_like(path)}"
        if self.sha256:
            digest = hashlib.sha256()
            try:
                for chunk in _content(path):
                    digest.update(chunk)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                return f"damaged compression: {error}{_looks_like(path)}"
            if digest.hexdigest() != self.sha256:
                found = digest.hexdigest()
                return f"wrong content: SHA-256 {found}, published {self.sha256}{_looks_like(path)}"
        return None


def _looks_like(path: Path) -> str:
    with open(path, "rb") as file:
        head = file.read(64).lstrip()
    if not head:
        return " (the file is empty)"
    return " (it is a web page, perhaps the log-in page of this network)" if head.startswith(b"<") else ""


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[Any]:
    """The file, open for reading, decompressed if it is gzip, whatever its name says."""
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream


def _content(path: Path) -> Iterator[bytes]:
    with opened(path) as stream:
        while chunk := stream.read(1 << 20):
            yield chunk


def read_content(path: Path | str) -> bytes:
    """The whole content of a file, decompressed if it is gzip.

    Raises:
        DataError: If the file cannot be read or its compression is damaged.
    """
    pieces: list[bytes] = []
    try:
        pieces.extend(_content(Path(path)))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        intact = sum(map(len, pieces))
        reason = f"damaged gzip data after this point: {error}; delete the file and get it again"
        raise malformed(path, intact, reason) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return b"".join(pieces)


def locate(folders: Sequence[Path], names: Sequence[Sequence[str]]) -> list[Path] | None:
    """The files in the first folder that has all of them.

    Args:
        folders: Where to look, in this order.
        names: For each wanted file the names it may have, in order of preference.
    """
    for folder in folders:
        found = [next((folder / v for v in variants if (folder / v).is_file()), None) for variants in names]
        if all(found):
            return [path for path in found if path is not None]
    return None
