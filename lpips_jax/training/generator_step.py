"""The generator's step and evaluation: pure functions of state and batch, to be jitted over a mesh.

A batch holds b windows of t frames: `target`, `reference` (b, t, h, w, 3) uint8, which are scaled, masked and stacked
here, on the device; `mel` (b, t, 80, 16), one window a frame; `window_mel` and `window_phones` (b, 80, 16), one of all
for experts of either kind.
"""

import dataclasses
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from einops import rearrange

from lpips_jax import losses
from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.models import Discriminator, SyncExpert
from lpips_jax.models.inputs import generator_faces, lower_half, to_unit
from lpips_jax.models.silence import shut
from lpips_jax.perceptual import features, lpips
from lpips_jax.training.accumulation import in_parts, rematerialised
from lpips_jax.training.state import CLOSED, TrainState, Variables

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
COLUMNS = 8  # windows in the sample picture
SYNC_LOSSES = {'log': 'sync', 'stabilised': 'stabilised_sync'}  # what `losses.sync` weighs, by `losses.sync_kind`
TRIPLET_FEATURES = 'relu3_3'  # of VGG, of lower halves


@dataclasses.dataclass(frozen=True)
class Networks:
  """The networks of a step: the generator, the frozen expert and, with the adversarial loss, the discriminator.

  With a silent generator, frozen too, the generator is shown references whose mouths that one has shut.
  """

  generator: nn.Module
  expert: SyncExpert
  discriminator: Discriminator | None = None
  silent: nn.Module | None = None


def make_step(networks: Networks, optimizer: optax.GradientTransformation, rate: optax.Schedule, config: Any) -> Any:
  """Returns `step(state, batch, frozen) -> (state, metrics)`.

  `frozen` holds what is used but not trained: `expert`, the sync expert's variables; `lpips`, VGG's weights (None when
  no loss looks through it); and, of a silent generator, `silent`, its variables.

  Args:
    networks: whose parameters are in the state and in `frozen`.
    optimizer, rate: see `lpips_jax.training.optimizer`; the discriminator has its own state of the same optimiser.
    config: a config such as configs/lrs2.py's.
  """

  def objective(
    params: Any, batch_stats: Any, adversary: Any, weights: Metrics, batch: Batch, frozen: Any
  ) -> tuple[jax.Array, Any]:
    generated, new = networks.generator.apply(
      {'params': params, 'batch_stats': batch_stats}, *_inputs(batch), train=True, mutable=['batch_stats']
    )
    metrics = _losses(networks.expert, generated.reshape(batch['target'].shape), batch, frozen, config)
    if networks.discriminator:
      logits = networks.discriminator.apply({'params': adversary}, generated)
      metrics['adversarial'] = losses.adversarial(logits, config.losses.adversarial_kind).mean()
    metrics['loss'] = sum(weight * metrics[name] for name, weight in weights.items())
    return metrics['loss'], (new['batch_stats'], metrics, generated)

  def against(params: Any, filmed: jax.Array, generated: jax.Array) -> jax.Array:
    return discrimination(networks.discriminator, params, filmed, generated, config.losses)

  if config.remat:
    objective, against = rematerialised(objective), rematerialised(against)

  def step(state: TrainState, batch: Batch, frozen: Any) -> tuple[TrainState, Metrics]:
    weights = loss_weights(config.losses, state.step, state.sync_opened)
    adversary = state.adversary.params if networks.discriminator else None

    def gradient(batch_stats: Any, batch: Batch) -> tuple[Any, tuple[Any, Any, Metrics]]:
      batch = _as_shown(networks.silent, batch, frozen)
      gradients, (batch_stats, metrics, generated) = jax.grad(objective, has_aux=True)(
        state.variables['params'], batch_stats, adversary, weights, batch, frozen
      )
      if not networks.discriminator:
        return batch_stats, (gradients, None, metrics)
      filmed = rearrange(to_unit(batch['target']), 'b t h w c -> (b t) h w c')
      loss, of_adversary = jax.value_and_grad(against)(adversary, filmed, generated)
      return batch_stats, (gradients, of_adversary, metrics | {'discriminator': loss})

    batch_stats, (gradients, of_adversary, metrics) = in_parts(gradient, config.accumulate)(
      state.variables['batch_stats'], batch
    )
    metrics |= {
      'sync_open': (state.sync_opened != CLOSED).astype(jnp.float32),
      'gradient_norm': optax.global_norm(gradients),
      'learning_rate': rate(state.step),
    }
    if networks.discriminator:
      metrics['discriminator_gradient_norm'] = optax.global_norm(of_adversary)
      state = state.replace(adversary=state.adversary.updated(of_adversary, optimizer))
    return state.updated(gradients, batch_stats, optimizer, config.average_decay), metrics

  return step


