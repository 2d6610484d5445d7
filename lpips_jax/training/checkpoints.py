"""Saving and resuming a run with Orbax: config, state, moving average, data iterator, and frozen networks."""

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import SingleDeviceSharding
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from lpips_jax.core.constants import FROZEN
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import is_copy, write_whole
from lpips_jax.models import MODELS
from lpips_jax.pretrained import model_card
from lpips_jax.pretrained.checkpoint_dir import (
  CONFIG_FILE,
  VARIABLES,
  best_first,
  has_steps,
  read_config,
)
from lpips_jax.training.config_schema import flatten
from lpips_jax.training.state import TrainState

NETWORKS = 'model', 'discriminator'  # parts of a config that are fields of a network
DELETED = '.deleted'  # ending of a step's name while it is being deleted
# Keys that a resumed run may change: they say how it is made and kept, and where things are, not what comes out.
FREE_TO_CHANGE = {'log_every', 'eval_every', 'checkpoint_every', 'keep', 'keep_best', 'accumulate', 'remat'}
FREE_TO_CHANGE |= {'data.data_dir', 'data.in_place', 'data.workers', 'init_from', 'writers', 'profile'}
FREE_TO_CHANGE |= {'discriminator.dtype'}  # which runs of earlier versions have


@contextlib.contextmanager
def open_run(directory: Path, config: ConfigDict) -> Iterator[ocp.training.Checkpointer]:
  """Opens a run's checkpoint directory, new or to be resumed.

  An attempt that saved nothing does not count as a run. Where each of several processes has a directory of its own, the
  copy of a bucket's, each saves and loads there.

  Args:
    directory: the run's checkpoint directory.
    config: of the run; in a resumed run the networks that it began with take the place of those that this one names.

  Raises:
    UserError: the directory holds a run of another config.
  """
  directory = directory.absolute()
  directory.mkdir(parents=True, exist_ok=True)
  config = config.copy_and_resolve_references()
  if has_steps(directory):
    _continue_with(read_config(directory), config, directory)
  if jax.process_index() == 0:
    write_whole(directory / CONFIG_FILE, config.to_json_best_effort(indent=2))
    for left in directory.glob(f'*{DELETED}'):
      shutil.rmtree(left, ignore_errors=True)
    _forget_damaged_metrics(directory)
  with _each_for_itself() if _is_own(directory) else contextlib.nullcontext():
    checkpointer = ocp.training.Checkpointer(
      directory,
      save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
      cleanup_tmp_directories=True,
    )
    try:
      yield checkpointer
    except BaseException:
      if jax.process_count() == 1:  # with others it would wait for them, and they may not get there
        with contextlib.suppress(Exception):  # from a save that was under way: it is not what ended the run
          checkpointer.close()
      raise
    checkpointer.close()


def keep_frozen(directory: Path, name: str, checkpoint: Path, step: int) -> None:
  """Copies a step of a frozen network's checkpoint, with its card, into the run's, which then needs no other directory.

  A copy that is there already is replaced. The new one is written beside it and renamed: a run killed meanwhile copies
  again.

  Args:
    directory: the run's checkpoint directory.
    name: of the copy there, one of `FROZEN`.
    checkpoint: the network's checkpoint directory.
    step: the step of it.
  """
  kept = directory.absolute() / name
  beside = kept.with_name(name + '.part')
  shutil.rmtree(beside, ignore_errors=True)
  beside.mkdir()
  shutil.copy(checkpoint / CONFIG_FILE, beside)
  if (checkpoint / model_card.FILE).is_file():
    shutil.copy(checkpoint / model_card.FILE, beside)
  shutil.copytree(checkpoint / str(step), beside / str(step))
  shutil.rmtree(kept, ignore_errors=True)
  os.replace(beside, kept)


