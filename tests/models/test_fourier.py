"""Fast Fourier convolution beside NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_layers import batch_norm, conv, perturbed

from lpips_jax.models.fourier import FastFourierConv, FourierUnit

RNG = np.random.default_rng(0)


def fourier_unit(x, params, stats):
  spectrum = np.fft.rfft2(x, axes=(1, 2), norm='ortho')
  parts = conv(np.concatenate([spectrum.real, spectrum.imag], -1), params['conv']['kernel'])
  real, imaginary = np.split(np.maximum(batch_norm(parts, params['norm'], stats['norm']), 0), 2, -1)
  return np.fft.irfft2(real + 1j * imaginary, s=x.shape[1:3], axes=(1, 2), norm='ortho')


@pytest.mark.parametrize('size', [(6, 6), (5, 7)])
def test_fourier_unit_matches_numpy(size):
  x = jnp.asarray(RNG.standard_normal((2, *size, 4)), jnp.float32)
  module = FourierUnit()
  variables = perturbed(module.init(jax.random.key(0), x, False))
  expected = fourier_unit(x, variables['params'], variables['batch_stats'])
  np.testing.assert_allclose(module.apply(variables, x, False), expected, atol=1e-5)


def test_fast_fourier_convolution_matches_numpy():
  local, global_ = (jnp.asarray(RNG.standard_normal((2, 6, 6, c)), jnp.float32) for c in (2, 6))
  module = FastFourierConv()
  variables = perturbed(module.init(jax.random.key(0), local, global_, False))
  params, stats = variables['params'], variables['batch_stats']['global_to_global']

  transform = params['global_to_global']
  reduced = conv(global_, transform['reduce']['kernel'])
  hidden = np.maximum(batch_norm(reduced, transform['norm'], stats['norm']), 0)
  hidden = hidden + fourier_unit(hidden, transform['fourier_unit'], stats['fourier_unit'])
  spectral = conv(hidden, transform['expand']['kernel'])

  def reflect(x, name):
    return conv(x, params[name]['kernel'], 'reflect')

  expected_local = reflect(local, 'local_to_local') + reflect(global_, 'global_to_local')
  expected_global = reflect(local, 'local_to_global') + spectral
  got_local, got_global = module.apply(variables, local, global_, False)
  np.testing.assert_allclose(got_local, expected_local, atol=1e-5 * np.abs(expected_local).max())
  np.testing.assert_allclose(got_global, expected_global, atol=1e-5 * np.abs(expected_global).max())
