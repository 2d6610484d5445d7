"""Saving and resuming a run with Orbax: config, state, moving average, data iterator, and the frozen expert."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from lpips_jax.cli import UserError
from lpips_jax.files import write_whole
from lpips_jax.pretrained import CONFIG_FILE, SYNC_EXPERT, VARIABLES, has_steps, read_config
from lpips_jax.training.state import TrainState

FREE_TO_CHANGE = ('steps', 'log_every', 'eval_every', 'checkpoint_every', 'keep', 'sync_expert')


def open_run(directory: Path, config: ConfigDict) -> ocp.training.Checkpointer:
  """Opens a run's checkpoint directory, new or to be resumed.

  What an attempt left that saved nothing does not count as a run.

  Raises:
    UserError: the directory holds a run of another config.
  """
  directory = directory.absolute()
  directory.mkdir(parents=True, exist_ok=True)
  if has_steps(directory):
    _refuse_changes(read_config(directory), config, directory)
  write_whole(directory / CONFIG_FILE, config.to_json_best_effort(indent=2))
  return ocp.training.Checkpointer(
    directory,
    save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
    preservation_policy=ocp.training.preservation_policies.LatestN(config.keep),
    cleanup_tmp_directories=True,
  )


def keep_expert(directory: Path, expert: Path) -> None:
  """Copies the frozen expert's checkpoint into the run's, in place of any there; it then needs no other directory.

  Written beside and renamed: a run killed meanwhile copies again.
  """
  kept = directory.absolute() / SYNC_EXPERT
  beside = kept.with_name(SYNC_EXPERT + '.part')
  shutil.rmtree(beside, ignore_errors=True)
  shutil.copytree(expert, beside)
  shutil.rmtree(kept, ignore_errors=True)
  os.replace(beside, kept)


def save(checkpointer: ocp.training.Checkpointer, state: TrainState, iterator: Any) -> None:
  """Saves in the background; returns once the arrays are copied. The average is stored alone, for `pretrained.load`."""
  rest = state.replace(average=None)
  checkpointer.save_checkpointables_async(int(state.step), {'state': rest, VARIABLES: state.average, 'data': iterator})


def resume(checkpointer: ocp.training.Checkpointer, state: TrainState, iterator: Any) -> TrainState:
  """Returns the newest saved state and sets the iterator to its next batch; `state` itself when nothing is saved."""
  if checkpointer.latest is None:
    return state
  wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)
  saved = checkpointer.load_checkpointables(
    checkpointer.latest.step, {'state': wanted.replace(average=None), VARIABLES: wanted.average, 'data': iterator}
  )
  return saved['state'].replace(average=saved[VARIABLES])


def _refuse_changes(saved: ConfigDict, config: ConfigDict, directory: Path) -> None:
  old, new = (_flat(c) for c in (saved, ConfigDict(json.loads(config.to_json_best_effort()))))
  changed = [
    f'{key}: {old.get(key)} -> {new.get(key)}'
    for key in sorted(old.keys() | new.keys())
    if old.get(key) != new.get(key) and key.split('.')[0] not in FREE_TO_CHANGE
  ]
  if changed:
    raise UserError(f'{directory} holds a run of another config ({"; ".join(changed)}): use another --workdir')


def _flat(config: ConfigDict, prefix: str = '') -> dict[str, Any]:
  flat = {}
  for key, value in config.items():
    flat |= _flat(value, f'{prefix}{key}.') if isinstance(value, ConfigDict) else {prefix + key: value}
  return flat
