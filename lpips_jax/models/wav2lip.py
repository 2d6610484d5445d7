"""Wav2Lip's generator (Prajwal et al., arXiv 2008.10010): the baseline, and home of its released weights.

A face encoder goes down to one pixel; a decoder starts from the speech code alone and is given the face at each scale.
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models.audio_encoder import AudioEncoder
from lpips_jax.models.blocks import ConvBlock, UpBlock
from lpips_jax.models.inputs import example, mel_example

IMAGE_SIZE = 96  # pixels; the strides below leave one pixel of it


class _Level(NamedTuple):
  features: int
  residuals: int


# Each level after the first halves the map: 96 -> 48 -> 24 -> 12 -> 6 -> 3.
_ENCODER = (_Level(16, 0), _Level(32, 2), _Level(64, 3), _Level(128, 2), _Level(256, 2), _Level(512, 1))
# Each level after the first doubles it: 3 -> 6 -> 12 -> 24 -> 48 -> 96.
_DECODER = (_Level(512, 1), _Level(512, 2), _Level(384, 2), _Level(256, 2), _Level(128, 2), _Level(64, 2))
AUDIO_RESIDUALS = (2, 2, 2, 1)
_CODE = 512


class Wav2Lip(nn.Module):
  """Gives a face the mouth that speaks: faces (n, 96, 96, 6), mels (n, 80, 16) -> (n, 96, 96, 3), images in [0, 1] RGB.

  The faces are the target with its lower half zeroed, then the reference. Parts are named after the released keys:
  `face_encoder_blocks.1.2.conv_block.0` is `face_encoder_blocks_1_2/conv`, its `.conv_block.1` is `.../norm`.
  """

  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, faces: Float[AnyArray, 'n h w c'], mels: Float[AnyArray, 'n 80 16'], train: bool = False
  ) -> Float[Array, 'n h w 3']:
    if faces.shape[-3:] != (IMAGE_SIZE, IMAGE_SIZE, 6):
      raise ValueError(f'Wav2Lip takes faces of shape (n, {IMAGE_SIZE}, {IMAGE_SIZE}, 6), not {faces.shape}')
    speech = AudioEncoder(residuals=AUDIO_RESIDUALS, dtype=self.dtype, name='audio_encoder')(mels, train)
    skips = self._encode(jnp.asarray(faces, self.dtype), train)
    x = self._decode(speech[..., None, None, :], skips, train)
    x = ConvBlock(32, dtype=self.dtype, name='output_block_0')(x, train)
    return nn.sigmoid(at_least_float32(nn.Conv(3, (1, 1), dtype=self.dtype, name='output_block_1')(x)))

  @staticmethod
  def example_inputs(image_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shapes of one example: a face and a window of speech."""
    return example(image_size, image_size, 6), mel_example()

  def _encode(self, x: Array, train: bool) -> list[Array]:
    """Returns the face at every scale: 96, 48, 24, 12, 6, 3 and 1 pixels."""
    skips = []
    for i, (features, residuals) in enumerate(_ENCODER):
      block = partial(ConvBlock, kernel=7, padding=3) if i == 0 else partial(ConvBlock, stride=2)
      x = block(features, dtype=self.dtype, name=f'face_encoder_blocks_{i}_0')(x, train)
      x = self._residuals(x, residuals, f'face_encoder_blocks_{i}', train)
      skips.append(x)
    x = ConvBlock(_CODE, padding=0, dtype=self.dtype, name='face_encoder_blocks_6_0')(x, train)
    return [*skips, ConvBlock(_CODE, 1, padding=0, dtype=self.dtype, name='face_encoder_blocks_6_1')(x, train)]

  def _decode(self, x: Array, skips: list[Array], train: bool) -> Array:
    """Brings the speech code (n, 1, 1, 512) to full size, meeting the face at every scale."""
    x = ConvBlock(_CODE, 1, padding=0, dtype=self.dtype, name='face_decoder_blocks_0_0')(x, train)
    x = jnp.concatenate([x, skips[-1]], -1)
    for i, ((features, residuals), skip) in enumerate(zip(_DECODER, skips[-2::-1], strict=True), 1):
      # From one pixel to 3x3 a transposed convolution is a plain one that sees a border of zeros.
      block = partial(ConvBlock, padding=2) if i == 1 else UpBlock
      x = block(features, dtype=self.dtype, name=f'face_decoder_blocks_{i}_0')(x, train)
      x = self._residuals(x, residuals, f'face_decoder_blocks_{i}', train)
      x = jnp.concatenate([x, skip], -1)
    return x

  def _residuals(self, x: Array, count: int, block: str, train: bool) -> Array:
    for j in range(1, count + 1):
      x = ConvBlock(x.shape[-1], residual=True, dtype=self.dtype, name=f'{block}_{j}')(x, train)
    return x
