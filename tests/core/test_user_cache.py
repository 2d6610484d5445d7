"""Where what can be made again is kept, also where a user has no home."""

import os
import tempfile
from pathlib import Path

import pytest

from lpips_jax.core import files
from lpips_jax.core.errors import UserError


@pytest.fixture
def homeless(monkeypatch, tmp_path):
  """An unknown user without HOME, as in containers; the directory for temporary files is empty."""

  def home():
    raise RuntimeError('Could not determine home directory.')

  monkeypatch.setattr(Path, 'home', home)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  return tmp_path


def test_it_is_in_the_home(monkeypatch, tmp_path):
  monkeypatch.setattr(Path, 'home', lambda: tmp_path)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  assert files.user_cache() == tmp_path / '.cache' / 'lpips_jax'
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'given'))
  assert files.user_cache() == tmp_path / 'given' / 'lpips_jax'


def test_without_a_home_it_is_a_temporary_directory_of_this_user_alone(homeless):
  cache = files.user_cache()
  assert cache.parent == homeless and cache == files.user_cache()
  assert cache.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_written_to_is_none(homeless, monkeypatch):
  monkeypatch.setattr(Path, 'home', lambda: Path('/'))
  monkeypatch.setattr(os, 'access', lambda path, mode: False)
  assert files.user_cache().parent == homeless


@pytest.mark.parametrize('trap', [lambda path: path.mkdir(mode=0o777), lambda path: path.symlink_to('/')])
def test_what_others_may_write_to_is_not_used(homeless, trap):
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
    files.expanded('~/data')
