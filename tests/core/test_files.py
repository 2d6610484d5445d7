"""Files that appear whole or not at all, where they were asked for and nowhere else."""

import os
import stat

import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import LOCK, alone_in, write_whole, written_whole
from lpips_jax.faces import detect
from lpips_jax.media.speech import load_speech, write_speech


def test_links_are_written_through(tmp_path):
  (tmp_path / 'elsewhere').mkdir()
  target = tmp_path / 'elsewhere' / 'file.txt'
  target.write_text('old')
  for name, points_to in (('link', target), ('hanging', tmp_path / 'elsewhere' / 'new.txt')):
    (tmp_path / name).symlink_to(points_to)
    write_whole(tmp_path / name, 'new')
    assert (tmp_path / name).is_symlink() and points_to.read_text() == 'new'
  assert sorted(path.name for path in target.parent.iterdir()) == ['file.txt', 'new.txt']


def test_what_others_left_under_likely_names_is_not_written_to(tmp_path):
  (tmp_path / 'theirs').write_text('theirs')
  for name in ('file.txt.part', 'a.part.wav', 'a.wav.part', LOCK):
    (tmp_path / name).symlink_to(tmp_path / 'theirs')
  write_whole(tmp_path / 'file.txt', 'ours')
  write_speech(tmp_path / 'a.wav', np.full(100, 300, np.int16))
  with pytest.raises(OSError, match='symbolic links'), alone_in(tmp_path):
    pass
  assert (tmp_path / 'theirs').read_text() == 'theirs'
  assert (tmp_path / 'file.txt').read_text() == 'ours' and len(load_speech(tmp_path / 'a.wav')) == 100


def test_a_lock_keeps_what_is_in_it(tmp_path):
  (tmp_path / LOCK).write_text('kept')
  with alone_in(tmp_path), pytest.raises(UserError, match='another run'), alone_in(tmp_path):
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
  with pytest.raises(ZeroDivisionError), written_whole(tmp_path / 'file.txt') as part:
    part.write_text('half')
    raise ZeroDivisionError
  assert list(tmp_path.iterdir()) == []
  write_whole(tmp_path / ('x' * 250), 'a name as long as can be')


def test_a_downloaded_detector_can_be_read_by_others_and_leaves_nothing_else(tmp_path, monkeypatch):
  content = b'network'

  class Answer:
    def __enter__(self):
      return self

    def __exit__(self, *_):
      pass

    def read(self, most):
      return content[:most]

  monkeypatch.setattr(detect.urllib.request, 'urlopen', lambda *_, **__: Answer())
  monkeypatch.setattr(detect, 'YUNET_SHA256', detect.hashlib.sha256(content).hexdigest())
  before = os.umask(0o022)
  detect._download(tmp_path / 'cache' / 'yunet.onnx')
  os.umask(before)
  assert stat.S_IMODE((tmp_path / 'cache' / 'yunet.onnx').stat().st_mode) == 0o644

  def full(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', full)
  detect._download(tmp_path / 'cache' / 'again.onnx')
  assert [path.name for path in (tmp_path / 'cache').iterdir()] == ['yunet.onnx']
