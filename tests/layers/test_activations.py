"""ReLUs beside Flax's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.layers.activations import leaky_relu, relu

X = jnp.array([-2.0, -0.5, 0.0, 0.5, 3.0])


@pytest.mark.parametrize(('ours', 'flax'), [(relu, nn.relu), (leaky_relu, nn.leaky_relu)])
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_values_and_gradients_are_those_of_flax(ours, flax, dtype):
  x, weights = X.astype(dtype), jnp.arange(1, 6, dtype=dtype)
  (y, pull), (expected, expected_pull) = jax.vjp(ours, x), jax.vjp(flax, x)
  assert y.dtype == dtype
  np.testing.assert_array_equal(y, expected)
  np.testing.assert_array_equal(pull(weights)[0], expected_pull(weights)[0])


@pytest.mark.parametrize('activation', [relu, leaky_relu])
def test_the_gradient_uses_the_output_alone(activation):
  program = jax.make_jaxpr(lambda x, tangent: jax.jvp(activation, (x,), (tangent,)))(X, X).jaxpr
  x = program.invars[0]
  assert [step.primitive.name for step in program.eqns if x in step.invars] == ['custom_jvp_call']
