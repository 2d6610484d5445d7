"""The encoder of visemes, which stands for that of sound: Text2Lip's pseudo-audio.

Wang et al., arXiv 2508.02362: a transformer over the visemes of a text gives a generator what the sound would have
given it. The paper's code and sizes are not public; those here are the smallest that the embedded corpus needs.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models.blocks import speech_code
from lpips_jax.models.transformer import Transformer, layer_norm

TEACHING = 'mel', 'replaced'  # what a generator of visemes is given in training to be taught by sound


class VisemeEncoder(nn.Module):
  """A window of a viseme track to a vector, >= 0, or of any sign without the last ReLU.

  Each of the 16 slots of 12.5 ms is embedded with its place in the window, a transformer lets them see each other, and
  learnt queries pool what they have become.

  Attributes:
    width: size of the vector.
    last_relu: the last layer ends in a ReLU.
    dropout: share of the features before the last layer that are dropped in training.
    embedding: size of a slot's embedding.
    transformer_width: of the transformer.
    layers, heads: of the transformer.
    queries: number of the pooling.
    dtype: what is multiplied.
  """

  width: int = 512
  last_relu: bool = True
  dropout: float = 0.0
  embedding: int = 64
  transformer_width: int = 128
  layers: int = 2
  heads: int = 4
  queries: int = 4
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, visemes: Float[AnyArray, 'n 80 16'], train: bool) -> Float[Array, 'n {self.width}']:
    slots = jnp.asarray(visemes.swapaxes(-1, -2), self.dtype)  # 16 x 80
    x = nn.Dense(self.embedding, dtype=self.dtype, name='embedding')(slots)
    places = self.param('places', nn.initializers.normal(0.1), x.shape[-2:])  # as large as the embeddings at first
    x = layer_norm(self.dtype, 'norm')(x + places.astype(self.dtype))
    x = nn.Dense(self.transformer_width, dtype=self.dtype, name='widen')(x)
    x = Transformer(
      self.layers, self.heads, 2 * self.transformer_width, position_kernel=0, dtype=self.dtype, name='transformer'
    )(x, train=train)
    x = AttentionPooling(self.queries, dtype=self.dtype, name='pooling')(x)
    return speech_code(x, self.width, self.last_relu, self.dropout, self.dtype, train)


class AttentionPooling(nn.Module):
  """Pools a sequence by learnt queries: (n, t, d) -> (n, queries d), softmax(q k / sqrt(d)) v for each query."""

  queries: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[AnyArray, 'n t d']) -> Float[Array, 'n qd']:
    width = x.shape[-1]
    query = self.param('queries', nn.initializers.normal(1.0), (self.queries, width))
    key, value = (nn.Dense(width, dtype=self.dtype, name=name)(x) for name in ('key', 'value'))
    logits = at_least_float32(jnp.einsum('qd,ntd->nqt', query.astype(self.dtype), key)) * width**-0.5
    return jnp.einsum('nqt,ntd->nqd', jax.nn.softmax(logits).astype(self.dtype), value).reshape(x.shape[0], -1)


def taught(
  generator: nn.Module, pseudo: Float[Array, 'n c'], real: Float[Array, 'n c'], replaced: Bool[AnyArray, ' n']
) -> Float[Array, 'n c']:
  """Chooses the code that each example of a generator hears, in the progressive replacement of sound by visemes.

  The generator learns from sound at first, and the visemes learn what it hears in it: the squared distance of each
  example's two codes, a mean over channels, is sown into the collection `losses` as `pseudo_audio`, (n,). Sound has no
  gradient in it.

  Args:
    generator: the module that sows.
    pseudo: the codes of visemes, the paper's pseudo-audio.
    real: the codes of sound.
    replaced: where visemes have replaced the sound.
  """
  distance = at_least_float32(pseudo) - jax.lax.stop_gradient(at_least_float32(real))
  generator.sow('losses', 'pseudo_audio', jnp.square(distance).mean(-1))
  return jnp.where(jnp.asarray(replaced)[:, None], pseudo, real)
