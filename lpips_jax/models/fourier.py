"""Fast Fourier convolution: one branch sees the neighbourhood, the other the whole map (Chi et al., NeurIPS 2020)."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from lpips_jax.layers.fourier import irfft2, rfft2
from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.padding import reflect_padded
from lpips_jax.layers.shapes import Dtype


class FourierUnit(nn.Module):
  """Convolves the spectrum: rfft2 -> 1x1 conv over real and imaginary parts, BN, ReLU -> irfft2: (n, h, w, c), same."""

  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    parts = rfft2(x)
    parts = nn.Conv(parts.shape[-1], (1, 1), use_bias=False, dtype=self.dtype, name='conv')(parts)
    parts = BatchNorm(rectify=True, dtype=self.dtype, name='norm')(parts, not train)
    return irfft2(parts, x.shape[-2])


class SpectralTransform(nn.Module):
  """1x1 reduction h, then a 1x1 convolution of h + FourierUnit(h): (n, h, w, c) -> (n, h, w, features)."""

  features: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    hidden = nn.Conv(self.features // 2, (1, 1), use_bias=False, dtype=self.dtype, name='reduce')(x)
    hidden = BatchNorm(rectify=True, dtype=self.dtype, name='norm')(hidden, not train)
    hidden = hidden + FourierUnit(dtype=self.dtype, name='fourier_unit')(hidden, train)
    return nn.Conv(self.features, (1, 1), use_bias=False, dtype=self.dtype, name='expand')(hidden)


class FastFourierConv(nn.Module):
  """local' = C(local) + C(global); global' = C(local) + SpectralTransform(global).

  Takes and returns two maps, (n, h, w, c_local) and (n, h, w, c_global); C is a 3x3 convolution with reflect padding
  and no bias (figure 2 of the paper, without the local Fourier unit).
  """

  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, local: jax.Array, global_: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    n_local, n_global = local.shape[-1], global_.shape[-1]
    around_local, around_global = reflect_padded(local), reflect_padded(global_)
    conv = partial(nn.Conv, kernel_size=(3, 3), padding='VALID', use_bias=False, dtype=self.dtype)
    local_out = conv(n_local, name='local_to_local')(around_local) + conv(n_local, name='global_to_local')(
      around_global
    )
    spectral = SpectralTransform(n_global, dtype=self.dtype, name='global_to_global')(global_, train)
    return local_out, conv(n_global, name='local_to_global')(around_local) + spectral
