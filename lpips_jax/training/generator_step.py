"""The generator's step and evaluation: pure functions of state and batch, to be jitted over a mesh.

A batch holds b windows of t frames: `target`, `reference` (b, t, h, w, 3) uint8, which are scaled, masked and stacked
here, on the device; `mel` (b, t, 80, 16), one window of speech per frame; `window_mel` and `window_phones`
(b, 80, 16), one for all t frames, for experts that hear either.

To add a loss, write it in `lpips_jax.losses`, call it in `loss_terms`, add its name to `COEFFICIENTS`, and give
`config.losses` a coefficient of that name in configs/lrs2.py, 0.0 to leave it off. Configs derived from that one, the
schema, the logs and the model card then know it.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from einops import rearrange
from ml_collections import ConfigDict

from lpips_jax import losses
from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models import Discriminator, SyncExpert
from lpips_jax.models.inputs import generator_faces, lower_half, to_unit
from lpips_jax.models.silence import shut_mouths
from lpips_jax.perceptual import features, lpips
from lpips_jax.training.accumulation import in_parts, rematerialised
from lpips_jax.training.state import CLOSED, Params, TrainState, Variables
from lpips_jax.training.step import Batch, Evaluation, FrozenVariables, Metrics, Pictures, Step, StepSettings, apply

COEFFICIENTS = (  # keys of config.losses, each named as its loss term
  'reconstruction',
  'lower_half',
  'perceptual',
  'triplet',
  'adversarial',
  'sync',
)
SYNC_LOSSES = {'log': 'sync', 'stabilised': 'stabilised_sync'}  # the term that config.losses.sync weighs, by .sync_kind
Coefficients = dict[str, jax.Array | float]  # () each, by the name of the loss term
SAMPLED_WINDOWS = 8  # in the sample picture
TRIPLET_FEATURES = 'relu3_3'  # of VGG, of lower halves


@dataclasses.dataclass(frozen=True)
class Networks:
  """The networks of a step.

  Attributes:
    generator: the network in training.
    expert: the frozen sync expert.
    discriminator: trained beside the generator; None without the adversarial loss.
    silent: a frozen generator that shuts the mouths of the references that the generator is shown, if there is one.
  """

  generator: nn.Module
  expert: SyncExpert
  discriminator: Discriminator | None = None
  silent: nn.Module | None = None


class Fixed(NamedTuple):
  """Inputs of the generator's loss that are the same for all of a step, and that it has no gradient in.

  Attributes:
    coefficients: from `loss_coefficients`.
    frozen_variables: see `make_step`.
    discriminator: its parameters; None without the adversarial loss.
  """

  coefficients: Coefficients
  frozen_variables: FrozenVariables
  discriminator: Params | None


class Generated(NamedTuple):
  """By-products of the generator's loss.

  Attributes:
    batch_stats: the BatchNorm statistics after the batch.
    metrics: every loss term, and their weighted sum, `loss`.
    frames: (b * t, h, w, 3) in [0, 1].
  """

  batch_stats: Variables
  metrics: Metrics
  frames: jax.Array


class Gradients(NamedTuple):
  """The gradients of a step; None for a discriminator that there is not."""

  generator: Params
  discriminator: Params | None


class LossFunctions(NamedTuple):
  """The losses that a step differentiates.

  Attributes:
    generator: (params, BatchNorm statistics, batch, `Fixed`) -> (loss, `Generated`).
    discriminator: (params, filmed frames, generated frames) -> loss; None without the adversarial loss.
  """

  generator: Callable[[Params, Variables, Batch, Fixed], tuple[jax.Array, Generated]]
  discriminator: Callable[[Params, jax.Array, jax.Array], jax.Array] | None


def make_step(networks: Networks, config: ConfigDict, settings: StepSettings) -> Step:
  """Returns `step(state, batch, frozen_variables) -> (state, metrics)`.

  `frozen_variables` holds what is used but not trained: `expert`, the sync expert's variables; `lpips`, VGG's weights
  (None when no loss looks through it); and, with a silent generator, `silent`, its variables.

  Args:
    networks: whose parameters are in the state and in `frozen_variables`.
    config: `losses` of a config such as configs/lrs2.py's.
    settings: how gradients become an update; the discriminator has its own state of the same optimiser.
  """
  functions = _loss_functions(networks, config, settings.remat)

  def step(state: TrainState, batch: Batch, frozen_variables: FrozenVariables) -> tuple[TrainState, Metrics]:
    fixed = Fixed(
      loss_coefficients(config, state.step, state.sync_opened),
      frozen_variables,
      state.adversary.params if state.adversary else None,
    )
    of_batch = partial(gradients, functions, networks.silent, state.variables['params'], fixed)
    batch_stats, (found, metrics) = in_parts(of_batch, settings.accumulate)(state.variables['batch_stats'], batch)
    metrics |= {
      'sync_open': (state.sync_opened != CLOSED).astype(jnp.float32),
      'gradient_norm': optax.global_norm(found.generator),
      'learning_rate': settings.learning_rate(state.step),
    }
    if state.adversary and found.discriminator:
      metrics['discriminator_gradient_norm'] = optax.global_norm(found.discriminator)
      state = state.replace(adversary=state.adversary.updated(found.discriminator, settings.optimizer))
    return state.updated(found.generator, batch_stats, settings.optimizer, settings.average_decay), metrics

  return step


def make_evaluation(networks: Networks, config: ConfigDict) -> Evaluation:
  """Returns `evaluate(variables, batch, frozen_variables) -> (metrics, pictures)`.

  The metric `loss` counts the sync loss in full and no adversary. The metric `sync`, -log p, is always there: it opens
  the sync loss, of whichever kind that is.

  Pictures are the rows of a sample, (n, h, w, 3) in [0, 1] each: `masked`, `reference`, `generated`, `target`.
  Arguments as for `make_step`.
  """

  def evaluate(variables: Variables, batch: Batch, frozen_variables: FrozenVariables) -> tuple[Metrics, Pictures]:
    batch = _with_references_shut(networks.silent, batch, frozen_variables)
    faces, mels = _inputs(batch)
    generated = apply(networks.generator, variables, faces, mels).reshape(batch['target'].shape)
    metrics = loss_terms(networks, config, generated, batch, frozen_variables)
    error = losses.squared_error(lower_half(generated), lower_half(to_unit(batch['target'])))
    psnr = -10 * jnp.log10(jnp.maximum(error, 1e-10)).mean()
    counted = {name: full for name, full in _full_coefficients(config).items() if name in metrics}
    loss = _weighted_sum(counted, metrics)
    return metrics | {'loss': loss, 'lower_half_psnr': psnr}, _pictures(batch, generated)

  return evaluate


def gradients(
  functions: LossFunctions, silent: nn.Module | None, params: Params, fixed: Fixed, batch_stats: Variables, batch: Batch
) -> tuple[Variables, tuple[Gradients, Metrics]]:
  """Returns the BatchNorm statistics after a batch; and the gradients of its losses with the metrics.

  Args:
    functions: the losses.
    silent: the silent generator, if there is one.
    params: the generator's.
    fixed: all that does not depend on the batch.
    batch_stats: the generator's BatchNorm statistics before the batch.
    batch: see the module.
  """
  batch = _with_references_shut(silent, batch, fixed.frozen_variables)
  of_generator, generated = jax.grad(functions.generator, has_aux=True)(params, batch_stats, batch, fixed)
  if functions.discriminator is None:
    return generated.batch_stats, (Gradients(of_generator, None), generated.metrics)
  filmed = rearrange(to_unit(batch['target']), 'b t h w c -> (b t) h w c')
  loss, of_discriminator = jax.value_and_grad(functions.discriminator)(fixed.discriminator, filmed, generated.frames)
  metrics = generated.metrics | {'discriminator': loss}
  return generated.batch_stats, (Gradients(of_generator, of_discriminator), metrics)


def generator_loss(
  networks: Networks, config: ConfigDict, params: Params, batch_stats: Variables, batch: Batch, fixed: Fixed
) -> tuple[jax.Array, Generated]:
  """Returns the weighted sum of the generator's losses on a batch, (), and its by-products."""
  frames, new = apply(
    networks.generator,
    {'params': params, 'batch_stats': batch_stats},
    *_inputs(batch),
    train=True,
    mutable=['batch_stats'],
  )
  terms = loss_terms(networks, config, frames.reshape(batch['target'].shape), batch, fixed.frozen_variables)
  if networks.discriminator:
    logits = apply(networks.discriminator, {'params': fixed.discriminator}, frames)
    terms['adversarial'] = losses.adversarial(logits, config.adversarial_kind).mean()
  loss = _weighted_sum(fixed.coefficients, terms)
  return loss, Generated(new['batch_stats'], terms | {'loss': loss}, frames)


