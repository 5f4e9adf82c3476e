"""A student's folder: which exercises it has, in which files, and how far the student is."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.exercises.catalogue import Catalogue, Exercise, catalogue
from tinygrad_cnn.exercises.progress import NAME, Entry, Progress, now
from tinygrad_cnn.exercises.sources import CatalogueError

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.checking import Verdict

FOLDER = "tcnn-exercises"  # what `init` makes
BACKUPS = "backups"
README = "README.txt"
_README = """\
Exercises: write the layers of a convolutional network yourself
================================================================

Each exercise is one file in this folder, for example {first}.
Open it in your editor, write the code where it says TODO, save, and let it be
checked. In a terminal, in this folder:

    tcnn exercise watch      checks every file at the moment you save it
    tcnn exercise check      checks the one you are working on
    tcnn exercise list       all exercises, and what they have earned
    tcnn exercise hint       three hints each: the idea, where to look,
                             pseudo-code
    tcnn exercise explain    more about what is wrong
    tcnn exercise reset      begin anew; a backup is kept
    tcnn exercise solution   after you have solved it
    tcnn exercise submit     makes the file to hand in

If `tcnn` is not found, write `python -m tinygrad_cnn` instead.

The exercises do not need one another: leave one out and come back later.
{progress} remembers what you have solved; leave it here.
"""


class WorkspaceError(ValueError):
    """A folder that is not as it should be; the message says what to do."""


class Workspace:
    """A folder with a student's files; made with `Workspace.make` and found with `Workspace.find`.

    Attributes:
        folder: Where the files lie.
        catalogue: Its exercises.
        progress: What has been solved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.progress = Progress(folder)
        settings = self.progress.settings()
        self.catalogue = _catalogue(folder, settings["catalogues"], settings["only"])

    @classmethod
    def make(cls, folder: Path, catalogues: Sequence[Path] = (), only: Sequence[str] | None = ()) -> Workspace:
        """Make a folder, or bring an older one up to date; a student's file is never overwritten.

        Args:
            folder: Where; one that is there already keeps its catalogues and what it has.
            catalogues: Folders of further exercises. The workspace remembers where they are, seen from itself.
            only: Names of the exercises wanted, besides those of an earlier call; all if there are none, or if None.

        Raises:
            CatalogueError: If there is no such exercise.
            OSError: If something cannot be written.
        """
        progress = Progress(folder)
        old = progress.settings()
        for path in catalogues:
            if not path.is_dir():
                raise WorkspaceError(f"{path}: there is no such folder")
        places = [*old["catalogues"], *(_seen_from(folder, path) for path in catalogues)]
        if catalogues:  # those that have moved are replaced
            places = [place for place in places if (folder / place).is_dir() or place not in old["catalogues"]]
        places = list(dict.fromkeys(places))
        full = _catalogue(folder, places, [])
        wanted = [] if only is None else [full.named(name).id for name in only]
        chosen = [] if only is None else list(dict.fromkeys([*old["only"], *wanted]))
        if only and old["only"] == [] and progress.path.exists():
            chosen = []  # it has all of them already
        folder.mkdir(parents=True, exist_ok=True)
        with progress.changing_all() as told:
            told["catalogues"], told["only"] = places, chosen
        workspace = cls(folder)
        workspace.hand_out(workspace.missing())
        readme = folder / README
        if not readme.exists():
            first = next(iter(workspace.catalogue.values())).file
            readme.write_text(_README.format(first=first, progress=NAME), encoding="utf-8")
        return workspace

    @classmethod
    def find(cls, start: Path | None = None) -> Workspace:
        """The workspace a folder belongs to: the nearest one upwards, or the one that `init` made inside it.

        Args:
            start: Where to begin; the current folder by default.

        Raises:
            WorkspaceError: If there is none; it says how to make one.
        """
        start = Path.cwd() if start is None else start.absolute()
        for place in (start, *start.parents, start / FOLDER):
            if (place / NAME).is_file():
                return cls(place)
        raise WorkspaceError(
            f"{start} is no folder of exercises, nor inside one; go to yours with cd, or make one here: "
            "tcnn exercise init"
        )

    def path(self, exercise: Exercise) -> Path:
        """Where the student's file is, or is to be: found by the exercise's name, whatever number stands before it."""
        return self._paths([exercise])[exercise.id]

    def paths(self) -> dict[str, Path]:
        """The files of all exercises, by the exercises' names."""
        return self._paths(list(self.catalogue.values()))

    def _paths(self, exercises: Sequence[Exercise]) -> dict[str, Path]:
        there: dict[str, list[str]] = {}
        for file in sorted(os.listdir(self.folder)):
            if match := re.fullmatch(r"(?:\d+_)?(.+)\.py", file):
                there.setdefault(match[1], []).append(file)
        files = {}
        for exercise in exercises:
            own = [file for name in (exercise.id, *exercise.aliases) for file in there.get(name, ())]
            files[exercise.id] = self.folder / (own[0] if own and exercise.file not in own else exercise.file)
        return files

    def missing(self) -> list[Exercise]:
        """Exercises without a file."""
        paths = self.paths()
        return [exercise for exercise in self.catalogue.values() if not paths[exercise.id].exists()]

    def hand_out(self, exercises: Sequence[Exercise]) -> None:
        """Write the files a student begins with.

        Raises:
            FileExistsError: If there is one already.
        """
        written = {}
        for exercise in exercises:
            content = exercise.skeleton().encode()
            path = self.path(exercise)
            with open(path, "xb") as file:
                try:
                    file.write(content)
                    file.flush()
                except OSError as error:  # the disk is full: half a file would pass for the student's
                    error.filename = error.filename or str(path)
                    path.unlink()
                    raise
            written[exercise.id] = hashlib.sha256(content).hexdigest()
        with self.progress.changing(*exercises) as entries:
            for exercise, entry in zip(exercises, entries):
                entry.skeleton = written[exercise.id]

    def reset(self, exercise: Exercise) -> Path | None:
        """Begin an exercise anew.

        Returns:
            Where the old file lies now; None if there was none.
        """
        path, backup = self.path(exercise), None
        if path.exists():
            (self.folder / BACKUPS).mkdir(exist_ok=True)
            stem, number = f"{path.stem}-{datetime.now():%Y%m%d-%H%M%S}", 1
            backup = self.folder / BACKUPS / f"{stem}.py"
            while backup.exists():
                number += 1
                backup = backup.with_name(f"{stem}-{number}.py")
            os.rename(path, backup)
        self.hand_out([exercise])
        return backup

    def entries(self) -> dict[str, Entry]:
        """What is noted about all exercises, by name."""
        return self.progress.entries(self.catalogue.values())

    def begun(self, exercise: Exercise) -> bool:
        """Whether a student's file is more than what was handed out."""
        return self._begun(exercise, self.path(exercise), self.progress.entry(exercise))

    def _begun(self, exercise: Exercise, path: Path, entry: Entry) -> bool:
        handed_out = entry.skeleton or hashlib.sha256(exercise.skeleton().encode()).hexdigest()
        return path.exists() and digest(path) != handed_out

    def all_begun(self) -> list[Exercise]:
        """Exercises whose files are more than what was handed out."""
        paths, entries = self.paths(), self.entries()
        return [e for e in self.catalogue.values() if self._begun(e, paths[e.id], entries[e.id])]

    def current(self) -> Exercise | None:
        """The exercise a student is at: of those begun and not solved the one saved last, else the first not solved."""
        paths, entries = self.paths(), self.entries()
        unsolved = [exercise for exercise in self.catalogue.values() if not entries[exercise.id].solved]
        begun = [exercise for exercise in unsolved if self._begun(exercise, paths[exercise.id], entries[exercise.id])]
        if begun:
            return max(begun, key=lambda exercise: paths[exercise.id].stat().st_mtime_ns)
        return unsolved[0] if unsolved else None

    def check(self, exercise: Exercise, count: bool = True) -> Verdict:
        """Check a student's file, and note what came out.

        Args:
            exercise: Which.
            count: Whether it is one of the student's own checks.
        """
        from tinygrad_cnn.exercises import checking

        path = self.path(exercise)
        before = digest(path)
        verdict = checking.check(exercise, path)
        if before and digest(path) == before:  # else nobody knows what was checked
            try:
                self.note(exercise, verdict, before, count)
            except OSError as error:
                warnings.warn(
                    f"{self.progress.path} cannot be written: {error.strerror or error}. What you have earned is "
                    "noted with the next check.",
                    TinygradCnnWarning,
                    stacklevel=2,
                )
        return verdict

    def note(self, exercise: Exercise, verdict: Verdict, checked: str, count: bool = True) -> Entry:
        """Note what came out of a check.

        Args:
            exercise: Which.
            verdict: What came out.
            checked: The SHA-256 of the file.
            count: Whether it is one of the student's own checks.
        """
        with self.progress.changing(exercise) as (entry,):
            entry.points = max(entry.points, verdict.points)
            entry.passed |= {part.function: checked for part in verdict.parts if part.passed}
            entry.solved = entry.solved or (now() if verdict.passed else "")
            if count:
                entry.checks += 1
                entry.first, entry.last = entry.first or now(), now()
        return entry


def digest(path: Path) -> str:
    """The SHA-256 of a file; empty if there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def _catalogue(folder: Path, catalogues: Sequence[str], only: Sequence[str]) -> Catalogue:
    """The exercises of a workspace; names in `only` may be former ones, and of exercises that are gone."""
    places = [Path(os.path.normpath(folder / place)) for place in catalogues]
    for place in places:
        if not place.is_dir():
            raise WorkspaceError(
                f"the exercises in {place} are gone, which this folder uses; tell it where they are now: "
                "tcnn exercise init . --catalogue DIR"
            )
    full = catalogue(*places)
    if not only:
        return full
    ids = []
    for name in only:
        try:
            ids.append(full.named(name).id)
        except CatalogueError:
            continue
    return catalogue(*places, only=tuple(ids))


def _seen_from(folder: Path, path: Path) -> str:
    """A path as it is written from a folder, so that both can move together; a full one on another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
