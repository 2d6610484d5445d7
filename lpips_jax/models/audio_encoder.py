"""Speech encoders: of mel windows, which the generator, the sync expert and Wav2Lip share, and of phones.

`encoder_of` chooses the one for the form in which a network hears speech, and for how much it hears at once.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.core.constants import MEL_WINDOW
from lpips_jax.layers.shapes import AnyArray, Size
from lpips_jax.models.blocks import ConvBlock
from lpips_jax.models.global_encoder import GlobalEncoder
from lpips_jax.models.viseme_encoder import VisemeEncoder

STRIDES: tuple[Size, ...] = (1, (3, 1), 3, (3, 2))  # 80x16 -> 80x16 -> 27x16 -> 9x6 -> 3x3


class AudioEncoder(nn.Module):
  """A mel window to a vector, >= 0, or of any sign without the last ReLU.

  Wav2Lip's layer table: one convolution and `residuals[i]` residual blocks at each of the four scales, then a 3x3
  convolution over what is left and a 1x1.

  Attributes:
    widths: channels at the four scales, and of the vector.
    residuals: residual blocks at the four scales.
    last_relu: the last layer ends in a ReLU.
    dropout: share of the features before the last layer that are dropped in training.
    dtype: what convolutions compute in.
  """

  widths: Sequence[int] = (32, 64, 128, 256, 512)
  residuals: Sequence[int] = (2, 2, 2, 2)
  last_relu: bool = True
  dropout: float = 0.0
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, mels: Float[AnyArray, 'n 80 16'], train: bool) -> Float[Array, 'n {self.widths[-1]}']:
    x = jnp.asarray(mels[..., None], self.dtype)  # 80x16 x 1
    for level, (width, stride, residuals) in enumerate(zip(self.widths[:-1], STRIDES, self.residuals, strict=True)):
      x = ConvBlock(width, 3, stride, dtype=self.dtype, name=f'down_{level}')(x, train)
      for i in range(residuals):
        x = ConvBlock(width, residual=True, dtype=self.dtype, name=f'residual_{level}_{i}')(x, train)
    x = ConvBlock(self.widths[-1], padding=0, dtype=self.dtype, name='collapse')(x, train)  # 3x3 -> 1x1
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    if self.last_relu:
      return ConvBlock(self.widths[-1], 1, padding=0, dtype=self.dtype, name='head')(x, train)[..., 0, 0, :]
    return nn.Dense(self.widths[-1], dtype=self.dtype, name='head')(x[..., 0, 0, :])


class PhoneEncoder(nn.Module):
  """A window of a phone track to a vector, >= 0 unless `last_relu` is off; fields as those of `AudioEncoder`.

  Convolutions run along time alone: neighbouring rows are phones that have nothing to do with each other.
  """

  width: int = 512
  last_relu: bool = True
  dropout: float = 0.0
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, phones: Float[AnyArray, 'n 80 16'], train: bool) -> Float[Array, 'n {self.width}']:
    x = jnp.asarray(phones.swapaxes(-1, -2)[..., None, :], self.dtype)  # 16x1 x 80: time is the height
    along_time = partial(ConvBlock, self.width, (3, 1), padding=(1, 0), dtype=self.dtype)
    x = along_time(name='stem')(x, train)
    for level in range(2):  # 8x1, 4x1
      x = along_time(stride=(2, 1), name=f'down_{level}')(x, train)
      x = along_time(residual=True, name=f'residual_{level}')(x, train)
    x = ConvBlock(self.width, (x.shape[-3], x.shape[-2]), padding=0, dtype=self.dtype, name='collapse')(x, train)[
      ..., 0, 0, :
    ]
    if self.last_relu:
      return x
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return nn.Dense(self.width, dtype=self.dtype, name='head')(x)


ENCODERS: dict[str, Callable[..., nn.Module]] = {  # by the form of speech, a key of `audio.condition.CONDITIONS`
  'mel': AudioEncoder,
  'phones': lambda widths, residuals, **options: PhoneEncoder(widths[-1], **options),
  'visemes': lambda widths, residuals, **options: VisemeEncoder(widths[-1], **options),
}


def encoder_of(
  speech: str, widths: Sequence[int], residuals: Sequence[int], window: int = MEL_WINDOW, **options: Any
) -> nn.Module:
  """Returns the encoder of windows in a form of speech.

  Args:
    speech: a key of `ENCODERS`.
    widths: channels, as of `AudioEncoder`; the last is the size of the vector.
    residuals: likewise, for 'mel' alone.
    window: steps of a window; from more than 16, any form of speech is heard by a `GlobalEncoder`.
    options: fields that all encoders have: `last_relu`, `dropout`, `dtype`, `name`.
  """
  if window > MEL_WINDOW:
    return GlobalEncoder(widths[-1], **options)
  return ENCODERS[speech](widths, residuals, **options)
