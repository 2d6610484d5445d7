"""Cutting in parallel: a clip that goes wrong is rejected, and the others are cut."""

import os
from pathlib import Path

import numpy as np
import pytest
from videos import face_frames

from data_pipeline.preparation import local
from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult
from lpips_jax.core.errors import UserError
from lpips_jax.storage import stores


def deadly(raw):
  """Cuts like a decoder that one file crashes."""
  if raw.id == 'poison':
    os._exit(139)
  return ClipResult(raw.id)


def test_a_clip_that_kills_its_worker_is_rejected_alone():
  clips = [RawClip(name, 's', 'train', Path(name)) for name in ('a', 'b', 'poison', 'c', 'd', 'e')]
  results = {result.clip: result.rejected for result in local.cut_all(clips, deadly, workers=2)}
  assert results.pop('poison') == [('poison', 'the process that read it died')]
  assert results == {name: [] for name in 'abcde'}


def test_an_unexpected_error_rejects_one_clip(tmp_path):
  (tmp_path / 'v.mp4').mkdir()
  (tmp_path / 'v.mp4' / 'audio.wav').mkdir()
  cutter = local.Cutter('cascade', None, settings=None)
  [result] = local.cut_all([RawClip('v', 's', 'train', tmp_path / 'v.mp4')], cutter, workers=0)
  assert result.records == [] and len(result.rejected) == 1


@pytest.mark.skipif('LIPSYNC_YUNET' not in os.environ, reason='needs YuNet')
def test_the_content_of_the_detectors_file_serves_where_the_file_is_not():
  file = Path(os.environ['LIPSYNC_YUNET'])
  [frame] = face_frames(0, 0.04)[0]
  faces = [local._detector_of_this_process('yunet', model)(frame) for model in (file, file.read_bytes())]
  assert len(faces[0]) == 1
  np.testing.assert_array_equal(*faces)


def test_a_bucket_that_cannot_be_read_rejects_no_clip(gs_bucket, monkeypatch):
  def fail(*_, **__):
    raise PermissionError('no right')

  monkeypatch.setattr(stores.file_system(gs_bucket.url), 'info', fail)
  cutter = local.Cutter('cascade', None, settings=None)
  with pytest.raises(UserError, match=r'v.mp4 cannot be read \(PermissionError: no right\)'):
    cutter(RawClip('v', 's', 'train', f'{gs_bucket.url}/v.mp4'))
