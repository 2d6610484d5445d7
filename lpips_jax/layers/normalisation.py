"""BatchNorm with its gradient written out, and with the rectifier after it (Ioffe and Szegedy, arXiv 1502.03167).

JAX's own gradient of Flax's reads each map up to three times, and a rectifier's after it once more: see
docs/performance.md. Here what is given is read once for the sums over all positions, and once for the result.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from lpips_jax.layers.activations import relu
from lpips_jax.layers.precision import at_least_float32

MOMENTUM = 0.9  # PyTorch's default


class BatchNorm(nn.Module):
  """(x - mean) / sqrt(var + epsilon) * scale + bias, by channel, then a ReLU if asked for: (..., c), same out.

  Mean and variance, biased, are those of this batch over all other axes, in float32 or better; with
  `use_running_average` the running ones. Its variables are those of `nn.BatchNorm`.
  """

  rectify: bool = False
  epsilon: float = 1e-5
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, use_running_average: bool) -> jax.Array:
    channels = x.shape[-1:]
    running_mean = self.variable('batch_stats', 'mean', jnp.zeros, channels)
    running_var = self.variable('batch_stats', 'var', jnp.ones, channels)
    scale = self.param('scale', nn.initializers.ones, channels)
    bias = self.param('bias', nn.initializers.zeros, channels)
    if use_running_average:
      inverse = jax.lax.rsqrt(running_var.value + self.epsilon)
      y = _scaled(x, running_mean.value, inverse, scale, bias).astype(self.dtype)
      return relu(y) if self.rectify else y
    y, mean, var = normalised(x.astype(self.dtype), scale, bias, self.rectify, self.epsilon)
    if not self.is_initializing():
      for running, of_batch in ((running_mean, mean), (running_var, var)):
        running.value = MOMENTUM * running.value + (1 - MOMENTUM) * of_batch
    return y


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalised(
  x: jax.Array, scale: jax.Array, bias: jax.Array, rectify: bool, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Returns what a batch becomes, of its dtype, and its mean and variance, (c,) each, which have no gradient."""
  return _normalise(x, scale, bias, rectify, epsilon)[0]


def _normalise(
  x: jax.Array, scale: jax.Array, bias: jax.Array, rectify: bool, epsilon: float
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
  features, axes = at_least_float32(x), tuple(range(x.ndim - 1))
  mean, mean_square = features.mean(axes), jnp.square(features).mean(axes)
  var = jnp.maximum(mean_square - jnp.square(mean), 0)  # in one pass over the map
  inverse = jax.lax.rsqrt(var + epsilon)
  y = _scaled(x, mean, inverse, scale, bias)
  y = (jnp.maximum(y, 0) if rectify else y).astype(x.dtype)
  return (y, mean, var), (x, mean, inverse, scale, bias)


def _differentiate(
  rectify: bool, epsilon: float, kept: tuple[jax.Array, ...], gradients: tuple[jax.Array, ...]
) -> tuple[jax.Array, jax.Array, jax.Array]:
  x, mean, inverse, scale, bias = kept
  axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
  gradient = at_least_float32(gradients[0])
  if rectify:
    gradient = jnp.where(_scaled(x, mean, inverse, scale, bias) > 0, gradient, 0)
  unit = (at_least_float32(x) - mean) * inverse
  of_bias, of_scale = gradient.sum(axes), (gradient * unit).sum(axes)
  of_x = scale * inverse * (gradient - (of_bias + unit * of_scale) / count)
  return of_x.astype(x.dtype), of_scale, of_bias


normalised.defvjp(_normalise, _differentiate)


def _scaled(x: jax.Array, mean: jax.Array, inverse: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
  return (at_least_float32(x) - mean) * (inverse * scale) + bias
