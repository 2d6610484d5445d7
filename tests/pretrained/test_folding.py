"""Folding BatchNorm into the layers before it changes only the arithmetic, or is refused."""

from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict
from runs import tiny_config

from lpips_jax import models
from lpips_jax.core.errors import UserError
from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.models.inception import MixedE
from lpips_jax.pretrained import folding

QUICKLY = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}  # how networks are compiled
SIZES = {'wav2lip': 96, 'syncnet': 224, 'inception': 299, 'discriminator': 96}  # of networks without a tiny config
TINY = 'attn_wav2lip', 'sync_expert', 'lip_reader', 'av_hubert'  # all others


def tiny(task, **changes):
  config = tiny_config(task, Path('nowhere'))
  config.model.update(changes)
  return models.build(config.model), models.example_inputs(config.model)


def network(name):
  config = ConfigDict({'name': name, 'image_size': SIZES[name], 'dtype': 'float32'})
  return models.build(config), models.example_inputs(config)


def drawn(module, inputs, rng):
  """Returns random variables that all matter: kernels that keep the scale of their input, and positive numbers."""

  def draw(shape):
    if len(shape.shape) < 2:
      return rng.uniform(0.3, 1.3, shape.shape).astype(np.float32)
    return (rng.standard_normal(shape.shape) / np.sqrt(np.prod(shape.shape[:-1]))).astype(np.float32)

  return jax.tree.map(draw, jax.eval_shape(module.init, jax.random.key(0), *inputs))


def compare(module, inputs):
  """Asserts that folding changes nothing, for inputs of these shapes."""
  rng = np.random.default_rng(0)
  inputs = [rng.uniform(size=x.shape).astype(np.float32) for x in inputs]
  variables = drawn(module, inputs, rng)
  folded = folding.fold(module, variables, *inputs)
  assert folded.keys() == {'params'}
  normed = {path[:-1] for path in flatten_dict(variables.get('batch_stats', {})) if path[-1] == 'var'}
  assert not any((*norm, 'scale') in flatten_dict(folded['params']) for norm in normed)
  ours = jax.jit(lambda v, x: folding.apply(module, v, *x), compiler_options=QUICKLY)(folded, inputs)
  expected = jax.jit(lambda v, x: module.apply(v, *x), compiler_options=QUICKLY)(variables, inputs)
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
    assert np.abs(b).max() > 0
    np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(b).max())  # warping multiplies rounding


@pytest.mark.parametrize(
  ('module', 'inputs'),
  [
    tiny('generator'),
    tiny('generator', attention=False, fusion='concat'),
    tiny('generator', speech='mel', output='image'),
    tiny('sync_expert', contrastive=False),
    tiny('lip_reader'),
    tiny('av_expert'),
    tiny('reading', taught_by_sound=True, speech='visemes', memory_slots=4),
    (MixedE(), [jax.ShapeDtypeStruct((1, 5, 5, 8), np.float32)]),
  ],
  ids=['generator', 'concatenation', 'mels', 'expert', 'reader', 'audio-visual', 'with all options', 'inception'],
)
def test_the_same_function_without_batch_norm(module, inputs):
  compare(module, [jax.ShapeDtypeStruct((2, *x.shape[1:]), x.dtype) for x in inputs])


@pytest.mark.parametrize('name', sorted(SIZES))
def test_every_other_network_can_be_folded(name):
  compare(*network(name))


def test_no_network_is_forgotten():
  assert sorted(models.MODELS) == sorted((*SIZES, *TINY))


class Chain(nn.Module):
  """Layers one after the other."""

  layers: tuple

  @nn.compact
  def __call__(self, x):
    for layer in self.layers:
      x = layer.copy()(x, True) if isinstance(layer, BatchNorm) else layer(x)
    return x


def chain(*layers):
  rng = np.random.default_rng(0)
  module, x = Chain(layers), rng.standard_normal((2, 4, 4, 3)).astype(np.float32)
  return module, x, drawn(module, [x], rng)


@pytest.mark.parametrize('layer', [nn.Dense(5), nn.Dense(5, use_bias=False), nn.Conv(5, (3, 3))])
@pytest.mark.parametrize('epsilon', [1e-5, 1e-3])
def test_channels_that_hardly_vary_keep_their_values(layer, epsilon):
  """Epsilon matters there, and the mean is far from 0."""
  module, x, variables = chain(layer, BatchNorm(epsilon=epsilon))
  [stats] = variables['batch_stats'].values()
  rng = np.random.default_rng(1)
  stats['var'] = rng.uniform(0, 1e-4, 5).astype(np.float32)
  stats['mean'] = rng.uniform(20, 30, 5).astype(np.float32)
  folded = folding.fold(module, variables, x)
  np.testing.assert_allclose(folding.apply(module, folded, x), module.apply(variables, x), rtol=2e-5)


@pytest.mark.parametrize(
  ('layers', 'why'),
  [
    ([BatchNorm()], 'no convolution comes right before it'),
    ([nn.Conv(5, (3, 3)), nn.relu, BatchNorm()], 'no convolution comes right before it'),
    ([nn.Conv(5, (3, 3)), BatchNorm(), BatchNorm()], 'no convolution comes right before it'),
  ],
  ids=['first', 'after a ReLU', 'after another'],
)
def test_a_batch_norm_without_a_layer_before_it_is_refused(layers, why):
  module, x, variables = chain(*layers)
  with pytest.raises(UserError, match=f'BatchNorm.* cannot be folded: {why}'):
    folding.fold(module, variables, x)


class Twice(nn.Module):
  """A layer that is called twice, once before BatchNorm."""

  @nn.compact
  def __call__(self, x):
    layer = nn.Dense(3)
    return BatchNorm()(layer(x), True) + layer(2 * x)


def test_a_layer_that_is_used_elsewhere_cannot_take_the_scale():
  module, x = Twice(), np.ones((2, 3), np.float32)
  with pytest.raises(UserError, match='the layer before it is used elsewhere'):
    folding.fold(module, module.init(jax.random.key(0), x), x)


def test_statistics_that_the_network_never_uses_are_refused():
  module, x, variables = chain(nn.Conv(5, (3, 3)), BatchNorm())
  variables['batch_stats']['other'] = variables['batch_stats']['BatchNorm_0']
  with pytest.raises(UserError, match='Chain/other cannot be folded: the network never calls it'):
    folding.fold(module, variables, x)
