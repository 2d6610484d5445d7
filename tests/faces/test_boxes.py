"""Boxes in time: overlap and smoothing."""

import numpy as np
import pytest

from lpips_jax.faces.boxes import overlap, smooth


def test_overlap():
  np.testing.assert_allclose(
    overlap([0, 0, 10, 10], np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])), [1, 1 / 3, 0]
  )


@pytest.mark.parametrize('length', [1, 2, 3, 50])
def test_smoothing_keeps_what_stands_still(length):
  boxes = np.tile([10.0, 20.0, 30.0, 50.0], (length, 1))
  np.testing.assert_allclose(smooth(boxes, 25), boxes)
