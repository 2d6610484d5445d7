"""Files appear whole or not at all, only where they were asked for; and the user's cache, also without a home."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lpips_jax.core import files
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import LOCK, directory_lock, read_regular, whole_file, write_whole
from lpips_jax.media.speech import load_speech, write_speech


def test_what_may_never_end_is_not_read(tmp_path):
  os.mkfifo(tmp_path / 'pipe')
  for path in (tmp_path / 'pipe', '/dev/zero', tmp_path):
    with pytest.raises(UserError, match=r'no regular file|is a directory'):
      read_regular(path)
  with pytest.raises(FileNotFoundError):
    read_regular(tmp_path / 'gone')


def test_links_are_written_through(tmp_path):
  (tmp_path / 'elsewhere').mkdir()
  target = tmp_path / 'elsewhere' / 'file.txt'
  target.write_text('old')
  for name, points_to in (('link', target), ('hanging', tmp_path / 'elsewhere' / 'new.txt')):
    (tmp_path / name).symlink_to(points_to)
    write_whole(tmp_path / name, 'new')
    assert (tmp_path / name).is_symlink() and points_to.read_text() == 'new'
  assert sorted(path.name for path in target.parent.iterdir()) == ['file.txt', 'new.txt']


def test_links_that_others_put_under_likely_names_are_not_written_through(tmp_path):
  (tmp_path / 'theirs').write_text('theirs')
  for name in ('file.txt.part', 'a.part.wav', 'a.wav.part', LOCK):
    (tmp_path / name).symlink_to(tmp_path / 'theirs')
  write_whole(tmp_path / 'file.txt', 'ours')
  write_speech(tmp_path / 'a.wav', np.full(100, 300, np.int16))
  with pytest.raises(OSError, match='symbolic links'), directory_lock(tmp_path):
    pass
  assert (tmp_path / 'theirs').read_text() == 'theirs'
  assert (tmp_path / 'file.txt').read_text() == 'ours' and len(load_speech(tmp_path / 'a.wav')) == 100


def test_a_lock_file_keeps_its_content(tmp_path):
  (tmp_path / LOCK).write_text('kept')
  with directory_lock(tmp_path), pytest.raises(UserError, match='another run'), directory_lock(tmp_path):
    pass
  assert (tmp_path / LOCK).read_text() == 'kept'


def test_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
  done = []
  fsync, replace = os.fsync, os.replace
  monkeypatch.setattr(os, 'fsync', lambda number: (done.append(os.fstat(number).st_size), fsync(number)))
  monkeypatch.setattr(os, 'replace', lambda *names: (done.append('named'), replace(*names)))
  write_whole(tmp_path / 'file.txt', 'seven b')
  assert done == [7, 'named']


def test_nothing_is_left_of_what_failed(tmp_path):
  with pytest.raises(ZeroDivisionError), whole_file(tmp_path / 'file.txt') as part:
    part.write_text('half')
    raise ZeroDivisionError
  assert list(tmp_path.iterdir()) == []
  write_whole(tmp_path / ('x' * 250), 'a name as long as can be')


@pytest.fixture
def homeless(monkeypatch, tmp_path):
  """An unknown user without HOME, as in containers; the directory for temporary files is empty."""

  def home():
    raise RuntimeError('Could not determine home directory.')

  monkeypatch.setattr(Path, 'home', home)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  return tmp_path


def test_the_cache_is_in_the_home(monkeypatch, tmp_path):
  monkeypatch.setattr(Path, 'home', lambda: tmp_path)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  assert files.user_cache() == tmp_path / '.cache' / 'lpips_jax'
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'given'))
  assert files.user_cache() == tmp_path / 'given' / 'lpips_jax'


def test_without_a_home_the_cache_is_a_temporary_directory_of_this_user_alone(homeless):
  cache = files.user_cache()
  assert cache.parent == homeless and cache == files.user_cache()
  assert cache.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_written_to_is_not_used(homeless, monkeypatch):
  monkeypatch.setattr(Path, 'home', lambda: Path('/'))
  monkeypatch.setattr(os, 'access', lambda path, mode: False)
  assert files.user_cache().parent == homeless


@pytest.mark.parametrize('trap', [lambda path: path.mkdir(mode=0o777), lambda path: path.symlink_to('/')])
def test_a_directory_that_others_may_write_to_is_not_used(homeless, trap):
  own = homeless / f'lpips_jax-{os.getuid()}'
  trap(own)
  if not own.is_symlink():
    own.chmod(0o777)
  assert files.user_cache() != own


def test_a_path_in_a_home_that_is_not_there_is_one_line(monkeypatch):
  def expanduser(path):
    raise RuntimeError('Could not determine home directory.')

  monkeypatch.setattr(Path, 'expanduser', expanduser)
  with pytest.raises(UserError, match='~/data: this user has no home directory: give the whole path'):
    files.expand_user('~/data')
