"""Convolutional block attention beside NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy_layers import batch_norm, conv, perturbed

from lpips_jax.models.cbam import ResidualCBAM

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.standard_normal((2, 8, 8, 4)), jnp.float32)


def test_cbam_matches_numpy():
  module = ResidualCBAM()
  variables = perturbed(module.init(jax.random.key(0), X, False))
  params, stats = variables['params'], variables['batch_stats']

  y = batch_norm(conv(X, params['conv']['kernel'], 'constant'), params['norm'], stats['norm'])
  squeeze, excite = params['channel_gate']['squeeze'], params['channel_gate']['excite']

  def mlp(v):
    return np.maximum(v @ squeeze['kernel'] + squeeze['bias'], 0) @ excite['kernel'] + excite['bias']

  y = y / (1 + np.exp(-mlp(y.mean((1, 2))) - mlp(y.max((1, 2)))))[:, None, None]
  spatial = params['spatial_gate']
  pooled = np.stack([y.max(-1), y.mean(-1)], -1)
  logits = batch_norm(
    conv(pooled, spatial['conv']['kernel'], 'constant'), spatial['norm'], stats['spatial_gate']['norm']
  )
  expected = np.maximum(X + y / (1 + np.exp(-logits)), 0)
  np.testing.assert_allclose(module.apply(variables, X, False), expected, atol=1e-5 * np.abs(expected).max())


def test_without_attention_it_is_a_residual_block():
  module = ResidualCBAM(attention=False)
  variables = perturbed(module.init(jax.random.key(0), X, False))
  params, stats = variables['params'], variables['batch_stats']
  y = batch_norm(conv(X, params['conv']['kernel'], 'constant'), params['norm'], stats['norm'])
  np.testing.assert_allclose(module.apply(variables, X, False), np.maximum(X + y, 0), atol=1e-4)
