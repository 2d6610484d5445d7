"""SyncNet v2 (Chung and Zisserman, "Out of time", ACCV 2016 Workshops), by which LSE-C and LSE-D are measured.

Its first convolution spans all five frames, so that all convolutions are plain ones over images: frames are stacked
along the channels. Parts are named after the released keys: `netcnnlip.4` is `lip/cnn_4`. For inference alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Real

from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.layers.normalisation import BatchNorm
from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import AnyArray, Size, pair, symmetric
from lpips_jax.models.inputs import example

IMAGE_SIZE = 224
MFCCS = 13, 20  # coefficients, and columns of them in 0.2 s
EMBEDDING_SIZE = 1024


class _Conv(NamedTuple):
  """A convolution, with BatchNorm and ReLU after it, at a place in the released list of layers."""

  place: int
  features: int
  kernel: Size = 3
  stride: Size = 1
  padding: Size = 1


class _Pool(NamedTuple):
  kernel: Size
  stride: Size
  padding: Size = 0


_LIPS = (
  _Conv(0, 96, 7, 2, 0),
  _Pool(3, 2),
  _Conv(4, 256, 5, 2, 1),
  _Pool(3, 2, 1),
  _Conv(8, 256),
  _Conv(11, 256),
  _Conv(14, 256),
  _Pool(3, 2),
  _Conv(18, 512, 6, 1, 0),
)
_SPEECH = (
  _Conv(0, 64),
  _Conv(4, 192),
  _Pool(3, (1, 2)),
  _Conv(8, 384),
  _Conv(11, 256),
  _Conv(14, 256),
  _Pool(3, 2),
  _Conv(18, 512, (5, 4), 1, 0),
)


class SyncNet(nn.Module):
  """frames (n, 5, 224, 224, 3) RGB in [0, 255], MFCCs (n, 13, 20) -> two embeddings (n, 1024), not normalised."""

  dtype: DTypeLike = jnp.float32

  def setup(self) -> None:
    self.lip = _Branch(_LIPS, dtype=self.dtype)
    self.aud = _Branch(_SPEECH, dtype=self.dtype)

  def __call__(
    self, frames: Real[AnyArray, 'n 5 224 224 3'], mfccs: Float[AnyArray, 'n 13 20']
  ) -> tuple[Float[Array, 'n 1024'], Float[Array, 'n 1024']]:
    return self.embed_faces(frames), self.embed_speech(mfccs)

  @staticmethod
  def example_inputs(image_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shapes of one example: a window of frames and one of speech."""
    return example(WINDOW_FRAMES, image_size, image_size, 3), example(*MFCCS)

  def embed_faces(self, frames: Real[AnyArray, 'n 5 224 224 3']) -> Float[Array, 'n 1024']:
    """Embeds windows of frames, RGB in [0, 255]."""
    return self.lip(rearrange(frames, 'n t h w c -> n h w (t c)'))

  def embed_speech(self, mfccs: Float[AnyArray, 'n 13 20']) -> Float[Array, 'n 1024']:
    """Embeds windows of speech, as MFCCs."""
    return self.aud(mfccs[..., None])


class _Branch(nn.Module):
  """Convolutions down to one position, then two dense layers."""

  layers: Sequence[_Conv | _Pool]
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Real[AnyArray, 'n h w c']) -> Float[Array, 'n 1024']:
    x = jnp.asarray(x, self.dtype)
    for layer in self.layers:
      kernel, stride, padding = pair(layer.kernel), pair(layer.stride), symmetric(layer.padding)
      if isinstance(layer, _Pool):
        x = nn.max_pool(x, kernel, stride, padding)
      else:
        x = nn.Conv(layer.features, kernel, stride, padding, dtype=self.dtype, name=f'cnn_{layer.place}')(x)
        x = self._normalised(x, f'cnn_{layer.place + 1}')
    x = nn.Dense(512, dtype=self.dtype, name='fc_0')(x[..., 0, 0, :])
    return at_least_float32(nn.Dense(EMBEDDING_SIZE, dtype=self.dtype, name='fc_3')(self._normalised(x, 'fc_1')))

  def _normalised(self, x: Array, name: str) -> Array:
    return BatchNorm(rectify=True, dtype=self.dtype, name=name)(x, use_running_average=True)
