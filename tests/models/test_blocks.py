"""Convolution blocks beside NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from numpy_layers import batch_norm, conv, perturbed

from lpips_jax.models.blocks import ConvBlock, UpBlock

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.standard_normal((2, 6, 5, 4)), jnp.float32)


def applied(module, x):
  """A module's result in inference, and its variables."""
  variables = perturbed(module.init(jax.random.key(0), x, False))
  return module.apply(variables, x, False), variables


@pytest.mark.parametrize('residual', [False, True])
def test_conv_block_is_convolution_norm_skip_and_relu(residual):
  y, variables = applied(ConvBlock(4, residual=residual), X)
  params, stats = variables['params'], variables['batch_stats']
  expected = batch_norm(conv(X, params['conv']['kernel'], 'constant'), params['norm'], stats['norm'])
  expected = np.maximum(expected + X if residual else expected, 0)
  np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max())
  assert params['conv'].keys() == {'kernel'}  # BatchNorm would take a bias away again


def test_stride_two_starts_at_the_first_pixel_as_in_pytorch():
  """JAX's 'SAME' would start at the second one of an even side."""
  y, variables = applied(ConvBlock(3, stride=(2, 1)), X)
  params, stats = variables['params'], variables['batch_stats']
  every = conv(X, params['conv']['kernel'], 'constant')[:, ::2]
  np.testing.assert_allclose(y, np.maximum(batch_norm(every, params['norm'], stats['norm']), 0), atol=1e-4)


def test_up_block_is_transposed_convolution_norm_and_relu():
  y, variables = applied(UpBlock(3), X)
  params, stats = variables['params'], variables['batch_stats']
  flax = nn.ConvTranspose(3, (3, 3), (2, 2), padding=((1, 2), (1, 2)), use_bias=False)
  up = np.asarray(flax.apply({'params': params['conv']}, X))
  np.testing.assert_allclose(y, np.maximum(batch_norm(up, params['norm'], stats['norm']), 0), atol=1e-4)
  assert y.shape == (2, 12, 10, 3)
