"""Convolution at work: every number of the frames is the layer's own, and nothing is changed by looking."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import standin
from typer.testing import CliRunner

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, viz
from tinygrad_cnn.cli import app
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.viz.animation import lecture
from tinygrad_cnn.viz.animation.words import number

# name → layer, shape of one image; asymmetric in rows and columns wherever a layer can be
LAYERS = {
    "stride 2 with padding": (lambda: nn.Conv2d(3, 2, (3, 2), stride=(2, 1), padding=(1, 2)), (3, 6, 5)),
    "stride leaves pixels out": (lambda: nn.Conv2d(2, 2, 3, stride=3), (2, 7, 8)),
    "dilation 2": (lambda: nn.Conv2d(2, 3, 3, padding=2, dilation=(2, 1)), (2, 7, 6)),
    "groups 2": (lambda: nn.Conv2d(4, 6, (2, 3), groups=2, padding=1), (4, 5, 4)),
    "depthwise, no bias": (lambda: nn.Conv2d(3, 3, 3, groups=3, bias=False), (3, 5, 4)),
    "same, even kernel": (lambda: nn.Conv2d(2, 1, (4, 2), padding="same"), (2, 5, 6)),
    "reflect": (lambda: nn.Conv2d(2, 2, 3, padding=2, padding_mode="reflect"), (2, 5, 4)),
    "replicate": (lambda: nn.Conv2d(1, 2, 3, padding=(2, 1), stride=2, padding_mode="replicate"), (1, 5, 4)),
    "circular": (lambda: nn.Conv2d(1, 1, 3, padding=2, padding_mode="circular"), (1, 3, 4)),
    "more padding than kernel": (lambda: nn.Conv2d(1, 1, 1, padding=1), (1, 2, 3)),
    "line": (lambda: nn.Conv1d(3, 2, 3, stride=2, padding=2, dilation=2), (3, 11)),
    "line, circular": (lambda: nn.Conv1d(1, 2, 4, padding=2, padding_mode="circular"), (1, 6)),
    "connection table": (lambda: nn.ConnectionConv2d([[1, 0, 1], [0, 1, 0]], (2, 3), padding=1), (3, 4, 5)),
    "max": (lambda: nn.MaxPool2d((3, 2), stride=(2, 1), padding=1, dilation=(1, 2)), (2, 7, 6)),
    "max, ceil": (lambda: nn.MaxPool2d(2, ceil_mode=True), (2, 5, 3)),
    "max of a line": (lambda: nn.MaxPool1d(3, 2, 1), (2, 8)),
    "mean": (lambda: nn.AvgPool2d((3, 2), stride=2, padding=1), (2, 5, 6)),
    "mean, padding not counted": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False, ceil_mode=True), (2, 6, 7)),
    "mean, ceil": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (1, 6, 7)),
    "mean, own divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), (1, 4, 6)),
    "mean of a line": (lambda: nn.AvgPool1d(3, 2, 1), (2, 8)),
    "norm": (lambda: nn.LPPool2d(2, (2, 3), stride=1), (2, 4, 5)),
    "norm 4, ceil": (lambda: nn.LPPool2d(4, 2, ceil_mode=True), (1, 5, 3)),
    "norm of a line": (lambda: nn.LPPool1d(2, 3, 2), (2, 9)),
    "adaptive max": (lambda: nn.AdaptiveMaxPool2d((2, 3)), (2, 5, 7)),
    "adaptive max of a line": (lambda: nn.AdaptiveMaxPool1d(3), (2, 7)),
    "adaptive mean": (lambda: nn.AdaptiveAvgPool2d((3, None)), (2, 5, 4)),
    "adaptive mean of a line": (lambda: nn.AdaptiveAvgPool1d(3), (2, 7)),
    "global max": (lambda: nn.GlobalMaxPool2d(), (3, 4, 5)),
    "global mean": (lambda: nn.GlobalAvgPool2d(keepdim=True), (3, 4, 5)),
}


def whole(layer, x, **settings):
    """All of a layer, however large."""
    K, P, Q = viz.animate(layer, x).slide.out
    return viz.animate(layer, x, filters=range(K), rows=range(P), columns=range(Q), **settings)


def sums_of(frames, shape, window_of):
    """What the frames add to an image of this shape: each share at the channel, row and column it names."""
    total = np.zeros(shape)
    for frame in frames:
        seen = frame.forward
        for i, c in enumerate(seen.channels):
            for r, row in enumerate(seen.rows):
                for s, column in enumerate(seen.columns):
                    if seen.inside[r, s]:
                        total[c, row, column] += window_of(frame)[i, r, s]
    return total


@pytest.mark.parametrize("name", LAYERS)
def test_frames_are_what_the_layer_computes(name, rng):
    make, shape = LAYERS[name]
    layer = make().double()
    x = tcnn.Tensor(rng.normal(size=(2, *shape)), requires_grad=True)
    y = layer(x)
    dy = rng.normal(size=y.shape)
    y.backward(dy)

    animation = whole(layer, x, sample=1)
    frames = animation.frames
    values = np.array([frame.y for frame in frames]).reshape(y.shape[1:])
    np.testing.assert_allclose(values, y.numpy()[1], rtol=1e-12, atol=1e-12)
    assert [frame.place for frame in frames] == list(np.ndindex(animation.slide.out))

    # one sample alone, so that dweight and dbias are its own
    layer.zero_grad()
    alone = tcnn.Tensor(x.numpy()[1:], requires_grad=True)
    layer(alone).backward(dy[1:])
    back = whole(layer, x, sample=1, dy=dy, direction="backward").frames
    last = {}
    for frame in back:
        last[frame.place[0]] = frame
    if animation.slide.weight is not None:
        for k, frame in last.items():
            wanted = layer.weight.grad[k] if not isinstance(layer, nn.ConnectionConv2d) else None
            if wanted is not None:
                np.testing.assert_allclose(frame.dweight.reshape(wanted.shape), wanted, rtol=1e-12, atol=1e-12)
            if layer.bias is not None:
                np.testing.assert_allclose(frame.dbias, layer.bias.grad[k], rtol=1e-12, atol=1e-12)
    if isinstance(layer, nn.ConnectionConv2d):  # its kernels in the table's order
        kernels = np.concatenate([last[k].dweight for k in sorted(last)])
        np.testing.assert_allclose(kernels, layer.weight.grad, rtol=1e-12, atol=1e-12)

    # dx: the final running sums, as they stand in the frames that touched each pixel last
    wanted = alone.grad[0].reshape(animation.slide.x.shape)
    dx = np.zeros(wanted.shape)
    for frame in back:
        _, source = animation.slide.under(*frame.place)
        for i, c in enumerate(frame.forward.channels):
            dx[c].flat[source[source >= 0]] = frame.dx[i][source >= 0]
    np.testing.assert_allclose(dx, wanted, rtol=1e-11, atol=1e-11)
    if (animation.slide.source >= 0).sum() == wanted[0].size:  # no border that repeats pixels: the shares alone
        np.testing.assert_allclose(sums_of(back, wanted.shape, lambda f: f.to_x), wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", LAYERS)
def test_running_sums_begin_with_0_and_go_on_where_they_stopped(name, rng):
    make, shape = LAYERS[name]
    back = whole(make(), rng.normal(size=shape), direction="backward").frames
    dweights, dbiases = {}, {}
    for frame in back:
        k = frame.place[0]
        if frame.dweight is not None:
            np.testing.assert_array_equal(frame.dweight_before, dweights.get(k, np.zeros_like(frame.dweight)))
            np.testing.assert_array_equal(frame.dweight, frame.dweight_before + frame.to_weight)
            dweights[k] = frame.dweight
        if frame.dbias is not None:
            assert (frame.dbias_before, frame.dbias) == (dbiases.get(k, 0.0), frame.dbias_before + frame.dy)
            dbiases[k] = frame.dbias
    first = back[0].dx_before
    assert not first[~np.isnan(first)].any()


def test_the_lectures_example_is_the_default():
    animation = viz.animate()
    values = np.array([frame.y for frame in animation.frames]).reshape(2, 3, 3)
    assert values.tolist() == [[[-4, -3, -3], [-2, -7, -9], [1, -4, -10]], [[0, -3, 5], [0, 5, 1], [1, 2, 1]]]
    frame = animation.frames[1]
    assert (frame.rows, frame.columns, frame.bias) == ((0, 1, 2), (2, 3, 4), 1.0)
    step = animation.board().steps[1]
    assert step.say + step.result == "output (0, 1) of filter 0: window rows 0–2, columns 2–4, sum −3"
    assert step.lines[0] == "channel 0: 0·(−1) + 0·(−1) + 0·1 + 0·0 + 1·(−1) + 0·1 + 1·(−1) + 1·(−1) + 1·0 = −3"
    assert step.lines[-1] == "−3 + (−1) + 0 + bias 1 = −3"
    assert repr(animation) == (
        "<viz.Animation: The lecture's worked example: Conv2d(3, 2, kernel_size=3, stride=2), forward, 18 frames>"
    )


def test_the_lectures_pooling():
    animation = viz.animate(nn.MaxPool2d(2), np.array(lecture.POOLED))
    assert [frame.y for frame in animation.frames] == [6, 8, 3, 4]
    assert [frame.winner for frame in animation.frames] == [(1, 1), (1, 1), (0, 0), (1, 1)]
    step = animation.board().steps[0]
    assert step.result == ", largest 6 at row 1, column 1"
    assert step.lines == ["max(1, 1, 5, 6) = 6"]
    assert (1, 1, "winner") in step.marks["x0"]


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [np.nan, 2.0, np.nan], [-np.inf, -np.inf, -np.inf]])
def test_ties_nans_and_lowest_numbers_have_the_layers_winner(values):
    x = tcnn.Tensor([[values]], requires_grad=True)
    nn.MaxPool1d(3, 2, 1)(x).backward(np.array([[[1.0, 10.0]]], dtype="float32"))
    frames = viz.animate(nn.MaxPool1d(3, 2, 1), x, dy=[[1.0, 10.0]], direction="backward").frames
    np.testing.assert_array_equal(sums_of(frames, (1, 1, 3), lambda f: f.to_x)[:, 0], x.grad[0])


def texts_after(board, steps):
    """The board's texts when so many steps were shown, as page and GIF fill them in."""
    texts = {key: [list(row) for row in grid.cells] for key, grid in board.grids.items()}
    for step in board.steps[:steps]:
        for key, cells in step.cells.items():
            for i, j, text in cells:
                texts[key][i][j] = text
    return texts


