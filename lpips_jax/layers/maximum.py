"""A maximum whose gradient goes to one place."""

from functools import partial

import jax
import jax.numpy as jnp


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def maximum(x: jax.Array, axis: int) -> jax.Array:
  """The maximum along an axis, which stays with size 1. Its gradient goes to the first place that has it.

  JAX's own gradient looks for the places that equal the maximum and divides by their number. A compiler may compute `x`
  anew for that, and round it otherwise; then there is none, and 0 / 0 ends the run (compare jax-ml/jax#40564). Here
  what is as near as rounding may have brought it counts as equal: a place is found, and its gradient not lost.
  """
  return x.max(axis, keepdims=True)


def _maximum_and_place(x: jax.Array, axis: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  highest = maximum(x, axis)
  places = jnp.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
  # Not argmax: it is slower on CPUs, and over a full-size map the compiler for TPUs takes nearly twice as long.
  place = jnp.where(x >= highest - _slack(highest), places, x.shape[axis]).min(axis, keepdims=True)
  return highest, (places, place)


def _slack(highest: jax.Array) -> jax.Array:
  """By how much rounding may make a map of the size of BatchNorm's differ: a few bits, of bfloat16 its last one."""
  return min(64 * float(jnp.finfo(highest.dtype).eps), 2**-8) * (1 + jnp.abs(highest))


def _to_its_place(axis: int, kept: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
  places, place = kept
  return (jnp.where(places == place, gradient, 0),)


maximum.defvjp(_maximum_and_place, _to_its_place)
