"""Which numbers are too short to be computed with: those of networks in bfloat16, and products on matrix units.

By default XLA multiplies float32 matrices, and convolves, with factors rounded to bfloat16 on TPUs and to TF32 on
NVIDIA GPUs since Ampere. Networks are left at that, also where `config.model.dtype` is float32: their sums, statistics
and results are float32. Who wants every product in full starts with JAX_DEFAULT_MATMUL_PRECISION=highest. What measures
is always computed in full: judges, cosines, Fourier transforms.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp

Parameters, Result = ParamSpec('Parameters'), TypeVar('Result')


def at_least_float32(x: jax.Array) -> jax.Array:
  """bfloat16 and float16 -> float32; float32 and float64 pass through: statistics, distances, log-odds need them."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def in_full(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
  """The same function, whose products of float32 numbers, and those of all that it calls, are float32 on any device."""

  @functools.wraps(function)
  def exact(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
    with jax.default_matmul_precision('highest'):
      return function(*args, **options)

  return exact
