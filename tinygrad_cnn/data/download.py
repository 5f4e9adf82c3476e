"""Downloading: from the first mirror that delivers the file intact, and into place in one step.

A file appears under its final name only when it is complete and its content is the published one. It is written beside
the final name first and then renamed, which is atomic; two processes that download the same file at once each
write their own part file, and the later rename replaces equal bytes by equal bytes.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tinygrad_cnn.data.catalogue import DataInfo
from tinygrad_cnn.data.files import DataError, RemoteFile, cache_dir, locate, logger

TIMEOUT = 20.0  # seconds without a byte after which a mirror is given up
SLOWEST = 1024  # bytes per second below which a mirror counts as stalled
LARGEST = 1 << 30  # bytes; far above every file here, so that a mirror gone wild cannot fill the disk
_CHUNK = 1 << 16
_ABANDONED = 86_400  # seconds after which nobody is writing a part file any more
_NO_DOWNLOAD_NEEDED = 'Without a network, `--data digits` (`data.load("digits")`) works: it needs no download'

Progress = Callable[[str, int, "int | None"], None]


def obtain(
    info: DataInfo,
    layouts: Sequence[Sequence[Sequence[str]]],
    wanted: Sequence[RemoteFile],
    root: Any = None,
    download: bool = False,
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """The files of a data set: those found below root, else the downloaded ones.

    Args:
        info: The data set, with the folders to look in and the mirrors.
        layouts: The ways its files may lie there; each is, per file, the names it may have.
        wanted: What to download.
        root: The folder to look in, and to download to; the cache folder if absent.
        download: Download what is not there.
        mirrors: Addresses to download from, instead of the catalogue's.
        progress: Called during a download as `progress(name, received_bytes, total_bytes_or_None)`.

    Raises:
        DataError: If they are not there and cannot be downloaded, with what was tried and what can be done.
    """
    base = cache_dir() if root is None else Path(root).expanduser()
    if root is not None and not base.is_dir() and (base.exists() or not download):
        raise DataError(f"{info.title}: data directory {base} is not a folder that exists")
    folders = [base / folder for folder in info.folders]
    for layout in layouts:
        found = locate(folders, layout)
        if found is not None:
            return found
    names = ", ".join(file.name for file in wanted)
    by_hand = (
        f"To put them there by hand, get {names} (from {info.mirrors[0]}) on any machine and copy to "
        f"{folders[0]}, or name their folder with --data-dir (data_dir=). {_NO_DOWNLOAD_NEEDED}"
    )
    if not download:
        looked = ", ".join(map(str, folders))
        raise DataError(
            f"{info.title}: {names} (compressed or not) are not all in one of {looked}. "
            f"download=True fetches them. {by_hand}"
        )
    target = folders[0]
    try:
        for file in wanted:
            if not (target / file.name).is_file():
                fetch(file, info.mirrors if mirrors is None else mirrors, target, progress=progress)
    except DataError as error:
        raise DataError(f"{info.title}: {error}\n{by_hand}") from error
    return [target / file.name for file in wanted]


def fetch(
    file: RemoteFile,
    mirrors: Sequence[str],
    folder: Path,
    *,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch a file from the first mirror that delivers it intact.

    Args:
        file: What to fetch, with its checksums.
        mirrors: Addresses that the file's name is appended to, in order of preference.
        folder: Where to put it; made if it is missing, and gone again if nothing could be put there.
        timeout: Seconds without data after which a mirror is given up (default `TIMEOUT`).
        progress: Called as `progress(name, received_bytes, total_bytes_or_None)`.

    Returns:
        The path of the complete, checked file.

    Raises:
        DataError: If no mirror delivered it, with what each of them did; or if the folder cannot be written.
    """
    target = folder / file.name
    with _made(folder):
        return _from_first(file, mirrors, target, TIMEOUT if timeout is None else timeout, progress)


def _from_first(
    file: RemoteFile, mirrors: Sequence[str], target: Path, timeout: float, progress: Progress | None
) -> Path:
    folder = target.parent
    tried: list[str] = []
    for left in folder.glob(f".{file.name}.*.part"):
        with contextlib.suppress(OSError):  # from a process that was killed; a newer one may still be at work
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{file.name}"
        part = folder / f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(part, "xb") as out:
                _receive(url, out, timeout, file.name, progress)
                out.flush()
                os.fsync(out.fileno())
            problem = file.problem(part)
            if problem is None:
                _publish(part, target, file)
                logger.info("%s: downloaded and checked", target)
                return target
        except _MirrorError as error:
            problem = str(error)
        except OSError as error:
            raise DataError(
                f"cannot write {target}: {error.strerror or error}; free space there, or name another folder "
                "with data_dir (--data-dir) or the environment variable TINYGRAD_CNN_DATA"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
        logger.info("%s: %s", url, problem)
        tried.append(f"{url}: {problem}")
    attempts = "\n  ".join(tried) or "no mirror is known"
    raise DataError(f"{file.name} could not be downloaded:\n  {attempts}")


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Folders that are missing now and still empty at the end are removed: a failed download leaves no trace."""
    missing = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):  # not empty: something was put there
                path.rmdir()


def _publish(part: Path, target: Path, file: RemoteFile) -> None:
    try:
        os.replace(part, target)
    except PermissionError:
        # Windows refuses to replace a file that another process has open: it put the same file there first
        if not target.is_file() or file.problem(target) is not None:
            raise


class _MirrorError(Exception):
    """One mirror failed; the next one is tried."""


def _receive(url: str, out: Any, timeout: float, name: str, progress: Progress | None) -> None:
    started = time.monotonic()
    received = 0
    # identity: the bytes as published; some servers would else compress what is compressed already
    headers = {"User-Agent": "tinygrad_cnn", "Accept-Encoding": "identity"}
    with _network(timeout):
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    with response:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        while True:
            with _network(timeout):
                chunk = response.read1(_CHUNK)  # what has arrived, instead of waiting for a full chunk
            if not chunk:
                break
            out.write(chunk)
            received += len(chunk)
            if progress is not None:
                progress(name, received, total)
            seconds = time.monotonic() - started
            if seconds > timeout and received < SLOWEST * seconds:
                raise _MirrorError(f"too slow: {received:,} bytes in {seconds:.0f} s")
            if received > LARGEST:
                raise _MirrorError(f"more than {LARGEST:,} bytes, which is no file of this data set")
    if total is not None and received != total:
        raise _MirrorError(f"the connection broke after {received:,} of {total:,} bytes")


@contextlib.contextmanager
def _network(timeout: float) -> Iterator[None]:
    """Turn what the network can do to us into a `_MirrorError`; writing the file stays outside."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise _MirrorError(f"the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", None) or error  # urllib wraps what happened
        if isinstance(cause, TimeoutError):
            raise _MirrorError(f"no data for {timeout:g} s") from error
        reason = str(cause) or type(cause).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason and sys.platform == "darwin":
            reason += '; run "Install Certificates.command" of your Python installation once'
        raise _MirrorError(f"cannot be reached: {reason}") from error
