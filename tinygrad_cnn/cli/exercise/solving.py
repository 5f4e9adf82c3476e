"""What the students' commands do."""

from __future__ import annotations

import hashlib
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_cnn.cli.console import console, fail, many, one_by_one, program, quoted, say, stop, writing, wrong
from tinygrad_cnn.exercises import report, submission, watching
from tinygrad_cnn.exercises.progress import NAME
from tinygrad_cnn.exercises.report import points
from tinygrad_cnn.exercises.workspace import BACKUPS, FOLDER, README, Workspace, WorkspaceError, digest

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.catalogue import Exercise
    from tinygrad_cnn.exercises.checking import Verdict

LEVELS = ("the idea", "where to look", "pseudo-code")
WIDEST = 100  # characters in a line of text, however wide the terminal is
NARROW = 20  # characters that are not enough for a title
FEW = 5  # file names that are told
NOTES = {
    "changed": "the file is another one than that which passed",
    "solution seen": "with --give-up, before the exercise was solved",
}


def init(folder: Path | None, catalogues: list[Path], only: list[str], all_: bool) -> None:
    """Makes a workspace, or brings one up to date, and says what to do next."""
    if only and all_:
        wrong("--only and --all exclude each other")
    folder = _home() if folder is None else folder
    before, lost = set(folder.glob("*.py")), not (folder / NAME).exists()
    workspace = Workspace.make(folder, catalogues, None if all_ else one_by_one(only))
    new = [e for e in workspace.catalogue.values() if workspace.path(e) not in before]
    exercises = many(len(workspace.catalogue), "exercise")
    if before:
        names = f": {', '.join(e.file for e in new)}" if len(new) <= FEW else ""
        added = f"{many(len(new), 'file')} added{names}" if new else "nothing was missing"
        where = "This folder" if folder.absolute() == Path.cwd() else _from_here(folder)
        say(f"{where} has {exercises}; {added}. What you have written is as it was.", style="bold")
    else:
        total = sum(e.points for e in workspace.catalogue.values())
        say(f"{exercises} in {folder}, {points(total)} in all.", style="bold")
    if lost and workspace.all_begun():
        say(f"What was noted about them is gone; to have it noted again: {program()} exercise check --all")
    at = workspace.current()
    if at is None:
        return
    say()
    say(_open(workspace, at))
    say("To have every file checked when you save it:")
    if folder.absolute() != Path.cwd():
        say(f"  cd {quoted(_from_here(folder))}")
    say(f"  {program()} exercise watch")


def _home() -> Path:
    """The exercises' folder if none is named: the one around, or the current one if it has lost its progress."""
    try:
        return Workspace.find().folder
    except WorkspaceError:
        here = Workspace(Path.cwd())
        lost = (here.folder / README).exists() and len(here.missing()) < len(here.catalogue)
        return here.folder if lost else Path(FOLDER)


def overview() -> None:
    """Prints the table of exercises."""
    workspace = Workspace.find()
    entries, paths = workspace.entries(), workspace.paths()
    begun = {exercise.id for exercise in workspace.all_begun()}
    names = max(map(len, workspace.catalogue))
    told: set[str] = set()
    for exercise in workspace.catalogue.values():
        entry, path = entries[exercise.id], paths[exercise.id]
        state = "✓ passed" if entry.solved else "begun" if exercise.id in begun else "" if path.exists() else "no file"
        notes = ["changed"] if entry.solved and digest(path) not in entry.passed.values() else []
        notes += ["solution seen"] if entry.gave_up else []
        told.update([*notes, state])
        earned = f"{min(entry.points, exercise.points):g} of {exercise.points:g}"
        line = f"{exercise.number:3} {exercise.id:<{names}} {earned:>8}  {state:<8}"
        line += _title(exercise.title, f" ({', '.join(notes)})" if notes else "", _width() - len(line))
        say(line.rstrip(), style="green" if entry.solved else "yellow" if exercise.id in begun else "")
    say()
    for note, meaning in NOTES.items():
        if note in told:
            say(f"{note}: {meaning}")
    if "no file" in told:
        say(f"no file: {program()} exercise init writes it")
    _next(workspace)