def save(
  checkpointer: ocp.training.Checkpointer,
  config: ConfigDict,
  step: int,
  state: TrainState,
  iterator: Any,
  metrics: dict[str, float] | None,
) -> None:
  """Saves in the background; returns once the arrays are copied. The average is stored alone, for `pretrained.load`.

  Args:
    checkpointer: from `open_run`.
    config: of the run. The last `keep` of the steps saved before stay, and the best `keep_best`.
    step: the number of updates made.
    state: after them.
    iterator: of the training data, after the batch of the last update.
    metrics: of an evaluation of this very state, if there was one; they decide which step is best.

  Raises:
    UserError: this step, or the one before, could not be written.
  """
  if _is_own(Path(checkpointer.directory)):
    state = jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), state)  # Orbax refuses arrays of one process
  rest = state.replace(average=None)
  try:
    checkpointer.wait()
    _delete_old(checkpointer, config.keep, config.keep_best)
    saving = checkpointer.save_checkpointables_async(
      step, {'state': rest, VARIABLES: state.average, 'data': iterator}, metrics=metrics
    )
    threading.Thread(target=_wait_for, args=(saving,), daemon=True).start()
    if jax.process_index() == 0:
      model_card.write(Path(checkpointer.directory), config, state.average, step, metrics)
  except Exception as error:
    raise _not_written(checkpointer, error) from error


def finish(checkpointer: ocp.training.Checkpointer, keep: int, keep_best: int) -> None:
  """Waits until everything is written, and deletes old steps as `save` does; raises UserError if a write fails."""
  try:
    checkpointer.wait()
    _delete_old(checkpointer, keep, keep_best)
  except Exception as error:
    raise _not_written(checkpointer, error) from error


def resume(checkpointer: ocp.training.Checkpointer, state: TrainState, iterator: Any) -> TrainState:
  """Returns the newest saved state and sets the iterator to its next batch; `state` itself when nothing is saved.

  Disks lose files: a step that cannot be read is renamed to `STEP.damaged`, and the one before it is taken.

  Raises:
    UserError: none of the steps saved can be read.
  """
  own = _is_own(Path(checkpointer.directory))
  here = SingleDeviceSharding(jax.local_devices()[0])
  wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here if own else x.sharding), state)
  items = {'state': wanted.replace(average=None), VARIABLES: wanted.average, 'data': iterator}
  steps = [saved.step for saved in checkpointer.checkpoints]
  damaged = []
  for step in reversed(steps):
    try:
      saved = checkpointer.load_checkpointables(step, items)
    except Exception as error:  # whatever Orbax makes of files that are missing or cut short
      if jax.process_count() > 1:
        raise
      damaged.append(step)
      logging.warning('step %d of %s cannot be read (%s)', step, checkpointer.directory, first_line(error))
    else:
      _set_aside(checkpointer, damaged)
      loaded = saved['state'].replace(average=saved[VARIABLES])
      return jax.tree.map(_put_like, loaded, state) if own else loaded
  if damaged:
    raise UserError(
      f'no step saved in {checkpointer.directory} can be read: start again with another workdir', 'workdir'
    )
  return state


def _is_own(directory: Path) -> bool:
  """Returns whether there are several processes and each has a checkpoint directory of its own."""
  return jax.process_count() > 1 and is_copy(directory)


def _each_for_itself() -> ocp.Context:
  """Has Orbax save and load in each process as if it were the first.

  The arrays go to the first process's directory alone: that is the one which is pushed to the bucket.
  """
  logging.get_absl_logger().addFilter(lambda record: 'Skipping merge of OCDBT' not in str(record.msg))
  context = ocp.Context()
  context.multiprocessing.primary_host = None
  return context


def _put_like(loaded: jax.Array, wanted: jax.Array) -> jax.Array:
  """Puts an array, which each process has loaded, where another one is, on the devices of all of them."""
  return jax.device_put(np.asarray(loaded), wanted.sharding)


def _wait_for(saving: ocp.AsyncResponse[bool]) -> None:
  """Asks for a save's result: until then Orbax keeps a thread for it, half a megabyte. `wait` reports failures."""
  with contextlib.suppress(Exception):
    saving.result()


