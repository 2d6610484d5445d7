"""Which numbers are too short to be computed with, where networks run in bfloat16."""

import jax
import jax.numpy as jnp


def at_least_float32(x: jax.Array) -> jax.Array:
  """bfloat16 and float16 -> float32; float32 and float64 pass through: statistics, distances, log-odds need them."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))