def loss_terms(
  networks: Networks, config: ConfigDict, generated: jax.Array, batch: Batch, frozen_variables: FrozenVariables
) -> Metrics:
  """Returns the generator's losses without their coefficients, () each, all but the adversarial one.

  A term whose coefficient is 0 is left out, unless it costs next to nothing and every log should have it.

  Args:
    networks: the expert hears the speech; losses through VGG compute in what the generator computes in.
    config: see `make_step`.
    generated: (b, t, h, w, 3) in [0, 1].
    batch: what they should look like, and the speech that they should fit.
    frozen_variables: see `make_step`.
  """
  expert, dtype = networks.expert, networks.generator.dtype
  target, reference = to_unit(batch['target']), to_unit(batch['reference'])
  # The expert keeps its running statistics: those of this batch would let the generator game it.
  heard = batch['window_phones' if expert.speech == 'phones' else 'window_mel']
  speech = apply(expert, frozen_variables['expert'], heard, method=SyncExpert.embed_speech)

  def cosine(frames: AnyArray) -> jax.Array:
    return jnp.sum(apply(expert, frozen_variables['expert'], frames, method=SyncExpert.embed_faces) * speech, -1)

  in_sync = cosine(generated)
  logits = apply(expert, frozen_variables['expert'], in_sync, method=SyncExpert.logits)
  terms = {
    'reconstruction': losses.reconstruction(generated, target).mean(),
    'lower_half': losses.squared_error(lower_half(generated), lower_half(target)).mean(),
    'sync': losses.sync(logits).mean(),
  }
  if config.sync_kind == 'stabilised' and config.sync:
    terms['stabilised_sync'] = losses.stabilised_sync(in_sync, cosine(target), cosine(reference)).mean()
  if config.perceptual:
    x, y = (_for_vgg(frames) for frames in (generated, target))
    terms['perceptual'] = lpips(x, y, frozen_variables['lpips'], dtype).mean()
  if config.triplet:
    mouths = (_for_vgg(lower_half(frames)) for frames in (generated, target, reference))
    x, y, z = (features(mouth, TRIPLET_FEATURES, frozen_variables['lpips'], dtype) for mouth in mouths)
    terms['triplet'] = losses.adaptive_triplet(x, y, z).mean()
  return terms