def _delete_old(checkpointer: ocp.training.Checkpointer, keep: int, keep_best: int) -> None:
  """Deletes all steps but the last and the best; renames them first, so that none is ever seen half deleted."""
  # Orbax's preservation policies could choose the steps, but then Orbax deletes them, file after file in place. Three
  # runs of Orbax 0.12.8 were killed meanwhile: each left a directory without arrays, which Orbax listed as a step.
  # `todelete_subdir`, which renames first, is not among the options of `ocp.training.Checkpointer`.
  if jax.process_index() and not _is_own(Path(checkpointer.directory)):
    return
  saved = [one.step for one in checkpointer.checkpoints]
  kept = saved[-keep:] + best_first(checkpointer.checkpoints)[:keep_best]
  old = sorted(set(saved) - set(kept))
  for step in old:
    path = Path(checkpointer.directory) / str(step)
    beside = path.with_name(f'{step}{DELETED}')
    os.replace(path, beside)
    shutil.rmtree(beside)
  if old:
    checkpointer.reload()


def _forget_damaged_metrics(directory: Path) -> None:
  """Drops metrics that cannot be read: such a step counts as not evaluated. Orbax would not list the others either."""
  for path in directory.glob('[0-9]*/metrics/metrics'):
    try:
      json.loads(path.read_text())
    except ValueError:
      logging.warning('%s cannot be read and is dropped', path)
      shutil.rmtree(path.parent)


def _set_aside(checkpointer: ocp.training.Checkpointer, steps: list[int]) -> None:
  for step in steps:
    path = Path(checkpointer.directory) / str(step)
    shutil.rmtree(path.with_name(f'{step}.damaged'), ignore_errors=True)
    os.replace(path, path.with_name(f'{step}.damaged'))
  if steps:
    checkpointer.reload()


def _not_written(checkpointer: ocp.training.Checkpointer, error: Exception) -> UserError:
  checkpointer.reload()
  latest = checkpointer.latest
  left = f'the last whole one is step {latest.step}' if latest else 'there is none yet'
  return UserError(
    f'no checkpoint can be written to {checkpointer.directory} ({first_line(error)}); {left}: make room, then give '
    'the same command'
  )


def _continue_with(saved: ConfigDict, config: ConfigDict, directory: Path) -> None:
  """Gives `config` the networks that the run in `directory` began with; refuses changes of its result."""
  task = saved.get('task')
  if task != config.task:
    raise UserError(f'{directory} holds a run of the task {task}, not {config.task}: use another workdir', 'workdir')
  for name in ('init_from', *FROZEN):
    if name not in config or (config[name] and name != 'init_from' and not (directory / name).is_dir()):
      continue
    if config[name] not in ('', saved.get(name, '')):
      logging.warning('config.%s=%s is ignored: the run continues with the one it began with', name, config[name])
    config[name] = saved.get(name, '')
  old, new = (flatten(c) for c in (saved, ConfigDict(json.loads(config.to_json_best_effort()))))
  changed = _changes(old, new)
  if not config.optimizer.cosine:
    changed.pop('steps', None)
  if changed.keys() == {'steps'}:
    raise UserError(
      f'{directory} holds a run of {saved.steps} steps, over which config.optimizer.cosine lowers its learning rate: '
      f'give config.steps={saved.steps}, or another workdir, with config.init_from to start from this one',
      'workdir',
    )
  if changed:
    found = '; '.join(changed.values())
    raise UserError(f'{directory} holds a run of another config ({found}): use another workdir', 'workdir')
  if old.get('accumulate') != new.get('accumulate'):
    logging.warning('config.accumulate=%s: BatchNorm now normalises over other parts of a batch', config.accumulate)


def _is_default(key: str, config: dict[str, Any]) -> bool:
  """Returns whether the value of a key leaves off what the key is for, or is what a network does without it."""
  part, _, name = key.partition('.')
  fields = MODELS[config[f'{part}.name']].__dataclass_fields__ if part in NETWORKS else {}
  return not config[key] or (name in fields and config[key] == fields[name].default)


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
  """The values that are not free to change, and did, each as a line by its key.

  A key that the older run lacks was off in it, or had the default of its network: a run resumes with a newer release,
  which knows more keys.
  """
  changed = {
    key: f'{key}: {old.get(key)} -> {new.get(key)}'
    for key in sorted(old.keys() | new.keys())
    if old.get(key) != new.get(key) and key not in FREE_TO_CHANGE and not (key not in old and _is_default(key, new))
  }
  if 'random' not in (old.get('perceptual.source'), new.get('perceptual.source')):
    changed.pop('perceptual.source', None)  # the same weights, wherever they lie
  return changed
