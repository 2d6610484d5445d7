"""Convolutional block attention: a gate over channels, then a gate over positions (Woo et al., arXiv 1807.06521)."""

import flax.linen as nn
import jax.numpy as jnp
from einops import rearrange
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.activations import relu
from lpips_jax.layers.maximum import amax
from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.shapes import symmetric
from lpips_jax.layers.subpixel import SubpixelConv

MIN_HIDDEN = 4  # channels inside the MLP of the narrowest networks


class ChannelGate(nn.Module):
  """Weighs channels by sigmoid(MLP(average) + MLP(maximum)), one MLP for both (eq. 2)."""

  reduction: int = 16
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
    channels = x.shape[-1]
    positions = rearrange(x, 'n h w c -> n (h w) c')
    # Stacked, so that the shared MLP runs once and its gradients are reduced across devices once.
    pooled = jnp.concatenate([positions.mean(1, keepdims=True), amax(positions, 1)], 1)  # (n, 2, c)
    hidden = relu(nn.Dense(max(channels // self.reduction, MIN_HIDDEN), dtype=self.dtype, name='squeeze')(pooled))
    gate = nn.sigmoid(nn.Dense(channels, dtype=self.dtype, name='excite')(hidden).sum(1))  # (n, c)
    return x * gate[:, None, None, :]


class SpatialGate(nn.Module):
  """Weighs positions by sigmoid(BN(conv7x7([maximum; mean over channels]))) (eq. 3)."""

  kernel: int = 7
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n h w c']:
    pooled = jnp.concatenate([amax(x, 3), x.mean(-1, keepdims=True)], -1)  # (n, h, w, 2)
    logits = SubpixelConv(1, self.kernel, dtype=self.dtype, name='conv')(pooled)  # (n, h, w, 1)
    return x * nn.sigmoid(BatchNorm(dtype=self.dtype, name='norm')(logits, not train))


class ResidualCBAM(nn.Module):
  """ReLU(x + SpatialGate(ChannelGate(BN(conv3x3(x))))); without `attention`, a plain residual block."""

  attention: bool = True
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n h w c']:
    y = nn.Conv(x.shape[-1], (3, 3), padding=symmetric(1), use_bias=False, dtype=self.dtype, name='conv')(x)
    y = BatchNorm(dtype=self.dtype, name='norm')(y, not train)
    if self.attention:
      y = ChannelGate(dtype=self.dtype, name='channel_gate')(y)
      y = SpatialGate(dtype=self.dtype, name='spatial_gate')(y, train)
    return relu(x + y)
