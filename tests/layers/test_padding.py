"""Reflect padding beside JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.layers.padding import reflect_pad

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('shape', [(2, 5, 7, 3), (1, 2, 2, 1)])
def test_value_and_gradient_are_those_of_jax(shape):
  x = RNG.standard_normal(shape).astype(np.float32)
  expected, expected_pull = jax.vjp(lambda x: jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), 'reflect'), x)
  y, pull = jax.vjp(reflect_pad, x)
  np.testing.assert_array_equal(y, expected)
  grad_y = RNG.standard_normal(y.shape).astype(np.float32)
  np.testing.assert_allclose(pull(grad_y)[0], expected_pull(grad_y)[0], atol=1e-6)
