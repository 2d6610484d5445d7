"""The networks that a generator's step uses and does not train; a run keeps copies of them in its checkpoint."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from lpips_jax import models, perceptual, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.models import SyncExpert
from lpips_jax.training.checkpoints import keep_frozen
from lpips_jax.training.state import Variables
from lpips_jax.training.step import FrozenVariables

Module = TypeVar('Module', bound=nn.Module)


@dataclasses.dataclass(frozen=True)
class Frozen:
  """Networks of a step that are not trained; an expert's step has none.

  Attributes:
    expert: the sync expert's module.
    variables: `expert`, the sync expert's; `lpips`, VGG's weights or None; and with a silent generator `silent`, its.
    silent: the silent generator's module, if there is one.
  """

  expert: SyncExpert | None = None
  variables: FrozenVariables = dataclasses.field(default_factory=dict)
  silent: nn.Module | None = None


def load_frozen(config: ConfigDict, checkpoint: Path) -> Frozen:
  """Loads the networks that a run uses and does not train, and copies those that it names into its checkpoint.

  Args:
    config: of the run.
    checkpoint: the run's checkpoint directory.

  Raises:
    UserError: a network or the perceptual weights are not there, or are something else.
  """
  if config.task == 'sync_expert':
    return Frozen()
  dtype = config.model.dtype
  expert = _load_expert(_named_expert(config.sync_expert, config.get('init_from', '')), checkpoint)
  lpips = perceptual.load_weights(**config.perceptual) if _sees_features(config.losses) else None
  module = cast(SyncExpert, expert.model)  # `load_expert` accepts no other
  frozen = Frozen(computing_in(dtype, module), {'expert': expert.variables, 'lpips': lpips})
  if not config.silent_generator:
    return frozen
  load = pretrained.load_silent_generator
  silent = _load_kept(config.silent_generator, checkpoint, pretrained.SILENT_GENERATOR, load)
  _check_size(config.silent_generator, silent.config.model, config.model)
  return _with_silent(frozen, computing_in(dtype, silent.model), silent.variables)


def frozen_shapes(config: ConfigDict) -> Frozen:
  """Returns the shapes of the networks that `load_frozen` loads; without a named expert, of one of full width."""
  if config.task == 'sync_expert':
    return Frozen()
  dtype = config.model.dtype
  named = _named_expert(config.sync_expert, config.get('init_from', ''))
  if named:
    of_expert = pretrained.read_config(pretrained.find(named)).model
  else:
    of_expert = ConfigDict({'name': 'sync_expert', 'image_size': 96, 'contrastive': True, 'dtype': 'float32'})
  expert, variables = _module_and_shapes(of_expert)
  lpips = None
  if _sees_features(config.losses):
    lpips = perceptual.random_weights(0, config.perceptual.width)
    lpips = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), lpips)
  module = cast(SyncExpert, expert)  # of a config that names one
  frozen = Frozen(computing_in(dtype, module), {'expert': variables, 'lpips': lpips})
  if not config.silent_generator:
    return frozen
  of_silent = pretrained.read_config(pretrained.find(config.silent_generator)).model
  _check_size(config.silent_generator, of_silent, config.model)
  silent, variables = _module_and_shapes(of_silent)
  return _with_silent(frozen, computing_in(dtype, silent), variables)


def _sees_features(losses: ConfigDict) -> bool:
  return bool(losses.perceptual or losses.triplet)


def computing_in(dtype: str, model: Module) -> Module:
  """Returns the same module, computing in `dtype`, that of the network in training."""
  return model.clone(dtype=jnp.dtype(dtype))


def _module_and_shapes(config: ConfigDict) -> tuple[nn.Module, Variables]:
  """The module of a model config, and the shapes of its variables."""
  model = models.build(config)
  return model, jax.eval_shape(model.init, jax.random.key(0), *models.example_inputs(config))


def _with_silent(frozen: Frozen, silent: nn.Module, variables: Variables) -> Frozen:
  return dataclasses.replace(frozen, variables=frozen.variables | {'silent': variables}, silent=silent)


def _check_size(name: str, silent: ConfigDict, model: ConfigDict) -> None:
  if silent.image_size != model.image_size:
    raise UserError(
      f'the silent generator {name} makes faces of {silent.image_size} pixels, and '
      f'config.model.image_size={model.image_size}: give both the same'
    )


def _named_expert(sync_expert: str, init_from: str) -> str | Path:
  """`config.sync_expert`, else the expert that is kept with `config.init_from`; '' where neither names one."""
  if sync_expert or not init_from:
    return sync_expert
  try:
    beside = pretrained.find(init_from) / pretrained.SYNC_EXPERT
  except UserError:  # a resumed run does without its base; for any other, `warm_start.find_start` has raised this
    return ''
  return beside if beside.is_dir() else ''


def _load_expert(named: str | Path, checkpoint: Path) -> pretrained.Pretrained:
  """The expert kept by a run that has saved a step, else the one named, which is copied to be kept."""
  if not named and not (checkpoint / pretrained.SYNC_EXPERT).exists():
    raise UserError(
      'a generator needs a trained sync expert: train one with a *_sync_expert config, then give its checkpoint '
      'directory, WORKDIR/checkpoint, as config.sync_expert'
    )
  return _load_kept(named, checkpoint, pretrained.SYNC_EXPERT, pretrained.load_expert)


def _load_kept(
  named: str | Path, checkpoint: Path, name: str, load: Callable[[str | Path], pretrained.Pretrained]
) -> pretrained.Pretrained:
  """Loads the copy kept by a run that has saved a step, else the network named, which is copied to be kept.

  Args:
    named: a checkpoint directory; '' takes the copy of an attempt that saved nothing.
    checkpoint: the run's checkpoint directory.
    name: the copy's name there.
    load: raises UserError for another kind of network.

  Raises:
    UserError: as `load`; or the network's BatchNorm is folded away, so that nothing can be trained with it.
  """
  kept = checkpoint / name
  if kept.exists() and (pretrained.has_steps(checkpoint) or not named):
    return pretrained.load_weights(kept)
  network = load(named)
  if network.config.get('folded'):
    raise UserError(f'{named} has its BatchNorm folded away: train with the checkpoint before folding')
  if jax.process_index() == 0:
    keep_frozen(checkpoint, name, pretrained.find(named), network.step)  # only now, as it may be of another kind
  return network
