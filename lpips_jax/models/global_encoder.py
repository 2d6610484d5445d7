"""The speech encoder that hears what is said around a frame: TalkLip's global audio encoder.

Wang et al., arXiv 2303.17480: the generator is given what a transformer over the whole clip says of the frame, and so
knows which sounds come before and after. Theirs is AV-HuBERT's, of the whole clip; here the clip is a window around the
frame, so that long films, live speech and batches of any frames stay possible.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.core.constants import MEL_WINDOW
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models.blocks import speech_code
from lpips_jax.models.transformer import Transformer

STACKED = 4  # steps that make one vector of the transformer, 50 ms


class GlobalEncoder(nn.Module):
  """A long window of any form of speech to a vector, >= 0, or of any sign without the last ReLU.

  Every four steps become a vector, a transformer lets these see each other, and what it makes of the middle 0.2 s, all
  that other encoders hear, becomes the speech code.

  Attributes:
    width: size of the vector.
    last_relu: the last layer ends in a ReLU.
    dropout: share of the features before the last layer that are dropped in training.
    transformer_width: of the transformer.
    layers, heads: of the transformer.
    position_kernel: vectors of the transformer that its positional convolution sees.
    dtype: what is multiplied.
  """

  width: int = 512
  last_relu: bool = True
  dropout: float = 0.0
  transformer_width: int = 128
  layers: int = 2
  heads: int = 4
  position_kernel: int = 15
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, speech: Float[AnyArray, 'n 80 steps'], train: bool) -> Float[Array, 'n {self.width}']:
    n, columns, steps = speech.shape
    stacked = speech.swapaxes(-1, -2).reshape(n, steps // STACKED, STACKED * columns)
    x = nn.Dense(self.transformer_width, dtype=self.dtype, name='embedding')(jnp.asarray(stacked, self.dtype))
    x = Transformer(
      self.layers, self.heads, 4 * self.transformer_width, self.position_kernel, 1, dtype=self.dtype, name='transformer'
    )(x, train=train)
    first = (steps - MEL_WINDOW) // 2 // STACKED
    middle = x[:, first : first + MEL_WINDOW // STACKED].reshape(n, -1)
    return speech_code(middle, self.width, self.last_relu, self.dropout, self.dtype, train)
