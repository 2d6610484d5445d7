"""Boxes of faces: overlap, and smoothing in time."""

import numpy as np
import pytest

from lpips_jax.faces.boxes import ROLL_SLACK, Steady, overlap, smooth


def test_overlap():
  np.testing.assert_allclose(
    overlap([0, 0, 10, 10], np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])), [1, 1 / 3, 0]
  )


@pytest.mark.parametrize('length', [1, 2, 3, 50])
def test_smoothing_keeps_what_stands_still(length):
  boxes = np.tile([10.0, 20.0, 30.0, 50.0], (length, 1))
  np.testing.assert_allclose(smooth(boxes, 25), boxes)


def test_rolls_are_smoothed_without_lag():
  boxes = np.column_stack([np.tile([0.0, 0, 10, 10], (30, 1)), np.linspace(0, 1, 30)])
  np.testing.assert_allclose(smooth(boxes, 25), boxes, atol=1e-12)
  np.testing.assert_array_equal(smooth(boxes[:, :4], 25), smooth(boxes, 25)[:, :4])


def test_a_head_at_rest_does_not_wobble_and_one_that_is_nearly_upright_is_upright():
  noise = np.random.default_rng(0).uniform(-0.5, 0.5, 50) * ROLL_SLACK
  for roll, held in [(0.5 * ROLL_SLACK, {0.0}), (1.0, None)]:
    steady = Steady()
    rolls = {float(steady(np.array([0.0, 0, 100, 100, roll + off]))[4]) for off in noise}
    assert rolls == held if held else len(rolls) == 1 and abs(rolls.pop() - roll) <= ROLL_SLACK
