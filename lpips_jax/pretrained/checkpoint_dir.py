"""A checkpoint directory: the names of its files, how its steps are found and chosen, how weights are written and read.

The package's docstring describes what such a directory holds.
"""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import SingleDeviceSharding
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from lpips_jax.core.constants import AV_EXPERT, FROZEN, LIP_READER, SYNC_EXPERT
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import expand_user, write_whole
from lpips_jax.storage import stores
from lpips_jax.storage.places import is_remote
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import LAST_OBJECT

CHECKPOINT = 'checkpoint'  # the directory's name in a run
CONFIG_FILE = 'config.json'
JUDGES = SYNC_EXPERT, LIP_READER, AV_EXPERT  # networks that judge others: their best step is read, not the newest
SAFETENSORS_FILE, STABLEHLO_FILE = 'model.safetensors', 'model.stablehlo'  # written by lpips_jax.interop.export
DESCRIPTION_FILE = 'model.json'  # describes either of them
VARIABLES = 'model'  # the averaged variables' name among a step's checkpointables
STATE, DATA = 'state', 'data'  # those that only a resumed run reads
METRICS = 'metrics'  # Orbax's name for what was measured at a step
BEST = 'best'
LOSS = 'loss'  # metric saved with every evaluated step: less is better
RANKING = 'ranking'  # metric saved with an expert's steps, which decides before the loss: more is better

_FROZEN = rf'(?:{"|".join(FROZEN)})/'
# Files that a copy of a remote checkpoint begins with, by their names in it or in its run: of steps all but weights and
# what only a resumed run reads; of frozen networks the weights, too.
NEEDED = re.compile(
  rf'(?:{CHECKPOINT}/)?(?:'
  rf'(?:{_FROZEN})*[\w-]+\.(?:json|md|safetensors|stablehlo)'
  rf'|\d+/(?!(?:{VARIABLES}|{STATE}|{DATA})/).*'
  rf'|(?:{_FROZEN})+\d+/(?!(?:{STATE}|{DATA})/).*'
  rf')(?<!/{LAST_OBJECT})'
)


def find(checkpoint: str | Path) -> Path:
  """Returns the absolute checkpoint directory.

  Args:
    checkpoint: the directory, one of its steps, or the run that holds it; or the URL of any of these, of which what is
      needed to load it is copied to this machine.

  Raises:
    UserError: there is no such directory.
  """
  return find_step(checkpoint)[0]


def find_step(checkpoint: str | Path) -> tuple[Path, str]:
  """Returns the absolute checkpoint directory and the step that was asked for: a number, `BEST`, or '' for the newest.

  Takes and raises the same as `find`.
  """
  given = local_path(checkpoint).absolute()
  choices = [(given, ''), (given / CHECKPOINT, '')]
  if _names_step(given.name):
    choices.append((given.parent, given.name))
  for directory, step in choices:
    if (directory / CONFIG_FILE).is_file() and has_steps(directory):
      if is_remote(checkpoint):
        _bring_weights(str(checkpoint), directory, step)
      return directory, step
  if given.is_file() or (given / SAFETENSORS_FILE).is_file():
    raise UserError(f'{checkpoint} is not a checkpoint directory: convert it to one with lpips_jax.interop.convert')
  if is_remote(checkpoint) and any((directory / CONFIG_FILE).is_file() for directory, _ in choices):
    raise UserError(
      f'{checkpoint} holds no step with {LAST_OBJECT}, which ends a whole one: train further, or copy checkpoints '
      'there with lpips_jax.interop.export'
    )
  problem = 'is not a checkpoint directory' if given.exists() else 'does not exist'
  raise UserError(f'{checkpoint} {problem}: give the directory that train.py left as WORKDIR/checkpoint')


def local_path(checkpoint: str | Path) -> Path:
  """Returns a path of this machine: the same, or of a URL that of a copy without weights, but for frozen networks.

  Raises:
    UserError: there is nothing under this URL, or it cannot be read.
  """
  if not is_remote(checkpoint):
    return expand_user(checkpoint)
  directory, step = _split_url(str(checkpoint))
  return staged(directory, lambda names: {name for name in names if NEEDED.fullmatch(name)}) / step


def _split_url(url: str) -> tuple[str, str]:
  """Returns the URL of a checkpoint or a run, and the step that follows it, or ''."""
  url = url.rstrip('/')
  parent, _, name = url.rpartition('/')
  with stores.explained(url, 'read'):
    if _names_step(name) and stores.persistently(lambda: stores.info(f'{parent}/{CONFIG_FILE}'), url):
      return parent, name
  return url, ''


def _names_step(name: str) -> bool:
  return name == BEST or name.isdigit()


