"""The learning rate of a step, weight decay of kernels alone, and clipping of gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from lpips_jax.training.optimizer import learning_rate, make_optimizer

CONFIG = {'learning_rate': 1e-3, 'batch_size': 64, 'warmup_steps': 10}


@pytest.mark.parametrize(('scaling', 'factor'), [('none', 1), ('sqrt', 2), ('linear', 4)])
def test_the_rate_grows_with_the_batch_as_configured(scaling, factor):
  rate = learning_rate(ConfigDict(CONFIG | {'scaling': scaling, 'cosine': False}), 256, 100)
  np.testing.assert_allclose(
    [rate(0), rate(5), rate(10), rate(99)], [0, 5e-4 * factor, *[1e-3 * factor] * 2], rtol=1e-6
  )


def test_the_rate_rises_and_falls_to_a_fiftieth():
  rate = learning_rate(ConfigDict(CONFIG | {'scaling': 'none', 'cosine': True}), 64, 100)
  found = [rate(step) for step in (0, 5, 10, 55, 100)]
  np.testing.assert_allclose(found, [0, 5e-4, 1e-3, 5.1e-4, 2e-5], rtol=1e-5)


ADAM = ConfigDict({'b1': 0.0, 'b2': 0.5, 'weight_decay': 0.1, 'clip_norm': 1.0})
PARAMS = {
  'conv': {'kernel': jnp.full((3, 3, 2, 4), 2.0), 'bias': jnp.full(4, 2.0)},
  'norm': {'scale': jnp.full(4, 2.0), 'bias': jnp.full(4, 2.0)},
  'log_scale': jnp.array(2.0),
}


def updates(config, *gradients):
  """The update of the parameters after the last of these gradients, each the same for all parameters."""
  optimizer = make_optimizer(config, optax.constant_schedule(0.5))
  state = optimizer.init(PARAMS)
  for value in gradients:
    found, state = optimizer.update(jax.tree.map(lambda x, value=value: jnp.full_like(x, value), PARAMS), state, PARAMS)
  return found


def test_kernels_decay_and_biases_and_scales_do_not():
  found = updates(ADAM, 0.0)
  np.testing.assert_allclose(found['conv'].pop('kernel'), -0.5 * 0.1 * 2.0, rtol=1e-6)
  assert all(not x.any() for x in jax.tree.leaves(found))
  without = ConfigDict(ADAM.to_dict() | {'weight_decay': 0.0})
  assert all(not x.any() for x in jax.tree.leaves(updates(without, 0.0)))


def test_gradients_are_clipped_by_the_norm_of_all_of_them():
  """Adam ignores the norm of a gradient, but not how much longer it is than the last."""
  count = sum(x.size for x in jax.tree.leaves(PARAMS))
  short, long = 0.5 / np.sqrt(count), 50 / np.sqrt(count)
  bias = lambda *gradients: float(updates(ADAM, *gradients)['log_scale'])  # noqa: E731
  assert bias(short, long) == pytest.approx(bias(short, 2 * short), rel=1e-4)  # of norm 50 and 1
  assert abs(bias(short, 2 * short)) > 1.05 * abs(bias(short, short))
