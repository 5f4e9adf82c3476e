"""Right solutions in other styles pass, too; the odd ones in a process of their own, as a student's file does."""

import pytest
import right_versions
from exercising import one_process  # noqa: F401
from odd_right_versions import ODD

from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.checking import check

ALL = Catalogue()


def gets_all_points(id, text, file):
    file.write_text(text, encoding="utf-8")
    verdict = check(ALL[id], file)
    assert [part.finding for part in verdict.parts if part.finding] == []
    assert verdict.points == verdict.max_points


@pytest.mark.parametrize(("id", "style"), right_versions.RIGHT)
@pytest.mark.usefixtures("one_process")
def test_it_gets_all_points(tmp_path, id, style):
    gets_all_points(id, right_versions.RIGHT[id, style], tmp_path / "answer.py")


@pytest.mark.parametrize(("id", "style"), ODD)
def test_an_odd_one_gets_all_points(tmp_path, id, style):
    gets_all_points(id, ODD[id, style], tmp_path / "answer.py")


@pytest.mark.parametrize("id", ["conv_forward", "max_pool_forward", "batch_norm_forward", "softmax", "cross_entropy"])
def test_there_are_enough_of_them(id):
    sources = {text for (of, _), text in right_versions.RIGHT.items() if of == id}
    assert len(sources) >= 3
    assert ALL[id].solution() not in sources


def test_odd_ones_are_there_for_every_exercise():
    assert {id for id, _ in ODD} == set(ALL)
    assert len(ODD) >= 40
    assert not right_versions.RIGHT.keys() & ODD
