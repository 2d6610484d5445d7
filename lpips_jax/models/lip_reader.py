"""A network that reads lips: from the frames of a clip to what is said in them, letter by letter or sound by sound.

The front end is Stafylakis and Tzimiropoulos's (arXiv 1703.04105), the transformer HuBERT's, and connectionist temporal
classification lets it learn from unaligned text (Graves et al., 2006), as readers of LRS2 do (Afouras et al., arXiv
1809.02108). TalkLip judges generated lips by such a reader (Wang et al., arXiv 2303.17480).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Real

from lpips_jax.audio.alphabets import ALPHABETS
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models.inputs import example, mouth_crop
from lpips_jax.models.lip_front_end import LipFrontEnd
from lpips_jax.models.transformer import Transformer, layer_norm


class LipReader(nn.Module):
  """frames (n, t, h, w, 3), whole crops -> log-odds of the label of each frame, (n, t, classes), float32.

  Class 0 is the blank; the others are the symbols of the alphabet. What lies past a clip's end does not change the
  log-odds of its frames.

  Attributes:
    alphabet: a key of `audio.alphabets.ALPHABETS`: what it writes.
    mouth_size: side of the mouths it sees; crops may have any size.
    stem_width, stem_kernel, lip_widths, lip_depths: of the front end: see `LipFrontEnd`.
    width: of the transformer.
    layers, heads, hidden, position_kernel, position_groups, dropout: of it: see `Transformer`.
    dtype: what is multiplied.
  """

  alphabet: str = 'characters'
  mouth_size: int = 88
  stem_width: int = 64
  stem_kernel: int = 7
  lip_widths: Sequence[int] = (64, 128, 256, 512)
  lip_depths: Sequence[int] = (2, 2, 2, 2)
  width: int = 512
  layers: int = 6
  heads: int = 8
  hidden: int = 2048
  position_kernel: int = 128
  position_groups: int = 16
  dropout: float = 0.0
  dtype: DTypeLike = jnp.float32

  def setup(self) -> None:
    self.lips = LipFrontEnd(self.stem_width, self.stem_kernel, self.lip_widths, self.lip_depths, self.dtype)
    self.lips_norm = layer_norm(self.dtype)
    self.from_lips = nn.Dense(self.width, dtype=self.dtype)
    self.transformer = Transformer(
      self.layers,
      self.heads,
      self.hidden,
      self.position_kernel,
      self.position_groups,
      self.dropout,
      self.dtype,
    )
    self.head = nn.Dense(len(ALPHABETS[self.alphabet]))

  def __call__(
    self, frames: Real[AnyArray, 'n t h w 3'], length: Int[AnyArray, ' n'] | None = None, train: bool = False
  ) -> Float[Array, 'n t c']:
    """Returns the log-odds of each frame's label.

    Args:
      frames: crops of whole faces, uint8 or in [0, 1].
      length: frames that are real; the rest is padding, and its log-odds mean nothing. None if all are.
      train: whether BatchNorm takes the batch's statistics, and features are dropped, under the key `dropout`.
    """
    return self.head(jnp.asarray(self.features(frames, length, train)[0], jnp.float32))

  @staticmethod
  def example_inputs(image_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shape of one example: a second of crops."""
    return (example(FRAME_RATE, image_size, image_size, 3),)

  def features(
    self, frames: Real[AnyArray, 'n t h w 3'], length: Int[AnyArray, ' n'] | None = None, train: bool = False
  ) -> tuple[Float[Array, 'n t {self.width}'], Float[Array, 'n t {self.width}']]:
    """Returns what the transformer makes of each frame, with the whole clip in view, and what entered it, with five.

    Arguments as for calling it.
    """
    seen = self.from_lips(self.lips_norm(self.lips(mouth_crop(frames, self.mouth_size), length, train)))
    return self.transformer(seen, length, train), seen
