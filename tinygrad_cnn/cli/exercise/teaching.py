"""What the instructors' commands do."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinygrad_cnn.cli.console import chosen, console, fail, many, one_by_one, program, quoted, say, writing, wrong
from tinygrad_cnn.exercises.catalogue import SEED, Catalogue
from tinygrad_cnn.exercises.grading import feedback, gradescope, junit, overview, records, submissions, table
from tinygrad_cnn.exercises.grading.grades import Grade, Grading, default_jobs, plain, read_points
from tinygrad_cnn.exercises.report import points as in_words

WIDEST = 100  # characters in a line, however wide the terminal is
MOST = 12  # mistakes that are shown
FORMATS = ("table", "csv", "json", "junit", "gradescope")
_BY_ENDING = {".csv": "csv", ".json": "json", ".xml": "junit"}
ELSEWHERE = "name another place with --out"


def release(folder: Path, only: Sequence[str], catalogues: Sequence[Path], zip_: bool) -> None:
    """Makes the handout, and says what students do with it."""
    from tinygrad_cnn.exercises import release as making
    from tinygrad_cnn.training.storage import write_file

    catalogue = _catalogue(catalogues, only)
    archive = folder.with_name(f"{folder.name}.zip")
    if zip_ and archive.exists():
        fail(f"{archive} is there already; delete it, or name another folder")
    with writing(folder, "name a folder elsewhere"):
        making.release(folder, catalogue)
        if zip_:
            write_file(archive, making.zipped(folder.resolve()))
    points = sum(exercise.points for exercise in catalogue.values())
    files = f"{quoted(folder)} and {quoted(archive)}" if zip_ else quoted(folder)
    say(f"{files}: {many(len(catalogue), 'exercise')}, {in_words(points)}", style="bold")
    say("Students unpack it, go into the folder, and begin with: tcnn exercise watch")
    say("What they hand in is made by: tcnn exercise submit")
    if making.own_exercises(catalogue):
        say(f"Your own exercises lie in {making.OWN}/, with their solutions: they are needed to check.", style="yellow")


def grade(
    place: Path,
    format: str | None,
    out: Path | None,
    only: Sequence[str],
    catalogues: Sequence[Path],
    points: Path | None,
    seed: int | None,
    seconds: float | None,
    jobs: int | None,
    one: bool,
    texts: Path | None,
) -> None:
    """Grades what was handed in, and writes or prints it."""
    if format is None:
        format = _BY_ENDING.get(out.suffix.lower(), "table") if out else "table"
    format = chosen("--format", format, FORMATS)
    if format == "table" and out is not None:
        wrong(f"--out {out}: a table is printed; for a file choose --format {', '.join(FORMATS[1:])}")
    if texts is not None and texts.exists() and (not texts.is_dir() or any(texts.iterdir())):
        fail(f"--feedback {texts} is not empty; name a new folder")
    grading = _grading(only, catalogues, points, seed, seconds)
    handed_in = submissions.gather(place, grading.catalogue, one)
    if format == "gradescope" and len(handed_in) != 1:
        fail(
            f"results.json is of one submission, and {place} has {len(handed_in)}; with --one all of it is one, "
            f"and {program()} exercise autograder-zip has Gradescope grade each as it comes in"
        )
    there = {id for submission in handed_in for id in submission.files}
    if there and not only and len(there) < len(grading.catalogue):
        count = many(len(grading.catalogue) - len(there), "exercise")
        wanted = ",".join(id for id in grading.catalogue if id in there)
        _note(f"{count} in which nobody handed in anything; to leave them out of the points: --only {wanted}", "yellow")
    grades: list[Grade] = []
    stopped = False
    try:
        for done, grade in enumerate(grading.all(handed_in, jobs or default_jobs()), start=1):
            grades.append(grade)
            if len(handed_in) > 1 or out is not None:
                _progress(done, len(handed_in), grade)
    except KeyboardInterrupt:
        if not grades:
            raise
        stopped = True
    written = _written(grades, grading, format)
    if written is None:
        _tables(grades, grading)
    elif out is None:
        say(written.decode("utf-8-sig").rstrip("\n"))
    else:
        from tinygrad_cnn.training.storage import write_file

        with writing(out, ELSEWHERE):
            write_file(out, written)
        say(f"{out}: {many(len(grades), 'submission')}", style="bold")
        _overview(grades, grading)
    if texts is not None:
        _feedback(texts, grades)
    if stopped:
        fail(f"stopped by Ctrl-C: {len(grades)} of {len(handed_in)} submissions are graded", 130)


def _written(grades: Sequence[Grade], grading: Grading, format: str) -> bytes | None:
    """The grades in a format; None for a table in the terminal."""
    formats: dict[str, Callable[[], bytes]] = {
        "csv": lambda: table.document(grades),
        "json": lambda: records.document(grades, grading),
        "junit": lambda: junit.document(grades),
        "gradescope": lambda: records.written(gradescope.results(grades[0])),
    }
    return formats[format]() if format in formats else None


def _progress(done: int, of: int, grade: Grade) -> None:
    """One line on standard error, so that standard output has the grades only."""
    _note(f"{done:{len(str(of))}}/{of}  {grade.name}: {in_words(grade.points, grade.max_points)}", "dim")


def _note(line: str, style: str) -> None:
    Console(stderr=True, highlight=False).print(Text(line, style=style), soft_wrap=True)


def _tables(grades: Sequence[Grade], grading: Grading) -> None:
    """Prints one submission's exercises, or a class."""
    if len(grades) == 1:
        for line in feedback.lines(grades[0], min(console().width, WIDEST)):
            say(line.text, style=line.style)
    else:
        _class(grades)
        _overview(grades, grading)
    broken = [(grade.name, remark) for grade in grades for remark in grade.remarks]
    if broken:
        say()
    for name, remark in broken:
        say(f"{name}: {remark}", style="yellow")


