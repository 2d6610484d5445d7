"""Sweeps in their workdir: how they go on, and what is refused."""

import json
from dataclasses import replace

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.training.sweeping import sweeps
from lpips_jax.training.sweeping.sweeps import Sweep, keep_sweep, read_sweep, with_started


def sweep(text, **overrides):
  """A sweep of one key, given as KEY=VALUE,VALUE."""
  key, values = text.split('=')
  overrides = {name.replace('__', '.'): str(value) for name, value in overrides.items()}
  return Sweep('configs/lrs2.py', overrides, (key,), {f'{key}={value}': {key: value} for value in values.split(',')})


def test_values_that_are_added_join_the_runs_that_were_started(tmp_path):
  keep_sweep(sweep('seed=0,1,5', steps=70), tmp_path)
  (tmp_path / 'seed=1').mkdir()
  more = with_started(sweep('seed=0,2', steps=90, log_every=1), tmp_path)
  assert list(more.runs) == ['seed=0', 'seed=1', 'seed=2']
  keep_sweep(more, tmp_path)
  assert read_sweep(tmp_path) == more and more.overrides == {'steps': '90', 'log_every': '1'}
  before = (tmp_path / sweeps.FILE).stat().st_mtime_ns
  keep_sweep(more, tmp_path)
  assert (tmp_path / sweeps.FILE).stat().st_mtime_ns == before


def test_another_sweep_is_refused_once_a_run_was_started(tmp_path):
  keep_sweep(sweep('seed=0,1'), tmp_path)
  others = {
    'keys of its grids: seed -> optimizer.b1': sweep('optimizer.b1=0.5'),
    "optimizer.b1: the config's -> 0.5": sweep('seed=0', optimizer__b1=0.5),
    r'--config: .* -> other\.py': replace(sweep('seed=0'), config='other.py'),
  }
  for other in others.values():
    assert with_started(other, tmp_path) == other
  (tmp_path / 'seed=0').mkdir()
  for problem, other in others.items():
    with pytest.raises(UserError, match=rf'holds another sweep \({problem}'):
      with_started(other, tmp_path)


def test_a_run_is_no_sweep(tmp_path):
  (tmp_path / 'checkpoint').mkdir()
  with pytest.raises(UserError, match='holds a run'):
    with_started(sweep('seed=0'), tmp_path)


@pytest.mark.parametrize('content', ['{', '[]', '{"runs": 1}', json.dumps({'config': '', 'overrides': {}, 'keys': 3})])
def test_a_damaged_file_is_one_line(content, tmp_path):
  assert read_sweep(tmp_path) is None
  (tmp_path / sweeps.FILE).write_text(content)
  with pytest.raises(UserError, match=r'sweep\.json cannot be read'):
    read_sweep(tmp_path)
