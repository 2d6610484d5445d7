"""Sub-pixel convolution beside Flax's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_layers import conv, perturbed

from lpips_jax.layers.subpixel import SubpixelConv

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('size', [(8, 12), (6, 4), (3, 5)])
@pytest.mark.parametrize('kernel', [3, 7])
def test_is_a_convolution(size, kernel):
  x = jnp.asarray(RNG.standard_normal((2, *size, 2)), jnp.float32)
  module = SubpixelConv(3, kernel)
  variables = perturbed(module.init(jax.random.key(0), x))
  expected = conv(x, variables['params']['kernel'], 'constant')
  np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-5 * np.abs(expected).max())


def test_value_and_gradients_are_those_of_flax():
  x = jnp.asarray(RNG.standard_normal((2, 8, 12, 2)), jnp.float32)
  ours, flax = SubpixelConv(3, 5), nn.Conv(3, (5, 5), padding=2, use_bias=False)
  variables = perturbed(flax.init(jax.random.key(0), x))
  (y, pull), (expected, expected_pull) = (jax.vjp(jax.jit(module.apply), variables, x) for module in (ours, flax))
  np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max())
  grad_y = jnp.asarray(RNG.standard_normal(y.shape), jnp.float32)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max()), pull(grad_y), expected_pull(grad_y)
  )
