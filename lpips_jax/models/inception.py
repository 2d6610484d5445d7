"""Inception-v3 (Szegedy et al., arXiv 1512.00567) whose features the Fréchet inception distance compares.

It is laid out for TensorFlow's weights of 2015: as torchvision's, except that average pools do not count what they pad,
and that the last block pools maxima. Parts have torchvision's names. For inference alone.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.shapes import AnyArray, Size, pair, symmetric
from lpips_jax.models.inputs import example

IMAGE_SIZE = 299
FEATURES = 2048
average_pool = partial(nn.avg_pool, window_shape=(3, 3), strides=(1, 1), padding=symmetric(1), count_include_pad=False)
max_pool = partial(nn.max_pool, window_shape=(3, 3), strides=(1, 1), padding=symmetric(1))
halving_pool = partial(nn.max_pool, window_shape=(3, 3), strides=(2, 2))


class BasicConv(nn.Module):
  """ReLU(BN(conv(x)))."""

  features: int
  kernel: Size = 1
  stride: Size = 1
  padding: Size = 0

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 {self.features}']:
    kernel, stride, padding = pair(self.kernel), pair(self.stride), symmetric(self.padding)
    x = nn.Conv(self.features, kernel, stride, padding, use_bias=False, name='conv')(x)
    return BatchNorm(rectify=True, epsilon=1e-3, name='bn')(x, use_running_average=True)


class Inception(nn.Module):
  """images (n, h, w, 3) RGB in [0, 1], of any size -> features (n, 2048), in float32 whatever `dtype` says."""

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, images: Float[AnyArray, 'n h w 3']) -> Float[Array, 'n 2048']:
    shape = (*images.shape[:-3], IMAGE_SIZE, IMAGE_SIZE, 3)
    x = 2 * jax.image.resize(images.astype(jnp.float32), shape, 'linear', antialias=False) - 1
    x = BasicConv(32, 3, 2, name='Conv2d_1a_3x3')(x)
    x = BasicConv(32, 3, name='Conv2d_2a_3x3')(x)
    x = halving_pool(BasicConv(64, 3, padding=1, name='Conv2d_2b_3x3')(x))
    x = BasicConv(80, name='Conv2d_3b_1x1')(x)
    x = halving_pool(BasicConv(192, 3, name='Conv2d_4a_3x3')(x))
    for name, pooled in (('Mixed_5b', 32), ('Mixed_5c', 64), ('Mixed_5d', 64)):
      x = MixedA(pooled, name=name)(x)
    x = MixedB(name='Mixed_6a')(x)
    for name, width in (('Mixed_6b', 128), ('Mixed_6c', 160), ('Mixed_6d', 160), ('Mixed_6e', 192)):
      x = MixedC(width, name=name)(x)
    x = MixedD(name='Mixed_7a')(x)
    x = MixedE(name='Mixed_7b')(x)
    x = MixedE(maxima=True, name='Mixed_7c')(x)
    return x.mean((-3, -2))

  @staticmethod
  def example_inputs(image_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shape of one example: an image."""
    return (example(image_size, image_size, 3),)


class MixedA(nn.Module):
  """35x35 maps: kernels of 1, 5, twice 3, and a pool (their figure 5): (n, 35, 35, c) -> (n, 35, 35, 224 + pooled)."""

  pooled: int

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c2']:
    five = BasicConv(48, name='branch5x5_1')(x)
    five = BasicConv(64, 5, padding=2, name='branch5x5_2')(five)
    three = BasicConv(64, name='branch3x3dbl_1')(x)
    three = BasicConv(96, 3, padding=1, name='branch3x3dbl_2')(three)
    three = BasicConv(96, 3, padding=1, name='branch3x3dbl_3')(three)
    one, pool = BasicConv(64, name='branch1x1')(x), BasicConv(self.pooled, name='branch_pool')(average_pool(x))
    return jnp.concatenate([one, five, three, pool], -1)


class MixedB(nn.Module):
  """From 35x35 to 17x17: (n, 35, 35, 288) -> (n, 17, 17, 768)."""

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w 288']) -> Float[Array, 'n h2 w2 768']:
    twice = BasicConv(64, name='branch3x3dbl_1')(x)
    twice = BasicConv(96, 3, padding=1, name='branch3x3dbl_2')(twice)
    twice = BasicConv(96, 3, 2, name='branch3x3dbl_3')(twice)
    return jnp.concatenate([BasicConv(384, 3, 2, name='branch3x3')(x), twice, halving_pool(x)], -1)


class MixedC(nn.Module):
  """17x17 maps: kernels of 7, as rows and columns, once and twice (their figure 6): (n, 17, 17, 768), same out."""

  width: int

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w 768']) -> Float[Array, 'n h w 768']:
    once = self._chain(x, 'branch7x7', 'rc')
    twice = self._chain(x, 'branch7x7dbl', 'crcr')
    one, pool = BasicConv(192, name='branch1x1')(x), BasicConv(192, name='branch_pool')(average_pool(x))
    return jnp.concatenate([one, once, twice, pool], -1)

  def _chain(self, x: Array, branch: str, directions: str) -> Array:
    """A 1x1 convolution, then kernels along rows (r) and columns (c)."""
    x = BasicConv(self.width, name=f'{branch}_1')(x)
    for k, direction in enumerate(directions, 2):
      kernel, padding = ((1, 7), (0, 3)) if direction == 'r' else ((7, 1), (3, 0))
      width = 192 if k > len(directions) else self.width
      x = BasicConv(width, kernel, padding=padding, name=f'{branch}_{k}')(x)
    return x


class MixedD(nn.Module):
  """From 17x17 to 8x8: (n, 17, 17, 768) -> (n, 8, 8, 1280)."""

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w 768']) -> Float[Array, 'n h2 w2 1280']:
    three = BasicConv(192, name='branch3x3_1')(x)
    three = BasicConv(320, 3, 2, name='branch3x3_2')(three)
    seven = BasicConv(192, name='branch7x7x3_1')(x)
    seven = BasicConv(192, (1, 7), padding=(0, 3), name='branch7x7x3_2')(seven)
    seven = BasicConv(192, (7, 1), padding=(3, 0), name='branch7x7x3_3')(seven)
    seven = BasicConv(192, 3, 2, name='branch7x7x3_4')(seven)
    return jnp.concatenate([three, seven, halving_pool(x)], -1)


class MixedE(nn.Module):
  """8x8 maps, branches that fork into rows and columns (their figure 7): (n, 8, 8, c) -> (n, 8, 8, 2048)."""

  maxima: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w 2048']:
    three = BasicConv(384, name='branch3x3_1')(x)
    twice = BasicConv(448, name='branch3x3dbl_1')(x)
    twice = BasicConv(384, 3, padding=1, name='branch3x3dbl_2')(twice)
    one = BasicConv(320, name='branch1x1')(x)
    pool = BasicConv(192, name='branch_pool')(max_pool(x) if self.maxima else average_pool(x))
    return jnp.concatenate([one, *self._fork(three, 'branch3x3_2'), *self._fork(twice, 'branch3x3dbl_3'), pool], -1)

  def _fork(self, x: Array, name: str) -> tuple[Array, Array]:
    return (
      BasicConv(384, (1, 3), padding=(0, 1), name=f'{name}a')(x),
      BasicConv(384, (3, 1), padding=(1, 0), name=f'{name}b')(x),
    )
