"""Fourier transforms beside NumPy's, and their gradients beside those of JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.layers.fourier import irfft2, rfft2

RNG = np.random.default_rng(0)
SHAPES = [(2, 6, 6, 3), (1, 5, 9, 2), (1, 1, 2, 1), (1, 12, 7, 1)]


def drawn(shape):
  return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


@pytest.mark.parametrize('shape', SHAPES)
def test_transforms_are_those_of_numpy(shape):
  x = drawn(shape)
  complex_ = np.fft.rfft2(x, axes=(1, 2), norm='ortho')
  np.testing.assert_allclose(rfft2(x), np.concatenate([complex_.real, complex_.imag], -1), atol=1e-5)
  changed = drawn((*complex_.shape[:-1], 2 * shape[-1]))
  real, imaginary = np.split(changed, 2, -1)
  expected = np.fft.irfft2(real + 1j * imaginary, s=shape[1:3], axes=(1, 2), norm='ortho')
  np.testing.assert_allclose(irfft2(changed, shape[2]), expected, atol=1e-5)


@pytest.mark.parametrize('shape', SHAPES)
def test_gradients_are_those_of_jax(shape):
  def forward(x):
    spectrum = jnp.fft.rfft2(x, axes=(1, 2), norm='ortho')
    return jnp.concatenate([spectrum.real, spectrum.imag], -1)

  def back(parts):
    real, imaginary = jnp.split(parts, 2, -1)
    return jnp.fft.irfft2(real + 1j * imaginary, s=shape[1:3], axes=(1, 2), norm='ortho')

  x, parts = drawn(shape), drawn((shape[0], shape[1], shape[2] // 2 + 1, 2 * shape[3]))
  for ours, jaxs, given, grad_result in (
    (rfft2, forward, x, parts),
    (lambda parts: irfft2(parts, shape[2]), back, parts, x),
  ):
    gradient, expected = (jax.vjp(function, given)[1](grad_result)[0] for function in (ours, jaxs))
    np.testing.assert_allclose(gradient, expected, atol=1e-5)
