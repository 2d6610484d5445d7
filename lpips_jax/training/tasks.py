"""What there is to train: for each `config.task` the network, its step, and what the step needs besides the state."""

import dataclasses
from operator import attrgetter
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
import optax
from ml_collections import ConfigDict

from lpips_jax import models, perceptual, pretrained
from lpips_jax.cli import UserError
from lpips_jax.conventions import WINDOW_FRAMES
from lpips_jax.models.generator import FUSIONS
from lpips_jax.models.inputs import generator_faces
from lpips_jax.training.checkpoints import keep_expert
from lpips_jax.training.state import make_optimizer
from lpips_jax.training.steps import Evaluation, Step, expert_step, generator_step


@dataclasses.dataclass(frozen=True)
class Task:
  """A network to train.

  Attributes:
    model: the Flax module.
    optimizer: what turns gradients into updates.
    step, evaluate: see `lpips_jax.training.steps`.
    frozen: weights that the step uses and does not train.
    warm_start: variables to begin with in place of fresh ones, a part of the tree.
  """

  model: nn.Module
  optimizer: optax.GradientTransformation
  step: Step
  evaluate: Evaluation
  frozen: dict[str, Any] = dataclasses.field(default_factory=dict)
  warm_start: dict[str, Any] = dataclasses.field(default_factory=dict)


def check_config(config: ConfigDict) -> None:
  """Raises UserError for values that no run can have, before anything is made for it."""
  least = dict.fromkeys(('steps', 'log_every', 'eval_every', 'checkpoint_every', 'keep'), 1)
  least |= {'data.batch_size': 1, 'data.windows': 1, 'data.eval_batches': 1, 'data.workers': 0}
  for name, bound in least.items():
    value = attrgetter(name)(config)
    if value < bound:
      raise UserError(f'config.{name}={value} must be at least {bound}')
  if config.optimizer.warmup_steps >= config.steps:
    raise UserError(
      f'config.optimizer.warmup_steps={config.optimizer.warmup_steps} must be less than config.steps={config.steps}: '
      'a short run needs a short warm-up'
    )
  if config.model.name == 'attn_wav2lip' and config.model.fusion not in FUSIONS:
    raise UserError(f'config.model.fusion={config.model.fusion!r}: there are {", ".join(FUSIONS)}')
  multiple = 2 ** (len(config.model.get('widths', (0,))) - 1)
  if config.model.image_size < 16 or config.model.image_size % multiple:
    raise UserError(
      f'config.model.image_size={config.model.image_size} must be 16 or more and a multiple of {multiple}'
    )


def make_task(config: ConfigDict, checkpoint: Path) -> Task:
  """Returns the task that the config asks for; `checkpoint` is the run's checkpoint directory."""
  if config.task == 'sync_expert':
    return _expert_task(config)
  if config.task == 'generator':
    return _generator_task(config, checkpoint)
  raise UserError(f"config.task={config.task!r}: there are 'sync_expert' and 'generator'")


def sample_rows(batch: dict[str, np.ndarray], generated: np.ndarray, count: int = 8) -> list[np.ndarray]:
  """The rows of the sample picture: masked, reference, generated, target; one window's middle frame a column."""
  middle = WINDOW_FRAMES // 2
  target, reference = batch['target'][:count, middle], batch['reference'][:count, middle]
  masked = np.asarray(generator_faces(target, reference))[..., :3]
  return [masked, reference, np.asarray(generated)[:count, middle], target]


def _expert_task(config: ConfigDict) -> Task:
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, config.steps)
  step, evaluate = expert_step(model, optimizer, config)
  return Task(model, optimizer, step, evaluate)


def _generator_task(config: ConfigDict, checkpoint: Path) -> Task:
  expert = _frozen_expert(config, checkpoint)
  model = models.build(config.model)
  optimizer = make_optimizer(config.optimizer, config.steps)
  step, evaluate = generator_step(model, expert.model, optimizer, config)
  frozen = {'expert': expert.variables, 'lpips': perceptual.load_weights(**config.perceptual)}
  warm_start = _audio_encoder(expert.variables) if config.audio_encoder_from_expert else {}
  return Task(model, optimizer, step, evaluate, frozen, warm_start)


def _frozen_expert(config: ConfigDict, checkpoint: Path) -> pretrained.Pretrained:
  """The expert kept by a run that has saved a step, else `config.sync_expert`, which is then copied to be kept."""
  kept = checkpoint / pretrained.SYNC_EXPERT
  if kept.exists() and (pretrained.has_steps(checkpoint) or not config.sync_expert):
    return pretrained.load(kept)
  if not config.sync_expert:
    raise UserError(
      'a generator needs a trained sync expert: train one with a *_sync_expert config, then give '
      '--config.sync_expert=WORKDIR/checkpoint'
    )
  expert = pretrained.load_expert(config.sync_expert)
  keep_expert(checkpoint, pretrained.find(config.sync_expert))  # once it is known to be one
  return expert


def _audio_encoder(variables: dict[str, Any]) -> dict[str, Any]:
  """The expert's speech encoder, all but its last layer, which maps to an embedding rather than to a code."""
  return {
    kind: {'audio_encoder': {name: leaf for name, leaf in tree['audio_encoder'].items() if name != 'head'}}
    for kind, tree in variables.items()
  }
