"""Which submissions resemble one another: a hint where to look, never a proof of anything.

Two texts are compared by their fingerprints, all runs of K tokens: Schleimer, Wilkerson & Aiken 2003, "Winnowing: Local
Algorithms for Document Fingerprinting", section 2; files are short, so that all runs are kept and none need be chosen.
Names the student chose, numbers, strings, comments, docstrings and layout do not count: changing them hides nothing.
What everybody may write does not count either: the skeleton, what is written as the solution has it, and what many of
the class have. What is left must be long enough to say anything at all.
"""

from __future__ import annotations

import builtins
import contextlib
import csv
import html
import io
import keyword
import textwrap
import token
import tokenize
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby

from tinygrad_cnn.exercises.catalogue import Catalogue, Exercise
from tinygrad_cnn.exercises.grading.grades import plain
from tinygrad_cnn.exercises.grading.submissions import Submission
from tinygrad_cnn.exercises.grading.table import harmless
from tinygrad_cnn.exercises.report import WIDTH

K = 12  # tokens of a fingerprint: about a line and a half
MIN_TOKENS = 40  # of a file's own; what is shorter is not compared
AT_LEAST = 50.0  # percent of an exercise; pairs below are not named
MOST_PAIRS = 100
LIMITS = (
    "This is only a hint where to look, no proof of anything: read both files, and ask. Similar code has innocent "
    "reasons: a lecture's or a book's example, working in pairs, one natural way to write it. And copying can stay "
    "unseen: in exercises that are too short to compare, in code as the solution has it, and where it was rewritten.\n"
    f"Compared are runs of {K} tokens, without names, numbers, strings, comments and layout; the skeleton, what is as "
    "in the solution and what many of the class have do not count."
)


@dataclass(frozen=True)
class Match:
    """A passage that two files share.

    Attributes:
        exercise: In which exercise.
        first: Its lines in the first file, from 1: the first and the last.
        second: Its lines in the second.
    """

    exercise: str
    first: tuple[int, int]
    second: tuple[int, int]

    def after(self, other: Match) -> list[Match]:
        """One that comes before it and this one; a single one, if there is no line between them in either file."""
        sides = [(other.first, self.first), (other.second, self.second)]
        if all(a[0] <= b[0] <= a[1] + 1 for a, b in sides):
            first, second = ((a[0], max(a[1], b[1])) for a, b in sides)
            return [Match(self.exercise, first, second)]
        return [other, self]


@dataclass
class Pair:
    """Two submissions that resemble each other.

    Attributes:
        names: The students'.
        shared: Tokens of both together that lie in shared passages.
        own: Tokens of both together, in the exercises in which they share passages, that are their own: not the
            skeleton's, the solution's, or of many in the class.
        matches: The passages.
    """

    names: tuple[str, str]
    shared: int = 0
    own: int = 0
    matches: list[Match] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """Of their own tokens."""
        return 100 * self.shared / self.own if self.own else 0.0

    @property
    def exercises(self) -> list[str]:
        """In which they share passages."""
        return list(dict.fromkeys(match.exercise for match in self.matches))


@dataclass
class _Text:
    """A student's file for one exercise.

    Attributes:
        runs: Its fingerprints, in order.
        lines: Of its tokens.
        own: Where in `runs` those are that count.
    """

    runs: list[tuple[str, ...]]
    lines: list[int]
    own: set[int]

    def covered(self, runs: set[int]) -> int:
        """How many tokens lie in these fingerprints."""
        return len({i + j for i in runs for j in range(K)})


def similar(submissions: Sequence[Submission], catalogue: Catalogue) -> list[Pair]:
    """Pairs of submissions that resemble each other, the most similar first."""
    pairs: dict[tuple[int, int], Pair] = {}
    for exercise in catalogue.values():
        texts = _texts(submissions, exercise)
        for a, b in _candidates(texts):
            shared, own, matches = _compared(exercise.id, texts[a], texts[b])
            if 100 * shared >= AT_LEAST * own and shared >= 2 * MIN_TOKENS:
                pair = pairs.setdefault((a, b), Pair((submissions[a].name, submissions[b].name)))
                pair.shared, pair.own = pair.shared + shared, pair.own + own
                pair.matches += matches
    # much that is alike, and little that is not
    return sorted(pairs.values(), key=lambda pair: (-pair.shared * pair.percent, pair.names))[:MOST_PAIRS]


