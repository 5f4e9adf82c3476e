"""Where data files lie, how they are read, and whether they are the published ones."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import logging
import os
import sys
import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

logger = logging.getLogger("tinygrad_cnn.data")

_LARGEST = 1 << 28  # bytes; above every file in every archive
_DAMAGED_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
_DAMAGED_TAR = (tarfile.TarError, ValueError)  # ValueError: tarfile lets it through from numbers that are none


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
    """A published file and the checksums we know of it.

    Args:
        name: The file's name on every mirror.
        content: Each file inside → the SHA-256 of its decompressed bytes, which stays the same however a
            mirror compressed it. A file that is only compressed holds one, called as it is without `.gz`;
            all others are tar archives.
        sha256: Of the file exactly as its authors published it, where that is known.
    """

    name: str
    content: Mapping[str, str] = field(hash=False)
    sha256: str = ""

    def problem(self, path: Path) -> str | None:
        """Why the file at `path` is not this one; None if it is, or if it holds the same content."""
        if self.sha256:
            with open(path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == self.sha256:
                    return None
        try:
            found = self._digests(path)
        except _DAMAGED_GZIP as error:
            return f"damaged compression: {error}{_looks_like(path)}"
        except _DAMAGED_TAR as error:
            return f"damaged archive: {error}{_looks_like(path)}"
        wrong = [
            f"{name} has SHA-256 {found[name]}, published {published}" if name in found else f"{name} is missing"
            for name, published in self.content.items()
            if found.get(name) != published
        ]
        return f"wrong content: {', '.join(wrong)}{_looks_like(path)}" if wrong else None

    def _digests(self, path: Path) -> dict[str, str]:
        """The SHA-256 of each file inside the one at `path`, as far as it is there."""
        single = self.name.removesuffix(".gz")
        if single not in self.content:
            return {name: hashlib.sha256(part).hexdigest() for name, part in _members(path, self.content, _LARGEST)}
        digest = hashlib.sha256()
        for chunk in _content(path):
            digest.update(chunk)
        return {single: digest.hexdigest()}


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
    except _DAMAGED_GZIP as error:
        intact = sum(map(len, pieces))
        reason = f"damaged gzip data after this point: {error}; delete the file and get it again"
        raise malformed(path, intact, reason) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return b"".join(pieces)


def read_archive(path: Path, names: Collection[str], largest: int = _LARGEST) -> dict[str, bytes]:
    """The named files of a tar archive, read into memory; nothing is extracted to the disk.

    Args:
        path: The archive, compressed or not.
        names: The files wanted, with their folders inside the archive. All others are passed over, whatever
            their names.
        largest: How many bytes a file in it may have.

    Returns:
        Each of the names, in the order given → the file's content.

    Raises:
        DataError: If the archive is damaged, or a wanted file is missing, there twice, a link or too long.
    """
    try:
        found = dict(_members(path, names, largest))
    except (*_DAMAGED_GZIP, *_DAMAGED_TAR) as error:
        raise DataError(f"{path}: damaged archive: {error}; delete the file and get it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path}: the archive has no {', '.join(missing)}; is it another version of the data set?")
    return {name: found[name] for name in names}


def _members(path: Path, names: Collection[str], largest: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of the named files that a tar archive has; only at the end it is known to be intact."""
    seen: set[str] = set()
    # not tarfile's own "r|gz": only GzipFile compares the checksum, which notices a flipped bit
    with opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            place = f"byte {member.offset:,}: {member.name}"
            # also where it is passed over: tarfile goes on to where it should end, however far that is
            if not 0 <= member.size <= largest:
                raise tarfile.ReadError(f"{place} must have at most {largest:,} bytes, not {member.size:,}")
            name = member.name.removeprefix("./")
            if name not in names:
                continue
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or name in seen:
                raise tarfile.ReadError(f"{place} must be there once, as a plain file")
            seen.add(name)
            reader = archive.extractfile(member)
            yield name, reader.read() if reader is not None else b""
        while stream.read(1 << 20):
            pass  # to the end, where the checksum is


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
