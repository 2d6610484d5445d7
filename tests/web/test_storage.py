"""Files of the page: nobody guesses them, and nothing outlives its hour or the page."""

import os
import stat
import tempfile
import time

import pytest

from lpips_jax.web import storage
from lpips_jax.web.storage import Storage


@pytest.fixture(autouse=True)
def _temporary(tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))


def upload(files: Storage, name: str, age: float = 0.0):
  path = files.uploads / name / 'me.mp4'
  path.parent.mkdir()
  path.write_bytes(b'film')
  then = time.time() - age
  os.utime(path.parent, (then, then))
  return path


def test_everything_goes_with_the_page():
  with Storage() as files:
    (files.new_folder() / 'dubbed.mp4').write_bytes(b'film')
    upload(files, 'a')
    assert stat.S_IMODE(files.root.stat().st_mode) == 0o700
  assert not files.root.exists()


def test_folders_have_names_that_cannot_be_guessed():
  with Storage() as files:
    names = {files.new_folder().name for _ in range(3)}
  assert len(names) == 3 and all(len(name) >= 24 for name in names)


def test_only_the_old_is_swept():
  with Storage() as files:
    old, new, held = upload(files, 'old', 3601), upload(files, 'new', 3500), upload(files, 'held', 7200)
    arriving, dropped = files.uploads / 'arriving', files.uploads / 'dropped'
    for path, age in ((arriving, 20), (dropped, 40)):
      path.touch()
      os.utime(path, (time.time() - age,) * 2)
    with files.held(held):
      files.sweep()
      assert not old.exists() and new.exists() and held.exists()
      assert arriving.exists() and not dropped.exists()
    files.sweep()
    assert held.exists()  # its hour begins when it is no longer needed


def test_only_uploads_are_discarded(tmp_path):
  with Storage() as files:
    refused = upload(files, 'a')
    other = tmp_path / 'me.mp4'
    other.write_bytes(b'film')
    example = files.examples / 'film.mp4'
    example.write_bytes(b'film')
    for path in refused, other, example:
      files.discard(path)
    assert not refused.parent.exists() and other.exists() and example.exists()


def test_remains_of_a_killed_page_are_removed_and_no_others():
  with Storage() as alive:
    killed = alive.root.with_name(f'{storage.PREFIX}killed')
    killed.mkdir()
    (killed / '.lock').touch()
    with Storage():
      assert not killed.exists() and alive.root.exists()