def _class(grades: Sequence[Grade]) -> None:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("name", no_wrap=True, overflow="ellipsis", max_width=40)
    for head in ("points", "of", "%", "right", "handed in"):
        shown.add_column(head, justify="right", no_wrap=True)
    for grade in grades:
        right = sum(result.verdict.passed for result in grade.results)
        there = sum(result.handed_in for result in grade.results)
        numbers = [grade.points, grade.max_points, grade.percent, right, there]
        shown.add_row(Text(grade.name), *(f"{number:g}" for number in numbers))
    console().print(shown)


def _overview(grades: Sequence[Grade], grading: Grading) -> None:
    """Prints how each exercise went, and the most frequent mistakes of a class."""
    if len(grades) < 2:
        return
    counts = [count for count in overview.exercises(grades) if count.handed_in]
    names = max((len(count.exercise) for count in counts), default=0)
    if counts:
        say()
        say(f"{'exercise':<{names}}  handed in  right  average points", style="bold")
    for count in counts:
        average = f"{count.points / count.handed_in:.1f} of {count.max_points:g}"
        say(f"{count.exercise:<{names}}  {count.handed_in:9}  {count.right:5}  {average:>14}")
    found = overview.mistakes(grades, grading.catalogue)
    if found:
        say()
        say("The most frequent mistakes, and how many made them", style="bold")
    for mistake in found[:MOST]:
        head = f"{len(mistake.names):3}  "
        text = f"{mistake.function or mistake.exercise}: {plain(mistake.says)}"
        width = min(console().width, WIDEST)
        for line in textwrap.wrap(head + text, width, subsequent_indent=" " * len(head), break_on_hyphens=False):
            say(line)
    if len(found) > MOST:
        say(f"     and {len(found) - MOST} more: --format json has all of them, with names", style="dim")


def _feedback(folder: Path, grades: Sequence[Grade]) -> None:
    with writing(folder, "name another folder"):
        feedback.write(folder, grades)
    say(f"{folder}: {many(len(grades), 'text')} for the students", style="bold")


