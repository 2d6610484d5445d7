"""The maximum beside JAX's, and where its gradient goes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.layers.maximum import _slack, amax

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('axis', [1, 2])
def test_value_and_gradient_are_those_of_the_maximum(axis):
  x, weights = (jnp.asarray(RNG.standard_normal((2, 6, 5)), jnp.float32) for _ in range(2))
  np.testing.assert_array_equal(amax(x, axis), x.max(axis, keepdims=True))
  ours, jaxs = (
    jax.jit(jax.grad(lambda x, of: (of(x) * weights).sum()), static_argnums=1)(x, of)
    for of in (lambda x: amax(x, axis), lambda x: x.max(axis, keepdims=True))
  )
  np.testing.assert_allclose(ours, jaxs, atol=1e-6)


def test_gradient_of_equal_maxima_goes_to_the_first():
  x = jnp.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]])
  np.testing.assert_array_equal(jax.grad(lambda x: amax(x, 1).sum())(x), [[0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(('dtype', 'rounding'), [(jnp.float32, 1e-6), (jnp.bfloat16, 2**-9)])
def test_a_maximum_is_found_where_the_map_is_rounded_otherwise(dtype, rounding):
  x = jnp.array([1.0, 3.0, 2.0], dtype)
  highest = amax(x, 0)
  rounded_down = x.astype(jnp.float32) * (1 - rounding)
  assert (rounded_down < highest).all()
  assert (rounded_down >= highest - _slack(highest)).tolist() == [False, True, False]
