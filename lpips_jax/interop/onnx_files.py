"""Networks as ONNX, by jax2onnx; for that, Fourier transforms are products with matrices, as it knows none of two
dimensions."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax import folding, models
from lpips_jax.cli import UserError
from lpips_jax.models.fourier import FourierUnit
from lpips_jax.pretrained import Pretrained

BATCH = 'batch'
product = jax.tree_util.Partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


def write(path: Path, network: Pretrained, names: tuple[str, ...]) -> None:
  """Writes a network for any batch, its weights inside.

  Args:
    path: the file to write.
    network: the network.
    names: of its inputs.

  Raises:
    UserError: jax2onnx is not here.
  """
  try:
    import onnx
    from jax2onnx import to_onnx
  except ImportError as error:
    raise UserError(f"ONNX needs jax2onnx ({error}): pip install -e '.[onnx]'") from error
  apply = folding.apply if network.config.get('folded') else nn.Module.apply

  def call(*inputs: jax.Array) -> Any:
    with nn.intercept_methods(_with_matrices):
      return apply(network.model, network.variables, *inputs)

  shapes = [(BATCH, *x.shape[1:]) for x in models.example_inputs(network.config.model)]
  onnx.save(to_onnx(call, shapes, input_names=names), path)


def spectrum(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """As `FourierUnit.spectrum`: (n, h, w, c) -> (n, h, w // 2 + 1, c), twice."""
  (cos_h, sin_h), (cos_w, sin_w) = (_waves(size) for size in x.shape[1:3])
  half = x.shape[2] // 2 + 1
  real, imaginary = (product('nhwc,kw->nhkc', x, waves[:half]) for waves in (cos_w, -sin_w))
  down = 'nhkc,jh->njkc'
  return (
    product(down, real, cos_h) + product(down, imaginary, sin_h),
    product(down, imaginary, cos_h) - product(down, real, sin_h),
  )


def image(real: jax.Array, imaginary: jax.Array, width: int) -> jax.Array:
  """As `FourierUnit.image`: (n, h, width // 2 + 1, c), twice -> (n, h, width, c)."""
  (cos_h, sin_h), (cos_w, sin_w) = (_waves(size) for size in (real.shape[1], width))
  half = real.shape[2]
  # All but the first, and of even widths the last, stand for two: the other half of the spectrum is their conjugate.
  counts = np.where((np.arange(half) == 0) | (2 * np.arange(half) == width), 1, 2).astype(np.float32)[:, None]
  up = 'njkc,jh->nhkc'
  real, imaginary = (
    product(up, real, cos_h) - product(up, imaginary, sin_h),
    product(up, imaginary, cos_h) + product(up, real, sin_h),
  )
  across = 'nhkc,kw->nhwc'
  return product(across, real, counts * cos_w[:half]) - product(across, imaginary, counts * sin_w[:half])


def _with_matrices(call: Any, inputs: tuple, options: dict, context: nn.module.InterceptorContext) -> Any:
  if isinstance(context.module, FourierUnit) and context.method_name in ('spectrum', 'image'):
    return {'spectrum': spectrum, 'image': image}[context.method_name](*inputs, **options)
  return call(*inputs, **options)


def _waves(size: int) -> tuple[np.ndarray, np.ndarray]:
  """Cosines and sines of an orthonormal transform, (size, size) each, float32."""
  angles = 2 * np.pi * np.outer(np.arange(size), np.arange(size)) / size
  return tuple((wave(angles) / np.sqrt(size)).astype(np.float32) for wave in (np.cos, np.sin))
