"""The two train steps and their evaluations: pure functions of state and batch, to be jitted over a mesh.

Batches (uint8 frames are scaled, masked and stacked here, on the device):
  generator: `target`, `reference` (b, t, h, w, 3) uint8; `mel` (b, t, 80, 16), one window a frame; `window_mel`
    (b, 80, 16), the sync expert's window of the whole.
  sync expert: k windows of each of b clips: `frames` (b, k, t, h, w, 3) uint8; `mel` (b, k, 80, 16); `start` (b, k),
    their first frames. Any window's speech serves the other windows as negative.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from einops import rearrange, repeat

from lpips_jax import losses
from lpips_jax.models import SyncExpert
from lpips_jax.models.inputs import generator_faces, lower_half, to_unit
from lpips_jax.perceptual import lpips
from lpips_jax.training.state import TrainState, Variables

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Step = Callable[..., tuple[TrainState, Metrics]]
Evaluation = Callable[..., tuple[Metrics, jax.Array | None]]


def expert_step(model: SyncExpert, optimizer: optax.GradientTransformation, config: Any) -> tuple[Step, Evaluation]:
  """Returns the expert's `step(state, batch, frozen) -> (state, metrics)` and `evaluate(variables, batch, frozen)`.

  Nothing is frozen here and nothing is drawn: `frozen` is empty, and `evaluate` returns (metrics, None).
  """

  def objective(params: Any, batch_stats: Any, batch: Batch) -> tuple[jax.Array, tuple[Any, Metrics]]:
    (faces, speech), new = model.apply(
      {'params': params, 'batch_stats': batch_stats}, *_windows(batch), train=True, mutable=['batch_stats']
    )
    loss, metrics = _expert_metrics(model, {'params': params, 'batch_stats': batch_stats}, faces, speech, batch, config)
    return loss, (new['batch_stats'], metrics)

  def step(state: TrainState, batch: Batch, frozen: Any) -> tuple[TrainState, Metrics]:
    del frozen
    gradient = jax.grad(objective, has_aux=True)
    gradients, (batch_stats, metrics) = gradient(state.variables['params'], state.variables['batch_stats'], batch)
    return state.updated(gradients, batch_stats, optimizer, config.average_decay), metrics

  def evaluate(variables: Variables, batch: Batch, frozen: Any) -> tuple[Metrics, None]:
    del frozen
    faces, speech = model.apply(variables, *_windows(batch))
    return _expert_metrics(model, variables, faces, speech, batch, config)[1], None

  return step, evaluate


def generator_step(
  model: nn.Module, expert: SyncExpert, optimizer: optax.GradientTransformation, config: Any
) -> tuple[Step, Evaluation]:
  """Returns the generator's `step(state, batch, frozen) -> (state, metrics)` and `evaluate(variables, batch, frozen)`.

  `frozen` holds what is used but not trained: `expert`, the sync expert's variables, and `lpips`, VGG's weights.
  `evaluate` returns (metrics, generated frames (b, t, h, w, 3)).
  """

  def objective(
    params: Any, batch_stats: Any, sync_open: jax.Array, batch: Batch, frozen: Any
  ) -> tuple[jax.Array, tuple[Any, Metrics]]:
    generated, new = model.apply(
      {'params': params, 'batch_stats': batch_stats}, *_frames(batch), train=True, mutable=['batch_stats']
    )
    metrics = _generator_losses(expert, _like_target(generated, batch), batch, frozen, config)
    weights = config.losses
    loss = (
      weights.reconstruction * metrics['reconstruction']
      + weights.lower_half * metrics['lower_half']
      + weights.perceptual * metrics['perceptual']
      + weights.sync * sync_open * metrics['sync']
    )
    return loss, (new['batch_stats'], metrics | {'loss': loss, 'sync_open': sync_open.astype(jnp.float32)})

  def step(state: TrainState, batch: Batch, frozen: Any) -> tuple[TrainState, Metrics]:
    gradient = jax.grad(objective, has_aux=True)
    variables = state.variables
    gradients, (batch_stats, metrics) = gradient(
      variables['params'], variables['batch_stats'], state.sync_open, batch, frozen
    )
    return state.updated(gradients, batch_stats, optimizer, config.average_decay), metrics

  def evaluate(variables: Variables, batch: Batch, frozen: Any) -> tuple[Metrics, jax.Array]:
    generated = _like_target(model.apply(variables, *_frames(batch)), batch)
    metrics = _generator_losses(expert, generated, batch, frozen, config)
    error = losses.squared_error(lower_half(generated), lower_half(to_unit(batch['target'])))
    psnr = -10 * jnp.log10(jnp.maximum(error, 1e-10))
    return metrics | {'lower_half_psnr': psnr.mean()}, generated

  return step, evaluate


def _expert_metrics(
  model: SyncExpert, variables: Variables, faces: jax.Array, speech: jax.Array, batch: Batch, config: Any
) -> tuple[jax.Array, Metrics]:
  """The expert's loss and what is reported of it, from embeddings (n, d) of all windows of the batch."""
  clips, windows = batch['start'].shape
  clip = repeat(jnp.arange(clips), 'b -> (b k)', k=windows)
  start = batch['start'].reshape(-1)
  logits = model.apply(variables, faces @ speech.T, method=SyncExpert.logits)
  bce = losses.balanced_bce(logits, clip, start, config.minimum_offset).mean()
  nce = losses.contrastive(logits, clip, start, config.minimum_offset).mean()
  loss = config.losses.contrastive * nce + config.losses.bce * bce
  off_sync = (clip[:, None] == clip) & (jnp.abs(start[:, None] - start) >= config.minimum_offset)
  hits = jnp.mean(jnp.diagonal(logits) > 0)
  rejections = jnp.sum(off_sync & (logits <= 0)) / jnp.maximum(off_sync.sum(), 1)
  return loss, {'loss': loss, 'bce': bce, 'contrastive': nce, 'accuracy': (hits + rejections) / 2}


