"""Which submissions resemble each other: copies are named however they are disguised; nobody is accused lightly."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest

from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.grading.similarity import LIMITS, as_csv, as_html, as_text, similar, tokens
from tinygrad_cnn.exercises.grading.submissions import Submission

SEVEN_LOOPS = '''
import numpy as np

def conv2d_forward(x, weight, bias, stride, padding):
    """doc"""
    batch, chans, height, width = x.shape
    filters, _, kh, kw = weight.shape
    oh = 1 + (height - kh + 2 * padding) // stride
    ow = 1 + (width - kw + 2 * padding) // stride
    big = np.zeros((batch, chans, height + 2 * padding, width + 2 * padding), dtype=x.dtype)
    big[:, :, padding:padding + height, padding:padding + width] = x
    result = np.empty((batch, filters, oh, ow), dtype=x.dtype)
    for b in range(batch):
        for f in range(filters):
            for i in range(oh):
                for j in range(ow):
                    total = bias[f]
                    for c in range(chans):
                        for u in range(kh):
                            for v in range(kw):
                                total += big[b, c, i * stride + u, j * stride + v] * weight[f, c, u, v]
                    result[b, f, i, j] = total
    return result
'''
EINSUM = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

def conv2d_forward(x, weight, bias, stride, padding):
    xp = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    windows = sliding_window_view(xp, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("ncpqrs,kcrs->nkpq", windows, weight)
    return (y + bias.reshape(1, -1, 1, 1)).astype(x.dtype)
"""
IM2COL = """
import numpy as np

def conv2d_forward(x, weight, bias, stride, padding):
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    P = (H + 2 * padding - R) // stride + 1
    Q = (W + 2 * padding - S) // stride + 1
    columns = []
    for p in range(P):
        for q in range(Q):
            patch = padded[:, :, p * stride:p * stride + R, q * stride:q * stride + S]
            columns.append(patch.reshape(N, -1))
    flat = np.stack(columns, axis=-1)
    kernel = weight.reshape(K, -1)
    y = np.zeros((N, K, P * Q), x.dtype)
    for n in range(N):
        y[n] = kernel @ flat[n] + bias[:, None]
    return y.reshape(N, K, P, Q)
"""
WINDOWS = """
import numpy as np

def conv2d_forward(x, weight, bias, stride, padding):
    n, c, h, w = x.shape
    k, _, r, s = weight.shape
    h_out = int((h + 2 * padding - r) / stride) + 1
    w_out = int((w + 2 * padding - s) / stride) + 1
    xp = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    y = np.zeros((n, k, h_out, w_out), dtype=x.dtype)
    for i in range(h_out):
        for j in range(w_out):
            win = xp[:, :, i * stride:i * stride + r, j * stride:j * stride + s]
            for f in range(k):
                y[:, f, i, j] = np.sum(win * weight[f], axis=(1, 2, 3)) + bias[f]
    return y
"""
BOARD = """
import numpy as np

def conv2d_forward(x, weight, bias, stride, padding):
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    P = (H + 2 * padding - R) // stride + 1
    Q = (W + 2 * padding - S) // stride + 1
    x_pad = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="constant")
    out = np.zeros((N, K, P, Q)).astype(x.dtype)
    for n in range(N):
        for k in range(K):
            for p in range(P):
                for q in range(Q):
                    h0 = p * stride
                    w0 = q * stride
                    region = x_pad[n, :, h0:h0 + R, w0:w0 + S]
                    out[n, k, p, q] = (region * weight[k]).sum() + bias[k]
    return out
"""
OWN_WORK = (SEVEN_LOOPS, EINSUM, IM2COL, WINDOWS, BOARD)


def disguised(text, suffix="_mine"):
    """Names, numbers, strings, comments, line breaks and indentation changed; the program is the same copy."""
    names = ["batch", "chans", "height", "width", "filters", "kh", "kw", "oh", "ow", "big", "result", "total"]
    text = re.sub(rf"\b({'|'.join(names)})\b", lambda m: m[1][::-1] + suffix, text)
    text = (
        text.replace('"""doc"""', '"my own work"\n    # really')
        .replace("    ", "   ")
        .replace(", ", ",\n              ")
    )
    return re.sub(r"\b1 \+", "1.0 +", text) + "\n# the end\n"


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(only=["conv_forward", "output_size"])


def handed_in(*texts, exercise="conv_forward"):
    return [Submission(f"student {i}", f"{i}", {exercise: text.encode()}) for i, text in enumerate(texts)]


def test_a_copy_is_found_however_it_was_disguised(catalogue):
    copy = disguised(SEVEN_LOOPS)
    assert copy != SEVEN_LOOPS
    (pair,) = similar(handed_in(*OWN_WORK, copy), catalogue)
    assert pair.names == ("student 0", "student 5")
    assert pair.percent == 100
    for text, side, big in ((SEVEN_LOOPS, "first", "big"), (copy, "second", "gib_mine")):
        ranges = [getattr(match, side) for match in pair.matches]
        shared = [line.strip() for n, line in enumerate(text.splitlines(), 1) if any(a <= n <= b for a, b in ranges)]
        assert any(line.startswith(f"{big}[:") for line in shared)  # padded by hand
        assert "for c in range" in " ".join(shared).replace("snahc", "chans")
        assert "for b in range" not in " ".join(shared)  # as in the solution


