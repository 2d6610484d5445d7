"""BatchNorm with its gradient written out, together with the ReLU after it; instance normalisation in one pass.

JAX's own gradient of Flax's BatchNorm reads each map up to three times, and that of a ReLU after it once more: see
docs/performance.md. Here the input is read once for the sums over all positions, and once for the result.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.activations import relu
from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import AnyArray

MOMENTUM = 0.9  # PyTorch's default, which it writes as 0.1


class BatchNorm(nn.Module):
  """(x - mean) / sqrt(var + epsilon) * scale + bias by channel (Ioffe and Szegedy, arXiv 1502.03167): (..., c), same.

  Mean and biased variance are those of this batch over all axes but the last, in float32 or better; with
  `use_running_average` the running ones. Its variables are those of `nn.BatchNorm`.

  Attributes:
    rectify: a ReLU follows.
    epsilon: added to the variance.
    dtype: of the result.
  """

  rectify: bool = False
  epsilon: float = 1e-5
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, '*b c'], use_running_average: bool) -> Float[Array, '*b c']:
    channels = x.shape[-1:]
    running_mean = self.variable('batch_stats', 'mean', jnp.zeros, channels)
    running_var = self.variable('batch_stats', 'var', jnp.ones, channels)
    scale = self.param('scale', nn.initializers.ones, channels)
    bias = self.param('bias', nn.initializers.zeros, channels)
    if use_running_average:
      inverse = jax.lax.rsqrt(running_var.value + self.epsilon)
      y = _scaled(x, running_mean.value, inverse, scale, bias).astype(self.dtype)
      return relu(y) if self.rectify else y
    y, mean, var = batch_norm(x.astype(self.dtype), scale, bias, self.rectify, self.epsilon)
    if not self.is_initializing():
      for running, batch_value in ((running_mean, mean), (running_var, var)):
        running.value = MOMENTUM * running.value + (1 - MOMENTUM) * batch_value
    return y


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def batch_norm(
  x: Float[Array, '*b c'], scale: Float[Array, ' c'], bias: Float[Array, ' c'], rectify: bool, epsilon: float
) -> tuple[Float[Array, '*b c'], Float[Array, ' c'], Float[Array, ' c']]:
  """Returns the normalised batch, of its dtype, and its mean and variance, which have no gradient."""
  return _batch_norm_fwd(x, scale, bias, rectify, epsilon)[0]


def _batch_norm_fwd(
  x: Array, scale: Array, bias: Array, rectify: bool, epsilon: float
) -> tuple[tuple[Array, Array, Array], tuple[Array, ...]]:
  features, axes = at_least_float32(x), tuple(range(x.ndim - 1))
  mean, mean_square = features.mean(axes), jnp.square(features).mean(axes)
  var = jnp.maximum(mean_square - jnp.square(mean), 0)  # in one pass over the map
  inverse = jax.lax.rsqrt(var + epsilon)
  y = _scaled(x, mean, inverse, scale, bias)
  y = (jnp.maximum(y, 0) if rectify else y).astype(x.dtype)
  return (y, mean, var), (x, mean, inverse, scale, bias)


def _batch_norm_bwd(
  rectify: bool, epsilon: float, residuals: tuple[Array, ...], gradients: tuple[Array, ...]
) -> tuple[Array, Array, Array]:
  x, mean, inverse, scale, bias = residuals
  axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
  gradient = at_least_float32(gradients[0])
  if rectify:
    gradient = jnp.where(_scaled(x, mean, inverse, scale, bias) > 0, gradient, 0)
  unit = (at_least_float32(x) - mean) * inverse
  grad_bias, grad_scale = gradient.sum(axes), (gradient * unit).sum(axes)
  grad_x = scale * inverse * (gradient - (grad_bias + unit * grad_scale) / count)
  return grad_x.astype(x.dtype), grad_scale, grad_bias


batch_norm.defvjp(_batch_norm_fwd, _batch_norm_bwd)


def instance_norm(x: Float[Array, 'n h w c'], epsilon: float = 1e-5) -> Float[Array, 'n h w c']:
  """(x - mean) / sqrt(var + epsilon), mean and biased variance over the positions of each channel of each image.

  In one pass over the map, as in BatchNorm, but relative to one of its own features: where no BatchNorm comes before,
  the mean may be many deviations from 0, and E[x^2] - E[x]^2 would drown in it; it is never so far from a feature.

  Returns:
    float32 or better, whatever x is.
  """
  features = at_least_float32(x)
  one = jax.lax.stop_gradient(features[..., :1, :1, :])
  mean, mean_square = (moment.mean((-3, -2), keepdims=True) for moment in (features - one, (features - one) ** 2))
  variance = jnp.maximum(mean_square - mean**2, 0)
  return (features - (one + mean)) * jax.lax.rsqrt(variance + epsilon)


def unit_length(x: Float[AnyArray, '*b d']) -> Float[Array, '*b d']:
  """L2 normalisation of the last axis, in float32 or better, with a finite gradient at zero."""
  x = at_least_float32(x)
  return x * jax.lax.rsqrt(jnp.sum(x * x, -1, keepdims=True) + 1e-12)


def _scaled(x: Array, mean: AnyArray, inverse: Array, scale: AnyArray, bias: AnyArray) -> Array:
  return (at_least_float32(x) - mean) * (inverse * scale) + bias
