"""What the students' commands do."""

from __future__ import annotations

import hashlib
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_cnn.cli.console import console, fail, many, program, quoted, say, stop, writing, wrong
from tinygrad_cnn.exercises import report, submission, watching
from tinygrad_cnn.exercises.report import points
from tinygrad_cnn.exercises.workspace import BACKUPS, FOLDER, Workspace, WorkspaceError, digest

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.catalogue import Exercise
    from tinygrad_cnn.exercises.checking import Verdict
    from tinygrad_cnn.exercises.progress import Entry

LEVELS = ("the idea", "where to look", "pseudo-code")
WIDEST = 100  # characters in a line of text, however wide the terminal is


def init(folder: Path | None, catalogues: list[Path], only: list[str], all_: bool) -> None:
    """Makes a workspace, or brings one up to date, and says what to do next."""
    if folder is None:
        try:
            folder = Workspace.find().folder
        except WorkspaceError:
            folder = Path(FOLDER)
    if only and all_:
        wrong("--only and --all exclude each other")
    before = set(folder.glob("*.py"))
    workspace = Workspace.make(folder, catalogues, None if all_ else only)
    new = [e for e in workspace.catalogue.values() if workspace.path(e) not in before]
    exercises = many(len(workspace.catalogue), "exercise")
    if before:
        added = f"{many(len(new), 'file')} added: {', '.join(e.file for e in new)}" if new else "nothing was missing"
        say(f"{folder} has {exercises}; {added}. What you have written is as it was.", style="bold")
    else:
        total = sum(e.points for e in workspace.catalogue.values())
        say(f"{exercises} in {folder}, {points(total)} in all.", style="bold")
    at = workspace.current()
    if at is None:
        return
    say()
    say(f"Open {workspace.path(at).name} in your editor, write the code where it says TODO, and save.")
    say("To have every file checked when you save it:")
    if folder.absolute() != Path.cwd():
        say(f"  cd {quoted(folder)}")
    say(f"  {program()} exercise watch")


def overview() -> None:
    """Prints the table of exercises."""
    workspace = Workspace.find()
    entries, paths = workspace.entries(), workspace.paths()
    begun = {exercise.id for exercise in workspace.all_begun()}
    names = max(map(len, workspace.catalogue))
    states = {e.id: _state(entries[e.id], paths[e.id], e.id in begun) for e in workspace.catalogue.values()}
    titles = _width() - names - max(len(state) for state in states.values()) - len("123    12 of 12  ")
    for exercise in workspace.catalogue.values():
        entry, state = entries[exercise.id], states[exercise.id]
        title = exercise.title if len(exercise.title) <= titles else exercise.title[: titles - 1] + "…"
        earned = f"{min(entry.points, exercise.points):g} of {exercise.points:g}"
        style = "green" if entry.solved else "yellow" if exercise.id in begun else ""
        say(f"{exercise.number:3} {exercise.id:<{names}} {title:<{titles}} {earned:>8}  {state}", style=style)
    say()
    say(_sum(workspace, entries), style="bold")
    if any(entry.gave_up for entry in entries.values()):
        say("* the solution was shown, with --give-up, before the exercise was solved")
    if any("changed" in state for state in states.values()):
        say("changed: the file is another one than that which passed")
    _next(workspace)


def _state(entry: Entry, path: Path, begun: bool) -> str:
    if not path.exists():
        return "no file"
    seen = " *" if entry.gave_up else ""
    if entry.solved:
        changed = ", changed" if digest(path) not in entry.passed.values() else ""
        return f"✓ passed{changed}{seen}"
    return f"{'in progress' if begun else 'not begun'}{seen}"


def _sum(workspace: Workspace, entries: dict[str, Entry]) -> str:
    exercises = workspace.catalogue.values()
    earned = sum(min(entries[e.id].points, e.points) for e in exercises)
    solved = sum(1 for e in exercises if entries[e.id].solved)
    return (
        f"{points(earned, sum(e.points for e in exercises))}, {solved} of {many(len(workspace.catalogue), 'exercise')}"
    )


def watch() -> None:
    """Checks what is saved, until Ctrl-C."""
    workspace = Workspace.find()
    say(f"Watching {workspace.folder}: save a file, and it is checked. Ctrl-C ends.", style="bold")
    try:
        saves = watching.saves(workspace)
        at = workspace.current()
        if at is None:
            say("All exercises are solved.", style="bold green")
        elif workspace.begun(at):
            _watched(workspace, at)
        else:
            _next(workspace)
        for exercise in saves:
            _watched(workspace, exercise)
    except KeyboardInterrupt:
        say()
        say(f"{_sum(workspace, workspace.entries())}. To go on: {program()} exercise watch")


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
    exercises = list({exercise.id: exercise for exercise in map(workspace.catalogue.named, names)}.values())
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
    if code:
        return textwrap.indent(textwrap.dedent(text).strip("\n"), "  ").splitlines()
    return report.paragraphs(text, _width(), "  ")


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
    with writing(workspace.folder, f"your file is safe, there or in {workspace.folder / BACKUPS}"):
        backup = workspace.reset(exercise)
    say(f"{workspace.path(exercise)} is as it was in the beginning.")
    if backup is not None:
        say(f"Your file is now {backup}")


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
            fail("you have not solved an exercise yet; say which solution to show, and --give-up")
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
        from rich.syntax import Syntax

        console().print(Syntax(text, "python", theme="ansi_dark", background_color="default"), soft_wrap=True)
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
        write_file(out, submission.packed(files, told))
    say()
    say(f"{out}: {many(len(files), 'file')}, {points(told['points'], told['max_points'])}", style="bold")
    left = [id for id in workspace.catalogue if id not in verdicts]
    if left:
        say(f"not begun: {', '.join(left)}")
    if told["gave_up"]:
        say(f"solution seen before it was solved: {', '.join(told['gave_up'])}")
    say("It holds your files and manifest.json: versions, points, how often you checked, hints seen. Hand it in.")


def _tell(verdict: Verdict, full: bool = False) -> None:
    for line in report.told(verdict, full, _width()):
        say(line.text, style=line.style)


def _width() -> int:
    return min(console().width, WIDEST)


def _which(name: str | None) -> tuple[Workspace, Exercise]:
    """The exercise of this name, or the one the student is at."""
    workspace = Workspace.find()
    return workspace, _current(workspace) if name is None else workspace.catalogue.named(name)


def _current(workspace: Workspace) -> Exercise:
    exercise = workspace.current()
    if exercise is None:
        fail(f"all exercises are solved; say which one you mean: {_or(workspace.catalogue)}")
    return exercise


def _or(words: Iterable[str]) -> str:
    return ", ".join(words)


def _file(workspace: Workspace, exercise: Exercise) -> Path:
    path = workspace.path(exercise)
    if not path.exists():
        fail(f"{path} is not there; {program()} exercise init writes it anew")
    return path


def _go_on(workspace: Workspace, exercise: Exercise, verdict: Verdict) -> None:
    """Says what helps with an exercise that is not solved."""
    if verdict.begun:
        say(f"More: {program()} exercise explain {exercise.id}, or hint {exercise.id}", style="dim")
    else:
        say(f"Open {workspace.path(exercise).name} in your editor, and write the code where it says TODO.", style="dim")


def _next(workspace: Workspace) -> None:
    """Says which exercise comes next."""
    at = workspace.current()
    if at is None:
        say("All exercises are solved. Train a network with your own layers:", style="bold")
        say(f"  {program()} exercise train lenet5 --mine")
        return
    say(f"Next: {at.number}. {at.title}, in {workspace.path(at).name}", style="bold")