def _candidates(texts: dict[int, _Text]) -> list[tuple[int, int]]:
    """Pairs of texts with anything in common."""
    have: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, text in sorted(texts.items()):
        for run in {text.runs[i] for i in text.own}:
            have[run].append(number)
    return sorted({pair for numbers in have.values() for pair in combinations(numbers, 2)})


def _texts(submissions: Sequence[Submission], exercise: Exercise) -> dict[int, _Text]:
    """The files that are long enough to be compared, by the submission's number."""
    everybodys = {run for text in (exercise.skeleton(), exercise.solution()) for run in _runs(tokens(text)[0])}
    texts = {}
    for number, submission in enumerate(submissions):
        if exercise.id in submission.files:
            words, lines = tokens(submission.files[exercise.id].decode("utf-8", "replace"))
            runs = _runs(words)
            texts[number] = _Text(runs, lines, {i for i, run in enumerate(runs) if run not in everybodys})
    have = Counter(run for text in texts.values() for run in {text.runs[i] for i in text.own})
    many = max(2, min(len(texts) // 2, 6), len(texts) // 10)
    for text in texts.values():
        text.own = {i for i in text.own if have[text.runs[i]] <= many}
    return {number: text for number, text in texts.items() if text.covered(text.own) >= MIN_TOKENS}


def _compared(exercise: str, a: _Text, b: _Text) -> tuple[int, int, list[Match]]:
    """What two files of one exercise share: how many tokens of how many, and the passages."""
    at: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for j in sorted(b.own):
        at[b.runs[j]].append(j)
    shared_a = {i for i in a.own if a.runs[i] in at}
    shared_b = {j for run in {a.runs[i] for i in shared_a} for j in at[run]}
    matches: list[Match] = []
    done = -1
    for i in sorted(shared_a):
        if i <= done:
            continue
        j, length = max(((j, _length(a, b, i, j)) for j in at[a.runs[i]]), key=lambda found: found[1])
        done = i + length - 1
        ends = done + K - 1, j + length - 1 + K - 1
        match = Match(exercise, (a.lines[i], a.lines[ends[0]]), (b.lines[j], b.lines[ends[1]]))
        matches[-1:] = match.after(matches[-1]) if matches else [match]
    return a.covered(shared_a) + b.covered(shared_b), a.covered(a.own) + b.covered(b.own), matches


def _length(a: _Text, b: _Text, i: int, j: int) -> int:
    """For how many fingerprints two files go on alike from here."""
    length = 0
    while i + length in a.own and j + length in b.own and a.runs[i + length] == b.runs[j + length]:
        length += 1
    return length


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + K]) for i in range(len(words) - K + 1)]


_LAYOUT = {token.NEWLINE, token.NL, token.INDENT, token.DEDENT, token.ENDMARKER, token.COMMENT, token.ENCODING}
_KNOWN = {*keyword.kwlist, *dir(builtins), "np"}


def tokens(text: str) -> tuple[list[str], list[int]]:
    """A program's tokens without what can be changed at no cost, and the line of each.

    >>> tokens("y = np.sum(x, axis=1)  # rows")[0]
    ['name', '=', 'np', '.', 'sum', '(', 'name', ',', 'name', '=', '0', ')']
    """
    kept: list[tokenize.TokenInfo] = []
    with contextlib.suppress(tokenize.TokenError, SyntaxError, ValueError):  # then what stands before the mistake
        for read in tokenize.generate_tokens(io.StringIO(text).readline):
            if read.type not in (token.COMMENT, token.NL):
                kept.append(read)
    kept = _without_headers(kept)
    words: list[str] = []
    lines: list[int] = []
    for before, this, after in zip([None, *kept[:-1]], kept, [*kept[1:], None]):
        alone = (before is None or before.type in _LAYOUT) and (after is None or after.type in _LAYOUT)
        if this.type in _LAYOUT or (this.type == token.STRING and alone):  # a docstring
            continue
        word = this.string
        if this.type == token.NAME and word not in _KNOWN and (before is None or before.string != "."):
            word = "name"
        elif this.type == token.NUMBER:
            word = "0"
        elif token.tok_name[this.type] in ("STRING", "FSTRING_START"):
            word = "text"
        elif token.tok_name[this.type] in ("FSTRING_MIDDLE", "FSTRING_END"):
            continue
        words.append(word)
        lines.append(this.start[0])
    return words, lines


