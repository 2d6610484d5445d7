"""The registry of a generator's losses: the terms, what they look at, and what weighs them.

To add a loss, write it in `lpips_jax.losses`, give it a function of a `Scene` and an entry in `TERMS` here, and give
`config.losses` a coefficient of that name in configs/lrs2.py, 0.0 to leave it off. Configs derived from that one, the
schema, the logs and the model card then know it. A network may have losses of its own: the module sows one value per
example into the collection `losses`, and the entry is `sown`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from ml_collections import ConfigDict

from lpips_jax import losses
from lpips_jax.audio.condition import speech_of
from lpips_jax.core.constants import AV_EXPERT, LIP_READER, SYNC_EXPERT
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models import LipReader, SyncExpert
from lpips_jax.models.inputs import lower_half, to_unit
from lpips_jax.perceptual import features, lpips
from lpips_jax.training.placing import placed, windows_of
from lpips_jax.training.state import CLOSED, Params
from lpips_jax.training.step import Batch, FrozenVariables, Metrics, apply

SYNC_LOSSES = {'log': 'sync', 'stabilised': 'stabilised_sync'}  # the term that config.losses.sync weighs, by .sync_kind
AV_SYNC_KINDS = 'audio', 'visual', 'joint'
TRIPLET_FEATURES = 'relu3_3'  # of VGG, of lower halves
LPIPS = 'lpips'  # VGG's weights among the frozen variables

Coefficients = dict[str, jax.Array | float]  # () each, by the name of the loss term


@dataclass(frozen=True)
class Scene:
  """Everything that the terms look at.

  Attributes:
    generated: (b, t, h, w, 3) in [0, 1].
    batch: what they should look like, and the speech that they should fit: see `generator_step`.
    config: `losses` of a config such as configs/lrs2.py's.
    networks: modules that are used and not trained, by name: see `frozen.Frozen`.
    variables: of those, and `lpips`.
    dtype: what the generator computes in; losses through VGG do so, too.
    discriminator: the module and its parameters; None where no adversary counts.
    sown: what the generator itself has sown for its losses, by name: mostly these, (n,) each; none in evaluation.
  """

  generated: jax.Array
  batch: Batch
  config: ConfigDict
  networks: Mapping[str, nn.Module]
  variables: FrozenVariables
  dtype: Any
  discriminator: tuple[nn.Module, Params] | None = None
  sown: Mapping[str, jax.Array] = field(default_factory=dict)

  def frozen(self, name: str, *inputs: AnyArray | None, **options: Any) -> Any:
    """Calls a frozen network: with its running statistics, as those of the batch would let the generator game it."""
    return apply(self.networks[name], self.variables[name], *cast(Any, inputs), **options)

  @cached_property
  def target(self) -> AnyArray:
    """(b, t, h, w, 3) in [0, 1]."""
    return to_unit(self.batch['target'])

  @cached_property
  def reference(self) -> AnyArray:
    """(b, t, h, w, 3) in [0, 1], as the generator was shown it."""
    return to_unit(self.batch['reference'])

  @cached_property
  def speech(self) -> jax.Array:
    """The sync expert's embeddings of the speech of each window, (b, d)."""
    heard = self.batch[f'window_{speech_of(self.networks[SYNC_EXPERT])}']
    return self.frozen(SYNC_EXPERT, heard, method=SyncExpert.embed_speech)

  def cosine(self, frames: AnyArray) -> jax.Array:
    """The sync expert's cosines of frames, (b, t, h, w, 3), and the speech, (b,)."""
    return jnp.sum(self.frozen(SYNC_EXPERT, frames, method=SyncExpert.embed_faces) * self.speech, -1)

  @cached_property
  def in_sync(self) -> jax.Array:
    """The cosines of the generated frames and their speech, (b,)."""
    return self.cosine(self.generated)

  @cached_property
  def clip(self) -> AnyArray:
    """The true clips, (clips, T, h, w, 3) in [0, 1]."""
    return to_unit(self.batch['clip_frames'])

  @cached_property
  def placed(self) -> jax.Array:
    """The true clips with the generated windows in their places, (clips, T, h, w, 3) in [0, 1]."""
    return placed(self.clip, self.generated, self.batch['clip_start'])


