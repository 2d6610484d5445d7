import os
import shutil
import time
from pathlib import Path

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import shown
from lpips_jax.storage import leases, stores, transfer, working_copy
from lpips_jax.storage.transfer import counting
from lpips_jax.storage.working_copy import WorkingCopy


@pytest.fixture(params=['gs_bucket', 's3_bucket'])
def url(request) -> str:
  return f'{request.getfixturevalue(request.param).url}/run'


def names(url: str) -> list[str]:
  return [file.name for file in stores.files_below(url) if not file.name.startswith('.lease/')]


def write(directory: Path, **contents: str) -> None:
  for name, content in contents.items():
    path = directory / name.replace('__', '/')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def write_step(directory: Path, number: int, content: str = 'x') -> None:
  """As Orbax does: written beside, then renamed."""
  beside = directory / 'checkpoint' / f'{number}.orbax-checkpoint-tmp'
  write(beside, state__d__0=content, _CHECKPOINT_METADATA='{}')
  os.replace(beside, directory / 'checkpoint' / str(number))


def contents(directory: Path) -> dict[str, str]:
  files = (path for path in sorted(directory.rglob('*')) if path.is_file())
  return {path.relative_to(directory).as_posix(): path.read_text() for path in files}


def test_a_run_finds_what_the_one_before_has_left(url):
  with working_copy.working_copy(url) as local:
    assert contents(local) == {}
    write(local, log='1', of__a='2')
    write_step(local, 5)
    left = contents(local)
  assert not local.exists()
  assert names(url) == [
    *('checkpoint/5/_CHECKPOINT_METADATA', 'checkpoint/5/commit_success.txt', 'checkpoint/5/state/commit_success.txt'),
    *('checkpoint/5/state/d/0', 'log', 'of/a'),
  ]
  with working_copy.working_copy(url) as local:
    assert contents(local) == left
    shutil.rmtree(local / 'checkpoint' / '5')
    write_step(local, 6)
    write(local, log='1\n2')
    (local / 'of' / 'a').unlink()
  assert {name.split('/')[1] for name in names(url) if '/' in name} == {'6'}
  assert stores.read(f'{url}/log') == b'1\n2'


def test_what_is_unfinished_stays_here(url):
  with working_copy.working_copy(url) as local:
    write(
      local, **{'a.part': '', 'checkpoint__7.orbax-checkpoint-tmp__x': '', 'checkpoint__3.deleted__x': '', '.lock': ''}
    )
  assert names(url) == []


def test_half_a_step_never_counts_and_is_removed(url):
  with working_copy.working_copy(url) as local:
    write_step(local, 1)
  stores.write(f'{url}/checkpoint/2/state/d/0', b'half')
  assert not {name for name in counting(names(url)) if name.startswith('checkpoint/2')}
  with working_copy.working_copy(url) as local:
    assert [path.name for path in (local / 'checkpoint').iterdir()] == ['1']
  assert not [name for name in names(url) if name.startswith('checkpoint/2')]


def test_what_a_killed_run_has_left_on_this_machine_is_not_in_the_way(gs_bucket, tmp_path):
  """Its step that was not pushed is made again."""
  url, local = f'{gs_bucket.url}/run', tmp_path / 'local'
  lease = leases.acquire(url)
  write_step(local, 1)
  write(local, log='1', checkpoint__1__commit_success='')  # as Orbax marks steps on disks
  os.rename(local / 'checkpoint/1/commit_success', local / 'checkpoint/1/commit_success.txt')
  WorkingCopy(url, local, lease).pull()
  assert contents(local) == {} and not (local / 'checkpoint').exists()


def test_a_first_step_whose_push_was_killed_just_before_it_counted_is_no_strangers(gs_bucket):
  url = f'{gs_bucket.url}/run'
  with working_copy.working_copy(url) as local:
    write_step(local, 1)
  stores.delete(f'{url}/checkpoint/1/commit_success.txt')
  with working_copy.working_copy(url) as local:
    assert contents(local) == {}
  assert names(url) == []


