"""The quality discriminator: tells generated mouths from filmed ones, one frame at a time."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.activations import leaky_relu
from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import AnyArray, Size, pair, symmetric
from lpips_jax.models.inputs import example, lower_half_at

_KERNELS = 5, 5, 5, 3, 3  # of the levels after the first
_STRIDES: tuple[Size, ...] = ((1, 2), 2, 2, 2, 2)


class Discriminator(nn.Module):
  """Whole crops (n, h, w, 3) in [0, 1] -> log-odds (n,) of being filmed, judged by the lower half alone.

  Wav2Lip's (Prajwal et al., arXiv 2008.10010), without its last sigmoid. There is no BatchNorm: real and generated
  frames may go through it stacked. Parts are named after the released keys: `face_encoder_blocks.1.0.conv_block.0` is
  `face_encoder_blocks_1_0`.

  Attributes:
    image_size: the lower halves are resized to (image_size / 2, image_size); 96 in Wav2Lip.
    widths: channels of the seven levels.
    dtype: what convolutions compute in.
  """

  image_size: int = 96
  widths: Sequence[int] = (32, 64, 128, 256, 512, 512, 512)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, frames: Float[AnyArray, 'n h w 3']) -> Float[Array, ' n']:
    x = jnp.asarray(lower_half_at(frames, self.image_size), self.dtype)  # 48x96 x 3 at 96 px
    x = self._conv(x, self.widths[0], 7, 1, 3, 'face_encoder_blocks_0_0')
    levels = zip(self.widths[1:6], _KERNELS, _STRIDES, strict=True)
    for level, (width, kernel, stride) in enumerate(levels, 1):
      x = self._conv(x, width, kernel, stride, kernel // 2, f'face_encoder_blocks_{level}_0')
      x = self._conv(x, width, kernel, 1, kernel // 2, f'face_encoder_blocks_{level}_1')
    # 48x48, 24x24, 12x12, 6x6, 3x3. The next kernel spans what is left of the map: 3x3 at 96 px, as in Wav2Lip.
    x = self._conv(x, self.widths[6], (x.shape[-3], x.shape[-2]), 1, 0, 'face_encoder_blocks_6_0')
    x = self._conv(x, self.widths[6], 1, 1, 0, 'face_encoder_blocks_6_1')
    return at_least_float32(nn.Conv(1, (1, 1), dtype=self.dtype, name='binary_pred_0')(x)[..., 0, 0, 0])

  @staticmethod
  def example_inputs(image_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shape of one example: a frame."""
    return (example(image_size, image_size, 3),)

  def _conv(self, x: Array, features: int, kernel: Size, stride: Size, padding: int, name: str) -> Array:
    conv = nn.Conv(features, pair(kernel), pair(stride), symmetric(padding), dtype=self.dtype, name=name)
    with jax.named_scope(name):
      return leaky_relu(conv(x))
