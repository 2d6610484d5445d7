"""The networks that a step uses and does not train, by name; a run keeps copies of them in its checkpoint.

A network's name is the key of the config that says where it comes from, and the directory of the copy. To add one,
give it an entry in `KINDS`, a key in configs/lrs2.py, and name it in the loss term that looks through it.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from lpips_jax import models, perceptual, pretrained
from lpips_jax.core.constants import AV_EXPERT, LIP_READER, SILENT_GENERATOR, SYNC_EXPERT
from lpips_jax.core.errors import UserError
from lpips_jax.models import SyncExpert
from lpips_jax.training.checkpoints import keep_frozen
from lpips_jax.training.generator_losses import LPIPS, networks_needed
from lpips_jax.training.step import FrozenVariables

Module = TypeVar('Module', bound=nn.Module)


@dataclasses.dataclass(frozen=True)
class Frozen:
  """Networks of a step that are not trained; only a generator's step has any.

  Attributes:
    modules: by name.
    variables: of those; and `lpips`, VGG's weights or None.
  """

  modules: dict[str, nn.Module] = dataclasses.field(default_factory=dict)
  variables: FrozenVariables = dataclasses.field(default_factory=dict)


class Kind(NamedTuple):
  """A kind of frozen network.

  Attributes:
    load: reads one from a checkpoint; raises UserError for another kind of network.
    how_to_get: completes the line about a network that a loss needs and nobody named.
    check: raises UserError if a network, of this config, does not suit a run; takes its name there and both configs.
  """

  load: Callable[[str | Path], pretrained.Pretrained]
  how_to_get: str
  check: Callable[[str, ConfigDict, ConfigDict], None] = lambda name, network, run: None


def _check_expert(name: str, expert: ConfigDict, run: ConfigDict) -> None:
  width = tuple(expert.model.get('audio_widths', SyncExpert.audio_widths))[-1]
  if run.model.get('memory_slots') and width != tuple(run.model.audio_widths)[-1]:
    raise UserError(
      f'the sync expert {name} makes {width} features of lips, which the memory holds, and of speech there are '
      f'{tuple(run.model.audio_widths)[-1]}: give both the same audio_widths'
    )


def _check_size(name: str, silent: ConfigDict, run: ConfigDict) -> None:
  if silent.model.image_size != run.model.image_size:
    raise UserError(
      f'the silent generator {name} makes faces of {silent.model.image_size} pixels, and '
      f'config.model.image_size={run.model.image_size}: give both the same'
    )


def _check_reader(name: str, reader: ConfigDict, run: ConfigDict) -> None:
  contrast = run.model.get('contrast', 0)
  if run.losses.frame_contrast and contrast != reader.model.width:
    raise UserError(
      f'the lip reader {name} makes {reader.model.width} features of a frame: give config.model.contrast='
      f'{reader.model.width}, not {contrast}'
    )
  if run.losses.reading and reader.model.alphabet != run.data.alphabet:
    raise UserError(
      f'the lip reader {name} reads {reader.model.alphabet}: give config.data.alphabet={reader.model.alphabet}, not '
      f'{run.data.alphabet}'
    )


KINDS = {
  SYNC_EXPERT: Kind(pretrained.load_expert, 'train one with a *_sync_expert config', _check_expert),
  SILENT_GENERATOR: Kind(pretrained.load_silent_generator, 'train one with configs/silent.py', _check_size),
  LIP_READER: Kind(
    partial(pretrained.load_of_task, task='lip_reader'), 'train one with a *lip_reader config', _check_reader
  ),
  AV_EXPERT: Kind(
    partial(pretrained.load_of_task, task='av_expert'), 'train one with configs/quickstart.py:av_expert, or convert it'
  ),
}


def load_frozen(config: ConfigDict, checkpoint: Path) -> Frozen:
  """Loads the networks that a run uses and does not train, and copies those that it names into its checkpoint.

  Args:
    config: of the run.
    checkpoint: the run's checkpoint directory.

  Raises:
    UserError: a network or the perceptual weights are not there, or are something else.
  """
  if config.task != 'generator':
    return Frozen()
  frozen = Frozen({}, {LPIPS: perceptual.load_weights(**config.perceptual) if _sees_features(config) else None})
  for name in _wanted(config):
    network = _load_kept(name, _named(name, config), checkpoint)
    KINDS[name].check(config[name], network.config, config)
    frozen.modules[name] = computing_in(config.model.dtype, network.model)
    frozen.variables[name] = network.variables
  return frozen


def frozen_shapes(config: ConfigDict) -> Frozen:
  """Returns the shapes of the networks that `load_frozen` loads; of one that nobody named, those at full width."""
  if config.task != 'generator':
    return Frozen()
  lpips = None
  if _sees_features(config):
    lpips = perceptual.random_weights(0, config.perceptual.width)
    lpips = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), lpips)
  frozen = Frozen({}, {LPIPS: lpips})
  for name in _wanted(config):
    named = _named(name, config)
    of_network = pretrained.read_config(pretrained.find(named)) if named else _full_size(name, config)
    KINDS[name].check(config[name], of_network, config)
    model = models.build(of_network.model)
    frozen.modules[name] = computing_in(config.model.dtype, model)
    inputs = models.example_inputs(of_network.model)
    frozen.variables[name] = jax.eval_shape(model.init, jax.random.key(0), *inputs)
  return frozen


def computing_in(dtype: str, model: Module) -> Module:
  """Returns the same module, computing in `dtype`, that of the network in training."""
  return model.clone(dtype=jnp.dtype(dtype))


def _wanted(config: ConfigDict) -> list[str]:
  """The names of the networks of a generator's run, in the order of `KINDS`."""
  needed = networks_needed(config.losses) | ({SILENT_GENERATOR} if config.silent_generator else set())
  return [name for name in KINDS if name in needed]


