"""Speech encoders: Wav2Lip's scales, and phones that are no neighbours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.models.audio_encoder import AudioEncoder, PhoneEncoder

SPEECH = jax.ShapeDtypeStruct((2, 80, 16), jnp.float32)
TINY = {'widths': (4, 4, 4, 4, 6), 'residuals': (0, 0, 0, 0)}


def variable_shapes(module):
  return jax.eval_shape(lambda x: module.init(jax.random.key(0), x, False), SPEECH)


def test_has_the_layers_of_wav2lips_table():
  params = variable_shapes(AudioEncoder())['params']
  assert len(params) == 4 + 4 * 2 + 2
  widths = [params[f'down_{level}']['conv']['kernel'].shape for level in range(4)]
  assert widths == [(3, 3, 1, 32), (3, 3, 32, 64), (3, 3, 64, 128), (3, 3, 128, 256)]
  assert params['collapse']['conv']['kernel'].shape == (3, 3, 256, 512)
  assert params['head']['conv']['kernel'].shape == (1, 1, 512, 512)


@pytest.mark.parametrize(('module', 'size'), [(AudioEncoder(**TINY), 6), (PhoneEncoder(6), 6)])
def test_codes_are_not_negative(module, size):
  speech = np.random.default_rng(0).uniform(-4, 4, SPEECH.shape).astype(np.float32)
  code, _ = jax.jit(module.init_with_output, static_argnums=2)(jax.random.key(0), speech, False)
  assert code.shape == (2, size) and code.min() >= 0 and code.max() > 0


@pytest.mark.parametrize('module', [AudioEncoder(**TINY, last_relu=False), PhoneEncoder(6, last_relu=False)])
def test_without_the_last_relu_codes_have_any_sign(module):
  speech = np.random.default_rng(0).uniform(-4, 4, SPEECH.shape).astype(np.float32)
  code, _ = jax.jit(module.init_with_output, static_argnums=2)(jax.random.key(0), speech, False)
  assert code.min() < 0 < code.max()


def test_phones_are_convolved_along_time_alone():
  params = variable_shapes(PhoneEncoder(8))['params']
  kernels = {name: params[name]['conv']['kernel'].shape for name in params}
  assert kernels['stem'] == (3, 1, 80, 8)  # all 80 rows are channels
  assert kernels['collapse'] == (4, 1, 8, 8)  # a quarter of 16 mel frames
  assert all(shape[1] == 1 for shape in kernels.values())