def _title(title: str, notes: str, room: int) -> str:
    """As much of a title as there is room for, in whole words; none in a narrow window."""
    if room < NARROW:
        return notes
    return f"  {textwrap.shorten(title, max(room - 2 - len(notes), 2), placeholder=' …')}{notes}"


def _sum(workspace: Workspace) -> str:
    """`20 of 205 points, 3 of 25 exercises solved`."""
    entries, exercises = workspace.entries(), workspace.catalogue.values()
    earned = sum(min(entries[e.id].points, e.points) for e in exercises)
    solved = sum(1 for e in exercises if entries[e.id].solved)
    return f"{points(earned, sum(e.points for e in exercises))}, {solved} of {many(len(exercises), 'exercise')} solved"


def watch() -> None:
    """Checks what is saved, until Ctrl-C."""
    workspace = Workspace.find()
    say(f"Watching {workspace.folder}: save a file, and it is checked. Ctrl-C ends.", style="bold")
    try:
        saves = watching.saves(workspace)
        at = workspace.current()
        if at is not None and workspace.begun(at):
            _watched(workspace, at)
        else:
            _next(workspace)
        for exercise in saves:
            _watched(workspace, exercise)
    except KeyboardInterrupt:
        say()
        say(f"{_sum(workspace)}. To go on: {program()} exercise watch")


def _watched(workspace: Workspace, exercise: Exercise) -> None:
    """One save: the verdict, or why there is none; watching goes on."""
    say()
    say(f"─── {time.strftime('%H:%M:%S')} {workspace.path(exercise).name} ".ljust(60, "─"), style="dim")
    try:
        verdict = workspace.check(exercise)
    except OSError as error:  # it has gone again, or the drive has
        say(f"{error.filename or exercise.file}: {error.strerror or error}", style="yellow")
        return
    _tell(verdict)
    if verdict.passed:
        _next(workspace)
    else:
        _go_on(workspace, exercise, verdict)


def check(names: list[str], all_: bool) -> None:
    """Checks exercises; ends with status 1 unless all are right."""
    workspace = Workspace.find()
    exercises = list({e.id: e for e in (_named(workspace, name) for name in names)}.values())
    if all_ and names:
        wrong("either names or --all")
    if not names:
        at = None if all_ else workspace.current()
        exercises = [at] if at is not None and workspace.begun(at) else workspace.all_begun()
    if not exercises:
        say("You have not begun an exercise yet.")
        _next(workspace)
        stop(1)
    verdicts: dict[str, Verdict] = {}
    for exercise in exercises:
        path = workspace.path(exercise)
        if len(exercises) > 1 and verdicts:
            say()
        say(f"{exercise.number}. {exercise.title} ─ {path.name}", style="bold")
        if not path.exists():
            say(f"There is no such file; {program()} exercise init writes it anew.", style="yellow")
            continue
        verdicts[exercise.id] = verdict = workspace.check(exercise)
        _tell(verdict)
    passed = [id for id, verdict in verdicts.items() if verdict.passed]
    if verdicts:
        say()
    if len(exercises) > 1:
        earned, possible = sum(v.points for v in verdicts.values()), sum(e.points for e in exercises)
        say(f"{len(passed)} of {len(exercises)} right, {points(earned, possible)}", style="bold")
        _next(workspace)
    elif passed:
        say(f"Solved. How the library does it: {program()} exercise solution {passed[0]}")
        _next(workspace)
    elif verdicts:
        _go_on(workspace, exercises[0], verdicts[exercises[0].id])
    if len(passed) < len(exercises):
        stop(1)


def hint(name: str | None, all_: bool, again: bool) -> None:
    """Prints the next hint, or all of them, and remembers it."""
    workspace, exercise = _which(name)
    seen = workspace.progress.entry(exercise).hints
    if again and not seen:
        say(f"You have not seen a hint for {exercise.id} yet.")
        return
    upto = seen if again else len(LEVELS) if all_ else min(seen + 1, len(LEVELS))
    first = 0 if all_ or again or seen == len(LEVELS) else seen
    say(f"{exercise.number}. {exercise.title}", style="bold")
    for i in range(first, upto):
        say()
        say(f"Hint {i + 1} of {len(LEVELS)}: {LEVELS[i]}", style="bold cyan")
        for line in _as_told(exercise.hints[i], code=i == len(LEVELS) - 1):
            say(line)
    say()
    if upto < len(LEVELS):
        rest = len(LEVELS) - upto
        say(f"{rest} more: {program()} exercise hint {exercise.id}", style="dim")
    else:
        say(f"That was the last one. The section to read: {exercise.tutorial}", style="dim")
    if upto > seen:
        with workspace.progress.changing(exercise) as (entry,):
            entry.hints = max(entry.hints, upto)


