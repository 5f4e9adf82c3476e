"""Random numbers: a seed and a count are the whole state, and every stream is its own."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import kernels
from tinygrad_cnn.random import Generator, default_generator, manual_seed, philox, use_generator


def test_the_same_seed_gives_the_same_numbers():
    for draw in (
        lambda g: g.normal((3, 4)),
        lambda g: g.uniform((5,), -1, 2),
        lambda g: g.integers(0, 100, (7,)),
        lambda g: g.permutation(9),
        lambda g: g.normal(),
    ):
        assert np.array_equal(draw(Generator(7)), draw(Generator(7)))
        assert not np.array_equal(draw(Generator(7)), draw(Generator(8)))
        g = Generator(7)
        first = draw(g)
        assert g.offset == 1
        assert not np.array_equal(first, draw(g))


def test_numbers_have_the_distribution_asked_for():
    g = Generator(1)
    normal = g.normal((20000,), mean=3.0, std=2.0)
    assert abs(normal.mean() - 3) < 0.06
    assert abs(normal.std() - 2) < 0.06
    uniform = g.uniform((20000,), -1.0, 3.0)
    assert -1 <= uniform.min() < -0.99
    assert 2.99 < uniform.max() < 3
    assert abs(uniform.mean() - 1) < 0.04
    whole = g.integers(2, 5, (3000,))
    assert set(whole.tolist()) == {2, 3, 4}
    assert np.bincount(whole)[2:].min() > 900
    assert sorted(g.permutation(100).tolist()) == list(range(100))
    assert isinstance(g.integers(0, 5), int)


def test_the_state_is_json_and_continues():
    g = Generator(5, stream=(1, 2))
    g.normal((3,))
    state = json.loads(json.dumps(g.state_dict()))
    assert state == {"seed": 5, "offset": 1, "stream": [1, 2]}
    rest = [g.normal((2,)).tolist(), g.permutation(5).tolist()]
    again = Generator()
    again.load_state_dict(state)
    assert [again.normal((2,)).tolist(), again.permutation(5).tolist()] == rest
    assert repr(again) == "Generator(seed=5, stream=(1, 2), offset=3)"


def test_streams_are_independent_of_each_other_and_of_their_order():
    streams = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1), (2**63, 3)]
    drawn = {s: tuple(Generator(3, stream=s).normal((4,))) for s in streams}
    assert len(set(drawn.values())) == len(streams)
    many = np.array([Generator(0, stream=(0, i)).uniform() for i in range(2000)])
    assert len(set(many.tolist())) == 2000
    assert abs(many.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(many[:-1], many[1:])[0, 1]) < 0.08


@pytest.mark.parametrize(
    ("seed", "stream"), [(-1, ()), (2**64, ()), (1.5, ()), ("a", ()), (0, (1, 2, 3)), (0, (-1,)), (0, (0.5,))]
)
def test_seeds_that_are_refused(seed, stream):
    with pytest.raises(ValueError, match=r"whole numbers from 0 to 2\*\*64 - 2"):
        Generator(seed, stream)


def test_manual_seed_restarts_the_default_generator():
    assert manual_seed(3) is default_generator()
    first = tcnn.randn(3).tolist()
    manual_seed(3)
    assert tcnn.randn(3).tolist() == first
    with pytest.raises(ValueError, match="whole numbers"):
        manual_seed(-5)


def test_no_seed_is_a_new_seed_each_time():
    assert Generator(None).seed != Generator(None).seed


def test_use_generator_is_for_a_block_and_a_thread():
    mine, seen = Generator(11), []
    with use_generator(mine) as inside:
        assert inside is mine is default_generator()
        tcnn.rand(2)
        thread = threading.Thread(target=lambda: seen.append(default_generator()))
        thread.start()
        thread.join()
        with pytest.raises(ZeroDivisionError), use_generator(Generator(1)):
            raise ZeroDivisionError
        assert default_generator() is mine
    assert default_generator() is not mine
    assert mine.offset == 1
    assert seen[0] is not mine


def test_creation_uses_the_generator_given():
    for make in (
        lambda g: tcnn.randn(2, 3, generator=g),
        lambda g: tcnn.rand((2, 3), generator=g),
        lambda g: tcnn.randint(0, 9, (4,), generator=g),
        lambda g: tcnn.randperm(6, generator=g),
        lambda g: tcnn.randn_like(tcnn.zeros(3), generator=g),
        lambda g: tcnn.rand_like(tcnn.zeros(3), generator=g),
    ):
        before = default_generator().offset
        assert make(Generator(2)).tolist() == make(Generator(2)).tolist()
        assert default_generator().offset == before


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rand_never_reaches_1(dtype):
    class Edge(Generator):
        def uniform(self, shape=(), low=0.0, high=1.0):
            return np.full(shape, 1 - 2**-53)

    drawn = tcnn.rand(4, dtype=dtype, generator=Edge())
    assert drawn.dtype == dtype
    assert drawn.max().item() < 1


def test_randint_from_0():
    drawn = tcnn.randint(3, (500,))
    assert (drawn.min().item(), drawn.max().item()) == (0, 2)


def test_formats_of_random_tensors():
    assert tcnn.randn(2).dtype == tcnn.rand(2).dtype == tcnn.float32
    assert tcnn.randint(0, 5, (2,)).dtype == tcnn.randperm(3).dtype == tcnn.int64
    assert tcnn.randn(2, dtype="float64", requires_grad=True).requires_grad


# ---- the counter-based mask


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize(("seed", "offset"), [(0, 0), (12345, 7), (2**63 + 9, 2**40)])
def test_the_mask_is_the_same_written_out_and_from_numpys_philox(size, seed, offset):
    x = np.zeros(size, np.float32)
    readable = kernels.get("dropout_keep").implementations["reference"](x, 0.3, seed, offset)
    np.testing.assert_array_equal(kernels.dropout_keep(x, 0.3, seed, offset), readable)


def test_the_mask_depends_on_place_alone():
    keep = kernels.dropout_keep(np.zeros(1000, np.float32), 0.5, 4, 2)
    np.testing.assert_array_equal(kernels.dropout_keep(np.zeros((10, 7), np.float64), 0.5, 4, 2).ravel(), keep[:70])
    assert not np.array_equal(kernels.dropout_keep(np.zeros(1000, np.float32), 0.5, 4, 3), keep)
    assert abs(keep.mean() - 0.5) < 0.06


def test_masks_and_draws_never_share_a_stream():
    assert philox(1, 0).random_raw(4).tolist() != philox(1, 1).random_raw(4).tolist()
    assert philox(1, 0).random_raw(4).tolist() != philox(1, 0, (0,)).random_raw(4).tolist()
