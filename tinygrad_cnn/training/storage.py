"""Files that are either whole or not there: how a checkpoint's bytes reach the disk and come back.

A checkpoint is a directory `checkpoint-000012` with a few files and `MANIFEST.json`, which holds the size and
the SHA-256 of each (safetensors alone does not notice a flipped bit). It is written beside under another
name, flushed to the disk (fsync) and renamed; so a power cut, a kill or a full disk leaves the checkpoints
before it as they were. What is *in* the files is `checkpoint.py`'s business.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "MANIFEST.json"
_NAME = re.compile(r"checkpoint-(\d{6,})")
_LEFTOVER = re.compile(r"\.(writing|deleting)-checkpoint-\d{6,}-[0-9a-f]{8}")
_WINDOWS = os.name == "nt"
_log = logging.getLogger(__name__)


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written, read or used; the message names the file and what to do."""


class DamagedError(CheckpointError):
    """A checkpoint whose files are not the ones that were written."""


def checkpoints(directory: str | os.PathLike[str]) -> list[Path]:
    """The finished checkpoints in a directory, oldest first; none if the directory does not exist.

    >>> checkpoints("a directory that is not there")
    []
    """
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = [path for path in Path(directory).iterdir() if _NAME.fullmatch(path.name)]
    return sorted(found, key=_number)


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match.group(1)) if match else 0


def write(directory: str | os.PathLike[str], files: Mapping[str, bytes], keep: int = 2) -> Path:
    """Write the files as the directory's next checkpoint and remove old ones; return its path.

    Args:
        directory: The directory of checkpoints; made if it is not there.
        files: File name → content.
        keep: Undamaged checkpoints to keep, the new one included. Older ones go only once it is durable.

    Raises:
        CheckpointError: If something cannot be written (a full disk, no permission, a file in the way); what
            was there before is untouched then.
    """
    directory = Path(directory)
    scratch = target = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        present = checkpoints(directory)
        name = f"checkpoint-{_number(present[-1]) + 1 if present else 1:06d}"
        target = directory / name
        scratch = directory / f".writing-{name}-{uuid.uuid4().hex[:8]}"
        scratch.mkdir()
        for file, content in {**files, MANIFEST: _manifest(files)}.items():
            _write_durably(scratch / file, content)
        _sync_directory(scratch)
        _rename(scratch, target)
        _sync_directory(directory)
    except OSError as error:
        place = target or directory
        if target and scratch and Path(error.filename or "").parent == scratch:
            place = target / Path(error.filename).name  # the name it was to have; nobody has ever seen the other
        raise CheckpointError(
            f"checkpoint: cannot write {place}: {error.strerror or error}. "
            "Checkpoints written earlier are untouched; free some space or give another directory, then resume."
        ) from error
    finally:  # also after Ctrl-C in the middle; after the rename there is nothing left to remove
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    _prune(directory, name, keep)
    return target


def write_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace one file as a whole: a reader sees the old content or the new one, never half of either.

    Raises:
        OSError: If it cannot be written; the old file is untouched then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        _write_durably(scratch, content)
        os.replace(scratch, path)
        _sync_directory(path.parent)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # nobody has ever seen the other name
        raise
    finally:
        scratch.unlink(missing_ok=True)


def read(path: Path) -> dict[str, bytes]:
    """The content of each of a checkpoint's files, after all of them have been found to be what was written.

    Raises:
        DamagedError: If a file is missing, cut short or altered; it says which.
        CheckpointError: If a newer version of the package wrote it.
    """
    return dict(_verified(path))


def sweep(directory: str | os.PathLike[str]) -> None:
    """Remove what a killed process left half written or half deleted in a directory of checkpoints."""
    with contextlib.suppress(OSError):
        for path in Path(directory).iterdir():
            if _LEFTOVER.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)


def _verified(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each file's name and content, one after another, so that looking through them needs one in memory."""
    for name, entry in _read_manifest(path).items():
        content = _read_bytes(path / name)
        if len(content) != entry["bytes"]:
            raise DamagedError(f"{path / name} has {len(content)} bytes; {entry['bytes']} were written")
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise DamagedError(f"{path / name} is not what was written: its SHA-256 differs from {MANIFEST}'s")
        yield name, content


def _manifest(files: Mapping[str, bytes]) -> bytes:
    entries = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()
    }
    return _sealed({"format": FORMAT, "files": entries})


def _sealed(manifest: dict[str, Any]) -> bytes:
    """The manifest as JSON with a checksum of itself, so that damage to it is told from damage to a file."""
    seal = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**manifest, "seal": seal}, sort_keys=True, indent=1) + "\n").encode()


def _read_manifest(path: Path) -> dict[str, dict[str, Any]]:
    content = _read_bytes(path / MANIFEST)
    try:
        manifest = json.loads(content)
        manifest.pop("seal")
        intact = _sealed(manifest) == content
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        intact = False
    if not intact:
        raise DamagedError(f"{path / MANIFEST} is not what was written: its checksum of itself does not fit")
    if manifest["format"] > FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {manifest['format']}, this version of tinygrad_cnn reads up to "
            f"{FORMAT}; update the package"
        )
    entries: dict[str, dict[str, Any]] = manifest["files"]
    for name in entries:
        if Path(name).name != name or "\\" in name or ":" in name or name in ("", ".", ".."):
            raise DamagedError(f"{path / MANIFEST} names {name!r}, which is not a file of the checkpoint")
    return entries


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing") from None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror or error}") from error


def _write_durably(path: Path, content: bytes) -> None:
    try:
        with open(path, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(path)  # write and fsync do not say which file it was
        raise


def _sync_directory(path: Path) -> None:
    """Make the names in a directory durable too, where the platform can (Windows does it by itself)."""
    if _WINDOWS:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(source: Path, target: Path) -> None:
    """Rename, patiently on Windows, where a virus scanner may hold a new file open for a moment."""
    for pause in (0.05, 0.1, 0.2, 0.4, 0.8) if _WINDOWS else ():
        try:
            return os.rename(source, target)
        except PermissionError:
            time.sleep(pause)
    return os.rename(source, target)


def _prune(directory: Path, newest: str, keep: int) -> None:
    """Remove checkpoints older than the newest `keep` good ones; a damaged one does not count as a copy."""
    good = 1
    for path in reversed([path for path in checkpoints(directory) if path.name != newest]):
        if good < keep:
            with contextlib.suppress(CheckpointError):
                for _ in _verified(path):
                    pass
                good += 1
            continue
        grave = path.with_name(f".deleting-{path.name}-{uuid.uuid4().hex[:8]}")
        try:  # renamed first: a kill in between must not leave half a checkpoint under a good name
            os.rename(path, grave)
            shutil.rmtree(grave)
        except OSError as error:
            _log.warning("cannot remove the old checkpoint %s: %s", path, error)
