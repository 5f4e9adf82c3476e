"""What students handed in: which folder or zip is whose, and which file in it belongs to which exercise."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.grading.reading import Budget, File, Folder, GradingError, read_folder, read_zip
from tinygrad_cnn.exercises.sources import CatalogueError
from tinygrad_cnn.exercises.submission import MANIFEST

REMARKS = 8  # of one submission; more are counted
LATE = "handed in late, as Canvas says"
# «Ada Lovelace_48151_assignsubmission_file_», as Moodle calls a folder
_MOODLE = re.compile(r"(?P<who>.+)_\d+_assignsubmission_\w+?_?")
# «lovelaceada_LATE_4815_16234_01_relu-1.py», as Canvas calls a file
_CANVAS = re.compile(r"(?P<who>[^_]+)(?P<late>_LATE)?_(?P<id>\d{2,})_\d{2,}_(?P<name>.+)")
_COPY = re.compile(r"(?: ?\(\d+\)|-\d+)$")  # what browsers and Canvas add to a second file of a name
_PLAIN = re.compile(r"\w[\w-]{0,80}\.py")  # a name that every system can write


@dataclass
class Submission:
    """What one student handed in.

    Attributes:
        name: The student's, as far as the folder's or zip's name tells it.
        source: How it is called where it lies.
        files: Texts by exercise, as bytes.
        beside: For each exercise the other Python files in its folder, by name: it may import them.
        remarks: What an instructor should know: files left out, two files for one exercise, a damaged zip, ….
    """

    name: str
    source: str
    files: dict[str, bytes] = field(default_factory=dict)
    beside: dict[str, dict[str, bytes]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def gather(place: Path, catalogue: Catalogue, one: bool = False) -> list[Submission]:
    """Read a class, or one submission.

    A folder, or a zip, in which exercises' files lie is one submission; otherwise each folder and zip in it is one,
    exercises' files being searched in it as deep as they lie. Zips as Canvas and Moodle make them are known.

    Args:
        place: The folder or zip.
        catalogue: Whose exercises' files are looked for.
        one: Take all of it as one submission, however it is arranged.

    Raises:
        GradingError: If there is nothing to be read.
    """
    if not place.exists():
        raise GradingError(f"{place} does not exist; name a folder or a zip with submissions")
    finder = _Finder(catalogue)
    if place.is_dir():
        top = read_folder(place)
    elif zipfile.is_zipfile(place) or place.suffix.lower() == ".zip":
        top = read_zip(place, place.stem, place.name, Budget.of_a_student() if one else Budget.of_a_class())
    else:
        raise GradingError(f"{place} is neither a folder nor a zip; name the folder in which the submissions lie")
    students = [top] if one else finder.students(top)
    if not students:
        raise GradingError(f"{place} is empty: no folder, no zip and no exercise's file in it")
    names = _names(students)
    return [finder.submission(folder, name) for folder, name in zip(students, names)]


def _names(students: Sequence[Folder]) -> list[str]:
    """The students' names, no two of them the same."""
    short = Counter(_who(folder.name) for folder in students)
    names = [_who(f.name) if short[_who(f.name)] == 1 else f.name for f in students]
    seen: Counter[str] = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        names[i] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


