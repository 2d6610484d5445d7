from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from annotations import unchecked

from lpips_jax.perceptual import lpips, random_weights
from lpips_jax.perceptual.distance import feature_distance

WEIGHTS = random_weights(seed=1, width=1 / 16)

distance = jax.jit(lpips)
gradients = jax.jit(jax.grad(lambda x, y, weights: lpips(x, y, weights).sum(), (0, 1)))


def images(seed, n=2, size=32):
  return np.random.default_rng(seed).uniform(-1, 1, (n, size, size, 3)).astype(np.float32)


def test_feature_distance_matches_the_definition():
  rng = np.random.default_rng(0)
  x, y = rng.standard_normal((2, 3, 4, 5, 6))
  weight = rng.uniform(0, 1, 6)
  expected = np.zeros(3)
  for n, i, j in np.ndindex(3, 4, 5):
    a, b = x[n, i, j] / np.linalg.norm(x[n, i, j]), y[n, i, j] / np.linalg.norm(y[n, i, j])
    expected[n] += (weight * (a - b) ** 2).sum() / (4 * 5)
  actual = feature_distance(jnp.array(x), jnp.array(y), jnp.array(weight))
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_feature_distance_has_the_gradient_of_its_definition():
  def defined(x, y, weight):
    a, b = (z / jnp.sqrt((z * z).sum(-1, keepdims=True)) for z in (x, y))
    return (weight * (a - b) ** 2).sum(-1).mean((1, 2))

  rng = np.random.default_rng(0)
  x, y = jnp.asarray(rng.standard_normal((2, 3, 4, 5, 6)))
  weight = jnp.asarray(rng.uniform(0, 1, 6))
  shares = jnp.array([1.0, 2.0, -3.0])
  expected = jax.vjp(defined, x, y, weight)[1](shares)
  for gradient, reference in zip(jax.vjp(feature_distance, x, y, weight)[1](shares), expected, strict=True):
    np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-6)


def test_equal_images_are_at_distance_zero_and_others_are_not():
  x, y = images(0), images(1)
  np.testing.assert_allclose(distance(x, x, WEIGHTS), np.zeros(2), atol=1e-6)
  assert (distance(x, y, WEIGHTS) > 0.1).all()
  np.testing.assert_allclose(distance(x, y, WEIGHTS), distance(y, x, WEIGHTS), rtol=1e-5)


def test_stronger_noise_is_further_away():
  x, noise = images(0), images(1)
  weak, medium, strong = (distance(x, x + amount * noise, WEIGHTS) for amount in (0.05, 0.2, 0.8))
  assert (weak < medium).all() and (medium < strong).all() and (weak < strong / 4).all()


@pytest.mark.parametrize('size', [16, 21])
def test_small_and_odd_sizes(size):
  values = distance(images(0, n=3, size=size), images(1, n=3, size=size), WEIGHTS)
  assert values.shape == (3,) and values.dtype == jnp.float32 and np.isfinite(values).all()


def test_pairs_do_not_influence_each_other():
  x, y = images(0), images(1)
  np.testing.assert_allclose(distance(x[::-1], y[::-1], WEIGHTS), distance(x, y, WEIGHTS)[::-1], rtol=1e-5)
  mixed = distance(x, np.stack([x[0], y[1]]), WEIGHTS)
  np.testing.assert_allclose(mixed, [0, distance(x, y, WEIGHTS)[1]], rtol=1e-5, atol=1e-6)


def zero_features():
  """Weights whose features are 0 for any image: the case in which the published normalisation has no gradient."""
  vgg = {name: {'kernel': 0 * layer['kernel'], 'bias': layer['bias'] - 1} for name, layer in WEIGHTS['vgg'].items()}
  return {**WEIGHTS, 'vgg': vgg}


@pytest.mark.parametrize(
  ('x', 'y', 'weights'),
  [
    (images(0), images(0), WEIGHTS),
    (np.full((2, 32, 32, 3), 0.3, np.float32), np.full((2, 32, 32, 3), -0.3, np.float32), WEIGHTS),
    (np.full((2, 32, 32, 3), 0.3, np.float32), np.full((2, 32, 32, 3), 0.3, np.float32), WEIGHTS),
    (images(0), images(1), zero_features()),
  ],
  ids=['equal', 'constant', 'equal constants', 'zero features'],
)
def test_gradients_are_finite_with_respect_to_both_images(x, y, weights):
  assert all(np.isfinite(gradient).all() for gradient in gradients(x, y, weights))


def test_gradients_match_finite_differences():
  x, y = images(0), images(1)
  for i, gradient in enumerate(gradients(x, y, WEIGHTS)):
    slope = np.linalg.norm(gradient)
    step = 0.01 * gradient / slope
    before, after = ((x - step, y), (x + step, y)) if i == 0 else ((x, y - step), (x, y + step))
    difference = (distance(*after, WEIGHTS) - distance(*before, WEIGHTS)).sum()
    np.testing.assert_allclose(2 * 0.01 * slope, difference, rtol=0.02)


def test_weights_are_an_argument_of_jitted_functions():
  x, y = images(0), images(1)
  other = random_weights(seed=2, width=1 / 16)
  assert np.abs(distance(x, y, WEIGHTS) - distance(x, y, other)).max() > 1e-3


def test_bfloat16_convolutions_stay_close():
  x, y = images(0), images(1)
  halved = jax.jit(partial(lpips, dtype=jnp.bfloat16))(x, y, WEIGHTS)
  assert halved.dtype == jnp.float32
  np.testing.assert_allclose(halved, distance(x, y, WEIGHTS), rtol=0.03)
  assert np.abs(halved - distance(x, y, WEIGHTS)).max() > 0


def test_images_that_do_not_fit_are_refused():
  with unchecked(), pytest.raises(ValueError, match='two batches'):
    lpips(images(0), images(0, n=1), WEIGHTS)
  with pytest.raises(ValueError, match='at least 16'):
    lpips(images(0, size=8), images(0, size=8), WEIGHTS)
