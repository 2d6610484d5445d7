"""The sync expert: tells from five frames of a mouth and 0.2 s of speech whether they belong together.

Wav2Lip's SyncNet_color with the lower halves of five crops stacked along the channels, so that its released weights
fit (full widths, `contrastive=False`). Narrower and contrastive variants train reliably from scratch.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.layers.normalisation import unit_length
from lpips_jax.layers.shapes import AnyArray, Size
from lpips_jax.models.audio_encoder import encoder_of
from lpips_jax.models.blocks import ConvBlock
from lpips_jax.models.inputs import example, lower_half_at, mel_example, mouth_at

VIEWS = {'lower_half': lower_half_at, 'mouth': mouth_at}
FACE_STRIDES: tuple[Size, ...] = ((1, 2), 2, 2, 2, 2)


class SyncExpert(nn.Module):
  """frames (n, 5, h, w, 3) whole crops in [0, 1], speech (n, 80, 16) -> two L2-normalised embeddings (n, d).

  Attributes:
    image_size: the lower halves are resized to (image_size / 2, image_size); 96 in Wav2Lip.
    stem_kernel: side of the face encoder's first kernel.
    face_widths: channels of its seven scales.
    face_residuals: residual blocks at the five scales after the first.
    audio_widths: channels of the speech encoder; the last widths of both are the embedding size d.
    audio_residuals: its residual blocks at each of four scales, for 'mel' alone.
    speech: the form in which it hears speech, a key of `audio.condition.CONDITIONS`; phones are alike for all voices.
    contrastive: embeddings of any sign whose cosine goes through a learnt scale and bias before it is a probability.
      Otherwise they end in a ReLU, and the cosine, then in [0, 1], is the probability itself, as in Wav2Lip.
    view: 'lower_half' of the crops, as in Wav2Lip, or 'mouth', which is less than half of that: few faces teach more
      when there is no background to memorise.
    dropout: share of the features before the last layers that are dropped in training, under the key `dropout`.
    dtype: what convolutions compute in.
  """

  image_size: int = 96
  stem_kernel: int = 7
  face_widths: Sequence[int] = (32, 64, 128, 256, 512, 512, 512)
  face_residuals: Sequence[int] = (2, 3, 2, 2, 0)
  audio_widths: Sequence[int] = (32, 64, 128, 256, 512)
  audio_residuals: Sequence[int] = (2, 2, 2, 2)
  contrastive: bool = False
  speech: str = 'mel'
  view: str = 'lower_half'
  dropout: float = 0.0
  dtype: DTypeLike = jnp.float32

  def setup(self) -> None:
    self.face_encoder = FaceEncoder(
      self.face_widths,
      self.face_residuals,
      self.stem_kernel,
      last_relu=not self.contrastive,
      dropout=self.dropout,
      dtype=self.dtype,
    )
    self.audio_encoder = encoder_of(
      self.speech,
      self.audio_widths,
      self.audio_residuals,
      last_relu=not self.contrastive,
      dropout=self.dropout,
      dtype=self.dtype,
    )
    if self.contrastive:
      self.log_scale = self.param('log_scale', nn.initializers.constant(jnp.log(10.0)), ())
      self.bias = self.param('bias', nn.initializers.constant(-5.0), ())

  def __call__(
    self, frames: Float[AnyArray, 'n 5 h w 3'], speech: Float[AnyArray, 'n 80 16'], train: bool = False
  ) -> tuple[Float[Array, 'n d'], Float[Array, 'n d']]:
    return self.embed_faces(frames, train), self.embed_speech(speech, train)

  @staticmethod
  def example_inputs(image_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shapes of one example: a window of frames and one of speech."""
    return example(WINDOW_FRAMES, image_size, image_size, 3), mel_example()

  def embed_faces(self, frames: Float[AnyArray, 'n 5 h w 3'], train: bool = False) -> Float[Array, 'n d']:
    """Embeds windows of five whole crops in [0, 1]; embeddings have unit length."""
    seen = jnp.asarray(VIEWS[self.view](frames, self.image_size))
    return unit_length(self.face_encoder(rearrange(seen, 'n t h w c -> n h w (t c)'), train))

  def embed_speech(self, speech: Float[AnyArray, 'n 80 16'], train: bool = False) -> Float[Array, 'n d']:
    """Embeds windows of speech; embeddings have unit length."""
    return unit_length(self.audio_encoder(speech, train))

  def logits(self, cosine: Float[AnyArray, '*s']) -> Float[Array, '*s']:
    """The log-odds of being in sync, given the cosine of the two embeddings.

    For the classic expert, whose cosine is the probability, they lie between -16.1 and 13.8.
    """
    if self.contrastive:
      return jnp.exp(self.log_scale) * cosine + self.bias
    # Clipped where float32 still resolves log p and log(1 - p).
    p = jnp.clip(cosine, 1e-7, 1 - 1e-6)
    return jnp.log(p) - jnp.log1p(-p)


class FaceEncoder(nn.Module):
  """Five mouths, stacked along the channels, to a vector: Wav2Lip's layer table."""

  widths: Sequence[int]
  residuals: Sequence[int]
  stem_kernel: int = 7
  last_relu: bool = True
  dropout: float = 0.0
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w 15'], train: bool) -> Float[Array, 'n {self.widths[-1]}']:
    stem = ConvBlock(self.widths[0], self.stem_kernel, padding=self.stem_kernel // 2, dtype=self.dtype, name='stem')
    x = stem(x.astype(self.dtype), train)
    levels = zip(self.widths[1:6], FACE_STRIDES, self.residuals, strict=True)
    for level, (width, stride, residuals) in enumerate(levels):
      x = ConvBlock(width, 5 if level == 0 else 3, stride, dtype=self.dtype, name=f'down_{level}')(x, train)
      for i in range(residuals):
        x = ConvBlock(width, residual=True, dtype=self.dtype, name=f'residual_{level}_{i}')(x, train)
    # 48x48, 24x24, 12x12, 6x6, 3x3. The next kernel spans what is left of the map: 3x3 at 96 px, as in Wav2Lip.
    x = ConvBlock(self.widths[6], (x.shape[-3], x.shape[-2]), padding=0, dtype=self.dtype, name='collapse')(x, train)
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    if self.last_relu:
      return ConvBlock(self.widths[6], 1, padding=0, dtype=self.dtype, name='head')(x, train)[..., 0, 0, :]
    return nn.Dense(self.widths[6], dtype=self.dtype, name='head')(x[..., 0, 0, :])
