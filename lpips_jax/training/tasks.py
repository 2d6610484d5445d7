"""What there is to train: for each `config.task` its state, its step, and what the step needs besides the state."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from lpips_jax import models, perceptual, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.models import SyncExpert
from lpips_jax.models.initialise import init_variables
from lpips_jax.training import expert_step, generator_step, warm_start
from lpips_jax.training.checkpoints import keep_frozen
from lpips_jax.training.optimizer import learning_rate, make_optimizer
from lpips_jax.training.state import Adversary, TrainState
from lpips_jax.training.warm_start import Start

ANEW = Start()


@dataclasses.dataclass(frozen=True)
class Frozen:
  """What a step uses and does not train; an expert's uses nothing.

  Attributes:
    expert: the sync expert's module, which a generator is judged by.
    weights: `expert`, its variables; `lpips`, VGG's weights or None; and `silent`, of a silent generator.
    silent: the silent generator's module, if there is one.
  """

  expert: SyncExpert | None = None
  weights: dict[str, Any] = dataclasses.field(default_factory=dict)
  silent: Any = None


@dataclasses.dataclass(frozen=True)
class Task:
  """A network to train.

  Attributes:
    init: makes the state to begin with.
    step: (state, batch, frozen weights) -> (state, metrics).
    evaluate: (variables, batch, frozen weights) -> (metrics, pictures by name).
  """

  init: Callable[[], TrainState]
  step: Callable[..., Any]
  evaluate: Callable[..., Any]


def make_task(config: ConfigDict, frozen: Frozen, start: Start = ANEW) -> Task:
  """Returns the task that a config, which has passed `checking.check_config`, asks for.

  Args:
    config: of the run.
    frozen: from `load_frozen`.
    start: from `warm_start.find_start`; anew by default.
  """
  rate = learning_rate(config.optimizer, config.data.batch_size, config.steps)
  optimizer = make_optimizer(config.optimizer, rate)
  model = models.build(config.model)
  if config.task == 'sync_expert':
    return Task(
      init=lambda: TrainState.create(_first_variables(config, model, frozen, start), optimizer),
      step=expert_step.make_step(model, optimizer, rate, config),
      evaluate=expert_step.make_evaluation(model, config),
    )

  discriminator = _computing_in(models.build(config.discriminator), config) if config.losses.adversarial else None
  networks = generator_step.Networks(model, frozen.expert, discriminator, frozen.silent)

  def init() -> TrainState:
    variables = _first_variables(config, model, frozen, start)
    if not discriminator:
      return TrainState.create(variables, optimizer)
    params = init_variables(discriminator, config.discriminator, config.seed, gain=2.0)['params']
    return TrainState.create(variables, optimizer, Adversary.create(params, optimizer))

  return Task(
    init,
    step=generator_step.make_step(networks, optimizer, rate, config),
    evaluate=generator_step.make_evaluation(networks, config),
  )


def load_frozen(config: ConfigDict, checkpoint: Path) -> Frozen:
  """Loads what the step does not train; `checkpoint` is the run's checkpoint directory.

  Raises:
    UserError: a network or the perceptual weights are not there, or are something else.
  """
  if config.task == 'sync_expert':
    return Frozen()
  expert = _frozen_expert(config, checkpoint)
  lpips = perceptual.load_weights(**config.perceptual) if _sees_features(config) else None
  frozen = Frozen(_computing_in(expert.model, config), {'expert': expert.variables, 'lpips': lpips})
  if not config.silent_generator:
    return frozen
  silent = _kept(config.silent_generator, checkpoint, pretrained.SILENT_GENERATOR, pretrained.load_silent)
  _check_size(silent.config.model, config)
  return _with_silent(frozen, config, silent.model, silent.variables)


def frozen_shapes(config: ConfigDict) -> Frozen:
  """The shapes of what `load_frozen` loads, without any file: of an expert of full width if the config names none."""
  if config.task == 'sync_expert':
    return Frozen()
  named = _named_expert(config)
  if named:
    of_expert = pretrained.read_config(pretrained.find(named)).model
  else:
    of_expert = ConfigDict({'name': 'sync_expert', 'image_size': 96, 'contrastive': True, 'dtype': 'float32'})
  expert, variables = _as_shapes(of_expert)
  lpips = None
  if _sees_features(config):
    lpips = perceptual.random_weights(0, config.perceptual.width)
    lpips = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), lpips)
  frozen = Frozen(_computing_in(expert, config), {'expert': variables, 'lpips': lpips})
  if not config.silent_generator:
    return frozen
  of_silent = pretrained.read_config(pretrained.find(config.silent_generator)).model
  _check_size(of_silent, config)
  return _with_silent(frozen, config, *_as_shapes(of_silent))


def _sees_features(config: ConfigDict) -> bool:
  return bool(config.losses.perceptual or config.losses.triplet)


def _as_shapes(config: ConfigDict) -> tuple[Any, dict[str, Any]]:
  """The module of a model config, and the shapes of its variables."""
  model = models.build(config)
  return model, jax.eval_shape(model.init, jax.random.key(0), *models.example_inputs(config))


def _with_silent(frozen: Frozen, config: ConfigDict, model: Any, variables: dict[str, Any]) -> Frozen:
  weights = frozen.weights | {'silent': variables}
  return dataclasses.replace(frozen, weights=weights, silent=_computing_in(model, config))


def _check_size(of_silent: ConfigDict, config: ConfigDict) -> None:
  if of_silent.image_size != config.model.image_size:
    raise UserError(
      f'the silent generator {config.silent_generator} makes faces of {of_silent.image_size} pixels, and '
      f'config.model.image_size={config.model.image_size}: give both the same'
    )


def _first_variables(config: ConfigDict, model: Any, frozen: Frozen, start: Start) -> dict[str, Any]:
  """The variables before the first step: drawn, then the base's where it has them, else the expert's speech encoder."""
  variables = init_variables(model, config.model, config.seed)
  if start.resumed:
    return variables
  given = False
  if start.base is not None:
    variables, found = warm_start.start_from(variables, start)
    given = warm_start.has_audio_encoder(found)
    if jax.process_index() == 0:
      print(warm_start.told(found, start), flush=True)
  if config.get('audio_encoder_from_expert') and not given:
    variables = _grafted(variables, _audio_encoder(frozen.weights['expert']))
  return variables


def _frozen_expert(config: ConfigDict, checkpoint: Path) -> pretrained.Pretrained:
  """The expert kept by a run that has saved a step, else the one that the config names, which is copied to be kept."""
  named = _named_expert(config)
  if not named and not (checkpoint / pretrained.SYNC_EXPERT).exists():
    raise UserError(
      'a generator needs a trained sync expert: train one with a *_sync_expert config, then give '
      '--config.sync_expert=WORKDIR/checkpoint'
    )
  return _kept(named, checkpoint, pretrained.SYNC_EXPERT, pretrained.load_expert)


def _kept(
  named: str | Path, checkpoint: Path, name: str, load: Callable[[str | Path], pretrained.Pretrained]
) -> pretrained.Pretrained:
  """The frozen network kept by a run that has saved a step, else the one named, which is copied to be kept.

  Args:
    named: a checkpoint directory; '' to take what an attempt left that saved nothing.
    checkpoint: the run's checkpoint directory.
    name: what it is called there.
    load: raises UserError for another kind of network.

  Raises:
    UserError: as `load`; or the network cannot be trained with, as its BatchNorm is folded away.
  """
  kept = checkpoint / name
  if kept.exists() and (pretrained.has_steps(checkpoint) or not named):
    return pretrained.load(kept)
  network = load(named)
  if network.config.get('folded'):
    raise UserError(f'{named} has its BatchNorm folded away: train with the checkpoint before folding')
  if jax.process_index() == 0:
    keep_frozen(checkpoint, name, pretrained.find(named), network.step)  # once it is known to be one
  return network


def _named_expert(config: ConfigDict) -> str | Path:
  """`config.sync_expert`, else the expert that is kept with `config.init_from`; '' where neither names one."""
  if config.sync_expert or not config.get('init_from'):
    return config.sync_expert
  try:
    beside = pretrained.find(config.init_from) / pretrained.SYNC_EXPERT
  except UserError:  # of a run that goes on without its base; else `warm_start.find_start` has told
    return ''
  return beside if beside.is_dir() else ''


def _computing_in(model: Any, config: ConfigDict) -> Any:
  """Another network of a run, computing in what the one that it trains computes in."""
  return model.clone(dtype=jnp.dtype(config.model.dtype))


def _audio_encoder(variables: dict[str, Any]) -> dict[str, Any]:
  """The expert's speech encoder, all but its last layer, which maps to an embedding rather than to a code."""
  return {
    kind: {'audio_encoder': {name: leaf for name, leaf in tree['audio_encoder'].items() if name != 'head'}}
    for kind, tree in variables.items()
  }


def _grafted(tree: dict[str, Any], graft: dict[str, Any]) -> dict[str, Any]:
  """Replaces the leaves of `tree` that `graft` has; shapes must agree."""
  for name, value in graft.items():
    if name not in tree:
      raise UserError(f'the expert has {name}, the generator not: give both the same audio_residuals')
    if isinstance(value, dict):
      tree = tree | {name: _grafted(tree[name], value)}
    elif tree[name].shape != value.shape:
      raise UserError(f'{name}: expert {value.shape}, generator {tree[name].shape}: give both the same audio_widths')
    else:
      tree = tree | {name: jnp.copy(value)}  # the state is donated, the expert's own arrays are not
  return tree
