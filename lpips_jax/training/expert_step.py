"""The sync expert's step and evaluation: pure functions of state and batch, to be jitted over a mesh.

A batch holds k windows of each of b clips: `frames` (b, k, t, h, w, 3) uint8; `mel` (b, k, 80, 16); `start` (b, k),
their first frames. The speech of every window serves the others as a negative: those of its own clip, and those of all
clips on all devices.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from ml_collections import ConfigDict

from lpips_jax import losses
from lpips_jax.core.constants import MEL_BANDS, MEL_WINDOW, WINDOW_FRAMES
from lpips_jax.layers.precision import full_precision
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models import SyncExpert
from lpips_jax.models.inputs import to_unit
from lpips_jax.training.lone_step import Measured, make_lone_step
from lpips_jax.training.state import Params, TrainState, Variables
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
)


class StepValues(NamedTuple):
  """Values of the expert's loss that change from step to step: the hardness of negatives, (), and a key for dropout."""

  hardness: jax.Array
  key: jax.Array


def make_step(model: SyncExpert, run: ConfigDict, settings: StepSettings) -> Step:
  """Returns `step(state, batch, frozen_variables) -> (state, metrics)`; nothing is frozen, and the last is empty.

  Args:
    model: the expert.
    run: a config such as configs/lrs2_sync_expert.py's: its `losses`, and `minimum_offset`, the video frames between
      windows of a clip that count as off sync.
    settings: how gradients become an update.
  """
  config = run.losses

  def values(state: TrainState, key: jax.Array) -> StepValues:
    return StepValues(config.hardness * jnp.minimum(1, state.step / max(config.hardness_steps, 1)), key)

  return make_lone_step(partial(expert_loss, model, config, run.minimum_offset), settings, values)


def make_evaluation(model: SyncExpert, run: ConfigDict) -> Evaluation:
  """Returns `evaluate(variables, batch, frozen_variables) -> (metrics, {})`; the second would hold pictures.

  Arguments as for `make_step`.
  """
  config, minimum_offset = run.losses, run.minimum_offset

  def evaluate(variables: Variables, batch: Batch, frozen_variables: FrozenVariables) -> tuple[Metrics, Pictures]:
    del frozen_variables
    faces, speech = apply(model, variables, *_inputs(batch))
    return expert_metrics(model, config, minimum_offset, variables['params'], (faces, speech), batch), {}

  return evaluate


def batch_shapes(config: ConfigDict) -> Shapes:
  """Returns the shapes of a batch of all devices."""
  size, lead = config.model.image_size, (config.data.batch_size, config.data.windows)
  return {
    'frames': jax.ShapeDtypeStruct((*lead, WINDOW_FRAMES, size, size, 3), jnp.uint8),
    'mel': jax.ShapeDtypeStruct((*lead, MEL_BANDS, MEL_WINDOW), jnp.float32),
    'start': jax.ShapeDtypeStruct(lead, jnp.int32),
  }


def expert_loss(
  model: SyncExpert,
  config: ConfigDict,
  minimum_offset: int,
  params: Params,
  batch_stats: Variables,
  batch: Batch,
  values: StepValues,
) -> tuple[jax.Array, Measured]:
  """Returns the loss of the expert in training, (), and its by-products."""
  embeddings, new = apply(
    model,
    {'params': params, 'batch_stats': batch_stats},
    *_inputs(batch),
    train=True,
    mutable=['batch_stats'],
    rngs={'dropout': values.key},
  )
  metrics = expert_metrics(model, config, minimum_offset, params, embeddings, batch, values.hardness)
  return metrics['loss'], Measured(new['batch_stats'], metrics)


def expert_metrics(
  model: SyncExpert,
  config: ConfigDict,
  minimum_offset: int,
  params: Params,
  embeddings: tuple[jax.Array, jax.Array],
  batch: Batch,
  hardness: jax.Array | float = 0.0,
) -> Metrics:
  """Returns the loss and the other metrics of a batch.

  Args:
    model: the expert.
    config: `losses` of a run's config.
    minimum_offset: see `make_step`.
    params: the expert's.
    embeddings: of faces and of speech, (n, d) each, of all windows of the batch.
    batch: says which window is where in which clip.
    hardness: how much more negatives that pass for in sync weigh in the loss; 0 weighs all alike.

  Returns:
    `loss`; `bce` and `contrastive`, unweighted; `accuracy`, the mean of the share of in-sync pairs accepted and of
    off-sync pairs rejected; `ranking`, the share of off-sync pairs that are found less probable than the in-sync one.
  """
  faces, speech = embeddings
  clips, windows = batch['start'].shape
  clip = repeat(jnp.arange(clips), 'b -> (b k)', k=windows)
  start = batch['start'].reshape(-1)
  logits = apply(model, {'params': params}, full_precision(jnp.matmul)(faces, speech.T), method=SyncExpert.logits)
  pairs = logits, clip, start, minimum_offset
  bce = losses.balanced_bce(*pairs).mean()
  nce = losses.contrastive(*pairs, config.negatives)
  hard = losses.balanced_bce(*pairs, hardness)
  weight = losses.trust(logits, windows, config.trust)
  off_sync = (clip[:, None] == clip) & (jnp.abs(start[:, None] - start) >= minimum_offset)
  hits = jnp.mean(jnp.diagonal(logits) > 0)
  rejections = jnp.sum(off_sync & (logits <= 0)) / jnp.maximum(off_sync.sum(), 1)
  return {
    'loss': (weight * (config.contrastive * nce + config.bce * hard)).mean(),
    'bce': bce,
    'contrastive': nce.mean(),
    'accuracy': (hits + rejections) / 2,
    'ranking': jnp.sum(off_sync & (logits < jnp.diagonal(logits)[:, None])) / jnp.maximum(off_sync.sum(), 1),
  }


def _inputs(batch: Batch) -> tuple[AnyArray, AnyArray]:
  """Lays all windows in a row: frames (b * k, t, h, w, 3) in [0, 1] and mels (b * k, 80, 16)."""
  frames = rearrange(to_unit(batch['frames']), 'b k t h w c -> (b k) t h w c')
  return frames, rearrange(batch['mel'], 'b k m s -> (b k) m s')
