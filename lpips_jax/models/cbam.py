"""Convolutional block attention: a gate over channels, then a gate over positions (Woo et al., arXiv 1807.06521)."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange

from lpips_jax.activations import relu
from lpips_jax.models.blocks import Dtype, SubpixelConv, symmetric
from lpips_jax.models.normalisation import BatchNorm


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def peak(x: jax.Array, axis: int) -> jax.Array:
  """The maximum along an axis, which stays with size 1. Its gradient goes to the first place that has it.

  JAX's own gradient looks for the places that equal the maximum and divides by their number. A compiler may compute `x`
  anew for that, and round it otherwise; then there is none, and 0 / 0 ends the run (compare jax-ml/jax#40564). Here
  what is as near as rounding may have brought it counts as equal: a place is found, and its gradient not lost.
  """
  return x.max(axis, keepdims=True)


def _peak_and_place(x: jax.Array, axis: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  highest = peak(x, axis)
  places = jnp.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
  # Not argmax: it is slower on CPUs, and over a full-size map the compiler for TPUs takes nearly twice as long.
  place = jnp.where(x >= highest - _slack(highest), places, x.shape[axis]).min(axis, keepdims=True)
  return highest, (places, place)


def _slack(highest: jax.Array) -> jax.Array:
  """By how much rounding may make a map of the size of BatchNorm's differ: a few bits, of bfloat16 its last one."""
  return min(64 * float(jnp.finfo(highest.dtype).eps), 2**-8) * (1 + jnp.abs(highest))


def _to_its_place(axis: int, kept: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array]:
  places, place = kept
  return (jnp.where(places == place, gradient, 0),)


peak.defvjp(_peak_and_place, _to_its_place)


class ChannelGate(nn.Module):
  """Weighs channels by sigmoid(MLP(average) + MLP(maximum)), one MLP for both (eq. 2): (n, h, w, c), same out."""

  reduction: int = 16
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    channels = x.shape[-1]
    positions = rearrange(x, 'n h w c -> n (h w) c')
    # Stacked, so that the shared MLP runs once and its gradients are reduced across devices once.
    pooled = jnp.concatenate([positions.mean(1, keepdims=True), peak(positions, 1)], 1)
    hidden = relu(nn.Dense(max(channels // self.reduction, 4), dtype=self.dtype, name='squeeze')(pooled))
    gate = nn.sigmoid(nn.Dense(channels, dtype=self.dtype, name='excite')(hidden).sum(1))
    return x * gate[:, None, None, :]


class SpatialGate(nn.Module):
  """Weighs positions by sigmoid(BN(conv([max; mean] over channels))) (eq. 3): (n, h, w, c), same out."""

  kernel: int = 7
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    pooled = jnp.concatenate([peak(x, 3), x.mean(-1, keepdims=True)], -1)
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