def _as_told(text: str, code: bool) -> list[str]:
    """A hint's lines: prose is filled anew, pseudo-code stays as it is."""
    if not code:
        return report.paragraphs(text, _width(), "  ")
    lines = textwrap.indent(textwrap.dedent(text).strip("\n"), "  ").splitlines()
    return [part for line in lines for part in _folded(line, _width())]


def _folded(line: str, width: int) -> list[str]:
    """A line that is too long goes on below, further to the right."""
    further = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=further, break_on_hyphens=False) or [line]


def explain(name: str | None) -> None:
    """Prints all about an exercise and what is wrong with the student's file."""
    workspace, exercise = _which(name)
    path = _file(workspace, exercise)
    say(f"{exercise.number}. {exercise.title} ─ {path.name}", style="bold")
    for line in report.paragraphs(exercise.intro, _width(), "  "):
        say(line)
    say()
    verdict = workspace.check(exercise, count=False)
    _tell(verdict, full=True)
    say()
    findings = [part.finding for part in verdict.parts if part.finding is not None]
    if not any(exercise.tutorial in finding.tutorial for finding in findings):
        say(f"The section to read: {exercise.tutorial}")
    if verdict.passed:
        say(f"How the library does it: {program()} exercise solution {exercise.id}")
    else:
        say(f"Not clear yet? {program()} exercise hint {exercise.id}")


def reset(name: str | None) -> None:
    """Begins an exercise anew, and says where the old file is."""
    workspace, exercise = _which(name)
    path = workspace.path(exercise)
    if path.exists() and path.read_bytes() == exercise.skeleton().encode():
        say(f"{path.name} is as it was in the beginning; there is nothing to be undone.")
        return
    with writing(workspace.folder, f"your file is safe, there or in {workspace.folder / BACKUPS}"):
        backup = workspace.reset(exercise)
    say(f"{workspace.path(exercise).name} is as it was in the beginning.")
    if backup is not None:
        say(f"Your file is now {_from_here(backup)}")


def solution(name: str | None, give_up: bool) -> None:
    """Prints the solution, if the student may see it."""
    workspace = Workspace.find()
    entries = workspace.entries()
    if name is not None:
        exercise = workspace.catalogue.named(name)
    elif give_up:
        exercise = _current(workspace)
    else:
        solved = [e for e in workspace.catalogue.values() if entries[e.id].solved]
        if not solved:
            fail(
                "you have not solved an exercise yet. To see a solution all the same, which is remembered: "
                f"{program()} exercise solution {next(iter(workspace.catalogue))} --give-up"
            )
        exercise = max(solved, key=lambda e: entries[e.id].solved)
    entry = entries[exercise.id]
    if not entry.solved and not entry.gave_up:
        if not give_up:
            fail(
                f"{exercise.id} is not solved yet; {len(LEVELS) - entry.hints} of {len(LEVELS)} hints are left "
                f"({program()} exercise hint {exercise.id}). To see the solution all the same, which is remembered: "
                f"{program()} exercise solution {exercise.id} --give-up"
            )
        with workspace.progress.changing(exercise) as (noted,):
            noted.gave_up = True
    text = exercise.solution().rstrip("\n")
    if console().is_terminal:
        from rich.style import Style
        from rich.syntax import ANSISyntaxTheme, Syntax

        dim, bold = Style(dim=True), Style(bold=True)  # no colours: nobody knows how light the terminal is
        theme = ANSISyntaxTheme({("Comment",): dim, ("Literal", "String", "Doc"): dim, ("Keyword",): bold})
        console().print(Syntax(text, "python", theme=theme, background_color="default"), soft_wrap=True)
    else:
        say(text)


