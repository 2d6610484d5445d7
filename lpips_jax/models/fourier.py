"""Fast Fourier convolution: one branch sees the neighbourhood, the other the whole map (Chi et al., NeurIPS 2020)."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.fourier import irfft2, rfft2
from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.padding import reflect_pad


class FourierUnit(nn.Module):
  """irfft2(ReLU(BN(conv1x1(rfft2(x))))): a 1x1 convolution of the spectrum sees every position of the map."""

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n h w c']:
    parts = rfft2(x)  # (n, h, w // 2 + 1, 2 c): real parts, then imaginary ones
    parts = nn.Conv(parts.shape[-1], (1, 1), use_bias=False, dtype=self.dtype, name='conv')(parts)
    parts = BatchNorm(rectify=True, dtype=self.dtype, name='norm')(parts, not train)
    return irfft2(parts, x.shape[-2])


class SpectralTransform(nn.Module):
  """conv1x1(h + FourierUnit(h)) of h = ReLU(BN(conv1x1(x))), which has half of the features."""

  features: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n h w {self.features}']:
    hidden = nn.Conv(self.features // 2, (1, 1), use_bias=False, dtype=self.dtype, name='reduce')(x)
    hidden = BatchNorm(rectify=True, dtype=self.dtype, name='norm')(hidden, not train)
    hidden = hidden + FourierUnit(dtype=self.dtype, name='fourier_unit')(hidden, train)
    return nn.Conv(self.features, (1, 1), use_bias=False, dtype=self.dtype, name='expand')(hidden)


class FastFourierConv(nn.Module):
  """local' = C(local) + C(global); global' = C(local) + SpectralTransform(global).

  C is a 3x3 convolution with reflect padding and no bias, another each time (figure 2 of the paper, without the local
  Fourier unit).
  """

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, local: Float[Array, 'n h w c_local'], global_: Float[Array, 'n h w c_global'], train: bool
  ) -> tuple[Float[Array, 'n h w c_local'], Float[Array, 'n h w c_global']]:
    n_local, n_global = local.shape[-1], global_.shape[-1]
    around_local, around_global = reflect_pad(local), reflect_pad(global_)
    conv = partial(nn.Conv, kernel_size=(3, 3), padding='VALID', use_bias=False, dtype=self.dtype)
    local_to_local = conv(n_local, name='local_to_local')(around_local)
    global_to_local = conv(n_local, name='global_to_local')(around_global)
    local_out = local_to_local + global_to_local
    spectral = SpectralTransform(n_global, dtype=self.dtype, name='global_to_global')(global_, train)
    return local_out, conv(n_global, name='local_to_global')(around_local) + spectral
