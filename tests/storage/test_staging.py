import json
import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.speed import object_server
from lpips_jax.core.errors import UserError
from lpips_jax.storage import staging, stores, transfer
from lpips_jax.storage.staging import LIST, place_of, staged

FILES = {f'{folder}/{k}': f'{folder} {k}'.encode() * 1000 for folder in ('a', 'b') for k in range(6)}
COPY = 'import sys; from lpips_jax.storage.staging import staged; print(staged(sys.argv[1]))'


@pytest.fixture
def source(tmp_path):
  directory = tmp_path / 'source'
  for name, content in FILES.items():
    (directory / 'data' / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / 'data' / name).write_bytes(content)
  return directory


@pytest.fixture(params=['gs_bucket', 's3_bucket'])
def url(request, source):
  url = f'{request.getfixturevalue(request.param).url}/data'
  transfer.upload(source / 'data', url)
  return url


def start(url, environment, directory):
  """Copies in another process."""
  variables = os.environ | environment | {staging.ENVIRONMENT: str(directory)}
  return subprocess.Popen([sys.executable, '-c', COPY, url], env=variables, stdout=subprocess.DEVNULL)


def contents(directory):
  return {name: (directory / name).read_bytes() for name in FILES if (directory / name).exists()}


def nothing_read(monkeypatch):
  monkeypatch.setattr(transfer, '_download_one', lambda url, *_: pytest.fail(f'{url} was copied again'))


def test_a_second_call_copies_nothing_and_a_path_stays_as_it_is(url, source, monkeypatch):
  assert contents(staged(url)) == FILES
  nothing_read(monkeypatch)
  assert contents(staged(url)) == FILES
  assert staged(source) == source


def test_only_what_is_wanted_is_copied_and_earlier_copies_stay(url):
  directory = staged(url, lambda names: {name for name in names if name.startswith('a/')})
  assert contents(directory).keys() == {name for name in FILES if name.startswith('a/')}
  staged(url, lambda names: names & {'b/3'})
  assert contents(directory).keys() == {name for name in FILES if name.startswith('a/')} | {'b/3'}


def test_what_changes_or_goes_in_the_bucket_does_so_here(url):
  directory = staged(url)
  stores.write(f'{url}/a/0', b'new' * 1000)
  stores.delete(f'{url}/b/1')
  (directory / 'a' / '2').write_bytes(b'cut')
  staged(url)
  expected = {name: content for name, content in FILES.items() if name != 'b/1'} | {'a/0': b'new' * 1000}
  assert contents(directory) == expected


def test_a_single_object_is_a_file(url):
  assert staged(f'{url}/a/4').read_bytes() == FILES['a/4']


def test_what_is_not_there_and_a_disk_that_is_too_small_are_named(url, monkeypatch):
  with pytest.raises(UserError, match=f'^{url}/none does not exist: check its name$'):
    staged(f'{url}/none')
  stores.write(f'{url}/none/x', b'x')
  assert (staged(f'{url}/none') / 'x').exists()
  stores.delete(f'{url}/none/x')
  assert not (staged(f'{url}/none', may_be_missing=True) / 'x').exists()
  monkeypatch.setattr(os, 'statvfs', lambda _: os.statvfs_result((1,) * 10))
  with pytest.raises(UserError, match=r'GB free: name a larger disk in LIPSYNC_STAGING$'):
    staged(url)
  assert not contents(place_of(url))


def test_two_processes_of_a_host_copy_each_object_once(source, tmp_path):
  with object_server.served(source, delay=0.05) as bucket:
    both = [start(f'{bucket.url}/data', bucket.environment, tmp_path / 'disk') for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert bucket.counts() == {f'data/{name}': 1 for name in FILES}
  assert contents(tmp_path / 'disk' / 'gs' / 'bucket' / 'data') == FILES


def test_a_copy_that_was_killed_in_the_middle_goes_on_with_the_rest(source, tmp_path):
  for k in range(40):  # more than are copied at once
    (source / 'data' / 'a' / f'more-{k}').write_bytes(b'x' * 1000)
  listing = tmp_path / 'disk' / 'gs' / 'bucket' / 'data' / LIST
  with object_server.served(source, delay=0.4) as bucket:
    first = start(f'{bucket.url}/data', bucket.environment, tmp_path / 'disk')
    while not (listing.exists() and listing.read_text().count('\n') >= 16):
      assert first.poll() is None
      time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    whole = {json.loads(line)['name'] for line in listing.read_text().splitlines()}
    before = bucket.counts()
    assert start(f'{bucket.url}/data', bucket.environment, tmp_path / 'disk').wait(60) == 0
    again = {name for name, count in bucket.counts().items() if count > before.get(name, 0)}
  assert 16 <= len(whole) < 52
  assert {name.removeprefix('data/') for name in again} == {
    path.relative_to(source / 'data').as_posix() for path in source.rglob('*') if path.is_file()
  } - whole
  assert contents(listing.parent) == FILES
