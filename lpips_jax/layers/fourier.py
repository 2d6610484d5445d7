"""Orthonormal real Fourier transforms of small maps, as products with matrices.

On maps as small as these GPUs and TPUs multiply matrices in less time than their FFTs take, which they have in float32
alone and along the last dimension; CPUs take as long either way.
"""

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Float

from lpips_jax.layers.precision import full_precision


def rfft2(x: Float[Array, 'n h w c']) -> Float[Array, 'n h w//2+1 2*c']:
  """`jnp.fft.rfft2(x, axes=(1, 2), norm='ortho')`, the real parts of all channels before the imaginary ones."""
  n, height, width, channels = x.shape
  row_transform = np.fft.rfft(np.eye(width), axis=0, norm='ortho')
  rows = _product(np.concatenate([row_transform.real, row_transform.imag]), x)  # (n, h, 2 k, c)
  columns = _product(_on_parts(np.fft.fft(np.eye(height), norm='ortho')), rows.reshape(n, 2 * height, -1))
  return rearrange(columns, 'n (h part) (k c) -> n h k (part c)', part=2, c=channels)


def irfft2(parts: Float[Array, 'n h k c2'], width: int) -> Float[Array, 'n h {width} c2//2']:
  """`jnp.fft.irfft2(spectrum, (h, width), axes=(1, 2), norm='ortho')` of a spectrum as `rfft2` lays it out.

  Args:
    parts: (n, h, width // 2 + 1, 2 c), real parts before imaginary ones.
    width: of the result, as half a spectrum is the same for an even width and the odd one above it.

  Returns:
    (n, h, width, c).
  """
  n, height, half, channels = parts.shape
  columns = rearrange(parts, 'n h k (part c) -> n (h part) (k c)', part=2)
  rows = _product(_on_parts(np.fft.ifft(np.eye(height), norm='ortho')), columns)
  units = np.concatenate([np.eye(half), 1j * np.eye(half)], 1)
  row_transform = np.fft.irfft(units, width, axis=0, norm='ortho')
  return _product(row_transform, rows.reshape(n, height, 2 * half, channels // 2))


def _on_parts(matrix: np.ndarray) -> np.ndarray:
  """A complex matrix as a real one that acts on real and imaginary parts by turns: (a, b) -> (2 a, 2 b)."""
  real, imaginary = matrix.real, matrix.imag
  return rearrange(np.array([[real, -imaginary], [imaginary, real]]), 'to of a b -> (a to) (b of)')


@full_precision
def _product(matrix: np.ndarray, x: Array) -> Array:
  """(a, b) times (*batch, b, c) -> (*batch, a, c).

  The matrix is repeated for each map, which costs nothing: with a single one, compilers for GPUs would transpose all
  maps before and after.
  """
  return jnp.broadcast_to(jnp.asarray(matrix, x.dtype), (*x.shape[:-2], *matrix.shape)) @ x