def test_a_run_that_was_taken_over_makes_no_step_count(gs_bucket, tmp_path, monkeypatch):
  url, local = f'{gs_bucket.url}/run', tmp_path / 'local'
  lease = leases.acquire(url)
  lease.keep(lambda line: None)
  copy = WorkingCopy(url, local, lease)
  local.mkdir()
  copy.pull()
  write_step(local, 1)
  put_all = working_copy.put_all

  def taken_over_meanwhile(directory, files, to):
    put_all(directory, files, to)
    stores.write(f'{url}/.lease/000009', b'{}')

  monkeypatch.setattr(working_copy, 'put_all', taken_over_meanwhile)
  copy.push()
  assert not [name for name in counting(names(url)) if name.startswith('checkpoint/')]


def test_a_step_that_is_made_again_does_not_count_before_it_is_whole(gs_bucket, tmp_path, monkeypatch):
  url, local = f'{gs_bucket.url}/run', tmp_path / 'local'
  copy = WorkingCopy(url, local, leases.acquire(url))
  local.mkdir()
  copy.pull()
  write_step(local, 1, 'first')
  copy.push()
  shutil.rmtree(local / 'checkpoint' / '1')
  write_step(local, 1, 'second')
  put_all = working_copy.put_all

  def counts_for_nobody(directory, files, to):
    if files and files[0].startswith('checkpoint/1/'):
      assert not [name for name in counting(names(url)) if name.startswith('checkpoint/')]
    put_all(directory, files, to)

  monkeypatch.setattr(working_copy, 'put_all', counts_for_nobody)
  copy.push()
  assert stores.read(f'{url}/checkpoint/1/state/d/0') == b'second'
  assert 'checkpoint/1/commit_success.txt' in names(url)


def test_steps_that_somebody_copied_there_are_never_deleted(gs_bucket):
  url = f'{gs_bucket.url}/run'
  for step in 1, 2:
    stores.write(f'{url}/checkpoint/{step}/_CHECKPOINT_METADATA', b'{}')
  before = names(url)
  problem = r'none of which is marked as whole: add an object commit_success.txt to'
  with pytest.raises(UserError, match=problem), working_copy.working_copy(url):
    pass
  assert names(url) == before
  stores.write(f'{url}/checkpoint/2/commit_success.txt', b'')
  with working_copy.working_copy(url) as local:
    assert [path.name for path in (local / 'checkpoint').iterdir()] == ['2']
  assert set(before) <= set(names(url))


class Cut(Exception):
  pass


@pytest.mark.parametrize('after', range(12))
def test_wherever_a_push_is_cut_a_step_in_the_bucket_is_whole_and_has_its_log(after, gs_bucket, tmp_path, monkeypatch):
  """Fails in turn at each request that writes or deletes."""
  url, local = f'{gs_bucket.url}/run', tmp_path / 'local'
  lease = leases.acquire(url)
  copy = WorkingCopy(url, local, lease)
  local.mkdir()
  copy.pull()
  requests = []

  def cut_at(function):
    def call(*arguments):
      if len(requests) == after:
        raise Cut
      requests.append(arguments)
      return function(*arguments)

    return call

  monkeypatch.setattr(transfer, 'THREADS', 1)
  for step in 1, 2:
    write(local, log=''.join(f'{k}\n' for k in range(step + 1)))
    write_step(local, step, str(step))
    if step == 2:
      shutil.rmtree(local / 'checkpoint' / '1')
      for name in ('put', 'write', 'delete'):
        monkeypatch.setattr(stores, name, cut_at(getattr(stores, name)))
      monkeypatch.setattr(stores, 'persistently', lambda action, *_, **__: action())
    try:
      copy.push()
    except Cut:
      assert step == 2
  whole = {name.split('/')[1] for name in counting(names(url)) if name.startswith('checkpoint/')}
  for step in whole:
    files = {name for name in names(url) if name.startswith(f'checkpoint/{step}/') and 'commit' not in name}
    assert files == {f'checkpoint/{step}/_CHECKPOINT_METADATA', f'checkpoint/{step}/state/d/0'}
    assert stores.read(f'{url}/checkpoint/{step}/state/d/0') == step.encode()
    assert stores.read(f'{url}/log').splitlines()[-1] >= step.encode()
  assert whole  # there is always one
  monkeypatch.undo()


