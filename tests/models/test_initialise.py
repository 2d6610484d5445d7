"""Initial variables: the same for a seed, and of the variance that was asked for."""

import jax
import numpy as np
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.models.initialise import init_variables

CONFIG = ConfigDict({'name': 'discriminator', 'image_size': 32, 'widths': (8, 8, 8, 8, 8, 8, 32), 'dtype': 'float32'})


def initialised(seed, **options):
  return init_variables(models.build(CONFIG), CONFIG, seed, **options)['params']


def test_a_seed_is_a_network():
  jax.tree.map(np.testing.assert_array_equal, initialised(1), initialised(1))
  assert not np.array_equal(*(initialised(seed)['binary_pred_0']['kernel'] for seed in (1, 2)))


def test_kernels_have_variance_gain_over_fan_in_and_the_rest_is_as_modules_say():
  params, doubled = initialised(0), initialised(0, gain=2)
  kernel = params['face_encoder_blocks_1_1']['kernel']
  np.testing.assert_allclose(kernel.var(), 1 / (5 * 5 * 8), rtol=0.1)
  np.testing.assert_allclose(doubled['face_encoder_blocks_1_1']['kernel'], kernel * np.sqrt(2), rtol=1e-5)
  np.testing.assert_array_equal(params['face_encoder_blocks_1_1']['bias'], 0)
