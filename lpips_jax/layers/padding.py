"""Reflect padding whose gradient is cheap."""

import jax
import jax.numpy as jnp
from jax import lax


def reflect_padded(x: jax.Array) -> jax.Array:
  """(n, h, w, c) -> (n, h + 2, w + 2, c), NumPy's `reflect`.

  As a sum of maps padded with zeros, which compilers make at once, and its gradient too; `jnp.pad` is two passes.
  """
  for axis in (1, 2):
    size = x.shape[axis]
    second, last_but_one = (lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (1, size - 2))
    x = (
      _zero_padded(x, axis, 1, 1)
      + _zero_padded(second, axis, 0, size + 1)
      + _zero_padded(last_but_one, axis, size + 1, 0)
    )
  return x


def _zero_padded(x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
  return lax.pad(x, jnp.zeros((), x.dtype), [(before, after, 0) if k == axis else (0, 0, 0) for k in range(x.ndim)])