def _bring_weights(url: str, directory: Path, wanted: str) -> None:
  """Copies the weights of the step of a remote checkpoint that is going to be read; `directory` holds all else."""
  judge = read_config(directory).get('task') in JUDGES
  with ocp.training.Checkpointer(directory) as checkpointer:
    step = _chosen_step(checkpointer.checkpoints, directory, wanted, prefer_best=judge)
  weights = re.compile(rf'(?:{CHECKPOINT}/)?{step}/{VARIABLES}/.*')
  staged(_split_url(url)[0], lambda names: {name for name in names if weights.fullmatch(name)})


def has_steps(directory: Path) -> bool:
  """Returns whether training has saved anything there."""
  return any(child.name.isdigit() for child in directory.iterdir())


def is_exported(checkpoint: str | Path) -> bool:
  """Returns whether a directory holds StableHLO, from which weights cannot be extracted."""
  return (local_path(checkpoint) / STABLEHLO_FILE).is_file()


def read_config(directory: Path) -> ConfigDict:
  """Reads the config beside the steps; raises UserError when it is damaged."""
  try:
    return ConfigDict(json.loads((directory / CONFIG_FILE).read_text()))
  except (OSError, ValueError, AttributeError) as error:
    raise UserError(
      f'{directory / CONFIG_FILE} cannot be read ({error}): restore a copy of it, or use another directory'
    ) from error


def best_first(saved: Sequence[Any]) -> list[int]:
  """Returns the evaluated steps, the best first: by greatest ranking where there is one, then by least loss.

  An expert that overfits grows ever more certain about clips it has never seen, so its loss rises although it still
  ranks them better.

  Args:
    saved: Orbax's `Checkpointer.checkpoints`.
  """
  evaluated = [checkpoint for checkpoint in saved if checkpoint.metrics and math.isfinite(checkpoint.metrics[LOSS])]
  evaluated.sort(key=lambda checkpoint: (-checkpoint.metrics.get(RANKING, 0), checkpoint.metrics[LOSS]))
  return [checkpoint.step for checkpoint in evaluated]


def saved_steps(directory: Path) -> list[Any]:
  """Returns Orbax's descriptions of the finished steps, the oldest first; each has `step` and `metrics`, or None."""
  with ocp.training.Checkpointer(directory.absolute()) as checkpointer:
    return list(checkpointer.checkpoints)


def read_variables(directory: Path, wanted: str, prefer_best: bool = False) -> tuple[dict[str, Any], int]:
  """Reads the averaged variables of one step onto this process's first device.

  Args:
    directory: an absolute checkpoint directory.
    wanted: a step's number, `BEST`, or '' for the newest.
    prefer_best: with '', the best step instead of the newest, if any was evaluated.

  Returns:
    The variables, and the number of updates they have seen.

  Raises:
    UserError: there is no such step.
  """
  with ocp.training.Checkpointer(directory) as checkpointer:
    step = _chosen_step(checkpointer.checkpoints, directory, wanted, prefer_best)
    # The shapes are those on disk, not those of the model: tracing the model takes longer than reading the weights.
    shapes = ocp.metadata(directory / str(step), VARIABLES).metadata
    return checkpointer.load_checkpointables(step, {VARIABLES: _on_one_device(shapes)})[VARIABLES], step


def write(directory: Path, config: ConfigDict, variables: Any, step: int) -> None:
  """Writes one step and the config of a network, so that `read_config` and `read_variables` read them."""
  with ocp.training.Checkpointer(directory.absolute()) as checkpointer:
    checkpointer.save_checkpointables(step, {VARIABLES: variables})
  write_whole(directory / CONFIG_FILE, config.to_json_best_effort(indent=2) + '\n')


def _chosen_step(saved: Sequence[Any], directory: Path, wanted: str, prefer_best: bool) -> int:
  """Returns the step that `read_variables` reads."""
  if not saved:
    raise UserError(f'{directory} holds no finished step yet: train further, or give another checkpoint')
  if not wanted and prefer_best and best_first(saved):
    wanted = BEST
  if not wanted:
    return saved[-1].step
  if wanted == BEST:
    if best_first(saved):
      return best_first(saved)[0]
  elif int(wanted) in [checkpoint.step for checkpoint in saved]:
    return int(wanted)
  raise UserError(f'{directory} has no step {wanted}; there are {", ".join(str(c.step) for c in saved)}')


def _on_one_device(shapes: Any) -> Any:
  """Returns shapes that Orbax reads onto this process's first device, wherever the arrays were when they were saved."""
  here = SingleDeviceSharding(jax.local_devices()[0])
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), shapes)
