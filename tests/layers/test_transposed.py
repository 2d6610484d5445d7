"""Transposed convolution beside Flax's, in the ways of all devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_layers import perturbed

from lpips_jax.layers.transposed import (
  TransposedConv,
  by_four_convs,
  by_gradient,
  gradients_by_four_convs,
  gradients_by_gradient,
)

RNG = np.random.default_rng(0)
FLAX = nn.ConvTranspose(6, (3, 3), (2, 2), padding=((1, 2), (1, 2)), use_bias=False)


def drawn(*shape):
  return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


def test_value_and_gradients_are_those_of_flax():
  x, grad_y = drawn(2, 3, 4, 5), drawn(2, 6, 8, 6)
  variables = perturbed(FLAX.init(jax.random.key(0), x))
  (y, pull), (expected, expected_pull) = (jax.vjp(module.apply, variables, x) for module in (TransposedConv(6), FLAX))
  np.testing.assert_allclose(y, expected, atol=1e-5)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), pull(grad_y), expected_pull(grad_y))


@pytest.mark.parametrize('ways', [(by_four_convs, gradients_by_four_convs), (by_gradient, gradients_by_gradient)])
def test_is_the_same_on_all_devices(ways):
  x, kernel, gradient = drawn(2, 3, 4, 5), drawn(3, 3, 5, 6), drawn(2, 6, 8, 6)
  forward, backward = ways
  expected, pull = jax.vjp(lambda x, kernel: FLAX.apply({'params': {'kernel': kernel}}, x), x, kernel)
  np.testing.assert_allclose(forward(x, kernel), expected, atol=1e-5)
  for got, reference in zip(backward(x, kernel, gradient), pull(gradient), strict=True):
    np.testing.assert_allclose(got, reference, atol=1e-4)