def test_the_board_ends_with_the_layers_output_and_gradients(rng):
    layer = nn.Conv2d(2, 2, (2, 3), stride=(2, 1), padding=1)
    x = tcnn.Tensor(rng.normal(size=(1, 2, 4, 3)).astype("float32"), requires_grad=True)
    y = layer(x)
    dy = rng.normal(size=y.shape).astype("float32")
    y.backward(dy)
    animation = viz.animate(layer, x, dy=dy)
    forward, backward = animation.board("forward"), animation.board("backward")
    shown = texts_after(forward, len(forward.steps))
    for k in range(2):
        assert shown[f"y{k}"] == [[number(v) for v in row] for row in y.numpy()[0, k].astype(float)]
    shown = texts_after(backward, len(backward.steps))
    for c in range(2):
        dx = np.array(shown[f"dx{c}"])[1:-1, 1:-1]
        assert dx.tolist() == [[number(v) for v in row] for row in x.grad[0, c].astype(float)]
        dweight = [[number(v) for v in row] for row in layer.weight.grad[1, c].astype(float)]
        assert shown[f"dw{c}"] == dweight  # the last frame's filter is the second one
    assert texts_after(forward, 1)["y0"][0][1] == ""  # filled step by step


def test_padding_is_drawn_as_such_and_what_does_not_count_is_empty():
    x = np.ones((1, 3, 3))
    conv = viz.animate(nn.Conv2d(1, 1, 3, padding=1), x).board()
    assert conv.grids["x0"].cells[0] == ["0"] * 5
    assert conv.grids["x0"].rows == [-1, 0, 1, 2, 3]
    assert len(conv.grids["x0"].border) == 16
    assert "(5 of 9 in the padding)" in conv.steps[0].say
    assert viz.animate(nn.MaxPool2d(3, 2, 1), x).board().grids["x0"].cells[0] == ["−∞"] * 5
    uncounted = viz.animate(nn.AvgPool2d(3, 2, 1, count_include_pad=False), x)
    assert uncounted.board().grids["x0"].cells[0] == [""] * 5
    assert uncounted.frames[0].divisor == 4
    assert viz.animate(nn.AvgPool2d(3, 2, 1), x).frames[0].divisor == 9
    reflect = viz.animate(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), np.arange(9.0).reshape(1, 3, 3))
    assert reflect.board().grids["x0"].cells[0] == ["4", "3", "4", "5", "4"]
    assert "hatched cells are padding: copies of pixels of x" in reflect.notes()