def _generator_losses(expert: SyncExpert, generated: jax.Array, batch: Batch, frozen: Any, config: Any) -> Metrics:
  """The unweighted losses of generated frames (b, t, h, w, 3)."""
  target = to_unit(batch['target'])
  flat = partial(rearrange, pattern='b t h w c -> (b t) h w c')
  distance = lpips(2 * flat(generated) - 1, 2 * flat(target) - 1, frozen['lpips'])
  # The expert keeps its running statistics: those of this batch would let the generator game it.
  faces = expert.apply(frozen['expert'], generated, method=SyncExpert.embed_faces)
  speech = expert.apply(frozen['expert'], batch['window_mel'], method=SyncExpert.embed_speech)
  logits = expert.apply(frozen['expert'], jnp.sum(faces * speech, -1), method=SyncExpert.logits)
  return {
    'reconstruction': losses.reconstruction(generated, target).mean(),
    'lower_half': losses.squared_error(lower_half(generated), lower_half(target)).mean(),
    'perceptual': distance.mean(),
    'sync': losses.sync(logits).mean(),
  }


def _windows(batch: Batch) -> tuple[jax.Array, jax.Array]:
  """The expert's inputs, all windows in a row."""
  frames = rearrange(to_unit(batch['frames']), 'b k t h w c -> (b k) t h w c')
  return frames, rearrange(batch['mel'], 'b k m s -> (b k) m s')


def _frames(batch: Batch) -> tuple[jax.Array, jax.Array]:
  """The generator's inputs, all frames in a row."""
  faces = generator_faces(batch['target'], batch['reference'])
  return rearrange(faces, 'b t h w c -> (b t) h w c'), rearrange(batch['mel'], 'b t m s -> (b t) m s')


def _like_target(generated: jax.Array, batch: Batch) -> jax.Array:
  return generated.reshape(batch['target'].shape)