def _sees_features(config: ConfigDict) -> bool:
  return LPIPS in networks_needed(config.losses)


def _full_size(name: str, config: ConfigDict) -> ConfigDict:
  """The config of a network whose checkpoint nobody named, at its module's own width."""
  model: dict[str, Any] = {'name': models.NETWORKS_OF_TASK[name][0], 'image_size': 96, 'dtype': 'float32'}
  if name == SYNC_EXPERT:
    model['contrastive'] = True
  if name == LIP_READER:
    model['alphabet'] = config.data.alphabet
  return ConfigDict({'model': model})


def _named(name: str, config: ConfigDict) -> str | Path:
  """The checkpoint that a config names, else the one that is kept with `config.init_from`; '' where neither does."""
  named, init_from = config[name], config.get('init_from', '')
  if named or not init_from:
    return named
  try:
    beside = pretrained.find(init_from) / name
  except UserError:  # a resumed run does without its base; for any other, `warm_start.find_start` has raised this
    return ''
  return beside if beside.is_dir() else ''


def _load_kept(name: str, named: str | Path, checkpoint: Path) -> pretrained.Pretrained:
  """Loads the copy kept by a run that has saved a step, else the network named, which is copied to be kept.

  Args:
    name: of the network.
    named: a checkpoint directory; '' takes the copy of an attempt that saved nothing.
    checkpoint: the run's checkpoint directory.

  Raises:
    UserError: nobody named one; it is another network; or its BatchNorm is folded away, so that nothing can be trained
      with it.
  """
  kept = checkpoint / name
  if kept.exists() and (pretrained.has_steps(checkpoint) or not named):
    return pretrained.load_weights(kept)
  if not named:
    raise UserError(
      f'a generator needs a trained {name.replace("_", " ")}: {KINDS[name].how_to_get}, then give its checkpoint '
      f'directory, WORKDIR/checkpoint, as config.{name}'
    )
  network = KINDS[name].load(named)
  if network.config.get('folded'):
    raise UserError(f'{named} has its BatchNorm folded away: train with the checkpoint before folding')
  if jax.process_index() == 0:
    keep_frozen(checkpoint, name, pretrained.find(named), network.step)  # only now, as it may be of another kind
  return network
