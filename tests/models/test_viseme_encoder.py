"""The encoder of visemes against PyTorch's transformer and attention, on random weights."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lpips_jax.models.audio_encoder import AudioEncoder
from lpips_jax.models.generator import Generator
from lpips_jax.models.transformer import Transformer
from lpips_jax.models.viseme_encoder import TEACHING, AttentionPooling, VisemeEncoder
from lpips_jax.pretrained import folding

RNG = np.random.default_rng(0)
SLOTS, WIDTH = 16, 128


def random_variables(module, *inputs):
  shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs))
  return jax.tree.map(lambda x: RNG.normal(0.05, 0.1, x.shape).astype(np.float32), shapes)


def put(parameter, value):
  with torch.no_grad():
    parameter.copy_(torch.tensor(np.asarray(value)))


def put_dense(linear, params):
  put(linear.weight, params['kernel'].T)
  put(linear.bias, params['bias'])


def put_norm(norm, params):
  put(norm.weight, params['scale'])
  put(norm.bias, params['bias'])


def test_its_transformer_is_pytorchs():
  x = RNG.standard_normal((3, SLOTS, WIDTH)).astype(np.float32)
  module = Transformer(2, 4, 2 * WIDTH, position_kernel=0)
  variables = random_variables(module, x)
  expected = torch.tensor(x)
  for number in range(2):
    params = variables['params'][f'block_{number}']
    layer = torch.nn.TransformerEncoderLayer(
      WIDTH, 4, 2 * WIDTH, dropout=0.0, activation='gelu', batch_first=True, norm_first=True
    )
    parts = [params['attention'][name] for name in ('query', 'key', 'value')]
    put(layer.self_attn.in_proj_weight, np.concatenate([part['kernel'].T for part in parts]))
    put(layer.self_attn.in_proj_bias, np.concatenate([part['bias'] for part in parts]))
    put_dense(layer.self_attn.out_proj, params['attention']['out'])
    put_norm(layer.norm1, params['attention_norm'])
    put_norm(layer.norm2, params['norm'])
    put_dense(layer.linear1, params['expand'])
    put_dense(layer.linear2, params['reduce'])
    expected = layer(expected)
  norm = torch.nn.LayerNorm(WIDTH)
  put_norm(norm, variables['params']['norm'])
  np.testing.assert_allclose(module.apply(variables, x), norm(expected).detach(), atol=1e-5)


def test_pooling_is_pytorchs_attention_of_one_head():
  x = RNG.standard_normal((3, SLOTS, WIDTH)).astype(np.float32)
  module = AttentionPooling(4)
  params = random_variables(module, x)['params']
  attention = torch.nn.MultiheadAttention(WIDTH, 1, batch_first=True)
  parts = params['key'], params['value']
  put(attention.in_proj_weight, np.concatenate([np.eye(WIDTH), *(part['kernel'].T for part in parts)]))
  put(attention.in_proj_bias, np.concatenate([np.zeros(WIDTH), *(part['bias'] for part in parts)]))
  put_dense(attention.out_proj, {'kernel': np.eye(WIDTH), 'bias': np.zeros(WIDTH)})
  queries = torch.tensor(params['queries']).expand(3, -1, -1)
  expected, _ = attention(queries, torch.tensor(x), torch.tensor(x))
  np.testing.assert_allclose(module.apply({'params': params}, x), expected.detach().reshape(3, -1), atol=1e-5)


@pytest.mark.parametrize('last_relu', [True, False])
def test_a_code_for_each_window_which_all_slots_and_their_order_reach(last_relu):
  visemes = RNG.uniform(0, 1, (2, 80, SLOTS)).astype(np.float32)
  module = VisemeEncoder(24, last_relu)
  variables = jax.jit(lambda: module.init(jax.random.key(0), visemes, False))()
  apply = jax.jit(lambda visemes: module.apply(variables, visemes, False))
  code = apply(visemes)
  assert code.shape == (2, 24) and (bool((code >= 0).all()) or not last_relu)
  assert float(jnp.abs(apply(visemes[..., ::-1]) - code).max()) > 1e-3
  slopes = jax.jit(jax.grad(lambda visemes: apply(visemes).sum()))(visemes)
  assert (np.abs(slopes).max((0, 1)) > 0).all()


GENERATOR = Generator((4, 8), 3, 0, 1, (4,) * 5, (0,) * 4, speech='visemes', taught_by_sound=True)
FACES, VISEMES, MEL = (RNG.uniform(0, 1, shape).astype(np.float32) for shape in ((4, 16, 16, 6), *[(4, 80, SLOTS)] * 2))


@cache
def generator_variables():
  variables = random_variables(GENERATOR, FACES, VISEMES)
  return variables | {'batch_stats': jax.tree.map(np.abs, variables['batch_stats'])}


def test_a_generator_that_is_taught_hears_sound_or_visemes_and_learns_what_sound_is():
  variables = generator_variables()
  assert GENERATOR.training_inputs == TEACHING and not Generator(speech='visemes').training_inputs
  generate = jax.jit(lambda variables, *inputs: GENERATOR.apply(variables, *inputs))

  @jax.jit
  def taught(variables, visemes, mel, replaced):
    beside = dict(zip(TEACHING, (mel, replaced), strict=True))
    return GENERATOR.apply(variables, FACES, visemes, beside=beside, mutable=['losses'])

  replaced = np.array([True, False, True, False])
  images, sown = taught(variables, VISEMES, MEL, replaced)
  by_visemes = generate(variables, FACES, VISEMES)  # as in use
  by_sound, _ = taught(variables, VISEMES, MEL, np.zeros(4, bool))
  np.testing.assert_allclose(images, np.where(replaced[:, None, None, None], by_visemes, by_sound), atol=1e-6)
  assert np.abs(by_sound - by_visemes).max() > 1e-4
  other, _ = taught(variables, VISEMES[:, :, ::-1], MEL, np.zeros(4, bool))
  np.testing.assert_array_equal(other, by_sound)  # which visemes do not reach

  encoders = ('viseme_encoder', VisemeEncoder(4), VISEMES), ('audio_encoder', AudioEncoder((4,) * 5, (0,) * 4), MEL)
  codes = [
    encoder.apply({kind: tree[name] for kind, tree in variables.items()}, heard, False)
    for name, encoder, heard in encoders
  ]
  (distances,) = sown['losses']['pseudo_audio']
  np.testing.assert_allclose(distances, np.square(np.subtract(*codes)).mean(-1), rtol=1e-5)


def test_sound_learns_nothing_from_visemes():
  variables = generator_variables()

  @jax.jit
  @jax.grad
  def slopes(params, replaced):
    beside = dict(zip(TEACHING, (MEL, replaced), strict=True))
    _, sown = GENERATOR.apply(variables | {'params': params}, FACES, VISEMES, beside=beside, mutable=['losses'])
    return sown['losses']['pseudo_audio'][0].sum()

  found = slopes(variables['params'], np.ones(4, bool))
  assert not any(np.abs(leaf).any() for leaf in jax.tree.leaves(found['audio_encoder']))
  assert any(np.abs(leaf).any() for leaf in jax.tree.leaves(found['viseme_encoder']))


def test_folding_leaves_out_what_training_alone_uses():
  variables = generator_variables()
  folded = folding.fold(GENERATOR, jax.tree.map(np.asarray, variables), FACES, VISEMES)
  assert set(variables['params']) - set(folded['params']) == {'audio_encoder'}
  image = jax.jit(lambda folded: folding.apply(GENERATOR, folded, FACES, VISEMES))(folded)
  expected = jax.jit(lambda variables: GENERATOR.apply(variables, FACES, VISEMES))(variables)
  np.testing.assert_allclose(image, expected, atol=1e-5)
