"""K-means that follows batches."""

import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax.models.clusters import MOMENTUM, Clusters, nearest

CENTRES = np.array([[10, 0], [0, 10], [-10, 0], [0, -10]], np.float32)


def batches(count, padding=0):
  rng = np.random.default_rng(0)
  for _ in range(count):
    real = np.ones((2, 20), bool)
    x = CENTRES[rng.integers(4, size=real.shape)] + 0.1 * rng.standard_normal((2, 20, 2)).astype(np.float32)
    real[1, 20 - padding :], x[1, 20 - padding :] = False, 100
    yield x, real


def trained(module, stats, steps):
  update = jax.jit(lambda stats, x, real: module.apply({'batch_stats': stats}, x, real, True, mutable=['batch_stats']))
  for x, real in steps:
    _, new = update(stats, x, real)
    stats = new['batch_stats']
  return stats


def fresh(number):
  return Clusters(number).init(jax.random.key(0), jnp.zeros((1, 1, 2)))['batch_stats']


def test_centroids_find_the_groups_and_padding_counts_for_nothing():
  stats = trained(Clusters(4), fresh(4), batches(200, padding=7))
  found = np.asarray(stats['centroids'])
  distances = np.linalg.norm(found[:, None] - CENTRES, axis=-1)
  assert (distances.min(0) < 0.2).all() and abs(found).max() < 11
  np.testing.assert_allclose(stats['share'], 0.25, atol=0.06)


def test_a_step_moves_centroids_towards_the_means_of_what_is_near():
  x = np.array([[[1, 0], [3, 0], [-5, 0]]], np.float32)
  stats = {'centroids': jnp.array([[2.0, 1], [-4, 0]]), 'share': jnp.array([0.5, 0.5])}
  found = trained(Clusters(2), stats, [(x, np.ones((1, 3), bool))])
  old, new = MOMENTUM * 0.5, (1 - MOMENTUM) / 3
  expected = [
    (old * np.array([2, 1]) + new * np.array([4, 0])) / (old + 2 * new),
    [(old * -4 + new * -5) / (old + new), 0],
  ]
  np.testing.assert_allclose(found['centroids'], expected, rtol=1e-5)
  np.testing.assert_allclose(found['share'], [old + 2 * new, old + new], rtol=1e-5)


def test_a_centroid_with_nothing_near_it_begins_anew():
  x = np.array([[[1, 0], [1, 0], [50, 0], [50, 0]]], np.float32)
  stats = {'centroids': jnp.array([[1.0, 0], [1000, 0]]), 'share': jnp.array([1.0, 0.01])}
  found = trained(Clusters(2), stats, [(x, np.ones((1, 4), bool))])
  np.testing.assert_allclose(found['centroids'][1], [50, 0], rtol=1e-5)


def test_use_changes_nothing():
  module, x = Clusters(4), next(batches(1))[0]
  stats = {'centroids': jnp.asarray(CENTRES), 'share': jnp.full(4, 0.25)}
  found, new = module.apply({'batch_stats': stats}, x, mutable=['batch_stats'])
  assert (found == np.argmin(np.linalg.norm(x[:, :, None] - CENTRES, axis=-1), -1)).all()
  np.testing.assert_array_equal(new['batch_stats']['centroids'], CENTRES)
  assert (nearest(CENTRES, CENTRES) == np.arange(4)).all()
