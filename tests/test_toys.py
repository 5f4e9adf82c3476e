"""Points in the plane: sizes, balance, and that the numbers come from the generator only."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_cnn import data, random
from tinygrad_cnn.random import Generator


@pytest.mark.parametrize("make", [data.toys.moons, data.toys.circles, data.toys.spirals])
def test_toys(make):
    drawn = random.default_generator().state_dict()
    points, labels = make(61, generator=Generator(4))
    assert (points.shape, points.dtype, labels.shape, labels.dtype) == ((61, 2), np.float32, (61,), np.int64)
    counts = np.bincount(labels.numpy())
    assert counts.max() - counts.min() <= 1
    again, _ = make(61, generator=Generator(4))
    np.testing.assert_array_equal(points.numpy(), again.numpy())
    assert random.default_generator().state_dict() == drawn
    quiet, _ = make(61, noise=0.0)
    assert 0 < np.abs(points.numpy() - quiet.numpy()).max() < 0.6
    assert len({tuple(p) for p in quiet.numpy().round(6)}) >= 58  # the arms of the spiral share the origin
    with pytest.raises(ValueError, match="give each class at least one"):
        make(1)


def test_circles_have_their_radii():
    points, labels = data.toys.circles(40, noise=0.0)
    np.testing.assert_allclose(np.linalg.norm(points.numpy(), axis=1), np.where(labels.numpy() == 0, 1, 0.5), rtol=1e-6)
