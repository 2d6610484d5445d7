"""Orthonormal real Fourier transforms of small maps, as products with matrices."""

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange

from lpips_jax.layers.precision import in_full


def rfft2(x: jax.Array) -> jax.Array:
  """NumPy's rfft2, orthonormal: (n, h, w, c) -> (n, h, w // 2 + 1, 2c), the real parts of all channels first.

  Like `image` a product with matrices: of maps this small GPUs and TPUs make them in less time than FFTs, which they
  have in float32 alone and along the last dimension, and CPUs in as much.
  """
  n, height, width, channels = x.shape
  of_rows = np.fft.rfft(np.eye(width), axis=0, norm='ortho')
  rows = _product(np.concatenate([of_rows.real, of_rows.imag]), x)  # (n, h, 2 k, c)
  columns = _product(_of_parts(np.fft.fft(np.eye(height), norm='ortho')), rows.reshape(n, 2 * height, -1))
  return rearrange(columns, 'n (h part) (k c) -> n h k (part c)', part=2, c=channels)


def irfft2(parts: jax.Array, width: int) -> jax.Array:
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
