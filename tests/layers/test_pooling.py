"""Max pooling beside Flax's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.layers.pooling import max_pool

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('sides', [(4, 6), (5, 7), (2, 3)])
def test_value_and_gradient_are_those_of_flax(sides):
  x = RNG.standard_normal((2, *sides, 3)).astype(np.float32)
  (y, pull), (expected, expected_pull) = jax.vjp(max_pool, x), jax.vjp(lambda x: nn.max_pool(x, (2, 2), (2, 2)), x)
  np.testing.assert_array_equal(y, expected)
  grad_y = RNG.standard_normal(y.shape).astype(np.float32)
  np.testing.assert_array_equal(pull(grad_y)[0], expected_pull(grad_y)[0])


def test_equal_pixels_share_the_gradient():
  gradient = jax.grad(lambda x: max_pool(x).sum())(jnp.ones((1, 2, 2, 1)))
  np.testing.assert_array_equal(gradient, np.full((1, 2, 2, 1), 0.25))
