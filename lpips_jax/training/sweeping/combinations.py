"""Makes a sweep of a config and the values of its grids, and checks every combination before anything is trained."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ml_collections import ConfigDict

from lpips_jax.core.errors import UserError
from lpips_jax.training.config_schema import flatten
from lpips_jax.training.sweeping.grids import Grid, name_of
from lpips_jax.training.sweeping.sweeps import Sweep, load_config
from lpips_jax.training.validation import check_config


def make_sweep(config: str, overrides: Mapping[str, Any], grids: Sequence[Grid]) -> Sweep:
  """Returns the sweep of all combinations of the values of `grids`, the last one changing fastest.

  Args:
    config: the config file.
    overrides: values of the config, by key.
    grids: at least one.

  Raises:
    UserError: a key is not in the config, or given twice, a value is of another type, two runs are the same, or a
      combination is no config that can be trained.
  """
  overrides = {key: _text(value) for key, value in overrides.items()}
  base = load_config(config, overrides)
  for k, grid in enumerate(grids):
    _check_key(grid.key, flatten(base))
    if grid.key in overrides or any(grid.key == other.key for other in grids[:k]):
      raise UserError(f'config.{grid.key} is given twice, to all runs or in two grids: give it once')
  spelled = [_spelled(grid, config, overrides) for grid in grids]
  runs: dict[str, dict[str, str]] = {}
  for combination in itertools.product(*spelled):
    values = dict(zip((grid.key for grid in grids), combination, strict=True))
    runs[name_of(values)] = values
  sweep = Sweep(config, overrides, tuple(grid.key for grid in grids), runs)
  for name in runs:
    try:
      check_config(sweep.load_config(name))
    except UserError as error:
      raise UserError(f'the run {name} cannot be trained: {error}') from error
  return sweep


def _check_key(key: str, known: Iterable[str]) -> None:
  if key in (names := list(known)):
    return
  if within := [name for name in names if name.startswith(f'{key}.')]:
    raise UserError(f'config.{key} is no single value: give a key in it, such as {within[0]}')
  near = [name for name in names if name.endswith(f'.{key}')] or get_close_matches(key, names, n=1)
  raise UserError(f'--config has no key {key}' + (f': did you mean {" or ".join(near)}?' if near else ''))


def _spelled(grid: Grid, config: str, overrides: Mapping[str, str]) -> list[str]:
  """Returns the values of a grid, each as Python writes it: 1e-4 and 0.0001 are one."""
  spelled: list[str] = []
  for value in grid.values:
    text = _text(flatten(load_config(config, {**overrides, grid.key: value}))[grid.key])
    if text in spelled:
      raise UserError(f'grid={grid.key}: {value} is given twice, which would be the same run twice', 'grid')
    spelled.append(text)
  return spelled


def _text(value: Any) -> str:
  if isinstance(value, ConfigDict):
    return repr(value.to_dict())
  return value if isinstance(value, str) else repr(value)
