"""The front end of lip readers against NumPy's sums and Flax's pooling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from numpy_layers import batch_norm, conv, perturbed
from scipy.ndimage import correlate

from lpips_jax.models.lip_front_end import BasicBlock, LipFrontEnd, PReLU, five_frames, max_pool_3x3

RNG = np.random.default_rng(0)
MOUTHS = RNG.standard_normal((2, 6, 16, 16)).astype(np.float32)


def small(**fields):
  return LipFrontEnd(**{'stem_width': 3, 'stem_kernel': 3, 'widths': (3, 4), 'depths': (1, 2)} | fields)


def applied(module, variables, *inputs):
  return jax.jit(module.apply)(variables, *inputs)


def variables_of(module):
  return perturbed(jax.jit(module.init)(jax.random.key(0), MOUTHS))


def test_stacked_frames_make_a_flat_convolution_one_over_time():
  clip, kernel = RNG.standard_normal((7, 9, 9)), RNG.standard_normal((5, 3, 3))
  expected = correlate(clip, kernel, mode='constant')
  stacked = np.asarray(five_frames(jnp.asarray(clip[None], jnp.float32)))
  found = conv(np.pad(stacked[0], ((0, 0), (1, 1), (1, 1), (0, 0))), kernel.transpose(1, 2, 0)[..., None])
  np.testing.assert_allclose(found[..., 0], expected, atol=1e-4)


@pytest.mark.parametrize('size', [(7, 8), (2, 5)])
def test_pooling_is_that_of_flax(size):
  x = jnp.asarray(RNG.standard_normal((2, *size, 3)), jnp.float32)

  def theirs(x):
    return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))

  np.testing.assert_array_equal(max_pool_3x3(x), theirs(x))
  weights = RNG.standard_normal(theirs(x).shape)
  gradients = [jax.grad(lambda x, pool=pool: (pool(x) * weights).sum())(x) for pool in (max_pool_3x3, theirs)]
  np.testing.assert_allclose(*gradients, atol=1e-6)


def test_a_residual_block_is_its_definition():
  module, x = BasicBlock(4), RNG.standard_normal((2, 5, 5, 3)).astype(np.float32)
  variables = jax.tree.map(np.asarray, perturbed(module.init(jax.random.key(0), x, False)))
  params, stats = variables['params'], variables['batch_stats']

  def layer(x, name):
    pad = 'constant' if params[name]['kernel'].shape[0] > 1 else None
    return batch_norm(conv(x, params[name]['kernel'], pad), params[f'{name}_norm'], stats[f'{name}_norm'])

  def prelu(x, name):
    return np.where(x >= 0, x, params[name]['slope'] * x)

  expected = layer(prelu(layer(x, 'conv_0'), 'prelu_0'), 'conv_1') + layer(x, 'shortcut')
  np.testing.assert_allclose(module.apply(variables, x, False), prelu(expected, 'prelu_1'), atol=1e-4)


def test_slopes_are_by_channel():
  x = np.array([[-2.0, -2.0], [3.0, 3.0]], np.float32)
  found = PReLU().apply({'params': {'slope': np.array([0.5, 0.0], np.float32)}}, x)
  np.testing.assert_array_equal(found, [[-1, 0], [3, 3]])


def test_padding_changes_nothing():
  module = small()
  variables = variables_of(module)
  padded = MOUTHS.copy()
  padded[1, 4:] = 50
  found = applied(module, variables, padded, np.array([6, 4]))
  assert found.shape == (2, 6, 4)
  np.testing.assert_allclose(found[0], applied(module, variables, MOUTHS[:1])[0], atol=1e-4)
  np.testing.assert_allclose(found[1, :4], applied(module, variables, MOUTHS[1:, :4])[0], atol=1e-4)


def test_a_frame_hears_two_before_and_two_after():
  module = small()
  variables = variables_of(module)
  changed = MOUTHS.copy()
  changed[:, 3] += 1
  difference = np.abs(applied(module, variables, MOUTHS) - applied(module, variables, changed)).max((0, 2))
  assert (difference[[1, 2, 3, 4, 5]] > 1e-4).all() and difference[0] == 0


def test_statistics_move_in_training_alone():
  module = small()
  variables = variables_of(module)
  _, new = jax.jit(lambda x: module.apply(variables, x, train=True, mutable=['batch_stats']))(MOUTHS)
  assert np.abs(new['batch_stats']['stem_norm']['mean'] - variables['batch_stats']['stem_norm']['mean']).max() > 0
