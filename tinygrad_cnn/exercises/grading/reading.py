"""Folders and zips read into memory: what exercises' files could be, and in words what was left out.

Nothing is unpacked onto the disk. What is in a zip is named by its maker: a name that leads elsewhere, a link, a
password, and more than a student can have written are told, and the rest is read all the same.
"""

from __future__ import annotations

import contextlib
import io
import lzma
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tinygrad_cnn.exercises.submission import MANIFEST

MAX_FILE = 256 << 10  # bytes of one exercise's file; written by hand it has a few thousand
MAX_ZIP = 64 << 20  # bytes a student's zip may unpack to, counting what is read of it
MAX_CLASS_ZIP = 2 << 30  # and one with a whole class in it
MAX_MEMBERS = 2_000
MAX_CLASS_MEMBERS = 200_000
MAX_DEPTH = 4  # zips in zips
MAX_FOLDERS = 16  # folders in folders

ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz")
_NOT_THEIRS = {"__MACOSX", "__pycache__", "backups", "env", "node_modules", "site-packages", "venv"}
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, MemoryError, OSError, OverflowError,
    RuntimeError, ValueError,
)  # fmt: skip


class GradingError(ValueError):
    """A folder of submissions, or a setting of the grading, that cannot be used; the message says what to change."""


@dataclass
class File:
    """A file's content, and a number that grows with the time of its last change."""

    content: bytes
    time: float


@dataclass
class Folder:
    """A folder or a zip, as far as it matters.

    Attributes:
        name: Without `.zip`.
        source: Where it lies.
        zipped: Whether it is a zip.
        files: Python files, and manifests of `submit`.
        folders: Folders and zips in it.
        others: Names of other files.
        remarks: What was left out, and why.
    """

    name: str
    source: str
    zipped: bool = False
    files: dict[str, File] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def inside(self, *path: str) -> Folder:
        """The folder of this path, made if there is none."""
        folder = self
        for name in path:
            if name not in folder.folders:
                folder.folders[name] = Folder(name, f"{folder.source}/{name}")
            folder = folder.folders[name]
        return folder

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Folder]]:
        """All folders in it, and how deep they lie."""
        yield depth, self
        for name in sorted(self.folders):
            yield from self.folders[name].walk(depth + 1)


class _TooMuch(ValueError):
    """More in a zip than there can be."""


