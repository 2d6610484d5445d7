"""Convolutional block attention: a gate over channels, then a gate over positions (Woo et al., arXiv 1807.06521)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange

from lpips_jax.layers.activations import relu
from lpips_jax.layers.maximum import maximum
from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.shapes import Dtype, symmetric
from lpips_jax.layers.subpixel import SubpixelConv


class ChannelGate(nn.Module):
  """Weighs channels by sigmoid(MLP(average) + MLP(maximum)), one MLP for both (eq. 2): (n, h, w, c), same out."""

  reduction: int = 16
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    channels = x.shape[-1]
    positions = rearrange(x, 'n h w c -> n (h w) c')
    # Stacked, so that the shared MLP runs once and its gradients are reduced across devices once.
    pooled = jnp.concatenate([positions.mean(1, keepdims=True), maximum(positions, 1)], 1)
    hidden = relu(nn.Dense(max(channels // self.reduction, 4), dtype=self.dtype, name='squeeze')(pooled))
    gate = nn.sigmoid(nn.Dense(channels, dtype=self.dtype, name='excite')(hidden).sum(1))
    return x * gate[:, None, None, :]


class SpatialGate(nn.Module):
  """Weighs positions by sigmoid(BN(conv([max; mean] over channels))) (eq. 3): (n, h, w, c), same out."""

  kernel: int = 7
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    pooled = jnp.concatenate([maximum(x, 3), x.mean(-1, keepdims=True)], -1)
    logits = SubpixelConv(1, self.kernel, dtype=self.dtype, name='conv')(pooled)
    return x * nn.sigmoid(BatchNorm(dtype=self.dtype, name='norm')(logits, not train))


class ResidualCBAM(nn.Module):
  """ReLU(x + CBAM(BN(conv3x3(x)))); without `attention` a plain residual block: (n, h, w, c), same out."""

  attention: bool = True
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    y = nn.Conv(x.shape[-1], (3, 3), padding=symmetric(1), use_bias=False, dtype=self.dtype, name='conv')(x)
    y = BatchNorm(dtype=self.dtype, name='norm')(y, not train)
    if self.attention:
      y = ChannelGate(dtype=self.dtype, name='channel_gate')(y)
      y = SpatialGate(dtype=self.dtype, name='spatial_gate')(y, train)
    return relu(x + y)
