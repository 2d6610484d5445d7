"""Semantic alignment beside NumPy and beside its own parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_layers import batch_norm, conv, perturbed

from lpips_jax.models.alignment import AdaIN, AlignedFourierConv, ConcatFusion, SemanticAlignment
from lpips_jax.models.fourier import FastFourierConv

RNG = np.random.default_rng(0)


def drawn(*shape):
  return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


@pytest.mark.parametrize('mean', [0, 100, 10_000])
def test_adain_matches_numpy(mean):
  """Also of features whose mean is many times their deviation: no BatchNorm comes before, and float32 has 24 bits."""
  x = jnp.asarray(mean + RNG.standard_normal((3, 4, 5, 6)), jnp.float32)
  z = drawn(3, 8)
  module = AdaIN(hidden=16)
  variables = perturbed(module.init(jax.random.key(0), x, z))
  dense = {name: (layer['kernel'], layer['bias']) for name, layer in variables['params'].items()}
  code = np.maximum(z @ dense['hidden'][0] + dense['hidden'][1], 0)
  gamma, beta = (code @ dense[name][0] + dense[name][1] for name in ('gamma', 'beta'))
  exact = np.asarray(x, np.float64)
  normalised = (exact - exact.mean((1, 2), keepdims=True)) / np.sqrt(exact.var((1, 2), keepdims=True) + 1e-5)
  expected = normalised * (1 + gamma[:, None, None]) + beta[:, None, None]
  np.testing.assert_allclose(module.apply(variables, x, z), expected, atol=2e-5 + 5e-7 * mean * np.abs(1 + gamma).max())


def test_aligned_convolution_is_ffc_adain_and_a_leaky_relu():
  local, global_, z = drawn(2, 4, 4, 2), drawn(2, 4, 4, 6), drawn(2, 8)
  module = AlignedFourierConv()
  variables = perturbed(jax.jit(module.init, static_argnums=4)(jax.random.key(0), local, global_, z, False))

  def part(name):
    return {collection: tree[name] for collection, tree in variables.items() if name in tree}

  maps = FastFourierConv().apply(part('ffc'), local, global_, False)
  for got, x, name in zip(module.apply(variables, local, global_, z, False), maps, ('local', 'global'), strict=True):
    aligned = np.asarray(AdaIN().apply(part(f'adain_{name}'), x, z))
    np.testing.assert_allclose(got, np.where(aligned >= 0, aligned, 0.01 * aligned), atol=1e-4)
    assert (aligned < 0).any()


def test_semantic_alignment_is_x_plus_f_of_f():
  x, z = drawn(2, 4, 4, 8), drawn(2, 8)
  module = SemanticAlignment()
  variables = perturbed(jax.jit(module.init, static_argnums=3)(jax.random.key(0), x, z, False))
  maps = x[..., :2], x[..., 2:]  # a quarter is local
  for name in ('first', 'second'):
    part = {collection: tree[name] for collection, tree in variables.items()}
    maps = AlignedFourierConv().apply(part, *maps, z, False)
  np.testing.assert_allclose(module.apply(variables, x, z, False), x + np.concatenate(maps, -1), atol=1e-5)


def test_concatenation_repeats_the_code_over_the_map():
  x, z = drawn(2, 4, 5, 3), drawn(2, 2)
  module = ConcatFusion()
  variables = perturbed(module.init(jax.random.key(0), x, z, False))
  params, stats = variables['params']['mix'], variables['batch_stats']['mix']
  mixed = np.concatenate([x, np.tile(z[:, None, None], (1, 4, 5, 1))], -1)
  expected = batch_norm(conv(mixed, params['conv']['kernel'], 'constant'), params['norm'], stats['norm'])
  np.testing.assert_allclose(module.apply(variables, x, z, False), np.maximum(expected, 0), atol=1e-4)


def test_bfloat16_features_stay_bfloat16():
  x, z = drawn(1, 4, 4, 8).astype(jnp.bfloat16), drawn(1, 8).astype(jnp.bfloat16)
  module = SemanticAlignment(dtype=jnp.bfloat16)
  out, _ = jax.eval_shape(lambda *given: module.init_with_output(jax.random.key(0), *given, False), x, z)
  assert out.dtype == jnp.bfloat16
