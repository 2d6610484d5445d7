"""A maximum whose gradient goes to one place."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def amax(x: Float[Array, '*s'], axis: int) -> Float[Array, '...']:
  """`jnp.max(x, axis, keepdims=True)`, whose gradient goes to the first place that holds the maximum.

  JAX's own gradient looks for the places that equal the maximum and divides by their number. A compiler may compute `x`
  a second time for that, rounded otherwise; then no place equals it, and 0 / 0 ends the run (compare
  jax-ml/jax#40564). Here whatever lies within rounding of the maximum counts as equal, so a place is always found.
  """
  return x.max(axis, keepdims=True)


def _amax_fwd(x: Array, axis: int) -> tuple[Array, tuple[Array, Array]]:
  highest = amax(x, axis)
  places = jnp.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
  # Not argmax: it is slower on CPUs, and over a full-size map the compiler for TPUs takes nearly twice as long.
  place = jnp.where(x >= highest - _slack(highest), places, x.shape[axis]).min(axis, keepdims=True)
  return highest, (places, place)


def _slack(highest: Array) -> Array:
  """The distance that rounding may move a map of BatchNorm's range: a few bits, the last one of bfloat16."""
  return min(64 * float(jnp.finfo(highest.dtype).eps), 2**-8) * (1 + jnp.abs(highest))


def _amax_bwd(axis: int, residuals: tuple[Array, Array], gradient: Array) -> tuple[Array]:
  places, place = residuals
  return (jnp.where(places == place, gradient, 0),)


amax.defvjp(_amax_fwd, _amax_bwd)
