"""The Fréchet distance against an independent computation, and sets whose distance is known."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from lpips_jax.metrics.fid import Moments, frechet_distance

RNG = np.random.default_rng(0)


def moments(features, parts=3):
  found = Moments(features.shape[1])
  for part in np.array_split(features, parts):
    found.add(part)
  return found


@pytest.mark.parametrize('count', [200, 20])  # more and fewer images than features
def test_as_defined(count):
  mixing = RNG.standard_normal((32, 32))
  one, other = RNG.standard_normal((count, 32)) + 5, RNG.standard_normal((count + 30, 32)) @ mixing + 5.5
  covariances = np.cov(one.T), np.cov(other.T)
  expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(sum(covariances))
  expected -= 2 * np.trace(sqrtm(covariances[0] @ covariances[1])).real
  assert frechet_distance(moments(one), moments(other)) == pytest.approx(expected, abs=1e-3)
  assert frechet_distance(moments(other), moments(one)) == pytest.approx(expected, abs=1e-3)


def test_moments_do_not_depend_on_how_features_come():
  features = (1000 + RNG.standard_normal((50, 4))).astype(np.float32)
  for parts in (1, 7, 50):
    found = moments(features, parts)
    np.testing.assert_allclose(found.mean, features.astype(float).mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(features.astype(float).T), atol=1e-9)


def test_known_distances():
  features = RNG.standard_normal((100, 8))
  assert frechet_distance(moments(features), moments(features)) == pytest.approx(0, abs=1e-9)
  assert frechet_distance(moments(features), moments(features + 2)) == pytest.approx(4 * 8)
  scaled = moments(3 * (features - features.mean(0)) + features.mean(0))
  assert frechet_distance(moments(features), scaled) == pytest.approx(4 * np.trace(np.cov(features.T)))


def test_too_few_images():
  with pytest.raises(ValueError, match='no covariance'):
    frechet_distance(moments(np.zeros((1, 4)), 1), moments(np.zeros((5, 4))))
