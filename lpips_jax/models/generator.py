"""The LPIPS-AttnWav2Lip generator: a U-Net of residual CBAM blocks into which speech is injected by alignment modules.

arXiv 2602.00189. It has fewer levels than Wav2Lip, and speech enters at the bottleneck and again at every decoder level
below full size, so that it does not fade on its way up.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.core.constants import MEL_WINDOW
from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models.alignment import ConcatFusion, SemanticAlignment
from lpips_jax.models.audio_encoder import encoder_of
from lpips_jax.models.blocks import ConvBlock, UpBlock
from lpips_jax.models.cbam import ResidualCBAM
from lpips_jax.models.inputs import example, mel_example
from lpips_jax.models.memory import ADDRESSES, LIPS, AudioLipMemory
from lpips_jax.models.viseme_encoder import TEACHING, taught
from lpips_jax.models.warping import PAINT_BIAS, PART_CHANNELS, compose, parts_of

OUTPUTS = 'image', 'change', 'warp'
FUSIONS = {'adain': SemanticAlignment, 'concat': ConcatFusion, 'bottleneck': ConcatFusion}


class Generator(nn.Module):
  """Gives a face the mouth that speaks: faces (n, h, w, 6), mels (n, 80, steps) -> (n, h, w, 3), all images in [0, 1].

  Attributes:
    widths: channels at full size, then at each halving; image sides must be multiples of 2 ** (len(widths) - 1).
    stem_kernel: side of the first convolution's kernel, at full size.
    blocks: residual blocks of a level, in the encoder and in the decoder.
    bottleneck: fusion modules at the bottleneck.
    audio_widths: channels of the speech encoder; the last is the size of the speech code.
    audio_residuals: its residual blocks at each of four scales.
    attention: CBAM in the residual blocks; False is the paper's ablation.
    fusion: how speech enters: 'adain' (semantic alignment), 'concat' (in the same places), or 'bottleneck'
      (concatenation at the bottleneck alone).
    speech: the form in which it hears speech, a key of `audio.condition.CONDITIONS`.
    speech_window: steps of 12.5 ms that it hears at once; from more than 16 a `GlobalEncoder` makes the speech code.
    taught_by_sound: for visemes: in training it hears the mel beside them, by an `audio_encoder` of its own.
    memory_slots: slots of a memory from which speech recalls lips (`models.memory`); 0 for none.
    contrast: size of the features, made of the speech code in training, that are compared with a lip reader's of the
      same frame (TalkLip); 0 for none.
    landmarks: how many numbers that describe the shape of the mouth are told from the speech code in training
      (Text2Lip); 0 for none.
    output: how the face is made. 'image' paints it whole, as in the paper. 'change' starts from the target's upper half
      over the reference's lower half and learns the change to it. 'warp' moves the pixels of that image, and paints
      only what they do not show (`models.warping`).
    paint_bias: of 'warp': the log-odds of a pixel being painted before anything is learnt.
    dtype: what convolutions compute in.
  """

  widths: Sequence[int] = (32, 64, 128, 256, 512)
  stem_kernel: int = 7
  blocks: int = 2
  bottleneck: int = 2
  audio_widths: Sequence[int] = (32, 64, 128, 256, 512)
  audio_residuals: Sequence[int] = (2, 2, 2, 1)
  attention: bool = True
  fusion: str = 'adain'
  speech: str = 'mel'
  speech_window: int = MEL_WINDOW
  taught_by_sound: bool = False
  memory_slots: int = 0
  contrast: int = 0
  landmarks: int = 0
  output: str = 'image'
  paint_bias: float = PAINT_BIAS
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    faces: Float[AnyArray, 'n h w 6'],
    mels: Float[AnyArray, 'n 80 steps'],
    train: bool = False,
    parts: bool = False,
    beside: Mapping[str, AnyArray] | None = None,
  ) -> Float[Array, 'm h w out']:
    """Returns images; with `parts`, if the network warps, what `models.warping.parts_of` returns instead.

    Beside faces and speech it is given in training alone what `training_inputs` names: `mel`, (n, 80, steps), and
    `replaced`, (n,) bool, see `models.viseme_encoder.taught`; `lips`, (windows, c), with which it makes the
    images of both codes of `models.memory.AudioLipMemory`, (2 n, h, w, out).
    """
    z = self._speech_code(mels, train, beside or {})  # (n, 512): shapes are those of the defaults at 96 pixels
    if train or self.is_initializing():
      self._tell_from_speech(z)
    if self.memory_slots:
      recalled = (beside or {}).get
      z = AudioLipMemory(self.memory_slots, self.dtype, name='memory')(z, recalled(LIPS), recalled(ADDRESSES))

    edge = partial(ConvBlock, self.widths[0], dtype=self.dtype)
    stem = edge(self.stem_kernel, padding=self.stem_kernel // 2, name='stem')
    x = stem(jnp.asarray(faces, self.dtype), train)  # 96² x 32
    skips = [x]
    for level, width in enumerate(self.widths[1:], 1):  # 48² x 64, 24² x 128, 12² x 256, 6² x 512
      x = ConvBlock(width, stride=2, dtype=self.dtype, name=f'down_{level}')(x, train)
      x = self._residual_blocks(x, f'encoder_{level}', train)
      skips.append(x)

    if z.shape[0] > faces.shape[0]:  # a second code of the same faces
      faces, *skips = (jnp.concatenate([each, each]) for each in (faces, *skips))
    x = skips.pop()
    for i in range(self.bottleneck):
      x = self._fuse(x, z, f'bottleneck_{i}', train)  # 6² x 512

    # At full size the width of the level below is kept, and no speech enters any more.
    decoder_widths = (*self.widths[-2:0:-1], self.widths[1])  # 256, 128, 64, 64
    for level, width in zip(range(len(skips), 0, -1), decoder_widths, strict=True):
      x = UpBlock(width, dtype=self.dtype, name=f'up_{level}')(x, train)
      x = self._residual_blocks(x, f'decoder_{level}', train)
      if level > 1 and self.fusion != 'bottleneck':
        x = self._fuse(x, z, f'fusion_{level}', train)
      x = jnp.concatenate([x, skips.pop()], -1)  # 12² x 512, 24² x 256, 48² x 128, 96² x 96

    x = edge(name='head')(x, train)  # 96² x 32
    if self.output == 'image':
      return nn.sigmoid(at_least_float32(nn.Conv(3, (1, 1), dtype=self.dtype, name='to_rgb')(x)))  # 96² x 3
    change = self.param('change', nn.initializers.zeros, (x.shape[-1], PART_CHANNELS if self.output == 'warp' else 3))
    change = at_least_float32(x) @ change
    if self.output == 'change':
      return nn.sigmoid(_logit(_reference_below_target(faces)) + change)
    described = parts_of(change, self.paint_bias)
    return described if parts else compose(described, _reference_below_target(faces))

  def example_inputs(self, image_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shapes of one example: a face and a window of speech."""
    return example(image_size, image_size, 6), mel_example(self.speech_window)

  @property
  def training_inputs(self) -> tuple[str, ...]:
    """The names of what it is given in training alone: the keys of `beside`."""
    return (*(TEACHING if self.taught_by_sound else ()), *((LIPS,) if self.memory_slots else ()))

  @property
  def training_modules(self) -> tuple[str, ...]:
    """The names of its parts that are of no use afterwards."""
    return (*(('audio_encoder',) if self.taught_by_sound else ()), *map(_head, self._told_from_speech))

  @property
  def _told_from_speech(self) -> dict[str, int]:
    """The sizes of what dense layers make of the speech code for losses alone, by their names."""
    return {name: size for name in ('contrast', 'landmarks') if (size := getattr(self, name))}

  def _speech_code(self, mels: AnyArray, train: bool, beside: Mapping[str, AnyArray]) -> Array:
    if not self.taught_by_sound:
      return self._encoder(self.speech, 'audio_encoder')(mels, train)
    code = self._encoder(self.speech, 'viseme_encoder')(mels, train)
    of_sound = self._encoder('mel', 'audio_encoder')
    if self.is_initializing():
      of_sound(jnp.zeros_like(mels), train)
    return taught(self, code, of_sound(beside['mel'], train), beside['replaced']) if TEACHING[0] in beside else code

  def _encoder(self, speech: str, name: str) -> nn.Module:
    widths, residuals, window = self.audio_widths, self.audio_residuals, self.speech_window
    return encoder_of(speech, widths, residuals, window, dtype=self.dtype, name=name)

  def _tell_from_speech(self, z: Array) -> None:
    for name, size in self._told_from_speech.items():
      told = nn.Dense(size, dtype=self.dtype, name=_head(name))(z)
      if not self.is_initializing():
        self.sow('losses', name, told)

  def _residual_blocks(self, x: Array, name: str, train: bool) -> Array:
    for i in range(self.blocks):
      x = ResidualCBAM(self.attention, dtype=self.dtype, name=f'{name}_{i}')(x, train)
    return x

  def _fuse(self, x: Array, z: Array, name: str, train: bool) -> Array:
    return FUSIONS[self.fusion](dtype=self.dtype, name=name)(x, z, train)


def _head(name: str) -> str:
  """The name of the layer that tells something from the speech code."""
  return f'{name}_head'


def _reference_below_target(faces: AnyArray) -> Array:
  """The target's upper half over the reference's lower half: (n, h, w, 6) -> (n, h, w, 3)."""
  middle = faces.shape[-3] // 2
  return jnp.concatenate([faces[..., :middle, :, :3], faces[..., middle:, :, 3:]], -3)


def _logit(p: Array) -> Array:
  """The inverse of the sigmoid, clipped where its slope would make black and white pixels hard to change."""
  p = jnp.clip(p, 0.02, 0.98)
  return jnp.log(p) - jnp.log1p(-p)
