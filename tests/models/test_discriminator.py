"""The quality discriminator: Wav2Lip's layers, and what it looks at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.models import Discriminator
from lpips_jax.models.initialise import init_variables

TINY = ConfigDict({'name': 'discriminator', 'image_size': 32, 'widths': (2, 4, 4, 4, 4, 4, 4), 'dtype': 'float32'})


def test_has_the_layers_of_wav2lips_table():
  frames = jax.ShapeDtypeStruct((2, 96, 96, 3), jnp.float32)
  params = jax.eval_shape(Discriminator().init, jax.random.key(0), frames)['params']
  kernels = {name: leaf['kernel'].shape for name, leaf in params.items()}
  assert kernels['face_encoder_blocks_0_0'] == (7, 7, 3, 32)
  assert kernels['face_encoder_blocks_1_0'] == (5, 5, 32, 64)
  assert kernels['face_encoder_blocks_3_1'] == (5, 5, 256, 256)
  assert kernels['face_encoder_blocks_5_0'] == (3, 3, 512, 512)
  assert kernels['face_encoder_blocks_6_0'] == (3, 3, 512, 512)
  assert kernels['face_encoder_blocks_6_1'] == (1, 1, 512, 512)
  assert kernels['binary_pred_0'] == (1, 1, 512, 1)
  assert len(kernels) == 1 + 5 * 2 + 2 + 1
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 14_113_793


@pytest.fixture(scope='module')
def logits():
  network, variables = models.build(TINY), init_variables(models.build(TINY), TINY, 0)
  return lambda frames: np.asarray(network.apply(variables, frames))


@pytest.mark.parametrize('size', [32, 64, 48])
def test_sees_the_lower_half_of_crops_of_any_size(logits, size):
  frames = np.random.default_rng(0).random((3, size, size, 3), np.float32)
  assert logits(frames).shape == (3,)
  upper, lower = frames.copy(), frames.copy()
  upper[:, : size // 2] = 0
  lower[:, size // 2 :] = 0
  np.testing.assert_array_equal(logits(upper), logits(frames))
  assert np.all(logits(lower) != logits(frames))


def test_judges_every_frame_alone(logits):
  frames = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
  np.testing.assert_allclose(logits(frames[1:2]), logits(frames)[1:2], rtol=1e-5)
