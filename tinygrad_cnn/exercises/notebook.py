"""Checking without the command line: in a notebook, or at the end of a script."""

from __future__ import annotations

from pathlib import Path

from tinygrad_cnn.exercises import report
from tinygrad_cnn.exercises.catalogue import catalogue
from tinygrad_cnn.exercises.workspace import Workspace, WorkspaceError


def check(name: str, file: str | Path | None = None) -> None:
    """Check a file, and print what is wrong with it, as `tinygrad-cnn exercise check` does.

    Args:
        name: The exercise: its name, its number or a function in it.
        file: Where the functions are; by default the exercise's file in the folder of exercises around the current
            one, and then what it earned is noted there.

    Raises:
        CatalogueError: If there is no such exercise.
        WorkspaceError: If no file is given, and the current folder is in no folder of exercises.
        FileNotFoundError: If there is no such file.
    """
    from tinygrad_cnn.exercises import checking

    space = _around(file)
    exercise = (catalogue() if space is None else space.catalogue).named(name)
    path = Path(file) if file is not None else space.path(exercise) if space is not None else Path(exercise.file)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; give the file your functions are in")
    if space is not None and space.path(exercise).resolve() == path.resolve():
        verdict = space.check(exercise)
    else:
        verdict = checking.check(exercise, path)
    for line in report.told(verdict):
        print(line.text)


def _around(file: str | Path | None) -> Workspace | None:
    """The folder of exercises around; a file that lies elsewhere needs none."""
    try:
        return Workspace.find()
    except WorkspaceError:
        if file is None:
            raise
        return None
