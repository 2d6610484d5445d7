"""Rectifiers whose gradient is told from what they return, which is kept anyway, as the next layer's input.

JAX's own ask for what they were given, so that a training step writes and reads each map once more.
"""

import jax
import jax.numpy as jnp

SLOPE = 0.01


@jax.custom_jvp
def relu(x: jax.Array) -> jax.Array:
  """max(x, 0); at 0 the gradient is 0."""
  return jnp.maximum(x, 0)


@relu.defjvp
def _relu_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
  y = relu(*primals)
  return y, jnp.where(y != 0, *tangents, 0)  # of y > 0 XLA would make x > 0, and keep x


@jax.custom_jvp
def leaky_relu(x: jax.Array) -> jax.Array:
  """x, or 0.01 x where it is negative; at 0 the gradient is 1."""
  return jnp.where(x >= 0, x, SLOPE * x)


@leaky_relu.defjvp
def _leaky_relu_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
  y, [tangent] = leaky_relu(*primals), tangents
  return y, jnp.where(y >= 0, tangent, SLOPE * tangent)