def test_only_the_groups_channels_take_part(rng):
    animation = viz.animate(nn.Conv2d(4, 4, 3, groups=2), rng.normal(size=(4, 4, 3)))
    assert list(animation.view.filters) == [0, 2]  # one of each group
    first, last = animation.board().steps[0], animation.board().steps[-1]
    assert (first.idle, last.idle) == ([2, 3], [0, 1])
    assert set(first.marks) == {"x0", "t0", "x1", "t1", "y0"}


def test_large_layers_are_shown_in_part_and_say_so(rng):
    layer = nn.Conv2d(64, 32, 3, padding=1)
    animation = viz.animate(layer, rng.normal(size=(64, 30, 40)).astype("float32"), direction="backward")
    assert (animation.view.channels, animation.view.filters) == ([0, 1, 2, 3], [0, 1])
    assert len(animation.frames) == 2 * 5 * 5
    text = " ".join(animation.notes())
    for part in ("shown: channels 0–3 of 64", "filters 0–1 of 32", "output rows 0–4 of 30", "output columns 0–4 of 40"):
        assert part in text
    assert "what the outputs shown add" in text
    alexnet = viz.animate(nn.Conv2d(3, 96, 11, 4), rng.normal(size=(3, 63, 63)))
    assert (alexnet.view.channels, len(alexnet.frames)) == ([0], 2 * 2 * 2)
    step = animation.board("forward").steps[0]
    assert step.lines[-2].startswith("60 more channels, not shown: ")
    chosen = viz.animate(layer, rng.normal(size=(64, 30, 40)), channels=[63, 5], filters=7, rows=[29], columns=range(3))
    assert [frame.place for frame in chosen.frames] == [(7, 29, q) for q in range(3)]
    assert chosen.view.image_rows == range(28, 31)  # the last row of the image, and the padding below it
    assert chosen.board().grids.keys() == {"x5", "w5", "t5", "x63", "w63", "t63", "y7"}


