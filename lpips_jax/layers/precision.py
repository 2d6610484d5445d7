"""Numbers long enough for what is computed with them, though networks run in bfloat16 and on matrix units.

By default XLA multiplies float32 matrices, and convolves, with factors rounded to bfloat16 on TPUs and to TF32 on
NVIDIA GPUs since Ampere. Networks are left at that, even where `config.model.dtype` is float32: their sums, statistics
and results are float32. JAX_DEFAULT_MATMUL_PRECISION=highest makes every product float32. Whatever measures is always
computed in full precision: scorers, cosines, Fourier transforms.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lpips_jax.layers.shapes import AnyArray

Parameters = ParamSpec('Parameters')
Result = TypeVar('Result')


def at_least_float32(x: Float[AnyArray, '*s']) -> Float[Array, '*s']:
  """bfloat16 and float16 -> float32; float32 and float64 pass through: statistics, distances, log-odds need them."""
  x = jnp.asarray(x)
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def full_precision(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
  """Decorates a function: it and all it calls multiply float32 numbers in float32 on any device."""

  @functools.wraps(function)
  def precise(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
    with jax.default_matmul_precision('highest'):
      return function(*args, **options)

  return precise
