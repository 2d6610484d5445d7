"""Convolution blocks that every network of the project is built from.

Paddings are explicit because JAX's 'SAME' and PyTorch's `padding=1` disagree at stride 2, and released weights were
trained with the latter. Parameters and statistics are float32; `dtype` is what convolutions compute in.

Before BatchNorm convolutions have no bias, which it would take away again. PyTorch's layer tables have one, but its
gradient is rounding and nothing else, which Adam makes as large as any: in bfloat16 such biases wander off until they
cost the maps their precision, and the moving average lags behind them.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from lpips_jax.layers.activations import relu
from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.shapes import Dtype, Size, pair, symmetric
from lpips_jax.layers.transposed import TransposedConv


class ConvBlock(nn.Module):
  """Convolution, BatchNorm, optional skip connection, ReLU: (n, h, w, c) -> (n, h', w', features)."""

  features: int
  kernel: Size = 3
  stride: Size = 1
  padding: Size = 1
  residual: bool = False
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    kernel, stride = pair(self.kernel), pair(self.stride)
    convolution = partial(nn.Conv, use_bias=False, dtype=self.dtype)
    y = convolution(self.features, kernel, stride, symmetric(self.padding), name='conv')(x)
    y = BatchNorm(rectify=not self.residual, dtype=self.dtype, name='norm')(y, not train)
    return relu(x + y) if self.residual else y


class UpBlock(nn.Module):
  """Transposed 3x3 convolution of stride 2, BatchNorm, ReLU: (n, h, w, c) -> (n, 2h, 2w, features)."""

  features: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    y = TransposedConv(self.features, dtype=self.dtype, name='conv')(x)
    return BatchNorm(rectify=True, dtype=self.dtype, name='norm')(y, not train)