def test_pooling_shows_the_channels_asked_for(rng):
    animation = viz.animate(nn.MaxPool2d(2), rng.normal(size=(8, 4, 4)), channels=[3, 6])
    assert (animation.view.channels, animation.view.filters) == ([3, 6], [3, 6])


def test_a_size_that_does_not_fit_is_told():
    notes = viz.animate(nn.Conv2d(1, 1, 3, stride=3), np.ones((1, 7, 8))).notes()
    assert "the stride does not fit the size: no window meets the last 1 row and 2 columns" in notes


def test_looking_changes_nothing(rng):
    layer = nn.Conv2d(2, 3, 3, padding=1)
    calls = []
    layer.register_forward_hook(lambda *_: calls.append(1))
    layer.train()
    x = tcnn.Tensor(rng.normal(size=(1, 2, 5, 4)).astype("float32"), requires_grad=True)
    layer(x).sum().backward()
    calls.clear()
    before = {name: values.numpy().tobytes() for name, values in layer.state_dict().items()}
    gradients = [layer.weight.grad.tobytes(), x.grad.tobytes()]
    random = tcnn.default_generator().state_dict()
    animation = viz.animate(layer, x, direction="backward")
    assert animation.frames
    animation.to_html()
    viz.animate()
    assert tcnn.default_generator().state_dict() == random
    assert {name: values.numpy().tobytes() for name, values in layer.state_dict().items()} == before
    assert [layer.weight.grad.tobytes(), x.grad.tobytes()] == gradients
    assert layer.training
    assert not calls


