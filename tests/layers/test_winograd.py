"""Winograd's convolutions beside XLA's: they change nothing but rounding."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.layers import winograd
from lpips_jax.pretrained import folding

RNG = np.random.default_rng(0)


class Two(nn.Module):
  """A convolution that suits, and the one under test."""

  second: nn.Conv

  @nn.compact
  def __call__(self, x):
    return self.second(nn.Conv(16, (3, 3), padding=((1, 1), (1, 1)), name='first')(x))


def drawn(shape):
  """A variable whose every number matters: a kernel that keeps the size of its input, or positive numbers."""
  if len(shape.shape) < 2:
    return RNG.uniform(0.3, 1.3, shape.shape).astype(np.float32)
  return (RNG.standard_normal(shape.shape) / np.sqrt(np.prod(shape.shape[:-1]))).astype(np.float32)


@pytest.mark.parametrize(
  'cached', [winograd.MAX_MAP_BYTES, 20_000, 3_000], ids=['at once', 'in strips', 'in thin strips']
)
def test_is_the_convolution(monkeypatch, cached):
  monkeypatch.setattr(winograd, 'MAX_MAP_BYTES', cached)
  x = jnp.asarray(RNG.standard_normal((3, 14, 10, 16)), jnp.float32)
  kernel = RNG.standard_normal((3, 3, 16, 5)).astype(np.float32)
  expected = jax.lax.conv_general_dilated(x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  found = jax.jit(winograd.convolve)(x, winograd.transform_kernel(kernel))
  np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_has_the_gradient_of_the_convolution():
  x = jnp.asarray(RNG.standard_normal((1, 6, 10, 16)), jnp.float32)
  kernel, grad_y = (RNG.standard_normal(shape).astype(np.float32) for shape in ((3, 3, 16, 5), (1, 4, 8, 5)))

  def direct(x):
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))

  transformed = winograd.transform_kernel(kernel)
  [found] = jax.vjp(lambda x: winograd.convolve(x, transformed), x)[1](grad_y)
  [expected] = jax.vjp(direct, x)[1](grad_y)
  np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
  ('second', 'side', 'suits'),
  [
    (nn.Conv(16, (3, 3), padding=((1, 1), (1, 1))), 8, True),
    (nn.Conv(16, (3, 3), padding='VALID'), 10, True),
    (nn.Conv(16, (3, 3), padding='VALID', use_bias=False), 8, False),
    (nn.Conv(16, (3, 3), padding=((1, 1), (1, 1))), 6, False),
    (nn.Conv(16, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1))), 8, False),
    (nn.Conv(16, (1, 1)), 8, False),
    (nn.Conv(3, (3, 3), padding=((1, 1), (1, 1))), 8, False),
  ],
  ids=['padded', 'not padded', 'six wide', 'sides of six', 'strided', 'one pixel', 'few channels'],
)
def test_takes_the_convolutions_that_suit(second, side, suits):
  module, x = Two(second), jnp.asarray(RNG.standard_normal((2, side, side, 16)), jnp.float32)
  variables = jax.tree.map(drawn, jax.eval_shape(module.init, jax.random.key(0), x))
  transformed = winograd.transform_kernels(module.apply, variables, x[:1])
  assert (transformed['params']['second']['kernel'].ndim == 3) == suits
  assert (transformed['params']['first']['kernel'].ndim == 3) == (side == 8)
  found, expected = (jax.jit(partial(folding.apply, module))(v, x) for v in (transformed, variables))
  np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
