"""Detectors: both find the faces of the corpus, in one convention of boxes; missing or wrong files are reported."""

import hashlib
import itertools
import os
import stat

import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.core.errors import UserError
from lpips_jax.faces import detect
from lpips_jax.faces.boxes import overlap
from lpips_jax.faces.detect import make_detector


@pytest.fixture(scope='module')
def scenes():
  """(frame, box) of a few speakers, boxes in YuNet's convention."""
  clips = [draw_clip(3, 'test', number, 0, 0.2) for number in range(4)]
  return [(next(clip.scene()), clip.boxes[0]) for clip in clips]


def test_the_cascade_finds_faces_in_yunets_convention(scenes):
  find = make_detector('cascade')
  shared = [max(overlap(box, find(frame)[:, :4]), default=0) for frame, box in scenes]
  assert np.mean(shared) > 0.7


def test_boxes_do_not_depend_on_the_size_of_the_frame(scenes):
  frame, _ = scenes[0]
  find = make_detector('cascade')
  large = find(np.repeat(np.repeat(frame, 5, 0), 5, 1))
  assert overlap(large[0, :4] / 5, find(frame)[:, :4]).max() > 0.85


def test_nothing_is_found_where_nothing_is():
  assert make_detector('cascade')(np.full((120, 160, 3), 90, np.uint8)).shape == (0, 6)


@pytest.mark.skipif('LIPSYNC_YUNET' not in os.environ, reason='LIPSYNC_YUNET does not name a YuNet file')
def test_yunet_finds_faces(scenes):
  find = make_detector('yunet')
  for frame, box in scenes:
    assert overlap(box, find(frame)[:, :4]).max() > 0.75
    assert find(frame)[0, 4] >= detect.MIN_SCORE


def test_auto_falls_back_on_the_cascade_and_says_so(tmp_path, monkeypatch, caplog):
  monkeypatch.delenv('LIPSYNC_YUNET', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setattr(detect, 'YUNET_URL', (tmp_path / 'nowhere').as_uri())
  with caplog.at_level('WARNING'):
    make_detector('auto')
  assert 'cascade' in caplog.text
  with pytest.raises(UserError, match='cannot be downloaded'):
    make_detector('yunet')


def test_a_download_of_another_file_is_not_used(tmp_path, monkeypatch):
  monkeypatch.delenv('LIPSYNC_YUNET', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  (tmp_path / 'other').write_bytes(b'something else')
  monkeypatch.setattr(detect, 'YUNET_URL', (tmp_path / 'other').as_uri())
  with pytest.raises(UserError, match='cannot be downloaded'):
    make_detector('yunet')
  assert not (tmp_path / 'cache').exists()


def test_a_download_is_checked_and_kept(tmp_path, monkeypatch):
  content = b'a detector'
  monkeypatch.delenv('LIPSYNC_YUNET', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  (tmp_path / 'it').write_bytes(content)
  monkeypatch.setattr(detect, 'YUNET_URL', (tmp_path / 'it').as_uri())
  monkeypatch.setattr(detect, 'YUNET_SHA256', hashlib.sha256(content).hexdigest())
  with pytest.raises(UserError, match='not a YuNet model'):
    make_detector('yunet')
  kept = list(itertools.chain.from_iterable(files for _, _, files in os.walk(tmp_path / 'cache')))
  assert kept == [detect.YUNET_FILE]


def test_what_lies_in_the_cache_is_checked(tmp_path, monkeypatch):
  monkeypatch.delenv('LIPSYNC_YUNET', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setattr(detect, 'YUNET_URL', (tmp_path / 'nowhere').as_uri())
  cached = tmp_path / 'lpips_jax' / detect.YUNET_FILE
  cached.parent.mkdir()
  cached.write_bytes(b'somebody put it here')
  with pytest.raises(UserError, match='cannot be downloaded'):
    make_detector('yunet')
  monkeypatch.setattr(detect, 'YUNET_SHA256', hashlib.sha256(cached.read_bytes()).hexdigest())
  with pytest.raises(UserError, match='not a YuNet model'):
    make_detector('yunet')


def test_only_the_beginning_of_an_endless_download_is_read(tmp_path, monkeypatch):
  asked = []

  class Endless:
    def __enter__(self):
      return self

    def __exit__(self, *_):
      pass

    def read(self, size):
      asked.append(size)
      return bytes(min(size, 1 << 22))

  monkeypatch.delenv('LIPSYNC_YUNET', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setattr('urllib.request.urlopen', lambda *_, **__: Endless())
  with pytest.raises(UserError, match='cannot be downloaded'):
    make_detector('yunet')
  assert asked == [detect.MAX_YUNET_BYTES] and not (tmp_path / 'cache').exists()


def test_detectors_that_do_not_exist_are_refused(tmp_path):
  (tmp_path / 'text.onnx').write_text('no model')
  with pytest.raises(UserError, match='does not exist'):
    make_detector('auto', tmp_path / 'gone.onnx')
  with pytest.raises(UserError, match='not a YuNet model'):
    make_detector('yunet', tmp_path / 'text.onnx')
  with pytest.raises(UserError, match='must be one of'):
    make_detector('eyes')


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
  monkeypatch.setattr(detect, 'YUNET_SHA256', hashlib.sha256(content).hexdigest())
  before = os.umask(0o022)
  detect._download(tmp_path / 'cache' / 'yunet.onnx')
  os.umask(before)
  assert stat.S_IMODE((tmp_path / 'cache' / 'yunet.onnx').stat().st_mode) == 0o644

  def full(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(os, 'fsync', full)
  detect._download(tmp_path / 'cache' / 'again.onnx')
  assert [path.name for path in (tmp_path / 'cache').iterdir()] == ['yunet.onnx']


def test_an_opencv_without_a_cascade_asks_for_yunet(monkeypatch):
  monkeypatch.delattr(detect.cv2, 'CascadeClassifier')
  with pytest.raises(UserError, match='OpenCV 5 has no cascade: name the file of YuNet with detector_model'):
    detect.make_detector('cascade')