def test_a_step_that_is_deleted_while_it_is_copied_does_not_count(gs_bucket, tmp_path, monkeypatch):
  url, local = f'{gs_bucket.url}/run', tmp_path / 'local'
  copy = WorkingCopy(url, local, leases.acquire(url))
  local.mkdir()
  copy.pull()
  write_step(local, 1)
  put_all = working_copy.put_all

  def deleted_meanwhile(directory, files, to):
    if files and files[0].startswith('checkpoint/1/'):
      shutil.rmtree(local / 'checkpoint' / '1')
      files = []
    put_all(directory, files, to)

  monkeypatch.setattr(working_copy, 'put_all', deleted_meanwhile)
  copy.push()
  assert names(url) == []


def test_the_bucket_is_silent_for_a_while_and_the_run_goes_on(gs_bucket, served_gs, monkeypatch):
  monkeypatch.setattr(working_copy, 'PUSH_SECONDS', 0.1)
  url = f'{gs_bucket.url}/run'
  with working_copy.working_copy(url) as local:
    served_gs.fault(status=503, seconds=1)
    begun = time.monotonic()
    write(local, log='1')
    write_step(local, 1)
    assert time.monotonic() - begun < 0.5
  assert {'log', 'checkpoint/1/commit_success.txt'} <= set(names(url))


def test_what_cannot_be_pushed_in_the_end_is_kept_and_named(gs_bucket, monkeypatch):
  url = f'{gs_bucket.url}/run'

  def refuse(*_):
    raise PermissionError('no')

  problem = r'cannot be written to .*: what it lacks is in .*: copy it by hand'
  with pytest.raises(UserError, match=problem) as caught, working_copy.working_copy(url) as local:
    write(local, log='1')
    monkeypatch.setattr(stores, 'put', refuse)
  assert contents(local) == {'log': '1'} and str(local) in str(caught.value)


def test_the_second_process_pushes_its_own_files_alone(gs_bucket):
  url = f'{gs_bucket.url}/run'
  with working_copy.working_copy(url) as first:
    write(first, config='1')
  with working_copy.working_copy(url) as first, working_copy.working_copy(url, 1) as second:
    assert first != second and contents(second) == {}
    write(second, config='2', not_finite_1='3')
    write_step(second, 9)
  assert names(url) == ['config', 'not_finite_1']
  assert stores.read(f'{url}/config') == b'1'


def test_what_a_run_never_reads_stays_in_the_bucket(gs_bucket):
  url = f'{gs_bucket.url}/run'
  with working_copy.working_copy(url) as local:
    write(local, samples__1='a', tensorboard__events='b', wandb__run='b', log='c', compiled__step='d')
    write_step(local, 1)
  with working_copy.working_copy(url) as local, working_copy.working_copy(url, 1) as second:
    assert {name.split('/')[0] for name in contents(local)} == {'log', 'compiled', 'checkpoint'}
    assert {name.split('/')[0] for name in contents(second)} == {'compiled', 'checkpoint'}
    write(local, samples__2='e')
  assert {'samples/1', 'samples/2', 'tensorboard/events'} <= set(names(url))


def test_messages_name_the_bucket(gs_bucket):
  url = f'{gs_bucket.url}/run'
  with working_copy.working_copy(url) as local:
    assert shown(f'{local}/checkpoint: damaged') == f'{url}/checkpoint: damaged'


def test_a_path_of_this_machine_is_itself(tmp_path):
  with working_copy.working_copy(tmp_path / 'run') as local:
    assert local == tmp_path / 'run' and not local.exists()