def test_tensors_on_a_gpu(rng):
    with standin.registered():
        layer = nn.Conv2d(2, 2, 3, padding=1, device="standin")
        x = rng.normal(size=(1, 2, 4, 5)).astype("float32")
        there = viz.animate(layer, tcnn.Tensor(x, device="standin"), dy=tcnn.ones(1, 2, 4, 5, device="standin"))
        here = nn.Conv2d(2, 2, 3, padding=1)
        here.load_state_dict({name: values.cpu() for name, values in layer.state_dict().items()})
        assert there.to_html() == viz.animate(here, x, dy=np.ones((1, 2, 4, 5))).to_html()
        table = nn.ConnectionConv2d([[1, 0], [1, 1]], 3, device="standin")
        assert len(viz.animate(table, tcnn.Tensor(x, device="standin")).frames) == 2 * 2 * 3


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: viz.animate(nn.Linear(2, 3), np.ones((1, 2, 2))),
            TypeError,
            "Linear cannot be shown; these can: Conv1d",
        ),
        (lambda: viz.animate(nn.Conv3d(1, 1, 2), np.ones((1, 2, 2, 2))), TypeError, "volumes"),
        (lambda: viz.animate(nn.ConvTranspose2d(1, 1, 2), np.ones((1, 2, 2))), TypeError, 'direction="backward"'),
        (lambda: viz.animate(nn.LPPool2d(float("inf"), 2), np.ones((1, 2, 2))), TypeError, "max pooling of |x|"),
        (lambda: viz.animate(nn.MaxPool2d(2)), ValueError, "x is missing"),
        (lambda: viz.animate(direction="sideways"), ValueError, "'sideways' must be"),
        (lambda: viz.animate(nn.Conv2d(3, 1, 3), np.ones((2, 5, 5))), ShapeError, "Conv2d: it wants 3 channels"),
        (lambda: viz.animate(nn.Conv2d(1, 1, 6), np.ones((1, 5, 5))), ShapeError, "a kernel spanning 6 pixels"),
        (lambda: viz.animate(nn.Conv2d(1, 1, 3), np.ones((5, 5))), ShapeError, "(C, H, W)"),
        (lambda: viz.animate(nn.MaxPool2d(2), np.ones((2, 1, 4, 4)), sample=2), ShapeError, "sample=2"),
        (lambda: viz.animate(dy=np.ones((2, 3, 4))), ShapeError, "(2, 3, 3)"),
        (lambda: viz.animate(filters=2), ShapeError, "filters=2 must be some of 0 … 1"),
        (lambda: viz.animate(rows=[]), ShapeError, "rows=[] must be some of 0 … 2"),
        (lambda: viz.animate().save("conv.mp4"), ValueError, ".html or .gif"),
        (lambda: viz.animate().to_gif("conv.gif", milliseconds=0), ValueError, "milliseconds=0"),
        (lambda: viz.animate().to_gif("conv.png"), ValueError, "'conv.png': the name must end in .gif"),
    ],
)
def test_mistakes_are_explained(make, error, words):
    with pytest.raises(error, match=re.escape(words)):
        make()


def test_headlines_leave_out_what_is_as_usual():
    def title(layer):
        return viz.animate(layer, np.ones((1, 8, 8))).title

    assert title(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2, stride=2)"
    assert title(nn.LPPool2d(2, 2)) == "LPPool2d(norm_type=2, kernel_size=2)"
    assert title(nn.MaxPool2d(3, 2, (1, 0), ceil_mode=True)) == (
        "MaxPool2d(kernel_size=3, stride=2, padding=(1, 0), ceil_mode=True)"
    )


def test_the_legend_says_what_the_mark_of_a_step_is():
    pool = viz.animate(nn.MaxPool2d(2), np.ones((1, 2, 2)))
    assert pool.board("forward").now == "written in this step"
    assert pool.board("backward").now == "dy of this step"  # which is read, not written; and there are no weights
    assert "dweight" in viz.animate().board("backward").now


def test_the_page_is_one_file_without_addresses_and_escapes_its_texts(tmp_path):
    animation = viz.animate()
    animation.title = "</script><img src=x onerror=alert(1)>{{js}}"
    text = animation.to_html(tmp_path / "made" / "conv.html")
    assert (tmp_path / "made" / "conv.html").read_text(encoding="utf-8") == text
    assert "<img" not in text
    assert "http" not in text
    assert "{{css}}" not in text
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    assert "<" not in data
    boards = json.loads(data)["boards"]
    assert [board["direction"] for board in boards] == ["forward", "backward"]
    assert [len(board["steps"]) for board in boards] == [18, 18]
    assert len(text.encode()) < 150_000


def test_one_direction_where_both_would_be_too_many(rng):
    x = rng.normal(size=(1, 24, 24))
    animation = viz.animate(nn.MaxPool2d(3, 1), x, rows=range(22), columns=range(22), direction="backward")
    assert len(animation.view.places) > 400
    data = re.search(r'id="data">(.*?)</script>', animation.to_html(), re.S)[1]
    assert [board["direction"] for board in json.loads(data)["boards"]] == ["backward"]


