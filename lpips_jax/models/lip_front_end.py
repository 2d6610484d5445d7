"""The first layers of networks that read lips: a convolution over five frames, then a residual network frame by frame.

Stafylakis and Tzimiropoulos, arXiv 1703.04105, with the sizes of AV-HuBERT (Shi et al., arXiv 2201.02184): the first
convolution is over space and time, the trunk is ResNet-18 (He et al., arXiv 1512.03385) with PReLUs.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from einops import rearrange
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.shapes import AnyArray, symmetric
from lpips_jax.models.transformer import within

STEM_FRAMES = 5


class LipFrontEnd(nn.Module):
  """Grey mouths (n, t, h, w), as `models.inputs.mouth_crop` returns them -> one vector a frame, (n, t, widths[-1]).

  Attributes:
    stem_width: channels of the first convolution.
    stem_kernel: its side.
    widths: channels of the trunk's levels; each after the first halves the sides.
    depths: its residual blocks at each level.
    dtype: what convolutions compute in.
  """

  stem_width: int = 64
  stem_kernel: int = 7
  widths: Sequence[int] = (64, 128, 256, 512)
  depths: Sequence[int] = (2, 2, 2, 2)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, mouths: Float[AnyArray, 'n t h w'], length: Int[AnyArray, ' n'] | None = None, train: bool = False
  ) -> Float[Array, 'n t {self.widths[-1]}']:
    """Returns the features of all frames; `length` says how many of a clip's are real, None that all are."""
    real = within(length, mouths.shape[1])
    if real is not None:  # as what lies beyond a clip's ends, which is not there, has to be nothing
      mouths = jnp.where(real[..., None, None], mouths, 0)
    x = rearrange(five_frames(jnp.asarray(mouths, self.dtype)), 'n t h w k -> (n t) h w k')
    padding = symmetric(self.stem_kernel // 2)
    kernel = self.stem_kernel, self.stem_kernel
    x = nn.Conv(self.stem_width, kernel, 2, padding, use_bias=False, dtype=self.dtype, name='stem')(x)
    x = PReLU(name='stem_prelu')(BatchNorm(dtype=self.dtype, name='stem_norm')(x, not train))
    x = max_pool_3x3(x)
    for level, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
      for number in range(depth):
        stride = 2 if level and not number else 1
        x = BasicBlock(width, stride, self.dtype, name=f'level_{level}_{number}')(x, train)
    return x.mean((1, 2)).reshape(*mouths.shape[:2], -1)


class BasicBlock(nn.Module):
  """PReLU(shortcut(x) + BN(conv(PReLU(BN(conv(x)))))); the shortcut is a convolution where the shape changes."""

  features: int
  stride: int = 1
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[AnyArray, 'n h w c'], train: bool) -> Float[Array, 'n h2 w2 {self.features}']:
    def conv(name: str, kernel: int, stride: int, x: AnyArray) -> Array:
      padding = symmetric(kernel // 2)
      y = nn.Conv(self.features, (kernel, kernel), stride, padding, use_bias=False, dtype=self.dtype, name=name)(x)
      return BatchNorm(dtype=self.dtype, name=f'{name}_norm')(y, not train)

    y = PReLU(name='prelu_0')(conv('conv_0', 3, self.stride, x))
    y = conv('conv_1', 3, 1, y)
    if self.stride != 1 or x.shape[-1] != self.features:
      x = conv('shortcut', 1, self.stride, x)
    return PReLU(name='prelu_1')(x + y)


class PReLU(nn.Module):
  """x where it is positive, elsewhere x times a learnt slope of its channel (He et al., arXiv 1502.01852)."""

  @nn.compact
  def __call__(self, x: Float[AnyArray, '*b c']) -> Float[Array, '*b c']:
    slope = self.param('slope', nn.initializers.constant(0.25), x.shape[-1:])
    return jnp.where(x >= 0, x, slope.astype(x.dtype) * x)


def five_frames(frames: Float[AnyArray, 'n t h w']) -> Float[Array, 'n t h w 5']:
  """Stacks each frame, the two before and the two after it; zeros stand for those that are not there.

  A 2-D convolution of these equals a 3-D one of the frames whose kernel spans five.
  """
  reach = STEM_FRAMES // 2
  padded = jnp.pad(frames, ((0, 0), (reach, reach), (0, 0), (0, 0)))
  return jnp.stack([padded[:, k : k + frames.shape[1]] for k in range(STEM_FRAMES)], -1)


def max_pool_3x3(x: Float[AnyArray, 'n h w c']) -> Float[Array, 'n (h+1)//2 (w+1)//2 c']:
  """`nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))`, with a gradient that is fast on CPUs: see `layers.pooling`."""
  height, width = x.shape[1:3]
  rows, columns = (height + 1) // 2, (width + 1) // 2
  padding = (1, 2 * rows - height), (1, 2 * columns - width)
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-jnp.inf)
  x = jnp.maximum(jnp.maximum(x[:, 0 : 2 * rows : 2], x[:, 1 : 2 * rows : 2]), x[:, 2 : 2 * rows + 1 : 2])
  return jnp.maximum(
    jnp.maximum(x[:, :, 0 : 2 * columns : 2], x[:, :, 1 : 2 * columns : 2]), x[:, :, 2 : 2 * columns + 1 : 2]
  )