def _without_headers(read: Sequence[tokenize.TokenInfo]) -> list[tokenize.TokenInfo]:
    """A program without the first lines of its functions: an exercise gives them, some leave the annotations out."""
    kept = []
    depth = 0  # in such a line: 1, and 1 more for each open bracket
    for this in read:
        if this.type == token.NAME and this.string == "def":
            depth = 1
        elif depth and this.string in ("(", "[", "{"):
            depth += 1
        elif depth and this.string in (")", "]", "}"):
            depth -= 1
        elif (depth == 1 and this.string == ":") or this.type == token.NEWLINE:
            depth = 0
        if not depth:
            kept.append(this)
    return kept


# ---- reports


def as_text(pairs: Sequence[Pair], compared: int) -> str:
    """The report for a terminal."""
    lines = [line for part in LIMITS.splitlines() for line in textwrap.wrap(part, WIDTH)]
    lines += ["", *textwrap.wrap(_summary(pairs, compared), WIDTH)]
    for pair in pairs:
        lines.append(f"{pair.percent:4.0f} %  {plain(pair.names[0])} and {plain(pair.names[1])}")
        lines += [f"        {_place(match)}" for match in pair.matches]
    return "\n".join(lines) + "\n"


def as_csv(pairs: Sequence[Pair]) -> bytes:
    """The report for a spreadsheet: a row for each pair."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["percent (only a hint, no proof)", "first", "second", "tokens shared", "passages"])
    for pair in pairs:
        places = "; ".join(map(_place, pair.matches))
        first, second = (harmless(name) for name in pair.names)
        writer.writerow([f"{pair.percent:.0f}", first, second, pair.shared // 2, places])
    return file.getvalue().encode("utf-8-sig")


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Similar submissions: only a hint</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }}
body {{ max-width: 90rem; margin: 2rem auto; padding: 0 1rem }}
.limits {{ border: 1px solid; padding: .5rem 1rem; white-space: pre-line }}
summary {{ cursor: pointer; padding: .3rem 0 }}
.both {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr)); gap: 0 1rem }}
pre {{ overflow-x: auto; margin: 0; font-size: .8rem; line-height: 1.4 }}
mark {{ display: block; width: max-content; min-width: 100%; background: #ffecb3; color: inherit }}
@media (prefers-color-scheme: dark) {{ mark {{ background: #574400 }} }}
</style></head><body>
<h1>Similar submissions</h1>
<p class="limits">{limits}</p>
<p>{summary}</p>
{pairs}
</body></html>
"""


def as_html(pairs: Sequence[Pair], submissions: Sequence[Submission]) -> str:
    """The report as a page that needs nothing else, with both files side by side."""
    by_name = {submission.name: submission for submission in submissions}
    shown = []
    for pair in pairs:
        first, second = (by_name[name] for name in pair.names)
        blocks = []
        for id in pair.exercises:
            matches = [match for match in pair.matches if match.exercise == id]
            left = _marked(first.files[id], [match.first for match in matches])
            right = _marked(second.files[id], [match.second for match in matches])
            blocks.append(
                f'<h3>{html.escape(id)}</h3><div class="both"><div><h4>{html.escape(plain(first.name))}</h4>{left}'
                f"</div><div><h4>{html.escape(plain(second.name))}</h4>{right}</div></div>"
            )
        names = " and ".join(html.escape(plain(name)) for name in pair.names)
        where = html.escape(", ".join(pair.exercises))
        shown.append(f"<details><summary>{pair.percent:.0f} % {names}: {where}</summary>{''.join(blocks)}</details>")
    summary = html.escape(_summary(pairs, len(submissions)))
    return _PAGE.format(limits=html.escape(LIMITS), summary=summary, pairs="\n".join(shown))


def _marked(content: bytes, ranges: Sequence[tuple[int, int]]) -> str:
    """A file with the shared lines marked."""
    lines = enumerate(content.decode("utf-8", "replace").splitlines(), start=1)
    parts = []
    for shared, part in groupby(lines, lambda line: any(a <= line[0] <= b for a, b in ranges)):
        text = "\n".join(f"{number:3}  {html.escape(plain(line))}" for number, line in part)
        parts.append(f"<mark>{text}</mark>" if shared else text)
    return f"<pre>{''.join(parts)}</pre>"


def _summary(pairs: Sequence[Pair], compared: int) -> str:
    return (
        f"Submissions compared: {compared}. Pairs that share {AT_LEAST:.0f} % or more of what is their own in an "
        f"exercise: {len(pairs)}."
    )


def _place(match: Match) -> str:
    (a, b), (c, d) = match.first, match.second
    return f"{match.exercise}: lines {a}-{b} and {c}-{d}"
