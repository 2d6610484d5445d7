"""The Fréchet inception distance between two sets of images (Heusel et al., arXiv 1706.08500, eq. 6)."""

import numpy as np
from jaxtyping import Float


class Moments:
  """The mean and the covariance of features that come a few at a time, in float64 for features of any type."""

  def __init__(self, size: int):
    self.count = 0
    self._mean = np.zeros(size)
    self._scatter = np.zeros((size, size))

  def add(self, features: Float[np.ndarray, 'n d']) -> None:
    """Adds features to both moments."""
    features = np.asarray(features, np.float64)
    if not len(features):
      return
    # Chan's rule for joining two sets, which loses no digits to the squares of large means.
    mean, count = features.mean(0), self.count + len(features)
    away = mean - self._mean
    self._scatter += (features - mean).T @ (features - mean) + np.outer(away, away) * self.count * len(features) / count
    self._mean += away * len(features) / count
    self.count = count

  @property
  def mean(self) -> Float[np.ndarray, ' d']:
    return self._mean

  @property
  def covariance(self) -> Float[np.ndarray, 'd d']:
    """The unbiased covariance; raises ValueError for fewer than two features."""
    if self.count < 2:
      raise ValueError(f'{self.count} images have no covariance: two are the least, and thousands are wanted')
    return self._scatter / (self.count - 1)


def frechet_distance(one: Moments, other: Moments, root_of_one: Float[np.ndarray, 'd d'] | None = None) -> float:
  """Returns |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), >= 0.

  The trace of the root is the sum of the roots of the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric: no
  complex numbers, and nothing to add to the diagonals where there are fewer images than features.

  Args:
    one, other: the moments of the two sets.
    root_of_one: `square_root` of the first covariance, which saves half of the work when many are compared with it.
  """
  root_of_one = square_root(one.covariance) if root_of_one is None else root_of_one
  between = np.linalg.eigvalsh(root_of_one @ other.covariance @ root_of_one)
  traces = np.trace(one.covariance) + np.trace(other.covariance) - 2 * np.sqrt(np.maximum(between, 0)).sum()
  return float(max(0, ((one.mean - other.mean) ** 2).sum() + traces))


def square_root(covariance: Float[np.ndarray, 'd d']) -> Float[np.ndarray, 'd d']:
  """Returns the symmetric square root of a covariance."""
  values, vectors = np.linalg.eigh(covariance)
  return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