class Term(NamedTuple):
  """A loss.

  Attributes:
    value: its mean over the batch, (), of a `Scene`.
    networks: the frozen networks that it looks through, by name.
    always: whether it is found even if its coefficient is 0, as it costs next to nothing, and every log should have it.
    gate: whether its coefficient is 0 until the term, evaluated, has fallen below `config.losses.<name>_gate`.
    available: whether a scene has what it looks at; some terms only training has.
    option: the key of `config.model` without which a generator sows nothing for it, if there is one.
  """

  value: Callable[[Scene], jax.Array]
  networks: tuple[str, ...] = ()
  always: bool = False
  gate: bool = False
  available: Callable[[Scene], bool] = lambda scene: True
  option: str = ''


def _reconstruction(scene: Scene) -> jax.Array:
  return losses.reconstruction(scene.generated, scene.target).mean()


def _lower_half(scene: Scene) -> jax.Array:
  return losses.squared_error(lower_half(scene.generated), lower_half(scene.target)).mean()


def _perceptual(scene: Scene) -> jax.Array:
  x, y = (_for_vgg(frames) for frames in (scene.generated, scene.target))
  return lpips(x, y, scene.variables[LPIPS], scene.dtype).mean()


def _triplet(scene: Scene) -> jax.Array:
  mouths = (_for_vgg(lower_half(frames)) for frames in (scene.generated, scene.target, scene.reference))
  x, y, z = (features(mouth, TRIPLET_FEATURES, scene.variables[LPIPS], scene.dtype) for mouth in mouths)
  return losses.adaptive_triplet(x, y, z).mean()


def _adversarial(scene: Scene) -> jax.Array:
  discriminator, params = cast(tuple[nn.Module, Params], scene.discriminator)
  frames = rearrange(scene.generated, 'b t h w c -> (b t) h w c')
  return losses.adversarial(apply(discriminator, {'params': params}, frames), scene.config.adversarial_kind).mean()


def _sync(scene: Scene) -> jax.Array:
  return losses.sync(scene.frozen(SYNC_EXPERT, scene.in_sync, method=SyncExpert.logits)).mean()


def _stabilised_sync(scene: Scene) -> jax.Array:
  return losses.stabilised_sync(scene.in_sync, scene.cosine(scene.target), scene.cosine(scene.reference)).mean()


def _visual_sync(scene: Scene) -> jax.Array:
  generated, target = (
    scene.frozen(SYNC_EXPERT, frames, method=SyncExpert.embed_faces) for frames in (scene.generated, scene.target)
  )
  return jnp.abs(generated - target).sum(-1).mean()


def _reading(scene: Scene) -> jax.Array:
  length, labels = scene.batch['clip_length'], scene.batch['clip_labels']
  logits = scene.frozen(LIP_READER, scene.placed, length)
  return (losses.ctc(logits, length, labels) / jnp.maximum((labels > 0).sum(-1), 1)).mean()


def _av_sync(scene: Scene) -> jax.Array:
  length, sound = scene.batch['clip_length'], scene.batch['clip_sound']
  kind = scene.config.av_sync_kind
  of_lips = scene.frozen(AV_EXPERT, sound if kind == 'joint' else None, scene.placed, length)
  expected = scene.frozen(
    AV_EXPERT, None if kind == 'visual' else sound, None if kind == 'audio' else scene.clip, length
  )
  starts = scene.batch['clip_start']
  return losses.av_sync(windows_of(of_lips, starts), jax.lax.stop_gradient(windows_of(expected, starts))).mean()


def _frame_contrast(scene: Scene) -> jax.Array:
  _, lips = scene.frozen(LIP_READER, scene.clip, scene.batch['clip_length'], method=LipReader.features)
  filmed = rearrange(windows_of(lips, scene.batch['clip_start']), 'b t d -> (b t) d')
  return losses.frame_contrast(scene.sown['contrast'][: len(filmed)], filmed).mean()


def _landmarks(scene: Scene) -> jax.Array:
  true = rearrange(scene.batch['gestures'], 'b t k -> (b t) k')
  return losses.landmarks(scene.sown['landmarks'], true).mean()


def _of_sown(value: Callable[[Scene], jax.Array], name: str, option: str, *networks: str) -> Term:
  """A loss of what the generator sows under a name, which is there in training alone."""
  return Term(value, networks, available=lambda scene: name in scene.sown, option=option)


def _sown(name: str, option: str) -> Term:
  return _of_sown(lambda scene: scene.sown[name].mean(), name, option)


