"""The cosine of features, averaged over frames."""

import numpy as np
import pytest
from annotations import unchecked
from scipy.spatial.distance import cosine

from lpips_jax.metrics.avs import similarity

X, Y = np.random.default_rng(0).standard_normal((2, 7, 5))


def test_the_mean_of_cosines_frame_by_frame():
  assert similarity(X, Y) == pytest.approx(np.mean([1 - cosine(x, y) for x, y in zip(X, Y, strict=True)]))
  assert similarity(X.astype(np.float32), Y) == pytest.approx(similarity(X, Y), rel=1e-5)


def test_lengths_do_not_count_and_directions_do():
  assert similarity(X, X * np.arange(1, 8)[:, None]) == pytest.approx(1)
  assert similarity(X, -X) == pytest.approx(-1)
  assert similarity(np.eye(3), np.roll(np.eye(3), 1, 0)) == 0


def test_nothing_is_like_nothing():
  assert similarity(np.zeros((2, 3)), np.ones((2, 3))) == 0


@pytest.mark.parametrize('shapes', [((0, 5), (0, 5)), ((3, 5), (4, 5))])
def test_frames_have_to_be_there_and_the_same(shapes):
  with unchecked(), pytest.raises(ValueError, match='the same frames'):
    similarity(*map(np.ones, shapes))