def test_a_notebook_gets_a_frame_of_its_own():
    text = viz.animate()._repr_html_()
    assert text.startswith("<iframe ")
    assert "<script" not in text  # the page is the text of an attribute
    assert "&lt;script" in text


def test_the_gif(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    pytest.importorskip("matplotlib", reason="needs matplotlib's letters")
    path = viz.animate().to_gif(tmp_path / "made" / "conv.gif", milliseconds=200)
    assert path.stat().st_size < 1_000_000
    with image.open(path) as gif:
        assert (gif.n_frames, gif.info["loop"], gif.info["duration"]) == (18, 0, 200)
        assert gif.width <= 1200
        first = np.asarray(gif.convert("RGB"))
        gif.seek(17)
        last = np.asarray(gif.convert("RGB"))
        assert gif.info["duration"] == 600
    assert (first != last).any(axis=-1).mean() > 0.005
    back = first[0, 0]
    for edge in (first[0], first[-1], first[:, 0], first[:, -1]):
        assert (edge == back).all()  # a margin all around: nothing is cut off
    blue, orange = (np.abs(first.astype(int) - colour).sum(axis=-1) < 40 for colour in ((0, 114, 178), (185, 122, 0)))
    assert blue.sum() > 100
    assert orange.sum() > 100


@pytest.mark.parametrize("name", ["stride 2 with padding", "groups 2", "line", "max", "norm", "adaptive mean"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_every_kind_can_be_saved(name, direction, tmp_path, rng):
    pytest.importorskip("PIL", reason="needs Pillow")
    pytest.importorskip("matplotlib", reason="needs matplotlib's letters")
    make, shape = LAYERS[name]
    animation = viz.animate(make(), rng.normal(size=shape), direction=direction, rows=[0], columns=[0, 1])
    for ending in ("html", "gif"):
        assert animation.save(tmp_path / f"a.{ending}").stat().st_size > 1000


def test_the_command_makes_slow_slides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    result = CliRunner().invoke(app, ["animate", "--kind", "max-pool", "--out", "slow.gif", "--milliseconds", "2500"])
    assert result.exit_code == 0, result.output
    with image.open("slow.gif") as picture:
        assert picture.info["duration"] == 2500


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    result = run(app, ["animate"])
    assert result.exit_code == 0
    assert "x 3×7×7 → y 2×3×3, 18 frames: conv.html" in result.output
    assert (tmp_path / "conv.html").read_text(encoding="utf-8") == viz.animate().to_html()
    for arguments, words in (
        (["--stride", "1", "--padding", "1"], "x 3×7×7 → y 2×7×7, 98 frames"),
        (["--size", "9", "--dilation", "2"], "Conv1d(1, 1, kernel_size=3"),
        (["--size", "6x5", "--channels", "2", "--filters", "3", "--kernel-size", "3x2"], "x 2×6×5 → y 3×4×4"),
        (["--kind", "max-pool"], "MaxPool2d(kernel_size=2, stride=2"),
        (["--kind", "avg_pool", "--size", "8", "--direction", "backward"], "AvgPool1d("),
        (["--kind", "lp_pool", "--stride", "1"], "LPPool2d(norm_type=2"),
    ):
        result = run(app, ["animate", "--out", "other.html", *arguments])
        assert result.exit_code == 0, result.output
        assert words in " ".join(result.output.split())
    for arguments, status, words in (
        (["--size", "2x2"], 1, "a kernel spanning 3 pixels does not fit into 2"),
        (["--padding", "same"], 1, 'padding="same" needs stride 1'),
        (["--kind", "blur"], 2, "there is no 'blur'"),
        (["--kind", "lp_pool", "--padding", "1"], 2, "--padding: a layer of --kind lp_pool has none"),
        (["--stride", "two"], 2, "give one whole number"),
        (["--out", "conv.mp4"], 2, "must end in .html"),
    ):
        result = run(app, ["animate", *arguments])
        assert result.exit_code == status
        assert words in " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())


def test_pillow_and_matplotlib_are_imported_for_gifs_only():
    code = (
        "import sys; from tinygrad_cnn import viz; viz.animate().to_html(); "
        "print([m for m in ('PIL', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
