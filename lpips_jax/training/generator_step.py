"""The generator's step and evaluation: pure functions of state and batch, to be jitted over a mesh.

A batch holds b windows of t frames: `target`, `reference` (b, t, h, w, 3) uint8, which are scaled, masked and stacked
here, on the device; `mel` (b, t, 80, steps), one window of speech per frame; `window_mel` and `window_phones`
(b, 80, 16), one for all t frames, for experts that hear either.

For losses that look at whole clips it also holds the c clips that the windows are from, as many windows of each, one
clip's after the other's: `clip_frames` (c, T, h, w, 3) uint8, `clip_sound` (c, T, 104), `clip_length` (c,) frames that
are no padding, `clip_labels` (c, L), the labels of what is said, 0 after the last; and `clip_start` (b,), the first
frame of each window. For a generator that is driven by visemes and taught by sound, `heard_mel` (b, t, 80, steps).

The losses are in `generator_losses`, and that is where to add one.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from einops import rearrange
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from lpips_jax import losses, models
from lpips_jax.audio.condition import window_length
from lpips_jax.core.constants import MEL_BANDS, MEL_WINDOW, SILENT_GENERATOR, SYNC_EXPERT, WINDOW_FRAMES
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models import Discriminator, SyncExpert
from lpips_jax.models.inputs import generator_faces, lower_half, to_unit
from lpips_jax.models.silence import shut_mouths
from lpips_jax.training.accumulation import in_parts, rematerialised
from lpips_jax.training.generator_losses import (
  Coefficients,
  Scene,
  full_coefficients,
  loss_coefficients,
  loss_terms,
  needs_clips,
  weighted_sum,
)
from lpips_jax.training.state import CLOSED, Params, TrainState, Variables
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

SAMPLED_WINDOWS = 8  # in the sample picture
REPLACED_FROM, REPLACED_BY = 0.1, 0.7  # shares of a run between which sound gives way to what is made of visemes


@dataclasses.dataclass(frozen=True)
class Networks:
  """The networks of a step.

  Attributes:
    generator: the network in training.
    frozen: the modules that are used and not trained, by name: see `frozen.Frozen`. A silent generator shuts the
      mouths of the references that the generator is shown.
    discriminator: trained beside the generator; None without the adversarial loss.
  """

  generator: nn.Module
  frozen: Mapping[str, nn.Module]
  discriminator: Discriminator | None = None


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

  Args:
    networks: whose parameters are in the state and in `frozen_variables`, see `frozen.Frozen`.
    config: `losses` of a config such as configs/lrs2.py's.
    settings: how gradients become an update; the discriminator has its own state of the same optimiser.
  """
  functions = _loss_functions(networks, config, settings.remat)
  wanted = training_inputs(networks.generator)

  def step(state: TrainState, batch: Batch, frozen_variables: FrozenVariables) -> tuple[TrainState, Metrics]:
    if 'replaced' in wanted:
      batch = batch | {'replaced': _draw_replaced(settings, state.step, len(batch['target']))}
    fixed = Fixed(
      loss_coefficients(config, state.step, state.opened),
      frozen_variables,
      state.adversary.params if state.adversary else None,
    )
    of_batch = partial(gradients, functions, networks, state.variables['params'], fixed)
    batch_stats, (found, metrics) = in_parts(of_batch, settings.accumulate)(state.variables['batch_stats'], batch)
    metrics |= {f'{name}_open': (since != CLOSED).astype(jnp.float32) for name, since in state.opened.items()}
    metrics |= {
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
    batch = _with_references_shut(networks, batch, frozen_variables)
    faces, mels = _inputs(batch)
    generated = apply(networks.generator, variables, faces, mels).reshape(batch['target'].shape)
    scene = Scene(generated, batch, config, networks.frozen, frozen_variables, networks.generator.dtype)
    metrics = loss_terms(scene)
    error = losses.squared_error(lower_half(generated), lower_half(to_unit(batch['target'])))
    psnr = -10 * jnp.log10(jnp.maximum(error, 1e-10)).mean()
    loss = weighted_sum(full_coefficients(config), metrics)
    return metrics | {'loss': loss, 'lower_half_psnr': psnr}, _pictures(batch, generated)

  return evaluate


def training_inputs(generator: nn.Module) -> tuple[str, ...]:
  """Returns the names of what a generator is given in training alone: `beside` of its call."""
  return getattr(generator, 'training_inputs', ())


def batch_shapes(config: ConfigDict) -> Shapes:
  """Returns the shapes of a batch of all devices."""
  size, windows, data = config.model.image_size, config.data.batch_size, config.data
  frames, mel = (windows, WINDOW_FRAMES, size, size, 3), (MEL_BANDS, MEL_WINDOW)
  shapes = {
    **dict.fromkeys(('target', 'reference'), jax.ShapeDtypeStruct(frames, jnp.uint8)),
    'mel': jax.ShapeDtypeStruct((windows, WINDOW_FRAMES, MEL_BANDS, window_length(config.model)), jnp.float32),
    **dict.fromkeys(('window_mel', 'window_phones'), jax.ShapeDtypeStruct((windows, *mel), jnp.float32)),
  }
  if needs_clips(config.losses):
    of_clips = clip_shapes(windows // data.windows, data.clip_frames, size, data.max_labels)
    shapes |= {f'clip_{name}': shape for name, shape in of_clips.items() if name != 'frame_labels'}
    shapes['clip_start'] = jax.ShapeDtypeStruct((windows,), jnp.int32)
  if 'mel' in training_inputs(models.build(config.model)):
    shapes['heard_mel'] = shapes['mel']
  if config.losses.landmarks:
    shapes['gestures'] = jax.ShapeDtypeStruct((windows, WINDOW_FRAMES, config.model.landmarks), jnp.float32)
  return shapes


def replaced_share(step: jax.Array | int, steps: int) -> jax.Array:
  """Returns the share of windows that hear what is made of visemes in place of sound (Text2Lip's curriculum).

  It rises from 0 at `REPLACED_FROM` of the run's steps to 1 at `REPLACED_BY`.
  """
  return jnp.clip((step / steps - REPLACED_FROM) / (REPLACED_BY - REPLACED_FROM), 0, 1)


def gradients(
  functions: LossFunctions, networks: Networks, params: Params, fixed: Fixed, batch_stats: Variables, batch: Batch
) -> tuple[Variables, tuple[Gradients, Metrics]]:
  """Returns the BatchNorm statistics after a batch; and the gradients of its losses with the metrics.

  Args:
    functions: the losses.
    networks: one of which may shut the references.
    params: the generator's.
    fixed: all that does not depend on the batch.
    batch_stats: the generator's BatchNorm statistics before the batch.
    batch: see the module.
  """
  batch = _with_references_shut(networks, batch, fixed.frozen_variables)
  of_generator, generated = jax.grad(functions.generator, has_aux=True)(params, batch_stats, batch, fixed)
  if functions.discriminator is None:
    return generated.batch_stats, (Gradients(of_generator, None), generated.metrics)
  filmed = rearrange(to_unit(batch['target']), 'b t h w c -> (b t) h w c')
  made = generated.frames[: len(filmed)]  # of those that are made twice, what speech alone makes
  loss, of_discriminator = jax.value_and_grad(functions.discriminator)(fixed.discriminator, filmed, made)
  metrics = generated.metrics | {'discriminator': loss}
  return generated.batch_stats, (Gradients(of_generator, of_discriminator), metrics)


def generator_loss(
  networks: Networks, config: ConfigDict, params: Params, batch_stats: Variables, batch: Batch, fixed: Fixed
) -> tuple[jax.Array, Generated]:
  """Returns the weighted sum of the generator's losses on a batch, (), and its by-products.

  A generator may make its images twice, from the speech and from what only training knows: (2 b t, h, w, 3), which
  count alike.
  """
  beside = _beside(networks, batch, fixed.frozen_variables)
  frames, new = apply(
    networks.generator,
    {'params': params, 'batch_stats': batch_stats},
    *_inputs(batch),
    train=True,
    mutable=['batch_stats', 'losses'],
    **({'beside': beside} if beside else {}),
  )
  discriminator = None
  if networks.discriminator and fixed.discriminator is not None:
    discriminator = networks.discriminator, fixed.discriminator
  seen = networks.frozen, fixed.frozen_variables, networks.generator.dtype, discriminator, _sown_losses(new)
  views = [Scene(made, batch, config, *seen) for made in frames.reshape(-1, *batch['target'].shape)]
  terms = _means(list(map(loss_terms, views)))
  loss = weighted_sum(fixed.coefficients, terms)
  return loss, Generated(new['batch_stats'], terms | {'loss': loss}, frames)


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


def _means(of_views: Sequence[Metrics]) -> Metrics:
  if len(of_views) == 1:  # a division by 1 would be part of the program
    return of_views[0]
  return jax.tree.map(lambda *values: sum(values[1:], values[0]) / len(values), *of_views)


def _beside(networks: Networks, batch: Batch, frozen_variables: FrozenVariables) -> dict[str, AnyArray]:
  """The inputs that a generator has in training alone, by the names in its `training_inputs`."""

  def lips() -> jax.Array:
    expert, variables = networks.frozen[SYNC_EXPERT], frozen_variables[SYNC_EXPERT]
    return apply(expert, variables, to_unit(batch['target']), method=SyncExpert.embed_faces)

  known: dict[str, Callable[[], AnyArray]] = {
    'lips': lips,
    'mel': lambda: rearrange(batch['heard_mel'], 'b t m s -> (b t) m s'),
    'replaced': lambda: jnp.repeat(batch['replaced'], WINDOW_FRAMES),
  }
  return {name: known[name]() for name in training_inputs(networks.generator)}


def _sown_losses(collections: Mapping[str, Any]) -> dict[str, jax.Array]:
  """The arrays that a module has sown for its losses, by name, wherever in it."""
  return {path[-1]: values[0] for path, values in flatten_dict(collections.get('losses', {})).items()}


def _draw_replaced(settings: StepSettings, step: jax.Array, windows: int) -> jax.Array:
  """Draws the windows of a step that hear what is made of visemes, (windows,) bool."""
  key = jax.random.fold_in(jax.random.key(settings.seed), step)
  return jax.random.bernoulli(key, replaced_share(step, settings.steps), (windows,))


def _with_references_shut(networks: Networks, batch: Batch, frozen_variables: FrozenVariables) -> Batch:
  """The batch with the references that the generator is shown: a silent generator, if there is one, shuts them."""
  silent = networks.frozen.get(SILENT_GENERATOR)
  if silent is None:
    return batch
  frames = rearrange(batch['reference'], 'b t h w c -> (b t) h w c')
  rest = shut_mouths(silent, partial(apply, silent, frozen_variables[SILENT_GENERATOR]), frames)
  return batch | {'reference': jnp.reshape(jax.lax.stop_gradient(rest), batch['reference'].shape)}


def _pictures(batch: Batch, generated: jax.Array) -> Pictures:
  """The middle frame of each of the first windows."""
  shown = slice(SAMPLED_WINDOWS), WINDOW_FRAMES // 2
  target, reference = to_unit(batch['target'][shown]), to_unit(batch['reference'][shown])
  masked = generator_faces(target, reference)[..., :3]
  return {'masked': masked, 'reference': reference, 'generated': generated[shown], 'target': target}


def _inputs(batch: Batch) -> tuple[AnyArray, AnyArray]:
  """Lays all frames in a row: faces (b * t, h, w, 6) in [0, 1] and mels (b * t, 80, steps)."""
  faces = generator_faces(batch['target'], batch['reference'])
  return rearrange(faces, 'b t h w c -> (b t) h w c'), rearrange(batch['mel'], 'b t m s -> (b t) m s')