def similarity(place: Path, out: Path | None, only: Sequence[str], catalogues: Sequence[Path]) -> None:
    """Compares submissions, and writes or prints which resemble one another."""
    from tinygrad_cnn.exercises.grading import similarity
    from tinygrad_cnn.training.storage import write_file

    catalogue = _catalogue(catalogues, only)
    handed_in = submissions.gather(place, catalogue)
    pairs = similarity.similar(handed_in, catalogue)
    if out is None:
        say(similarity.as_text(pairs, len(handed_in)).rstrip("\n"))
        return
    formats: dict[str, Callable[[], bytes]] = {
        ".html": lambda: similarity.as_html(pairs, handed_in).encode(),
        ".csv": lambda: similarity.as_csv(pairs),
        ".txt": lambda: similarity.as_text(pairs, len(handed_in)).encode(),
    }
    if out.suffix.lower() not in formats:
        wrong(f"--out {out}: the name must end in {', '.join(formats)}")
    with writing(out, ELSEWHERE):
        write_file(out, formats[out.suffix.lower()]())
    say(f"{out}: {many(len(pairs), 'pair')} to look at; a hint, no proof", style="bold")


def autograder_zip(
    out: Path,
    only: Sequence[str],
    catalogues: Sequence[Path],
    points: Path | None,
    seed: int | None,
    seconds: float | None,
    wheel: Path | None,
) -> None:
    """Writes Gradescope's zip, and says where it goes."""
    from tinygrad_cnn.exercises import release as making
    from tinygrad_cnn.training.storage import write_file

    if out.suffix.lower() != ".zip":
        wrong(f"{out}: the name must end in .zip")
    grading = _grading(only, catalogues, points, seed, seconds)
    content = making.autograder(grading.catalogue, grading.points, grading.seed, seconds, wheel)
    with writing(out, "name another place"):
        write_file(out, content)
    total = sum(grading.points.get(exercise.id, exercise.points) for exercise in grading.catalogue.values())
    say(f"{out}: {many(len(grading.catalogue), 'exercise')}, {in_words(total)}", style="bold")
    say(f"At Gradescope: a Programming Assignment worth {in_words(total)}, then Configure Autograder, and upload it.")


def _catalogue(catalogues: Sequence[Path], only: Sequence[str]) -> Catalogue:
    """The exercises wanted, their names being given as a student may, too."""
    everything = Catalogue(*catalogues)
    return Catalogue(*catalogues, only=[everything.named(name).id for name in one_by_one(only)])


def _grading(
    only: Sequence[str], catalogues: Sequence[Path], points: Path | None, seed: int | None, seconds: float | None
) -> Grading:
    catalogue = _catalogue(catalogues, only)
    weights = {} if points is None else read_points(points, catalogue)
    return Grading(catalogue, weights, SEED if seed is None else seed, seconds)


def verify(ids: Sequence[str], catalogues: Sequence[Path], jobs: int) -> None:
    """Proves exercises one by one, a line each; exit status 1 if a promise is not kept."""
    import time

    from tinygrad_cnn.exercises.verify import verify as proved

    everything = Catalogue(*catalogues)
    exercises = [everything.named(id) for id in ids] or list(everything.values())
    started, problems, mistakes = time.perf_counter(), 0, 0
    width = max(len(exercise.id) for exercise in exercises)
    for exercise in exercises:
        proof = proved(exercise, jobs)
        pairs = f"pairs: {proof.pairs} named, {proof.hidden} hide one another, {proof.alike} look like several"
        pairs += f", {proof.raised} raise" * bool(proof.raised)
        say(
            f"{'✗' if proof.problems else '✓'} {exercise.id:<{width}}  "
            f"{many(proof.mistakes, 'wrong version')} named; {pairs}",
            style="red" if proof.problems else "",
        )
        for problem in proof.problems:
            text = problem.removeprefix(f"{exercise.id}: ")
            for line in textwrap.wrap(
                text, min(console().width, WIDEST), initial_indent="    ", subsequent_indent=" " * 6
            ):
                say(line, style="red")
        problems, mistakes = problems + len(proof.problems), mistakes + proof.mistakes
    seconds = time.perf_counter() - started
    if problems:
        fail(f"{many(problems, 'promise')} not kept")
    say()
    say(
        f"{many(len(exercises), 'exercise')}: every solution passes, no skeleton does, and all "
        f"{many(mistakes, 'wrong version')} are named ({seconds:.0f} s)",
        style="bold green",
    )
