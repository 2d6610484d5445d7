"""Convolution blocks that every network of the project is built from.

Paddings are explicit because JAX's 'SAME' and PyTorch's `padding=1` disagree at stride 2, and released weights were
trained with the latter. Parameters and statistics are float32; `dtype` is what convolutions compute in.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

Dtype = jnp.dtype
Size = int | tuple[int, int]

BatchNorm = partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)  # PyTorch's defaults
leaky_relu = partial(nn.leaky_relu, negative_slope=0.01)


def pair(size: Size) -> tuple[int, int]:
  return (size, size) if isinstance(size, int) else size


def symmetric(padding: Size) -> tuple[tuple[int, int], tuple[int, int]]:
  rows, columns = pair(padding)
  return (rows, rows), (columns, columns)


class ConvBlock(nn.Module):
  """Convolution with bias, BatchNorm, optional skip connection, ReLU: (*b, h, w, c) -> (*b, h', w', features)."""

  features: int
  kernel: Size = 3
  stride: Size = 1
  padding: Size = 1
  residual: bool = False
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    kernel, stride = pair(self.kernel), pair(self.stride)
    y = nn.Conv(self.features, kernel, stride, symmetric(self.padding), dtype=self.dtype, name='conv')(x)
    y = BatchNorm(use_running_average=not train, dtype=self.dtype, name='norm')(y)
    return nn.relu(x + y if self.residual else y)


class UpBlock(nn.Module):
  """Transposed convolution with bias, BatchNorm, ReLU; PyTorch's geometry.

  (*b, h, w, c) -> (*b, (h - 1) stride - 2 padding + kernel + output_padding, ..., features).
  """

  features: int
  kernel: int = 3
  stride: int = 2
  padding: int = 1
  output_padding: int = 1
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    low = self.kernel - 1 - self.padding
    y = nn.ConvTranspose(
      self.features,
      pair(self.kernel),
      pair(self.stride),
      padding=((low, low + self.output_padding),) * 2,
      dtype=self.dtype,
      name='conv',
    )(x)
    return nn.relu(BatchNorm(use_running_average=not train, dtype=self.dtype, name='norm')(y))