def submit(out: Path | None, force: bool) -> None:
    """Checks all files, packs them, and says what is in the package."""
    from tinygrad_cnn.training.storage import write_file

    workspace = Workspace.find()
    out = workspace.folder / submission.NAME if out is None else out
    if out.is_dir():
        out /= submission.NAME
    if out.exists() and not force:
        fail(f"{out} is there already; --force replaces it, --out FILE makes another one")
    begun, paths = workspace.all_begun(), workspace.paths()
    files = {id: path.read_bytes() for id, path in paths.items() if path.exists()}
    if not begun:
        fail("there is nothing to hand in: you have not begun an exercise yet")
    verdicts = {}
    for exercise in begun:
        verdict = verdicts[exercise.id] = workspace.check(exercise, count=False)
        mark = "✓" if verdict.passed else "✗"
        say(f"{mark} {exercise.id}: {points(verdict.points, verdict.max_points)}", "green" if verdict.passed else "red")
    changed = [
        paths[id].name for id, content in files.items() if digest(paths[id]) != hashlib.sha256(content).hexdigest()
    ]
    if changed:
        fail(f"{', '.join(changed)} changed while it was being checked; submit again")
    told = submission.manifest(workspace, files, verdicts)
    with writing(out, "nothing was handed in; free some space, or give another place with --out"):
        write_file(out, submission.packed(submission.named(files, told)))
    say()
    say(f"{_from_here(out)}: {many(len(files), 'file')}, {points(told['points'], told['max_points'])}", style="bold")
    left = [id for id in workspace.catalogue if id not in verdicts]
    for what, ids in (("not begun", left), ("solution seen before it was solved", told["gave_up"])):
        for line in textwrap.wrap(f"{what}: {', '.join(ids)}", _width(), subsequent_indent="  ") if ids else ():
            say(line)
    say("It holds your files and manifest.json: versions, points, how often you checked, hints seen.")
    say("Hand it in.")


def _tell(verdict: Verdict, full: bool = False) -> None:
    for line in report.told(verdict, full, _width()):
        say(line.text, style=line.style)


def _width() -> int:
    return min(console().width, WIDEST)


def _named(workspace: Workspace, name: str) -> Exercise:
    """The exercise of this name; not by the name of a file that lies elsewhere, which would not be checked."""
    exercise, file = workspace.catalogue.named(name), Path(name)
    path = workspace.path(exercise)
    if file.is_file() and file.resolve() != path.resolve():
        fail(f"{name} is not the file of this exercise, which is {_from_here(path)}; copy it there to have it checked")
    return exercise


def _which(name: str | None) -> tuple[Workspace, Exercise]:
    """The exercise of this name, or the one the student is at."""
    workspace = Workspace.find()
    return workspace, _current(workspace) if name is None else workspace.catalogue.named(name)


def _current(workspace: Workspace) -> Exercise:
    exercise = workspace.current()
    if exercise is None:
        fail("all exercises are solved; say which one you mean, by its name or number")
    return exercise


def _from_here(path: Path) -> Path:
    """A path, seen from the current folder if it lies inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _file(workspace: Workspace, exercise: Exercise) -> Path:
    path = workspace.path(exercise)
    if not path.exists():
        fail(f"{path} is not there; {program()} exercise init writes it anew")
    return path


def _go_on(workspace: Workspace, exercise: Exercise, verdict: Verdict) -> None:
    """Says what helps with an exercise that is not solved."""
    if verdict.begun:
        say(f"More: {program()} exercise explain {exercise.id}, or hint {exercise.id}", style="dim")
    elif all(part.finding and part.finding.kind == "todo" for part in verdict.parts):
        say(_open(workspace, exercise), style="dim")
    else:
        say(f"To begin anew, with a backup of your file: {program()} exercise reset {exercise.id}", style="dim")


def _open(workspace: Workspace, exercise: Exercise) -> str:
    name, begun = workspace.path(exercise).name, workspace.begun(exercise)
    return f"Open {name} in your editor, {'go on' if begun else 'write the code where it says TODO'}, and save."


def _next(workspace: Workspace) -> None:
    """Says how far it is, and which exercise comes next."""
    say(_sum(workspace))
    at = workspace.current()
    if at is None:
        say("All exercises are solved. Train a network with your own layers, or hand them in:", style="bold")
        say(f"  {program()} exercise train lenet5 --mine")
        say(f"  {program()} exercise submit")
        return
    say(f"Next: {at.number}. {at.title}, in {workspace.path(at).name}", style="bold")
