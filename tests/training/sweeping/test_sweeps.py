"""Sweeps in their workdir, a directory or beneath a URL: how they go on, and what is refused."""

import json
from dataclasses import replace

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import shown
from lpips_jax.storage import files
from lpips_jax.storage.places import join
from lpips_jax.storage.transfer import LAST_OBJECT
from lpips_jax.training.sweeping import sweeps
from lpips_jax.training.sweeping.sweeps import FILE, Sweep, keep_sweep, read_sweep, to_read, with_started


@pytest.fixture(params=['here', 'gs_bucket'])
def workdir(request, tmp_path):
  return tmp_path / 'here' if request.param == 'here' else request.getfixturevalue(request.param).url


def sweep(text, **overrides):
  """A sweep of one key, given as KEY=VALUE,VALUE."""
  key, values = text.split('=')
  overrides = {name.replace('__', '.'): str(value) for name, value in overrides.items()}
  return Sweep('configs/lrs2.py', overrides, (key,), {f'{key}={value}': {key: value} for value in values.split(',')})


def test_values_that_are_added_join_the_runs_that_were_started(workdir, monkeypatch):
  assert read_sweep(to_read(workdir)) is None
  keep_sweep(sweep('seed=0,1,5', steps=70), workdir)
  files.write(join(workdir, 'seed=1/metrics.jsonl'), '')
  more = with_started(sweep('seed=0,2', steps=90, log_every=1), to_read(workdir))
  assert list(more.runs) == ['seed=0', 'seed=1', 'seed=2']
  keep_sweep(more, workdir)
  assert read_sweep(to_read(workdir)) == more and more.overrides == {'steps': '90', 'log_every': '1'}
  monkeypatch.setattr(sweeps, 'local_output', lambda place: pytest.fail(f'{place} was written again'))
  keep_sweep(more, workdir)


def test_another_sweep_is_refused_once_a_run_was_started(workdir):
  keep_sweep(sweep('seed=0,1'), workdir)
  others = {
    'keys of its grids: seed -> optimizer.b1': sweep('optimizer.b1=0.5'),
    "optimizer.b1: the config's -> 0.5": sweep('seed=0', optimizer__b1=0.5),
    r'--config: .* -> other\.py': replace(sweep('seed=0'), config='other.py'),
  }
  for other in others.values():
    assert with_started(other, to_read(workdir)) == other
  files.write(join(workdir, 'seed=0/checkpoint/config.json'), '{}')
  for problem, other in others.items():
    with pytest.raises(UserError, match=rf'holds another sweep \({problem}') as raised:
      with_started(other, to_read(workdir))
    assert shown(str(raised.value)).startswith(f'workdir={workdir} holds')


def test_a_run_is_no_sweep(workdir):
  files.write(join(workdir, 'checkpoint/config.json'), '{}')
  with pytest.raises(UserError, match='holds a run'):
    with_started(sweep('seed=0'), to_read(workdir))


def test_little_is_copied_from_a_bucket(gs_bucket):
  kept = FILE, 'a/metrics.jsonl', 'a/not_finite_9.json', 'a/checkpoint/config.json', f'a/checkpoint/8/{LAST_OBJECT}'
  others = 'a/samples/8.png', 'a/checkpoint/8/params', 'a/checkpoint/9/params', 'sweep.csv', 'a/checkpoint/9/_METADATA'
  for name in (*kept, *others):
    files.write(f'{gs_bucket.url}/{name}', name)
  directory = to_read(gs_bucket.url)
  copied = {path.relative_to(directory).as_posix() for path in directory.rglob('[!.]*') if path.is_file()}
  assert copied == set(kept)


@pytest.mark.parametrize('content', ['{', '[]', '{"runs": 1}', json.dumps({'config': '', 'overrides': {}, 'keys': 3})])
def test_a_damaged_file_is_one_line(content, tmp_path):
  assert read_sweep(tmp_path) is None
  (tmp_path / FILE).write_text(content)
  with pytest.raises(UserError, match=r'sweep\.json cannot be read'):
    read_sweep(tmp_path)
