"""A sweep: its config, the values of all runs and those of each run, its command lines, and the file that keeps it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import PathLike, check_replaceable, whole_file
from lpips_jax.storage import files
from lpips_jax.storage.places import join
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import LAST_OBJECT, local_output

FILE = 'sweep.json'
OF_RUN = rf'metrics\.jsonl|not_finite_[^/]*\.json|checkpoint/config\.json|checkpoint/\d+/{re.escape(LAST_OBJECT)}'
READ = re.compile(rf'{re.escape(FILE)}|([^/]+/)?({OF_RUN})')  # what is read of a workdir in a bucket


@dataclass(frozen=True)
class Sweep:
  """The runs of a sweep. All values are texts, as they follow `--config.KEY=`.

  Attributes:
    config: the config file of all runs, as `--config` takes it.
    overrides: values by key, the same for all runs.
    keys: those that differ between runs.
    runs: the values of `keys` for each run, by its name.
  """

  config: str
  overrides: dict[str, str]
  keys: tuple[str, ...]
  runs: dict[str, dict[str, str]]

  def arguments(self, name: str, workdir: str) -> list[str]:
    """Returns the arguments of train.py for a run, whose workdir is a directory in that of the sweep."""
    values = self.overrides | self.runs[name]
    return [
      f'--config={self.config}',
      f'--workdir={workdir.rstrip("/")}/{name}',
      *(f'--config.{key}={value}' for key, value in values.items()),
    ]

  def load_config(self, name: str) -> ConfigDict:
    """Returns the config that train.py has for a run."""
    return load_config(self.config, self.overrides | self.runs[name])


def load_config(config: str, values: Mapping[str, str]) -> ConfigDict:
  """Returns a config file's config with values changed, as train.py would: by the same parser.

  Raises:
    UserError: a value is of another type than that of the config.
  """
  arguments = ['', f'--config={config}', *(f'--config.{key}={value}' for key, value in values.items())]
  parsed = flags.FlagValues()
  config_flags.DEFINE_config_file('config', flag_values=parsed, lock_config=True, sys_argv=arguments)
  try:
    parsed(arguments)
  except (flags.Error, TypeError) as error:
    raise UserError(str(error).removeprefix('flag --')) from error
  return parsed.config


def to_read(workdir: PathLike) -> Path:
  """Returns a directory of this machine: the workdir itself or, if that is a URL, a copy of what sweeps read of it.

  Raises:
    UserError: the URL cannot be read.
  """
  return staged(workdir, lambda names: set(filter(READ.fullmatch, names)), may_be_missing=True)


def read_sweep(directory: Path) -> Sweep | None:
  """Returns the sweep that a workdir holds; None if it holds none.

  Args:
    directory: from `to_read`.

  Raises:
    UserError: its file is damaged.
  """
  path = directory / FILE
  if not path.is_file():
    return None
  try:
    stored = Sweep(**json.loads(path.read_text(encoding='utf-8')))
    return replace(stored, keys=tuple(stored.keys), runs={name: dict(stored.runs[name]) for name in stored.runs})
  except (ValueError, TypeError) as error:
    raise UserError(
      f'{path} cannot be read ({first_line(error)}): delete it, and give the whole sweep again'
    ) from error


def with_started(sweep: Sweep, directory: Path) -> Sweep:
  """Returns a sweep with the runs of its workdir that were started with earlier values; runs keep their order there.

  Args:
    sweep: of the values that are given now.
    directory: from `to_read`.

  Raises:
    UserError: the workdir holds another sweep, or a single run.
  """
  if (directory / 'checkpoint').exists():
    raise UserError(f'workdir={directory} holds a run: give a sweep a directory of its own', 'workdir')
  stored = read_sweep(directory)
  started = {name for name in stored.runs if (directory / name).exists()} if stored else set()
  if not stored or not started:
    return sweep
  _check_same(stored, sweep, directory)
  kept = {name: values for name, values in stored.runs.items() if name in started or name in sweep.runs}
  return replace(sweep, runs=kept | sweep.runs)


def keep_sweep(sweep: Sweep, workdir: PathLike) -> None:
  """Keeps a sweep, made by `with_started`, in its workdir; several processes may do so at the same time.

  Raises:
    UserError: the workdir is a URL that cannot be written to, or has something else than a file in the sweep's place.
    OSError: it cannot be written.
  """
  place, text = join(workdir, FILE), json.dumps(asdict(sweep), indent=2) + '\n'
  if files.read(place) == text.encode():
    return
  with local_output(place) as path:
    path.parent.mkdir(parents=True, exist_ok=True)
    check_replaceable(path)
    with whole_file(path) as part:
      part.write_text(text, encoding='utf-8')


def _check_same(stored: Sweep, sweep: Sweep, directory: Path) -> None:
  """Raises UserError unless the runs of `sweep` belong to the stored one; train.py decides about `steps`."""
  from lpips_jax.training.checkpoints import FREE_TO_CHANGE  # here, as it imports JAX: most uses do without

  changes = []
  if os.path.normpath(stored.config) != os.path.normpath(sweep.config):
    changes.append(f'--config: {stored.config} -> {sweep.config}')
  if stored.keys != sweep.keys:
    changes.append(f'keys of its grids: {", ".join(stored.keys)} -> {", ".join(sweep.keys)}')
  for key in sorted((stored.overrides.keys() | sweep.overrides.keys()) - FREE_TO_CHANGE - {'steps'}):
    old, new = (each.overrides.get(key, "the config's") for each in (stored, sweep))
    if old != new:
      changes.append(f'{key}: {old} -> {new}')
  if changes:
    raise UserError(f'workdir={directory} holds another sweep ({"; ".join(changes)}): give another workdir', 'workdir')