def make_evaluation(networks: Networks, config: Any) -> Any:
  """Returns `evaluate(variables, batch, frozen) -> (metrics, pictures)`; `loss` counts sync and no adversary.

  Among the metrics is always `sync`, -log p, which opens the sync loss, whatever that is.

  Pictures are the rows of a sample, (n, h, w, 3) in [0, 1] each: `masked`, `reference`, `generated`, `target`.
  """

  def evaluate(variables: Variables, batch: Batch, frozen: Any) -> tuple[Metrics, dict[str, jax.Array]]:
    batch = _as_shown(networks.silent, batch, frozen)
    faces, mels = _inputs(batch)
    generated = networks.generator.apply(variables, faces, mels).reshape(batch['target'].shape)
    metrics = _losses(networks.expert, generated, batch, frozen, config)
    weights = _full_weights(config.losses)
    error = losses.squared_error(lower_half(generated), lower_half(to_unit(batch['target'])))
    psnr = -10 * jnp.log10(jnp.maximum(error, 1e-10)).mean()
    loss = sum(weight * metrics[name] for name, weight in weights.items() if name in metrics)
    return metrics | {'loss': loss, 'lower_half_psnr': psnr}, _pictures(batch, generated)

  return evaluate


def loss_weights(config: Any, step: jax.Array, sync_opened: jax.Array) -> Metrics:
  """How much each loss counts at a step; those whose weight is 0 are left out.

  Args:
    config: weights by name; `sync_kind`, a key of `SYNC_LOSSES`; `warmup_steps`, over how many steps each rises from
      zero; `adversarial_start`, the step from which the adversary counts.
    step: () updates made.
    sync_opened: () after how many the sync loss began to count, or `CLOSED`.
  """

  def risen(name: str, since: jax.Array | int) -> jax.Array:
    return jnp.clip((step + 1 - since) / max(config.warmup_steps[name], 1), 0, 1)

  shares = {
    'perceptual': risen('perceptual', 0),
    SYNC_LOSSES[config.sync_kind]: jnp.where(sync_opened == CLOSED, 0, risen('sync', sync_opened)),
    'adversarial': risen('adversarial', config.adversarial_start),
  }
  return {name: weight * shares.get(name, 1.0) for name, weight in _full_weights(config).items() if weight}


def discrimination(
  discriminator: Discriminator, params: Any, filmed: jax.Array, generated: jax.Array, config: Any
) -> jax.Array:
  """The discriminator's loss, (), on as many filmed as generated frames, (n, h, w, 3) in [0, 1] each.

  Args:
    discriminator: the module.
    params: its parameters.
    filmed, generated: the frames.
    config: `adversarial_kind` ('bce' or 'hinge') and `r1`, the weight of the penalty on its slope.
  """
  # Stacked, so that its gradients are reduced across devices once, and in pairs, so that no frame changes its device.
  pairs = jnp.stack([filmed, generated], 1)
  logits = discriminator.apply({'params': params}, pairs.reshape(-1, *filmed.shape[1:])).reshape(-1, 2)
  loss = losses.discrimination(logits[:, 0], logits[:, 1], config.adversarial_kind).mean()
  if config.r1:
    slope = jax.grad(lambda frames: discriminator.apply({'params': params}, frames).sum())(filmed)
    loss += config.r1 / 2 * losses.r1(slope).mean()
  return loss


