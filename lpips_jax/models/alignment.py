"""The semantic alignment module: fast Fourier convolution whose features take their statistics from the speech."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from lpips_jax.layers.activations import leaky_relu, relu
from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import Dtype
from lpips_jax.models.blocks import ConvBlock
from lpips_jax.models.fourier import FastFourierConv


class AdaIN(nn.Module):
  """Adaptive instance normalisation: (1 + gamma(z)) (x - mean) / std + beta(z) (Huang and Belongie, eq. 8).

  x: (n, h, w, c) features; z: (n, d) speech code; (n, h, w, c) out. Statistics over positions, in float32 or better.
  """

  hidden: int = 128
  epsilon: float = 1e-5
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, z: jax.Array) -> jax.Array:
    code = relu(nn.Dense(self.hidden, dtype=self.dtype, name='hidden')(z))
    gamma = nn.Dense(x.shape[-1], dtype=self.dtype, name='gamma')(code)[:, None, None, :]
    beta = nn.Dense(x.shape[-1], dtype=self.dtype, name='beta')(code)[:, None, None, :]
    features, gamma, beta = map(at_least_float32, (x, gamma, beta))  # 1 + gamma has few bits for gamma in bfloat16
    # In one pass over the map, as BatchNorm has it. No BatchNorm comes before: the mean may be many deviations from 0,
    # which E[x^2] - E[x]^2 would drown in, and is never so far from one of the features themselves.
    one = jax.lax.stop_gradient(features[..., :1, :1, :])
    mean, mean_square = (moment.mean((-3, -2), keepdims=True) for moment in (features - one, (features - one) ** 2))
    variance = jnp.maximum(mean_square - mean**2, 0)
    normalised = (features - (one + mean)) * jax.lax.rsqrt(variance + self.epsilon)
    return (normalised * (1 + gamma) + beta).astype(x.dtype)


class AlignedFourierConv(nn.Module):
  """FFC, then AdaIN and a leaky ReLU on each branch: two maps (n, h, w, c_i) and the code (n, d), two maps out."""

  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, local: jax.Array, global_: jax.Array, z: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    local, global_ = FastFourierConv(dtype=self.dtype, name='ffc')(local, global_, train)
    # Leaky: a plain ReLU here can silence a branch within the first steps of training, for good.
    local = leaky_relu(AdaIN(dtype=self.dtype, name='adain_local')(local, z))
    return local, leaky_relu(AdaIN(dtype=self.dtype, name='adain_global')(global_, z))


class SemanticAlignment(nn.Module):
  """x + F(F(x, z), z), F an `AlignedFourierConv` on a quarter local, three quarters global channels.

  x: (n, h, w, c); z: (n, d); (n, h, w, c) out.
  """

  local_share: float = 0.25
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, z: jax.Array, train: bool) -> jax.Array:
    local, global_ = jnp.split(x, [int(x.shape[-1] * self.local_share)], -1)
    for name in ('first', 'second'):
      local, global_ = AlignedFourierConv(dtype=self.dtype, name=name)(local, global_, z, train)
    return x + jnp.concatenate([local, global_], -1)


class ConcatFusion(nn.Module):
  """The ablation: the code is repeated over the map and concatenated, then a convolution block.

  x: (n, h, w, c); z: (n, d); (n, h, w, c) out.
  """

  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, z: jax.Array, train: bool) -> jax.Array:
    spread = jnp.broadcast_to(z[:, None, None, :], (*x.shape[:-1], z.shape[-1])).astype(x.dtype)
    return ConvBlock(x.shape[-1], dtype=self.dtype, name='mix')(jnp.concatenate([x, spread], -1), train)
