"""Convolution blocks that every network of the project is built from.

Paddings are explicit because JAX's 'SAME' and PyTorch's `padding=1` disagree at stride 2, and released weights were
trained with the latter. Parameters and statistics are float32; `dtype` is what convolutions compute in.
"""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jax import lax

from lpips_jax.activations import relu

Dtype = jnp.dtype
Size = int | tuple[int, int]

BatchNorm = partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)  # PyTorch's defaults


def pair(size: Size) -> tuple[int, int]:
  return (size, size) if isinstance(size, int) else size


def symmetric(padding: Size) -> tuple[tuple[int, int], tuple[int, int]]:
  rows, columns = pair(padding)
  return (rows, rows), (columns, columns)


class ConvBlock(nn.Module):
  """Convolution with bias, BatchNorm, optional skip connection, ReLU: (n, h, w, c) -> (n, h', w', features)."""

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
    return relu(x + y if self.residual else y)


class UpBlock(nn.Module):
  """Transposed 3x3 convolution of stride 2, BatchNorm, ReLU: (n, h, w, c) -> (n, 2h, 2w, features)."""

  features: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    y = TransposedConv(self.features, dtype=self.dtype, name='conv')(x)
    return relu(BatchNorm(use_running_average=not train, dtype=self.dtype, name='norm')(y))


class SubpixelConv(nn.Module):
  """A convolution of stride 1 without bias for very few channels: (n, h, w, c) -> (n, h, w, features).

  Blocks of `block` x `block` pixels (fewer where the sides do not divide) become channels, and the square kernel, of
  odd side, is spread out to act on them. That is more arithmetic, but with up to 16 times the channels convolutions run
  at full speed: on a CPU the 7x7 gate from 2 channels to 1 takes a seventeenth of the time forward, an eighth with its
  gradient (10 maps of 64 pixels).
  """

  features: int
  kernel: int
  block: int = 4
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    size = math.gcd(self.block, *x.shape[-3:-1])
    spread = _spread_taps(self.kernel, size).astype(kernel.dtype)
    dense = jnp.einsum('apit,bqju,tucf->abijcpqf', spread, spread, kernel)
    dense = rearrange(dense, 'a b i j c p q f -> a b (i j c) (p q f)')
    blocks = rearrange(x, 'n (h i) (w j) c -> n h w (i j c)', i=size, j=size)
    y = jax.lax.conv_general_dilated(
      blocks, dense, (1, 1), symmetric(len(spread) // 2), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    return rearrange(y, 'n h w (p q f) -> n (h p) (w q) f', p=size, q=size)


def _spread_taps(kernel: int, size: int) -> np.ndarray:
  """(blocks, output pixel, input pixel, tap): 1 where that tap takes an input pixel of that block to the output one."""
  radius = kernel // 2
  reach = -(-radius // size)
  block, output, source, tap = np.ix_(range(-reach, reach + 1), range(size), range(size), range(-radius, radius + 1))
  return (block * size + source - output == tap).astype(np.float32)


class TransposedConv(nn.Module):
  """PyTorch's ConvTranspose2d(3, stride=2, padding=1, output_padding=1): (n, h, w, c) -> (n, 2h, 2w, features).

  The kernel, (3, 3, c, features), is `nn.ConvTranspose`'s: PyTorch's, turned by 180 degrees.
  """

  features: int
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    return _transposed_conv(x, kernel) + bias


@jax.custom_vjp
def _transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """The gradient of a convolution of stride 2, which GPUs and TPUs have kernels for; on CPUs four small convolutions."""
  return lax.platform_dependent(x, kernel, cpu=_as_four_convs, default=_as_gradient)


def _kept(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return _transposed_conv(x, kernel), (x, kernel)


def _gradients(kept: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
  def of_four_convs(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.vjp(_as_four_convs, x, kernel)[1](gradient)

  def of_gradient(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    of_x, kernel_gradient = jax.vjp(partial(_strided_conv, gradient), _turned(kernel))
    return of_x, _turned(kernel_gradient(x)[0])

  return lax.platform_dependent(*kept, gradient, cpu=of_four_convs, default=of_gradient)


_transposed_conv.defvjp(_kept, _gradients)


def _as_gradient(x: jax.Array, kernel: jax.Array) -> jax.Array:
  # Behind a barrier: XLA takes this for a gradient, and finds GPUs' kernel for it, by the kernel's being turned.
  kernel = lax.optimization_barrier(_turned(kernel))
  y = jax.ShapeDtypeStruct((x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]), x.dtype)
  [of_y] = jax.linear_transpose(lambda y: _strided_conv(y, kernel), y)(x)
  return of_y


def _strided_conv(y: jax.Array, kernel: jax.Array) -> jax.Array:
  """(n, 2h, 2w, features) -> (n, h, w, c): the convolution that `_as_gradient` is the gradient of."""
  return lax.conv_general_dilated(
    y, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def _turned(kernel: jax.Array) -> jax.Array:
  """By 180 degrees, inputs and outputs exchanged."""
  return kernel[::-1, ::-1].swapaxes(2, 3)


def _as_four_convs(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Each input pixel gives a 2x2 block of output pixels, of which each sees other taps.

  The middle ones in even rows and columns, the outer ones, on it and on the next pixel, in odd ones. XLA runs the
  gradient of `_as_gradient` 20 times slower on a CPU, and multiplies its zeros.
  """
  even, odd = (slice(1, 2), (0, 0)), (slice(0, 3, 2), (0, 1))  # taps, and the padding that they need

  def pixels(rows: tuple[slice, tuple[int, int]], columns: tuple[slice, tuple[int, int]]) -> jax.Array:
    taps = kernel[rows[0], columns[0]]
    return lax.conv_general_dilated(
      x, taps, (1, 1), (rows[1], columns[1]), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )

  y = jnp.stack([jnp.stack([pixels(rows, columns) for columns in (even, odd)], 3) for rows in (even, odd)], 2)
  return rearrange(y, 'n h p w q f -> n (h p) (w q) f')
