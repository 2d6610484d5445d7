"""Fast Fourier convolution: one branch sees the neighbourhood, the other the whole map (Chi et al., NeurIPS 2020)."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jax import lax

from lpips_jax.models.blocks import Dtype
from lpips_jax.models.normalisation import BatchNorm
from lpips_jax.precision import in_full


def spectrum(x: jax.Array) -> jax.Array:
  """NumPy's rfft2, orthonormal: (n, h, w, c) -> (n, h, w // 2 + 1, 2c), the real parts of all channels first.

  Like `image` a product with matrices: of maps this small GPUs and TPUs make them in less time than FFTs, which they
  have in float32 alone and along the last dimension, and CPUs in as much.
  """
  n, height, width, channels = x.shape
  of_rows = np.fft.rfft(np.eye(width), axis=0, norm='ortho')
  rows = _product(np.concatenate([of_rows.real, of_rows.imag]), x)  # (n, h, 2 k, c)
  columns = _product(_of_parts(np.fft.fft(np.eye(height), norm='ortho')), rows.reshape(n, 2 * height, -1))
  return rearrange(columns, 'n (h part) (k c) -> n h k (part c)', part=2, c=channels)


def image(parts: jax.Array, width: int) -> jax.Array:
  """NumPy's irfft2, orthonormal: (n, h, width // 2 + 1, 2c) -> (n, h, width, c)."""
  n, height, half, channels = parts.shape
  columns = rearrange(parts, 'n h k (part c) -> n (h part) (k c)', part=2)
  rows = _product(_of_parts(np.fft.ifft(np.eye(height), norm='ortho')), columns)
  units = np.concatenate([np.eye(half), 1j * np.eye(half)], 1)
  of_rows = np.fft.irfft(units, width, axis=0, norm='ortho')
  return _product(of_rows, rows.reshape(n, height, 2 * half, channels // 2))


def _of_parts(matrix: np.ndarray) -> np.ndarray:
  """What a complex matrix does to real and imaginary parts that take turns: (a, b) -> (2 a, 2 b), real."""
  real, imaginary = matrix.real, matrix.imag
  return rearrange(np.array([[real, -imaginary], [imaginary, real]]), 'to of a b -> (a to) (b of)')


@in_full
def _product(matrix: np.ndarray, x: jax.Array) -> jax.Array:
  """(a, b) times (*batch, b, c) -> (*batch, a, c).

  Of as many matrices as maps, which costs nothing as they are all one: with a single matrix, compilers for GPUs would
  transpose all maps before and after.
  """
  return jnp.broadcast_to(jnp.asarray(matrix, x.dtype), (*x.shape[:-2], *matrix.shape)) @ x


class FourierUnit(nn.Module):
  """Convolves the spectrum: rfft2 -> 1x1 conv over real and imaginary parts, BN, ReLU -> irfft2: (n, h, w, c), same."""

  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    parts = spectrum(x)
    parts = nn.Conv(parts.shape[-1], (1, 1), use_bias=False, dtype=self.dtype, name='conv')(parts)
    parts = BatchNorm(rectify=True, dtype=self.dtype, name='norm')(parts, not train)
    return image(parts, x.shape[-2])


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
    around_local, around_global = _reflect_padded(local), _reflect_padded(global_)
    conv = partial(nn.Conv, kernel_size=(3, 3), padding='VALID', use_bias=False, dtype=self.dtype)
    local_out = conv(n_local, name='local_to_local')(around_local) + conv(n_local, name='global_to_local')(
      around_global
    )
    spectral = SpectralTransform(n_global, dtype=self.dtype, name='global_to_global')(global_, train)
    return local_out, conv(n_global, name='local_to_global')(around_local) + spectral


def _reflect_padded(x: jax.Array) -> jax.Array:
  """(n, h, w, c) -> (n, h + 2, w + 2, c), NumPy's `reflect`.

  As a sum of maps padded with zeros, which compilers make at once, and its gradient too; `jnp.pad` is two passes.
  """
  for axis in (1, 2):
    size = x.shape[axis]
    second, last_but_one = (lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (1, size - 2))
    x = (
      _zero_padded(x, axis, 1, 1)
      + _zero_padded(second, axis, 0, size + 1)
      + _zero_padded(last_but_one, axis, size + 1, 0)
    )
  return x


def _zero_padded(x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
  return lax.pad(x, jnp.zeros((), x.dtype), [(before, after, 0) if k == axis else (0, 0, 0) for k in range(x.ndim)])