TERMS: dict[str, Term] = {  # by the key of config.losses that weighs it; they are added up in this order
  'reconstruction': Term(_reconstruction, always=True),
  'lower_half': Term(_lower_half, always=True),
  'perceptual': Term(_perceptual, (LPIPS,)),
  'triplet': Term(_triplet, (LPIPS,)),
  'adversarial': Term(_adversarial, available=lambda scene: scene.discriminator is not None),
  'sync': Term(_sync, (SYNC_EXPERT,), always=True, gate=True),
  'reading': Term(_reading, (LIP_READER,), gate=True),
  'av_sync': Term(_av_sync, (AV_EXPERT,), gate=True),
  'frame_contrast': _of_sown(_frame_contrast, 'contrast', 'contrast', LIP_READER),
  'visual_sync': Term(_visual_sync, (SYNC_EXPERT,)),
  'store': _sown('store', 'memory_slots'),
  'align': _sown('align', 'memory_slots'),
  'pseudo_audio': _sown('pseudo_audio', 'taught_by_sound'),
  'landmarks': _of_sown(_landmarks, 'landmarks', 'landmarks'),
}


def gates(config: ConfigDict) -> dict[str, float]:
  """Returns the thresholds of `config.losses` below which gated terms open, by the name of the term."""
  return {name: config[f'{name}_gate'] for name, term in TERMS.items() if term.gate and (term.always or config[name])}


def networks_needed(config: ConfigDict) -> set[str]:
  """Returns the names of the frozen networks that the terms of `config.losses` look through."""
  return {network for name, term in TERMS.items() if term.always or config[name] for network in term.networks}


def needs_clips(config: ConfigDict) -> bool:
  """Returns whether the terms of `config.losses` look at windows in their clips."""
  return any(config[name] for name in losses.OF_CLIPS)


def loss_terms(scene: Scene) -> Metrics:
  """Returns the generator's losses without their coefficients, () each: those that count or are `always` found."""
  config = scene.config
  wanted = {name: term for name, term in TERMS.items() if (term.always or config[name]) and term.available(scene)}
  terms = {name: term.value(scene) for name, term in wanted.items()}
  if config.sync_kind == 'stabilised' and config.sync:
    terms['stabilised_sync'] = _stabilised_sync(scene)
  return terms


def full_coefficients(config: ConfigDict) -> dict[str, float]:
  """Returns the coefficient of each loss once it has fully risen, by the name of its term."""
  return {SYNC_LOSSES[config.sync_kind] if name == 'sync' else name: config[name] for name in TERMS}


def loss_coefficients(config: ConfigDict, step: jax.Array, opened: Mapping[str, jax.Array]) -> Coefficients:
  """Returns the coefficient of each loss at a step, () each; losses whose coefficient is always 0 are left out.

  Args:
    config: a coefficient for each of `TERMS`; `sync_kind`, a key of `SYNC_LOSSES`; `warmup_steps`, over how many steps
      some of them rise from zero; `adversarial_start`, the step from which the adversary counts.
    step: () updates made.
    opened: () after how many each gated term began to count, or `CLOSED`.
  """

  def risen(name: str, since: jax.Array | int) -> jax.Array:
    return jnp.clip((step + 1 - since) / max(config.warmup_steps.get(name, 0), 1), 0, 1)

  shares = {'perceptual': risen('perceptual', 0), 'adversarial': risen('adversarial', config.adversarial_start)}
  for name, since in opened.items():
    term = SYNC_LOSSES[config.sync_kind] if name == 'sync' else name
    shares[term] = jnp.where(since == CLOSED, 0, risen(name, since))
  full = full_coefficients(config)
  return {name: coefficient * shares.get(name, 1.0) for name, coefficient in full.items() if coefficient}


def weighted_sum(coefficients: Mapping[str, jax.Array | float], terms: Metrics) -> jax.Array:
  """Returns the sum of the terms that have a coefficient, ()."""
  total = sum(coefficient * terms[name] for name, coefficient in coefficients.items() if name in terms)
  return cast(jax.Array, total)  # no int: there is a coefficient


def _for_vgg(frames: AnyArray) -> AnyArray:
  """Lays all frames in a row, (b * t, h, w, 3), in [-1, 1]."""
  return 2 * rearrange(frames, 'b t h w c -> (b t) h w c') - 1
