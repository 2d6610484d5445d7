"""Gradients over micro-batches and recomputed activations: the same numbers as without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.training.accumulation import in_parts, rematerialised

RNG = np.random.default_rng(0)
WEIGHTS = jnp.array(RNG.standard_normal((3, 2)))
BATCH = {'x': jnp.array(RNG.standard_normal((8, 3))), 'y': jnp.array(RNG.standard_normal((8, 2)))}


def gradient(count, batch):
  def loss(weights):
    return jnp.square(batch['x'] @ weights - batch['y']).mean()

  value, slope = jax.value_and_grad(loss)(WEIGHTS)
  return count + 1, (slope, {'loss': value})


@pytest.mark.parametrize('parts', [1, 2, 4])
def test_the_mean_over_micro_batches_is_that_of_the_batch(parts):
  whole, (slope, metrics) = gradient(0, BATCH)
  count, (slope_of_parts, metrics_of_parts) = jax.jit(in_parts(gradient, parts))(0, BATCH)
  assert (whole, int(count)) == (1, parts)  # BatchNorm's statistics go through each
  np.testing.assert_allclose(slope_of_parts, slope, rtol=1e-5)
  np.testing.assert_allclose(metrics_of_parts['loss'], metrics['loss'], rtol=1e-5)


def test_recomputed_activations_give_the_same_gradient_and_are_not_stored():
  kernel = jnp.array(RNG.standard_normal((3, 3, 2, 2)), jnp.float32)

  def objective(kernel, x):
    for _ in range(3):
      x = jax.nn.relu(jax.lax.conv(x, kernel.transpose(3, 2, 0, 1), (1, 1), 'SAME') * 2 + 1)
    return x.sum()

  x = jnp.array(RNG.standard_normal((1, 2, 8, 8)), jnp.float32)
  plain, again = jax.grad(objective), jax.grad(rematerialised(objective))
  np.testing.assert_allclose(plain(kernel, x), again(kernel, x), rtol=1e-5)
  text = str(jax.make_jaxpr(again)(kernel, x))
  assert text.count('conv_general_dilated[') == str(jax.make_jaxpr(plain)(kernel, x)).count('conv_general_dilated[')
