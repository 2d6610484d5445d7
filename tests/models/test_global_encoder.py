"""The encoder of long windows: what it hears, and what it makes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_layers import perturbed

from lpips_jax.models.audio_encoder import AudioEncoder, encoder_of
from lpips_jax.models.generator import Generator
from lpips_jax.models.global_encoder import GlobalEncoder
from lpips_jax.models.transformer import Transformer

RNG = np.random.default_rng(0)
SIZES = {'transformer_width': 16, 'layers': 1, 'heads': 2, 'position_kernel': 3}


def windows(n: int = 2, steps: int = 48) -> np.ndarray:
  return RNG.standard_normal((n, 80, steps)).astype(np.float32)


def with_variables(module, *inputs, **options):
  variables = perturbed(jax.jit(lambda: module.init(jax.random.key(0), *inputs, **options))())
  return variables, jax.jit(lambda variables, *inputs: module.apply(variables, *inputs, **options))


@pytest.mark.parametrize('last_relu', [True, False])
def test_it_is_a_transformer_over_stacked_steps_of_which_the_middle_is_read(last_relu):
  speech = windows()
  variables, encode = with_variables(GlobalEncoder(8, last_relu, **SIZES), speech, train=False)
  params = variables['params']
  stacked = np.stack([np.concatenate([speech[:, :, 4 * k + j] for j in range(4)], -1) for k in range(12)], 1)
  x = stacked @ params['embedding']['kernel'] + params['embedding']['bias']
  x = Transformer(1, 2, 64, 3, 1).apply({'params': params['transformer']}, x)
  middle = np.asarray(x[:, 4:8]).reshape(2, -1)  # of the steps 16 to 31
  if last_relu:
    head, statistics = params['head'], variables['batch_stats']['head']['norm']
    y = middle @ head['conv']['kernel'][0, 0]
    y = (y - statistics['mean']) / np.sqrt(statistics['var'] + 1e-5) * head['norm']['scale'] + head['norm']['bias']
    expected = np.maximum(y, 0)
  else:
    expected = middle @ params['head']['kernel'] + params['head']['bias']
  np.testing.assert_allclose(encode(variables, speech), expected, atol=1e-5)


def test_it_hears_every_step():
  speech = windows(1, 80)
  variables, encode = with_variables(GlobalEncoder(8, last_relu=False, **SIZES), speech, train=False)
  heard = np.abs(jax.grad(lambda x: jnp.square(encode(variables, x)).sum())(speech)).max(axis=(0, 1))
  assert heard.min() > 0


def test_long_windows_choose_it():
  sizes = (4, 4, 4, 4, 8), (0, 0, 0, 0)
  assert isinstance(encoder_of('mel', *sizes), AudioEncoder)
  assert all(isinstance(encoder_of(speech, *sizes, 32), GlobalEncoder) for speech in ('mel', 'phones', 'visemes'))


def test_a_generator_hears_what_is_said_long_before_and_after():
  model = Generator((4, 8), 3, 0, 1, (4, 4, 4, 4, 8), (0,) * 4, speech_window=80)
  face, speech = (np.zeros(shape.shape, np.float32) for shape in model.example_inputs(16))
  assert speech.shape == (1, 80, 80)
  variables, generate = jax.jit(model.init)(jax.random.key(0), face, speech), jax.jit(model.apply)
  before, after = speech.copy(), speech.copy()
  before[..., :4], after[..., -4:] = 3, 3
  made = [np.asarray(generate(variables, face, heard)) for heard in (speech, before, after)]
  assert np.abs(made[1] - made[0]).max() > 1e-6 and np.abs(made[2] - made[0]).max() > 1e-6
