"""A sweep: its config, the values of all runs and those of each run, its command lines, and the file that keeps it."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import check_replaceable, whole_file

FILE = 'sweep.json'


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


def read_sweep(workdir: Path) -> Sweep | None:
  """Returns the sweep that a workdir holds; None if it holds none.

  Raises:
    UserError: its file is damaged.
  """
  path = workdir / FILE
  if not path.is_file():
    return None
  try:
    stored = Sweep(**json.loads(path.read_text(encoding='utf-8')))
    return replace(stored, keys=tuple(stored.keys), runs={name: dict(stored.runs[name]) for name in stored.runs})
  except (ValueError, TypeError) as error:
    raise UserError(
      f'{path} cannot be read ({first_line(error)}): delete it, and give the whole sweep again'
    ) from error


def with_started(sweep: Sweep, workdir: Path) -> Sweep:
  """Returns a sweep with the runs of its workdir that were started with earlier values; runs keep their order there.

  Raises:
    UserError: the workdir holds another sweep, or a single run.
  """
  if (workdir / 'checkpoint').exists():
    raise UserError(f'workdir={workdir} holds a run: give a sweep a directory of its own', 'workdir')
  stored = read_sweep(workdir)
  started = {name for name in stored.runs if (workdir / name).exists()} if stored else set()
  if not stored or not started:
    return sweep
  _check_same(stored, sweep, workdir)
  kept = {name: values for name, values in stored.runs.items() if name in started or name in sweep.runs}
  return replace(sweep, runs=kept | sweep.runs)


def keep_sweep(sweep: Sweep, workdir: Path) -> None:
  """Keeps a sweep, made by `with_started`, in its workdir; several processes may do so at the same time."""
  if read_sweep(workdir) == sweep:
    return
  workdir.mkdir(parents=True, exist_ok=True)
  check_replaceable(workdir / FILE)
  with whole_file(workdir / FILE) as path:
    path.write_text(json.dumps(asdict(sweep), indent=2) + '\n', encoding='utf-8')


def _check_same(stored: Sweep, sweep: Sweep, workdir: Path) -> None:
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
    raise UserError(f'workdir={workdir} holds another sweep ({"; ".join(changes)}): give another workdir', 'workdir')