def _full_weights(config: Any) -> dict[str, float]:
  """How much each loss counts in the end, by the name of its metric."""
  names = 'reconstruction', 'lower_half', 'perceptual', 'triplet', 'adversarial'
  return {name: config[name] for name in names} | {SYNC_LOSSES[config.sync_kind]: config.sync}


def _as_shown(silent: nn.Module | None, batch: Batch, frozen: Any) -> Batch:
  """The batch with the references that the generator is shown: a silent generator, if there is one, shuts them."""
  if silent is None:
    return batch
  frames = rearrange(batch['reference'], 'b t h w c -> (b t) h w c')
  rest = shut(silent, partial(silent.apply, frozen['silent']), frames)
  return batch | {'reference': jax.lax.stop_gradient(rest).reshape(batch['reference'].shape)}


def _losses(expert: SyncExpert, generated: jax.Array, batch: Batch, frozen: Any, config: Any) -> Metrics:
  """The unweighted losses of generated frames (b, t, h, w, 3) that need no adversary."""
  target, reference = to_unit(batch['target']), to_unit(batch['reference'])
  # The expert keeps its running statistics: those of this batch would let the generator game it.
  heard = batch['window_phones' if expert.speech == 'phones' else 'window_mel']
  speech = expert.apply(frozen['expert'], heard, method=SyncExpert.embed_speech)

  def cosine(frames: jax.Array) -> jax.Array:
    return jnp.sum(expert.apply(frozen['expert'], frames, method=SyncExpert.embed_faces) * speech, -1)

  in_sync = cosine(generated)
  logits = expert.apply(frozen['expert'], in_sync, method=SyncExpert.logits)
  metrics = {
    'reconstruction': losses.reconstruction(generated, target).mean(),
    'lower_half': losses.squared_error(lower_half(generated), lower_half(target)).mean(),
    'sync': losses.sync(logits).mean(),
  }
  if config.losses.sync_kind == 'stabilised' and config.losses.sync:
    metrics['stabilised_sync'] = losses.stabilised_sync(in_sync, cosine(target), cosine(reference)).mean()
  dtype = jnp.dtype(config.model.dtype)
  if config.losses.perceptual:
    x, y = (_for_vgg(frames) for frames in (generated, target))
    metrics['perceptual'] = lpips(x, y, frozen['lpips'], dtype).mean()
  if config.losses.triplet:
    mouths = (_for_vgg(lower_half(frames)) for frames in (generated, target, reference))
    maps = (features(x, TRIPLET_FEATURES, frozen['lpips'], dtype) for x in mouths)
    metrics['triplet'] = losses.adaptive_triplet(*maps).mean()
  return metrics


def _for_vgg(frames: jax.Array) -> jax.Array:
  """All frames in a row, in [-1, 1]."""
  return 2 * rearrange(frames, 'b t h w c -> (b t) h w c') - 1


def _pictures(batch: Batch, generated: jax.Array) -> dict[str, jax.Array]:
  """The middle frame of the first windows."""
  shown = slice(COLUMNS), WINDOW_FRAMES // 2
  target, reference = to_unit(batch['target'][shown]), to_unit(batch['reference'][shown])
  masked = generator_faces(target, reference)[..., :3]
  return {'masked': masked, 'reference': reference, 'generated': generated[shown], 'target': target}


def _inputs(batch: Batch) -> tuple[jax.Array, jax.Array]:
  """All frames in a row."""
  faces = generator_faces(batch['target'], batch['reference'])
  return rearrange(faces, 'b t h w c -> (b t) h w c'), rearrange(batch['mel'], 'b t m s -> (b t) m s')
