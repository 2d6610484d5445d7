"""Convolution blocks that every network of the project is built from.

Paddings are explicit because JAX's 'SAME' and PyTorch's `padding=1` disagree at stride 2, and released weights were
trained with the latter. Parameters and statistics are float32; `dtype` is what convolutions compute in.

Convolutions before BatchNorm have no bias: BatchNorm would subtract it again. PyTorch's layer tables have one, but its
gradient is nothing but rounding, which Adam scales up as it does any gradient: in bfloat16 such biases wander off until
they cost the maps their precision, and the moving average lags behind them.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.activations import relu
from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.shapes import Size, pair, symmetric
from lpips_jax.layers.transposed import TransposedConv


class ConvBlock(nn.Module):
  """ReLU(BN(conv(x))), or ReLU(x + BN(conv(x))) if it is `residual`."""

  features: int
  kernel: Size = 3
  stride: Size = 1
  padding: Size = 1
  residual: bool = False
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n h2 w2 {self.features}']:
    kernel, stride = pair(self.kernel), pair(self.stride)
    convolution = partial(nn.Conv, use_bias=False, dtype=self.dtype)
    y = convolution(self.features, kernel, stride, symmetric(self.padding), name='conv')(x)
    y = BatchNorm(rectify=not self.residual, dtype=self.dtype, name='norm')(y, not train)
    return relu(x + y) if self.residual else y


class UpBlock(nn.Module):
  """ReLU(BN(transposed conv(x))), 3x3 and stride 2: doubles both sides."""

  features: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n 2*h 2*w {self.features}']:
    y = TransposedConv(self.features, dtype=self.dtype, name='conv')(x)
    return BatchNorm(rectify=True, dtype=self.dtype, name='norm')(y, not train)


def speech_code(
  x: Float[Array, 'n c'], width: int, last_relu: bool, dropout: float, dtype: DTypeLike, train: bool
) -> Float[Array, 'n {width}']:
  """Makes the last layer, `head`, of the speech encoder that calls it: `last_relu` chooses between its two forms.

  ReLU(BN(dense(x))), >= 0, is what a generator hears; a dense layer, after dropout, is what an expert compares.
  """
  if last_relu:
    return ConvBlock(width, 1, padding=0, dtype=dtype, name='head')(x[:, None, None], train)[:, 0, 0]
  x = nn.Dropout(dropout, deterministic=not train)(x)
  return nn.Dense(width, dtype=dtype, name='head')(x)
