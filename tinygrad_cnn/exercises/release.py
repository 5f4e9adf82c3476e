"""What an instructor gives away: the handout for students, and the zip that has Gradescope grade them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tinygrad_cnn.about import __version__
from tinygrad_cnn.exercises.catalogue import SEED, TASKS, Catalogue, Exercise
from tinygrad_cnn.exercises.grading.reading import GradingError
from tinygrad_cnn.exercises.submission import packed
from tinygrad_cnn.exercises.workspace import README, Workspace

OWN = "more-exercises"  # the instructor's own, in the handout
SCRIPTS = Path(__file__).parent / "grading" / "autograder"
_FIRST = """\
Install the program first; it needs Python 3.11 or newer:

    pip install tinygrad-cnn=={version}

To be solved, {points:g} points in all:

{exercises}
"""


def release(folder: Path, catalogue: Catalogue) -> Workspace:
    """Make the folder that students get: the exercises' skeletons, a README, and the instructor's own exercises.

    Args:
        folder: Where; it must not be there yet, or be empty.
        catalogue: The exercises to be handed out.

    Raises:
        GradingError: If there is something in the folder.
        OSError: If it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GradingError(f"{folder} is not empty; name a new folder, so that nothing of yours gets into the handout")
    own = own_exercises(catalogue)
    for exercise in own:
        shutil.copytree(exercise.folder, folder / OWN / exercise.id, ignore=_ignored)
    workspace = Workspace.make(folder, [folder / OWN] if own else [], list(catalogue))
    width = max(len(exercise.file) for exercise in catalogue.values())
    table = "\n".join(f"    {e.file:<{width}}  {e.points:3g}  {e.title}" for e in catalogue.values())
    points = sum(exercise.points for exercise in catalogue.values())
    readme = folder / README
    title, _, rest = readme.read_text(encoding="utf-8").partition("\n\n")
    first = _FIRST.format(version=__version__, points=points, exercises=table)
    readme.write_text(f"{title}\n\n{first}\n{rest}", encoding="utf-8", newline="\n")
    return workspace


def zipped(folder: Path) -> bytes:
    """A folder as a zip: the same bytes for the same files, whenever it is made."""
    return packed({f"{folder.name}/{name}": content for name, content in _files(folder)})


def autograder(
    catalogue: Catalogue,
    points: Mapping[str, float],
    seed: int = SEED,
    seconds: float | None = None,
    wheel: Path | None = None,
) -> bytes:
    """Gradescope's zip: what it needs to build an image, and to grade a submission in it.

    Args:
        catalogue: The exercises to be graded.
        points: For whole exercises, instead of the catalogue's.
        seed: Of the numbers the functions are tried with.
        seconds: The time limit of each exercise, instead of the catalogue's.
        wheel: A wheel of this package to be installed there; without one the same version from the package index.

    Raises:
        GradingError: If the wheel is none of this package.

    Source: https://gradescope-autograders.readthedocs.io/en/latest/specs/, "File hierarchy".
    """
    arguments = [word for id in catalogue for word in ("--only", id)] + ["--seed", str(seed)]
    files = {name: (SCRIPTS / name).read_bytes().replace(b"\r\n", b"\n") for name in ("setup.sh", "run_autograder")}
    own = own_exercises(catalogue)
    for exercise in own:
        files |= {f"exercises/{exercise.id}/{name}": content for name, content in _files(exercise.folder)}
    if own:
        arguments += ["--catalogue", "exercises"]
    if points:
        files["points.toml"] = "".join(f'"{id}" = {value!r}\n' for id, value in points.items()).encode()
        arguments += ["--points", "points.toml"]
    if seconds is not None:
        arguments += ["--time-limit", str(seconds)]
    requirement = f"tinygrad-cnn=={__version__}"
    if wheel is not None:
        if not re.fullmatch(r"tinygrad_cnn-[\w.!+]+-py3-none-any\.whl", wheel.name) or not wheel.is_file():
            raise GradingError(f"{wheel} is no wheel of this package; one is made with: python -m build --wheel")
        files[wheel.name] = wheel.read_bytes()
        requirement = f"./{wheel.name}"
    files["requirements.txt"] = f"{requirement}\n".encode()
    files["arguments.txt"] = "".join(f"{word}\n" for word in arguments).encode()
    return packed(files, executable=("setup.sh", "run_autograder"))


def own_exercises(catalogue: Catalogue) -> list[Exercise]:
    """Those that did not come with the package."""
    return [exercise for exercise in catalogue.values() if exercise.folder.parent != TASKS]


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """A folder's files, without what Python and the system leave behind."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _ignored(place, folders))
        for name in sorted(set(names) - _ignored(place, names)):
            path = Path(place) / name
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _ignored(folder: str, names: Sequence[str]) -> set[str]:
    return {name for name in names if name.startswith(".") or name == "__pycache__"}
