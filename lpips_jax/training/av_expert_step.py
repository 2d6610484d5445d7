"""The step and evaluation of an AV-HuBERT that tells sync: pure functions of state and batch, to be jitted over a mesh.

A batch holds whole clips: `frames` (b, T, h, w, 3) uint8; `sound` (b, T, 104); `length` (b,), frames that are real.

Two losses: masked frames' clusters of sounds are to be predicted, as AV-HuBERT's are (Shi et al., arXiv 2201.02184,
section 3); and among the frames of its clip, the one seen is to be found by what is heard, and the reverse. That second
one is needed for sync. A small network that only predicts has features of lips and of sound that are not alike.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lpips_jax import losses
from lpips_jax.layers.normalisation import unit_length
from lpips_jax.layers.precision import full_precision
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models.av_hubert import AVHubert
from lpips_jax.training.lone_step import Measured, make_lone_step
from lpips_jax.training.state import Params, Variables
from lpips_jax.training.step import (
  Batch,
  Evaluation,
  FrozenVariables,
  Metrics,
  Pictures,
  Shapes,
  Step,
  StepSettings,
  apply,
  clip_shapes,
)

WINDOW = 5  # frames whose mean features are compared, in evaluation
SPEECH_MASK, LIPS_MASK = (0.8, 10), (0.3, 5)  # share of frames where a span begins, times its length; and that length
ONE_MODALITY = 0.5  # share of clips that keep one alone, half of them the lips


class Cuts(NamedTuple):
  """Stretches of the sound and of the lips of each clip that begin at different times.

  Whoever sees or hears to the ends of a clip can tell a frame's place in it; were both to begin at the same time, that
  would be enough to find one by the other, and no lips would be read.

  Attributes:
    heard, seen: (b,) the first frames.
    frames: of each stretch.
    reach: most frames between their beginnings, in either direction, each number as likely.
  """

  heard: Int[Array, ' b']
  seen: Int[Array, ' b']
  frames: int
  reach: int

  def real(self, first: Int[Array, ' b'], length: Int[AnyArray, ' b']) -> Int[Array, ' b']:
    """Returns how many frames of stretches are no padding."""
    return jnp.clip(length - first, 0, self.frames)


def make_step(model: AVHubert, run: ConfigDict, settings: StepSettings) -> Step:
  """Returns `step(state, batch, frozen_variables) -> (state, metrics)`; nothing is frozen, and the last is empty.

  Args:
    model: the expert, with clusters.
    run: a config such as configs/av_hubert.py's: its `losses`, and `minimum_offset`, the video frames that count as off
      sync.
    settings: how gradients become an update.
  """
  return make_lone_step(partial(expert_loss, model, run.losses, run.minimum_offset, True), settings)


def make_evaluation(model: AVHubert, run: ConfigDict) -> Evaluation:
  """Returns `evaluate(variables, batch, frozen_variables) -> (metrics, {})`; the second would hold pictures.

  Arguments as for `make_step`. Each batch is masked and cut in the same way.
  """

  def evaluate(variables: Variables, batch: Batch, frozen_variables: FrozenVariables) -> tuple[Metrics, Pictures]:
    del frozen_variables
    loss = partial(expert_loss, model, run.losses, run.minimum_offset, False)
    return loss(variables['params'], variables['batch_stats'], batch, jax.random.key(0))[1].metrics, {}

  return evaluate


def batch_shapes(config: ConfigDict) -> Shapes:
  """Returns the shapes of a batch of all devices."""
  data = config.data
  return clip_shapes(data.batch_size, data.clip_frames, config.model.image_size, data.max_labels)


def expert_loss(
  model: AVHubert,
  config: ConfigDict,
  minimum_offset: int,
  train: bool,
  params: Params,
  batch_stats: Variables,
  batch: Batch,
  key: jax.Array,
) -> tuple[jax.Array, Measured]:
  """Returns the loss, (), and its by-products.

  Args:
    model: the expert.
    config, minimum_offset: `losses` and `minimum_offset` of a run's config.
    train: whether statistics are the batch's, and are renewed; and whether features are dropped.
    params, batch_stats: the expert's.
    batch: see the module.
    key: for masks, cuts and dropout.

  Metrics: `loss`; `masked` and `contrastive`, unweighted; `accuracy`, the share of masked frames whose cluster is told;
  `ranking`, the share of off-sync pairs whose cosine is below that of the in-sync pair; `in_sync` and `off_sync`, the
  mean cosines. These three are of the mean features of five frames.
  """
  dropout, masks, modalities, places = jax.random.split(key, 4)
  length = batch['length']
  real = jnp.arange(batch['sound'].shape[1]) < length[:, None]

  cuts = draw_cuts(places, length, real.shape[1], config.shift)

  def run(module: AVHubert) -> tuple[jax.Array, ...]:
    targets = module.cluster_of(batch['sound'], length, train)
    seen = module.see(batch['frames'], length, train)
    masked, predicted = _predicted(module, batch, seen, (masks, modalities), train)
    speech = cut(module.hear(batch['sound']), cuts.heard, cuts.frames)
    heard = module.fuse(speech, None, cuts.real(cuts.heard, length), train)
    lips = module.fuse(None, cut(seen, cuts.seen, cuts.frames), cuts.real(cuts.seen, length), train)
    return targets, masked, predicted, heard, lips

  variables = {'params': params, 'batch_stats': batch_stats}
  found, new = apply(model, variables, method=run, mutable=['batch_stats'], rngs={'dropout': dropout})
  targets, masked, logits, heard, lips = found
  errors = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
  counted = masked & real
  prediction = jnp.sum(errors * counted) / jnp.maximum(counted.sum(), 1)
  accuracy = jnp.sum((logits.argmax(-1) == targets) & counted) / jnp.maximum(counted.sum(), 1)
  in_sync, off_sync = pairs(cuts, length, minimum_offset)
  matching = losses.matching(cosines(heard, lips) / config.temperature, in_sync, off_sync)
  loss = config.masked * prediction + config.contrastive * matching.mean()
  metrics = {'loss': loss, 'masked': prediction, 'contrastive': matching.mean(), 'accuracy': accuracy}
  metrics |= ranking(heard, lips, cuts, length, minimum_offset)
  return loss, Measured(new['batch_stats'], metrics)


def _predicted(
  module: AVHubert, batch: Batch, seen: Float[Array, 'b t d'], keys: tuple[jax.Array, jax.Array], train: bool
) -> tuple[Bool[Array, 'b t'], Float[Array, 'b t k']]:
  """Masks speech and lips, drops one of them from some clips, and predicts clusters.

  Masked speech is a learnt vector; masked lips are those of another time of the clip. Here they are exchanged after the
  front end, which costs one pass of it in place of two; AV-HuBERT exchanges pictures.

  Returns:
    The masked frames and the log-odds of clusters, of all frames.
  """
  (masks, modalities), length = keys, batch['length']
  clips, frames = batch['sound'].shape[:2]
  keys_of = jax.random.split(masks, 3)
  unheard, unseen = (
    spans(key, (clips, frames), *mask) for key, mask in zip(keys_of, (SPEECH_MASK, LIPS_MASK), strict=False)
  )
  span = LIPS_MASK[1]
  offset = jax.random.randint(keys_of[2], (clips, 1), span, jnp.maximum(length - span, span + 1)[:, None])
  elsewhere = (jnp.arange(frames) + offset) % jnp.maximum(length, 1)[:, None]
  lips = jnp.where(unseen[..., None], jnp.take_along_axis(seen, elsewhere[..., None], 1), seen)
  speech = module.hear(module.without(batch['sound'], unheard))
  drawn = jax.random.uniform(modalities, (clips,))
  with_speech, with_lips = drawn >= ONE_MODALITY / 2, (drawn < ONE_MODALITY / 2) | (drawn >= ONE_MODALITY)
  speech, lips = (jnp.where(kept[:, None, None], x, 0) for kept, x in ((with_speech, speech), (with_lips, lips)))
  features = module.fuse(speech, lips, length, train)
  masked = (unheard & with_speech[:, None]) | (unseen & with_lips[:, None])
  return masked | ~with_speech[:, None], module.cluster_logits(features)


def spans(key: jax.Array, shape: tuple[int, int], share: float, frames: int) -> Bool[Array, 'b t']:
  """Draws the frames of spans, which may overlap: at each frame one begins with probability share / frames."""
  begins = jax.random.bernoulli(key, share / frames, shape)
  total = jnp.cumsum(jnp.pad(begins.astype(jnp.int32), ((0, 0), (frames, 0))), 1)
  return total[:, frames:] > total[:, :-frames]


def draw_cuts(key: jax.Array, length: Int[AnyArray, ' b'], frames: int, reach: int) -> Cuts:
  """Draws stretches that are up to `reach` frames apart; a clip of less than three times that keeps a third of it."""
  keys = jax.random.split(key)
  most = jnp.minimum(reach, length // 3)
  apart = jax.random.randint(keys[0], length.shape, -most, most + 1)
  first = jax.random.randint(keys[1], length.shape, 0, most - jnp.abs(apart) + 1)
  return Cuts(first + jnp.maximum(apart, 0), first + jnp.maximum(-apart, 0), frames - reach, reach)


def cut(x: Float[Array, 'b t d'], first: Int[Array, ' b'], frames: int) -> Float[Array, 'b {frames} d']:
  """Returns a stretch of each clip."""
  return jax.vmap(lambda clip, start: jax.lax.dynamic_slice_in_dim(clip, start, frames))(x, first)


def pairs(
  cuts: Cuts, length: Int[AnyArray, ' b'], minimum_offset: int, frames: int = 1
) -> tuple[Bool[Array, 'b i j'], Bool[Array, 'b i j']]:
  """Marks windows of heard and seen frames, one after the other, that are in sync; and those that are off sync.

  Args:
    cuts: of the clips.
    length: frames of the clips that are real.
    minimum_offset: video frames that count as off sync.
    frames: of a window.

  Returns:
    Two arrays, window of speech by window of lips. Pairs that are too far apart in their stretches to be in sync,
    whatever the stretches, are neither: their places would give them away.
  """
  count = cuts.frames - frames + 1
  i, j = jnp.arange(count)[:, None], jnp.arange(count)
  heard, seen = (cuts.real(first, length)[:, None, None] for first in (cuts.heard, cuts.seen))
  there = (i + frames <= heard) & (j + frames <= seen)
  offset = i + cuts.heard[:, None, None] - j - cuts.seen[:, None, None]
  possible = there & (jnp.abs(i - j) <= cuts.reach)
  return there & (offset == 0), possible & (jnp.abs(offset) >= minimum_offset)


def ranking(
  heard: Float[Array, 'b t d'],
  lips: Float[Array, 'b t d'],
  cuts: Cuts,
  length: Int[AnyArray, ' b'],
  minimum_offset: int,
) -> Metrics:
  """Compares in-sync and off-sync pairs of the mean features of five frames: see `expert_loss`."""
  means = (jnp.stack([x[:, k : cuts.frames - WINDOW + 1 + k] for k in range(WINDOW)]).mean(0) for x in (heard, lips))
  cosine = cosines(*means)
  in_sync, off_sync = pairs(cuts, length, minimum_offset, WINDOW)
  own = jnp.sum(jnp.where(in_sync, cosine, 0), 2, keepdims=True)
  compared = off_sync & in_sync.any(2, keepdims=True)
  return {
    'ranking': jnp.sum(compared & (cosine < own)) / jnp.maximum(compared.sum(), 1),
    'in_sync': jnp.sum(cosine * in_sync) / jnp.maximum(in_sync.sum(), 1),
    'off_sync': jnp.sum(cosine * off_sync) / jnp.maximum(off_sync.sum(), 1),
  }


@full_precision
def cosines(heard: Float[AnyArray, 'b i d'], seen: Float[AnyArray, 'b j d']) -> Float[Array, 'b i j']:
  """Returns the cosine of every heard frame with every seen frame of the clip."""
  return jnp.einsum('bid,bjd->bij', unit_length(heard), unit_length(seen))
