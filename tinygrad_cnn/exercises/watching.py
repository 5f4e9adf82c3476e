"""Noticing that a student has saved a file: by looking again and again, which works on network drives, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.catalogue import Exercise
    from tinygrad_cnn.exercises.workspace import Workspace

PAUSE = 0.2  # seconds between two looks
SETTLED = 0.05  # seconds in which a file must not change: an editor may write it in pieces
LONGEST = 0.5  # seconds to wait for that

Look = dict[str, tuple[str, int, int]]


def saves(workspace: Workspace, sleep: Callable[[float], None] = time.sleep) -> Iterator[Exercise]:
    """The exercises whose files are saved from now on, each when it happens; it never ends.

    A file that is deleted or renamed is waited for: editors write a new file and put it in the old one's place.

    Args:
        workspace: The student's folder.
        sleep: How to wait.
    """
    return _saves(workspace, look(workspace, {}), sleep)  # the first look is now, not when the first save is asked for


def _saves(workspace: Workspace, known: Look, sleep: Callable[[float], None]) -> Iterator[Exercise]:
    while True:
        sleep(PAUSE)
        seen = look(workspace, known)
        for id in [id for id in seen if seen[id] != known.get(id)]:
            for _ in range(round(LONGEST / SETTLED)):
                sleep(SETTLED)
                before, seen = seen, look(workspace, seen)
                if seen.get(id) == before.get(id):
                    break
            if id in seen:
                known[id] = seen[id]  # what is saved while it is being checked is seen with the next look
                yield workspace.catalogue[id]
        known = {id: known[id] for id in seen if id in known}


def look(workspace: Workspace, otherwise: Look) -> Look:
    """Name, time and size of each exercise's file, if it is there and not empty.

    Args:
        workspace: The student's folder.
        otherwise: What to answer if the folder cannot be read: a network drive may be away for a moment.
    """
    try:
        paths = workspace.paths()
    except OSError:
        return otherwise
    found = {}
    for id, path in paths.items():
        try:
            status = path.stat()
        except OSError:
            continue
        if status.st_size:
            found[id] = (path.name, status.st_mtime_ns, status.st_size)
    return found