class _Finder:
    """Which file belongs to which exercise, and which folder to which student."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._known: dict[str, str | None] = {}

    def exercise(self, file: str) -> str | None:
        """The exercise a file belongs to by its name, whatever number stands before it: `7_relu.py`, `relu (1).py`."""
        if not file.lower().endswith(".py"):
            return None
        if file not in self._known:
            try:
                self._known[file] = self.catalogue.named(_COPY.sub("", file[: -len(".py")]).strip()).id
            except CatalogueError:
                self._known[file] = None
        return self._known[file]

    def students(self, top: Folder) -> list[Folder]:
        """The folder of each student."""
        chain = [top]
        while not self._ends(chain[-1]) and len(chain[-1].folders) == 1:
            chain.extend(chain[-1].folders.values())
        folder, remarks = chain[-1], [remark for outer in chain[:-1] for remark in outer.remarks]
        if not self._by_canvas(folder) and (self._has_exercises(folder) or not folder.folders):
            folder.name = chain[0 if top.zipped or len(chain) == 1 else 1].name
            folder.remarks[:0] = remarks
            return [folder] if folder.files or folder.others or folder.remarks else []
        students = self._by_canvas(folder) or [folder.folders[n] for n in sorted(folder.folders, key=str.casefold)]
        loose = [] if self._by_canvas(folder) else sorted(name for name in folder.files if name != MANIFEST)
        if loose:
            remarks.append(f"{', '.join(loose[:4])}: in no student's folder, not graded")
        for remark in remarks + folder.remarks:
            warnings.warn(f"{folder.source}: {remark}", TinygradCnnWarning, stacklevel=3)
        return students

    def _ends(self, folder: Folder) -> bool:
        """Whether there is no need to look further down."""
        return self._has_exercises(folder) or bool(self._by_canvas(folder))

    def _has_exercises(self, folder: Folder) -> bool:
        return any(self.exercise(name) for name in folder.files)

    def _by_canvas(self, folder: Folder) -> list[Folder]:
        """The students of a folder in which all files lie side by side, with the students' names in theirs."""
        found: dict[str, Folder] = {}

        def whose(match: re.Match[str], source: str) -> Folder:
            who = found.setdefault(match["who"] + match["id"], Folder(match["who"], source))
            if match["late"] and LATE not in who.remarks:
                who.remarks.append(LATE)
            return who

        for name, file in folder.files.items():
            match = _CANVAS.fullmatch(name)
            if match and self.exercise(match["name"]):
                whose(match, match["who"]).files[match["name"]] = file
        for name, inner in folder.folders.items():
            if inner.zipped and (match := _CANVAS.fullmatch(name)):
                whose(match, inner.source).folders[match["name"]] = inner
        several = len(found) > 1 or len(folder.files) + len(folder.folders) == 1
        return [found[name] for name in sorted(found)] if several else []

    def submission(self, folder: Folder, name: str) -> Submission:
        """What is in a student's folder."""
        made = Submission(name, folder.source)
        candidates: dict[str, list[tuple[int, bool, float, str, File, Folder]]] = {}
        others: list[str] = []
        for depth, inner in folder.walk():
            made.remarks += inner.remarks
            others += inner.others
            for file_name, file in inner.files.items():
                id = self.exercise(file_name)
                if file_name == MANIFEST:
                    made.remarks += _seen(file.content)
                    continue
                if id is None:
                    others.append(file_name)
                    continue
                copy = bool(_COPY.search(file_name[: -len(".py")]))
                candidates.setdefault(id, []).append((depth, copy, -file.time, file_name, file, inner))
        for id in self.catalogue:
            files = sorted(candidates.get(id, ()), key=lambda candidate: candidate[:4])
            if not files:
                continue
            *_, name_here, file, inner = files[0]
            made.files[id] = file.content
            made.beside[id] = {n: f.content for n, f in inner.files.items() if _PLAIN.fullmatch(n) and n != name_here}
            different = [f for f in files[1:] if f[4].content != file.content]
            if different:
                made.remarks.append(
                    f"{id}: {len(different) + 1} different files; {name_here} was graded "
                    "(the one least deep in folders, then the latest)"
                )
        if not made.files:
            there = f"; it has {', '.join(sorted(others)[:4])}" if others else ""
            made.remarks.append(f"no exercise's file in it{there}")
        if len(made.remarks) > REMARKS:
            made.remarks[REMARKS:] = [f"and {len(made.remarks) - REMARKS} remarks more"]
        return made


def _seen(manifest: bytes) -> list[str]:
    """What the file that `submit` adds says of solutions that were looked at; a student may have changed it."""
    try:
        seen = [id for id in json.loads(manifest)["gave_up"] if isinstance(id, str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [f"solution seen before it was solved: {', '.join(seen[:50])}"] if seen else []


def _who(name: str) -> str:
    """The student's name in that of a folder."""
    match = _MOODLE.fullmatch(name) or _CANVAS.fullmatch(name)
    return match["who"] if match else name
