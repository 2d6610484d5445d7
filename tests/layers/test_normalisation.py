"""BatchNorm and instance normalisation beside Flax's, with the gradients that JAX makes of those."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lpips_jax.layers.normalisation import MOMENTUM, BatchNorm, instance_norm

RNG = np.random.default_rng(0)
X, WEIGHTS = (jnp.asarray(RNG.standard_normal((3, 4, 5, 2)), jnp.float32) for _ in range(2))
VARIABLES = {
  'params': {'scale': jnp.array([0.5, -2]), 'bias': jnp.array([0.1, 0.3])},
  'batch_stats': {'mean': jnp.array([0.2, -0.4]), 'var': jnp.array([2.0, 0.5])},
}


class Flax(nn.Module):
  rectify: bool

  @nn.compact
  def __call__(self, x, use_running_average):
    y = nn.BatchNorm(momentum=MOMENTUM, name='norm')(x, use_running_average)
    return nn.relu(y) if self.rectify else y


def applied(module, params, x, **options):
  nested = isinstance(module, Flax)
  variables = VARIABLES | {'params': params}
  variables = {name: {'norm': tree} for name, tree in variables.items()} if nested else variables
  y, changed = module.apply(variables, x, mutable=['batch_stats'], **options)
  return y, changed['batch_stats']['norm'] if nested else changed['batch_stats']


@pytest.mark.parametrize('rectify', [False, True])
@pytest.mark.parametrize('use_running_average', [False, True])
def test_values_statistics_and_gradients_are_those_of_flax(rectify, use_running_average):
  def value_and_gradients(module):
    def weighted(params, x):
      y, stats = applied(module, params, x, use_running_average=use_running_average)
      return (WEIGHTS * y).sum(), (y, stats)

    return jax.grad(weighted, (0, 1), has_aux=True)(VARIABLES['params'], 1 + 3 * X)

  ours, flax = value_and_gradients(BatchNorm(rectify)), value_and_gradients(Flax(rectify))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, flax)


def test_statistics_of_bfloat16_are_float32():
  x = jnp.asarray(100 + X, jnp.bfloat16)
  y, stats = applied(BatchNorm(dtype=jnp.bfloat16), VARIABLES['params'], x, use_running_average=False)
  assert y.dtype == jnp.bfloat16 and stats['mean'].dtype == jnp.float32
  mean = np.asarray(x, np.float32).mean((0, 1, 2))
  np.testing.assert_allclose(stats['mean'], 0.9 * VARIABLES['batch_stats']['mean'] + 0.1 * mean, rtol=1e-6)


def test_instance_norm_and_its_gradient_are_those_of_flax():
  flax = nn.InstanceNorm(use_bias=False, use_scale=False, epsilon=1e-5, use_fast_variance=False)
  (y, pull), (expected, expected_pull) = (jax.vjp(f, 1 + 3 * X) for f in (instance_norm, lambda x: flax.apply({}, x)))
  np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(pull(WEIGHTS)[0], expected_pull(WEIGHTS)[0], rtol=1e-4, atol=1e-5)


def test_instance_norm_of_a_mean_of_many_deviations():
  """One pass over the map would lose the variance to the square of the mean: float32 has 24 bits."""
  x = 10_000 + X
  exact = np.asarray(x, np.float64)
  expected = (exact - exact.mean((1, 2), keepdims=True)) / np.sqrt(exact.var((1, 2), keepdims=True) + 1e-5)
  np.testing.assert_allclose(instance_norm(x), expected, atol=5e-3)


def test_instance_norm_of_bfloat16_is_float32():
  assert instance_norm(jnp.asarray(X, jnp.bfloat16)).dtype == jnp.float32