@dataclass
class Budget:
    """How much may still be read of a zip and of those inside it."""

    size: int
    members: int

    def __post_init__(self) -> None:
        self.whole_size, self.whole_members = self.size, self.members

    @classmethod
    def of_a_class(cls) -> Budget:
        """For a zip with everybody's."""
        return cls(MAX_CLASS_ZIP, MAX_CLASS_MEMBERS)

    @classmethod
    def of_a_student(cls, outer: Budget | None = None) -> Budget:
        """For one student's, of what is left for the zip it lies in."""
        return cls(
            min(MAX_ZIP, outer.size if outer else MAX_ZIP), min(MAX_MEMBERS, outer.members if outer else MAX_MEMBERS)
        )

    def spend(self, inner: Budget) -> None:
        """Take off what was read of a zip inside."""
        self.size -= inner.whole_size - inner.size
        self.members -= inner.whole_members - inner.members

    def member(self) -> None:
        self.members -= 1
        if self.members < 0:
            raise _TooMuch(f"it holds more than {self.whole_members:,} files")

    def read(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes | None:
        """A file's content, or None if it is longer than `most`; what the zip says of its length is not believed."""
        most = min(most, self.size)
        with archive.open(info) as file:
            content = file.read(most + 1)
        self.size -= len(content)
        if self.size < 0:
            raise _TooMuch(f"it unpacks to more than {self.whole_size >> 20:,} MiB")
        return content if len(content) <= most else None


def _theirs(name: str) -> bool:
    """Whether a student has made it, not the system or the exercises' own commands."""
    return not name.startswith(".") and name not in _NOT_THEIRS


def read_folder(place: Path) -> Folder:
    """What is in a folder; links are not followed."""
    made = Folder(normal(place.resolve().name), place.name)
    members = 0
    waiting = [(place, made, 0)]
    while waiting:
        path, folder, depth = waiting.pop()
        try:
            entries = sorted(path.iterdir())
        except OSError as error:
            folder.remarks.append(f"{path.name} cannot be read: {error.strerror or error}")
            continue
        for entry in entries:
            name = normal(entry.name)
            if not _theirs(name):
                continue
            members += 1
            if members > MAX_CLASS_MEMBERS:
                raise GradingError(f"{place} holds more than {MAX_CLASS_MEMBERS:,} files; is it the right folder?")
            try:
                kind = entry.lstat()
                if stat.S_ISLNK(kind.st_mode):
                    folder.remarks.append(f"{name} is a link and was left out")
                elif stat.S_ISDIR(kind.st_mode):
                    if depth == MAX_FOLDERS:
                        folder.remarks.append(f"{name} lies too deep in folders and was left out")
                    else:
                        waiting.append((entry, folder.inside(name), depth + 1))
                elif not stat.S_ISREG(kind.st_mode):
                    folder.remarks.append(f"{name} is no plain file and was left out")
                elif entry.suffix.lower() == ".zip":
                    stem = name[: -len(".zip")]
                    name_here = stem if stem not in folder.folders else name
                    source = f"{folder.source}/{name}"
                    folder.folders[name_here] = read_zip(entry, stem, source, Budget.of_a_student())
                elif entry.suffix.lower() != ".py" and name != MANIFEST:
                    _other(folder, name)
                elif kind.st_size > MAX_FILE:
                    folder.remarks.append(f"{name} is longer than {MAX_FILE >> 10} KiB and was left out")
                else:
                    folder.files[name] = File(entry.read_bytes(), kind.st_mtime)
            except OSError as error:
                folder.remarks.append(f"{name} cannot be read: {error.strerror or error}")
    return made


def _other(folder: Folder, name: str) -> None:
    """Note a file that is no exercise's; an archive we cannot open is a submission of its own."""
    stem = next((name[: -len(end)] for end in ARCHIVES if name.lower().endswith(end)), None)
    if stem is None:
        folder.others.append(name)
        return
    folder.folders.setdefault(name, Folder(stem.removesuffix(".tar"), f"{folder.source}/{name}")).remarks.append(
        f"{name} cannot be read, only folders and .zip can: unpack it, or ask for a .zip"
    )


def read_zip(place: Path | io.BytesIO, name: str, source: str, budget: Budget, depth: int = 1) -> Folder:
    """What is in a zip; what is wrong with it becomes a remark."""
    made = Folder(name, source, zipped=True)
    file = source.rpartition("/")[2]
    try:
        with zipfile.ZipFile(place) as archive:
            for info in archive.infolist():
                budget.member()
                path = _path(info)
                if path is None:
                    made.remarks.append(f"{file}: {info.filename!r} leads out of the zip and was left out")
                elif all(map(_theirs, path)) and path and not info.is_dir():
                    _member(archive, info, path, made, file, budget, depth)
    except _TooMuch as error:
        made.files, made.folders = {}, {}
        made.remarks.append(f"{file} was not read: {error}")
    except _UNREADABLE as error:
        made.remarks.append(f"{file} is damaged, or no zip ({error})")
    return made


def _member(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    path: list[str],
    made: Folder,
    file: str,
    budget: Budget,
    depth: int,
) -> None:
    """Read one file of a zip, if it can be an exercise's or is a zip itself."""
    *folders, name = path
    suffix = Path(name).suffix.lower()
    folder = made.inside(*folders[:MAX_FOLDERS])
    if suffix not in (".py", ".zip") and name != MANIFEST:
        _other(folder, name)
    elif info.create_system == 3 and stat.S_ISLNK(info.external_attr >> 16):
        made.remarks.append(f"{file}: {name} is a link and was left out")
    elif info.flag_bits & 1:
        made.remarks.append(f"{file}: {name} is protected with a password and was left out")
    else:
        try:
            content = budget.read(archive, info, MAX_ZIP if suffix == ".zip" else MAX_FILE)
        except _TooMuch:
            raise
        except _UNREADABLE as error:
            made.remarks.append(f"{file}: {name} is damaged and was left out ({error})")
            return
        if content is None:
            limit = f"{MAX_ZIP >> 20} MiB" if suffix == ".zip" else f"{MAX_FILE >> 10} KiB"
            made.remarks.append(f"{file}: {name} is longer than {limit} and was left out")
        elif suffix != ".zip":
            folder.files[name] = File(content, _time(info))
        elif depth == MAX_DEPTH:
            made.remarks.append(f"{file}: {name} lies too deep in zips and was left out")
        else:
            inner = Budget.of_a_student(budget)
            stem = name[: -len(suffix)]
            here = stem if stem not in folder.folders else name
            folder.folders[here] = read_zip(io.BytesIO(content), stem, f"{made.source}/{name}", inner, depth + 1)
            budget.spend(inner)


def _path(info: zipfile.ZipInfo) -> list[str] | None:
    """Folders and name of a file in a zip; None if they lead out of it."""
    name = info.filename
    if not info.flag_bits & 0x800:  # not marked as UTF-8, but macOS and old tools write it
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    name = normal(name).replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or (parts and re.match(r"[A-Za-z]:", parts[0])):
        return None
    return parts


def normal(name: str) -> str:
    """One way to write é; macOS has another."""
    return unicodedata.normalize("NFC", name)


def _time(info: zipfile.ZipInfo) -> float:
    """When a file in a zip was changed, as a number that grows."""
    year, month, day, hour, minute, second = info.date_time
    return ((((year * 12 + month) * 31 + day) * 24 + hour) * 60 + minute) * 60.0 + second
