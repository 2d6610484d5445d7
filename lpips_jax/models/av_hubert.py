"""AV-HuBERT: features of speech, of lips or of both, frame by frame, by one transformer (Shi et al., arXiv 2201.02184).

Lips and sound that belong together have alike features, so that the network tells sync, as Yaman et al. found (arXiv
2405.04327). Released weights fit with the sizes of `BASE` or `LARGE`; a small one is trained by
`training.av_expert_step`.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Real

from lpips_jax.audio.av_features import AV_FEATURES
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models.clusters import Clusters
from lpips_jax.models.inputs import example, mouth_crop
from lpips_jax.models.lip_front_end import LipFrontEnd
from lpips_jax.models.transformer import Transformer, layer_norm, within


class AVHubert(nn.Module):
  """speech (n, t, 104), crops (n, t, h, w, 3), either absent -> features (n, t, width).

  Attributes:
    mouth_size: side of the mouths it sees; crops may have any size.
    stem_width, stem_kernel, lip_widths, lip_depths: of the front end: see `LipFrontEnd`.
    width: of the features.
    layers, heads, hidden, position_kernel, position_groups, dropout: of the transformer: see `Transformer`.
    clusters: of sounds which it is trained to tell; 0 for none, as in what only extracts features.
    dtype: what is multiplied.
  """

  mouth_size: int = 88
  stem_width: int = 64
  stem_kernel: int = 7
  lip_widths: Sequence[int] = (64, 128, 256, 512)
  lip_depths: Sequence[int] = (2, 2, 2, 2)
  width: int = 768
  layers: int = 12
  heads: int = 12
  hidden: int = 3072
  position_kernel: int = 128
  position_groups: int = 16
  dropout: float = 0.0
  clusters: int = 0
  dtype: DTypeLike = jnp.float32

  def setup(self) -> None:
    self.lips = LipFrontEnd(self.stem_width, self.stem_kernel, self.lip_widths, self.lip_depths, self.dtype)
    self.from_lips = nn.Dense(self.width, dtype=self.dtype)
    self.from_speech = nn.Dense(self.width, dtype=self.dtype)
    self.fusion_norm = layer_norm(self.dtype)
    self.fusion = nn.Dense(self.width, dtype=self.dtype)
    self.transformer = Transformer(
      self.layers,
      self.heads,
      self.hidden,
      self.position_kernel,
      self.position_groups,
      self.dropout,
      self.dtype,
    )
    if self.clusters:
      self.masked_speech = self.param('masked_speech', nn.initializers.normal(1.0), (AV_FEATURES,))
      self.cluster_head = nn.Dense(self.clusters)
      self.sounds = Clusters(self.clusters)

  def __call__(
    self,
    speech: Float[AnyArray, 'n t 104'] | None,
    crops: Real[AnyArray, 'n t h w 3'] | None,
    length: Int[AnyArray, ' n'] | None = None,
    train: bool = False,
    output_layer: int | None = None,
  ) -> Float[Array, 'n t {self.width}']:
    """Returns the features of each frame.

    Args:
      speech: from `audio.av_features`; None if only lips are to be seen.
      crops: of whole faces, uint8 or in [0, 1]; None if only speech is to be heard.
      length: frames that are real; the rest is padding, and its features mean nothing. None if all are.
      train: whether BatchNorm takes the batch's statistics, and features are dropped.
      output_layer: the number of transformer blocks that are used; None for all, and the normalisation after them.

    Raises:
      ValueError: neither speech nor crops are given.
    """
    heard = None if speech is None else self.hear(speech)
    seen = None if crops is None else self.see(crops, length, train)
    features = self.fuse(heard, seen, length, train, output_layer)
    if self.clusters and self.is_initializing():
      self.cluster_logits(features)
      if speech is not None:
        self.cluster_of(self.without(speech, jnp.zeros(speech.shape[:2], bool)))
    return features

  @staticmethod
  def example_inputs(image_size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shapes of one example: a second of speech and of crops."""
    return example(FRAME_RATE, AV_FEATURES), example(FRAME_RATE, image_size, image_size, 3)

  @property
  def training_modules(self) -> tuple[str, ...]:
    """The names of its parts that are of no use afterwards."""
    return ('cluster_head', 'sounds') if self.clusters else ()

  def hear(self, speech: Float[AnyArray, 'n t 104']) -> Float[Array, 'n t {self.width}']:
    """Returns what enters the fusion for the speech of each frame."""
    return self.from_speech(jnp.asarray(speech, self.dtype))

  def see(
    self, crops: Real[AnyArray, 'n t h w 3'], length: Int[AnyArray, ' n'] | None = None, train: bool = False
  ) -> Float[Array, 'n t {self.width}']:
    """Returns what enters the fusion for the lips of each frame, which knows the two frames before and after."""
    return self.from_lips(self.lips(mouth_crop(crops, self.mouth_size), length, train))

  def fuse(
    self,
    heard: Float[AnyArray, 'n t {self.width}'] | None,
    seen: Float[AnyArray, 'n t {self.width}'] | None,
    length: Int[AnyArray, ' n'] | None = None,
    train: bool = False,
    output_layer: int | None = None,
  ) -> Float[Array, 'n t {self.width}']:
    """Returns the features of each frame from what `hear` and `see` returned; what is absent is zeros (section 3.1)."""
    given = heard if heard is not None else seen
    if given is None:
      raise ValueError('give speech, crops or both')
    absent = jnp.zeros_like(given)
    both = jnp.concatenate([absent if heard is None else heard, absent if seen is None else seen], -1)
    return self.transformer(self.fusion(self.fusion_norm(both)), length, train, output_layer)

  def without(self, speech: Float[AnyArray, 'n t 104'], masked: Bool[AnyArray, 'n t']) -> Float[Array, 'n t 104']:
    """Puts a learnt vector in the place of masked frames of speech."""
    return jnp.where(masked[..., None], self.masked_speech, speech)

  def cluster_logits(self, features: Float[AnyArray, 'n t d']) -> Float[Array, 'n t {self.clusters}']:
    """Returns the log-odds of the cluster of sounds that each frame belongs to, in float32."""
    return self.cluster_head(jnp.asarray(features, jnp.float32))

  def cluster_of(
    self, speech: Float[AnyArray, 'n t 104'], length: Int[AnyArray, ' n'] | None = None, train: bool = False
  ) -> Int[Array, 'n t']:
    """Returns the cluster that the speech of each frame belongs to; in training the clusters follow it."""
    return self.sounds(speech, within(length, speech.shape[1]), train)
