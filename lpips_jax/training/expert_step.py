"""The sync expert's step and evaluation: pure functions of state and batch, to be jitted over a mesh.

A batch holds k windows of each of b clips: `frames` (b, k, t, h, w, 3) uint8; `mel` (b, k, 80, 16); `start` (b, k),
their first frames. Any window's speech serves the others as negative: those of its clip and those of all clips on all
devices.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from einops import rearrange, repeat

from lpips_jax import losses
from lpips_jax.layers.precision import in_full
from lpips_jax.models import SyncExpert
from lpips_jax.models.inputs import to_unit
from lpips_jax.training.accumulation import in_parts, rematerialised
from lpips_jax.training.state import TrainState, Variables

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


def make_step(model: SyncExpert, optimizer: optax.GradientTransformation, rate: optax.Schedule, config: Any) -> Any:
  """Returns `step(state, batch, frozen) -> (state, metrics)`; nothing is frozen here, and `frozen` is empty.

  Args:
    model: the expert.
    optimizer, rate: see `lpips_jax.training.optimizer`.
    config: a config such as configs/lrs2_sync_expert.py's.
  """

  def objective(params: Any, batch_stats: Any, hardness: jax.Array, key: Any, batch: Batch) -> tuple[jax.Array, Any]:
    variables = {'params': params, 'batch_stats': batch_stats}
    (faces, speech), new = model.apply(
      variables, *_inputs(batch), train=True, mutable=['batch_stats'], rngs={'dropout': key}
    )
    metrics = _metrics(model, params, faces, speech, batch, config, hardness)
    return metrics['loss'], (new['batch_stats'], metrics)

  if config.remat:
    objective = rematerialised(objective)

  def step(state: TrainState, batch: Batch, frozen: Any) -> tuple[TrainState, Metrics]:
    del frozen
    key = jax.random.fold_in(jax.random.key(config.seed), state.step)
    hardness = config.losses.hardness * jnp.minimum(1, state.step / max(config.losses.hardness_steps, 1))

    def gradient(batch_stats: Any, batch: Batch) -> tuple[Any, tuple[Any, Metrics]]:
      gradients, (batch_stats, metrics) = jax.grad(objective, has_aux=True)(
        state.variables['params'], batch_stats, hardness, key, batch
      )
      return batch_stats, (gradients, metrics)

    batch_stats, (gradients, metrics) = in_parts(gradient, config.accumulate)(state.variables['batch_stats'], batch)
    metrics |= {'gradient_norm': optax.global_norm(gradients), 'learning_rate': rate(state.step)}
    return state.updated(gradients, batch_stats, optimizer, config.average_decay), metrics

  return step


def make_evaluation(model: SyncExpert, config: Any) -> Any:
  """Returns `evaluate(variables, batch, frozen) -> (metrics, {})`, the second for pictures, of which there are none."""

  def evaluate(variables: Variables, batch: Batch, frozen: Any) -> tuple[Metrics, dict]:
    del frozen
    faces, speech = model.apply(variables, *_inputs(batch))
    return _metrics(model, variables['params'], faces, speech, batch, config), {}

  return evaluate


def _metrics(
  model: SyncExpert,
  params: Any,
  faces: jax.Array,
  speech: jax.Array,
  batch: Batch,
  config: Any,
  hardness: jax.Array | float = 0.0,
) -> Metrics:
  """The expert's loss and what is reported of it, from embeddings (n, d) of all windows of the batch."""
  clips, windows = batch['start'].shape
  clip = repeat(jnp.arange(clips), 'b -> (b k)', k=windows)
  start = batch['start'].reshape(-1)
  logits = model.apply({'params': params}, in_full(jnp.matmul)(faces, speech.T), method=SyncExpert.logits)
  pairs = logits, clip, start, config.minimum_offset
  bce = losses.balanced_bce(*pairs).mean()
  nce = losses.contrastive(*pairs, config.losses.negatives)
  hard = losses.balanced_bce(*pairs, hardness)
  weight = losses.trust(logits, windows, config.losses.trust)
  off_sync = (clip[:, None] == clip) & (jnp.abs(start[:, None] - start) >= config.minimum_offset)
  hits = jnp.mean(jnp.diagonal(logits) > 0)
  rejections = jnp.sum(off_sync & (logits <= 0)) / jnp.maximum(off_sync.sum(), 1)
  return {
    'loss': (weight * (config.losses.contrastive * nce + config.losses.bce * hard)).mean(),
    'bce': bce,
    'contrastive': nce.mean(),
    'accuracy': (hits + rejections) / 2,
    'ranking': jnp.sum(off_sync & (logits < jnp.diagonal(logits)[:, None])) / jnp.maximum(off_sync.sum(), 1),
  }


def _inputs(batch: Batch) -> tuple[jax.Array, jax.Array]:
  """All windows in a row."""
  frames = rearrange(to_unit(batch['frames']), 'b k t h w c -> (b k) t h w c')
  return frames, rearrange(batch['mel'], 'b k m s -> (b k) m s')