def test_half_a_copy_is_found_and_ranks_behind_a_whole_one(catalogue):
    half = SEVEN_LOOPS.partition("    for b in")[0] + BOARD.partition('mode="constant")\n')[2].replace("x_pad", "big")
    pairs = similar(handed_in(SEVEN_LOOPS, disguised(SEVEN_LOOPS), EINSUM, half, WINDOWS, IM2COL), catalogue)
    assert pairs[0].names == ("student 0", "student 1")
    assert {pair.names for pair in pairs[1:]} == {("student 0", "student 3"), ("student 1", "student 3")}
    assert 50 <= pairs[1].percent < 80


def test_who_solved_it_alone_is_not_named(catalogue):
    assert similar(handed_in(*OWN_WORK), catalogue) == []


def test_the_skeleton_the_solution_and_what_is_too_short_accuse_nobody(catalogue):
    skeleton, solution = catalogue["conv_forward"].skeleton(), catalogue["conv_forward"].solution()
    assert similar(handed_in(skeleton, skeleton, solution, solution), catalogue) == []
    begun = skeleton.replace("    # TODO: your code\n", "    N, C, H, W = x.shape\n    y = np.zeros((N, C))\n")
    assert similar(handed_in(begun, begun, begun), catalogue) == []
    short = "def output_size(size, kernel, stride, padding):\n    return 1 + (size + 2 * padding - kernel) // stride\n"
    assert similar(handed_in(short, short, exercise="output_size"), catalogue) == []


def test_what_many_of_the_class_have_accuses_nobody(catalogue):
    """Eight who all took it from the same book; three of twenty who copied are found."""
    assert similar(handed_in(*[disguised(SEVEN_LOOPS, f"_{i}") for i in range(8)], *OWN_WORK[1:]), catalogue) == []
    class_of_20 = [f"def f{i}(): pass\n" for i in range(13)] + list(OWN_WORK[1:])
    group = [disguised(SEVEN_LOOPS, f"_{i}") for i in range(3)]
    assert len(similar(handed_in(*class_of_20, *group), catalogue)) == 3


def test_two_of_two(catalogue):
    assert len(similar(handed_in(SEVEN_LOOPS, disguised(SEVEN_LOOPS)), catalogue)) == 1


@pytest.mark.parametrize(
    "text",
    ["", "def f(:", "x = (1,\n" * 4, "'''", "\0", "\t x\n  y\n z", "if x:\n\t  y\n  \tz\n", "é = 1\n", "f'{x!r:{y}}'"],
)
def test_texts_that_are_no_python(catalogue, text):
    words, lines = tokens(text)
    assert len(words) == len(lines)
    assert similar(handed_in(text, text, SEVEN_LOOPS), catalogue) == []


def test_bytes_that_are_no_text(catalogue):
    noise = bytes(range(256)) * 20
    assert similar([Submission("a", "a", {"conv_forward": noise}), Submission("b", "b", {})], catalogue) == []


class Checker(HTMLParser):
    """Tags that are closed, and nothing from the submissions among them."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.marked, self.text = [], set(), [], ""

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "mark":
            self.marked.append(data)


def test_the_page(catalogue):
    evil = "<script>alert(1)</script>"
    first, second = handed_in(SEVEN_LOOPS + f"# {evil}\x1b\n", disguised(SEVEN_LOOPS))
    first.name = f"{evil}&"
    page = as_html(similar([first, second], catalogue), [first, second])
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "script" not in checker.seen
    assert evil in checker.text
    assert "only a hint where to look, no proof" in " ".join(checker.text.split())
    assert any("big[:, :, padding" in line for line in checker.marked)
    assert not any("for b in range(batch)" in line for line in checker.marked)
    assert "{{" not in page
    assert "http" not in page


def test_the_table_and_the_text(catalogue):
    first, second = handed_in(SEVEN_LOOPS, disguised(SEVEN_LOOPS))
    first.name = "=HYPERLINK(1)"
    pairs = similar([first, second], catalogue)
    rows = list(csv.reader(io.StringIO(as_csv(pairs).decode("utf-8-sig"))))
    assert "hint" in rows[0][0]
    assert rows[1][:3] == ["100", "'=HYPERLINK(1)", "student 1"]
    assert re.fullmatch(r"conv_forward: lines 2-12 and 2-\d+; conv_forward: lines 15-23 and \d+-\d+", rows[1][4])
    text = as_text(pairs, 2)
    assert text.replace("\n", " ").startswith(LIMITS.replace("\n", " "))
    assert max(map(len, text.splitlines())) <= 80
    assert "100 %  =HYPERLINK(1) and student 1" in text
    assert "Submissions compared: 7." in as_text([], 7)
    assert "in an exercise: 0." in as_text([], 7).replace("\n", " ")
