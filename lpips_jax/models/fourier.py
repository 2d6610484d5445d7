"""Fast Fourier convolution: one branch sees the neighbourhood, the other the whole map (Chi et al., NeurIPS 2020)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from lpips_jax.activations import relu
from lpips_jax.models.blocks import BatchNorm, Dtype
from lpips_jax.precision import at_least_float32


class FourierUnit(nn.Module):
  """Convolves the spectrum: rfft2 -> 1x1 conv over real and imaginary parts, BN, ReLU -> irfft2: (n, h, w, c), same.

  Transforms are orthonormal and in float32 or better: FFTs reject bfloat16.
  """

  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    width, channels = x.shape[-2:]
    parts = jnp.concatenate(self.spectrum(at_least_float32(x)), -1)
    parts = nn.Conv(2 * channels, (1, 1), use_bias=False, dtype=self.dtype, name='conv')(parts)
    parts = relu(BatchNorm(use_running_average=not train, name='norm')(parts))
    return self.image(*jnp.split(at_least_float32(parts), 2, -1), width).astype(x.dtype)

  def spectrum(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Real and imaginary parts of the spectrum of a map: (n, h, w, c) -> (n, h, w // 2 + 1, c), twice."""
    spectrum = jnp.fft.rfft2(x, axes=(-3, -2), norm='ortho')
    return spectrum.real, spectrum.imag

  def image(self, real: jax.Array, imaginary: jax.Array, width: int) -> jax.Array:
    """The map of a spectrum: (n, h, width // 2 + 1, c), twice -> (n, h, width, c)."""
    shape = real.shape[-3], width
    return jnp.fft.irfft2(jax.lax.complex(real, imaginary), s=shape, axes=(-3, -2), norm='ortho')


class SpectralTransform(nn.Module):
  """1x1 reduction h, then a 1x1 convolution of h + FourierUnit(h): (n, h, w, c) -> (n, h, w, features)."""

  features: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    hidden = nn.Conv(self.features // 2, (1, 1), use_bias=False, dtype=self.dtype, name='reduce')(x)
    hidden = relu(BatchNorm(use_running_average=not train, dtype=self.dtype, name='norm')(hidden))
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

    def conv(x: jax.Array, features: int, name: str) -> jax.Array:
      padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode='reflect')
      return nn.Conv(features, (3, 3), padding='VALID', use_bias=False, dtype=self.dtype, name=name)(padded)

    local_out = conv(local, n_local, 'local_to_local') + conv(global_, n_local, 'global_to_local')
    spectral = SpectralTransform(n_global, dtype=self.dtype, name='global_to_global')(global_, train)
    return local_out, conv(local, n_global, 'local_to_global') + spectral
