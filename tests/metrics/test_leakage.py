"""Measures of identity leakage, beside SciPy and for mouths whose leakage is known."""

import numpy as np
import pytest
from annotations import unchecked
from scipy.stats import median_abs_deviation

from lpips_jax.metrics.leakage import discrepancy, open_share, rest_deviation

RNG = np.random.default_rng(0)


def test_discrepancy_is_between_means():
  matched, mismatched = RNG.normal(6, 1, 20), RNG.normal(4, 1, 20)
  assert discrepancy(matched, mismatched) == pytest.approx(matched.mean() - mismatched.mean())
  assert discrepancy(mismatched, matched) == discrepancy(matched, mismatched)
  # Clips that differ to both sides are no leakage.
  assert discrepancy(np.array([1.0, 3.0]), np.array([3.0, 1.0])) == 0
  for bad in ([], []), ([1.0], [1.0, 2.0]):
    with unchecked(), pytest.raises(ValueError, match='same clips'):
      discrepancy(*bad)


def test_open_is_what_exceeds_the_mouth_at_rest():
  speaking = np.concatenate([np.zeros(40), np.linspace(0, 0.5, 60)])  # the threshold is a tenth of 0.5
  assert open_share(np.full(10, 0.04), speaking) == 0
  assert open_share(np.full(10, 0.06), speaking) == 1
  assert open_share(np.array([0.0, 0.04, 0.2, 0.6]), speaking) == 0.5
  raised = speaking + 0.3  # a mouth that never looks shut
  assert open_share(np.full(10, 0.34), raised) == 0 and open_share(np.full(10, 0.36), raised) == 1


def test_rest_deviation():
  opening = RNG.gamma(1.0, 0.1, 75)
  assert rest_deviation(opening) == pytest.approx(median_abs_deviation(opening))
  assert rest_deviation(np.full(9, 0.7)) == 0
  assert rest_deviation(3 * opening) == pytest.approx(3 * rest_deviation(opening))
