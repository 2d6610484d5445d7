"""The semantic alignment module: fast Fourier convolution whose features take their statistics from the speech."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.activations import leaky_relu, relu
from lpips_jax.layers.normalisation import instance_norm
from lpips_jax.layers.precision import at_least_float32
from lpips_jax.models.blocks import ConvBlock
from lpips_jax.models.fourier import FastFourierConv


class AdaIN(nn.Module):
  """Adaptive instance normalisation: (1 + gamma(z)) (x - mean) / std + beta(z) (Huang and Belongie, eq. 8).

  x are features and z is the speech code. Statistics are over positions, in float32 or better.
  """

  hidden: int = 128
  epsilon: float = 1e-5
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], z: Float[Array, 'n d']) -> Float[Array, 'n h w c']:
    code = relu(nn.Dense(self.hidden, dtype=self.dtype, name='hidden')(z))
    gamma = nn.Dense(x.shape[-1], dtype=self.dtype, name='gamma')(code)[:, None, None, :]
    beta = nn.Dense(x.shape[-1], dtype=self.dtype, name='beta')(code)[:, None, None, :]
    gamma, beta = at_least_float32(gamma), at_least_float32(beta)  # 1 + gamma has few bits for gamma in bfloat16
    return (instance_norm(x, self.epsilon) * (1 + gamma) + beta).astype(x.dtype)


class AlignedFourierConv(nn.Module):
  """F(x, z): FFC, then AdaIN and a leaky ReLU on each branch."""

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    local: Float[Array, 'n h w c_local'],
    global_: Float[Array, 'n h w c_global'],
    z: Float[Array, 'n d'],
    train: bool,
  ) -> tuple[Float[Array, 'n h w c_local'], Float[Array, 'n h w c_global']]:
    local, global_ = FastFourierConv(dtype=self.dtype, name='ffc')(local, global_, train)
    # Leaky: a plain ReLU here can silence a branch within the first steps of training, for good.
    local = leaky_relu(AdaIN(dtype=self.dtype, name='adain_local')(local, z))
    return local, leaky_relu(AdaIN(dtype=self.dtype, name='adain_global')(global_, z))


class SemanticAlignment(nn.Module):
  """x + F(F(x, z), z), F an `AlignedFourierConv` on a quarter local, three quarters global channels."""

  local_share: float = 0.25
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], z: Float[Array, 'n d'], train: bool) -> Float[Array, 'n h w c']:
    local, global_ = jnp.split(x, [int(x.shape[-1] * self.local_share)], -1)
    for name in ('first', 'second'):
      local, global_ = AlignedFourierConv(dtype=self.dtype, name=name)(local, global_, z, train)
    return x + jnp.concatenate([local, global_], -1)


class ConcatFusion(nn.Module):
  """The ablation: the speech code is repeated over the map and concatenated, then a convolution block."""

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], z: Float[Array, 'n d'], train: bool) -> Float[Array, 'n h w c']:
    spread = jnp.broadcast_to(z[:, None, None, :], (*x.shape[:-1], z.shape[-1])).astype(x.dtype)  # (n, h, w, d)
    return ConvBlock(x.shape[-1], dtype=self.dtype, name='mix')(jnp.concatenate([x, spread], -1), train)