def loss_coefficients(config: ConfigDict, step: jax.Array, sync_opened: jax.Array) -> Coefficients:
  """Returns the coefficient of each loss at a step, () each; losses whose coefficient is always 0 are left out.

  Args:
    config: `COEFFICIENTS`; `sync_kind`, a key of `SYNC_LOSSES`; `warmup_steps`, over how many steps a coefficient rises
      from zero; `adversarial_start`, the step from which the adversary counts.
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
  full = _full_coefficients(config)
  return {name: coefficient * shares.get(name, 1.0) for name, coefficient in full.items() if coefficient}


def discriminator_loss(
  discriminator: Discriminator, config: ConfigDict, params: Params, filmed: jax.Array, generated: jax.Array
) -> jax.Array:
  """Returns the discriminator's loss, (), on as many filmed as generated frames.

  Args:
    discriminator: the module.
    config: `adversarial_kind` ('bce' or 'hinge') and `r1`, the coefficient of the penalty on its slope.
    params: the discriminator's parameters.
    filmed, generated: the frames, (n, h, w, 3) in [0, 1] each.
  """
  # Stacked, so that its gradients are reduced across devices once, and in pairs, so that no frame changes its device.
  pairs = jnp.stack([filmed, generated], 1)
  logits = apply(discriminator, {'params': params}, pairs.reshape(-1, *filmed.shape[1:])).reshape(-1, 2)
  loss = losses.discrimination(logits[:, 0], logits[:, 1], config.adversarial_kind).mean()
  if config.r1:
    slope = jax.grad(lambda frames: apply(discriminator, {'params': params}, frames).sum())(filmed)
    loss += config.r1 / 2 * losses.r1(slope).mean()
  return loss


def _loss_functions(networks: Networks, config: ConfigDict, remat: bool) -> LossFunctions:
  """The losses with everything bound that is no array; with `remat` they recompute cheap activations."""
  of_generator = partial(generator_loss, networks, config)
  of_discriminator = partial(discriminator_loss, networks.discriminator, config) if networks.discriminator else None
  if not remat:
    return LossFunctions(of_generator, of_discriminator)
  return LossFunctions(rematerialised(of_generator), of_discriminator and rematerialised(of_discriminator))


def _weighted_sum(coefficients: Mapping[str, jax.Array | float], terms: Metrics) -> jax.Array:
  total = sum(coefficient * terms[name] for name, coefficient in coefficients.items())
  return cast(jax.Array, total)  # no int: there is a coefficient


def _full_coefficients(config: ConfigDict) -> dict[str, float]:
  """The coefficient of each loss once it has fully risen, by the name of its term."""
  return {SYNC_LOSSES[config.sync_kind] if name == 'sync' else name: config[name] for name in COEFFICIENTS}


def _with_references_shut(silent: nn.Module | None, batch: Batch, frozen_variables: FrozenVariables) -> Batch:
  """The batch with the references that the generator is shown: a silent generator, if there is one, shuts them."""
  if silent is None:
    return batch
  frames = rearrange(batch['reference'], 'b t h w c -> (b t) h w c')
  rest = shut_mouths(silent, partial(apply, silent, frozen_variables['silent']), frames)
  return batch | {'reference': jnp.reshape(jax.lax.stop_gradient(rest), batch['reference'].shape)}


def _for_vgg(frames: AnyArray) -> AnyArray:
  """Lays all frames in a row, (b * t, h, w, 3), in [-1, 1]."""
  return 2 * rearrange(frames, 'b t h w c -> (b t) h w c') - 1


def _pictures(batch: Batch, generated: jax.Array) -> Pictures:
  """The middle frame of each of the first windows."""
  shown = slice(SAMPLED_WINDOWS), WINDOW_FRAMES // 2
  target, reference = to_unit(batch['target'][shown]), to_unit(batch['reference'][shown])
  masked = generator_faces(target, reference)[..., :3]
  return {'masked': masked, 'reference': reference, 'generated': generated[shown], 'target': target}


def _inputs(batch: Batch) -> tuple[AnyArray, AnyArray]:
  """Lays all frames in a row: faces (b * t, h, w, 6) in [0, 1] and mels (b * t, 80, 16)."""
  faces = generator_faces(batch['target'], batch['reference'])
  return rearrange(faces, 'b t h w c -> (b t) h w c'), rearrange(batch['mel'], 'b t m s -> (b t) m s')
