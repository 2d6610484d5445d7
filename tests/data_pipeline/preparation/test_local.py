"""Cutting in parallel: a clip that goes wrong is rejected, and the others are cut."""

import os
from pathlib import Path

from data_pipeline.preparation import local
from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult


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
